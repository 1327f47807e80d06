"""Predicted depths as joints before the camera, from what is known of the camera and the people's distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vitruvian.cameras import PERSON_SIDE, ROOM, assumed_camera, assumed_root_depths, in_space
from vitruvian.crops import whole_photo
from vitruvian.errors import InputError
from vitruvian.sample import NOT_KNOWN, Poses


@dataclass(frozen=True)
class Viewpoint:
    """What is known of where photos were taken from; raises InputError for what no camera is."""

    camera: tuple[float, float, float, float] | None = None  # fx fy cx cy px; None: assumed
    root_depth: float | None = None  # mm from the camera to everybody's root; None: assumed from the boxes

    def __post_init__(self) -> None:
        numbers = (*(self.camera or ()), *([] if self.root_depth is None else [self.root_depth]))
        if not np.isfinite(numbers).all():
            raise InputError(f"the camera and the root's depth are {numbers}; give finite numbers")
        if self.camera is not None and min(self.camera[:2]) <= 0:
            raise InputError(f"the camera's focal lengths are {self.camera[:2]} px; give numbers above 0")
        if self.root_depth is not None and self.root_depth <= 0:
            raise InputError(f"the root's depth is {self.root_depth:g} mm; give the distance from the camera, above 0")

    def assumptions(self) -> list[str]:
        """What is taken for granted, in words, a line each."""
        said = []
        if self.camera is None:
            said.append(
                f"no camera was given: a focal length of {ROOM:g} times the photo's longer side and an axis through "
                "its middle are assumed (--camera FX FY CX CY)"
            )
        if self.root_depth is None:
            said.append(
                "no distance was given: each person is put where the longer side of the crop measures "
                f"{PERSON_SIDE / 1000:g} m (--root-depth MM)"
            )
        return said


EVERYWHERE = Viewpoint()
"""Nothing is known."""


def before_camera(
    poses: Poses, photo_size: tuple[int, int], padding: float, viewpoint: Viewpoint
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints of people before the camera.

    Args:
        poses: with depths (N, K, 3), mm about the root.
        photo_size: width and height, px.
        padding: what boxes are enlarged by, of the network's framing.
        viewpoint: camera and distance, where they are known.

    Returns:
        joints (N, K, 3) mm, x to the right, y down, z away from the camera; the camera (4,), px; the roots' depths (N,)
        mm.
    """
    camera = assumed_camera(photo_size) if viewpoint.camera is None else np.array(viewpoint.camera)
    if viewpoint.root_depth is None:
        boxes = np.repeat(whole_photo(photo_size), len(poses), 0) if poses.boxes is None else poses.boxes
        roots = assumed_root_depths(boxes, camera, padding)
    else:
        roots = np.full(len(poses), float(viewpoint.root_depth))
    return in_space(poses.keypoints, np.tile(camera, (len(poses), 1)), roots), camera, roots


def space_fields(
    poses: Poses, photo_size: tuple[int, int], padding: float, viewpoint: Viewpoint
) -> list[dict[str, Any]]:
    """What results have of each person beside the pixels; nothing of poses without depths.

    `depths`, K numbers, mm about the root; `keypoints_3d`, K times x y z, mm before the camera; and what they were made
    with, `camera`, fx fy cx cy px, and `root_depth`, mm. Raises InputError for a viewpoint that is of no use.
    """
    if poses.keypoints.shape[2] == 2:
        if viewpoint != EVERYWHERE:
            raise InputError(
                "the network finds no depths: leave out --camera and --root-depth, or give another network"
            )
        return [{} for _ in range(len(poses))]
    joints, camera, roots = before_camera(poses, photo_size, padding, viewpoint)
    joints[poses.joint_scores == NOT_KNOWN] = 0  # asked for, but the network does not find them
    return [
        {
            "depths": poses.keypoints[person, :, 2].astype(np.float64).round(2).tolist(),
            "keypoints_3d": joints[person].round(2).ravel().tolist(),
            "camera": camera.round(3).tolist(),
            "root_depth": round(float(roots[person]), 2),
        }
        for person in range(len(poses))
    ]
