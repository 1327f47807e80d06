"""Scoring and pictures while training, with a network that knows where the people are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import make_data, small_experiment
from torch import Tensor

from vitruvian.data.labels import Labels
from vitruvian.data.loading import PersonCrops
from vitruvian.data.reading import read_labels
from vitruvian.experiment import Decoded, Experiment, Method
from vitruvian.methods import build
from vitruvian.training.validation import PICTURED, picture, score


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return small_experiment(make_data(tmp_path_factory.mktemp("data"), people=7))


@pytest.fixture(scope="module")
def labels(experiment: Experiment) -> Labels:
    return read_labels(experiment.dataset.path)


@pytest.fixture(scope="module")
def method(experiment: Experiment) -> Method:
    torch.manual_seed(0)
    return build(experiment).eval()


def test_a_network_that_knows_the_truth_scores_100(
    experiment: Experiment, labels: Labels, method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = PersonCrops(labels, method.config.framing)
    truth = torch.from_numpy(np.stack([crops[0, index].people.keypoints for index in range(len(crops))]))
    seen = [0]

    def knowing(self: Method, views: list) -> Decoded:
        count = len(views[0].inputs)
        points: Tensor = truth[seen[0] : seen[0] + count]
        seen[0] += count
        return Decoded(points, torch.ones(points.shape[:3]), torch.ones(points.shape[:2]))

    monkeypatch.setattr(type(method), "predict", knowing)
    figures = score(method, labels, experiment, tmp_path / "results.json")
    assert figures["torso_pck@0.2"] == 100.0
    assert figures["AP"] == pytest.approx(1.0)
    assert all(type(value) is float for value in figures.values())
    assert (tmp_path / "results.json").exists()


def test_a_preview_looks_at_few_photos(experiment: Experiment, labels: Labels, method: Method, tmp_path: Path) -> None:
    broken = replace(labels.photos[5], path=tmp_path / "none.jpg")
    labels = replace(labels, photos=(*labels.photos[:5], broken, *labels.photos[6:]))
    assert "torso_pck@0.2" in score(method, labels, experiment, tmp_path / "results.json", limit=3)


def test_a_picture_shows_truth_beside_prediction(labels: Labels, method: Method) -> None:
    sheet = picture(method, PersonCrops(labels, method.config.framing))
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] > sheet.shape[0] * 4 / PICTURED
    few = picture(method, PersonCrops(replace(labels, photos=labels.photos[:2]), method.config.framing))
    assert few.shape[0] < sheet.shape[0] / 2
