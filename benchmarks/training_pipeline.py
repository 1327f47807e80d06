"""How fast one loader process makes training samples, beside the way of the toolboxes before.

Both make 192 x 256 crops of people with the augmentation for COCO (mirror, half body, shift, scale, rotation) from JPEG
files, in one thread. The reference way, from its description: copy the annotation, decode the photo in full, mirror it,
draw the box's change from scipy's truncated normal, warp, normalise into float planes, draw a Gaussian for each joint,
pack. Ours: one matrix and one warp from a photo that is decoded no further and no finer than the crop shows; bytes and
points travel, and are normalised and drawn on the device.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from measure import compare, find_labels, in_turn, machine

from vitruvian.augment import Augmentation
from vitruvian.data import loading
from vitruvian.data.labels import Labels
from vitruvian.data.loading import PersonCrops
from vitruvian.geometry import Framing
from vitruvian.images import read_image
from vitruvian.skeletons import Skeleton

SIZE, MAP_SIZE, SIGMA = (192, 256), (48, 64), 2.0
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
BLOCK = 16  # samples between two turns: a loader's caches know one pipeline alone
Read = Callable[[Path], np.ndarray]


def decode_in_full(path: Path) -> np.ndarray:
    """A photo as OpenCV gives it, (H, W, 3) uint8 BGR."""
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def truncated_normal(rng: np.random.Generator) -> Callable[[int], np.ndarray]:
    """Draws from a unit normal cut to [-1, 1]: scipy's, or where it is not installed numpy's."""
    try:
        from scipy.stats import truncnorm
    except ModuleNotFoundError:
        print("scipy is not installed: the reference way draws with numpy, which is faster than it was")
        return lambda count: np.clip(rng.standard_normal(count), -1, 1)
    return lambda count: truncnorm.rvs(-1, 1, size=count, random_state=rng)


class ReferencePipeline:
    """One person at a time, a copy and a pass over the photo at each stage."""

    def __init__(self, labels: Labels, places: list[tuple[int, int]], augment: bool, read: Read) -> None:
        self.records = [as_record(labels, photo, person) for photo, person in places]
        self.skeleton, self.augment, self.read = labels.skeleton, augment, read
        self.rng = np.random.default_rng(0)
        self.truncated = truncated_normal(self.rng)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = copy.deepcopy(self.records[index])
        image = self.read(record["path"])
        points, visible = record["keypoints"], record["visible"]
        x0, y0, x1, y1 = record["box"]
        centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        scale = np.array([x1 - x0, y1 - y0]) * 1.25
        rotation = 0.0
        if self.augment:
            if self.rng.random() < 0.5:
                image, points, visible, centre = mirrored(image, points, visible, centre, self.skeleton)
            if self.rng.random() < 0.3:
                centre, scale = half_body(self.rng, points, visible, centre, scale, self.skeleton)
            draws = self.truncated(4)
            if self.rng.random() < 0.3:
                centre = centre + draws[:2] * 0.16 * scale
            scale = scale * (1 + 0.5 * draws[2])
            if self.rng.random() < 0.6:
                rotation = 80 * draws[3]
        scale = grown(scale)
        matrix = matrix_of_three_points(centre, scale, rotation)
        crop = cv2.warpAffine(image, matrix, SIZE, flags=cv2.INTER_LINEAR)
        points = points @ matrix[:, :2].T + matrix[:, 2]
        heatmaps, weights = gaussians(points * (MAP_SIZE[0] / SIZE[0]), visible)
        planes = (crop[..., ::-1].astype(np.float32) - MEAN) / STD
        return {
            "inputs": torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1))),
            "heatmaps": torch.from_numpy(heatmaps),
            "weights": torch.from_numpy(weights),
            "points": points,
            "meta": copy.deepcopy({"centre": centre, "scale": scale, "rotation": rotation, **record}),
        }


def as_record(labels: Labels, photo: int, person: int) -> dict[str, Any]:
    """One person as the annotation list of the reference holds it."""
    of_photo = labels.photos[photo]
    people = of_photo.people
    return {
        "path": of_photo.path,
        "image_id": of_photo.image_id,
        "annotation_id": of_photo.annotation_ids[person],
        "box": people.boxes[person].astype(np.float64),
        "keypoints": np.nan_to_num(people.keypoints[person].astype(np.float64)),
        "visible": np.minimum(people.visibility[person], 1).astype(np.float32),
        "area": float(people.areas[person]),
    }


def mirrored(
    image: np.ndarray, points: np.ndarray, visible: np.ndarray, centre: np.ndarray, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The whole photo mirrored, with joints exchanged."""
    width = image.shape[1]
    order = list(skeleton.mirror)
    points = points[order].copy()
    points[:, 0] = width - 1 - points[:, 0]
    return cv2.flip(image, 1), points, visible[order], np.array([width - 1 - centre[0], centre[1]])


