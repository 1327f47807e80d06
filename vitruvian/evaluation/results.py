"""From what was found in boxes to the records of a COCO results file: rescored, and without duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vitruvian.data.labels import Labels
from vitruvian.evaluation.joints import fields_of
from vitruvian.geometry import Framing, centre_and_scale, fix_aspect
from vitruvian.metrics.oks import ScoreMode, oks_between, oks_nms, rescore
from vitruvian.sample import Photo, Poses
from vitruvian.skeletons import Skeleton

DUPLICATE = 0.9
"""OKS above which two poses of one photo are one person, as in all published top-down figures."""


class PhotoBoxes(NamedTuple):
    """Whom to look at in one photo, N people."""

    photo: Photo
    boxes: np.ndarray  # (N, 4) float64 x0 y0 x1 y1 px
    scores: np.ndarray  # (N,) of the boxes
    annotation_ids: tuple[int, ...]  # whose boxes they are; empty for detected ones


def result_records(
    found: Sequence[tuple[PhotoBoxes, Poses]],
    mode: ScoreMode,
    framing: Framing,
    labels: Labels,
    sources: Sequence[int],
) -> list[dict[str, Any]]:
    """The COCO results of photos: poses that are nobody's duplicate, photo by photo, best first.

    All poses of all photos are rescored and compared at once.

    Args:
        found: whose boxes were looked into, and what was found in them, in the same order; not empty.
        mode: how box and joint scores become a person's score.
        framing: what a crop is; duplicates are told by its size.
        labels: whose sigmas and category the results have.
        sources: for each of the labels' K joints the network's, or -1 for those that it does not find, which have no
            say in what is a duplicate.
    """
    own_scores = np.concatenate([poses.joint_scores for _, poses in found])
    scores = rescore(np.concatenate([people.scores for people, _ in found]), own_scores, mode)
    renamed = [poses.with_joints(sources) for _, poses in found]
    keypoints = np.concatenate([poses.keypoints for poses in renamed]).astype(np.float64)
    joint_scores = np.concatenate([poses.joint_scores for poses in renamed]).astype(np.float64)
    boxes = np.concatenate([people.boxes for people, _ in found])
    areas = fix_aspect(centre_and_scale(boxes, framing.padding)[1], framing.size).prod(-1)
    photos = np.repeat(np.arange(len(found)), [len(people.boxes) for people, _ in found])
    known = np.flatnonzero(np.asarray(sources) >= 0)
    points, sigmas = keypoints[:, known, :2], np.array(labels.skeleton.oks_sigmas)[known]
    kept = oks_nms(points, scores, areas, sigmas, DUPLICATE, images=photos)
    values = fields_of_poses(keypoints, joint_scores, labels.skeleton)
    owners = [
        (people.photo.image_id, person)
        for people, _ in found
        for person in people.annotation_ids or (None,) * len(people.boxes)
    ]
    records: dict[int, dict[str, Any]] = {}
    for index, score in zip(kept.tolist(), scores[kept].tolist()):
        image_id, person = owners[index]
        record = {"image_id": image_id, "category_id": labels.category_id}
        records[index] = {**record, **values[index], "score": score}
        if person is not None:
            records[index]["annotation_id"] = person
    for index in np.setdiff1d(np.arange(len(points)), kept).tolist():
        person = owners[index][1]
        if person is not None:
            best = nearest(index, kept[photos[kept] == photos[index]], points, areas, sigmas)
            duplicate = {"annotation_id": person, **values[index]}
            records[best].setdefault("duplicates", []).append(duplicate)
    return list(records.values())


def nearest(index: int, others: np.ndarray, points: np.ndarray, areas: np.ndarray, sigmas: np.ndarray) -> int:
    """Which of the poses `others` is most similar to that at `index`."""
    chosen = np.concatenate([[index], others])
    return int(others[oks_between(points[chosen], areas[chosen], sigmas)[0, 1:].argmax()])


def fields_of_poses(keypoints: np.ndarray, joint_scores: np.ndarray, skeleton: Skeleton) -> list[dict[str, Any]]:
    """Poses (N, K, 2) px, or (N, K, 3) with depths in mm, and scores (N, K) as the fields of results.

    A thousandth of a pixel, a millionth of a score and a hundredth of a mm are far below what any metric can tell.
    """
    triples = np.concatenate([keypoints[..., :2].round(3), joint_scores[..., None].round(6)], -1)
    values = triples.reshape(len(triples), 3 * skeleton.num_joints).tolist()
    fields: list[dict[str, Any]] = [{**fields_of(pose, skeleton)} for pose in values]
    if keypoints.shape[2] == 3:
        for own, depths in zip(fields, keypoints[..., 2].round(2).tolist()):
            own["depths"] = depths
    return fields
