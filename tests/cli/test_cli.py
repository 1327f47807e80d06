from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from small_run import make_data, make_weights, small_experiment

import vitruvian.training
from vitruvian import checkpoints
from vitruvian.cli import COMMANDS, main
from vitruvian.data.reading import read_labels
from vitruvian.evaluation.scoring import score_results
from vitruvian.experiment import Experiment
from vitruvian.images import read_image
from vitruvian.methods import METHODS, build, experiment_from_dict, experiment_to_dict, recipes
from vitruvian.methods.sar import recipes as sar_recipes
from vitruvian.runs import write_run
from vitruvian.skeletons import skeleton_from_names

PEOPLE = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotations of three photos with one person each."""
    return make_data(tmp_path_factory.mktemp("data"), PEOPLE)


@pytest.fixture(scope="module")
def weights(data: Path) -> Path:
    """A tiny network that has learnt nothing."""
    return make_weights(data)


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
    needed = {"train": ["sar/lspet_resnet18"], "predict": ["a.jpg"], "import-weights": ["a.pth", "sar/person"]}
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
    assert train.options[:4] == (False, True, "cpu", 1)
    kept = "nothing was scored: the kept checkpoint is the last one, runs/sar/lspet_resnet18/best.safetensors"
    assert said.startswith(f"{kept}; try: vitruvian predict PHOTO --weights runs/")


def test_train_names_the_best_of_the_scored_checkpoints(
    capsys: Capture, train: Train, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "scores.csv").write_text("epoch,AP\n10,0.5\n")
    said = succeeds(capsys, "train", "sar/lspet_resnet18", "--data", data, "--output", tmp_path)
    assert said.startswith(f"the best checkpoint is {tmp_path / 'best.safetensors'}; try")


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
    assert '--data TEXT, --dataset.path TEXT annotation file to train on, or "synthetic": people' in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sar/coco_resnt50"], "there is no recipe 'sar/coco_resnt50'; the nearest is 'sar/coco_resnet50'"),
        (["coco_resnet50"], "the nearest is '"),
        ([], "what to train on? give keypoints of your own, vitruvian train --data FILE, or a recipe too"),
        (["--seed", "3"], "what to train on?"),
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
    assert f"{detections}: 1 of its images are not in {data}, image_id 77; give" in message


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
    assert "--method.flip {literal,exact" in text
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
        (["--data", "{data}", "--json", "{folder}"], "is a folder: give the name of the file to write"),
        (["--data", "{data}", "--method.backbone.name", "hf-hub:x"], "method.backbone: name is 'hf-hub:x', expected"),
    ],
)
def test_bad_evaluation_options(
    arguments: list[str], message: str, capsys: Capture, data: Path, weights: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vitruvian.evaluation.evaluate", lambda *_: pytest.fail("it was predicted all the same"))
    given = [argument.format(data=data, folder=tmp_path) for argument in arguments]
    assert message.format(data=data) in fails(capsys, "evaluate", "--weights", weights, *given)


@pytest.mark.parametrize(
    "option",
    [
        *(["--weights", "person"], ["--detections", "d.json"], ["--no-flip"], ["--flip"], ["--batch_size=3"]),
        *(["--device", "cpu"], ["--score", "box"], ["--output", "x"], ["--method.flip", "exact"]),
    ],
)
def test_options_for_prediction_are_refused_with_results(option: list[str], capsys: Capture, data: Path) -> None:
    name = option[0].partition("=")[0].replace("_", "-")
    assert fails(capsys, "evaluate", "--data", data, "--results", "r.json", *option) == (
        f"{name} says how to predict, but --results FILE is scored as it is; leave one of them out"
    )


def test_an_option_without_its_value_names_the_help_of_its_command(capsys: Capture) -> None:
    for option in ("--weights", "--results"):
        message = fails(capsys, "evaluate", "--data", "a.json", option)
        assert message == f"argument {option}: expected one argument (see vitruvian evaluate --help)"


def test_people_left_out_for_their_boxes_are_told(capsys: Capture, data: Path, weights: Path, tmp_path: Path) -> None:
    content = json.loads(data.read_text())
    content["annotations"][1]["bbox"] = [4, 4, 0, 64]
    (own := data.parent / "flat.json").write_text(json.dumps(content))
    said = succeeds(
        *(capsys, "evaluate", "--data", own, "--weights", weights, "--output", tmp_path / "o", "--device", "cpu")
    )
    assert f"{own}: 1 of 3 people are left out" in said
    assert "annotation 2 first, box 4 4 4 68 (x0 y0 x1 y1) in 88 x 72 px, area 1; correct these" in said


def test_results_are_not_scored_for_a_place_that_takes_no_scores(capsys: Capture, data: Path, tmp_path: Path) -> None:
    options = ("--data", data, "--results", tmp_path / "r.json", "--images", data.parent)
    assert "there is no folder" in fails(capsys, "evaluate", *options, "--json", tmp_path / "no" / "s.json")
    assert "no option --result; the nearest is --results" in fails(capsys, "evaluate", *options, "--result", "x")


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


def test_results_have_the_joints_that_are_asked_for(capsys: Capture, data: Path, weights: Path, tmp_path: Path) -> None:
    command = (capsys, "predict", data.parent / "1.jpg", "--weights", weights, "--output", tmp_path, "--no-drawings")
    succeeds(*command, "--joints", "coco")
    triples = np.array(json.loads((tmp_path / "results.json").read_text())[0]["keypoints"]).reshape(17, 3)
    assert triples[:5].tolist() == [[0, 0, -1]] * 5  # of the head the network has none of COCO's
    assert (triples[5:, 2] >= 0).all()
    succeeds(*command, "--joints", data)
    own = np.array(json.loads((tmp_path / "results.json").read_text())[0]["keypoints"]).reshape(14, 3)
    np.testing.assert_array_equal(own[9], triples[5])  # the left shoulder
    assert fails(*command, "--joints", "cocoa") == (
        "--joints cocoa: neither a file nor a known skeleton; the nearest is 'coco'"
    )
    assert fails(*command, "--joints", "cofw").startswith("no joint of 'cofw' has the name of one of the network")


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


def test_predict_does_the_photos_that_are_there_and_names_the_others(
    capsys: Capture, data: Path, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.jpg").write_bytes((data.parent / "1.jpg").read_bytes())
    (tmp_path / "in" / "link.jpg").symlink_to("gone.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    (tmp_path / "list.txt").write_text(f"nowhere.jpg\n{data.parent}/2.jpg\n")
    surrogate = os.fsdecode(b"\xff.jpg")  # a name that cannot be printed
    names = ["missing.jpg", "in", "bad.jpg", "list.txt", "*.webp", surrogate]
    arguments = ["predict", *(str(tmp_path / name) for name in names), "--weights", str(weights), "--no-flip"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("results.json: 2 people in 2 photos")
    reasons = [line for line in said if line.startswith("failed: ")]
    expected = [
        "missing.jpg; check",
        "a link to gone.jpg",
        "list.txt, line 1",
        "No photo matches",
        ".jpg;",
        "bad.jpg is",
    ]
    assert len(reasons) == len(expected)
    assert all(part in line for line, part in zip(reasons, expected)), reasons
    assert said[-1] == "6 photos failed, for the reasons above"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.json", "1.jpg", "2.jpg"}


def test_predict_without_any_photo_says_so(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("fran\u00e7ois.jpg\n".encode("latin-1"))
    output = tmp_path / "out"
    assert fails(capsys, "predict", tmp_path / "list.txt", "--output", output) == (
        f"{tmp_path}/list.txt is no list of photos in UTF-8: byte 4 is 0xe7; save it as UTF-8"
    )
    message = fails(capsys, "predict", tmp_path / "a.jpg", tmp_path / "b.jpg", "--output", output)
    assert message == f"There is no photo {tmp_path}/a.jpg; check the path (and 1 more names without a photo)"
    assert not output.exists()


def test_photos_whose_names_look_like_options(
    capsys: Capture, data: Path, weights: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("--odd.jpg", "-x.jpg"):
        Path(name).write_bytes((data.parent / "1.jpg").read_bytes())
    succeeds(capsys, "predict", "--weights", weights, "--no-flip", "--output", "out", "--", "--odd.jpg", "-x.jpg")
    assert {path.name for path in Path("out").iterdir()} == {"results.json", "--odd.jpg", "-x.jpg"}


def test_detected_boxes_need_a_score(capsys: Capture, data: Path, weights: Path, tmp_path: Path) -> None:
    box = {"image_id": 1, "category_id": 1, "bbox": [4, 4, 80, 64]}
    (tmp_path / "boxes.json").write_text(json.dumps([{**box, "score": score} for score in (0.8, 0.3, 0.2)]))
    options = (data.parent / "1.jpg", "--weights", weights, "--output", tmp_path, "--no-drawings", "--no-flip")
    for threshold, people in (((), 2), (("--box-threshold", "0.1"), 3), (("--box-threshold=0.5",), 1)):
        said = succeeds(capsys, "predict", *options, "--boxes", tmp_path / "boxes.json", *threshold)
        assert (f"{3 - people} box" in said) == (people < 3)
        assert len(json.loads((tmp_path / "results.json").read_text())) == people
    assert fails(capsys, "predict", *options, "--box-threshold", "0.5") == (
        "--box-threshold is for the scores in a file of boxes; give --boxes FILE, or leave it out"
    )


@pytest.mark.parametrize("name", METHODS)
def test_joints_are_drawn_unless_their_scores_are_low(name: str) -> None:
    """SAR's scores are shares of a map: a small network on a small map already has joints below 0.2."""
    assert METHODS[name].drawn_above == (0 if name == "sar" else 0.2)


