"""Poses: files, sequences, and bends that keep bones' lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitruvian.data.synthetic import poses
from vitruvian.data.synthetic.poses import JOINTS, MIRROR, PARENTS, J, draw_pose, read_poses, sequences
from vitruvian.errors import InputError


def bones(pose: np.ndarray) -> np.ndarray:
    """Lengths of all bones."""
    return np.array([np.linalg.norm(pose[J[a]] - pose[J[b]]) for a, b in PARENTS.items()])


def test_drawn_poses_keep_the_bones() -> None:
    one = read_poses()[:1]
    rng = np.random.default_rng(2)
    mirrored = one[0][MIRROR]
    for _ in range(20):
        found = bones(draw_pose(rng, one))
        assert np.allclose(found, bones(one[0]), atol=1e-4) or np.allclose(found, bones(mirrored), atol=1e-4)


def test_the_poses_of_the_package_are_parted() -> None:
    train, held_back = read_poses(), read_poses(held_back=True)
    assert len(train) == 360
    assert len(held_back) == 60
    assert not (np.abs(train[:, None] - held_back).max((2, 3)) == 0).any()


def test_sequences_are_cut_at_lone_jumps() -> None:
    steps = np.zeros((60, 19, 3))
    steps[20:] += 1  # another sequence
    steps[45] += 1  # an error within one
    assert np.bincount(sequences(steps)).tolist() == [20, 40]


def test_the_motion_capture_beside_the_project(shared_data: Path) -> None:
    path = str(shared_data / "mocap" / "cmu_poses.npz")
    train, held_back = read_poses(path), read_poses(path, held_back=True)
    assert len(train) + len(held_back) == 10771
    assert 0.1 < len(held_back) / 10771 < 0.25


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz: no such file; expected poses of motion capture"):
        read_poses(str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match=r"text\.npz: cannot be read as poses"):
        read_poses(str(tmp_path / "text.npz"))
    np.savez(tmp_path / "half.npz", poses=np.zeros((2, 19, 3)))
    with pytest.raises(InputError, match=r"half\.npz: cannot be read as poses .*names"):
        read_poses(str(tmp_path / "half.npz"))
    np.savez(tmp_path / "few.npz", poses=np.zeros((2, 18, 3)), names=np.array(JOINTS[:18]))
    with pytest.raises(InputError, match=r"few\.npz: 'poses' is \(2, 18, 3\)"):
        read_poses(str(tmp_path / "few.npz"))
    content, names = (tmp_path / "few.npz").read_bytes(), np.array(JOINTS)
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.npz: cannot be read as poses"):
        read_poses(str(tmp_path / "cut.npz"))
    np.save(tmp_path / "single.npy", np.zeros((2, 19, 3)))
    with pytest.raises(InputError, match=r"single\.npy: cannot be read as poses"):
        read_poses(str(tmp_path / "single.npy"))
    np.savez(tmp_path / "still.npz", poses=np.zeros((2, 19, 3)), names=names)
    with pytest.raises(InputError, match=r"its 2 poses are of 1 sequences, none of them to score on"):
        read_poses(str(tmp_path / "still.npz"), held_back=True)
    np.savez(tmp_path / "odd.npz", poses=np.zeros((2, 19, 3)), names=names, sequence=np.zeros(3, int))
    with pytest.raises(InputError, match=r"'sequence' is \(3,\) of type int64, expected a whole number for each of"):
        read_poses(str(tmp_path / "odd.npz"))


def test_left_is_left() -> None:
    pose = read_poses().mean(0).astype(float)
    left, up, forward = poses.pelvis_frame(pose)
    assert np.linalg.det(np.stack([left, up, forward])) == pytest.approx(1)
    assert (pose[J["left_toe"]] - pose[J["left_ankle"]]) @ forward > 0
