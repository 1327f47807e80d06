"""Figures of faces: NME by the eyes or the box, of all and of the parts of a test set; the faces of whole bodies."""

from __future__ import annotations

from typing import Any

import numpy as np

from vitruvian.data.labels import Labels
from vitruvian.metrics.nme import EYES, eye_distance, longer_side, nme
from vitruvian.skeletons import AFLW, COCO_WHOLEBODY, IBUG_68

NAMES = ("NME", "NME_points", "FR@0.08", "FR@0.1", "AUC@0.1")


def measures_faces(labels: Labels) -> bool:
    """Whether labels are of faces whose size is known how to measure."""
    return labels.skeleton.name in EYES or labels.skeleton.name == AFLW.name


def face_figures(
    labels: Labels,
    points: np.ndarray,
    truth: np.ndarray,
    visibility: np.ndarray,
    sizes: np.ndarray,
    annotation_ids: list[int],
) -> dict[str, Any]:
    """The figures of `nme` of the faces of a known size, and in `subsets` those of each part of the test set.

    A face without a prediction has an infinite error.

    Args:
        labels: the truth, for its skeleton and the parts of it.
        points: (N, K, 2) px, NaN where nothing was predicted.
        truth: (N, K, 2) px.
        visibility: (N, K).
        sizes: (N,) px, of faces that are not measured by their eyes (AFLW).
        annotation_ids: N.
    """
    name = labels.skeleton.name
    sizes = eye_distance(truth, name) if name in EYES else sizes
    figures: dict[str, Any] = known_nme(points, truth, visibility, sizes)
    subsets = {}
    for subset, members in subsets_of(labels):
        chosen = np.array([person in members for person in annotation_ids])
        if figures and chosen.any():
            subsets[subset] = known_nme(points[chosen], truth[chosen], visibility[chosen], sizes[chosen])
    return {**figures, "subsets": subsets} if any(subsets.values()) else figures


def subsets_of(labels: Labels) -> tuple[tuple[str, frozenset[int]], ...]:
    """Names and annotation ids of the parts of a test set that tables score apart.

    Those that the labels state; of 300W common (HELEN's and LFPW's test sets) and challenging (iBUG), by the folders
    that its photos are in.
    """
    if labels.subsets or labels.skeleton.name != IBUG_68.name:
        return labels.subsets
    found = []
    for name, folder in (("common", "testset"), ("challenging", "ibug")):
        photos = (photo for photo in labels.photos if photo.path.parent.name.lower() == folder)
        found.append((name, frozenset(person for photo in photos for person in photo.annotation_ids)))
    return tuple(found) if all(members for _, members in found) else ()


def whole_body_face(points: np.ndarray, truth: np.ndarray, visibility: np.ndarray) -> dict[str, float]:
    """The figures of `nme` of the faces of whole bodies (N, 133, 2), which have the landmarks of 300W."""
    index = list(COCO_WHOLEBODY.parts["face"])
    labelled = (visibility[:, index] > 0).any(1)
    own = points[labelled][:, index], truth[labelled][:, index], visibility[labelled][:, index]
    return known_nme(*own, eye_distance(own[1], IBUG_68.name))


def known_nme(points: np.ndarray, truth: np.ndarray, visibility: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """`nme` of the faces that have a size; nothing without any."""
    known = sizes > 0  # not NaN either
    found = np.where(np.isnan(points), np.inf, points)
    return nme(found[known], truth[known], sizes[known], visibility[known]) if known.any() else {}


def face_sizes(head_sizes: list[np.ndarray | None], boxes: np.ndarray) -> np.ndarray:
    """Sizes (N,) px of faces that are measured by their box: as the file states them, else its longer side."""
    stated = [sizes for sizes in head_sizes if sizes is not None]
    return np.concatenate(stated) if stated and len(stated) == len(head_sizes) else longer_side(boxes)


def face_rows(figures: dict[str, Any]) -> list[list[str]]:
    """The table of faces, per cent."""
    parts = [("all landmarks", figures), *((f"  {name}", own) for name, own in figures.get("subsets", {}).items())]
    rows = [
        [title, *("-" if np.isnan(own[n]) else f"{100 * own[n]:.2f}" for n in NAMES)] for title, own in parts if own
    ]
    return [["faces, per cent", *NAMES], *rows]
