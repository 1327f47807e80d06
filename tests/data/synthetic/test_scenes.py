"""Whole scenes: who hides whom, and the same truth in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvian.cameras import in_space, project
from vitruvian.data.reading import read_labels
from vitruvian.data.synthetic import SyntheticPeople, write_crops, write_scenes
from vitruvian.data.synthetic.writing import MARGIN
from vitruvian.geometry import Framing, transform_points
from vitruvian.sample import HIDDEN, NOT_LABELLED, SEEN
from vitruvian.skeletons import COCO, COCO_WHOLEBODY, H36M, LSP, MPII, Skeleton

SIZE = (200, 160)


@pytest.fixture(scope="module")
def people() -> SyntheticPeople:
    return SyntheticPeople(COCO, seed=3)


def test_truth_of_scenes(people: SyntheticPeople) -> None:
    counts, values = set(), set()
    for number in range(8):
        scene = people.scene((number,), SIZE)
        truth = scene.sample.people
        counts.add(len(truth))
        values |= set(truth.visibility.reshape(-1).tolist())
        assert scene.sample.image.shape == (160, 200, 3)
        assert scene.masks.shape == (len(truth), 160, 200)
        assert scene.masks.sum(0).max(initial=0) <= 1, "a pixel is one person's"
        for person in range(len(truth)):
            rows, columns = np.nonzero(scene.masks[person])
            x0, y0, x1, y1 = truth.boxes[person]
            assert columns.min(initial=200) >= x0
            assert columns.max(initial=0) <= x1 + 0.5
            assert rows.min(initial=160) >= y0
            assert rows.max(initial=0) <= y1 + 0.5
            assert truth.areas[person] == pytest.approx(scene.masks[person].sum(), abs=30, rel=0.2)
            outside = (truth.keypoints[person, :, :2] < -0.5) | (truth.keypoints[person, :, :2] > np.array(SIZE) - 0.5)
            np.testing.assert_array_equal(outside.any(-1), truth.visibility[person] == NOT_LABELLED)
    assert values == {NOT_LABELLED, HIDDEN, SEEN}
    assert min(counts) >= 1
    assert max(counts) > 3


def test_the_nearer_one_hides_the_other(people: SyntheticPeople) -> None:
    scene = people.scene((2,), SIZE)
    truth = scene.sample.people
    hidden = 0
    for person in range(len(truth)):
        for joint in np.flatnonzero(truth.visibility[person] == SEEN):
            x, y = truth.keypoints[person, joint, :2].round().astype(int)
            whose = np.flatnonzero(scene.masks[:, min(y, 159), min(x, 199)])
            if len(whose) and whose[0] != person:  # on an outline
                hidden += 1
    assert hidden < 0.1 * (truth.visibility == SEEN).sum()


def test_a_scene_is_a_function_of_its_place(people: SyntheticPeople) -> None:
    first = people.scene((4,), SIZE)
    people.scene((5,), SIZE)
    again = SyntheticPeople(COCO, seed=3).scene((4,), SIZE)
    np.testing.assert_array_equal(first.sample.image, again.sample.image)
    np.testing.assert_array_equal(first.masks, again.masks)
    other = SyntheticPeople(COCO, seed=4).scene((4,), SIZE)
    assert (first.sample.image != other.sample.image).any()


def test_cameras_fit_the_joints(people: SyntheticPeople) -> None:
    truth = people.scene((3,), SIZE).sample.people
    joints = in_space(truth.keypoints, truth.cameras, truth.root_depths)
    np.testing.assert_allclose(project(joints, truth.cameras), truth.keypoints[..., :2], atol=0.01)
    hips = (joints[:, COCO.joints.index("left_hip")] + joints[:, COCO.joints.index("right_hip")]) / 2
    np.testing.assert_allclose(hips[:, 2], truth.root_depths, atol=0.5)


@pytest.mark.parametrize("skeleton", [LSP, MPII, H36M, COCO_WHOLEBODY], ids=lambda s: s.name)
def test_skeletons(skeleton: Skeleton) -> None:
    truth = SyntheticPeople(skeleton, seed=1).scene((0,), SIZE, most=2).sample.people
    assert truth.keypoints.shape[1:] == (skeleton.num_joints, 3)
    assert np.isfinite(truth.keypoints).all()


def test_hands_hang_at_wrists_and_faces_look_forward() -> None:
    truth = SyntheticPeople(COCO_WHOLEBODY, seed=1).scene((0,), SIZE, most=2).sample.people
    joints = in_space(truth.keypoints, truth.cameras, truth.root_depths)
    place = {name: joints[:, index] for index, name in enumerate(COCO_WHOLEBODY.joints)}
    for side in ("left", "right"):
        np.testing.assert_allclose(place[f"{side}_hand_root"], place[f"{side}_wrist"], atol=1)
        reach = np.linalg.norm(place[f"{side}_middle_finger4"] - place[f"{side}_wrist"], axis=-1)
        assert (reach < 230).all()
        assert np.linalg.norm(place[f"{side}_heel"] - place[f"{side}_ankle"], axis=-1).max() < 120
    between = (place["left_ear"] + place["right_ear"]) / 2
    nose, chin = place["nose"] - between, place["face_8"] - between
    assert (np.linalg.norm(nose, axis=-1) < 160).all()
    assert (np.abs((nose * (place["left_ear"] - between)).sum(-1)) < 500).all(), "the nose stands across the ears' line"
    assert (np.linalg.norm(chin, axis=-1) < 200).all()


def test_scenes_as_files(people: SyntheticPeople, tmp_path: Path) -> None:
    path = write_scenes(people, tmp_path / "drawn", 3, SIZE, most=4)
    labels = read_labels(path)
    assert labels.skeleton is COCO
    assert len(labels.photos) == 3
    truth = people.scene((1,), SIZE, most=4).sample.people
    read = labels.photos[1].people
    np.testing.assert_array_equal(read.visibility, truth.visibility)
    known = truth.visibility > 0
    np.testing.assert_allclose(read.keypoints[known][:, :2], truth.keypoints[known][:, :2], atol=0.01)
    np.testing.assert_allclose(read.keypoints[known][:, 2], truth.keypoints[known][:, 2], atol=0.06)
    np.testing.assert_allclose(read.root_depths, truth.root_depths, atol=0.06)
    np.testing.assert_allclose(read.cameras, truth.cameras, atol=0.001)
    np.testing.assert_allclose(read.areas, truth.areas, atol=0.01)
    record = json.loads(path.read_text())["annotations"][0]
    assert len(record["keypoints_depth"]) == 17
    assert len(record["camera"]) == 4
    assert record["segmentation"]


@pytest.mark.parametrize("skeleton", [COCO, H36M])
def test_crops_as_files_have_cameras_of_their_own(skeleton: Skeleton, tmp_path: Path) -> None:
    people = SyntheticPeople(skeleton, seed=3)
    labels = read_labels(write_crops(people, tmp_path / "crops", 3, 120))
    framing = Framing(size=(120, 120), padding=MARGIN)
    assert [photo.size for photo in labels.photos] == [(120, 120)] * 3
    for number, photo in enumerate(labels.photos):
        crop = people.crop((0, number), framing)
        truth, read = crop.people, photo.people
        known = truth.visibility > 0
        np.testing.assert_allclose(read.keypoints[known], truth.keypoints[known], atol=0.06)
        in_photo = truth.keypoints.astype(np.float64)
        in_photo[..., :2] = transform_points(in_photo[..., :2], crop.to_original)
        there = in_space(in_photo, truth.cameras, truth.root_depths)
        here = in_space(read.keypoints, read.cameras, read.root_depths)
        np.testing.assert_allclose(here[known], there[known], atol=3)  # mm, of people metres away