def test_all_joints_of_the_shipped_network_are_drawn(capsys: Capture, tmp_path: Path, monkeypatch: Any) -> None:
    drawn = []
    monkeypatch.setattr("vitruvian.prediction.files.draw_poses", lambda *given: drawn.append(given) or given[0])
    photo = Path(__file__).parents[2] / "docs" / "photos" / "000000234748.jpg"
    succeeds(capsys, "predict", photo, "--box", "273", "130", "417", "384", "--output", tmp_path)
    poses, threshold = drawn[0][1], drawn[0][3]
    assert (poses.joint_scores > threshold).all()
    assert poses.joint_scores.min() < 0.2
    assert "default: 0.2; for sar" in " ".join(succeeds(capsys, "predict", "--help").split())


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
        (["{folder}/1.jpg", "--output", "{folder}/1.jpg/x"], "1.jpg/x: no folder can be made there (Not a directory)"),
        (["{folder}/1.jpg", "--box-threshold", "low", "--boxes", "b"], "--box-threshold is 'low', expected a number"),
        (["{folder}/1.jpg", "--device", "hpu"], "device 'hpu' is not there; available: auto, cpu"),
        (["{folder}/1.jpg", "--device", "cuda:9"], "device 'cuda:9' is not there; available: auto, cpu"),
        (["--odd.jpg"], "no option --odd.jpg; the nearest is --"),
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
    assert message.startswith(f"{tmp_path}/theirs.pth: the weights do not fit the network: tensors ")
    assert message.endswith(
        "; perhaps it is of another recipe than sar/lspet_resnet18, of other fields (vitruvian import-weights FILE "
        "sar/lspet_resnet18 --help) or of other joints (--joints)"
    )
    assert message.count("theirs.pth") == 1
    assert not output.exists()
    assert "there is no such file" in fails(
        *(capsys, "import-weights", tmp_path / "no.pth", "sar/lspet_resnet18", "--output", output)
    )
    assert "the nearest is 'sar/lspet_resnet18" in fails(
        *(capsys, "import-weights", tmp_path / "theirs.pth", "sar/lspet_resnet", "--output", output)
    )
    assert "the nearest is 'sar/" in fails(capsys, "import-weights", "a.pth", "sar/x")
    assert "the following arguments are required: --output" in fails(
        *(capsys, "import-weights", "a.pth", "sar/lspet_resnet18")
    )


