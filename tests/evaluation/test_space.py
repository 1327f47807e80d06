"""Errors in space from a results file: perfect and shifted depths, left-out people, tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvian.cameras import project
from vitruvian.data.labels import Labels
from vitruvian.data.space import people_in_space
from vitruvian.evaluation.scoring import figures_table, missing_figures, score_results
from vitruvian.sample import Photo
from vitruvian.skeletons import H36M, H36M_18, MESH_24, Skeleton

CAMERA = np.array([[1100.0, 1110, 500, 510]])


def labelled(skeleton: Skeleton, names: list[str], seed: int = 0) -> tuple[Labels, np.ndarray]:
    """One person on each photo, and their joints (N, K, 3) mm."""
    joints = np.random.default_rng(seed).uniform(-600, 600, (len(names), skeleton.num_joints, 3)) + np.array(
        [0, 0, 5e3]
    )
    photos = tuple(
        Photo(Path(name), name, (1000, 1000), people_in_space(joints[i, None], skeleton, CAMERA), (i + 1,))
        for i, name in enumerate(names)
    )
    return Labels(Path("labels.npz"), skeleton, photos, content={}), joints


def results(path: Path, labels: Labels, joints: np.ndarray) -> Path:
    """A results file of what stands at `joints`, whose root is that of the truth."""
    records = []
    for index, photo in enumerate(labels.photos):
        pixels = project(joints[index, None], CAMERA)[0]
        root = float(photo.people.root_depths[0])
        triples = np.concatenate([pixels, np.ones((len(pixels), 1))], 1)
        record = {"image_id": photo.image_id, "category_id": 1, "score": 1.0, "annotation_id": index + 1}
        records.append(
            {**record, "keypoints": triples.ravel().tolist(), "depths": (joints[index, :, 2] - root).tolist()}
        )
    path.write_text(json.dumps(records))
    return path


NAMES = ["S9_Eating_1.5_01.jpg", "S9_WalkDog_1.5_01.jpg", "S11_Eating_1.5_01.jpg"]


def test_perfect_depths_have_no_error_and_shifted_ones_theirs(tmp_path: Path) -> None:
    labels, joints = labelled(H36M, NAMES)
    figures = score_results(results(tmp_path / "a.json", labels, joints), labels)
    assert figures["MPJPE"] == pytest.approx(0, abs=0.01)
    assert figures["space_people"] == 3
    moved = joints.copy()
    moved[1, 4, 0] += 34  # one of 17 joints
    figures = score_results(results(tmp_path / "b.json", labels, moved), labels)
    assert figures["MPJPE"] == pytest.approx(34 / 17 / 3, abs=0.01)
    assert figures["actions"]["WalkDog"]["MPJPE"] == pytest.approx(2, abs=0.01)
    assert figures["actions"]["Eating"]["MPJPE"] == pytest.approx(0, abs=0.01)
    assert figures["MPJPE over actions"] == pytest.approx(1, abs=0.01)
    assert figures["PA-MPJPE"] > 0.1
    turned = joints - joints[:, :1]
    turned = joints[:, :1] + 1.1 * np.stack([turned[..., 1], -turned[..., 0], turned[..., 2]], -1)
    figures = score_results(results(tmp_path / "c.json", labels, turned), labels)
    assert figures["PA-MPJPE"] == pytest.approx(0, abs=0.01)
    assert figures["MPJPE"] > 100
    figures = score_results(tmp_path / "b.json", labels)
    table = figures_table(figures)
    assert "in space, mm and per cent" in table
    assert "WalkDog" in table
    assert "mean over actions" in table


def test_misaligned_sequences_and_people_without_a_prediction_are_left_out(tmp_path: Path) -> None:
    names = ["s_09_act_05_subact_02_ca_01_000001.jpg", "s_09_act_05_subact_01_ca_01_000001.jpg", "s_11_act_02_x.jpg"]
    labels, joints = labelled(H36M, names)
    path = results(tmp_path / "a.json", labels, joints)
    path.write_text(json.dumps(json.loads(path.read_text())[:2]))
    figures = score_results(path, labels)
    assert (figures["space_people"], figures["space_left_out"]) == (1, 2)
    assert list(figures["actions"]) == ["Greeting"]
    assert missing_figures(figures, labels)[0].startswith("in space 2 people are left out")


def test_the_eighteenth_joint_is_not_scored(tmp_path: Path) -> None:
    labels, joints = labelled(H36M_18, NAMES)
    joints[:, 17] += 500
    assert score_results(results(tmp_path / "a.json", labels, joints), labels)["MPJPE"] == pytest.approx(0, abs=0.01)


def test_meshes_have_figures_of_fourteen_joints(tmp_path: Path) -> None:
    labels, joints = labelled(MESH_24, ["a.jpg", "b.jpg"])
    joints[0, 13] += (0, 28, 0)  # not among the 14
    figures = score_results(results(tmp_path / "a.json", labels, joints), labels)
    assert figures["mesh MPJPE"] == pytest.approx(0, abs=0.01)
    assert figures["MPJPE"] == pytest.approx(28 / 48, abs=0.01)
    assert "actions" not in figures
    assert "14 joints about the hips" in figures_table(figures)


def test_labels_without_cameras_have_no_figures_in_space(tmp_path: Path) -> None:
    labels, joints = labelled(H36M, NAMES)
    path = results(tmp_path / "a.json", labels, joints)
    for photo in labels.photos:
        photo.people.cameras[:] = np.nan
    assert "MPJPE" not in score_results(path, labels)
