"""Reader for Caltech Occluded Faces in the Wild: `COFW_train_color.mat` and `COFW_test_color.mat`, photos included.

The photos are inside the file: `write_photos` makes a folder of them once, and the reader looks for them there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.data.faces import faces_of, square_of
from vitruvian.data.labels import STOP, Labels, Problems
from vitruvian.data.matlab import array, open_hdf5, read_mat
from vitruvian.errors import InputError
from vitruvian.files import make_folder
from vitruvian.images import write_image
from vitruvian.sample import Photo
from vitruvian.skeletons import COFW

ARRAYS = {"phisTr": "IsTr", "phisT": "IsT"}
"""The landmarks of the training and of the test file, and the photos that belong to them."""


def landmarks_key(content: dict[str, Any]) -> str:
    """The array of landmarks in a file of COFW, or "" where it is another file."""
    return next((key for key in ARRAYS if key in content), "")


def read_cofw(
    path: Path, images: Path | None = None, content: dict[str, Any] | None = None, problems: Problems = STOP
) -> Labels:
    """The faces of a file of COFW: 29 landmarks, each with whether something hides it.

    Args:
        path: the file, of MATLAB 7.3.
        images: the folder that `write_photos` made; without it the folder of the file's name without `.mat`.
        content: the file's arrays, where they are read already.
        problems: what becomes of a damaged face.

    Raises:
        InputError: the file lacks an array, or it has another shape; the message names file and array.
    """
    if content is None:
        content = read_mat(path)
    key = landmarks_key(content) or "phisT"
    rows = array(path, content, key, (0, 3 * COFW.num_joints))
    points = rows[:, : 2 * COFW.num_joints].reshape(-1, 2, COFW.num_joints).transpose(0, 2, 1)
    hidden = rows[:, 2 * COFW.num_joints :] > 0
    folder = images or path.with_suffix("")
    photos = []
    for index in range(len(rows)):
        with problems:
            if not np.isfinite(points[index]).all():
                raise InputError(f"{path}: '{key}' of face {index + 1} holds NaN or infinity; fetch the file again")
            people = faces_of(points[index : index + 1], square_of(points[index])[None], hidden[index : index + 1])
            photos.append(Photo(folder / photo_name(index), index + 1, (0, 0), people, (index + 1,)))
    return Labels(path, COFW, tuple(photos))


def photo_name(index: int) -> str:
    """The file of a face, counted from 0."""
    return f"{index + 1:04d}.png"


def write_photos(path: Path, folder: Path) -> int:
    """Writes the photos that a file of COFW holds into `folder` as PNG; returns how many.

    Raises InputError where the file has none, or is damaged.
    """
    with open_hdf5(path) as file:
        key = next((photos for photos in ARRAYS.values() if photos in file), None)
        if key is None:
            raise InputError(
                f"{path}: has neither 'IsTr' nor 'IsT', the photos of COFW; give COFW_test_color.mat or so"
            )
        make_folder(folder)
        references = file[key][()].ravel()
        for index, reference in enumerate(references):
            stored = file[reference][()]  # axes the other way round than in MATLAB: colours, x, y
            image = stored.T if stored.ndim == 3 else np.repeat(stored.T[..., None], 3, -1)
            write_image(folder / photo_name(index), np.ascontiguousarray(image, np.uint8))
    return len(references)
