"""Experiments: every recipe survives JSON, each wrong field is named, and what the contract's shared parts do."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vitruvian import methods
from vitruvian.backbones import BackboneConfig
from vitruvian.backbones.timm_networks import check_config
from vitruvian.errors import InputError
from vitruvian.experiment import Dataset, Decoded, Experiment, Method, Training, View, forward_views, merge_decoded
from vitruvian.geometry import Framing
from vitruvian.methods import (
    METHODS,
    build_empty,
    experiment_from_dict,
    experiment_to_dict,
    method_name,
    recipes,
    typed,
)
from vitruvian.methods.sar.method import SAR, Config, Maps
from vitruvian.methods.sar.recipes import coco_resnet50
from vitruvian.skeletons import LSP

RECIPES = recipes()


@pytest.fixture(params=list(RECIPES))
def recipe(request: pytest.FixtureRequest) -> tuple[str, Callable[[], Experiment]]:
    return request.param, RECIPES[request.param]


def test_methods_are_their_folders() -> None:
    folder = Path(methods.__file__).parent
    assert set(METHODS) == {path.parent.name for path in folder.glob("*/method.py")}
    for name, method in METHODS.items():
        assert method.Config.__module__ == f"vitruvian.methods.{name}.method"
    assert "sar/coco_resnet50" in RECIPES
    assert not [name for name in RECIPES if "/_" in name or name.endswith(("replace", "lspet"))]


def test_a_recipe_comes_back_from_json(recipe) -> None:
    name, make = recipe
    experiment = make()
    assert method_name(experiment) == name.partition("/")[0]
    values = experiment_to_dict(experiment)
    again = experiment_from_dict(json.loads(json.dumps(values)), "file")
    assert experiment_to_dict(again) == values
    assert type(again.method) is type(experiment.method)
    plain = ("method", "dataset", "augmentation", "training", "seed", "score")
    assert all(getattr(again, field) == getattr(experiment, field) for field in plain)


def test_a_recipe_says_what_it_is(recipe) -> None:
    name, make = recipe
    text = " ".join(inspect.getdoc(make).split())
    assert f"vitruvian train {name} " in text
    assert "Published: " in text
    assert "Cost: " in text
    assert "Measured here: " in text


def test_a_recipe_suits_its_backbone(recipe) -> None:
    config: Any = recipe[1]().method
    check_config(config.backbone, config.framing.size)


@pytest.mark.parametrize("budget", ["lspet_resnet18", "lspet_resnet18_cpu"])
def test_rows_of_a_comparison_differ_in_the_method_alone(budget: str) -> None:
    rows = [make() for name, make in RECIPES.items() if name.endswith(f"/{budget}")]
    assert {type(row.method) for row in rows} == {method.Config for method in METHODS.values()}
    first: Any = rows[0]
    for row in rows:
        config: Any = row.method
        assert (row.dataset, row.augmentation, row.seed, row.score) == (
            first.dataset,
            first.augmentation,
            first.seed,
            first.score,
        )
        assert (row.skeleton, config.backbone) == (LSP, BackboneConfig("resnet18"))
        assert config.framing.size == first.method.framing.size
        same = replace(row.training, learning_rate=first.training.learning_rate, clip_norm=first.training.clip_norm)
        assert same == first.training


def changed(path: str, value: Any) -> dict[str, Any]:
    """The plain values of a recipe with one of them set, at a dotted path; None: taken out."""
    values = json.loads(json.dumps(experiment_to_dict(coco_resnet50())))
    *parents, last = path.split(".")
    place = values
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", "saar", "file: method 'saar' is unknown; there are sar, regression"),
        ("name", None, "file: method None is unknown; there are sar"),
        ("skeleton", None, "file: skeleton is missing; add it"),
        ("training.epohcs", 3, "file: training.epohcs: no such field; the nearest is 'epochs'"),
        ("trainning", {}, "file: trainning: no such field; the nearest is 'training'"),
        ("training", [1], "file: training: [1] is no mapping; expected the fields epochs, batch_size"),
        ("training.epochs", 3.5, "file: training.epochs: 3.5 is not of type int"),
        ("training.epochs", True, "file: training.epochs: True is not of type int"),
        ("training.epochs", "3", "file: training.epochs: '3' is not of type int"),
        ("training.epochs", 0, "file: training: epochs is 0, expected 1 or more"),
        ("training.learning_rate", "fast", "file: training.learning_rate: 'fast' is not of type float"),
        ("training.learning_rate", float("nan"), "file: training.learning_rate: nan is not a finite number"),
        ("training.learning_rate", True, "file: training.learning_rate: True is not of type float"),
        ("training.optimizer", "lion", "file: training.optimizer: 'lion' is not one of 'adam', 'adamw', 'sgd'"),
        ("training.milestones", 3, "file: training.milestones: 3 is no list"),
        ("training.milestones", [3, "4"], "file: training.milestones: '4' is not of type int"),
        ("seed", -1, "file: seed is -1, expected 0 or more"),
        ("dataset.path", 3, "file: dataset.path: 3 is not of type str"),
        ("method.backbone.name", 50, "file: method.backbone.name: 50 is not of type str"),
        ("method.backbone.pyramids", 8, "file: method.backbone.pyramids: no such field; the nearest is 'pyramid'"),
        ("method.framing.size", [192], "file: method.framing.size: 1 values, expected 2"),
        ("method.framing.size", [192, 256.0], "file: method.framing.size: 256.0 is not of type int"),
        ("method.framing.affine", "upd", "file: method.framing.affine: 'upd' is not one of 'pixel', 'udp'"),
        ("skeleton.mirror", [0], 'file: skeleton: Skeleton "coco": mirror has 1 entries for 17 joints; give one'),
        ("skeleton.parts.upper", [0, 99], 'file: skeleton: Skeleton "coco": part "upper" is (0, 99); list different'),
        ("skeleton.parts", [1], "file: skeleton.parts: [1] is no mapping"),
    ],
)
def test_a_wrong_field_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as raised:
        experiment_from_dict(changed(path, value), "file")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_whole_numbers_stand_for_fractions_and_lists_for_tuples() -> None:
    experiment = experiment_from_dict(changed("training.learning_rate", 1), "file")
    assert type(experiment.training.learning_rate) is float
    assert experiment.training.milestones == (170, 200)
    assert typed(tuple[float, ...], [1, 2.5], "file: it") == (1.0, 2.5)
    assert typed(dict | str, {"a": 1}, "file: it") == {"a": 1}  # kinds that no experiment has are let through


def test_left_out_fields_have_their_defaults() -> None:
    values = {"name": "sar", "skeleton": experiment_to_dict(coco_resnet50())["skeleton"]}
    experiment = experiment_from_dict(values, "file")
    assert experiment.method == Config()
    assert (experiment.dataset, experiment.training) == (Dataset(), Training())
    assert values.keys() == {"name", "skeleton"}  # the caller's dict is left alone


def test_networks_to_be_loaded_fetch_no_starting_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr("timm.create_model", lambda *_, pretrained, **__: fetched.append(pretrained) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_empty(coco_resnet50())
    assert fetched == [False]


class Echo(Method):
    """A method whose maps are its inputs, and which counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(Config(), LSP)
        self.calls: list[tuple[int, ...]] = []

    def forward(self, inputs, inside=None, targets=None) -> Maps:
        self.calls.append(tuple(inputs.shape))
        return Maps(inputs, inputs + 1, None)


