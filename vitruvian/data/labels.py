"""What every reader returns: the photos of a data set with their people, and the skeleton of their labels."""

from __future__ import annotations

import json
import math
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
    category_id: int = 1  # of the people, in COCO format; results are of it too
    content: Any = None  # of the file, where it was kept, for scoring

    @property
    def num_people(self) -> int:
        """How many people are annotated, ignored ones included."""
        return sum(len(photo.people) for photo in self.photos)


def trainable(people: People) -> np.ndarray:
    """Mask (N,) of the people to learn from: not ignored, with a labelled joint, an area and a box that has sides."""
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    return ~people.ignored & (people.visibility >= HIDDEN).any(1) & (sides > 0).all(1) & (people.areas > 0)


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file; `what` says in the error what was looked for."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows programs put a byte order mark first
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {what}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); expected {what}") from None
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


def numbers(path: Path, value: Any, shape: int | tuple[int, ...], where: str) -> np.ndarray:
    """`value` as finite float64 numbers of the given shape, or an error that names file and field."""
    shape = (shape,) if isinstance(shape, int) else shape
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":  # a text that looks like a number is none
        raise InputError(f"{path}: {where} is {str(value)[:60]!r}, expected numbers")
    if array.shape != shape:
        found, expected = (f"{s[0]} numbers" if len(s) == 1 else f"numbers shaped {s}" for s in (array.shape, shape))
        raise InputError(f"{path}: {where} holds {found}, expected {expected}")
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {where} holds NaN or infinity; correct it, or for a keypoint set x, y and v to 0")
    return array.astype(np.float64)


def identifier(path: Path, record: dict, key: str, where: str) -> int | str:
    """The id `record[key]`, or an error that names file, record and key."""
    value = field(path, record, key, where)
    if not isinstance(value, int | str):
        raise InputError(f"{path}: '{key}' of {where} is {value!r}, expected a whole number or a text")
    return value


def number(path: Path, value: Any, where: str) -> float:
    """`value` as a finite number, or an error that names file and field."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{path}: {where} is {value!r}, expected a number")
    return float(value)
