"""Reader for person boxes: detection files in COCO format, lists of image_id, category_id, bbox and score."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.data.labels import STOP, Labels, Problems, field, identifier, number, numbers, read_json
from vitruvian.errors import InputError
from vitruvian.geometry import boxes_from_xywh

PERSON = 1
"""The category of COCO that is a person; detectors list others too."""

Boxes = dict[int | str, tuple[np.ndarray, np.ndarray]]


def read_boxes(path: str | Path, labels: Labels | None = None, floor: float = 0.0, problems: Problems = STOP) -> Boxes:
    """The person boxes of a detection file, for each image that has any, in the order of the file.

    Boxes are as the detector gave them: not clipped to the photo and with no suppression among them.

    Args:
        path: the JSON file: [{"image_id": 7, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}, ...].
        labels: the data set that the boxes are for; each image of the file must be one of its. Boxes of its category
            are taken, without it those of category 1, which is COCO's person, and in both cases those without any.
        floor: boxes with a score below it are left out.
        problems: what becomes of a damaged record.

    Returns:
        image id -> boxes (N, 4) x0 y0 x1 y1 px and scores (N,), float64.

    Raises:
        InputError: a field is missing, a number is not finite, a box has no area, an image is not in the data set, or
            no box is of the category; the message names file, record and field.
    """
    path = Path(path)
    records = read_json(path, "a detection file")
    if not isinstance(records, list):
        raise InputError(f"{path}: holds a {type(records).__name__}, expected a list of boxes with image_id and bbox")
    category = PERSON if labels is None else labels.category_id
    image_of = image_ids(path, records, labels)
    boxes: dict[int | str, list[np.ndarray]] = {}
    scores: dict[int | str, list[float]] = {}
    for index, record in enumerate(records):
        with problems:
            where = f"box {index}"
            image_id = image_of(record, where)
            if record.get("category_id", category) != category:
                continue
            score = number(path, field(path, record, "score", where), f"'score' of {where}")
            box = numbers(path, field(path, record, "bbox", where), 4, f"'bbox' of {where}")
            if not (box[2:] > 0).all():
                raise InputError(
                    f"{path}: 'bbox' of {where} is {box[2]:g} x {box[3]:g} px; remove the box or correct it"
                )
            if score >= floor:
                boxes.setdefault(image_id, []).append(box)
                scores.setdefault(image_id, []).append(score)
    if records and not boxes:
        with problems:
            raise InputError(_nobody(path, records, labels, category, floor))
    return {image_id: (boxes_from_xywh(np.stack(boxes[image_id])), np.array(scores[image_id])) for image_id in boxes}


def _nobody(path: Path, records: list[dict], labels: Labels | None, category: int, floor: float) -> str:
    """The complaint about a detection file without a box that counts."""
    given = [record for record in records if isinstance(record, dict)]
    found = list(dict.fromkeys(record.get("category_id", category) for record in given))
    if category in found:
        return f"{path}: none of its boxes of category {category} has a score of {floor:g} or more; lower that"
    shown = ", ".join(map(repr, found[:5])) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    whose = "a person's in COCO" if labels is None else f"that of the people in {labels.path}"
    return (
        f"{path}: its {len(records)} boxes have the category_id {shown}, but none has {category}, {whose}; set the "
        f"category_id of people's boxes to {category}, or leave the field out"
    )


def image_ids(path: Path, records: list[Any], labels: Labels | None) -> Callable[[Any, str], int | str]:
    """What gives a record's image id, and raises InputError where that is missing or none of the labels' images.

    The complaint about other images is one for the whole file, `records`, and made once.
    """
    known = None if labels is None else {photo.image_id for photo in labels.photos}
    complaint = cache(lambda: unknown_images(path, records, labels, known or set()))

    def image_of(record: Any, where: str) -> int | str:
        image_id = identifier(path, record, "image_id", where)
        if known is not None and image_id not in known:
            raise InputError(complaint())
        return image_id

    return image_of


def unknown_images(path: Path, records: list[Any], labels: Labels | None, known: set) -> str:
    """The complaint about a file of detections or results of other photos."""
    ids = [record.get("image_id") for record in records if isinstance(record, dict)]
    strangers = list(dict.fromkeys(one for one in ids if isinstance(one, int | str) and one not in known))
    of = labels.path if labels is not None else "the data"
    more = f" and {len(strangers) - 20} more" if len(strangers) > 20 else ""
    return (
        f"{path}: {len(strangers)} of its images are not in {of}, image_id "
        f"{', '.join(map(repr, strangers[:20]))}{more}; give those of these photos, or take the others out"
    )
