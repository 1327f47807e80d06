"""What stands behind synthetic people: a part of somebody's photo, or shapes, gradients and textures."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from vitruvian.images import read_image


def draw_background(rng: np.random.Generator, size: tuple[int, int], photos: tuple[Path, ...] = ()) -> np.ndarray:
    """A background (H, W, 3) uint8 of a size (W, H): a part of one of the photos, if there are any, else drawn."""
    if photos and rng.random() < 0.85:
        return part_of_photo(rng, size, photos[rng.integers(len(photos))])
    return procedural(rng, size)


def part_of_photo(rng: np.random.Generator, size: tuple[int, int], path: Path) -> np.ndarray:
    """A random part of a photo, often mirrored."""
    photo = read_image(path)
    height, width = photo.shape[:2]
    scale = max(size[0] / width, size[1] / height) * math.exp(rng.uniform(0, 0.9))
    reach = np.array([width, height]) - np.array(size) / scale
    corner = rng.random(2) * np.maximum(reach, 0)
    sign = -1 if rng.random() < 0.5 else 1
    offset = (size[0] - 1 if sign < 0 else 0) - sign * scale * corner[0]
    matrix = np.array([[sign * scale, 0, offset], [0, scale, -scale * corner[1]]])
    return cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def random_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """An RGB colour, more often dull than bright."""
    grey = rng.uniform(10, 245)
    values = np.clip(grey + rng.normal(0, rng.uniform(5, 60), 3), 0, 255)
    return float(values[0]), float(values[1]), float(values[2])


def procedural(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Sky or wall, ground, texture and clutter."""
    width, height = size
    colours = np.array([random_colour(rng) for _ in range(4)], np.float32)
    image = cv2.resize(colours.reshape(2, 2, 3), size, interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.6:
        add_ground(rng, image)
    image += rng.uniform(4, 34) * texture(rng, size)[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(0, 18)):
        add_clutter(rng, image)
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 0.02 * max(width, height) + 0.6))
    return image


def add_ground(rng: np.random.Generator, image: np.ndarray) -> None:
    """Paints ground below a horizon, darker into the distance, in place."""
    height, width = image.shape[:2]
    left, right = height * (rng.uniform(0.35, 0.9) + rng.normal(0, 0.03, 2))
    below = np.arange(height, dtype=np.float32)[:, None] > np.linspace(left, right, width, dtype=np.float32)
    colour = np.array(random_colour(rng), np.float32)
    image[below] = colour * rng.uniform(0.6, 1.0) + 0.15 * image[below]


@cache
def textures() -> tuple[np.ndarray, ...]:
    """Noise (512, 512) float32 that repeats without a seam, from coarse to fine, of deviation 1."""
    rng = np.random.default_rng(2)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    found = []
    for slope in (1.9, 1.4, 1.0, 0.5):
        waves = np.fft.fft2(rng.standard_normal((512, 512))) / np.maximum(frequency, 1 / 512) ** slope
        layer = np.fft.ifft2(waves).real
        found.append((layer / layer.std()).astype(np.float32))
    return tuple(found)


def texture(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A random texture (H, W) float32 of deviation about 1."""
    tile = textures()[rng.integers(4)]
    scale, angle = math.exp(rng.uniform(-0.7, 1.2)), rng.uniform(0, 2 * math.pi)
    stretch = math.exp(rng.normal(0, 0.5))
    matrix = np.array([[math.cos(angle) * scale * stretch, math.sin(angle) * scale, rng.uniform(0, 512)],
                       [-math.sin(angle) * scale * stretch, math.cos(angle) * scale, rng.uniform(0, 512)]])  # fmt: skip
    return cv2.warpAffine(tile, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def add_clutter(rng: np.random.Generator, image: np.ndarray) -> None:
    """Paints one thing in place: a plank, a bar, a ball, a window, a bush."""
    height, width = image.shape[:2]
    scale = math.exp(rng.uniform(math.log(0.03), math.log(0.45))) * max(height, width)
    centre = rng.uniform(0, 1, 2) * (width, height)
    outline = shape_outline(rng, centre, scale)
    colour = random_colour(rng)
    points = np.round(outline * 16).astype(np.int32)
    cv2.fillPoly(image, [points], colour, cv2.LINE_AA, 4)
    if rng.random() < 0.4:
        cv2.polylines(image, [points], True, random_colour(rng), int(rng.integers(1, 4)), cv2.LINE_AA, 4)


def shape_outline(rng: np.random.Generator, centre: np.ndarray, scale: float) -> np.ndarray:
    """The outline (N, 2) px of a bar, a box, a disc or a blot of a size in px."""
    kind, angle = rng.random(), rng.uniform(0, math.pi)
    if kind < 0.55:
        aspect = rng.uniform(0.02, 0.12) if kind < 0.25 else rng.uniform(0.2, 1)
        long = scale * (4 if kind < 0.25 else 1)
        angle = angle if rng.random() < 0.5 else round(angle / (math.pi / 2)) * math.pi / 2 + rng.normal(0, 0.03)
        points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (long / 2, aspect * long / 2)
    else:
        turns = np.linspace(0, 2 * math.pi, 24, endpoint=False)
        radius = np.ones(24) if kind < 0.75 else 1 + 0.35 * rng.standard_normal(24)
        points = np.stack([np.cos(turns) * radius, np.sin(turns) * radius * rng.uniform(0.4, 1)], -1) * scale / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return points @ turn.T + centre
