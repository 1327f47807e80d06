"""What a file of annotations, boxes or results holds and what is wrong with it: all of it, and a sheet of pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vitruvian.data.boxes import image_ids, read_boxes
from vitruvian.data.coco import WHOLE_BODY
from vitruvian.data.contradictions import (
    boxes_outside,
    contradicting_fields,
    extents,
    misplaced_people,
    photo_problems,
)
from vitruvian.data.labels import Labels, has_extent, labelled, number, numbers
from vitruvian.data.labels import field as field_of
from vitruvian.data.reading import PREDICTIONS, Found, labels_of, read_labels, recognise
from vitruvian.draw import as_poses, contact_sheet, draw_poses, enlarge
from vitruvian.errors import InputError
from vitruvian.images import read_image
from vitruvian.sample import HIDDEN, SEEN, Poses
from vitruvian.skeletons import COCO_WHOLEBODY, Skeleton

PICTURES = 24
"""Photos on a sheet."""

TILE = 360  # px, the longer side of a picture


RESULTS = PREDICTIONS[1]


class Kept:
    """A context that keeps each InputError raised in it, once, and lets its user go on."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, InputError):
            self.found[str(error)] = None
            return True
        return False


@dataclass
class Inspection:
    """What was found in a file."""

    path: Path
    form: str  # what the file was recognised as
    facts: dict[str, Any] = field(default_factory=dict)  # plain values
    problems: list[str] = field(default_factory=list)  # to be put right, each with file, id and remedy
    notes: list[str] = field(default_factory=list)  # worth a look
    pictures: list[tuple[Path, Poses]] = field(default_factory=list)  # what can be drawn
    skeleton: Skeleton | None = None


