"""NME: the error of face landmarks as a share of the face's size, with failure rate and area under the curve."""

from __future__ import annotations

import numpy as np

EYES = {"wflw": (60, 72), "300w": (36, 45), "cofw": (8, 9), "lapa": (66, 79)}
"""The landmarks whose distance is the size of a face, by the name of the skeleton: the outer corners of the eyes.

AFLW measures by the longer side of the box instead."""

FAILURES = (0.08, 0.1)


def nme(
    predicted: np.ndarray, truth: np.ndarray, sizes: np.ndarray, visibility: np.ndarray | None = None
) -> dict[str, float]:
    """Mean error of the landmarks of faces, divided by the size of each face.

    Args:
        predicted: (N, K, 2) px.
        truth: (N, K, 2) px.
        sizes: (N,) px, see `eye_distance` and `longer_side`.
        visibility: (N, K), counted where > 0; None: all are.

    Returns:
        fractions of 1, NaN where nothing is counted: `NME`, the mean over images; `NME_points`, the mean over
        landmarks, which MMPose prints (the two are equal if all landmarks count); `FR@0.08` and `FR@0.1`, the share of
        images with a larger NME; and `AUC@0.1`, the area under the share of images with at most that NME, up to 0.1.

    Raises:
        ValueError: shapes disagree, or a face has no size.
    """
    errors, counted = normalised_errors(predicted, truth, sizes, visibility)
    of_images = per_image(errors, counted)
    known = of_images[~np.isnan(of_images)]
    if not len(known):
        return dict.fromkeys(("NME", "NME_points", *(f"FR@{limit:g}" for limit in FAILURES), "AUC@0.1"), float("nan"))
    return {
        "NME": float(known.mean()),
        "NME_points": float(errors[counted].mean()),
        **{f"FR@{limit:g}": float((known > limit).mean()) for limit in FAILURES},
        # An image adds what is left of the limit above its NME: no steps, hence no error of integration.
        "AUC@0.1": float(np.maximum(0.1 - known, 0).mean() / 0.1),
    }


def per_image(errors: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Mean (N,) of the counted errors (N, K) of each image, NaN where none is counted."""
    total = np.where(counted, errors, 0).sum(1)
    return np.where(counted.any(1), total / np.maximum(counted.sum(1), 1), np.nan)


def normalised_errors(
    predicted: np.ndarray, truth: np.ndarray, sizes: np.ndarray, visibility: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Errors (N, K) divided by the sizes, and where they are counted (N, K); the arguments are those of `nme`."""
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if truth.ndim != 3 or truth.shape[2] != 2 or predicted.shape != truth.shape:
        raise ValueError(f"predicted has shape {predicted.shape} and truth {truth.shape}, expected (N, K, 2) twice")
    counted = np.ones(truth.shape[:2], bool) if visibility is None else np.asarray(visibility) > 0
    sizes = np.asarray(sizes, np.float64)
    if counted.shape != truth.shape[:2] or sizes.shape != truth.shape[:1]:
        raise ValueError(
            f"visibility has shape {counted.shape} and sizes {sizes.shape}, expected {truth.shape[:2]} and "
            f"{truth.shape[:1]}"
        )
    if not (sizes > 0).all():
        raise ValueError(f"the size of face {int((~(sizes > 0)).argmax())} is not above 0 px; leave the face out")
    return np.linalg.norm(predicted - truth, axis=2) / sizes[:, None], counted


def eye_distance(truth: np.ndarray, skeleton: str) -> np.ndarray:
    """Distance (N,) px of the outer corners of the eyes in landmarks (N, K, 2) of a skeleton named in EYES."""
    left, right = EYES[skeleton]
    points = np.asarray(truth, np.float64)
    return np.linalg.norm(points[:, left] - points[:, right], axis=1)


def longer_side(boxes: np.ndarray) -> np.ndarray:
    """The longer side (N,) px of boxes (N, 4) x0 y0 x1 y1, AFLW's size of a face."""
    corners = np.asarray(boxes, np.float64)
    return (corners[:, 2:] - corners[:, :2]).max(1)
