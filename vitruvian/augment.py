"""Random views of a person for training: one matrix for the geometry, one for the colours, each applied once.

Every function takes the generator that it draws from, so that a view is a function of (seed, epoch, index) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vitruvian.errors import expect
from vitruvian.geometry import (
    Framing,
    centre_and_scale,
    crop_matrix,
    fix_aspect,
    mirror_matrix,
    transform_points,
)
from vitruvian.sample import HIDDEN, People
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Augmentation:
    """How far a view may stray from the annotated box. The defaults are MMPose's for COCO.

    Attributes:
        flip: chance of a mirrored view.
        half_body: chance of a view of the upper or lower body alone, for people with enough labelled joints.
        half_body_joints: what "enough" is.
        shift: largest shift of the box, as a share of its padded sides.
        shift_chance: chance of a shift.
        scale: the box is scaled by a factor of 1 - scale to 1 + scale.
        rotation: largest rotation, degrees.
        rotation_chance: chance of a rotation.
        draws: how shift, scale and rotation are spread over their ranges; "clipped_normal" puts what lies beyond the
            range on its end, which is one deviation of shift and scale and two of rotation.
        colour: strength of the random change of brightness, contrast, saturation and tint; 0 leaves colours alone.
        blur: chance of a blurred view.
        erase: chance that a rectangle of noise hides a part of the view.
    """

    flip: float = 0.5
    half_body: float = 0.3
    half_body_joints: int = 9
    shift: float = 0.16
    shift_chance: float = 0.3
    scale: float = 0.5
    rotation: float = 80.0
    rotation_chance: float = 0.6
    draws: Literal["truncated_normal", "clipped_normal", "uniform"] = "truncated_normal"
    colour: float = 0.0
    blur: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "half_body", "shift_chance", "rotation_chance", "blur", "erase"):
            expect(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a chance from 0 to 1")
        expect(self.half_body_joints >= 0, "half_body_joints", self.half_body_joints, "0 or more")
        expect(0 <= self.shift <= 1, "shift", self.shift, "a share of the box from 0 to 1")
        expect(0 <= self.scale < 1, "scale", self.scale, "0 to below 1: the box is scaled by at least 1 - scale")
        expect(0 <= self.rotation <= 180, "rotation", self.rotation, "0 to 180 degrees")
        expect(0 <= self.colour <= 1, "colour", self.colour, "a strength from 0 to 1")


def draw_view(
    rng: np.random.Generator,
    people: People,
    photo_size: tuple[int, int],
    framing: Framing,
    skeleton: Skeleton,
    augmentation: Augmentation,
) -> np.ndarray:
    """A random view of one person: the matrix (3, 3) from photo pixels to crop pixels, a mirror included.

    Args:
        rng: what is drawn from.
        people: the one person, in the photo's frame.
        photo_size: width and height, px.
        framing: size, padding and family of the crop.
        skeleton: its mirror pairs and its parts "upper" and "lower" are used.
        augmentation: the ranges.
    """
    mirrored = rng.random() < augmentation.flip
    centre, scale = centre_and_scale(people.boxes[0], framing.padding)
    if rng.random() < augmentation.half_body:
        half = half_body_box(rng, people, skeleton, augmentation.half_body_joints)
        if half is not None:
            centre, scale = half
    shift, factor, rotation = draw_box_change(rng, augmentation)
    mirror = mirror_matrix(photo_size[0]) if mirrored else np.eye(3)
    centre = transform_points(centre, mirror)
    centre, scale = centre + shift * scale, scale * factor
    crop = crop_matrix(centre, fix_aspect(scale, framing.size), framing.size, rotation, framing.affine)
    return crop @ mirror


def draw_box_change(rng: np.random.Generator, augmentation: Augmentation) -> tuple[np.ndarray, float, float]:
    """Shift (2,) in shares of the box, scale factor and rotation in degrees."""
    if augmentation.draws == "uniform":
        draws = rng.uniform(-1, 1, 4)
    elif augmentation.draws == "clipped_normal":
        draws = np.clip(rng.standard_normal(4) / (1, 1, 1, 2), -1, 1)
    else:
        draws = truncated_normal(rng, 4)
    return box_change(draws, rng.random(2), augmentation)


def box_change(draws: np.ndarray, chances: np.ndarray, augmentation: Augmentation) -> tuple[np.ndarray, float, float]:
    """Shift (2,), scale factor and rotation that four draws in [-1, 1] and two in [0, 1) stand for."""
    shift = draws[:2] * augmentation.shift if chances[0] < augmentation.shift_chance else np.zeros(2)
    rotation = draws[3] * augmentation.rotation if chances[1] < augmentation.rotation_chance else 0.0
    return shift, 1 + augmentation.scale * draws[2], float(rotation)


def truncated_normal(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws (count,) of a unit normal given that it falls into [-1, 1], by rejection."""
    kept: list[float] = []
    while len(kept) < count:
        kept += [draw for draw in rng.standard_normal(4 * count).tolist() if -1 <= draw <= 1]
    return np.array(kept[:count])


