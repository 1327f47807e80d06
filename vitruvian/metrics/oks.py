"""Object keypoint similarity (OKS), and rescoring and suppression of the poses of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

ScoreMode = Literal["box_keypoint", "box_rle", "box", "keypoint"]
PAIRS = 1 << 17
"""Pairs whose OKS is computed at a time, so that a large data set needs no more memory than a small one."""

# (K,): how far annotators disagree about each joint, as a share of the person's size
Sigmas = Sequence[float] | np.ndarray


def oks(
    predicted: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray,
    areas: np.ndarray,
    sigmas: Sigmas,
    boxes: np.ndarray | None = None,
) -> np.ndarray:
    """OKS of every prediction with every person of the truth: 1 is perfect, 0 is far away.

    The mean over a person's labelled joints of exp(-d^2 / (2 s^2 (2 sigma)^2)), where s^2 is the person's
    area and d the joint's error (the COCO keypoint challenge's definition). A person without a labelled joint
    has nothing to be similar to: 0, or where `boxes` are given the mean over all joints, with d the distance from
    the box when it is enlarged to three times its sides, which tells COCO's evaluation who lies on a crowd. Places
    that are not labelled play no part, they may be NaN.

    Args:
        predicted: (N, K, 2) px.
        truth: (M, K, 2) px.
        visibility: (M, K), labelled where > 0.
        areas: (M,) px^2, of the person's mask where the data set has one, not of the box.
        sigmas: (K,).
        boxes: (M, 4) x0 y0 x1 y1 px.

    Returns:
        (N, M) float64.

    Raises:
        ValueError: two shapes disagree.
    """
    predicted, truth = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    _check_poses(len(sigmas), predicted, truth)
    visibility = np.asarray(visibility)
    if visibility.shape != truth.shape[:2]:
        raise ValueError(f"visibility has shape {visibility.shape}, expected {truth.shape[:2]} as truth has")
    return oks_of_pairs(predicted[:, None], truth, visibility, areas, sigmas, boxes)


def oks_of_pairs(
    predicted: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray,
    areas: np.ndarray,
    sigmas: Sigmas,
    boxes: np.ndarray | None = None,
) -> np.ndarray:
    """`oks`, which says all else, of one prediction with one person each: pairs of one image, or of all images.

    Args:
        predicted: (..., K, 2) px.
        truth: (..., K, 2) px.
        visibility: (..., K), labelled where > 0.
        areas: (...) px^2.
        sigmas: (K,).
        boxes: (..., 4) x0 y0 x1 y1 px.

    Returns:
        (...) float64, all leading dimensions broadcast.
    """
    points, goals = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    areas, labelled = np.asarray(areas, dtype=np.float64), np.asarray(visibility) > 0
    squares = (points[..., 0] - goals[..., 0]) ** 2 + (points[..., 1] - goals[..., 1]) ** 2
    nowhere = ~labelled.any(axis=-1, keepdims=True)
    if boxes is not None and nowhere.any():
        corners = np.asarray(boxes, dtype=np.float64)[..., None, :]
        sides = corners[..., 2:] - corners[..., :2]
        # The nearest point of the enlarged box; the distance to it is 0 inside.
        nearest = np.clip(points, corners[..., :2] - sides, corners[..., 2:] + sides)
        squares = np.where(nowhere, ((points - nearest) ** 2).sum(axis=-1), squares)
        labelled = labelled | nowhere
    similarity = np.where(labelled, _similarity(squares, areas, sigmas), 0.0)
    return similarity.sum(axis=-1) / np.maximum(labelled.sum(axis=-1), 1)


def oks_between(keypoints: np.ndarray, areas: np.ndarray, sigmas: Sigmas, seen: np.ndarray | None = None) -> np.ndarray:
    """OKS of every two poses of one image: over all joints, with the mean of the two areas.

    Args:
        keypoints: (N, K, 2) px.
        areas: (N,) px^2.
        sigmas: (K,).
        seen: (N, K) bool, the joints that count where both poses have them; two poses with none in common have 0.

    Returns:
        (N, N) float64, symmetric, 1 on the diagonal.
    """
    points, areas = np.asarray(keypoints, dtype=np.float64), np.asarray(areas, dtype=np.float64)
    _check_poses(len(sigmas), points)
    seen = np.ones(points.shape[:2], bool) if seen is None else seen
    mean_areas = (areas[:, None] + areas[None, :]) / 2
    return oks_of_pairs(points[:, None], points[None], seen[:, None] & seen[None], mean_areas, sigmas)


def oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    sigmas: Sigmas,
    threshold: float = 0.9,
    seen: np.ndarray | None = None,
    images: np.ndarray | None = None,
) -> np.ndarray:
    """Suppress duplicates among the poses of an image: who is too similar to a better one goes.

    Poses with an OKS of exactly `threshold` stay. Of equal scores the earlier pose counts as the better one.

    Args:
        keypoints: (N, K, 2) px.
        scores: (N,).
        areas: (N,) px^2; of the padded boxes in the published top-down figures.
        sigmas: (K,).
        threshold: OKS above which two poses are one person.
        seen: (N, K) bool, the joints that count; None: all.
        images: (N,) the number of the image of each pose; None: all are of one.

    Returns:
        the indices kept, image by image in the order of the numbers, best first.
    """
    points, areas = np.asarray(keypoints, dtype=np.float64), np.asarray(areas, dtype=np.float64)
    _check_poses(len(sigmas), points)
    numbers = np.zeros(len(points), dtype=np.intp) if images is None else np.asarray(images)
    order = np.lexsort((-np.asarray(scores, dtype=np.float64), numbers))
    ends = np.searchsorted(numbers[order], numbers[order], side="right")
    later = ends - np.arange(len(order)) - 1  # poses of the same image that are worse
    better = np.repeat(np.arange(len(order)), later)
    worse = better + 1 + np.arange(len(better)) - np.repeat(np.cumsum(later) - later, later)
    duplicate = np.empty(len(better), dtype=bool)
    for start in range(0, len(better), PAIRS):
        part = slice(start, start + PAIRS)
        one, other = order[better[part]], order[worse[part]]
        both = np.ones((len(one), len(sigmas)), dtype=bool) if seen is None else seen[one] & seen[other]
        similarity = oks_of_pairs(points[one], points[other], both, (areas[one] + areas[other]) / 2, sigmas)
        duplicate[part] = similarity > threshold
    alive = np.ones(len(order), dtype=bool)
    # From the best on and one by one, because who is suppressed suppresses nobody. Duplicates are few.
    for one, other in zip(better[duplicate].tolist(), worse[duplicate].tolist()):
        if alive[one]:
            alive[other] = False
    return order[alive]


def soft_oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    sigmas: Sigmas,
    threshold: float = 0.9,
    limit: int = 20,
) -> np.ndarray:
    """Order the poses of one image so that duplicates come late, and keep the first `limit`.

    Each pick multiplies the others' scores by exp(-OKS^2 / threshold) for the picks to come. The scores that
    the caller writes stay as they were, as in MMPose and HRNet: the order and the limit are the whole effect.

    Args:
        keypoints: (N, K, 2) px.
        scores: (N,).
        areas: (N,) px^2.
        sigmas: (K,).
        threshold: the smaller, the harder duplicates are pushed back.
        limit: how many poses to keep.

    Returns:
        at most `limit` indices, in the order of the picks.
    """
    decay = np.exp(-(oks_between(keypoints, areas, sigmas) ** 2) / threshold)
    remaining = np.array(scores, dtype=np.float64)
    free = np.ones(len(remaining), dtype=bool)
    picks = np.zeros(min(limit, len(remaining)), dtype=np.intp)
    for step in range(len(picks)):
        pick = np.argmax(np.where(free, remaining, -np.inf))
        free[pick] = False
        remaining *= decay[pick]
        picks[step] = pick
    return picks


def nearby_nms(
    keypoints: np.ndarray, scores: np.ndarray, distance: float, count: int | None = None, limit: int | None = None
) -> np.ndarray:
    """Suppress poses many of whose joints lie on those of another one (DEKR's way for bottom-up poses).

    Two poses are one person if more than `count` joints are closer than `distance` diagonals of the first one. Pose by
    pose in the order given, the best of those that are one person with it stays, unless it is gone already.

    Args:
        keypoints: (N, K, 2) px.
        scores: (N,).
        distance: share of the diagonal of a pose's extent.
        count: joints; None: half of them.
        limit: how many poses to keep, the best ones; None: all.

    Returns:
        the indices kept, best first.
    """
    points = np.asarray(keypoints, dtype=np.float64)
    scores = np.asarray(scores, dtype=np.float64)
    if not len(points):
        return np.zeros(0, dtype=np.intp)
    reach = distance * np.linalg.norm(np.ptp(points, axis=1), axis=1)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=3)
    near = (gaps < reach[:, None, None]).sum(axis=2) > (points.shape[1] // 2 if count is None else count)
    gone = np.zeros(len(points), dtype=bool)
    kept = []
    for pose in range(len(points)):  # one by one, because who goes takes nobody along
        group = np.flatnonzero(near[pose])
        if gone[pose] or not len(group):
            continue
        best = group[scores[group].argmax()]
        if not gone[best]:
            kept.append(best)
            gone[group] = True
    order = np.array(kept, dtype=np.intp)
    return order[np.argsort(-scores[order], kind="stable")][:limit]


def rescore(
    box_scores: np.ndarray,
    joint_scores: np.ndarray,
    mode: ScoreMode = "box_keypoint",
    threshold: float = 0.2,
) -> np.ndarray:
    """Score of each person that was found in a box, from the score of the box and those of the joints.

    - `box_keypoint`: box score times the mean of the joint scores above `threshold`, 0 where there is none
      (top-down methods, unless they say otherwise; `bbox_keypoint` in MMPose)
    - `box_rle`: box score plus mean plus maximum of the joint scores (RLE; `bbox_rle` in MMPose)
    - `box`: the box score
    - `keypoint`: the mean of all joint scores

    Args:
        box_scores: (N,).
        joint_scores: (N, K).
        mode: one of the four above.
        threshold: what a joint score must exceed to count in `box_keypoint`.

    Returns:
        (N,) float64.

    Raises:
        ValueError: the mode is another, or the shapes disagree.
    """
    box = np.asarray(box_scores, dtype=np.float64)
    joint = np.asarray(joint_scores, dtype=np.float64)
    if joint.ndim != 2 or box.shape != joint.shape[:1]:
        raise ValueError(f"box_scores has shape {box.shape} and joint_scores {joint.shape}, expected (N,) and (N, K)")
    if mode == "box_keypoint":
        confident = joint > threshold
        total = np.where(confident, joint, 0.0).sum(axis=1)
        return box * total / np.maximum(confident.sum(axis=1), 1)
    if mode == "box_rle":
        return box + joint.mean(axis=1) + joint.max(axis=1)
    if mode == "box":
        return box
    if mode == "keypoint":
        return joint.mean(axis=1)
    raise ValueError(f"mode is {mode!r}, expected one of box_keypoint, box_rle, box, keypoint")


def _check_poses(joints: int, *poses: np.ndarray) -> None:
    """Raises ValueError unless poses are (N, K, 2) of as many joints as there are sigmas."""
    for points in poses:
        if points.ndim != 3 or points.shape[1:] != (joints, 2):
            raise ValueError(f"poses have shape {points.shape}, expected (N, {joints}, 2) for {joints} sigmas")


def _similarity(squares: np.ndarray, areas: np.ndarray, sigmas: Sigmas) -> np.ndarray:
    """exp(-d^2 / (2 s^2 (2 sigma)^2)) of squared distances (..., K) and areas (...).

    In float64 throughout: in float32 an OKS crosses a threshold now and then.
    """
    spread = 2 * (areas[..., None] + np.spacing(1)) * (2 * np.asarray(sigmas, dtype=np.float64)) ** 2
    return np.exp(-squares / spread)
