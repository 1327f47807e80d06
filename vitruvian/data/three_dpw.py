"""Reader for 3DPW: sequences (.pkl, one a video, with several people), and the lists that body models are scored on.

A sequence has the 24 joints of SMPL in the world, the camera's path and whether it was found in each frame. Pickles are
read without running anything that they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.data.labels import STOP, Labels, Problems
from vitruvian.data.space import array_of, names_of, people_in_space, square_boxes
from vitruvian.errors import InputError
from vitruvian.sample import NOT_LABELLED, People, Photo
from vitruvian.skeletons import SMPL_24

NO_JOINTS = (
    "it lists boxes and body models, whose joints only a body model gives: boxes alone are read, and nothing can be "
    "learnt or measured; give the sequences (sequenceFiles/*/*.pkl)"
)


def is_sequence(content: Any) -> bool:
    """Whether the content of a .pkl is a sequence of 3DPW."""
    return isinstance(content, Mapping) and {"jointPositions", "cam_poses", "cam_intrinsics"} <= set(content)


def is_list(content: Mapping[str, Any]) -> bool:
    """Whether the content of a .npz is a list of bodies: with photos, boxes and poses, but without joints."""
    return {"imgname", "center", "scale", "pose", "shape"} <= set(content) and "S" not in content


def read_sequence(path: Path, images: Path | None = None, content: Any = None, problems: Problems = STOP) -> Labels:
    """The people of a sequence, frame by frame; those of frames whose camera was not found are left out.

    Args:
        path: the .pkl.
        images: the folder of the sequences' photos; without it `imageFiles` beside `sequenceFiles`.
        content: what `read_foreign` gave, where it is read already.
        problems: what becomes of a damaged person.

    Raises:
        InputError: an array is missing or of another shape.
    """
    from vitruvian.checkpoints.foreign import read_foreign  # not at import time: it needs torch

    content = read_foreign(path) if content is None else content
    poses, intrinsics = (
        array_of(path, content, "cam_poses", (0, 4, 4)),
        array_of(path, content, "cam_intrinsics", (3, 3)),
    )
    frames, sequence = len(poses), str(content.get("sequence") or path.stem)
    given = content["jointPositions"]
    if not isinstance(given, list | tuple) or not given:
        raise InputError(
            f"{path}: 'jointPositions' is a {type(given).__name__}, expected a list with one array a person"
        )
    valid = frames_found(path, content, len(given), frames)
    camera = np.array([intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]])
    everybody: list[list[tuple[int, np.ndarray]]] = [[] for _ in range(frames)]
    for person in range(len(given)):
        with problems:
            of_person = {f"jointPositions of person {person}": given[person]}
            (key,) = of_person
            world = array_of(path, of_person, key, (frames, 72)).reshape(frames, 24, 3)
            turned = np.einsum("fij,fkj->fki", poses[:, :3, :3], world) + poses[:, None, :3, 3]
            found = valid[person] & (turned[..., 2] > 0).all(1)
            for frame in np.flatnonzero(found):
                everybody[frame].append((frames * person + int(frame) + 1, 1000 * turned[frame]))
    folder = images or photos_folder(path)
    photos = []
    for frame, found in enumerate(everybody):
        name = f"{sequence}/image_{frame:05d}.jpg"
        joints = np.stack([one for _, one in found]) if found else np.zeros((0, 24, 3))
        people = people_in_space(joints, SMPL_24, np.tile(camera, (len(found), 1)))
        photos.append(Photo(folder / name, name, (0, 0), people, tuple(number for number, _ in found)))
    return Labels(path, SMPL_24, tuple(photos))


def frames_found(path: Path, content: Mapping[str, Any], people: int, frames: int) -> np.ndarray:
    """Whether the camera was found for each person in each frame (people, frames); all where the file is silent."""
    if content.get("campose_valid") is None:
        return np.ones((people, frames), bool)
    try:
        valid = np.asarray(content["campose_valid"]).reshape(people, frames)
    except ValueError:  # other lengths
        valid = np.empty(0, object)
    if valid.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: 'campose_valid' is not {people} x {frames} numbers, one for each person and frame; fetch the "
            "file again"
        )
    return valid > 0


def photos_folder(path: Path) -> Path:
    """`imageFiles` of the data set that a sequence stands in: beside `sequenceFiles`, which holds `train/NAME.pkl`."""
    bases = [path.parent, path.parent.parent, path.parent.parent.parent]
    return next((base / "imageFiles" for base in bases if (base / "imageFiles").is_dir()), path.parent / "imageFiles")


def read_list(
    path: Path, images: Path | None = None, content: Mapping[str, Any] | None = None, problems: Problems = STOP
) -> Labels:
    """The boxes of a list of bodies, such as 3dpw_test.npz; their joints are never labelled."""
    from vitruvian.checkpoints.foreign import read_foreign  # not at import time: it needs torch

    content = content or read_foreign(path)
    assert content is not None
    names = names_of(path, content)
    centres, scales = (
        array_of(path, content, "center", (len(names), 2)),
        array_of(path, content, "scale", (len(names),)),
    )
    boxes = square_boxes(centres, scales).astype(np.float32)
    by_photo: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        by_photo.setdefault(name, []).append(index)
    folder, photos = images or photos_folder(path).parent, []
    for name, people in by_photo.items():
        count = len(people)
        unlabelled = People(
            keypoints=np.full((count, 24, 3), np.nan, np.float32),
            visibility=np.full((count, 24), NOT_LABELLED, np.int8),
            boxes=boxes[people],
            areas=(boxes[people, 2:] - boxes[people, :2]).prod(1),
            ignored=np.zeros(count, bool),
        )
        photos.append(Photo(folder / name, name, (0, 0), unlabelled, tuple(index + 1 for index in people)))
    return Labels(path, SMPL_24, tuple(photos), notes=(f"{path}: {NO_JOINTS}",))
