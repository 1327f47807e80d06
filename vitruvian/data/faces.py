"""Readers for landmarks of faces: WFLW's lists, the tables that come with HRNet, and 300W's points, a file a photo.

A face's box is the square that published figures frame it by: round the middle of its landmarks, its side the longer
one of their extent, both in whole pixels. Files that state it (`center` and `scale`, 200 px each) state the same. A
crop is this square times 1.25 and is not clipped to the photo.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitruvian.data.labels import STOP, Labels, Problems, number, numbers, read_text
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE
from vitruvian.sample import HIDDEN, NOT_LABELLED, SEEN, People, Photo
from vitruvian.skeletons import AFLW, COFW, IBUG_68, LAPA, WFLW, Skeleton

SKELETONS = {skeleton.num_joints: skeleton for skeleton in (AFLW, COFW, IBUG_68, WFLW, LAPA)}
"""The faces by how many landmarks they have: none of their files names them."""

SCALE = 200.0  # px that a scale of 1 stands for
WFLW_COLUMNS = 207  # x and y of 98 landmarks, a box, six attributes, the photo
WFLW_SUBSETS = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")
"""The attributes of a line of WFLW, 1 where a face is of the part of the test set that goes by this name."""


class Face(NamedTuple):
    """What a file says of one face beside its landmarks."""

    square: np.ndarray  # (4,) x0 y0 x1 y1 px
    size: float | None = None  # px that errors are divided by, of AFLW


def is_face(skeleton: Skeleton) -> bool:
    """Whether a skeleton is one of a face alone."""
    return set(skeleton.parts) == {"face"}


def square_of(points: np.ndarray) -> np.ndarray:
    """The square (4,) px round landmarks (K, 2) px, NaN where not known, that published figures frame a face by."""
    low, high = np.floor(np.nanmin(points, 0)), np.ceil(np.nanmax(points, 0))
    return square((low + high) / 2, float((high - low).max()))


def square(centre: np.ndarray, side: float) -> np.ndarray:
    """The square (4,) px of a side about a centre (2,)."""
    return np.concatenate([centre - side / 2, centre + side / 2])


def as_faces(people: People, faces: list[Face | None]) -> People:
    """The people of a COCO-format file as faces: those with a square of their own have it for a box.

    Files that never say 2 mean by 1 that a landmark is labelled, and nothing about whether it is seen.
    """
    boxes = [box if face is None else face.square for box, face in zip(people.boxes, faces)]
    sizes = [None if face is None else face.size for face in faces]
    never = ~(people.visibility == SEEN).any(1, keepdims=True)
    return replace(
        people,
        visibility=np.where(never & (people.visibility == HIDDEN), SEEN, people.visibility).astype(np.int8),
        boxes=np.stack(boxes).astype(np.float32),
        head_sizes=None if None in sizes else np.array(sizes, np.float32),
    )


def read_face(path: Path, record: dict, where: str) -> Face | None:
    """What one annotation of a COCO-format file says of its face; None where it has no `center` and `scale`."""
    if "center" not in record or "scale" not in record:
        return None
    centre = numbers(path, record["center"], 2, f"'center' of {where}")
    side = SCALE * number(path, record["scale"], f"'scale' of {where}")
    size = record.get("box_size")
    return Face(square(centre, side), None if size is None else number(path, size, f"'box_size' of {where}"))


def unnamed_face(content: dict[str, Any]) -> tuple[Skeleton, int] | None:
    """Skeleton and category of a COCO-format file of faces that lists no names, told by the number of its landmarks.

    None for other files: those that name joints, or whose annotations have no `center` and `scale`.
    """
    categories = [one for one in content["categories"] if isinstance(one, dict)]
    unnamed = next((one for one in categories if not one.get("keypoints")), None)
    if unnamed is None or any(one.get("keypoints") for one in categories):
        return None
    category_id = unnamed.get("id", 1)
    for record in content["annotations"]:
        if isinstance(record, dict) and record.get("category_id", category_id) == category_id:
            points = record.get("keypoints")
            if isinstance(points, list) and len(points) // 3 in SKELETONS and {"center", "scale"} <= record.keys():
                return SKELETONS[len(points) // 3], category_id
    return None


def faces_of(
    points: np.ndarray, squares: np.ndarray, hidden: np.ndarray | None = None, sizes: np.ndarray | None = None
) -> People:
    """N faces from landmarks (N, K, 2) px, NaN where not known, and squares (N, 4) px.

    Args:
        points: the landmarks.
        squares: the boxes.
        hidden: (N, K) which landmarks are labelled but hidden; None: none.
        sizes: (N,) px that errors are divided by, where the data set has them.
    """
    known = ~np.isnan(points).any(-1)
    flags = np.where(known, SEEN, NOT_LABELLED) if hidden is None else np.where(known, SEEN - (hidden > 0), 0)
    sides = squares[:, 2:] - squares[:, :2]
    return People(
        keypoints=points.astype(np.float32),
        visibility=flags.astype(np.int8),
        boxes=squares.astype(np.float32),
        areas=(BOX_SHARE * sides.prod(1)).astype(np.float32),
        ignored=np.zeros(len(points), bool),
        head_sizes=None if sizes is None else sizes.astype(np.float32),
    )


class Line(NamedTuple):
    """One face of a list or a table."""

    name: str  # of the photo
    index: int  # which line of the file, from 0
    points: np.ndarray  # (K, 2) px
    square: np.ndarray  # (4,) px
    size: float | None = None  # as in Face


def labels_of(
    path: Path, skeleton: Skeleton, lines: list[Line], images: Path | None, places: tuple[str, ...]
) -> Labels:
    """The labels of faces, those of one photo together. Photos are in `images`, or in one of `places` near the file."""
    folder = images or photo_folder(path, [line.name for line in lines], places)
    by_photo: dict[str, list[Line]] = {}
    for line in lines:
        by_photo.setdefault(line.name, []).append(line)
    photos = []
    for name, group in by_photo.items():
        sizes = [line.size for line in group if line.size is not None]
        people = faces_of(
            np.stack([line.points for line in group]),
            np.stack([line.square for line in group]),
            sizes=np.array(sizes) if len(sizes) == len(group) else None,
        )
        photos.append(Photo(folder / name, name, (0, 0), people, tuple(line.index for line in group)))
    return Labels(path, skeleton, tuple(photos))


def photo_folder(path: Path, names: list[str], places: tuple[str, ...]) -> Path:
    """The first of the folders `places`, in the file's own and in the three above it, that has the first photo."""
    folders = [base / place for base in (path.parent, *list(path.parents)[1:4]) for place in ("", *places)]
    return next((folder for folder in folders if names and (folder / names[0]).is_file()), path.parent / places[0])


