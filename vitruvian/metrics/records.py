"""Truth and results in COCO format as arrays: complete, checked, and with notes on what had to be repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitruvian.data.labels import read_json
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE

Record = Mapping[str, Any]
ValuesOf = Callable[[Record, str], Sequence[float]]
"""From a record, and what messages call it, to x, y and v of each of its joints, one after the other."""

MOST = 20
"""Results of an image that are looked at, the best ones."""

CROWD_BODY = 12
"""The first joints of CrowdPose, which its `num_keypoints` counts: not head and neck."""


class Truth(NamedTuple):
    """M people, in the order of the file."""

    image_numbers: dict[Any, int]  # 1, 2, ... by the ids of all images, in the order of the ids
    category_numbers: dict[Any, int]  # 1, 2, ... by the ids of the categories
    images: np.ndarray  # (M,) numbers
    categories: np.ndarray  # (M,) numbers
    keypoints: np.ndarray  # (M, K, 3) x px, y px, v; labelled where v > 0
    boxes: np.ndarray  # (M, 4) x, y, width, height px
    areas: np.ndarray  # (M,) px^2
    crowds: np.ndarray  # (M,) bool
    counts: np.ndarray  # (M,) num_keypoints; who has 0 does not count

    def of_images(self, chosen: np.ndarray) -> Truth:
        """The people of the images whose numbers are in `chosen`; all images remain known."""
        return self._replace(**_rows(self, _PEOPLE, np.isin(self.images, chosen)))


class Found(NamedTuple):
    """N results, in the order of the file."""

    images: np.ndarray  # (N,) numbers as those of Truth
    categories: np.ndarray  # (N,) numbers as those of Truth
    keypoints: np.ndarray  # (N, K, 3) x px, y px, score
    scores: np.ndarray  # (N,)
    areas: np.ndarray  # (N,) px^2

    def select(self, index: np.ndarray) -> Found:
        """The results at `index`, a mask or indices."""
        return self._replace(**_rows(self, self._fields, index))


_PEOPLE = ("images", "categories", "keypoints", "boxes", "areas", "crowds", "counts")


def read_truth(
    content: Any, joints: int, use_area: bool = True, values_of: ValuesOf | None = None, name: str = "the truth"
) -> tuple[Truth, list[str]]:
    """The people of COCO annotations, and what is to be said about the file, a line each.

    Args:
        content: annotations, a dict.
        joints: K.
        use_area: False: the area of a person is .53 of the box, whatever the file says (CrowdPose).
        values_of: where a person's joints are; None: in `keypoints`, a person without it has none labelled, and
            `num_keypoints` is the file's. With a function they are counted.
        name: what messages call the file.

    Raises:
        InputError: a field is missing or holds something else; the message names file, annotation and field.
    """
    if not isinstance(content, Mapping):
        raise InputError(f"{name}: found a {type(content).__name__}, expected a dict of COCO annotations")
    require(content, ("images", "annotations"), name)
    image_numbers, notes = _number_images(content["images"], name)
    records = _checked_records(content["annotations"], f"{name}: annotation")

    def where(index: int) -> str:
        return f"{name}: annotation {records[index].get('id', index)}"

    ids = _column(records, "image_id", where)
    images = [image_numbers.get(image) for image in ids]
    if None in images:
        index = images.index(None)
        raise InputError(f"{where(index)} is of image {ids[index]!r}, which is not in the list of images; add it")
    boxes = table(_column(records, "bbox", where), 4, where, "bbox")
    areas = _areas(records, boxes, use_area, where)
    keypoints, counts, lines = _labelled_joints(records, joints, use_area, values_of, where)
    categories = [record.get("category_id", 1) for record in records]
    known = [category.get("id", 1) for category in content.get("categories", ())]
    numbers = {category: number for number, category in enumerate(dict.fromkeys([*known, *categories]), start=1)}
    truth = Truth(
        image_numbers,
        numbers,
        np.array(images, np.int64),
        np.array([numbers[category] for category in categories], np.int64),
        keypoints,
        boxes,
        areas,
        np.array([bool(record.get("iscrowd", 0)) for record in records], bool),
        counts,
    )
    return truth, [*notes, *_notes_on_ids(records, name), *lines, *_notes_on_crowds(records, name)]


def read_found(
    content: Any, truth: Truth, joints: int, values_of: ValuesOf | None = None, name: str = "the results"
) -> tuple[Found, list[str]]:
    """The results of a COCO results file, checked against the truth, and what is to be said about them, a line each.

    Args:
        content: results, a list.
        truth: whose images and categories they are of.
        joints: K.
        values_of: where a result's joints are; None: in `keypoints`. With a function the size of a result is the extent
            of its first 17 joints, and boxes play no part (whole bodies).
        name: what messages call the file.

    Raises:
        InputError: a field is missing or holds something else, or a result is of an unknown image or category; the
            message names file, result and field.
    """
    if isinstance(content, str) or not isinstance(content, Sequence):
        raise InputError(f"{name}: found a {type(content).__name__}, expected a list of COCO results")
    records = _checked_records(content, f"{name}: result")

    def where(index: int) -> str:
        return f"{name}: result {index}"

    columns = {key: _column(records, key, where) for key in ("image_id", "category_id", "keypoints", "score")}
    images = _numbers_of(columns["image_id"], truth.image_numbers)
    if None in images:
        index = images.index(None)
        raise InputError(
            f"{where(index)} is of image {columns['image_id'][index]!r}, which the truth does not list; expected "
            f"results of its {len(truth.image_numbers)} images alone"
        )
    categories = _numbers_of(columns["category_id"], truth.category_numbers)
    if None in categories:
        index = categories.index(None)
        expected = ", ".join(map(repr, truth.category_numbers)) or "none"
        raise InputError(f"{where(index)} has category_id {columns['category_id'][index]!r}, the truth has {expected}")
    lists = columns["keypoints"] if values_of is None else [values_of(r, where(i)) for i, r in enumerate(records)]
    values = table(lists, 3 * joints, where, "keypoints")
    scores = table([[score] for score in columns["score"]], 1, where, "score")[:, 0]
    wrong = ~(np.isfinite(values).all(1) & np.isfinite(scores))
    if wrong.any():
        index = int(wrong.argmax())
        image = columns["image_id"][index]
        raise InputError(f"{where(index)}, of image {image!r}, holds NaN or infinity; expected finite numbers")
    keypoints = values.reshape(len(records), joints, 3)
    numbers = np.array(images, np.int64)
    areas, note = _sizes(records, keypoints, values_of is not None, name, where)
    found = Found(numbers, np.array(categories, np.int64), keypoints, scores, areas)
    return found, _notes_on_results(found, name, note, values_of is not None)


class Named(NamedTuple):
    """Content that was read already, with what messages call it."""

    name: str
    content: Any


def load_records(source: Any, role: str) -> Named:
    """`source` and what messages call it, read where it is a path."""
    if isinstance(source, Named):
        return source
    if isinstance(source, (str, Path)):
        return Named(str(source), read_json(Path(source), f"{role} in COCO format"))
    return Named(role, source)


def require(record: Record, keys: Sequence[str], where: str) -> None:
    """Raises InputError unless the record has all of the keys."""
    for key in keys:
        if key not in record:
            raise InputError(f"{where} has no {key!r}, found {', '.join(map(str, record)) or 'nothing'}; add it")


def _rows(arrays: Any, names: Sequence[str], index: np.ndarray) -> dict[str, np.ndarray]:
    return {name: getattr(arrays, name)[index] for name in names}


def _number_images(images: Sequence[Record], name: str) -> tuple[dict[Any, int], list[str]]:
    """Image id -> 1, 2, ...: evaluators want integers, and rank equal scores of different images by them."""
    for index, image in enumerate(_checked_records(images, f"{name}: image")):
        require(image, ("id",), f"{name}: image {index}")
    count = Counter(image["id"] for image in images)
    ids = sorted(count, key=lambda image_id: (isinstance(image_id, str), image_id))
    twice = [image_id for image_id in ids if count[image_id] > 1]
    notes = [f"{name}: image {one!r} is listed {count[one]} times; counted once" for one in twice[:1]]
    return {image_id: number for number, image_id in enumerate(ids, start=1)}, notes


def _checked_records(records: Any, what: str) -> Sequence[Record]:
    """The records, if they are a list of mappings."""
    if isinstance(records, str) or not isinstance(records, Sequence):
        raise InputError(f"{what}s are a {type(records).__name__}, expected a list of records")
    for index, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise InputError(f"{what} {index} is a {type(record).__name__}, expected a record with named fields")
    return records


def _column(records: Sequence[Record], key: str, where: Callable[[int], str]) -> list[Any]:
    """One field of all records, which must have it."""
    for index, record in enumerate(records):
        if key not in record:
            require(record, (key,), where(index))
    return [record[key] for record in records]


def _numbers_of(ids: Sequence[Any], numbers: Mapping[Any, int]) -> list[int | None]:
    """The number of each id, None for those that have none."""
    return [numbers.get(one) if isinstance(one, (Real, str)) else None for one in ids]


def table(rows: Sequence[Sequence[float]], width: int, where: Callable[[int], str], key: str) -> np.ndarray:
    """(N, width) float64 of the values under `key`; raises InputError for what is no list of as many numbers."""
    try:
        array = np.asarray(rows)
    except ValueError:  # of different lengths
        array = np.zeros(0)
    if array.shape == (len(rows), width) and array.dtype.kind in "iuf":
        return array.astype(np.float64)
    for index, row in enumerate(rows):
        values = row if _is_list(row) else [row]
        if len(values) != width:
            expected = f"3 for each of {width // 3} joints" if key == "keypoints" else f"{width}"
            raise InputError(f"{where(index)} has {len(values)} values in {key!r}, expected {expected}")
        wrong = [value for value in values if isinstance(value, bool) or not isinstance(value, Real)]
        if wrong:
            raise InputError(f"{where(index)} has {wrong[0]!r} in {key!r}, expected numbers; correct it")
    return np.array(rows, np.float64).reshape(len(rows), width)


def _areas(records: Sequence[Record], boxes: np.ndarray, use_area: bool, where: Callable[[int], str]) -> np.ndarray:
    """(M,) px^2: what OKS measures a person by."""
    if not use_area:
        return BOX_SHARE * boxes[:, 2] * boxes[:, 3]
    for index, record in enumerate(records):
        if "area" not in record:
            raise InputError(
                f"{where(index)} has no 'area', which OKS needs: add the area of the mask, or for a data set without "
                "masks (CrowdPose) evaluate with use_area=False"
            )
    areas = table([[record["area"]] for record in records], 1, where, "area")[:, 0]
    if not (areas >= 0).all():
        index = int((~(areas >= 0)).argmax())
        raise InputError(f"{where(index)} has an area of {areas[index]:g} px^2, expected 0 or more; correct it")
    return areas


def _labelled_joints(
    records: Sequence[Record], joints: int, use_area: bool, values_of: ValuesOf | None, where: Callable[[int], str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Keypoints (M, K, 3) and num_keypoints (M,) of the truth, and notes on the latter."""
    if values_of is None:
        # A person with a box alone has no labelled joint, as the reader of labels has it.
        nothing = [0.0] * (3 * joints)
        given = [record.get("keypoints") for record in records]
        lists = [nothing if values is None or (_is_list(values) and not len(values)) else values for values in given]
    else:
        lists = [values_of(record, where(index)) for index, record in enumerate(records)]
    keypoints = table(lists, 3 * joints, where, "keypoints").reshape(len(records), joints, 3)
    labelled = keypoints[..., 2] > 0
    wrong = (labelled & ~np.isfinite(keypoints).all(2)).any(1)
    if wrong.any():
        raise InputError(
            f"{where(int(wrong.argmax()))} has a labelled keypoint that is not finite; set its visibility to 0"
        )
    counted = labelled.sum(1)
    if values_of is not None:
        return keypoints, counted, []
    stated = [[record.get("num_keypoints", number)] for record, number in zip(records, counted.tolist())]
    counts = table(stated, 1, where, "num_keypoints")[:, 0]
    missing = [index for index, record in enumerate(records) if "num_keypoints" not in record]
    wrong = counts != counted
    if not use_area:
        wrong &= counts != labelled[:, :CROWD_BODY].sum(1)
    notes = []
    if missing:
        people = _many(len(missing), "person", "people")
        notes.append(f"{where(missing[0])} first: {people} without 'num_keypoints'; counted from v > 0")
    if wrong.any():
        index, people = int(wrong.argmax()), _many(int(wrong.sum()), "person", "people")
        out = int((wrong & (counts == 0)).sum())
        notes.append(
            f"{where(index)} first: {people} whose 'num_keypoints' contradicts v ({counts[index]:g} stated, "
            f"{counted[index]} with v > 0); the stated number holds, and {out} of them do not count for it"
        )
    return keypoints, counts, notes


