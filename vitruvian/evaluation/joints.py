"""Networks on data of another skeleton: which joints both name, and truth that counts no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vitruvian.data.labels import Labels
from vitruvian.errors import InputError
from vitruvian.metrics.wholebody import joined, split
from vitruvian.sample import NEVER_LABELLED, NOT_KNOWN, Photo
from vitruvian.skeletons import COCO_WHOLEBODY, Skeleton, matching_joints


def shared_joints(skeleton: Skeleton, labels: Labels) -> tuple[int, ...]:
    """For each of K joints of the labels the network's joint of the same name, or -1.

    Raises InputError where there is none.
    """
    sources = matching_joints(skeleton, labels.skeleton)
    if max(sources) < 0:
        raise InputError(
            f"{labels.path} labels the {labels.skeleton.num_joints} joints of {labels.skeleton.name!r}, but the "
            f"network finds the {skeleton.num_joints} of {skeleton.name!r}, and no joint has the same name in both; "
            "choose data or a network with the same joints"
        )
    return sources


def not_predicted(results: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> np.ndarray:
    """Mask (K,) of the joints that have the score NOT_KNOWN in every result: the network does not have them.

    Results of another length are taken as if it had all: whoever scores them says what is wrong.
    """
    nothing = np.zeros(skeleton.num_joints, bool)
    try:
        if not results or not (triples_of(results[0], skeleton)[:, 2] == NOT_KNOWN).any():
            return nothing  # as of nearly all networks, whose other poses need no look
        poses = np.array([triples_of(record, skeleton) for record in results])
    except (InputError, TypeError, ValueError):
        return nothing
    if poses.shape[1:] != (skeleton.num_joints, 3):
        return nothing
    missing = (poses[..., 2] == NOT_KNOWN).all(0)
    return nothing if missing.all() else missing


def labels_without(labels: Labels, missing: np.ndarray) -> Labels:
    """Labels in which the joints in a mask (K,) are never labelled."""

    def stripped(photo: Photo) -> Photo:
        people = photo.people
        visibility = np.where(missing, np.int8(NEVER_LABELLED), people.visibility)
        keypoints = np.where(missing[:, None], np.float32(np.nan), people.keypoints)
        return replace(photo, people=replace(people, visibility=visibility, keypoints=keypoints))

    return replace(labels, photos=tuple(map(stripped, labels.photos)))


def truth_without(truth: dict[str, Any], missing: np.ndarray, skeleton: Skeleton) -> dict[str, Any]:
    """COCO annotations in which the joints in a mask (K,) are not labelled."""
    people = []
    for record in truth["annotations"]:
        triples = triples_of(record, skeleton)
        if len(triples):
            triples[missing] = 0
            count = int((triples[:, 2] > 0).sum())
            record = {**record, **fields_of(triples.ravel().tolist(), skeleton), "num_keypoints": count}
        people.append(record)
    return {**truth, "annotations": people}


def results_without(
    results: Sequence[Mapping[str, Any]], missing: np.ndarray, skeleton: Skeleton
) -> list[dict[str, Any]]:
    """COCO results in which the joints in a mask (K,) lie amid the others, since a pose's extent is its size."""
    moved = []
    for record in results:
        triples = triples_of(record, skeleton)
        triples[missing] = [*triples[~missing, :2].mean(0), 0]
        moved.append({**record, **fields_of(triples.ravel().tolist(), skeleton)})
    return moved


def triples_of(record: Mapping[str, Any], skeleton: Skeleton) -> np.ndarray:
    """The joints of a record as (K, 3), those of a whole body from its five fields; (0, 3) where it has none."""
    whole = skeleton.joints == COCO_WHOLEBODY.joints
    values = joined(record, f"record {record.get('id')}", missing=True) if whole else record.get("keypoints") or ()
    return np.array(values, np.float64).reshape(-1, 3)


def fields_of(values: list[float], skeleton: Skeleton) -> dict[str, list[float]]:
    """A pose (x, y, score of each joint) as the fields of a result: five of them for a whole body, as its data have."""
    return split(values) if skeleton.joints == COCO_WHOLEBODY.joints else {"keypoints": values}