def read_wflw(path: Path, images: Path | None = None, content: Any = None, problems: Problems = STOP) -> Labels:
    """The faces of a list of WFLW, `list_98pt_rect_attr_train.txt` or `..._test.txt`: one a line, 207 columns.

    The list's own box is left out: published figures frame a face by its landmarks. The six attributes are `subsets`.

    Args:
        path: the list.
        images: the folder of the photos; without it `WFLW_images` and `images` near the file are tried.
        content: the file's rows of texts, where it is read already.
        problems: what becomes of a damaged line.

    Raises:
        InputError: a line has other columns; the message names file and line.
    """
    lines = []
    members: dict[str, set[int]] = {name: set() for name in WFLW_SUBSETS}
    for index, row in enumerate(content if content is not None else text_rows(path)):
        with problems:
            where = f"line {index + 1}"
            if len(row) != WFLW_COLUMNS:
                raise InputError(
                    f"{path}: {where} has {len(row)} columns, expected {WFLW_COLUMNS}: 98 times x and y, a box, six "
                    "attributes and the photo; correct or remove it"
                )
            points = texts_as_numbers(path, row[:196], where).reshape(98, 2)
            lines.append(Line(row[-1], index, points, square_of(points)))
            for name, value in zip(WFLW_SUBSETS, row[200:206]):
                if value == "1":
                    members[name].add(index)
    labels = labels_of(path, WFLW, lines, images, ("WFLW_images", "images"))
    return replace(labels, subsets=tuple((name, frozenset(ids)) for name, ids in members.items() if ids))


def read_face_table(path: Path, images: Path | None = None, content: Any = None, problems: Problems = STOP) -> Labels:
    """The faces of a table (csv) as HRNet has them of WFLW, 300W and AFLW, with a line of titles first.

    Its columns are the photo, the scale, for AFLW the size of the box that errors are divided by, the centre's x and y,
    and x and y of each landmark.

    Args:
        path: the table.
        images: the folder of the photos; without it `images` and the like near the file are tried.
        content: the file's rows of texts, where it is read already.
        problems: what becomes of a damaged line.

    Raises:
        InputError: the table is of no known number of landmarks, or a line is damaged; the message names file and line.
    """
    rows = content if content is not None else text_rows(path)
    skeleton, first = face_columns(path, rows)
    lines = []
    for index, row in enumerate(rows[1:]):
        with problems:
            where = f"line {index + 2}"
            if len(row) != len(rows[0]):
                raise InputError(
                    f"{path}: {where} has {len(row)} columns, expected {len(rows[0])} as in the first line; correct or "
                    "remove it"
                )
            values = texts_as_numbers(path, row[1:], where)
            points = values[first - 1 :].reshape(-1, 2)
            size = float(values[1]) if first == 5 else None
            lines.append(Line(row[0], index, points, square(values[first - 3 : first - 1], SCALE * values[0]), size))
    return labels_of(path, skeleton, lines, images, ("images", "WFLW_images", "flickr"))