def half_body(
    rng: np.random.Generator,
    points: np.ndarray,
    visible: np.ndarray,
    centre: np.ndarray,
    scale: np.ndarray,
    skeleton: Skeleton,
) -> tuple[np.ndarray, np.ndarray]:
    """Centre and size of the upper or lower half of a person with enough visible joints."""
    if visible.sum() < 9:
        return centre, scale
    halves: dict[str, list[int]] = {"upper": [], "lower": []}
    for joint in range(len(points)):
        if visible[joint] > 0:
            halves["upper" if joint in skeleton.parts["upper"] else "lower"].append(joint)
    first = "upper" if rng.random() < 0.7 and len(halves["upper"]) > 2 else "lower"
    chosen = halves[first] if len(halves[first]) > 2 else halves["upper"]
    if len(chosen) < 2:
        return centre, scale
    selected = points[chosen]
    return selected.mean(0), (selected.max(0) - selected.min(0)) * 1.5


def grown(scale: np.ndarray) -> np.ndarray:
    """The size with its shorter side grown to the crop's aspect ratio."""
    aspect = SIZE[0] / SIZE[1]
    width, height = scale
    return np.array([width, width / aspect] if width > height * aspect else [height * aspect, height])


def matrix_of_three_points(centre: np.ndarray, scale: np.ndarray, rotation: float) -> np.ndarray:
    """The matrix (2, 3) that sends the centre, a point beside it and one at a right angle to those of the crop."""
    angle = np.deg2rad(rotation)
    arm = np.array([np.cos(angle), np.sin(angle)]) * -scale[0] / 2
    source = np.stack([centre, centre + arm, centre + arm + np.array([-arm[1], arm[0]])]).astype(np.float32)
    middle, side = np.array([SIZE[0] / 2, SIZE[1] / 2]), np.array([-SIZE[0] / 2, 0.0])
    target = np.stack([middle, middle + side, middle + side + np.array([-side[1], side[0]])]).astype(np.float32)
    return cv2.getAffineTransform(source, target)


def gaussians(points: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A map for each joint, drawn one after the other as a patch of 3 sigma about the nearest cell."""
    width, height = MAP_SIZE
    heatmaps = np.zeros((len(points), height, width), np.float32)
    weights = visible.copy()
    radius = int(3 * SIGMA)
    grid = np.arange(0, 2 * radius + 1, 1, np.float32)
    for joint in range(len(points)):
        if visible[joint] < 0.5:
            continue
        x, y = (points[joint] + 0.5).astype(np.int64)
        left, top, right, bottom = x - radius, y - radius, x + radius + 1, y + radius + 1
        if left >= width or top >= height or right < 0 or bottom < 0:
            weights[joint] = 0
            continue
        patch = np.exp(-((grid - radius) ** 2 + (grid[:, None] - radius) ** 2) / (2 * SIGMA**2))
        columns, rows = slice(max(0, left), min(right, width)), slice(max(0, top), min(bottom, height))
        inner = patch[max(0, -top) : min(bottom, height) - top, max(0, -left) : min(right, width) - left]
        heatmaps[joint, rows, columns] = np.maximum(heatmaps[joint, rows, columns], inner)
    return heatmaps, weights


def difference(reference: ReferencePipeline, ours: PersonCrops) -> tuple[float, float]:
    """How far points (px of the crop, at most) and pixels (0 to 255, a median crop) are apart without augmentation."""
    points, pixels = 0.0, []
    for index in range(len(ours)):
        theirs, sample = reference[index], ours[0, index]
        known = sample.people.visibility[0] > 0
        points = max(points, float(np.abs(theirs["points"] - sample.people.keypoints[0])[known].max()))
        planes = theirs["inputs"].permute(1, 2, 0).numpy() * STD + MEAN
        pixels.append(np.abs(planes - sample.image).mean())
    return points, float(np.median(pixels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="annotation file (default: generated photos)")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--people", type=int, default=64, help="samples in one repeat")
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        labels = find_labels(options.data, Path(folder))
        crops = PersonCrops(labels, Framing(SIZE), Augmentation(), limit=options.people)
        plain = PersonCrops(labels, Framing(SIZE), limit=options.people)
        points, pixels = difference(ReferencePipeline(labels, crops.places, False, decode_in_full), plain)
        print(f"without augmentation: points differ by at most {points:.4f} px, a median crop by {pixels:.2f} of 255")
        epochs = count()

        def our_way(index: int) -> None:
            crops[next(epochs), index]

        reference = ReferencePipeline(labels, crops.places, True, decode_in_full)
        seconds = in_turn([reference.__getitem__, our_way], len(crops), options.repeats, options.clock, BLOCK)
        compare("from JPEG files", *seconds, len(crops), f"a sample ({options.clock})", 1.7)

        # The same from photos that are decoded already: each side finds what it would have decoded.
        decoded = {photo.path: decode_in_full(photo.path) for photo in labels.photos}
        shrunk = {(photo.path, by): read_image(photo.path, by) for photo in labels.photos for by in (1, 2, 4, 8)}
        reference = ReferencePipeline(labels, crops.places, True, decoded.__getitem__)
        loading.read_image = lambda path, reduction=1, rows=None: shrunk[path, reduction]
        seconds = in_turn([reference.__getitem__, our_way], len(crops), options.repeats, options.clock, BLOCK)
        compare("without decoding", *seconds, len(crops), f"a sample ({options.clock})", 5.0)


if __name__ == "__main__":
    main()
