"""Errors of joints in space: MPJPE, and the same after a similarity (PA-MPJPE) or a scale (N-MPJPE) has been fitted.

Errors have the unit of the data. Poses are compared as they are given: take their root off before.
"""

from __future__ import annotations

import numpy as np

MESH_JOINTS = (*range(13), 18)
"""Of the 24 joints of a body mesh the 14 of LSP, in its order, that 3DPW and Human3.6M are scored on."""

MESH_HIPS = (2, 3)


def mpjpe(predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray | None = None) -> float:
    """Mean distance of the joints of poses (N, K, 3), of those whose visibility (N, K) is above 0; NaN without any."""
    predicted, truth = checked(predicted, truth)
    counted = np.ones(truth.shape[:2], bool) if visibility is None else np.asarray(visibility) > 0
    distances = np.linalg.norm(predicted - truth, axis=2)
    return float(distances[counted].mean()) if counted.any() else float("nan")


def pa_mpjpe(predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray | None = None) -> float:
    """`mpjpe` after each pose has been turned, scaled and moved onto the truth; all joints take part in the fit."""
    return mpjpe(align_similarity(predicted, truth), truth, visibility)


def n_mpjpe(predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray | None = None) -> float:
    """`mpjpe` after each pose has been scaled to fit the truth best, about the origin; all joints take part in it."""
    predicted, truth = checked(predicted, truth)
    squares = (predicted**2).sum((1, 2))
    scales = (predicted * truth).sum((1, 2)) / np.where(squares > 0, squares, 1)
    return mpjpe(predicted * scales[:, None, None], truth, visibility)


def align_similarity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Poses (N, K, 3), each turned, scaled and moved to the least squared distance from the truth, and not mirrored.

    Kabsch's rotation with Umeyama's scale (PAMI 1991). A pose that is a single point becomes the truth's centre.
    """
    predicted, truth = checked(predicted, truth)
    middle, target = predicted.mean(1, keepdims=True), truth.mean(1, keepdims=True)
    points, goals = predicted - middle, truth - target
    u, singular, vh = np.linalg.svd(points.transpose(0, 2, 1) @ goals)
    # Where the best orthogonal matrix is a reflection, the axis that matters least is turned back.
    sign = np.sign(np.linalg.det(u @ vh))
    flips = np.stack([np.ones_like(sign), np.ones_like(sign), sign], 1)
    rotation = u @ (flips[:, :, None] * vh)  # acts on rows from the right
    squares = (points**2).sum((1, 2))
    scales = (singular * flips).sum(1) / np.where(squares > 0, squares, 1)
    return scales[:, None, None] * (points @ rotation) + target


def mesh_pose(joints: np.ndarray) -> np.ndarray:
    """The 14 joints (N, 14, 3) of the mesh protocol, about the middle of the hips, of the 24 of a body (N, 24, 3)."""
    chosen = np.asarray(joints, np.float64)[:, list(MESH_JOINTS)]
    return chosen - chosen[:, list(MESH_HIPS)].mean(1, keepdims=True)


def action_of(name: str) -> str:
    """The action in a name of Human3.6M's images: `S11_WalkDog_1.54138969_000006.jpg` is of WalkDog."""
    return name.split("_")[1].partition(".")[0]


def checked(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64; raises ValueError unless they are shaped (N, K, 3)."""
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if truth.ndim != 3 or truth.shape[2] != 3 or predicted.shape != truth.shape:
        raise ValueError(f"predicted has shape {predicted.shape} and truth {truth.shape}, expected (N, K, 3) twice")
    return predicted, truth