def face_columns(path: Path, rows: list[list[str]]) -> tuple[Skeleton, int]:
    """Skeleton of a table of faces, and which column is the first landmark's x."""
    first = 5 if rows and "box_size" in rows[0] else 4
    count, rest = divmod(len(rows[0]) - first, 2) if rows else (0, 0)
    if rest or count not in SKELETONS:
        raise InputError(
            f"{path}: its first line has {len(rows[0]) if rows else 0} columns; expected image, scale, center_w, "
            f"center_h (AFLW: box_size before these two) and x, y of {', '.join(map(str, SKELETONS))} landmarks"
        )
    return SKELETONS[count], first


def read_points(path: Path, images: Path | None = None, content: Any = None, problems: Problems = STOP) -> Labels:
    """The faces of a folder of 300W's `.pts` files, each beside its photo of the same name.

    Args:
        path: the folder; those in it are looked into as well.
        images: the folder of the photos; without it they stand beside their points.
        content: the paths of the `.pts` files, where they are known already.
        problems: what becomes of a damaged file.

    Raises:
        InputError: there is no such file in the folder, or one is damaged.
    """
    files = content if content is not None else point_files(path)
    photos = []
    skeleton = None
    for index, file in enumerate(files):
        with problems:
            points = read_pts(file)
            found = SKELETONS.get(len(points))
            if found is None or skeleton not in (None, found):
                expected = "a face of " + ", ".join(map(str, SKELETONS)) if skeleton is None else skeleton.num_joints
                raise InputError(f"{file}: holds {len(points)} points, expected {expected}; take it away or correct it")
            skeleton = found
            photo = photo_of(file, images)
            people = faces_of(points[None], square_of(points)[None])
            photos.append(Photo(photo, str(file.relative_to(path).with_suffix("")), (0, 0), people, (index,)))
    if skeleton is None:
        raise InputError(f"{path}: a folder without a sound .pts file; give an annotation file, or 300W's folder")
    return Labels(path, skeleton, tuple(photos))


def point_files(folder: Path) -> list[Path]:
    """All `.pts` files in a folder and in those below it, by name."""
    return sorted(folder.rglob("*.pts"))


def photo_of(file: Path, images: Path | None) -> Path:
    """The photo of a file of points: of the same name, in `images` or beside it."""
    folder = images or file.parent
    names = (folder / f"{file.stem}{suffix}" for suffix in (".png", ".jpg", ".jpeg", ".PNG", ".JPG"))
    return next((name for name in names if name.is_file()), folder / f"{file.stem}.png")


def read_pts(file: Path) -> np.ndarray:
    """The points (K, 2) px of a `.pts` file, as they stand there."""
    head, brace, rest = read_text(file, "points of a face").partition("{")
    body, end, _ = rest.partition("}")
    if not brace or not end:
        raise InputError(f"{file}: has no {{ and }} round its points; fetch it again, perhaps it is cut off")
    rows = [line.split() for line in body.splitlines() if line.strip()]
    values = texts_as_numbers(file, [text for row in rows for text in row], "the list of points")
    stated = head.partition("n_points:")[2].split()[:1]
    if len(values) % 2 or not len(values) or (stated and stated[0] != str(len(values) // 2)):
        said = f"{stated[0]} points, as n_points says" if stated else "x and y a line"
        raise InputError(f"{file}: holds {len(values)} numbers, expected {said}; fetch it again")
    return values.reshape(-1, 2)


def text_rows(path: Path) -> list[list[str]]:
    """The rows of a list or table as texts: divided by commas (.csv) or by blanks; empty lines are left out."""
    text = read_text(path, "landmarks of faces")
    lines = [line for line in text.splitlines() if line.strip()]
    return (
        [list(row) for row in csv.reader(lines)] if path.suffix.lower() == ".csv" else [line.split() for line in lines]
    )


def texts_as_numbers(path: Path, texts: list[str], where: str) -> np.ndarray:
    """Texts as finite float64 numbers, or an error that names file, line and text."""
    try:
        values = np.array(texts, np.float64)
    except ValueError:
        wrong = next(text for text in texts if not is_number(text))
        raise InputError(f"{path}: {where} has {wrong[:40]!r} among its numbers; correct it") from None
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {where} holds NaN or infinity; correct it")
    return values


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