def inspect(
    path: str | Path, images: str | Path = "", data: str | Path = "", category: str = "", split: str = ""
) -> Inspection:
    """Looks at a file of annotations of any format that the library reads, of detected boxes or of results.

    Nothing stops it: what a reader refuses is one of the problems, and so is what it repairs or what contradicts
    itself. Photos are looked at without decoding them.

    Args:
        path: the file, or the folder of 300W's points.
        images: the folder of the photos; empty: the usual places beside the file.
        data: for boxes and results, the annotations of their photos; empty: they are looked at by themselves.
        category: in COCO format, the name of the one that is read; empty: the first with keypoints.
        split: of files that hold several, the one that is looked at; of boxes and results, that of `data`.

    Raises:
        InputError: the file is not there, or `data` cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; expected annotations, detected boxes or results")
    kept, found = Kept(), Found("unreadable", None)
    with kept:
        found = recognise(path, kept, "" if data else split)
    if found.form in PREDICTIONS:
        labels = read_labels(data, images, category=category, split=split) if data else None
        return inspect_predictions(path, found, labels)
    if data:
        raise InputError(f"{path}: holds no boxes or results; --data FILE is for those alone, leave it out")
    labels = None
    if found.content is not None:
        with kept:
            labels = labels_of(path, found, images, category, kept, split)
    if labels is None:
        return Inspection(path, found.form, problems=list(kept.found))
    inspection = Inspection(path, found.form, problems=list(kept.found), notes=list(labels.notes))
    inspect_labels(inspection, labels, found.content)
    return inspection


def inspect_labels(found: Inspection, labels: Labels, content: Any) -> None:
    """Adds to an inspection what there is in annotations, and what in them contradicts itself."""
    sizes: dict[Path, tuple[int, int]] = {}
    certain: list[tuple[bool, str]] = []
    if found.form == "COCO":
        found.problems += contradicting_fields(labels, content)
        certain += boxes_outside(labels, content)
    found.problems += photo_problems(labels, sizes)
    certain += misplaced_people(labels, sizes)
    found.problems += [text for wrong, text in certain if wrong]
    found.notes += [text for wrong, text in certain if not wrong]
    if not labels.num_people:
        found.problems.append(f"{labels.path}: nobody in it could be read; see what else is said, or give another file")
    found.skeleton, found.facts = labels.skeleton, facts_of(labels, sizes)
    there = [photo for photo in labels.photos if photo.path in sizes and len(photo.people)]
    told = [photo for photo in there if labelled(photo.people).any()]
    found.pictures = [(photo.path, as_poses(photo.people)) for photo in told or there]


def inspect_predictions(path: Path, recognised: Found, labels: Labels | None) -> Inspection:
    """Looks at detected boxes, or at results, and at whether they are of the photos of `labels`."""
    kept, records = Kept(), recognised.content
    found = Inspection(path, recognised.form)
    known = None if labels is None else {photo.image_id: photo.path for photo in labels.photos}
    poses: dict[int | str, Poses] = {}
    found.skeleton = None if labels is None else labels.skeleton
    if recognised.form == RESULTS:
        poses, scores = read_results(path, records, labels, kept)
    else:
        boxes = {}
        with kept:
            boxes = read_boxes(path, labels, -np.inf, kept)
        joints = 1 if labels is None else labels.skeleton.num_joints
        for image_id, (corners, of_boxes) in boxes.items():
            nothing = np.zeros((len(corners), joints))
            poses[image_id] = Poses(np.full((*nothing.shape, 2), np.nan), nothing, of_boxes, corners)
        scores = np.concatenate([one.scores for one in poses.values()]) if poses else np.zeros(0)
    found.problems = list(kept.found)
    found.facts = {
        "records": len(records),
        "images": len(poses),
        "scores": spread(scores, 3),
        "most of an image": max((len(one) for one in poses.values()), default=0),
    }
    if known is not None:
        found.facts["images without any"] = sum(image_id not in poses for image_id in known)
        there = [(known[image_id], one) for image_id, one in poses.items() if image_id in known]
        found.pictures = [(photo, one) for photo, one in there if photo.is_file()]
    return found


def read_results(
    path: Path, records: list[Any], labels: Labels | None, kept: Kept
) -> tuple[dict[int | str, Poses], np.ndarray]:
    """The poses of each image of a results file, best first, and all scores; damaged records are kept as problems."""
    image_of = image_ids(path, records, labels)
    joints = labels.skeleton.num_joints if labels is not None else common_joints(records)
    rows: dict[int | str, list[tuple[float, np.ndarray]]] = {}
    seen: dict[tuple, int] = {}
    for index, record in enumerate(records):
        with kept:
            where = f"result {index}"
            image_id = image_of(record, where)
            score = number(path, field_of(path, record, "score", where), f"'score' of {where}")
            triples = result_joints(path, record, joints, where)
            twin = seen.setdefault((image_id, triples.tobytes()), index)
            if twin != index:
                raise InputError(f"{path}: {where} is the same pose as result {twin}; keep one of them")
            rows.setdefault(image_id, []).append((score, triples))
    poses = {}
    for image_id, found in rows.items():
        found.sort(key=lambda row: -row[0])
        triples = np.stack([row[1] for row in found])
        poses[image_id] = Poses(triples[..., :2], triples[..., 2], np.array([row[0] for row in found]))
    return poses, np.concatenate([one.scores for one in poses.values()]) if poses else np.zeros(0)


def common_joints(records: list[Any]) -> int:
    """How many joints most of the results have."""
    lists = [record["keypoints"] for record in records if isinstance(record, dict) and "keypoints" in record]
    counts = Counter(len(one) // 3 for one in lists if isinstance(one, list))
    return counts.most_common(1)[0][0] if counts else 0


def result_joints(path: Path, record: dict, joints: int, where: str) -> np.ndarray:
    """x, y and score (K, 3) of a result; a whole body may stand in five fields."""
    given = field_of(path, record, "keypoints", where)
    if joints == COCO_WHOLEBODY.num_joints and "face_kpts" in record:
        names = ["keypoints", *(f"{name}_kpts" for name in WHOLE_BODY.values())]
        given = [value for name in names for value in field_of(path, record, name, where)]
    return numbers(path, given, 3 * joints, f"'keypoints' of {where}").reshape(-1, 3)


def facts_of(labels: Labels, sizes: dict[Path, tuple[int, int]]) -> dict[str, Any]:
    """Counts and sizes of annotations, as plain values."""
    people = [photo.people for photo in labels.photos]
    counted = [one.select(~one.ignored) for one in people]
    joined = [one.visibility[labelled(one)] for one in counted]
    flags = np.concatenate(joined) if joined else np.zeros((0, labels.skeleton.num_joints), np.int8)
    photo_sizes = [sizes.get(photo.path, photo.size) for photo in labels.photos]
    known = np.array([size for size in photo_sizes if all(size)]).reshape(-1, 2)
    count = max(len(flags), 1)
    return {
        "skeleton": labels.skeleton.name,
        "joints": labels.skeleton.num_joints,
        "images": len(labels.photos),
        "images without people": sum(not len(one) for one in people),
        "photos found": len(sizes),
        "folder of the photos": str(labels.photos[0].path.parent) if labels.photos else "",
        "photo widths": spread(known[:, 0]),
        "photo heights": spread(known[:, 1]),
        "people": labels.num_people,
        "most people in an image": max((len(one) for one in people), default=0),
        "ignored": int(sum(one.ignored.sum() for one in people)),
        "without a labelled joint": int(sum((~labelled(one)).sum() for one in counted)),
        "without extent": int(sum((labelled(one) & ~has_extent(one)).sum() for one in counted)),
        "box sides": spread(extents(counted)),
        "in space": bool(people) and people[0].keypoints.shape[-1] == 3,
        "labelled": dict(zip(labels.skeleton.joints, ((flags >= HIDDEN).sum(0) / count).round(4).tolist())),
        "seen": dict(zip(labels.skeleton.joints, ((flags == SEEN).sum(0) / count).round(4).tolist())),
    }


def spread(values: np.ndarray, digits: int = 1) -> list[float]:
    """Least, median and largest; empty for none."""
    if not len(values):
        return []
    return [round(float(one), digits) for one in (values.min(), np.median(values), values.max())]


def sheet_of(found: Inspection) -> np.ndarray | None:
    """Up to 24 photos with what the file says of them; None where there is none to draw."""
    if not found.pictures or found.skeleton is None:
        return None
    chosen = np.unique(np.linspace(0, len(found.pictures) - 1, PICTURES).round().astype(int))
    pictures, captions = [], []
    for index in chosen:
        path, poses = found.pictures[index]
        try:
            image, poses = enlarge(*part_with(read_image(path), poses), TILE)
        except InputError as error:  # damage that only decoding shows
            found.problems.append(str(error))
            continue
        drawn = draw_poses(image, poses, found.skeleton, 0 if found.form == RESULTS else 0.5, boxes=True)
        pictures.append(drawn)
        captions.append(path.name)
    return contact_sheet(pictures, min(6, len(pictures)), captions, TILE) if pictures else None


def part_with(image: np.ndarray, poses: Poses) -> tuple[np.ndarray, Poses]:
    """The part of a photo round all boxes or joints, with a margin: people may be small in it."""
    points = poses.keypoints[..., :2].reshape(-1, 2)
    corners = points if poses.boxes is None else np.concatenate([points, poses.boxes.reshape(-1, 2)])
    corners = corners[np.isfinite(corners).all(1)]
    if not len(corners):
        return image, poses
    low, high = corners.min(0), corners.max(0)
    margin = 0.15 * (high - low).max() + 4
    limit = np.array(image.shape[1::-1])
    start = np.clip(np.floor(low - margin), 0, limit - 8).astype(int).clip(0)
    end = np.clip(np.ceil(high + margin), start + 8, limit).astype(int)
    keypoints = np.array(poses.keypoints, np.float64)
    keypoints[..., :2] -= start
    boxes = None if poses.boxes is None else poses.boxes - np.tile(start, 2)
    part = image[start[1] : end[1], start[0] : end[0]]
    return part, Poses(keypoints, poses.joint_scores, poses.scores, boxes)
