"""Keypoints of one's own, from a COCO file alone: what is picked, held back, started from, and the page's own path."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_run import make_data, small_experiment

from vitruvian import checkpoints
from vitruvian.cli import main
from vitruvian.data.labels import Labels, split_by_photo
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError
from vitruvian.experiment import Dataset
from vitruvian.methods import build, experiment_to_dict
from vitruvian.methods.sar.method import Config
from vitruvian.sample import People, Photo
from vitruvian.skeletons import COFW, LSP, skeleton_from_names
from vitruvian.training import starting_method, train
from vitruvian.training.choice import described, fitting_experiment, metric_of

FISH = skeleton_from_names("fish", ("mouth", "tail", "fin"), [(0, 1)])


def labels_of(counts: list[int], skeleton: Any = FISH) -> Labels:
    """Labels of photos with so many people each."""
    photos = []
    for number, count in enumerate(counts):
        people = People(
            keypoints=np.ones((count, skeleton.num_joints, 2), np.float32),
            visibility=np.full((count, skeleton.num_joints), 2, np.int8),
            boxes=np.array([[0, 0, 20, 30]] * count, np.float32).reshape(-1, 4),
            areas=np.full(count, 300, np.float32),
            ignored=np.zeros(count, bool),
        )
        photos.append(Photo(Path(f"a/{number}.jpg"), number, (50, 40), people, tuple(range(count))))
    return Labels(Path("a/fish.json"), skeleton, tuple(photos), content={"images": []})


def test_photos_are_held_back_by_their_names_alone() -> None:
    labels = labels_of([1, 2, 0, 3, 1, 1, 1, 1, 1])
    learnt, held = split_by_photo(labels, 0.25)
    assert (len(held.photos), len(learnt.photos)) == (2, 7)  # of eight with people; the one without stays
    assert held.content is not None
    names = {photo.path.name for photo in held.photos}
    again = split_by_photo(replace(labels, photos=labels.photos[::-1]), 0.25)[1]
    assert {photo.path.name for photo in again.photos} == names
    more = split_by_photo(labels_of([1, 2, 0, 3, 1, 1, 1, 1, 1, 1]), 0.25)[1]
    assert len(names & {photo.path.name for photo in more.photos}) >= 1
    for share in (0.01, 0.99):
        with pytest.raises(InputError, match=r"fish\.json: .* of its 8 photos with people are [08], which leaves none"):
            split_by_photo(labels, share)


@pytest.mark.parametrize(
    ("people", "device", "epochs", "batch_size"),
    [(10, "cpu", 150, 5), (120, "cpu", 118, 16), (500, "cpu", 28, 32), (6000, "cpu", 15, 32), (500, "cuda", 235, 32)],
)
def test_epochs_and_batches_fit_the_number_of_people(people: int, device: Any, epochs: int, batch_size: int) -> None:
    labels = labels_of([2] * (people // 2))
    experiment = fitting_experiment(labels, Dataset(path="a/fish.json"), device)
    said = described(labels, experiment, device)
    training = experiment.training
    assert (training.epochs, training.batch_size) == (epochs, min(batch_size, max(round(people * 0.85) // 2, 1)))
    assert experiment.skeleton is FISH
    assert experiment.dataset.val_share == (0.15 if people > 6 else 0)
    steps = epochs * (round(people * 0.85) // training.batch_size)
    assert training.warmup_steps <= steps / 20
    assert 0.7 < training.ema <= 0.99
    assert (
        f"{people} people to learn from in {people // 2} photos, {'a GPU' if device == 'cuda' else 'no GPU'}" in said[0]
    )
    assert f"recipe sar/own, from the network person, 128x128 px, {epochs} epochs" in said[0]
    own_val = fitting_experiment(labels, Dataset(path="a/fish.json", val_path="b.json"), device)
    assert own_val.dataset.val_share == 0


def test_what_is_best_depends_on_the_joints() -> None:
    assert [metric_of(skeleton) for skeleton in (FISH, LSP, COFW)] == ["box_pck@0.1", "torso_pck@0.2", "AP"]
    with pytest.raises(InputError, match=r"fish\.json: nobody in it can be learnt from"):
        fitting_experiment(labels_of([0, 0]), Dataset(), "cpu")


def test_a_network_of_other_joints_gives_all_but_its_head(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    before = small_experiment(make_data(tmp_path, 3), val=False)
    torch.manual_seed(3)
    weights = build(before).state_dict()
    checkpoints.save(tmp_path / "lsp.safetensors", weights, experiment_to_dict(before))
    start = replace(before.training, start_from=str(tmp_path / "lsp.safetensors"))
    experiment = replace(before, skeleton=FISH, training=start)
    method = starting_method(experiment, from_state=False)
    for name, tensor in method.state_dict().items():
        if name.startswith(("backbone.", "head.deconv")):
            assert torch.equal(tensor, weights[name]), name
    assert method.state_dict()["head.logit_conv.weight"].shape[0] == 3
    said = capsys.readouterr().out
    assert "lsp.safetensors, which has other joints: " in said
    assert said.rstrip().endswith("head.logit_conv.bias, head.offset_conv.weight, head.offset_conv.bias")
    wider = replace(config := cast(Config, before.method), backbone=replace(config.backbone, channels=(8, 8, 16, 24)))
    with pytest.raises(InputError, match=r"lsp\.safetensors does not fit the network: tensors .* of another shape"):
        starting_method(replace(experiment, method=wider), from_state=False)


def test_photos_that_are_missing_are_told_before_the_first_step(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 3)
    (tmp_path / "data" / "2.jpg").unlink()
    with pytest.raises(InputError, match=r"1 of 3 photos are missing \(.*2\.jpg\); add them, or give the folder"):
        train(small_experiment(data, val=False), tmp_path / "run", device="cpu")


def test_the_annotations_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vitruvian.data.reading
    import vitruvian.training.data

    data, count = make_data(tmp_path / "data", 3), []

    def reading(path: Any, *arguments: Any, **options: Any) -> Labels:
        count.append(path)
        return read_labels(path, *arguments, **options)

    monkeypatch.setattr(vitruvian.training.data, "read_labels", reading)
    monkeypatch.setattr(vitruvian.data.reading, "read_skeleton", None)
    monkeypatch.setattr("vitruvian.training.prepare_folder", lambda *_: (_ for _ in ()).throw(InputError("enough")))
    assert main(["train", "sar/lspet_resnet18", "--data", str(data)]) == 2
    assert count == [str(data)]


def test_the_page_on_ones_own_keypoints_works(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).parents[2] / "examples" / "chairs.py"
    spec = importlib.util.spec_from_file_location("chairs", path)
    assert spec
    assert spec.loader
    chairs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chairs)
    monkeypatch.chdir(tmp_path)
    chairs.write(Path("chairs"), "images", "chairs.json", 8, 0)
    capsys.readouterr()
    small = ["--method.framing.size", "64", "64", "--training.epochs", "1", "--training.workers", "0"]
    assert main(["train", "--data", "chairs/chairs.json", "--device", "cpu", *small]) == 0
    said = capsys.readouterr().out
    assert "chairs.json: 10 joints of 'chair', 11 limbs, 5 mirror pairs by left and right in their names" in said
    assert "no GPU: recipe sar/own, from the network person, 64x64 px, 1 epochs of batches of " in said
    assert "held back from training, to be scored: 1 of 8 photos" in said
    assert "starting from person, which has other joints: " in said
    assert "the best checkpoint is runs/chairs/best.safetensors" in said
    held = json.loads(Path("runs/chairs/val.json").read_text())
    assert len(held["images"]) == 1
    weights = ["--weights", "runs/chairs/best.safetensors", "--device", "cpu"]
    assert main(["evaluate", "--data", "runs/chairs/val.json", *weights]) == 0
    assert "PCK by the box's longer side" in capsys.readouterr().out
    assert main(["predict", held["images"][0]["file_name"], *weights]) == 0
    assert len(json.loads(Path("predictions/results.json").read_text())[0]["keypoints"]) == 30
    assert load_file("runs/chairs/best.safetensors")["head.logit_conv.weight"].shape[0] == 10
