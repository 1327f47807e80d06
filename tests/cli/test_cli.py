from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_run import make_data, small_experiment

import vitruvian.training
from vitruvian import checkpoints
from vitruvian.cli import COMMANDS, main
from vitruvian.data.reading import read_labels
from vitruvian.evaluation import score_results
from vitruvian.experiment import Experiment
from vitruvian.methods import build, experiment_from_dict, experiment_to_dict, recipes
from vitruvian.methods.sar import recipes as sar_recipes
from vitruvian.runs import write_run

PEOPLE = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotations of three photos with one person each."""
    return make_data(tmp_path_factory.mktemp("data"), PEOPLE)


@pytest.fixture(scope="module")
def weights(data: Path) -> Path:
    """A tiny network that has learnt nothing."""
    torch.manual_seed(0)
    experiment = small_experiment(data)
    path = data.parent / "tiny.safetensors"
    checkpoints.save(path, build(experiment).state_dict(), experiment_to_dict(experiment))
    return path


Capture = pytest.CaptureFixture[str]


def fails(capsys: Capture, *arguments: str | Path) -> str:
    """The one line of complaint of a command that is left with exit code 2."""
    assert main([str(argument) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("vitruvian: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err.removeprefix("vitruvian: ").rstrip("\n")


def succeeds(capsys: Capture, *arguments: str | Path) -> str:
    """What a command prints that goes well."""
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_help_comes_without_torch_and_within_a_second() -> None:
    code = (
        "import sys, time; begun = time.process_time(); from vitruvian.cli import main; code = main(['--help']);"
        "slow = {'torch', 'numpy', 'cv2', 'yaml'} & set(sys.modules);"
        "sys.exit(f'imports {slow}' if slow else code or time.process_time() - begun > 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", done.stdout, re.MULTILINE), f"{name} is not in the help"


def test_the_version(capsys: Capture) -> None:
    assert re.fullmatch(r"vitruvian \d+\.\d+\.\d+\n", succeeds(capsys, "--version"))


def test_without_a_command_there_is_help_and_a_code_that_says_so(capsys: Capture) -> None:
    assert main([]) == 2
    assert "usage: vitruvian COMMAND" in capsys.readouterr().out


def test_commands_are_not_guessed(capsys: Capture) -> None:
    assert fails(capsys, "evalute") == (
        "there is no command 'evalute'; the nearest is 'evaluate' (see vitruvian --help)"
    )
    assert "the nearest is 'train'" in fails(capsys, "trai")
    assert "there is no command '--data'" in fails(capsys, "--data", "x.json")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_no_abbreviations(command: str, capsys: Capture) -> None:
    assert f"usage: vitruvian {command}" in succeeds(capsys, command, "--help")
    needed = {"train": ["sar/lspet_resnet18"], "predict": ["a.jpg"], "import-weights": ["a.pth", "sar/x"]}
    if command != "evaluate":  # its options depend on the network, see below
        assert "no option --hel; the nearest is --" in fails(capsys, command, *needed.get(command, []), "--hel")


def test_the_list_names_methods_and_recipes_with_a_line_each(capsys: Capture) -> None:
    lines = succeeds(capsys, "list").splitlines()
    assert any(re.match(r"  sar +SAR: Spatial-Aware Regression", line) for line in lines)
    for name in recipes():
        assert any(re.match(rf"  {name} +\S", line) for line in lines), f"{name} is not listed"


def test_the_list_says_what_shipped_networks_are(capsys: Capture, weights: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("vitruvian.prediction.SHIPPED", weights.parent)
    assert re.search(r"^  tiny  sar  14 joints of lsp  64x64 px, 0\.\d MB$", succeeds(capsys, "list"), re.MULTILINE)


# training


class Train:
    """Stands in for training: keeps what it was called with."""

    def __call__(self, experiment: Experiment, output: Path, *options: Any) -> Path:
        self.experiment, self.output, self.options = experiment, output, options
        return output / "best.safetensors"


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Train:
    stand_in = Train()
    monkeypatch.setattr(vitruvian.training, "train", stand_in)
    return stand_in


def test_train_sets_fields_of_the_recipe(capsys: Capture, train: Train, data: Path) -> None:
    said = succeeds(
        *(capsys, "train", "sar/lspet_resnet18", "--data", data, "--training.milestones", "3", "5"),
        *("--training.batch_size=7", "--method.flip", "exact", "--seed", "4", "--augmentation.colour", "0.5"),
        *("--method.heatmap-branch", "false", "--deterministic", "--device", "cpu"),
    )
    recipe = sar_recipes.lspet_resnet18()
    expected = replace(
        recipe,
        method=replace(recipe.method, flip="exact", heatmap_branch=False),
        dataset=replace(recipe.dataset, path=str(data)),
        augmentation=replace(recipe.augmentation, colour=0.5),
        training=replace(recipe.training, milestones=(3, 5), batch_size=7),
        seed=4,
    )
    assert experiment_to_dict(train.experiment) == experiment_to_dict(expected)
    assert train.output == Path("runs/sar/lspet_resnet18")
    assert train.options == (False, True, "cpu", 1)
    assert "runs/sar/lspet_resnet18/best.safetensors" in said


def test_data_is_short_for_dataset_path(capsys: Capture, train: Train, data: Path) -> None:
    succeeds(capsys, "train", "sar/lspet_resnet18", "--dataset.path", data)
    assert train.experiment.dataset.path == str(data)


def test_other_joints_than_the_recipes_are_learnt_on_purpose_alone(capsys: Capture, train: Train, data: Path) -> None:
    assert fails(capsys, "train", "sar/coco_resnet50", "--data", data) == (
        f"{data} labels the 14 joints of 'lsp', but sar/coco_resnet50 learns the 17 of 'coco' (joint 0 is right_ankle "
        "there and nose here); give data with these, or learn those of the data: --joints data"
    )
    assert not hasattr(train, "experiment")
    said = succeeds(capsys, "train", "sar/coco_resnet50", "--data", data, "--joints", "data")
    assert train.experiment.skeleton.joints == read_labels(data).skeleton.joints
    assert f"learning the 14 joints of {data}, not the 17 of sar/coco_resnet50\n" in said
    assert "learning" not in succeeds(capsys, "train", "sar/lspet_resnet18", "--data", data, "--joints", "data")
    assert "--joints is 'date', expected one of recipe, data" in fails(
        capsys, "train", "sar/lspet_resnet18", "--data", data, "--joints", "date"
    )


def test_keypoints_of_ones_own_are_trained_on_a_recipe(capsys: Capture, train: Train, tmp_path: Path) -> None:
    content = json.loads(make_data(tmp_path, PEOPLE).read_text())
    names = ["left_ear", "right_ear", "tail"]
    content["categories"][0] |= {"name": "cat", "keypoints": names, "skeleton": [[1, 3], [2, 3]]}
    for record in content["annotations"]:
        record["keypoints"] = record["keypoints"][:9]
    (tmp_path / "cats.json").write_text(json.dumps(content))
    options = (capsys, "train", "sar/lspet_resnet18", "--data", tmp_path / "cats.json")
    assert "labels the 3 joints of 'cat', but sar/lspet_resnet18 learns the 14 of 'lsp' (joint 0 is left_ear" in fails(
        *options
    )
    succeeds(*options, "--joints", "data")
    skeleton = train.experiment.skeleton
    assert (skeleton.joints, skeleton.mirror, skeleton.limbs) == (tuple(names), (1, 0, 2), ((0, 2), (1, 2)))
    run = tmp_path / "run.yaml"
    write_run(run, train.experiment)
    assert "learning" not in succeeds(capsys, "train", "--config", run)  # the run file says which joints
    assert train.experiment.skeleton.joints == tuple(names)


def test_a_run_is_repeated_from_its_file(capsys: Capture, train: Train, data: Path, tmp_path: Path) -> None:
    experiment = small_experiment(data)
    run = tmp_path / "first" / "run.yaml"
    run.parent.mkdir()
    write_run(run, experiment)
    succeeds(capsys, "train", "--config", run)
    assert experiment_to_dict(train.experiment) == experiment_to_dict(experiment)
    assert train.output == Path("runs/first")
    succeeds(capsys, "train", "sar/coco_resnet50", f"--config={run}", "--seed", "9", "--output", tmp_path, "--resume")
    assert experiment_to_dict(train.experiment) == experiment_to_dict(replace(experiment, seed=9))
    assert (train.output, train.options[0]) == (tmp_path, True)


def test_help_of_a_recipe_has_its_docstring_and_its_defaults(capsys: Capture) -> None:
    text = " ".join(succeeds(capsys, "train", "sar/coco_hrnet_w48", "--help").split())
    assert "SAR, HRNet-W48 without deconvolution" in text
    assert "--training.batch-size INTEGER samples in one step of one process. (default: 36)" in text
    assert "--method.deconv-channels INTEGER [INTEGER ...]" in text
    assert "--data TEXT, --dataset.path TEXT annotation file to train on." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sar/coco_resnt50"], "there is no recipe 'sar/coco_resnt50'; the nearest is 'sar/coco_resnet50'"),
        (["coco_resnet50"], "the nearest is '"),
        ([], "which recipe? give its name first"),
        (["--seed", "3"], "which recipe?"),
        (["sar/lspet_resnet18"], "which data? give the annotation file to train on: --data FILE"),
        (["sar/lspet_resnet18", "--data", "nothing.json"], "nothing.json: no such file"),
        (["sar/lspet_resnet18", "--training.epoch", "3"], "the nearest is --training.epochs"),
        (["sar/lspet_resnet18", "--training.epochs", "0"], "the options: training: epochs is 0, expected 1 or more"),
        (["sar/lspet_resnet18", "--training.learning-rate", "nan"], "--training.learning-rate is 'nan'"),
        (["sar/lspet_resnet18", "--skeleton.name", "x"], "no option --skeleton.name"),
        (["sar/lspet_resnet18", "--config", "nothing.yaml"], "nothing.yaml: no such file"),
        (["--config", "nothing.yaml"], "nothing.yaml: no such file"),
        (["sar/lspet_resnet18", "--config"], "argument --config: expected one argument"),
        (["sar/lspet_resnet18", "--processes", "0"], "argument --processes: '0' is no whole number from 1"),
        (["sar/lspet_resnet18", "again"], "unrecognized arguments: again"),
    ],
)
def test_bad_training_options(
    arguments: list[str], message: str, capsys: Capture, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, "train", *arguments)
    assert not list(tmp_path.iterdir())


def test_unknown_fields_of_a_run_file_are_named(capsys: Capture, tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text("training: {epoch: 3}\n")
    assert fails(capsys, "train", "sar/lspet_resnet18", "--config", run) == (
        f"{run}: training.epoch: no such field; the nearest is 'epochs'"
    )


# evaluating


def test_evaluate_predicts_scores_and_says_under_what_conditions(
    capsys: Capture, data: Path, weights: Path, tmp_path: Path
) -> None:
    said = succeeds(
        *(capsys, "evaluate", "--data", data, "--weights", weights, "--output", tmp_path / "new" / "folder"),
        *("--no-flip", "--batch-size", "2", "--device", "cpu", "--method.framing.padding", "1.5"),
    )
    assert f"{weights} on {data}, 3 photos: annotated boxes with score 1, flip off, person score box_keypoint" in said
    assert "3 people annotated, 3 poses found" in said
    assert re.search(r"^all joints, by OKS( +[\d.-]+){10}$", said, re.MULTILINE)
    assert re.search(r"^all joints( +\d+\.\d\d){2}$", said, re.MULTILINE)
    results, scores = tmp_path / "new" / "folder" / "results.json", tmp_path / "new" / "folder" / "scores.json"
    figures = json.loads(scores.read_text())
    assert (figures["boxes"], figures["flip"], figures["detections"]) == ("annotated", False, "")
    again = score_results(results, read_labels(data))
    assert {name: figures[name] for name in again} == again


def test_evaluate_detected_boxes(capsys: Capture, data: Path, weights: Path, tmp_path: Path) -> None:
    detections = tmp_path / "detections.json"
    box = {"category_id": 1, "bbox": [4, 4, 80, 64], "score": 0.9}
    detections.write_text(json.dumps([{"image_id": number, **box} for number in (1, 3)]))
    options = ("--data", data, "--weights", weights, "--detections", detections, "--json", tmp_path / "scores.json")
    said = succeeds(capsys, "evaluate", *options, "--output", tmp_path, "--score", "box")
    assert f"boxes of {detections}, flip on, person score box\n" in said
    assert "3 people annotated, 2 poses found" in said
    assert [record["score"] for record in json.loads((tmp_path / "results.json").read_text())] == [0.9, 0.9]
    assert json.loads((tmp_path / "scores.json").read_text())["detections"] == str(detections)

    detections.write_text(json.dumps([{"image_id": 77, **box}]))
    message = fails(capsys, "evaluate", *options, "--output", tmp_path)
    assert f"{detections}: 1 of its images are not in {data}, image_id 77 first" in message


def test_a_results_file_is_scored_again(capsys: Capture, data: Path, weights: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    succeeds(capsys, "evaluate", "--data", data, "--weights", weights, "--output", tmp_path)
    first = json.loads((tmp_path / "scores.json").read_text())
    said = succeeds(capsys, "evaluate", "--data", data, "--results", results)
    again = json.loads((tmp_path / "results.scores.json").read_text())
    assert {**first, **again} == first
    assert "all joints, by OKS" in said
    results.write_text(results.read_text()[:-40])
    assert "results.json: not valid JSON" in fails(capsys, "evaluate", "--data", data, "--results", results)


def test_help_of_evaluate_with_a_network_has_its_methods_fields(capsys: Capture, weights: Path) -> None:
    text = succeeds(capsys, "evaluate", "--weights", weights, "--help")
    assert "--method.flip {literal,exact}" in text
    assert "--training.epochs" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nothing.json"], "nothing.json: no such file"),
        ([], "the following arguments are required: --data"),
        (["--dat", "nothing.json"], "no option --dat; the nearest is --data"),
        (["--data", "{data}", "--images", "nowhere"], "nowhere: no such folder; expected the photos of"),
        (["--data", "{data}", "--detections", "no.json"], "no.json: no such file; expected a detection file"),
        (["--data", "{data}", "--score", "boxes"], "--score is 'boxes', expected one of box_keypoint"),
        (["--data", "{data}", "--pckh", "mpose"], "--pckh is 'mpose', expected one of inclusive, mmpose"),
        (["--data", "{data}", "--batch-size", "-1"], "argument --batch-size: '-1' is no whole number from 1"),
        (["--data", "{data}", "--method.flip", "no"], "--method.flip is 'no', expected one of literal, exact"),
        (["--data", "{data}", "--output", "{data}/x"], "{data}/x: no folder can be made there"),
        (["--data", "{data}", "--device", "cudo"], "device 'cudo' is unknown"),
        (["--data", "{data}", "--json", "{folder}/no/s.json"], "no/s.json: there is no folder"),
    ],
)
def test_bad_evaluation_options(
    arguments: list[str], message: str, capsys: Capture, data: Path, weights: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [argument.format(data=data, folder=tmp_path) for argument in arguments]
    assert message.format(data=data) in fails(capsys, "evaluate", "--weights", weights, *given)


def test_networks_that_are_not_there(capsys: Capture, data: Path, tmp_path: Path) -> None:
    assert "there is no network 'nobody'" in fails(capsys, "evaluate", "--data", data, "--weights", "nobody")
    assert "there is no such file" in fails(
        capsys, "evaluate", "--data", data, "--weights", tmp_path / "no.safetensors"
    )
    assert "text, not a checkpoint" in fails(capsys, "evaluate", "--data", data, "--weights", data)


# predicting


def test_predict_writes_and_says_what_it_did(capsys: Capture, data: Path, weights: Path, tmp_path: Path) -> None:
    options = ("--weights", weights, "--output", tmp_path / "out", "--device", "cpu")
    said = succeeds(capsys, "predict", data.parent / "1.jpg", data.parent / "2.jpg", *options)
    assert "2 whole photos taken as one person each" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.json", "1.jpg", "2.jpg"}
    boxes = ("--box", "4", "4", "84", "68", "--box", "-3.5", "0", "40", "60")
    succeeds(capsys, "predict", data.parent / "1.jpg", *boxes, "--no-drawings", *options)
    records = json.loads((tmp_path / "out" / "results.json").read_text())
    assert sorted(record["box"] for record in records) == [[-3.5, 0, 40, 60], [4, 4, 84, 68]]


def test_predict_takes_boxes_from_a_file(capsys: Capture, data: Path, weights: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [4, 4, 80, 64], "score": 0.5}] * 2))
    options = ("--weights", weights, "--output", tmp_path / "out", "--boxes", boxes, "--no-drawings", "--no-flip")
    said = succeeds(capsys, "predict", data.parent, *options)
    assert "the boxes name nobody in 2 photos" in said
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 2


def test_predict_goes_on_after_a_bad_photo_and_says_so(
    capsys: Capture, data: Path, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    photos = (tmp_path / "bad.jpg", data.parent / "1.jpg")
    assert main([str(part) for part in ("predict", *photos, "--weights", weights, "--output", tmp_path / "out")]) == 2
    said = capsys.readouterr().out
    assert "1 person in 1 photo" in said
    assert re.search(r"^failed: .*bad\.jpg", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: PHOTO"),
        (["nothing.jpg"], "There is no photo nothing.jpg"),
        (["{folder}/1.jpg", "--boxes", "b.json", "--box", "1", "2", "3", "4"], "--box and --boxes were both given"),
        (["{folder}/1.jpg", "--box", "1", "2", "3"], "argument --box: expected 4 arguments"),
        (["{folder}/1.jpg", "--box", "1", "2", "nan", "4"], "--box is 'nan', expected a finite number"),
        (["{folder}/1.jpg", "--boxes", "b.json"], "b.json: no such file; expected a detection file"),
        (["{folder}/1.jpg", "--threshold", "high"], "--threshold is 'high', expected a number"),
        (["{folder}/1.jpg", "--thresh", "0.3"], "no option --thresh; the nearest is --threshold"),
        (["{folder}/1.jpg", "--output", "{folder}"], "would replace that photo"),
    ],
)
def test_bad_prediction_options(arguments: list[str], message: str, capsys: Capture, data: Path, weights: Path) -> None:
    given = [argument.format(folder=data.parent) for argument in arguments]
    assert message in fails(capsys, "predict", *given, "--weights", weights)


# importing


def test_import_weights_makes_a_checkpoint(capsys: Capture, data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    experiment = small_experiment(data)
    monkeypatch.setattr(sar_recipes, "lspet_resnet18", recipe := lambda: experiment)
    recipe.__module__ = sar_recipes.__name__
    torch.manual_seed(3)
    own = build(experiment).state_dict()
    theirs = {name.replace("backbone.network.", "backbone."): tensor for name, tensor in own.items()}
    torch.save({"state_dict": theirs, "epoch": 3}, tmp_path / "theirs.pth")
    said = succeeds(
        *(capsys, "import-weights", tmp_path / "theirs.pth", "sar/lspet_resnet18"),
        *("--output", tmp_path / "ours.safetensors"),
    )
    assert f"ours.safetensors: {len(own)} tensors from {tmp_path}/theirs.pth" in said
    state, values = checkpoints.load(tmp_path / "ours.safetensors")
    assert experiment_to_dict(experiment_from_dict(values, "it")) == experiment_to_dict(experiment)
    for name, tensor in own.items():
        np.testing.assert_array_equal(state[name], tensor)


def test_weights_of_another_network_are_refused(capsys: Capture, data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    experiment = small_experiment(data)
    monkeypatch.setattr(sar_recipes, "lspet_resnet18", recipe := lambda: experiment)
    recipe.__module__ = sar_recipes.__name__
    torch.save({"backbone.conv1.weight": torch.zeros(2, 3)}, tmp_path / "theirs.pth")
    output = tmp_path / "ours.safetensors"
    message = fails(capsys, "import-weights", tmp_path / "theirs.pth", "sar/lspet_resnet18", "--output", output)
    assert message.startswith(f"{tmp_path}/theirs.pth: the checkpoint does not fit the network: tensors ")
    assert message.endswith("; perhaps it is of another recipe than sar/lspet_resnet18")
    assert not output.exists()
    assert "there is no such file" in fails(
        *(capsys, "import-weights", tmp_path / "no.pth", "sar/lspet_resnet18", "--output", output)
    )
    assert "the nearest is 'sar/lspet_resnet18" in fails(
        *(capsys, "import-weights", tmp_path / "theirs.pth", "sar/lspet_resnet", "--output", output)
    )
    assert "the following arguments are required: --output" in fails(capsys, "import-weights", "a.pth", "sar/x")


# leaving


def test_what_is_not_the_users_fault_keeps_its_traceback(monkeypatch: Any) -> None:
    def broken(arguments: list[str]) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(COMMANDS, "list", (broken, ""))
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_an_interrupt_says_what_it_was_told(capsys: Capture, monkeypatch: Any) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt(*arguments)

    monkeypatch.setitem(COMMANDS, "list", (interrupted, ""))
    assert main(["list", "stopped after step 3"]) == 130
    assert capsys.readouterr().err == "vitruvian: stopped after step 3\n"
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "vitruvian: interrupted\n"


PRINTING = """
import sys
from vitruvian import cli
cli.COMMANDS["list"] = (lambda arguments: print("x" * 10_000_000) or 0, "")
sys.exit(cli.main(["list"]))
"""


def test_a_reader_that_leaves_is_no_error() -> None:
    read, written = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", PRINTING], stdout=written, stderr=subprocess.PIPE)
    os.close(written)
    os.close(read)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PRINTING], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "vitruvian: the output cannot be written (No space left on device); free some space\n"
