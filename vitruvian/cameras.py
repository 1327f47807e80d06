"""Between space and the photo: projection, the lens, and the way back from pixels and depths.

Points in space stand in the camera's frame: x to the right, y down, z away from it, mm. A camera is a row of numbers:

    fx fy cx cy                     pinhole: focal lengths and the place that the axis meets, px of the photo
    fx fy cx cy k1 k2 k3 p1 p2      the same behind a lens, radial k and tangential p as Human3.6M's files give them

With x' = x / z, y' = y / z and r2 = x'^2 + y'^2, Human3.6M's lens moves (x', y') to

    (x', y') (1 + k1 r2 + k2 r2^2 + k3 r2^3 + p1 y' + p2 x') + r2 (p2, p1)

whose tangential part is not OpenCV's (that one has 2 p1 y' + 2 p2 x' in the bracket).
"""

from __future__ import annotations

import numpy as np

ROOM = 1.15
"""Focal length over the photo's longer side where the camera is not known: an angle of view of 47 degrees."""

PERSON_SIDE = 2000.0
"""What the longer side of a person's padded box measures, mm, where the distance is not known."""


def world_to_camera(points: np.ndarray, rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Points (..., K, 3) of the world in the frame of cameras at `position` (..., 3) turned by `rotation` (..., 3, 3).

    R (X - t): the unit is that of the points.
    """
    return (points - position[..., None, :]) @ np.swapaxes(rotation, -1, -2)


def project(points: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Pixels (..., K, 2) of points (..., K, 3), mm before cameras (..., 4 or 9)."""
    return distort(points[..., :2] / points[..., 2:], cameras) * cameras[..., None, :2] + cameras[..., None, 2:4]


def back_project(pixels: np.ndarray, depths: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Points (..., K, 3) in mm, the inverse of `project`.

    Args:
        pixels: (..., K, 2) px of the photo.
        depths: (..., K) z, mm from the camera.
        cameras: (..., 4 or 9).
    """
    rays = undistort((pixels - cameras[..., None, 2:4]) / cameras[..., None, :2], cameras)
    return np.concatenate([rays * depths[..., None], depths[..., None]], -1)


def in_space(keypoints: np.ndarray, cameras: np.ndarray, root_depths: np.ndarray) -> np.ndarray:
    """Joints (..., K, 3) in the camera's frame, mm, float64.

    Args:
        keypoints: (..., K, 3) x px, y px of the photo, depth mm behind the root.
        cameras: (..., 4 or 9).
        root_depths: (...,) mm from the camera to the root.
    """
    keypoints = np.asarray(keypoints, np.float64)
    return back_project(keypoints[..., :2], keypoints[..., 2] + np.asarray(root_depths)[..., None], np.asarray(cameras))


def distort(rays: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Where the lens of cameras (..., 4 or 9) sends rays (..., K, 2), x / z and y / z."""
    if cameras.shape[-1] == 4:
        return rays
    factor, offset = lens(rays, cameras)
    return rays * factor + offset


def undistort(seen: np.ndarray, cameras: np.ndarray, steps: int = 20) -> np.ndarray:
    """The inverse of `distort`, by fixed-point iteration: within 1e-9 for lenses like Human3.6M's."""
    if cameras.shape[-1] == 4:
        return seen
    rays = seen
    for _ in range(steps):
        factor, offset = lens(rays, cameras)
        rays = (seen - offset) / factor
    return rays


def lens(rays: np.ndarray, cameras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor (..., K, 1) and offset (..., K, 2) of the lens at rays (..., K, 2)."""
    k1, k2, k3, p1, p2 = (cameras[..., None, column, None] for column in range(4, 9))
    x, y = rays[..., :1], rays[..., 1:]
    r2 = x**2 + y**2
    factor = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + p1 * y + p2 * x
    return factor, np.concatenate([r2 * p2, r2 * p1], -1)


def assumed_camera(size: tuple[int, int]) -> np.ndarray:
    """The camera (4,) that a photo of `size` (W, H) is taken to be of, where nothing is known of it."""
    focal = ROOM * max(size)
    return np.array([focal, focal, (size[0] - 1) / 2, (size[1] - 1) / 2])


def assumed_root_depths(boxes: np.ndarray, cameras: np.ndarray, padding: float = 1.25) -> np.ndarray:
    """Distances (N,) mm at which the longer sides of people's padded boxes would measure `PERSON_SIDE`.

    Args:
        boxes: (N, 4) x0 y0 x1 y1 px of the photo.
        cameras: (N, 4 or 9) or (4 or 9,).
        padding: by which a box is enlarged.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]) * padding
    return PERSON_SIDE / (sides / cameras[..., :2]).max(-1)
