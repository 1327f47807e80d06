"""Reader for MPII Human Pose in the JSON form that circulates with HRNet, and the head sizes of its ground truth.

The files count pixels from 1. Everything is moved to the library's convention here, once: 1 is taken off centres and
joints. (MMPose 1.x takes it off the centres alone and adds 1 to predictions again when it evaluates; its published
weights therefore sit one pixel off.)
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vitruvian.data.labels import STOP, Labels, Problems, field, file_name, number, numbers, read_json
from vitruvian.data.matlab import array, read_mat
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE
from vitruvian.sample import NOT_LABELLED, SEEN, People, Photo
from vitruvian.skeletons import MPII

PERSON_HEIGHT = 200.0  # px that a scale of 1 stands for
HEAD_SHARE = 0.6  # SC_BIAS of the official evaluation: the head segment as a share of the head box's diagonal


def read_mpii(path: Path, images: Path | None = None, content: list | None = None, problems: Problems = STOP) -> Labels:
    """The labels of an MPII JSON file: one person a record, several records a photo.

    The box is the square of side 200 * scale about the centre, which is moved down by 15 * scale. Head sizes come from
    `gt_valid.mat` beside the file where it is there and has as many people.

    Args:
        path: the JSON file.
        images: the folder of the photos; without it `images` beside the file or its folder.
        content: the file's content, where it is read already.
        problems: what becomes of a damaged record.

    Raises:
        InputError: a field is missing or has a wrong shape; the message names file, record and field.
    """
    if content is None:
        content = read_json(path, "MPII annotations")
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: expected a list of MPII records with image, center, scale and joints")
    heads = None
    with problems:
        heads = head_sizes_beside(path, len(content))
    by_photo: dict[str, list[Row]] = {}
    for index, record in enumerate(content):
        with problems:
            name = file_name(path, record, "image", f"record {index}")
            row = read_row(path, record, index)
            by_photo.setdefault(name, []).append(row)
    if images is None:
        name = next(iter(by_photo), "")
        places = (path.parent / "images", path.parent.parent / "images", path.parent)
        images = next((place for place in places if (place / name).is_file()), places[0])
    photos = []
    for name, rows in by_photo.items():
        photos.append(Photo(images / name, name, (0, 0), people_of(rows, heads), tuple(row.index for row in rows)))
    return Labels(path, MPII, tuple(photos))


class Row(NamedTuple):
    """One record as it is read."""

    index: int
    points: np.ndarray  # (16, 2) px
    visibility: np.ndarray  # (16,)
    box: np.ndarray  # (4,) x0 y0 x1 y1 px


def read_row(path: Path, record: dict, index: int) -> Row:
    """One record of the file."""
    where = f"record {index}"
    centre = numbers(path, field(path, record, "center", where), 2, f"'center' of {where}")
    box = square_box(centre, number(path, field(path, record, "scale", where), f"'scale' of {where}"))
    joints, flags = np.zeros((MPII.num_joints, 2)), np.zeros(MPII.num_joints)
    if "joints" in record:  # the test set has none
        joints = numbers(path, record["joints"], joints.shape, f"'joints' of {where}")
        flags = numbers(path, field(path, record, "joints_vis", where), flags.shape, f"'joints_vis' of {where}")
    return Row(index, joints - 1, np.where(flags > 0, SEEN, NOT_LABELLED), box)


def people_of(rows: list[Row], heads: np.ndarray | None) -> People:
    """The people of one photo, in the order of their records."""
    seen, corners = np.stack([row.visibility for row in rows]), np.stack([row.box for row in rows])
    sides = corners[:, 2:] - corners[:, :2]
    points = np.stack([row.points for row in rows])
    return People(
        keypoints=np.where(seen[..., None] > 0, points, np.nan).astype(np.float32),
        visibility=seen.astype(np.int8),
        boxes=corners.astype(np.float32),
        areas=(BOX_SHARE * sides.prod(1)).astype(np.float32),
        ignored=np.zeros(len(rows), bool),
        head_sizes=None if heads is None else heads[[row.index for row in rows]].astype(np.float32),
    )


def square_box(centre: np.ndarray, scale: float) -> np.ndarray:
    """The box (4,) of an MPII person from its 1-based centre (2,) and its scale (height / 200 px)."""
    centre = np.asarray(centre, np.float64)
    if centre[0] != -1:
        centre = centre + np.array([0, 15 * scale])
    half = PERSON_HEIGHT * scale / 2
    return np.concatenate([centre - 1 - half, centre - 1 + half])


def head_sizes_beside(path: Path, count: int) -> np.ndarray | None:
    """Head sizes (count,) px from `gt_<name of the file>.mat` beside it; None where there is no such file."""
    mat = path.with_name(f"gt_{path.stem}.mat")
    if not mat.is_file():
        return None
    corners = array(mat, read_mat(mat), "headboxes_src", (2, 2, 0))  # 2 corners, x and y, people
    if corners.shape[-1] != count:
        raise InputError(f"{mat}: holds {corners.shape[-1]} head boxes for the {count} people of {path.name}")
    return HEAD_SHARE * np.linalg.norm(corners[1] - corners[0], axis=0)