def half_body_box(
    rng: np.random.Generator, people: People, skeleton: Skeleton, least: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre (2,) and padded size (2,) px of the upper or lower half of a person; None if too little is labelled."""
    known = (people.visibility[0] >= HIDDEN) & ~np.isnan(people.keypoints[0, :, :2]).any(1)
    if known.sum() < least or "upper" not in skeleton.parts:
        return None
    upper, lower = (joints_of(skeleton.parts[half], known) for half in ("upper", "lower"))
    chosen = choose_half(upper, lower, prefer_upper=rng.random() < 0.7)
    if chosen is None:
        return None
    centre, extent = box_of_joints(people.keypoints[0, chosen, :2])
    return (centre, extent) if extent.any() else None  # all in one place: there is nothing to look at


def joints_of(part: Sequence[int], known: np.ndarray) -> list[int]:
    """The joints of a part that `known` (K,) marks."""
    return [joint for joint in part if known[joint]]


def choose_half(upper: list[int], lower: list[int], prefer_upper: bool) -> list[int] | None:
    """The preferred half if both have enough joints (2 above, 3 below), else the one that has, else None."""
    enough = [half for half, least in ((upper, 2), (lower, 3)) if len(half) >= least]
    if len(enough) == 2:
        return upper if prefer_upper else lower
    return enough[0] if enough else None


def box_of_joints(points: np.ndarray, padding: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Centre (2,), the mean of the points (P, 2), and their extent (2,) times `padding`, px."""
    return points.mean(0).astype(np.float64), (points.max(0) - points.min(0)).astype(np.float64) * padding


def draw_colours(rng: np.random.Generator, strength: float) -> np.ndarray:
    """A random affine map of colours (3, 4) for RGB columns (r, g, b, 1), each 0 to 255.

    Brightness, contrast (about mid-grey) and saturation are scaled by 1 +- strength, each channel by 1 +- strength / 2;
    one view in ten loses its colour.
    """
    brightness, contrast = rng.uniform(1 - strength, 1 + strength, 2)
    saturation = 0.0 if rng.random() < 0.1 else rng.uniform(1 - strength, 1 + strength)
    tint = rng.uniform(1 - strength / 2, 1 + strength / 2, 3)
    grey = np.broadcast_to([0.299, 0.587, 0.114], (3, 3))
    matrix = np.diag(tint) @ (saturation * np.eye(3) + (1 - saturation) * grey)
    matrix = brightness * contrast * matrix
    offset = np.full((3, 1), 128 * brightness * (1 - contrast))
    return np.concatenate([matrix, offset], 1)


def change_pixels(rng: np.random.Generator, image: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Colours, blur and a hidden rectangle, as far as the augmentation asks for them; image (H, W, 3) uint8."""
    import cv2

    if augmentation.colour > 0:
        image = cv2.transform(image, draw_colours(rng, augmentation.colour))
    if rng.random() < augmentation.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < augmentation.erase:
        image = erase_rectangle(rng, image)
    return image


def erase_rectangle(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image with a rectangle of noise over 2 to 20 % of its area, ratio of sides 1 : 3 to 3 : 1."""
    height, width = image.shape[:2]
    area, ratio = rng.uniform(0.02, 0.2) * height * width, np.exp(rng.uniform(-1.1, 1.1))
    h, w = min(int(np.sqrt(area * ratio)) + 1, height), min(int(np.sqrt(area / ratio)) + 1, width)
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    image = image.copy()
    image[top : top + h, left : left + w] = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    return image
