"""What every reader returns: the photos of a data set with their people, and the skeleton that they are labelled with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.errors import InputError
from vitruvian.sample import HIDDEN, People, Photo
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True, eq=False)
class Labels:
    """The photos of one annotation file."""

    path: Path
    skeleton: Skeleton
    photos: tuple[Photo, ...]

    @property
    def num_people(self) -> int:
        """How many people are annotated, ignored ones included."""
        return sum(len(photo.people) for photo in self.photos)


def trainable(people: People) -> np.ndarray:
    """Mask (N,) of the people to learn from: not ignored, with a labelled joint and a box of positive sides."""
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    return ~people.ignored & (people.visibility >= HIDDEN).any(1) & (sides > 0).all(1)


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file; `what` says in the error what was looked for."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {what}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); expected {what}") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: not valid JSON at line {error.lineno} ({error.msg}); expected {what}, perhaps the file is cut off"
        ) from None


def field(path: Path, record: dict, key: str, where: str) -> Any:
    """`record[key]`, or an error that names file, record and key."""
    try:
        return record[key]
    except (KeyError, TypeError):
        raise InputError(f"{path}: {where} has no field '{key}'; add it") from None


def numbers(path: Path, value: Any, count: int | None, where: str) -> np.ndarray:
    """`value` as finite float64 numbers (count,), or an error that names file and field."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {where} is {str(value)[:60]!r}, expected numbers") from None
    if array.ndim != 1 or (count is not None and len(array) != count):
        raise InputError(f"{path}: {where} holds {array.size} numbers, expected {count}")
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {where} holds NaN or infinity; correct it, or set its visibility to 0 and it to 0")
    return array
