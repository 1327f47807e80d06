"""Two data sets in one training: Human3.6M with depths, MPII without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vitruvian.backbones import BackboneConfig
from vitruvian.data.loading import collate
from vitruvian.errors import InputError
from vitruvian.experiment import Dataset, Experiment
from vitruvian.geometry import Framing
from vitruvian.images import write_image
from vitruvian.methods import build
from vitruvian.methods.sar.method import Config
from vitruvian.methods.sar.recipes import h36m_resnet50
from vitruvian.skeletons import H36M_18
from vitruvian.training.data import read_data


def files(folder: Path) -> tuple[Path, Path]:
    """Three people of Human3.6M and two of MPII with their photos."""
    rng = np.random.default_rng(0)
    images, people = [], []
    for number in range(1, 4):
        joints = rng.uniform(-400, 400, (17, 3)) + np.array([0, 0, 4000])
        image = {"id": number, "file_name": f"h{number}.png", "width": 120, "height": 100}
        images.append({**image, "cam_param": {"f": [300.0, 300], "c": [60.0, 50]}})
        people.append({"id": number, "image_id": number, "bbox": [10, 5, 90, 90], "joint_cam": joints.tolist()})
        write_image(folder / f"h{number}.png", rng.integers(0, 255, (100, 120, 3), np.uint8))
    (folder / "h36m.json").write_text(json.dumps({"images": images, "annotations": people}))
    records = []
    for number in range(2):
        joints = rng.uniform(20, 80, (16, 2)).tolist()
        record = {"image": f"m{number}.png", "center": [50, 50], "scale": 0.4, "joints": joints, "joints_vis": [1] * 16}
        records.append(record)
        write_image(folder / f"m{number}.png", rng.integers(0, 255, (100, 120, 3), np.uint8))
    (folder / "mpii.json").write_text(json.dumps(records))
    return folder / "h36m.json", folder / "mpii.json"


def mixed(folder: Path, share: float = 1.4, padding: float = 0.0) -> Experiment:
    h36m, mpii = files(folder)
    config = Config(
        backbone=BackboneConfig("resnet18", channels=(8, 8, 16, 16)),
        framing=Framing(size=(64, 64), padding=1.0),
        deconv_channels=(8,),
        deconv_kernels=(4,),
        depth_range=2000.0,
    )
    dataset = Dataset(str(h36m), extra=str(mpii), extra_share=share, extra_padding=padding)
    return Experiment(method=config, skeleton=H36M_18, dataset=dataset)


def test_an_epoch_has_everybody_of_the_first_and_random_people_of_the_second(tmp_path: Path) -> None:
    experiment = mixed(tmp_path)
    crops, _, _ = read_data(experiment)
    assert len(crops) == 3 + 4
    samples = [crops[0, index] for index in range(len(crops))]
    assert [sample.image_id for sample in samples[:3]] == [1, 2, 3]
    drawn = [[crops[epoch, index].image_id for index in range(3, 7)] for epoch in range(4)]
    assert len({tuple(one) for one in drawn}) > 1
    assert drawn[0] == [crops[0, index].image_id for index in range(3, 7)]
    batch = collate(samples)
    depths = batch.everyone.keypoints[..., 2]
    assert depths[:3].isfinite().all()
    assert depths[3:].isnan().all()
    torch.manual_seed(0)
    method = build(experiment)
    targets = method.targets(batch)
    assert targets.labels.shape[1] == 3
    losses = method.loss(method(method.normalise(batch.inputs), None, targets), targets)
    assert sum(losses.values(), torch.zeros(())).isfinite()


def test_their_boxes_may_be_enlarged_by_another_factor(tmp_path: Path) -> None:
    plain, wider = (read_data(mixed(tmp_path, padding=padding))[0] for padding in (0.0, 2.0))

    def factor(crops) -> float:
        people = crops.others.people
        return people.framing.padding

    assert (factor(plain), factor(wider)) == (1.0, 2.0)
    assert wider.real.framing.padding == 1.0  # type: ignore[union-attr]


def test_what_cannot_be_mixed_is_refused(tmp_path: Path) -> None:
    experiment = mixed(tmp_path)
    (tmp_path / "m1.png").unlink()
    with pytest.raises(InputError, match=r"mpii.json: 1 of 2 photos are missing"):
        read_data(experiment)
    with pytest.raises(ValueError, match=r"dataset.extra and dataset.synthetic are both given"):
        replace(experiment.dataset, synthetic=0.5)
    with pytest.raises(ValueError, match=r"extra_share is -1.0, expected a number above 0"):
        replace(experiment.dataset, extra_share=-1.0)


def test_the_published_row_mixes_by_one_to_one() -> None:
    experiment = h36m_resnet50()
    assert (experiment.dataset.extra_share, experiment.dataset.extra_padding) == (1, 1.25)
    assert (experiment.method.framing.padding, experiment.training.metric) == (1, "MPJPE")
