"""Synthetic people as training samples: the same for the same place, with a truth that fits what is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import make_data, small_experiment

from vitruvian.augment import Augmentation
from vitruvian.cameras import in_space
from vitruvian.data.loading import collate
from vitruvian.data.synthetic import SYNTHETIC, SyntheticPeople
from vitruvian.errors import InputError
from vitruvian.experiment import Dataset
from vitruvian.geometry import Framing, determinant, transform_points
from vitruvian.sample import SEEN
from vitruvian.skeletons import AP10K, LSP
from vitruvian.training.data import read_data

FRAMING = Framing(size=(96, 128))


@pytest.fixture(scope="module")
def people() -> SyntheticPeople:
    return SyntheticPeople(LSP, seed=5)


def test_a_crop_is_a_function_of_seed_and_place(people: SyntheticPeople) -> None:
    first = people.crop((2, 7), FRAMING, Augmentation())
    people.crop((2, 8), FRAMING, Augmentation())
    again = SyntheticPeople(LSP, seed=5).crop((2, 7), FRAMING, Augmentation())
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.people.keypoints, again.people.keypoints)
    np.testing.assert_array_equal(first.people.visibility, again.people.visibility)
    for other in ((2, 8), (3, 7)):
        assert (people.crop(other, FRAMING, Augmentation()).image != first.image).any()


def test_truth_lies_on_what_is_drawn(people: SyntheticPeople) -> None:
    for index in range(6):
        sample = people.crop((0, index), FRAMING)
        assert sample.image.shape == (128, 96, 3)
        one = sample.people
        assert len(one) == 1
        assert one.areas[0] > 100
        (x0, y0, x1, y1), seen = one.boxes[0], one.visibility[0] == SEEN
        points = one.keypoints[0, seen]
        assert seen.sum() >= 3
        assert (points[:, 0] >= x0 - 1).all()
        assert (points[:, 0] <= x1 + 1).all()
        assert (points[:, 1] >= y0 - 1).all()
        assert (points[:, 1] <= y1 + 1).all()
        assert np.isfinite(one.keypoints).all()


def test_bones_in_space_are_a_persons(people: SyntheticPeople) -> None:
    sample = people.crop((1, 3), FRAMING, Augmentation())
    assert determinant(sample.to_original) > 0, "people are mirrored by their poses, not by the view"
    one = sample.people
    in_photo = transform_points(one.keypoints, sample.to_original)
    joints = in_space(in_photo, one.cameras, one.root_depths)[0]
    place = {name: joints[index] for index, name in enumerate(LSP.joints)}
    lengths = {}
    for side in ("left", "right"):
        for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
            lengths[side, b] = np.linalg.norm(place[f"{side}_{a}"] - place[f"{side}_{b}"])
    for name in ("knee", "ankle", "elbow", "wrist"):
        assert lengths["left", name] == pytest.approx(lengths["right", name], rel=1e-3)
    assert 1.1 < lengths["left", "knee"] / lengths["left", "elbow"] < 1.8
    assert 150 < lengths["left", "knee"] < 550, "millimetres"


def test_joints_that_a_body_lacks_are_named() -> None:
    with pytest.raises(
        InputError, match=r"no joint root_of_tail, left_front_paw, right_front_paw and 2 more, .* 'ap10k'"
    ):
        SyntheticPeople(AP10K)


def test_training_data_alone_and_mixed(tmp_path: Path) -> None:
    experiment = small_experiment(make_data(tmp_path, people=6))
    assert experiment.skeleton is LSP
    alone, val, _ = read_data(replace(experiment, dataset=Dataset(path=SYNTHETIC, limit=4)))
    assert len(alone) == 4
    assert val is None
    mixed, *_ = read_data(replace(experiment, dataset=replace(experiment.dataset, synthetic=0.4)))
    assert len(mixed) == 10
    batch = collate([mixed[0, index] for index in (2, 5, 6, 9)])
    depths = batch.everyone.keypoints[..., 2]
    assert depths.isnan().all(1).tolist() == [True, True, False, False]
    assert (mixed[0, 6].image == mixed[0, 6].image).all()
    assert (mixed[0, 6].image != mixed[1, 6].image).any()


@pytest.mark.parametrize("given", [{"extra": "mpii.json"}, {"synthetic": 0.5}, {"cutouts": 0.2}, {"val_share": 0.1}])
def test_what_needs_people_of_a_file_is_refused_without_one(given: dict[str, Any]) -> None:
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=rf"dataset\.{name} is {value} though all people of dataset\.path are drawn"):
        Dataset(path=SYNTHETIC, **given)


def test_a_folder_of_backgrounds_is_used(tmp_path: Path) -> None:
    experiment = small_experiment(make_data(tmp_path, people=6))
    with pytest.raises(InputError, match="none"):
        read_data(replace(experiment, dataset=Dataset(path=SYNTHETIC, backgrounds=str(tmp_path / "none"))))
