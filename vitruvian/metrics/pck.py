"""The share of joints whose error is small against the person's size: PCKh by the head, PCK by the torso.

All figures are per cent. A joint counts where its visibility is above 0; a prediction that is NaN is wrong.
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
    errors, labelled = _errors(predicted, truth, visibility)
    if errors.shape[1] != 16:
        raise ValueError(f"PCKh is of the 16 joints of MPII, found {errors.shape[1]}")
    heads = np.asarray(head_sizes, dtype=np.float64)
    if heads.shape != (len(errors),) or not (heads > 0).all():
        raise ValueError(f"head_sizes has shape {heads.shape}, expected {len(errors)} sizes, all above 0 px")
    # Divided, as the reference does: an error of exactly half a head must fall on the same side.
    relative = errors / heads[:, None]
    scored = np.setdiff1d(np.arange(16), MPII_LEFT_OUT)
    figures = {}
    for index, threshold in enumerate(thresholds):
        right = relative <= threshold if inclusive else relative < threshold
        mean = float(_percent(right[:, scored], labelled[:, scored]))
        if index == 0:
            by_joint = _percent(right, labelled, axis=0)
            figures |= {name: _mean_of_known(by_joint[list(group)]) for name, group in MPII_GROUPS.items()}
        figures["Mean" if index == 0 else f"Mean@{threshold:g}"] = mean
    return figures


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


def _percent(right: Any, counted: Any, axis: int | None = None) -> np.ndarray:
    """Share of `right` among `counted` in per cent, NaN where nothing is counted."""
    total = counted.sum(axis=axis)
    share = 100.0 * (right & counted).sum(axis=axis) / np.maximum(total, 1)
    return np.where(total > 0, share, np.nan)


def _mean_of_known(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