def _sizes(
    records: Sequence[Record], keypoints: np.ndarray, whole_body: bool, name: str, where: Callable[[int], str]
) -> tuple[np.ndarray, str]:
    """Areas (N,) px^2 of the results, and a line that says what they are of."""
    boxed = [index for index, record in enumerate(records) if record.get("bbox") not in (None, [])]
    if boxed and boxed[0] == 0 and not whole_body:
        if len(boxed) < len(records):
            index = next(i for i, box in enumerate([*boxed, -1]) if i != box)
            raise InputError(
                f"{where(index)} has no 'bbox', but the first result has one; give all of them boxes, or none"
            )
        boxes = table([record["bbox"] for record in records], 4, where, "bbox")
        return boxes[:, 2] * boxes[:, 3], (
            f"{name}: the results carry boxes, so a pose is as large as its box, which AP and AR of M and L depend on"
        )
    points = keypoints[:, : 17 if whole_body else None, :2]
    note = f"{name}: {_many(len(boxed), 'result')} with a 'bbox', the first without; no box is used" if boxed else ""
    return np.ptp(points, axis=1).prod(1) if len(points) else np.zeros(0), "" if whole_body else note


def _notes_on_ids(records: Sequence[Record], name: str) -> list[str]:
    """What is to be said about the ids of annotations, which the evaluation numbers anew."""
    count = Counter(str(record["id"]) for record in records if "id" in record)
    causes = {"id 0": count["0"], "no id": len(records) - count.total()}
    causes["an id that another has, too"] = sum(number for number in count.values() if number > 1)
    texts = [f"{_many(number, 'annotation')} with {cause}" for cause, number in causes.items() if number]
    return [f"{name}: {', '.join(texts)}; numbered anew from 1, no figure depends on ids"] if texts else []


