"""What a photo does to a scene: things in front, blur, noise, exposure and JPEG's traces."""

from __future__ import annotations

import math

import cv2
import numpy as np

from vitruvian.data.synthetic.backgrounds import random_colour, shape_outline, texture


def add_occluder(rng: np.random.Generator, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Paints a thing over a box (4,) px of an image in place; returns where, (H, W) bool."""
    sides = np.maximum(box[2:] - box[:2], 4)
    centre = box[:2] + rng.uniform(-0.1, 1.1, 2) * sides
    outline = shape_outline(rng, centre, rng.uniform(0.12, 0.45) * sides.max())
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return mask > 0
    place = (slice(y, y + height), slice(x, x + width))
    surface = np.array(random_colour(rng), np.float32) + rng.uniform(3, 35) * texture(rng, (width, height))[..., None]
    share = mask[place][..., None].astype(np.float32) / 255
    image[place] = (image[place] * (1 - share) + np.clip(surface, 0, 255) * share).astype(np.uint8)
    return mask > 127


def as_photographed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) uint8 as a camera would give it."""
    if rng.random() < 0.4:
        matrix = np.diag(rng.uniform(0.75, 1.2) * rng.normal(1, 0.06, 3))
        image = cv2.transform(image, np.concatenate([matrix, rng.uniform(-12, 22, (3, 1))], 1))
    if rng.random() < 0.05:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    kind = rng.random()
    if kind < 0.12:
        image = motion_blur(rng, image)
    elif kind < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, 1.4))
    if rng.random() < 0.5:
        image = add_noise(rng, image)
    if rng.random() < 0.6:
        quality = int(rng.integers(25, 92))
        written = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        image = np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR))
    return image


def motion_blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image moved along a line while it was taken."""
    length, angle = rng.uniform(2, 8), rng.uniform(0, math.pi)
    size = 2 * math.ceil(length / 2) + 3
    kernel = np.zeros((size, size), np.float32)
    step = np.array([math.cos(angle), math.sin(angle)]) * length / 2
    ends = [tuple(np.round((size // 2 + sign * step) * 16).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def add_noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image with a sensor's noise, in grains of one to two pixels."""
    height, width = image.shape[:2]
    noise = rng.standard_normal((height, width, 3), np.float32) * rng.uniform(1, 9)
    if rng.random() < 0.4:
        noise = cv2.GaussianBlur(noise, (0, 0), 0.7) * 2
    return cv2.add(image, noise, dtype=cv2.CV_8U)
