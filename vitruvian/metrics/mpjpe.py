"""Errors of joints in space: MPJPE, after a fit too (PA-MPJPE, N-MPJPE), by action, and the share within 15 cm.

Errors have the unit of the data. Poses are compared as they are given: take their root off before (`root_relative`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Alignment = Literal["scale", "procrustes"]
"""What is undone before poses are compared: their size (N-MPJPE), or size, place and turn (PA-MPJPE, "protocol 2")."""

NAMES: dict[str, Alignment | None] = {"MPJPE": None, "PA-MPJPE": "procrustes", "N-MPJPE": "scale"}
"""The three errors of a table by the fit that comes before."""

PCK_LIMIT, AUC_LIMITS = 150.0, np.linspace(0.0, 150.0, 31)
"""mm: what 3DPCK allows, and the limits whose mean its area under the curve is (Mehta, 3DV 2017)."""

MESH_JOINTS = (*range(13), 18)
"""Of the 24 joints of a body mesh the 14 of LSP, in its order, that 3DPW and Human3.6M are scored on."""

MESH_HIPS = (2, 3)

H36M_ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting", "SittingDown"),
    *("Smoking", "Photo", "Waiting", "Walking", "WalkDog", "WalkTogether"),
)
"""Human3.6M's 15 actions in the order of its files' `act_02` to `act_16`, which is that of all tables."""

H36M_MISALIGNED = ("s_09_act_05_subact_02", "s_09_act_10_subact_02", "s_09_act_13_subact_01")
"""Sequences of Human3.6M whose truth lies beside the photos: image-based methods leave them out."""


def mpjpe(
    predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray | None = None, align: Alignment | None = None
) -> float:
    """Mean distance of the joints of poses, of those that are visible; NaN where none is.

    Args:
        predicted: (N, K, 3).
        truth: (N, K, 3); NaN where a place is not known, which then takes no part in a fit.
        visibility: (N, K), counted where > 0; None: all.
        align: what is fitted before, pose by pose, with hidden joints too: None (MPJPE), "scale" (N-MPJPE) or
            "procrustes" (PA-MPJPE).

    Raises:
        ValueError: shapes disagree, a visible joint has no place, or a pose was not predicted.
    """
    counted = counted_joints(truth, visibility)
    return _mean(joint_errors(predicted, truth, align), counted)


def joint_errors(predicted: np.ndarray, truth: np.ndarray, align: Alignment | None = None) -> np.ndarray:
    """Distance (N, K) of each joint of poses (N, K, 3), after a fit where `align` names one; NaN where truth is NaN."""
    predicted, truth = checked(predicted, truth)
    if align == "procrustes":
        predicted = align_similarity(predicted, truth)
    elif align == "scale":
        predicted = align_scale(predicted, truth)
    elif align is not None:
        raise ValueError(f"align is {align!r}, expected None, 'scale' or 'procrustes'")
    return np.linalg.norm(predicted - truth, axis=2)


def root_relative(poses: np.ndarray, root: int = 0) -> np.ndarray:
    """Poses (N, K, 3) about their joint `root`, in float64."""
    poses = np.asarray(poses, np.float64)
    return poses - poses[:, root : root + 1]


def align_scale(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Poses (N, K, 3), each scaled about the origin by <predicted, truth> / <predicted, predicted>, the best fit."""
    predicted, truth = checked(predicted, truth)
    known = np.isfinite(truth)
    squares = (predicted**2).sum((1, 2), where=known)
    scales = (predicted * truth).sum((1, 2), where=known) / np.where(squares > 0, squares, 1)
    return predicted * scales[:, None, None]


def align_similarity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Poses (N, K, 3), each turned, scaled and moved to the least squared distance from the truth, and not mirrored.

    Kabsch's rotation with Umeyama's scale (PAMI 1991). A pose that is a single point becomes the truth's centre.
    """
    predicted, truth = checked(predicted, truth)
    known = np.isfinite(truth).all(2, keepdims=True)
    count = np.maximum(known.sum(1, keepdims=True), 1)
    middle, target = (np.where(known, one, 0).sum(1, keepdims=True) / count for one in (predicted, truth))
    points, goals = np.where(known, predicted - middle, 0), np.where(known, truth - target, 0)
    u, singular, vh = np.linalg.svd(points.transpose(0, 2, 1) @ goals)
    # Where the best orthogonal matrix is a reflection, the axis that matters least is turned back.
    sign = np.sign(np.linalg.det(u @ vh))
    flips = np.stack([np.ones_like(sign), np.ones_like(sign), sign], 1)
    rotation = u @ (flips[:, :, None] * vh)  # acts on rows from the right
    squares = (points**2).sum((1, 2))
    scales = (singular * flips).sum(1) / np.where(squares > 0, squares, 1)
    return scales[:, None, None] * ((predicted - middle) @ rotation) + target


def space_figures(
    predicted: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray | None = None,
    actions: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The figures of a table of poses in space; `pck_3d` needs mm, hence all are of poses in mm.

    Args:
        predicted: (N, K, 3) mm, about the root.
        truth: (N, K, 3) mm, about the root.
        visibility: (N, K), counted where > 0; None: all.
        actions: N names, see `action_of`; None: no table by action.

    Returns:
        MPJPE, PA-MPJPE and N-MPJPE, mm, the mean over all frames; 3DPCK@150 and 3DAUC@150, per cent; and with `actions`
        the errors of each in `actions`, and the plain mean over them, which papers print too, as `MPJPE over actions`.
    """
    counted = counted_joints(truth, visibility)
    errors = {name: joint_errors(predicted, truth, align) for name, align in NAMES.items()}
    figures: dict[str, Any] = {name: _mean(own, counted) for name, own in errors.items()}
    figures |= {"3DPCK@150": pck_3d(predicted, truth, visibility), "3DAUC@150": auc_3d(predicted, truth, visibility)}
    if actions is None:
        return figures
    by_action = {name: mean_by_group(own, counted, actions) for name, own in errors.items()}
    for name, means in by_action.items():
        known = [mean for mean in means.values() if not np.isnan(mean)]
        figures[f"{name} over actions"] = float(np.mean(known)) if known else float("nan")
    groups = next(iter(by_action.values()))
    figures["actions"] = {group: {name: means[group] for name, means in by_action.items()} for group in groups}
    return figures