def test_views_of_one_shape_are_one_batch() -> None:
    method, inputs = Echo(), torch.randn(2, 3, 4, 5)
    views = [View(inputs), View(inputs.flip(3), mirrored=True)]
    together = forward_views(method, views)
    assert method.calls == [(4, 3, 4, 5)]
    for maps, view in zip(together, views):
        assert isinstance(maps, Maps)
        assert torch.equal(maps.selector, view.inputs)
        assert maps.heatmap is None
    for others in (
        [View(inputs), View(torch.randn(2, 3, 6, 5))],
        [View(inputs, inside=torch.ones(2, 4, 5).bool()), View(inputs)],
        [View(inputs)],
    ):
        method.calls.clear()
        maps = forward_views(method, others)
        assert len(method.calls) == len(others)
        assert all(torch.equal(one.selector, view.inputs) for one, view in zip(maps, others))


def test_decoded_views_are_averaged_in_the_plain_ones_frame() -> None:
    mirror = torch.tensor([0, 2, 1])
    points, scores = torch.tensor([[[[1.0, 2], [3, 4], [5, 6]]]]), torch.tensor([[[0.2, 0.4, 0.6]]])
    plain = Decoded(points, scores, torch.tensor([[0.5]]))
    flipped = Decoded(plain.points + 1, plain.joint_scores + 0.1, plain.scores + 0.2)
    views = [View(torch.zeros(1)), View(torch.zeros(1), mirrored=True)]
    merged = merge_decoded([plain, flipped], views, mirror, x_sum=9.0)
    # The flipped points are (2, 3), (4, 5), (6, 7): turned back (7, 3), (3, 7), (5, 5).
    torch.testing.assert_close(merged.points, torch.tensor([[[[4.0, 2.5], [3, 5.5], [5, 5.5]]]]))
    torch.testing.assert_close(merged.joint_scores, torch.tensor([[[0.25, 0.55, 0.55]]]))
    torch.testing.assert_close(merged.scores, torch.tensor([[0.6]]))


def test_experiments_are_frozen_and_derived_by_replace() -> None:
    experiment = coco_resnet50()
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.seed = 3  # type: ignore[misc]
    assert replace(experiment, seed=3).training is experiment.training
    with pytest.raises(ValueError, match="seed is -2, expected 0 or more"):
        replace(experiment, seed=-2)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("layer_decay", -1.0, "layer_decay is -1.0, expected a factor above 0 and up to 1"),
        ("gamma", -3.0, "gamma is -3.0, expected a factor above 0 and up to 1"),
        ("warmup_factor", 5.0, "warmup_factor is 5.0, expected a share from 0 to 1"),
        ("milestones", (3, -5), r"milestones is \(3, -5\), expected epochs from 1 on"),
        ("learning_rate", 0.0, "learning_rate is 0.0, expected a number above 0"),
        ("ema", 1.0, "ema is 1.0, expected a number below 1"),
    ],
)
def test_senseless_training_is_refused(field: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        replace(Training(), **{field: value})
    assert Training(milestones=()).milestones == ()


def test_a_network_whose_fields_do_not_fit_together_is_the_users_to_mend() -> None:
    config = Config(framing=Framing(size=(32, 32)), deconv_channels=(), deconv_kernels=())
    with pytest.raises(InputError, match=r"^sar cannot be built: framing.size is \(32, 32\), expected more"):
        build_empty(Experiment(method=config, skeleton=LSP))


def test_a_method_normalises_as_its_framing_says() -> None:
    framing = Framing(size=(32, 32), mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 5.0))
    method = Echo()
    method.config = Config(framing=framing)
    pixels = torch.full((2, 3, 4, 5), 50, dtype=torch.uint8)
    torch.testing.assert_close(method.normalise(pixels)[0, :, 0, 0], torch.tensor([20.0, 7.5, 4.0]))
    assert method.mirror.tolist() == list(LSP.mirror)
    assert "mirror" not in method.state_dict()
    assert SAR.Config is Config
