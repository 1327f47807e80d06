"""What readers of labels in space share: arrays out of .npz and .pkl files, people from joints before a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.cameras import in_space, project
from vitruvian.data.labels import Labels
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE
from vitruvian.sample import NEVER_LABELLED, NOT_LABELLED, SEEN, People
from vitruvian.skeletons import H36M, H36M_18, MPII, Skeleton, joint_difference

FROM_MPII = (6, 2, 1, 0, 3, 4, 5, -1, 8, -1, 9, 13, 14, 15, 12, 11, 10, 7)
"""Which of MPII's joints is taken for each of the 18 of Human3.6M where the two are mixed; -1: none."""

TAKEN: dict[tuple[str, str], tuple[int, ...]] = {
    ("mpii", "h36m_18"): FROM_MPII,
    ("mpii", "h36m"): FROM_MPII[:17],
    ("h36m_18", "h36m"): tuple(range(17)),
}
"""Where the joints of one skeleton stand in another, by both names, though they are called otherwise there."""

MARGIN = 0.1
"""What a box has round the joints on each side, as a share of its longer side, where the file gives none."""


def array_of(path: Path, content: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of a file as float64, or an error that names file, key and shape; 0 in `shape` is any length."""
    if key not in content:
        raise InputError(f"{path}: has no array '{key}' (it has {', '.join(map(str, content)) or 'none'})")
    try:
        value = np.asarray(content[key])
    except ValueError:  # lists of different lengths
        value = np.empty(0, object)
    fits = value.ndim == len(shape) and all(length in (0, found) for length, found in zip(shape, value.shape))
    if value.dtype.kind not in "iuf" or not fits:
        expected = " x ".join("N" if length == 0 else str(length) for length in shape)
        found = " x ".join(map(str, value.shape)) or "a single value"
        raise InputError(f"{path}: '{key}' is {found} of type {value.dtype}, expected {expected} numbers")
    return value.astype(np.float64)


def names_of(path: Path, content: Mapping[str, Any], key: str = "imgname") -> list[str]:
    """The names of the photos in a file, as texts."""
    if key not in content:
        raise InputError(f"{path}: has no array '{key}', the names of the photos")
    names = np.asarray(content[key]).ravel().tolist()
    objects = [name for name in names if not isinstance(name, str | bytes)]
    if objects:
        raise InputError(
            f"{path}: '{key}' holds {str(objects[0])[:40]}, expected names of photos; save them as texts, such as "
            "np.array(names, 'U'): other objects are never made of a file"
        )
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]


def square_boxes(centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) x0 y0 x1 y1 about centres (N, 2) px with sides of 200 scales (N,) px."""
    half = 100 * scales[:, None]
    return np.concatenate([centres - half, centres + half], 1)


def boxes_round(points: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) round points (N, K, 2), of which some may be NaN, with a margin."""
    low, high = np.nanmin(points, 1), np.nanmax(points, 1)
    margin = MARGIN * (high - low).max(1, keepdims=True)
    return np.concatenate([low - margin, high + margin], 1)


def people_in_space(
    joints: np.ndarray,
    skeleton: Skeleton,
    cameras: np.ndarray | None = None,
    pixels: np.ndarray | None = None,
    visibility: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
) -> People:
    """N people from their joints before the camera.

    Joints that do not all lie before it, such as those that count from the root, have depths but no distance.

    Args:
        joints: (N, K, 3) mm, NaN where not known.
        skeleton: of K joints; its root is what depths count from.
        cameras: (N, 4 or 9); None: not known.
        pixels: (N, K, 2) px of the photo; None: where `cameras` see the joints.
        visibility: (N, K); None: seen where the place is known.
        boxes: (N, 4) x0 y0 x1 y1 px; None: round the joints.
    """
    joints = np.asarray(joints, np.float64)
    if pixels is None:
        assert cameras is not None
        pixels = project(joints, cameras)
    known = np.isfinite(pixels).all(-1)
    if visibility is None:
        visibility = np.where(known, SEEN, NOT_LABELLED)
    roots = joints[:, list(skeleton.root), 2].mean(1)
    keypoints = np.concatenate([pixels, joints[..., 2:] - roots[:, None, None]], -1)
    keypoints[visibility <= NOT_LABELLED] = np.nan
    if boxes is None:
        boxes = boxes_round(pixels)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return People(
        keypoints=keypoints.astype(np.float32),
        visibility=visibility.astype(np.int8),
        boxes=boxes.astype(np.float32),
        areas=np.maximum(BOX_SHARE * sides.prod(1), 1).astype(np.float32),
        ignored=np.zeros(len(joints), bool),
        cameras=None if cameras is None else np.asarray(cameras, np.float32),
        root_depths=np.where((joints[..., 2] <= 0).any(1), np.nan, roots).astype(np.float32),
    )


def with_mid_shoulder(joints: np.ndarray) -> np.ndarray:
    """The 17 joints (..., 17, 3) of Human3.6M, mm, and the middle of the shoulders: (..., 18, 3)."""
    return np.concatenate([joints, joints[..., [11, 14], :].mean(-2, keepdims=True)], -2)


def can_convert(own: Skeleton, skeleton: Skeleton) -> bool:
    """Whether `with_skeleton` knows where the joints of one skeleton stand in another, though they are not the same."""
    adds = not joint_difference(own, H36M) and not joint_difference(skeleton, H36M_18)
    return adds or (own.name, skeleton.name) in TAKEN


def with_skeleton(labels: Labels, skeleton: Skeleton) -> Labels:
    """Labels with the joints of another skeleton, for training on several data sets at once.

    Joints that the data set does not have are never labelled. The middle of the shoulders comes from both of them: as a
    point in space where cameras are known, else as the middle between their pixels.

    Raises:
        InputError: it is not known which joints are the same.
    """
    own = labels.skeleton
    if not joint_difference(own, skeleton):
        return labels
    if not joint_difference(own, H36M) and not joint_difference(skeleton, H36M_18):
        convert = _add_mid_shoulder
    else:
        taken = TAKEN.get((own.name, skeleton.name))
        if taken is None:
            raise InputError(
                f"{labels.path}: labels the {own.num_joints} joints of {own.name!r}, of which it is not known where "
                f"they stand among the {skeleton.num_joints} of {skeleton.name!r}; mix {MPII.name} or {H36M.name}"
            )

        def convert(people: People) -> People:
            return _take(people, np.array(taken))

    photos = tuple(replace(photo, people=convert(photo.people)) for photo in labels.photos)
    return replace(labels, skeleton=skeleton, photos=photos)


def _take(people: People, taken: np.ndarray) -> People:
    """People with other joints: those at `taken` (K,), and where it is -1 one that is never labelled."""
    keypoints, visibility = people.keypoints[:, taken], people.visibility[:, taken]
    keypoints[:, taken < 0] = np.nan
    visibility[:, taken < 0] = NEVER_LABELLED
    return replace(people, keypoints=keypoints, visibility=visibility)


def _add_mid_shoulder(people: People) -> People:
    """People of H36M as those of H36M_18."""
    left, right = people.keypoints[:, 11], people.keypoints[:, 14]
    middle = (left + right) / 2
    if people.cameras is not None and people.root_depths is not None and people.keypoints.shape[2] == 3:
        both = in_space(people.keypoints[:, [11, 14]], people.cameras, people.root_depths).mean(1)
        exact = project(both[:, None], people.cameras)[:, 0]
        middle[:, :2] = np.where(np.isfinite(exact), exact, middle[:, :2])
    keypoints = np.concatenate([people.keypoints, middle[:, None]], 1).astype(np.float32)
    visibility = np.concatenate([people.visibility, people.visibility[:, [11, 14]].min(1, keepdims=True)], 1)
    return replace(people, keypoints=keypoints, visibility=visibility)