def _notes_on_crowds(records: Sequence[Record], name: str) -> list[str]:
    missing = sum("iscrowd" not in record for record in records)
    return [f"{name}: {_many(missing, 'annotation')} without 'iscrowd'; taken as 0"] if missing else []


def _notes_on_results(found: Found, name: str, size: str, whole_body: bool) -> list[str]:
    notes = [size] if size else []
    if not len(found.scores):
        return [f"{name}: no results at all; every figure that is defined is 0"]
    blind = int((~(found.keypoints[..., 2] != 0).any(1)).sum())
    if blind:
        fate = (
            "left out, as COCO-WholeBody's own evaluation does" if whole_body else "kept, as COCO's own evaluation does"
        )
        notes.append(f"{name}: {_many(blind, 'result')} whose joints all have the score 0; {fate}")
    beyond = int((ranks(found) >= MOST).sum())
    if beyond:
        notes.append(f"{name}: {_many(beyond, 'result')} beyond the best {MOST} of an image; not looked at")
    return notes


def ranks(found: Found) -> np.ndarray:
    """(N,) the place of each result among those of its image and category, 0 the best; of equals the earlier first."""
    order = np.lexsort((-found.scores, found.categories, found.images))
    groups = np.stack([found.images, found.categories], 1)[order]
    first = np.ones(len(order), bool)
    first[1:] = (groups[1:] != groups[:-1]).any(1)
    places = np.arange(len(order))
    of_group = places - np.maximum.accumulate(np.where(first, places, 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = of_group
    return rank


def _is_list(value: Any) -> bool:
    """Whether a value is a list, a tuple or an array, and no text."""
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)


def _many(number: int, one: str, more: str = "") -> str:
    """1 image, 2 images."""
    return f"{number} {one}" if number == 1 else f"{number} {more or one + 's'}"
