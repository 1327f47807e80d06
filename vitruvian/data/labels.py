"""What every reader returns: the photos of a data set with their people, and the skeleton of their labels."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.errors import InputError
from vitruvian.sample import HIDDEN, People, Photo
from vitruvian.skeletons import Skeleton, joint_difference


@dataclass(frozen=True, eq=False)
class Labels:
    """The photos of one annotation file."""

    path: Path
    skeleton: Skeleton
    photos: tuple[Photo, ...]
    category_id: int = 1  # of the people, in COCO format; results are of it too
    content: Any = None  # of the file, where it was kept, for scoring
    notes: tuple[str, ...] = ()  # what the reader took for granted, and how to have it otherwise
    subsets: tuple[tuple[str, frozenset[int]], ...] = ()  # names and annotation ids of parts that tables score apart

    @property
    def num_people(self) -> int:
        """How many people are annotated, ignored ones included."""
        return sum(len(photo.people) for photo in self.photos)


def require_joints(labels: Labels, skeleton: Skeleton, who: str, remedy: str) -> None:
    """Raises InputError where labels have other joints than a skeleton: who "finds" or "learns" these, what to do."""
    if different := joint_difference(labels.skeleton, skeleton):
        raise InputError(
            f"{labels.path} labels the {labels.skeleton.num_joints} joints of {labels.skeleton.name!r}, but {who} the "
            f"{skeleton.num_joints} of {skeleton.name!r} ({different}); {remedy}"
        )


def split_by_photo(labels: Labels, share: float) -> tuple[Labels, Labels]:
    """Labels to learn from, and those of a share of the photos with people, to be scored.

    A hash of a photo's file name says where it goes, so that neither their order nor chance has a part in it, and most
    photos stay where they are when others are added. A photo goes to the side where its people are together.

    Raises InputError where one of the sides would be empty.
    """
    with_people = [photo for photo in labels.photos if trainable(photo.people).any()]
    count = round(share * len(with_people))
    if not 0 < count < len(with_people):
        raise InputError(
            f"{labels.path}: {share:g} of its {len(with_people)} photos with people are {count}, which leaves none to "
            "score or none to learn from; set dataset.val_share to another value, or to 0 and give dataset.val_path"
        )
    ordered = sorted(with_people, key=lambda photo: hashlib.sha256(photo.path.name.encode()).digest())
    held = {photo.image_id for photo in ordered[:count]}
    sides = [tuple(photo for photo in labels.photos if (photo.image_id in held) == back) for back in (False, True)]
    return replace(labels, photos=sides[0], content=None), replace(labels, photos=sides[1])


Problems = AbstractContextManager[Any, bool | None]
"""The context in which a reader takes each record: it may keep an InputError and let the reader go on without it."""

STOP: Problems = nullcontext()
"""The context that lets the first problem end the reading."""

NOT_LABELLED = "correct it, or set x, y and v of that keypoint to 0"
"""What to do about keypoints that are no numbers."""


def trainable(people: People) -> np.ndarray:
    """Mask (N,) of the people to learn from: not ignored, with a labelled joint, an area and a box that has sides."""
    return ~people.ignored & labelled(people) & has_extent(people)


def labelled(people: People) -> np.ndarray:
    """Mask (N,) of the people with a labelled joint."""
    return (people.visibility >= HIDDEN).any(1)


def has_extent(people: People) -> np.ndarray:
    """Mask (N,) of the people with an area, and with a box that has sides within the photo."""
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    return (sides > 0).all(1) & (people.areas > 0)


def left_out(labels: Labels) -> str:
    """One line on the people who only for their boxes or areas are not looked at, or ""."""
    found = [
        (photo, int(person))
        for photo in labels.photos
        for person in np.flatnonzero(~photo.people.ignored & labelled(photo.people) & ~has_extent(photo.people))
    ]
    if not found:
        return ""
    photo, person = found[0]
    box = " ".join(f"{number:g}" for number in photo.people.boxes[person])
    return (
        f"{labels.path}: {len(found)} of {labels.num_people} people are left out, in training and in scoring by PCK, "
        "because their box has no extent inside the photo or their area is 0: annotation "
        f"{photo.annotation_ids[person]} first, box {box} (x0 y0 x1 y1) in {photo.size[0]} x {photo.size[1]} px, area "
        f"{photo.people.areas[person]:g}; correct these"
    )


def why_nobody(labels: Labels) -> str:
    """Why none of the people of labels is trainable, each cause with how many people it holds for."""
    if not labels.num_people:
        return "no person is annotated"
    everybody = [photo.people for photo in labels.photos]
    ignored = sum(int(people.ignored.sum()) for people in everybody)
    unlabelled = sum(int((~people.ignored & ~labelled(people)).sum()) for people in everybody)
    causes = {
        "to be ignored (iscrowd)": ignored,
        "without a labelled joint ('keypoints' missing, or v 0 in all)": unlabelled,
        "with a box or an area of no extent": labels.num_people - ignored - unlabelled,
    }
    parts = [f"{count} {cause}" for cause, count in causes.items() if count]
    return f"of {labels.num_people} people, " + ", ".join(parts)


def other_size(photo: Photo, found: tuple[int, int]) -> str:
    """What is wrong with a photo whose width and height px are not those that its annotations state, or ""."""
    if photo.size == found or not all(photo.size):
        return ""
    turned = ", perhaps turned by its EXIF orientation" if photo.size == found[::-1] else ""
    return (
        f"{photo.path} is {found[0]} x {found[1]} px{turned}, but its annotations say {photo.size[0]} x "
        f"{photo.size[1]} px of image {photo.image_id!r}; fetch the photo that was annotated, or scale the annotations"
    )


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8; `what` says in the error what was looked for."""
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows programs put a byte order mark first
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {what}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); expected {what}") from None


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file; `what` says in the error what was looked for."""
    text = read_text(path, what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno} ({error.msg})" if isinstance(error, json.JSONDecodeError) else f" ({error})"
        raise InputError(f"{path}: not valid JSON{where}; expected {what}, perhaps the file is cut off") from None


def field(path: Path, record: dict, key: str, where: str) -> Any:
    """`record[key]`, or an error that names file, record and key."""
    if not isinstance(record, dict):
        raise InputError(f"{path}: {where} is of type {type(record).__name__}, expected a mapping with a field '{key}'")
    if key not in record:
        raise InputError(f"{path}: {where} has no field '{key}'; add it")
    return record[key]


def numbers(path: Path, value: Any, shape: int | tuple[int, ...], where: str, remedy: str = "correct it") -> np.ndarray:
    """`value` as finite float64 numbers of the given shape, or an error that names file, field and, if they are not
    finite, the remedy.
    """
    shape = (shape,) if isinstance(shape, int) else shape
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":  # a text that looks like a number is none
        raise InputError(f"{path}: {where} is {str(value)[:60]!r}, expected numbers; correct it")
    if array.shape != shape:
        found, expected = (f"{s[0]} numbers" if len(s) == 1 else f"numbers shaped {s}" for s in (array.shape, shape))
        raise InputError(f"{path}: {where} holds {found}, expected {expected}; correct it")
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {where} holds NaN or infinity; {remedy}")
    return array.astype(np.float64)


def identifier(path: Path, record: dict, key: str, where: str) -> int | str:
    """The id `record[key]`, or an error that names file, record and key."""
    value = field(path, record, key, where)
    if not isinstance(value, int | str):
        raise InputError(f"{path}: '{key}' of {where} is {value!r}, expected a whole number or a text; correct it")
    return value


def file_name(path: Path, record: dict, key: str, where: str) -> str:
    """The name of a photo `record[key]`, or an error that names file, record and key."""
    value = field(path, record, key, where)
    if not isinstance(value, str) or not value:
        raise InputError(f"{path}: '{key}' of {where} is {str(value)[:60]!r}, expected the name of a photo; correct it")
    return value


def number(path: Path, value: Any, where: str) -> float:
    """`value` as a finite number, or an error that names file and field."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{path}: {where} is {value!r}, expected a number; correct it")
    return float(value)
