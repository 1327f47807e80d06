"""People of photos cut out along their joints and pasted over another background: the second source of scenes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from vitruvian.data.loading import Key, PersonCrops
from vitruvian.data.synthetic.backgrounds import draw_background
from vitruvian.sample import HIDDEN, People, Sample
from vitruvian.skeletons import Skeleton

THICK = 0.3
"""Half width of a limb, as a share of the median limb's length."""
SMALLEST = 6.0
"""px: the median limb of a person who can be cut out."""


class CutoutCrops:
    """Crops of a data set, some of whose people stand before another background than in their photo.

    Scale, rotation, mirror and colour are those of the crops' own augmentation, and the truth is theirs: it moves with
    the person. Sample (epoch, index) depends on (seed, epoch, index) alone.
    """

    def __init__(self, real: PersonCrops, share: float, photos: tuple[Path, ...] = ()) -> None:
        self.real, self.share, self.photos = real, share, photos

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the labels."""
        return self.real.skeleton

    def __len__(self) -> int:
        return len(self.real)

    def __getitem__(self, key: Key) -> Sample:
        sample = self.real[key]
        rng = np.random.default_rng((self.real.seed, *key, 2))
        if rng.random() >= self.share:
            return sample
        mask = soft_mask(sample.people, self.skeleton, sample.image.shape[:2])
        if mask is None:
            return sample
        background = draw_background(rng, sample.image.shape[1::-1], self.photos)
        return replace(sample, image=pasted(sample.image, background, mask))

    def plain(self) -> PersonCrops:
        """The same people in their photos, without augmentation."""
        return self.real.plain()


def soft_mask(people: People, skeleton: Skeleton, shape: tuple[int, int]) -> np.ndarray | None:
    """Where the one person is, (H, W) float32 from 0 to 1: limbs, trunk and head about the joints that are labelled.

    None where too few joints are known to tell.
    """
    points = people.keypoints[0, :, :2]
    known = (people.visibility[0] >= HIDDEN) & np.isfinite(points).all(1)
    place = {name: points[index] for index, name in enumerate(skeleton.joints) if known[index]}
    limbs = [(points[a], points[b]) for a, b in skeleton.limbs if known[a] and known[b]]
    lengths = [float(np.linalg.norm(a - b)) for a, b in limbs]
    if len(limbs) < 5 or np.median(lengths) < SMALLEST:
        return None
    half = THICK * float(np.median(lengths))
    mask = np.zeros(shape, np.uint8)
    for a, b in limbs:
        cv2.line(mask, fixed(a), fixed(b), (255,), max(1, round(2 * half)), cv2.LINE_AA, 4)
    trunk = [place[name] for side in ("left", "right") for name in (f"{side}_shoulder", f"{side}_hip") if name in place]
    if len(trunk) >= 3:
        hull = cv2.convexHull(np.array(trunk, np.float32))
        cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), (255,), cv2.LINE_AA, 4)
    for name, point in place.items():
        ends = name.endswith(("wrist", "ankle"))  # hands and feet reach beyond
        cv2.circle(mask, fixed(point), round(16 * half * (1.5 if ends else 1.1)), (255,), -1, cv2.LINE_AA, 4)
    if "head_top" in place and "neck" in place:
        radius = 0.62 * float(np.linalg.norm(place["head_top"] - place["neck"]))
        cv2.circle(mask, fixed((place["head_top"] + place["neck"]) / 2), round(16 * radius), (255,), -1, cv2.LINE_AA, 4)
    elif "nose" in place:
        cv2.circle(mask, fixed(place["nose"]), round(16 * 2.4 * half), (255,), -1, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.3 * half))
    return soft.astype(np.float32) / 255


def fixed(point: np.ndarray) -> tuple[int, int]:
    """A point (2,) px in sixteenths of a pixel."""
    x, y = np.round(np.clip(point, -2000, 2000) * 16).astype(int).tolist()
    return x, y


def pasted(image: np.ndarray, background: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`image` where `mask` (H, W) from 0 to 1 says so, over `background`; both (H, W, 3) uint8."""
    share = mask[..., None]
    return (image * share + background * (1 - share) + 0.5).astype(np.uint8)
