"""Cameras: from metres of the world, y up, to pixels of a photo, by the pinhole's perspective."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vitruvian.data.synthetic.poses import rotation


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera: x to the right, y down, z away from it."""

    turn: np.ndarray  # (3, 3) from directions of the world to those of the camera
    place: np.ndarray  # (3,) m, in the world
    focal: float  # px
    centre: tuple[float, float]  # px

    def view(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) m of the world in the camera's frame."""
        return (points - self.place) @ self.turn.T

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) m in the camera's frame -> x px, y px, depth m."""
        depth = np.maximum(points[..., 2:], 0.05)
        flat = points[..., :2] / depth * self.focal + self.centre
        return np.concatenate([flat, points[..., 2:]], -1)


def look(target: np.ndarray, distance: float, yaw: float, pitch: float, roll: float, focal: float) -> Camera:
    """A camera at a distance in metres from a point (3,) in the middle of its photo; its centre is (0, 0) px.

    Args:
        target: m.
        distance: m.
        yaw: radians about the world's vertical.
        pitch: radians by which the camera looks down.
        roll: radians about its own axis.
        focal: px.
    """
    level = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]])  # looks along -z
    turn = rotation(np.array([0, 0, 1.0]), roll) @ rotation(np.array([1.0, 0, 0]), pitch) @ level
    turn = turn @ rotation(np.array([0, 1.0, 0]), yaw)
    return Camera(turn, target - distance * turn[2], focal, (0.0, 0.0))


def draw_camera(rng: np.random.Generator, target: np.ndarray, height: float) -> Camera:
    """A random camera that looks at one person of a height in metres: mostly level, from near to far."""
    distance = height * math.exp(rng.uniform(math.log(1.6), math.log(7)))
    pitch = rng.normal(8, 14) if rng.random() < 0.85 else rng.uniform(-60, 80)
    return look(
        target,
        distance,
        rng.uniform(0, 2 * math.pi),
        math.radians(pitch),
        math.radians(rng.normal(0, 4)),
        focal=distance / height * 200,
    )


def draw_crowd_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """A random camera over the ground for a photo of a size (W, H) px: from a child's height to a balcony's."""
    above = math.exp(rng.uniform(math.log(0.8), math.log(3.5)))
    pitch = math.atan2(above - 0.9, rng.uniform(3, 7)) + math.radians(rng.normal(0, 3))
    focal = max(size) * math.exp(rng.uniform(math.log(0.8), math.log(1.7)))
    camera = look(np.zeros(3), 0.0, rng.uniform(0, 2 * math.pi), pitch, math.radians(rng.normal(0, 3)), focal)
    return Camera(camera.turn, np.array([0, above, 0]), focal, ((size[0] - 1) / 2, (size[1] - 1) / 2))
