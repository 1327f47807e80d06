"""Evaluation: predict everybody in a data set into a file of COCO results, then score the file.

The file is what the figures come from: `score_results` gives the same figures from it again, pycocotools the same AP,
and a file of detected boxes can be sent to COCO's server as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vitruvian.data.boxes import Boxes
from vitruvian.data.labels import Labels, other_size, trainable, why_nobody
from vitruvian.errors import InputError
from vitruvian.evaluation.joints import shared_joints
from vitruvian.evaluation.results import PhotoBoxes, result_records
from vitruvian.evaluation.scoring import PckhWay, score_records
from vitruvian.files import write_atomically
from vitruvian.images import image_size
from vitruvian.metrics.oks import ScoreMode
from vitruvian.prediction import Predictor
from vitruvian.sample import Photo, Poses


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
    found = list(predicted(predictor, work, flip, batch_size))
    records = result_records(found, mode, predictor.framing, labels, sources)
    text = json.dumps(records, allow_nan=False)
    write_atomically(results_path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    about = {
        "data": str(labels.path),
        "results": str(results_path),
        "boxes": "annotated" if boxes is None else "detected",
        "flip": flip,
        "score": mode,
    }
    return about | score_records(records, results_path, labels, pckh_way)


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
