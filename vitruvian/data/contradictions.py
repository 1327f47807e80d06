"""What contradicts itself in annotations that can be read: one field another, people their photos, photos their files.

A reader takes such data as they are, or repairs them, as it says. Each function gives lines with file, id and remedy.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.data.faces import is_face
from vitruvian.data.labels import Labels, labelled, other_size
from vitruvian.errors import InputError
from vitruvian.images import check_image
from vitruvian.sample import People, Photo
from vitruvian.skeletons import COFW, CROWDPOSE

READERS = 8
"""Threads that look at photos: they wait for the disk."""


def contradicting_fields(labels: Labels, content: dict[str, Any]) -> Iterator[str]:
    """Contradictions within the annotations of a COCO-format file that was read as `labels`."""
    yield from unlisted_categories(labels, content)
    records = records_of(labels, content)
    yield from missing_areas(labels, records)
    for record in records:
        where = f"{labels.path}: annotation {record['id']}"
        yield from wrong_count(labels, record, where)
        width, height = record["bbox"][2:]
        area = record.get("area")
        if not (width > 0 and height > 0):
            yield f"{where} has a box of {width:g} x {height:g} px; correct 'bbox', which is x, y, width and height"
        elif area is not None and not area > 0:
            yield f"{where} has the area {area:g}; correct it, or leave it out"
        elif area is not None and area > 1.1 * width * height + 10:
            yield f"{where} has the area {area:g}, but its box {width:g} x {height:g} px has less; correct one of them"


def unlisted_categories(labels: Labels, content: dict[str, Any]) -> Iterator[str]:
    """Annotations of categories that the file does not list, which no reader takes."""
    known = [category.get("id", labels.category_id) for category in content["categories"]]
    for record in content["annotations"]:
        if isinstance(record, dict) and record.get("category_id", labels.category_id) not in known:
            yield (
                f"{labels.path}: annotation {record.get('id')} has category_id {record['category_id']!r}, which is not "
                f"in the list of categories ({', '.join(map(repr, known))}), and is left out; correct it, or add the "
                "category"
            )


def records_of(labels: Labels, content: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of a COCO-format file that are in `labels`: of those with one id the first."""
    read = {person for photo in labels.photos for person in photo.annotation_ids}
    records: dict[int | str, dict[str, Any]] = {}
    for record in content["annotations"]:
        if isinstance(record, dict) and record.get("category_id", labels.category_id) == labels.category_id:
            person = record.get("id")
            if isinstance(person, int | str) and person in read:
                records.setdefault(person, record)
    return list(records.values())


def missing_areas(labels: Labels, records: list[dict]) -> Iterator[str]:
    """People without `area`; CrowdPose has none."""
    without = [record["id"] for record in records if record.get("area") is None]
    if len(without) < len(records):
        for person in without:
            yield (
                f"{labels.path}: annotation {person} has no 'area', which others have; add it: training takes 0.53 of "
                "the box, scoring by OKS needs one of each"
            )
    elif without and labels.skeleton.joints != CROWDPOSE.joints:
        yield (
            f"{labels.path}: none of its {len(without)} annotations has an 'area', annotation {without[0]} first; 0.53 "
            "of the box is taken, as for CrowdPose; add the areas of the outlines for figures to compare with others"
        )


def wrong_count(labels: Labels, record: dict, where: str) -> Iterator[str]:
    """A `num_keypoints` that is not what is labelled in `keypoints`, in CrowdPose in its first 12 joints."""
    stated, values = record.get("num_keypoints"), record.get("keypoints") or []
    if stated is None:
        return
    counted = 12 if labels.skeleton.joints == CROWDPOSE.joints else None
    found = sum(v > 0 for v in values[2::3][:counted])
    if stated != found:
        yield (
            f"{where} has num_keypoints {stated!r}, but {found} keypoints with v above 0; write {found}, by which "
            "scoring chooses who counts, or correct 'keypoints'"
        )


