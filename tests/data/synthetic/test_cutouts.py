"""People cut out of their photos: the same truth over another background."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_run import make_data, small_experiment

from vitruvian.data.synthetic.cutouts import CutoutCrops, pasted, soft_mask
from vitruvian.sample import SEEN, People
from vitruvian.skeletons import LSP
from vitruvian.training.data import read_data


def standing(visible: int = LSP.num_joints) -> People:
    """Somebody upright in 60 x 90 pixels, of whom the first joints are labelled."""
    x = [25, 25, 25, 35, 35, 35, 10, 14, 20, 40, 46, 50, 30, 30]
    y = [80, 65, 50, 50, 65, 80, 50, 38, 25, 25, 38, 50, 22, 6]
    points = np.stack([x, y], -1)[None].astype(np.float32)
    visibility = np.where(np.arange(LSP.num_joints) < visible, SEEN, 0)[None].astype(np.int8)
    box = np.array([[8, 4, 52, 84]], np.float32)
    return People(points, visibility, box, np.array([1800], np.float32), np.zeros(1, bool))


def test_the_mask_covers_the_person_and_not_the_rest() -> None:
    people = standing()
    mask = soft_mask(people, LSP, (90, 60))
    assert mask is not None
    x, y = people.keypoints[0].astype(int).T
    assert (mask[y, x] > 0.9).all()
    assert mask[40, 30] > 0.95, "the trunk"
    assert mask[14, 30] > 0.95, "the head"
    assert mask[[2, 2, 88, 60], [3, 57, 57, 57]].max() < 0.05
    assert 0.2 < mask.mean() < 0.7
    assert ((mask > 0.1) & (mask < 0.9)).any(), "a soft edge"


def test_nobody_is_cut_out_of_too_few_joints() -> None:
    assert soft_mask(standing(visible=4), LSP, (90, 60)) is None
    small = standing()
    small = replace(small, keypoints=small.keypoints / 5)
    assert soft_mask(small, LSP, (90, 60)) is None


def test_pasting() -> None:
    image, background = np.full((2, 3, 3), 200, np.uint8), np.full((2, 3, 3), 100, np.uint8)
    mask = np.array([[0, 0.5, 1], [1, 0.25, 0]], np.float32)
    assert pasted(image, background, mask)[..., 1].tolist() == [[100, 150, 200], [200, 125, 100]]


@pytest.fixture
def crops(tmp_path: Path) -> CutoutCrops:
    experiment = small_experiment(make_data(tmp_path, people=7))
    found, *_ = read_data(replace(experiment, dataset=replace(experiment.dataset, cutouts=0.5)))
    assert isinstance(found, CutoutCrops)
    return found


def test_a_share_of_the_people_is_cut_out(crops: CutoutCrops) -> None:
    changed = 0
    for epoch in range(4):
        for index in range(len(crops)):
            cut, real = crops[epoch, index], crops.real[epoch, index]
            np.testing.assert_array_equal(cut.people.keypoints, real.people.keypoints)
            np.testing.assert_array_equal(cut.image, crops[epoch, index].image)
            changed += bool((cut.image != real.image).any())
    assert len(crops) == 7
    assert 5 < changed < 23
