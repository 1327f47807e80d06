"""From photos to crops of people, and from points in crops back to photos; without torch, for exported networks too.

Coordinates follow the convention drawn in `vitruvian.geometry`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vitruvian.errors import InputError
from vitruvian.geometry import Framing, box_matrix, from_reduced, reduction_for
from vitruvian.images import image_size, read_image, reduced, warp

Image = str | Path | np.ndarray
"""A photo: its path, or its pixels (H, W, 3) uint8 RGB; also (H, W) grey and (H, W, 4) with alpha."""

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Crops:
    """The people of one photo as a top-down network sees them, N of them."""

    photo_size: tuple[int, int]  # width, height px; (0, 0) of a photo without boxes, which is not read
    boxes: np.ndarray  # (N, 4) float64 x0 y0 x1 y1 px of the photo
    box_scores: np.ndarray  # (N,) float64, 1 where none was given
    pixels: np.ndarray  # (N, H, W, 3) uint8 RGB
    to_photo: np.ndarray  # (N, 3, 3) float64, pixels of the crop to pixels of the photo

    def __len__(self) -> int:
        return len(self.boxes)


def crop_people(image: Image, boxes: Any, framing: Framing, name: str) -> Crops:
    """One photo's people, cut from it after one decoding.

    A file is decoded at the smallest scale at which no box loses detail, and pixels are shrunk to it: people who are
    much larger than the crop look the same in both.

    Args:
        image: the photo.
        boxes: (N, 4) x0 y0 x1 y1 px or (N, 5) with a score, in photo pixels; they may reach over the photo's border.
            None: the whole photo, as one person.
        framing: how the network wants people.
        name: what messages call the photo.

    Raises:
        InputError: the photo cannot be read, or a box is not one or lies outside; the message names both.
    """
    if not isinstance(image, str | Path):
        image = as_rgb(image, name)
    size = (0, 0)
    if boxes is None:
        size = image_size(image) if isinstance(image, str | Path) else size_of(image)
        corners, scores = whole_photo(size), np.ones(1)
    else:
        corners, scores = check_boxes(boxes, name)
    crops = np.empty((len(corners), framing.size[1], framing.size[0], 3), np.uint8)
    if not len(corners):
        return Crops(size, corners, scores, crops, np.zeros((0, 3, 3)))
    matrices = [box_matrix(box, framing) for box in corners]
    reduction = min(map(reduction_for, matrices))
    if isinstance(image, str | Path):
        pixels = read_image(image, reduction)
        if boxes is not None:
            size = image_size(image) if reduction > 1 else size_of(pixels)
    else:
        size, pixels = size_of(image), reduced(image, reduction)
    if boxes is not None:
        check_overlap(corners, size, name)
    for crop, matrix in zip(crops, matrices):
        crop[:] = warp(pixels, matrix @ from_reduced(reduction), framing.size)
    return Crops(size, corners, scores, crops, np.linalg.inv(np.array(matrices)))


def photo_name(image: Image, index: int) -> str:
    """What messages call a photo: its path, or where it stands among those that were given."""
    return str(image) if isinstance(image, str | Path) else f"images[{index}]"


def whole_photo(size: tuple[int, int]) -> np.ndarray:
    """The box (1, 4) of a whole photo of `size` (W, H): from the outer edge of its first pixel to that of its last."""
    return np.array([[-0.5, -0.5, size[0] - 0.5, size[1] - 0.5]])


def size_of(pixels: Any) -> tuple[int, int]:
    """Width and height of (H, W, ...)."""
    return pixels.shape[1], pixels.shape[0]


def as_rgb(image: Any, name: str) -> np.ndarray:
    """Pixels as (H, W, 3) uint8 RGB: grey is repeated, what is transparent is laid over white.

    Raises InputError for anything else than an array of uint8 pixels.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} is a {type(image).__name__}, expected a path or a numpy array (H, W, 3) of uint8 RGB")
    shape = image.shape
    if image.dtype != np.uint8 or len(shape) not in (2, 3) or (shape[2:] or (1,))[0] not in (1, 3, 4) or not image.size:
        raise InputError(f"{name} is an array of {image.dtype} {shape}, expected uint8 (H, W, 3), RGB from 0 to 255")
    if shape[2:] == (3,):
        return image
    if shape[2:] == (4,):
        alpha = image[..., 3:].astype(np.uint16)
        return ((image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.repeat(image.reshape(*shape[:2], 1), 3, axis=2)


def check_boxes(boxes: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Boxes as given -> corners (N, 4) and scores (N,), float64; the scores are 1 where there are none.

    Raises InputError that names the photo, the first bad box (counted from 0) and what is wrong with it.
    """
    expected = "expected (N, 4) numbers x0 y0 x1 y1 in pixels, or (N, 5) with a score"
    try:
        array = np.asarray(boxes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: its boxes are no array ({error}), {expected}") from None
    if array.size == 0:
        return np.zeros((0, 4)), np.zeros(0)
    if array.dtype.kind not in "iuf":
        bad = next((i for i, box in enumerate(boxes) if np.asarray(box).dtype.kind not in "iuf"), 0)
        raise InputError(f"{name}: box {bad} is {str(array[bad] if array.ndim else boxes)[:60]!r}, {expected}")
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise InputError(f"{name}: its boxes have shape {array.shape}, {expected}")
    array = array.astype(np.float64)
    sides = array[:, 2:4] - array[:, :2]
    problems = (
        (~np.isfinite(array).all(1), "holds NaN or infinity"),
        ((sides < 0).any(1), "ends before it begins; boxes are x0 y0 x1 y1, not x y width height"),
        ((sides <= 0).any(1), "has no area; give x1 > x0 and y1 > y0"),
    )
    for bad, what in problems:
        if bad.any():
            raise InputError(f"{name}: box {bad.argmax()} ({shown(array[bad.argmax()])}) {what}")
    return array[:, :4], array[:, 4] if array.shape[1] == 5 else np.ones(len(array))


def check_overlap(corners: np.ndarray, size: tuple[int, int], name: str) -> None:
    """Raises InputError for a box that lies wholly outside of a photo of `size` (W, H)."""
    outside = (corners[:, 2:] <= -0.5).any(1) | (corners[:, :2] >= np.array(size) - 0.5).any(1)
    if outside.any():
        box = outside.argmax()
        raise InputError(
            f"{name}: box {box} ({shown(corners[box])}) lies outside of the photo of {size[0]} x {size[1]} px; are the "
            "boxes in pixels of this photo?"
        )


def shown(box: np.ndarray) -> str:
    """A box for messages."""
    return " ".join(f"{value:g}" for value in box)


def points_in_photo(points: np.ndarray, to_photo: np.ndarray) -> np.ndarray:
    """Points (N, K, 2 or more) in pixels of N crops, through their matrices (N, 3, 3); further coordinates stay."""
    moved = points[..., :2] @ to_photo[:, :2, :2].swapaxes(1, 2) + to_photo[:, None, :2, 2]
    return np.concatenate([moved, points[..., 2:]], -1)


def num_threads() -> int:
    """How many photos are read at a time."""
    return min(8, os.cpu_count() or 1)


def in_order(function: Callable[[Given], Made], items: Iterable[Given], threads: int) -> Generator[Made]:
    """`map` in threads: results in order, with only a few items taken ahead of the one that is waited for."""
    waiting: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
