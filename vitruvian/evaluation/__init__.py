"""Evaluation: predict everybody in a data set into a file of COCO results, then score the file.

The file is what the figures come from: `score_results` gives the same figures from it again, pycocotools the same AP,
and a file of detected boxes can be sent to COCO's server as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from vitruvian.data.boxes import Boxes
from vitruvian.data.labels import Labels, other_size, trainable, why_nobody
from vitruvian.errors import InputError
from vitruvian.evaluation.joints import fields_of, shared_joints
from vitruvian.evaluation.scoring import PckhWay, score_results
from vitruvian.files import write_atomically
from vitruvian.geometry import Framing, centre_and_scale, fix_aspect
from vitruvian.images import image_size
from vitruvian.metrics.oks import ScoreMode, oks_between, oks_nms, rescore
from vitruvian.prediction import Predictor
from vitruvian.sample import Photo, Poses

DUPLICATE = 0.9
"""OKS above which two poses of one photo are one person, as in all published top-down figures."""


class PhotoBoxes(NamedTuple):
    """Whom to look at in one photo, N people."""

    photo: Photo
    boxes: np.ndarray  # (N, 4) float64 x0 y0 x1 y1 px
    scores: np.ndarray  # (N,) of the boxes
    annotation_ids: tuple[int, ...]  # whose boxes they are; empty for detected ones


def evaluate(
    predictor: Predictor,
    labels: Labels,
    results_path: str | Path,
    boxes: Boxes | None = None,
    flip: bool | None = None,
    batch_size: int | None = None,
    score: ScoreMode | None = None,
    pckh_way: PckhWay = "inclusive",
) -> dict[str, Any]:
    """Predicts the people of a data set into a results file and scores the file.

    A person's score is made of box and joint scores. Of two poses of one photo with an OKS above 0.9, by the area of
    the crop, the one with the lower score is a duplicate and no result; the metric takes the best 20 of a photo.

    Args:
        predictor: a network; where its joints are others than those of the labels, the ones with the same names count,
            and the results have the others at (0, 0) with a score of -1.
        labels: the truth.
        results_path: the file of COCO results to write. With annotated boxes each record also says whose box it is from
            (`annotation_id`) and holds its `duplicates`, because PCK measures every person's own prediction.
        boxes: detected boxes (`read_boxes`); None: those of the annotated people that are not ignored and have a
            labelled joint, with a score of 1. AP is about 2 points higher with the latter.
        flip: also look at the mirrored crops and merge; None: as the predictor does by itself.
        batch_size: people at a time; None: what suits the device.
        score: how box and joint scores become a person's score; None: as the network's experiment says.
        pckh_way: how PCKh counts, see `score_results`.

    Returns:
        plain values: `data`, `results`, `boxes` ("annotated" or "detected"), `flip`, `score`, and what `score_results`
        gives.

    Raises:
        InputError: the network has no joint of the labels, nobody is there to be predicted, or a photo is
            missing, which is said before the first is looked at, or cannot be read; nothing is written then.
    """
    sources = shared_joints(predictor.skeleton, labels)
    work = annotated_people(labels) if boxes is None else detected_people(labels, boxes)
    if not work:
        why = why_nobody(labels) if boxes is None else "the detections have no box in any of its photos"
        raise InputError(f"{labels.path}: nobody in it has a box to look into, there is nothing to evaluate: {why}")
    check_photos(labels, [people.photo for people in work])
    flip = predictor.flip if flip is None else flip
    mode = score or predictor.score
    records: list[dict[str, Any]] = []
    for people, poses in predicted(predictor, work, flip, batch_size):
        scores = rescore(people.scores, poses.joint_scores, mode)
        records += photo_records(people, poses.with_joints(sources), scores, predictor.framing, labels, sources)
    text = json.dumps(records, allow_nan=False)
    write_atomically(results_path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    about = {
        "data": str(labels.path),
        "results": str(results_path),
        "boxes": "annotated" if boxes is None else "detected",
        "flip": flip,
        "score": mode,
    }
    return about | score_results(results_path, labels, pckh_way)


def check_photos(labels: Labels, photos: Sequence[Photo]) -> None:
    """Raises InputError that counts the photos without a file, or of another size than annotated, and names some."""
    missing = [str(photo.path) for photo in photos if not photo.path.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(
            f"{labels.path}: {len(missing)} of {len(photos)} photos are missing ({', '.join(missing[:3])}{more}); add "
            "them, or give the folder of the photos (--images)"
        )
    others = []
    for photo in photos:
        with suppress(InputError):  # a damaged one is named when it is read
            others += filter(None, [other_size(photo, image_size(photo.path))])
    if others:
        more = f"; {len(others)} such photos: vitruvian data {labels.path} names all" if len(others) > 1 else ""
        raise InputError(others[0] + more)


def annotated_people(labels: Labels) -> list[PhotoBoxes]:
    """The annotated people of each photo that has any who count, with boxes of score 1."""
    work = []
    for photo in labels.photos:
        chosen = np.flatnonzero(trainable(photo.people))
        if len(chosen):
            ids = tuple(photo.annotation_ids[index] for index in chosen)
            work.append(PhotoBoxes(photo, photo.people.boxes[chosen].astype(np.float64), np.ones(len(chosen)), ids))
    return work


def detected_people(labels: Labels, boxes: Boxes) -> list[PhotoBoxes]:
    """The detected people of each photo that has any."""
    return [PhotoBoxes(photo, *boxes[photo.image_id], ()) for photo in labels.photos if photo.image_id in boxes]


def predicted(
    predictor: Predictor, work: list[PhotoBoxes], flip: bool, batch_size: int | None
) -> Iterator[tuple[PhotoBoxes, Poses]]:
    """Each photo's people with their poses in the order of their boxes; raises InputError for the first bad photo."""
    paths, boxes = (people.photo.path for people in work), (people.boxes for people in work)
    stream = predictor.predict_stream(paths, boxes, flip, batch_size)
    for people, found in zip(tqdm(work, unit="photo", disable=None), stream):
        if found.poses is None or found.poses.boxes is None:
            raise found.error or InputError(f"{found.name}: no prediction")
        yield people, found.poses.select(rows_of(people.boxes, found.poses.boxes))