def test_networks_that_no_recipe_is_of_are_imported_by_options(
    capsys: Capture, data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    experiment = small_experiment(data)
    monkeypatch.setattr(sar_recipes, "lspet_resnet18", recipe := lambda: experiment)
    recipe.__module__ = sar_recipes.__name__
    content = json.loads(data.read_text())
    content["categories"][0] |= {"name": "animal", "keypoints": ["nose", "left_paw", "right_paw"]}
    content["annotations"] = [{**record, "keypoints": record["keypoints"][:9]} for record in content["annotations"]]
    (tmp_path / "paws.json").write_text(json.dumps(content))
    other = replace(
        experiment,
        method=replace(experiment.method, deconv_channels=(6, 10), deconv_kernels=(4, 2), flip="exact"),
        skeleton=skeleton_from_names("animal", ["nose", "left_paw", "right_paw"], []),
    )
    own = build(other).state_dict()
    theirs = {name.replace("backbone.network.", "backbone."): tensor for name, tensor in own.items()}
    torch.save(theirs, tmp_path / "paws.pth")
    command = ("import-weights", "--method.flip", "exact", tmp_path / "paws.pth", "sar/lspet_resnet18")
    joints = ("--joints", tmp_path / "paws.json", "--output", tmp_path / "paws.safetensors")
    deconvolutions = ("--method.deconv-channels", "6", "10", "--method.deconv-kernels")
    succeeds(capsys, *command, *deconvolutions, "4", "2", *joints)
    state, values = checkpoints.load(tmp_path / "paws.safetensors")
    assert experiment_to_dict(experiment_from_dict(values, "it")) == experiment_to_dict(other)
    assert state.keys() == own.keys()
    assert "deconv_kernels has 3" in fails(*(capsys, *command, *deconvolutions, "4", "2", "3", *joints))
    assert "the nearest is --method.flip" in fails(capsys, *command, "--method.flop", "exact", *joints)
    assert "--method.deconv-channels" in succeeds(capsys, *command, "--help")


def test_shrink_makes_a_file_to_hand_on(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    state, experiment = checkpoints.load(weights)
    assert Path(experiment["dataset"]["path"]).is_absolute()
    output = tmp_path / "small.safetensors"
    said = succeeds(capsys, "shrink", weights, "--output", output, "--score", "AP 3")
    assert re.fullmatch(rf"{re.escape(str(output))}: 0\.\d MB, before 0\.\d MB\n", said)
    halved, values = checkpoints.load(output)
    assert output.stat().st_size < 0.7 * weights.stat().st_size
    for name, tensor in state.items():
        np.testing.assert_allclose(halved[name], tensor, rtol=1e-3, atol=1e-7)
    assert values["method"] == experiment["method"]
    assert values["dataset"]["path"] == "/".join(Path(experiment["dataset"]["path"]).parts[-3:])
    with safe_open(output, "pt") as file:
        assert file.metadata()["score"] == "AP 3"
        assert str(weights.parent) not in file.metadata()["experiment"]


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "photos/x.jpg"), "photos/x.jpg: Permission denied; check the path"),
        (OSError(36, "File name too long", b"y\xff.jpg"), "y\\udcff.jpg: File name too long; check the path"),
    ],
)
def test_errors_of_the_system_about_a_file_are_one_line(
    error: OSError, said: str, capsys: Capture, monkeypatch: Any
) -> None:
    def broken(arguments: list[str]) -> int:
        raise error

    monkeypatch.setitem(COMMANDS, "list", (broken, ""))
    assert fails(capsys, "list") == f"{said} and its permissions"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_terminated_prediction_leaves_whole_files(
    number: signal.Signals, code: int, capsys: Capture, data: Path, weights: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """The signal comes in the midst of a drawing, which a thread writes, while results.json is half written."""
    before = signal.getsignal(number)
    files = sys.modules["vitruvian.images"]
    write, begun = files.write_atomically, []

    def slowly(path: Path, write_it: Any) -> None:
        def half_first(part: Path) -> None:
            part.write_bytes(b"half")
            if not begun:
                begun.append(sorted(one.name for one in part.parent.iterdir()))
                os.kill(os.getpid(), number)
                time.sleep(0.2)
            write_it(part)

        write(path, half_first)

    monkeypatch.setattr(files, "write_atomically", slowly)
    photos = [tmp_path / f"{index}.jpg" for index in range(60)]
    for photo in photos:
        photo.symlink_to(data.parent / "1.jpg")
    given = ["predict", *map(str, photos), "--weights", str(weights), "--no-flip", "--batch-size", "1"]
    assert main([*given, "--output", str(tmp_path / "out")]) == code
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"vitruvian: stopped by {number.name}")
    for thread in threading.enumerate():  # the interpreter waits for them before it ends
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(10)
    assert any(name.startswith(".results.") for name in begun[0])
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left
    assert len(left) < 60
    assert not [name for name in left if name.startswith(".") or name == "results.json"]
    assert all(read_image(tmp_path / "out" / name).shape == (72, 88, 3) for name in left)
    assert signal.getsignal(number) == before


def test_signals_that_somebody_else_takes_are_left_to_them(monkeypatch: Any) -> None:
    seen: list[Any] = []
    monkeypatch.setitem(COMMANDS, "list", (lambda arguments: seen.append(signal.getsignal(signal.SIGHUP)) or 0, ""))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert main(["list"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIG_IGN]


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
