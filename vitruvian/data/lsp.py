"""Reader for Leeds Sports Pose and its extension: `joints.mat` beside a folder of photos of one person each.

The two files differ in the order of their axes and in what the third number of a joint means: in LSP that the joint is
hidden, in the extension that it is labelled. Coordinates of joints that are not labelled may be anything.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.data.labels import STOP, Labels, Problems
from vitruvian.data.matlab import array, read_mat
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE
from vitruvian.sample import HIDDEN, NOT_LABELLED, SEEN, People, Photo
from vitruvian.skeletons import LSP

TRAINED = 1000
"""So many of the first people of LSP are its training set, the others its test set."""

MARGIN = 0.1
"""What a box has round the joints on each side, as a share of its longer side: joints lie within a body."""


def read_lsp(
    path: Path, images: Path | None = None, content: dict[str, Any] | None = None, problems: Problems = STOP
) -> Labels:
    """The people of a `joints.mat`: of LSP, with 3 x 14 x N numbers, or of the extension, with 14 x 3 x N.

    The files have no boxes: a box is the extent of the labelled joints with a margin. Photo ids are
    counted from 1, as the names of the photos are.

    Args:
        path: the file.
        images: the folder of the photos; without it `images` beside the file.
        content: the file's arrays, where they are read already.
        problems: what becomes of a person without two joints, who has no box.

    Raises:
        InputError: the file lacks the array, or it has another shape; the message names file and array.
    """
    if content is None:
        content = read_mat(path)
    points, visibility, digits = joints_of(path, content)
    folder = images or path.parent / "images"
    photos = []
    for index in range(len(points)):
        with problems:
            name = f"im{index + 1:0{digits}d}.jpg"
            known = visibility[index] > 0
            if known.sum() < 2:
                raise InputError(f"{path}: person {index + 1} has {known.sum()} labelled joints, expected 2 or more")
            if not np.isfinite(points[index][known]).all():
                raise InputError(f"{path}: 'joints' of person {index + 1} holds NaN or infinity; fetch the file again")
            people = person(points[index], visibility[index])
            photos.append(Photo(folder / name, index + 1, (0, 0), people, (index + 1,)))
    return Labels(path, LSP, tuple(photos))


def lsp_half(labels: Labels, content: dict[str, Any], split: str) -> Labels:
    """The "train" or the "test" set of LSP; raises InputError for the extension, which has no test set."""
    if is_extension(content):
        raise InputError(
            f"{labels.path}: the extension of LSP is a training set alone; leave out the split {split!r}, or give the "
            "joints.mat of LSP"
        )
    chosen = [photo for photo in labels.photos if (int(photo.image_id) <= TRAINED) == (split == "train")]
    return replace(labels, photos=tuple(chosen))


def is_extension(content: dict[str, Any]) -> bool:
    """Whether the arrays of a `joints.mat` are those of the extension."""
    return np.shape(content.get("joints", ()))[:2] == (14, 3)


def joints_of(path: Path, content: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, int]:
    """Points (N, 14, 2) px, their visibility (N, 14), and how many digits the names of the photos have."""
    if is_extension(content):
        joints = array(path, content, "joints", (14, 3, 0)).transpose(2, 0, 1)
        return joints[..., :2], np.where(joints[..., 2] > 0, SEEN, NOT_LABELLED), 5
    joints = array(path, content, "joints", (3, 14, 0)).transpose(2, 1, 0)
    return joints[..., :2], np.where(joints[..., 2] > 0, HIDDEN, SEEN), 4


def person(points: np.ndarray, visibility: np.ndarray) -> People:
    """One person with `points` (14, 2) px."""
    known = visibility > 0
    low, high = points[known].min(0), points[known].max(0)
    margin = MARGIN * (high - low).max()
    box = np.concatenate([low - margin, high + margin])
    return People(
        keypoints=np.where(known[:, None], points, np.nan)[None].astype(np.float32),
        visibility=visibility[None].astype(np.int8),
        boxes=box[None].astype(np.float32),
        areas=np.array([BOX_SHARE * (box[2:] - box[:2]).prod()], np.float32),
        ignored=np.zeros(1, bool),
    )
