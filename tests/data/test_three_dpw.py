"""Sequences of 3DPW and lists of bodies."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from vitruvian.cameras import in_space
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError
from vitruvian.skeletons import SMPL_24


def sequence(**changes) -> dict:
    """Two people on three frames, whose camera moves; the second person's camera is lost in frame 1."""
    rng = np.random.default_rng(0)
    joints = rng.uniform(-0.8, 0.8, (2, 3, 24, 3)) + np.array([0, 0, 4])
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = 0.1, 0.2, 0.3
    poses[2, :3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    return {
        "sequence": "downtown_walk_00",
        "jointPositions": [one.reshape(3, 72) for one in joints],
        "cam_poses": poses,
        "cam_intrinsics": np.array([[1960.0, 0, 540], [0, 1970, 960], [0, 0, 1]]),
        "campose_valid": [np.array([1, 1, 1]), np.array([1, 0, 1])],
        **changes,
    }


def written(path: Path, content: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return path


def test_joints_of_a_sequence_are_seen_by_its_camera(tmp_path: Path) -> None:
    (tmp_path / "imageFiles").mkdir()
    content = sequence()
    labels = read_labels(written(tmp_path / "sequenceFiles" / "test" / "walk.pkl", content))
    assert labels.skeleton is SMPL_24
    assert [len(photo.people) for photo in labels.photos] == [2, 1, 2]
    assert labels.photos[1].path == tmp_path / "imageFiles" / "downtown_walk_00" / "image_00001.jpg"
    people = labels.photos[2].people
    found = in_space(people.keypoints, people.cameras, people.root_depths) / 1000
    for person in range(2):
        x, y, z = content["jointPositions"][person][2].reshape(24, 3).T
        np.testing.assert_allclose(found[person], np.stack([-y + 0.3, x, z], 1), atol=1e-4)
    inside = (people.keypoints[..., :2] > people.boxes[:, None, :2]) & (
        people.keypoints[..., :2] < people.boxes[:, None, 2:]
    )
    assert inside.all()
    ids = [number for photo in labels.photos for number in photo.annotation_ids]
    assert len(set(ids)) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jointPositions": np.zeros(3)}, "'jointPositions' is a ndarray, expected a list with one array a person"),
        (
            {"jointPositions": [np.zeros((2, 72))], "campose_valid": None},
            "'jointPositions of person 0' is 2 x 72 of type float64, expected 3 x",
        ),
        ({"cam_poses": np.zeros((3, 3, 4))}, "'cam_poses' is 3 x 3 x 4 of type float64, expected N x 4 x 4 numbers"),
        ({"campose_valid": [np.ones(3)]}, "'campose_valid' is not 2 x 3 numbers, one for each person and frame"),
        ({"campose_valid": [np.ones(3), np.ones(2)]}, "'campose_valid' is not 2 x 3 numbers"),
        ({"campose_valid": 5}, "'campose_valid' is not 2 x 3 numbers"),
        ({"campose_valid": [["a"] * 3] * 2}, "'campose_valid' is not 2 x 3 numbers"),
    ],
)
def test_damaged_sequences_are_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_labels(written(tmp_path / "walk.pkl", sequence(**change)))


def test_a_list_of_bodies_gives_its_boxes_and_says_what_lacks(tmp_path: Path) -> None:
    names = np.array(["a.jpg", "b.jpg", "a.jpg"])
    path = tmp_path / "3dpw_test.npz"
    shapes = {"pose": np.zeros((3, 72)), "shape": np.zeros((3, 10)), "gender": np.array(["f", "m", "f"])}
    np.savez(path, imgname=names, center=np.array([[50.0, 60]] * 3), scale=np.array([0.5, 1, 2]), **shapes)
    labels = read_labels(path)
    assert [photo.annotation_ids for photo in labels.photos] == [(1, 3), (2,)]
    assert labels.photos[0].people.boxes.tolist() == [[0, 10, 100, 110], [-150, -140, 250, 260]]
    assert (labels.photos[0].people.visibility == 0).all()
    assert "boxes alone are read" in labels.notes[0]
