"""OCHuman's own annotation file made into COCO annotations, as its authors do it: the 17 joints of COCO alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from vitruvian.data.labels import NOT_LABELLED, STOP, Problems, field, number, numbers
from vitruvian.errors import InputError
from vitruvian.skeletons import COCO

FLAGS = {0: 0, 1: 2, 2: 2, 3: 1}
"""Visibility there -> in COCO: missing; visible; hidden by oneself, which still counts as seen; hidden by others."""

VAL_IMAGES = 2500
"""So many of the first images with people are the validation set, the others are the test set."""


def is_ochuman(content: Any) -> bool:
    """Whether the content of a file is OCHuman's own format."""
    return isinstance(content, dict) and "keypoint_names" in content and "images" in content


def ochuman_to_coco(
    path: Path,
    content: dict[str, Any],
    split: Literal["val", "test", "all"] = "all",
    overlap: tuple[float, float] = (0.0, 1.0),
    problems: Problems = STOP,
) -> dict[str, Any]:
    """The COCO annotations of an OCHuman file.

    People without keypoints or without a mask are left out, and then images without people. Ids are counted from 1
    over what is kept, in the order of the file; an area is that of the box.

    Args:
        path: the file, for messages.
        content: what it holds.
        split: published figures are of "val" and of "test".
        overlap: people are kept whose `max_iou` is from the first to below the second number.
        problems: what becomes of a damaged person.

    Raises:
        InputError: a field is missing or has a wrong shape; the message names file, record and field.
    """
    order = joints_in_order(path, content)
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    with_people = 0
    for index, image in enumerate(listed(path, content, "images", "the file")):
        with problems:
            where = f"image number {index}"
            complete = complete_people(path, image, where, problems)
            with_people += bool(complete)
            in_val = with_people <= VAL_IMAGES
            kept = [one for one, share in complete if overlap[0] <= share < overlap[1]]
            if not kept or split == ("test" if in_val else "val"):
                continue
            name, width, height = (field(path, image, key, where) for key in ("file_name", "width", "height"))
            images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
            for one in kept:
                with problems:
                    own = {"id": len(people) + 1, "image_id": len(images), "category_id": 1}
                    people.append({**own, **person(path, one, order, f"a person of {name}")})
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": []}
    return {"images": images, "annotations": people, "categories": [category]}


def complete_people(path: Path, image: Any, where: str, problems: Problems) -> list[tuple[dict[str, Any], float]]:
    """The people of an image who have keypoints and a mask, each with how much another one covers."""
    found = []
    for one in listed(path, image, "annotations", where):
        with problems:
            if field(path, one, "keypoints", f"a person of {where}") and one.get("segms"):
                found.append((one, number(path, one.get("max_iou", 0), f"'max_iou' of a person of {where}")))
    return found


def listed(path: Path, record: Any, key: str, where: str) -> list[Any]:
    """The list `record[key]`, or an error that names file, record and key."""
    found = field(path, record, key, where)
    if not isinstance(found, list):
        raise InputError(f"{path}: '{key}' of {where} is {str(found)[:60]!r}, expected a list; correct it")
    return found


def joints_in_order(path: Path, content: dict[str, Any]) -> list[int]:
    """Where each of the 17 joints of COCO stands in the file."""
    names = listed(path, content, "keypoint_names", "the file")
    missing = [joint for joint in COCO.joints if joint not in names]
    if missing:
        raise InputError(f"{path}: 'keypoint_names' has no {missing[0]!r}; expected the 17 joints of COCO among them")
    return [names.index(joint) for joint in COCO.joints]


def person(path: Path, record: dict[str, Any], order: list[int], where: str) -> dict[str, Any]:
    """The fields of one COCO annotation that say where a person is."""
    given = listed(path, record, "keypoints", where)
    triples = numbers(path, given, len(given) // 3 * 3, f"'keypoints' of {where}", NOT_LABELLED).reshape(-1, 3)
    if len(triples) <= max(order):
        raise InputError(f"{path}: 'keypoints' of {where} has {len(triples)} joints, expected {max(order) + 1} or more")
    triples = triples[order]
    wrong = [flag for flag in triples[:, 2].tolist() if flag not in FLAGS]
    if wrong:
        raise InputError(f"{path}: 'keypoints' of {where} has the visibility {wrong[0]:g}, expected 0, 1, 2 or 3")
    triples[:, 2] = [FLAGS[int(flag)] for flag in triples[:, 2]]
    x0, y0, x1, y1 = numbers(path, field(path, record, "bbox", where), 4, f"'bbox' of {where}").tolist()
    return {
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        "keypoints": triples.ravel().tolist(),
        "num_keypoints": int((triples[:, 2] > 0).sum()),
    }