def rows_of(asked: np.ndarray, found: np.ndarray) -> np.ndarray:
    """For each row of `asked` (N, 4) the index of the equal row of `found`, which holds the same rows in any order."""
    rows = np.empty(len(asked), np.intp)
    rows[np.lexsort(asked.T)] = np.lexsort(found.T)
    return rows


def photo_records(
    people: PhotoBoxes,
    poses: Poses,
    scores: np.ndarray,
    framing: Framing,
    labels: Labels,
    sources: Sequence[int],
) -> list[dict[str, Any]]:
    """The COCO results of one photo: poses that are nobody's duplicate, best first.

    Args:
        people: whose boxes were looked into.
        poses: what was found in them, in the same order, in the joints of the labels.
        scores: (N,) of the people.
        framing: what a crop is; duplicates are told by its size.
        labels: whose sigmas and category the results have.
        sources: (K,) -1 for joints that the network does not find, which have no say in what is a duplicate.
    """
    points = poses.keypoints[..., :2].astype(np.float64)
    areas = fix_aspect(centre_and_scale(people.boxes, framing.padding)[1], framing.size).prod(-1)
    known = np.flatnonzero(np.asarray(sources) >= 0)
    own, sigmas = points[:, known], np.array(labels.skeleton.oks_sigmas)[known]
    kept = oks_nms(own, scores, areas, sigmas, DUPLICATE)
    # A thousandth of a pixel and a millionth of a score are far below what any metric can tell.
    triples = np.concatenate([points.round(3), poses.joint_scores[..., None].astype(np.float64).round(6)], -1)
    values = [fields_of(pose, labels.skeleton) for pose in triples.reshape(len(triples), -1).tolist()]
    if poses.keypoints.shape[2] == 3:
        for value, depths in zip(values, poses.keypoints[..., 2].astype(np.float64).round(2).tolist()):
            value["depths"] = depths
    records: dict[int, dict[str, Any]] = {}
    for index in kept.tolist():
        record = {"image_id": people.photo.image_id, "category_id": labels.category_id}
        records[index] = {**record, **values[index], "score": float(scores[index])}
        if people.annotation_ids:
            records[index]["annotation_id"] = people.annotation_ids[index]
    if people.annotation_ids and len(kept) < len(points):
        similarity = oks_between(own, areas, sigmas)
        for index in np.setdiff1d(np.arange(len(points)), kept).tolist():
            nearest = records[int(kept[similarity[index, kept].argmax()])]
            duplicate = {"annotation_id": people.annotation_ids[index], **values[index]}
            nearest.setdefault("duplicates", []).append(duplicate)
    return list(records.values())