def misplaced_people(labels: Labels, sizes: dict[Path, tuple[int, int]]) -> Iterator[tuple[bool, str]]:
    """People who are not where their photos and boxes are, each with whether that is certainly wrong.

    Args:
        labels: the annotations.
        sizes: width and height px of the photos that could be looked at.
    """
    for photo in labels.photos:
        people, (width, height) = photo.people, photo.size
        if not width or not height:
            width, height = sizes.get(photo.path, (0, 0))
        joints = people.visibility > 0
        points, boxes = people.keypoints[..., :2], people.boxes
        edge = np.array([width, height]) - 0.5
        near = 0.25 * (boxes[:, 2:] - boxes[:, :2]).max(1, initial=1)[:, None, None]
        inside = ((points >= boxes[:, None, :2] - near) & (points <= boxes[:, None, 2:] + near)).all(-1)
        for index in np.flatnonzero(labelled(people)).tolist():
            where, count = f"{labels.path}: {person_name(photo, index)}", int(joints[index].sum())
            origin = (points[index] == 0).all(-1) & joints[index]
            if origin.any():
                name = labels.skeleton.joints[int(np.flatnonzero(origin)[0])]
                yield False, f"{where} has '{name}' labelled at 0, 0; set its v to 0 if it is not labelled"
            if width and height:
                beyond = int((joints[index] & ((points[index] < -1.5) | (points[index] > edge + 1)).any(-1)).sum())
                if beyond:
                    text = f"{beyond} of {count} labelled joints outside of the photo of {width} x {height} px"
                    yield beyond == count, f"{where} has {text}; correct them, or set their v to 0"
            outside = int((joints[index] & ~inside[index]).sum())
            if 2 * outside > count:
                box = " ".join(f"{number:g}" for number in boxes[index].round(1))
                yield (
                    False,
                    f"{where} has {outside} of {count} labelled joints far from its box {box} (x0 y0 x1 y1); correct "
                    "one of them",
                )


def boxes_outside(labels: Labels, content: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """Boxes of a COCO-format file that leave their photos, each with whether nothing of it is inside."""
    if is_face(labels.skeleton):  # the edges of a face are found from outside of the photo
        return
    sizes = {person: photo.size for photo in labels.photos for person in photo.annotation_ids if all(photo.size)}
    for record in records_of(labels, content):
        width, height = sizes.get(record["id"], (np.inf, np.inf))
        x, y, w, h = record["bbox"]
        beyond = max(-x, -y, x + w - width, y + h - height)
        if beyond > 1 and w > 0 and h > 0:
            gone = x + w <= 0 or y + h <= 0 or x >= width or y >= height
            box = f"the box {x:g} {y:g} {w:g} {h:g} (x y width height)"
            text = "wholly outside of" if gone else f"up to {beyond:.0f} px outside of"
            remedy = "correct it" if gone else "what is outside is cut off"
            where = f"{labels.path}: annotation {record['id']} has {box}"
            yield gone, f"{where}, {text} the photo of {width} x {height} px; {remedy}"


def person_name(photo: Photo, index: int) -> str:
    """How messages call a person of a photo."""
    return f"annotation {photo.annotation_ids[index]} in {photo.path.name}"


def photo_problems(labels: Labels, sizes: dict[Path, tuple[int, int]]) -> Iterator[str]:
    """Photos that are missing or damaged, have another size than stated, or are listed twice.

    `sizes` is filled with width and height px of those that can be looked at.
    """
    paths = [photo.path for photo in labels.photos]
    if paths and not any(path.is_file() for path in paths):
        inside = labels.skeleton is COFW and labels.path.suffix.lower() == ".mat"
        remedy = "take them out of the file (--extract FOLDER)" if inside else "give their folder (--images FOLDER)"
        missing = f"{paths[0].name} not in {paths[0].parent}"
        yield f"{labels.path}: none of its {len(paths)} photos was found, {missing}; {remedy}"
        return
    listed: dict[Path, Any] = {}
    with ThreadPoolExecutor(READERS) as threads:
        for photo, found in zip(labels.photos, threads.map(looked_at, paths)):
            if photo.path in listed:
                yield (
                    f"{labels.path}: images {listed[photo.path]!r} and {photo.image_id!r} are the same file "
                    f"{photo.path.name}; put the people of both into one"
                )
            listed[photo.path] = photo.image_id
            if isinstance(found, str):
                yield found
                continue
            sizes[photo.path] = found
            if text := other_size(photo, found):
                yield text


def looked_at(path: Path) -> tuple[int, int] | str:
    """Width and height px of a photo, or what is wrong with it."""
    try:
        return check_image(path)
    except InputError as error:
        return str(error)


def extents(people: list[People]) -> np.ndarray:
    """The longer sides (N,) px of the boxes of all people."""
    boxes = np.concatenate([one.boxes for one in people]) if people else np.zeros((0, 4))
    return (boxes[:, 2:] - boxes[:, :2]).max(1) if len(boxes) else np.zeros(0)
