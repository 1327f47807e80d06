"""The share of joints whose error is small against the person's size: PCKh by the head, PCK by torso or box; AUC, EPE.

All shares are per cent. A joint counts where its visibility is above 0; a prediction that is NaN is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

MPII_GROUPS = {
    "Head": (9,),
    "Shoulder": (12, 13),
    "Elbow": (11, 14),
    "Wrist": (10, 15),
    "Hip": (2, 3),
    "Knee": (1, 4),
    "Ankle": (0, 5),
}
"""The columns of an MPII table, as joints of its 16."""

MPII_LEFT_OUT = (6, 7)
"""Pelvis and thorax: in no column and not in the mean."""

JHMDB_GROUPS = {
    "Head": (2,),
    "Shoulder": (3, 4),
    "Elbow": (7, 8),
    "Wrist": (11, 12),
    "Hip": (5, 6),
    "Knee": (9, 10),
    "Ankle": (13, 14),
}
"""The columns of a JHMDB table, as joints of its 15."""

JHMDB_TORSO = (4, 5)


def pckh(
    predicted: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray,
    head_sizes: np.ndarray,
    thresholds: Sequence[float] = (0.5, 0.1, 0.11),
    inclusive: bool = True,
) -> dict[str, float]:
    """PCKh of MPII: a joint is right if its error is at most so many head sizes (Andriluka, CVPR 2014).

    At the first threshold: Head, Shoulder, Elbow, Wrist, Hip, Knee and Ankle, each the plain mean of left and
    right, and Mean, over all labelled joints but pelvis and thorax. At the other thresholds the mean alone,
    as `Mean@0.1`. HRNet and SimpleBaseline print the curve at 0.11 under the name Mean@0.1: compare their
    tables with `Mean@0.11`.

    Both point sets are in one frame. MPII's files count pixels from 1: the reader of the files takes the 1
    off, once, so that the truth starts at 0 as predictions do. Nothing is added here.

    Args:
        predicted: (N, 16, 2) px.
        truth: (N, 16, 2) px.
        visibility: (N, 16), labelled where > 0.
        head_sizes: (N,) px, .6 of the head box's diagonal.
        thresholds: head sizes.
        inclusive: False counts as MMPose does, where an error must be less than the threshold.

    Returns:
        per cent by name, NaN for what nobody has labelled.

    Raises:
        ValueError: a shape is another, a head has no size, or a labelled joint has no place.
    """
    by_joint, means = pckh_curves(predicted, truth, visibility, head_sizes, thresholds, inclusive)
    figures = {name: mean_of_known(by_joint[0, list(group)]) for name, group in MPII_GROUPS.items()}
    names = ("Mean", *(f"Mean@{threshold:g}" for threshold in thresholds[1:]))
    return figures | dict(zip(names, means.tolist()))


def pckh_curves(
    predicted: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray,
    head_sizes: np.ndarray,
    thresholds: Sequence[float] | np.ndarray,
    inclusive: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """PCKh of each joint (T, 16) and of all but pelvis and thorax (T,) at T thresholds, per cent; see `pckh`."""
    errors, labelled = _errors(predicted, truth, visibility)
    if errors.shape[1] != 16:
        raise ValueError(f"PCKh is of the 16 joints of MPII, found {errors.shape[1]}")
    heads = np.asarray(head_sizes, dtype=np.float64)
    if heads.shape != (len(errors),) or not (heads > 0).all():
        raise ValueError(f"head_sizes has shape {heads.shape}, expected {len(errors)} sizes, all above 0 px")
    # Divided, as the reference does: an error of exactly half a head must fall on the same side.
    relative, limits = errors / heads[:, None], np.asarray(thresholds, dtype=np.float64)[:, None, None]
    right = relative <= limits if inclusive else relative < limits
    counted = np.broadcast_to(labelled, right.shape)
    scored = np.setdiff1d(np.arange(16), MPII_LEFT_OUT)
    return _percent(right, counted, axis=1), _percent(right[..., scored], counted[..., scored], axis=(1, 2))


def torso_pck(
    predicted: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray,
    boxes: np.ndarray,
    joints: Sequence[str],
    thresholds: Sequence[float] = (0.2, 0.1),
) -> dict[str, float]:
    """PCK by the torso: a joint is right if its error is at most so many torso lengths, as LSP is scored.

    The torso is the distance from left shoulder to right hip; where one of them is not labelled, from right
    shoulder to left hip; and else half the longer side of the box.

    Args:
        predicted: (N, K, 2) px.
        truth: (N, K, 2) px.
        visibility: (N, K), labelled where > 0.
        boxes: (N, 4) x0 y0 x1 y1 px.
        joints: the K names, with left_shoulder, right_hip, right_shoulder and left_hip among them.
        thresholds: torso lengths.

    Returns:
        per cent by name: `PCK@0.2` over all labelled joints of all people, `left_wrist@0.2` of one joint (NaN
        where nobody has it labelled), and `torso`, `other torso` and `box`: how many of the people with any
        labelled joint were measured by each of the three.

    Raises:
        ValueError: shapes disagree, shoulders or hips are not among the names, or a labelled joint has no
            place.
    """
    errors, labelled = _errors(predicted, truth, visibility)
    if len(joints) != errors.shape[1]:
        raise ValueError(f"there are {len(joints)} joint names for {errors.shape[1]} joints")
    lengths, source = _torso_lengths(np.asarray(truth, dtype=np.float64), labelled, boxes, joints)
    figures, by_joint = {}, {}
    for threshold in thresholds:
        right = errors <= threshold * lengths[:, None]
        figures[f"PCK@{threshold:g}"] = float(_percent(right, labelled))
        for name, value in zip(joints, _percent(right, labelled, axis=0)):
            by_joint[f"{name}@{threshold:g}"] = float(value)
    counts = labelled.any(axis=1)
    shares = {
        name: float(_percent(source == number, counts)) for number, name in enumerate(("torso", "other torso", "box"))
    }
    return figures | by_joint | shares


def size_pck(
    predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray, sizes: np.ndarray, threshold: float
) -> np.ndarray:
    """PCK of each joint by any size of the people, as MMPose counts it: an error must be less than the limit.

    Its figure of all joints is the plain mean over those that are not NaN (`mean_of_known`).

    Args:
        predicted: (N, K, 2) px.
        truth: (N, K, 2) px.
        visibility: (N, K), labelled where > 0.
        sizes: (N,) px, such as the longer sides of the boxes (`nme.longer_side`); a person of size 0 is left out.
        threshold: sizes.

    Returns:
        (K,) per cent, NaN where nobody counts.
    """
    errors, labelled = _errors(predicted, truth, visibility)
    sizes = np.asarray(sizes, dtype=np.float64)[:, None]
    relative = errors / np.where(sizes > 0, sizes, 1)
    return _percent(relative < threshold, labelled & (sizes > 0), axis=0)


def auc(
    predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray, limit: float = 30.0, steps: int = 20
) -> float:
    """Area under PCK against the error, up to `limit` px: its mean at `steps` limits from 0, the last one left out."""
    sizes = np.full(len(np.asarray(truth)), limit)
    curve = [mean_of_known(size_pck(predicted, truth, visibility, sizes, step / steps)) for step in range(steps)]
    return float(np.mean(curve))


def epe(predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray) -> float:
    """End-point error: the mean distance of all labelled joints, px; NaN where nothing is labelled."""
    errors, labelled = _errors(predicted, truth, visibility)
    return float(errors[labelled].mean()) if labelled.any() else float("nan")


def jhmdb_pck(
    predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray, sizes: np.ndarray, threshold: float = 0.2
) -> dict[str, float]:
    """PCK of JHMDB's 15 joints by the columns of its table, each the mean of left and right, and `PCK`, of all joints.

    The arguments are those of `size_pck`; the published figures measure by the box or by the torso (`jhmdb_torsos`).
    """
    by_joint = size_pck(predicted, truth, visibility, sizes, threshold)
    figures = {name: mean_of_known(by_joint[list(group)]) for name, group in JHMDB_GROUPS.items()}
    return figures | {"PCK": mean_of_known(by_joint)}


def jhmdb_torsos(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Torso lengths (N,) px of JHMDB poses (N, 15, 2): left shoulder to right hip, of the prediction if under 1 px."""
    shoulder, hip = JHMDB_TORSO
    own, other = (
        np.linalg.norm(np.asarray(p)[:, shoulder] - np.asarray(p)[:, hip], axis=1) for p in (truth, predicted)
    )
    return np.where(own < 1, other, own)