def mean_by_group(errors: np.ndarray, counted: np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """Mean of the counted errors (N, K) of each group of N poses, in the order of H36M_ACTIONS, then of names."""
    names = np.asarray(groups)
    rank = {action: place for place, action in enumerate(H36M_ACTIONS)}
    order = sorted(set(names.tolist()), key=lambda name: (rank.get(name, len(rank)), name))
    return {name: _mean(errors[names == name], counted[names == name]) for name in order}


def pck_3d(
    predicted: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray | None = None,
    align: Alignment | None = None,
    limit: float = PCK_LIMIT,
) -> float:
    """Share of the visible joints, per cent, whose error is less than `limit`; arguments as those of `mpjpe`."""
    return _share_within(joint_errors(predicted, truth, align), counted_joints(truth, visibility), np.array([limit]))


def auc_3d(
    predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray | None = None, align: Alignment | None = None
) -> float:
    """Mean of `pck_3d` at 31 limits from 0 to 150 mm, per cent; arguments as those of `mpjpe`, in mm."""
    return _share_within(joint_errors(predicted, truth, align), counted_joints(truth, visibility), AUC_LIMITS)


def mesh_pose(joints: np.ndarray) -> np.ndarray:
    """The 14 joints (N, 14, 3) of the mesh protocol, about the middle of the hips, of the 24 of a body (N, 24, 3)."""
    chosen = np.asarray(joints, np.float64)[:, list(MESH_JOINTS)]
    return chosen - chosen[:, list(MESH_HIPS)].mean(1, keepdims=True)


def mesh_figures(predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray | None = None) -> dict[str, float]:
    """MPJPE and PA-MPJPE of bodies (N, 24, 3) by the mesh protocol of 3DPW and Human3.6M, in the unit of the data."""
    seen = None if visibility is None else np.asarray(visibility)[:, list(MESH_JOINTS)]
    poses = mesh_pose(predicted), mesh_pose(truth), seen
    return {"MPJPE": mpjpe(*poses), "PA-MPJPE": mpjpe(*poses, align="procrustes")}


def action_of(name: str) -> str:
    """The action in a name of Human3.6M's images, whose folders do not matter.

    `S11_WalkDog_1.54138969_000006.jpg` is of WalkDog, without the number of the take, and so is
    `s_11_act_15_subact_02_ca_01_000001.jpg`.

    Raises ValueError for a name of neither form.
    """
    parts = name.replace("\\", "/").rpartition("/")[2].split("_")
    if len(parts) > 3 and parts[0] == "s" and parts[2] == "act" and parts[3].isdecimal():
        number = int(parts[3]) - 2
        if 0 <= number < len(H36M_ACTIONS):
            return H36M_ACTIONS[number]
    elif len(parts) > 1 and parts[1]:
        return parts[1].partition(".")[0].partition(" ")[0]
    raise ValueError(f"{name!r} names no action, expected a name as S11_WalkDog_1.54138969_000006.jpg")


def is_misaligned(name: str) -> bool:
    """Whether the name of an image is of one of H36M_MISALIGNED."""
    return any(sequence in name for sequence in H36M_MISALIGNED)


def checked(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64; raises ValueError unless they are shaped (N, K, 3), or where a prediction is missing."""
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if truth.ndim != 3 or truth.shape[2] != 3 or predicted.shape != truth.shape:
        raise ValueError(f"predicted has shape {predicted.shape} and truth {truth.shape}, expected (N, K, 3) twice")
    missing = ~np.isfinite(predicted).all((1, 2))
    if missing.any():
        raise ValueError(
            f"the prediction of pose {int(missing.argmax())} is not finite; leave the pose out, and say so"
        )
    return predicted, truth


def counted_joints(truth: np.ndarray, visibility: np.ndarray | None) -> np.ndarray:
    """(N, K) bool, where `visibility` is above 0; raises ValueError where such a joint has no place."""
    truth = np.asarray(truth)
    counted = np.ones(truth.shape[:2], bool) if visibility is None else np.asarray(visibility) > 0
    if counted.shape != truth.shape[:2]:
        raise ValueError(f"visibility has shape {counted.shape}, expected {truth.shape[:2]} as truth has")
    unknown = np.argwhere(counted & ~np.isfinite(truth).all(-1))
    if len(unknown):
        raise ValueError(
            f"joint {unknown[0, 1]} of pose {unknown[0, 0]} is visible, but its place is NaN; set its visibility to 0"
        )
    return counted


def _mean(errors: np.ndarray, counted: np.ndarray) -> float:
    """The mean of the counted errors, NaN without any."""
    return float(errors[counted].mean()) if counted.any() else float("nan")


def _share_within(errors: np.ndarray, counted: np.ndarray, limits: np.ndarray) -> float:
    """Share of the counted errors under each limit, per cent, and the mean over limits; NaN without any."""
    return float(100 * (errors[counted] < limits[:, None]).mean()) if counted.any() else float("nan")
