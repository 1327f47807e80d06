from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vitruvian.errors import InputError
from vitruvian.experiment import Experiment, Training
from vitruvian.methods import experiment_to_dict, recipes
from vitruvian.methods.regression.method import Config as RegressionConfig
from vitruvian.methods.sar.method import Config
from vitruvian.runs import changed, read_run, write_run
from vitruvian.skeletons import COCO, LSP

SAR = Experiment(
    Config(deconv_channels=(), deconv_kernels=(), sharpness=8.0),
    LSP,
    training=Training(learning_rate=1e-05, milestones=(3,)),
)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", list(recipes()))
def test_every_recipe_is_the_same_after_a_run_file(name: str, tmp_path: Path) -> None:
    experiment = recipes()[name]()
    write_run(tmp_path / "run.yaml", experiment)
    assert experiment_to_dict(read_run(tmp_path / "run.yaml")) == experiment_to_dict(experiment)


def test_a_run_file_is_for_people_to_read(tmp_path: Path) -> None:
    write_run(tmp_path / "run.yaml", SAR)
    text = (tmp_path / "run.yaml").read_text()
    assert text.startswith("name: sar\nmethod:\n  backbone:\n    name: resnet50\n")
    assert "  deconv_channels: []\n" in text
    assert "  milestones: [3]\n" in text
    assert "  learning_rate: 1.0e-05\n" in text


def test_a_part_of_a_run_over_a_recipe(tmp_path: Path) -> None:
    path = write(
        tmp_path, "training:\n  epochs: 3\n  learning_rate: 5e-4\nseed: 7\nmethod: {framing: {size: [96, 128]}}\n"
    )
    found = read_run(path, SAR)
    assert (found.training.epochs, found.training.learning_rate, found.training.milestones) == (3, 5e-4, (3,))
    assert (found.seed, found.method.framing.size, found.method.sharpness) == (7, (96, 128), 8.0)
    assert found.skeleton.joints == LSP.joints


def test_a_run_file_brings_its_skeleton(tmp_path: Path) -> None:
    write_run(tmp_path / "run.yaml", replace(SAR, skeleton=COCO))
    found = read_run(tmp_path / "run.yaml", SAR)
    assert (found.skeleton.joints, found.skeleton.parts) == (COCO.joints, COCO.parts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {epoch: 3}", "run.yaml: training.epoch: no such field; the nearest is 'epochs'"),
        ("trainings: {epochs: 3}", "run.yaml: trainings: no such field; the nearest is 'training'"),
        ("method: {backbone: {nam: x}}", "run.yaml: method.backbone.nam: no such field; the nearest is 'name'"),
        ("training: {epochs: three}", "run.yaml: training.epochs: 'three' is not of type int"),
        ("training: {milestones: 3}", "run.yaml: training.milestones: 3 is no list"),
        ("training: {milestones: [3, x]}", "run.yaml: training.milestones: 'x' is not of type int"),
        ("training: {learning_rate: .nan}", "run.yaml: training.learning_rate: nan is not a finite number"),
        ("training: {epochs: 0}", "run.yaml: training: epochs is 0, expected 1 or more"),
        ("training: 3", "run.yaml: training: 3 is no mapping; expected the fields epochs"),
        ("training: {optimizer: adm}", "run.yaml: training.optimizer: 'adm' is not one of 'adam'"),
        ("3: {epochs: 3}", "run.yaml: 3: no such field"),
        ("method: {framing: {size: [3]}}", "run.yaml: method.framing.size: 1 values, expected 2"),
        ("name: regression", "run.yaml: name is 'regression', but the recipe is of 'sar'; choose another recipe"),
        ("[1, 2]", "run.yaml: holds a list, expected the fields of an experiment"),
        ("", "run.yaml: holds a NoneType, expected"),
        ("a: [1", "run.yaml: not valid YAML"),
        ("seed: 2024-01-02", "run.yaml: seed: '2024-01-02' is not of type int"),
        ("training: {epochs: 2024-13-45}", "run.yaml: training.epochs: '2024-13-45' is not of type int"),
        ("2024-13-45: 3", "run.yaml: 2024-13-45: no such field"),
        ("seed: 0b_", "run.yaml: not valid YAML ('0b_' is no int in"),
        ("seed: !!timestamp x", "run.yaml: not valid YAML ('x' is no timestamp in"),
        ("seed: !!bool x", "run.yaml: not valid YAML ('x' is no bool in"),
        ("training: {gamma: 1" + "0" * 400 + "}", "run.yaml: training.gamma: 1000"),
        ("a: " + "[" * 3000, "run.yaml: not valid YAML (hundreds of brackets"),
        (
            "method: {backbone: {name: 'hf-hub:timm/resnet18.a1_in1k'}}",
            "run.yaml: method.backbone: name is 'hf-hub:timm/resnet18.a1_in1k', expected one of timm's networks",
        ),
        ("a: !!python/object/apply:os.system [ls]", "run.yaml: not valid YAML"),
    ],
)
def test_bad_run_files_are_answered_with_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        read_run(write(tmp_path, text), SAR)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_run_files_that_are_not_there_or_not_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.yaml: no such file; expected the run\.yaml of a run"):
        read_run(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match=r"run\.yaml: method None is unknown; there are sar, "):
        read_run(write(tmp_path, "seed: 3"))
    with pytest.raises(InputError, match=r"run\.yaml: method \[1\] is unknown; there are sar, "):
        read_run(write(tmp_path, "name: [1]"))
    with pytest.raises(InputError, match=r"run\.yaml: skeleton is missing; add it"):
        read_run(write(tmp_path, "name: sar"))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"bytes\.yaml: cannot be read as text"):
        read_run(tmp_path / "bytes.yaml", SAR)


def test_what_looks_like_a_date_may_be_a_name(tmp_path: Path) -> None:
    assert read_run(write(tmp_path, "dataset: {path: 2024-01-02}"), SAR).dataset.path == "2024-01-02"


def test_changes_keep_the_rest_and_the_type_of_the_method() -> None:
    regression = Experiment(RegressionConfig(), LSP)
    found = changed(regression, {"method": {"framing": {"padding": 1.5}}, "seed": 3}, "the options")
    assert isinstance(found.method, RegressionConfig)
    assert (found.method.framing.padding, found.method.framing.size, found.seed) == (1.5, (192, 256), 3)
    with pytest.raises(InputError, match="the options: training: batch_size is 0, expected 1 or more"):
        changed(regression, {"training": {"batch_size": 0}}, "the options")