def _torso_lengths(
    truth: np.ndarray, labelled: np.ndarray, boxes: np.ndarray, joints: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) px, and (N,) which of the three ways gave it: 0, 1, 2."""
    ends = ("left_shoulder", "right_hip", "right_shoulder", "left_hip")
    missing = [name for name in ends if name not in joints]
    if missing:
        raise ValueError(f"PCK by the torso needs the joint {missing[0]!r}, found {', '.join(joints)}")
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.shape != (len(truth), 4):
        raise ValueError(f"boxes has shape {boxes.shape}, expected {(len(truth), 4)}")
    left_shoulder, right_hip, right_shoulder, left_hip = (list(joints).index(name) for name in ends)
    lengths = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / 2
    source = np.full(len(truth), 2)
    # The better way last, so that it overwrites the others.
    for number, (shoulder, hip) in ((1, (right_shoulder, left_hip)), (0, (left_shoulder, right_hip))):
        known = labelled[:, shoulder] & labelled[:, hip]
        lengths = np.where(known, np.linalg.norm(truth[:, shoulder] - truth[:, hip], axis=1), lengths)
        source = np.where(known, number, source)
    return lengths, source


def _errors(predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) px in float64, and (N, K) where a joint is labelled."""
    predicted, truth = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    labelled = np.asarray(visibility) > 0
    if truth.ndim != 3 or truth.shape[2] != 2 or predicted.shape != truth.shape or labelled.shape != truth.shape[:2]:
        raise ValueError(
            f"predicted has shape {predicted.shape}, truth {truth.shape} and visibility {labelled.shape}, "
            f"expected (N, K, 2), (N, K, 2) and (N, K)"
        )
    unknown = np.argwhere(labelled & np.isnan(truth).any(axis=2))
    if len(unknown):
        person, joint = unknown[0]
        raise ValueError(f"joint {joint} of person {person} is labelled, but its place is NaN; set its visibility to 0")
    return np.linalg.norm(predicted - truth, axis=2), labelled


def _percent(right: Any, counted: Any, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Share of `right` among `counted` in per cent, NaN where nothing is counted."""
    total = counted.sum(axis=axis)
    share = 100.0 * (right & counted).sum(axis=axis) / np.maximum(total, 1)
    return np.where(total > 0, share, np.nan)


def mean_of_known(values: np.ndarray) -> float:
    """The mean of the values that are not NaN; NaN where all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
