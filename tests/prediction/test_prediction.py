"""Prediction: places, order, scores and errors, on a network that knows where things are and on real ones."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from colour_finder import finder, scene

import vitruvian
from vitruvian import checkpoints, crops, prediction
from vitruvian.backbones import BackboneConfig
from vitruvian.crops import crop_people
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment, View
from vitruvian.images import write_image
from vitruvian.methods import METHODS, build, experiment_to_dict
from vitruvian.metrics.oks import rescore
from vitruvian.prediction import load, shipped, streaming
from vitruvian.prediction.networks import NetworkPredictor, NetworkRunner
from vitruvian.skeletons import LSP


@pytest.fixture
def photos(tmp_path: Path) -> tuple[list, list, list]:
    """A file, an array and a file, of two, three and two people; their boxes; their points."""
    scenes = [scene(0), scene(1, people=3), scene(2)]
    for name, (image, _, _) in zip("abc", scenes):
        write_image(tmp_path / f"{name}.png", image)
    images = [tmp_path / "a.png", scenes[1][0], str(tmp_path / "c.png")]
    return images, [boxes for _, boxes, _ in scenes], [points for _, _, points in scenes]


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("batch_size", [None, 1, 3, 100])
def test_places_in_the_photo(photos: tuple[list, list, list], flip: bool, batch_size: int | None) -> None:
    images, boxes, points = photos
    found = finder().predict(images, boxes, flip, batch_size)
    assert len(found) == 3
    for poses, truth, box in zip(found, points, boxes):
        np.testing.assert_allclose(poses.keypoints, truth, atol=0.06)
        np.testing.assert_array_equal(poses.boxes, box)


def test_batches_run_over_photos(photos: tuple[list, list, list], monkeypatch: pytest.MonkeyPatch) -> None:
    images, boxes, _ = photos
    seen, start = [], NetworkRunner.start
    monkeypatch.setattr(NetworkRunner, "start", lambda self, pixels: seen.append(len(pixels)) or start(self, pixels))
    finder().predict(images, boxes, batch_size=4)
    assert seen == [4, 3]


def test_each_photo_is_decoded_once(photos: tuple[list, list, list], monkeypatch: pytest.MonkeyPatch) -> None:
    images, boxes, _ = photos
    read, whole = [], crops.read_image
    monkeypatch.setattr(crops, "read_image", lambda path, reduction: read.append(path) or whole(path, reduction))
    finder().predict(images, boxes, batch_size=1)
    assert read == [images[0], images[2]]


def test_the_best_person_comes_first(photos: tuple[list, list, list]) -> None:
    images, boxes, points = photos
    reverse = [box[::-1] for box in boxes]
    for poses, truth, box in zip(finder().predict(images, reverse), points, boxes):
        np.testing.assert_allclose(poses.keypoints, truth, atol=0.06)
        np.testing.assert_array_equal(poses.boxes, box)
        assert (np.diff(poses.scores) < 0).all()
        np.testing.assert_allclose(poses.scores, rescore(np.ones(len(box)), poses.joint_scores, "keypoint"))


@pytest.mark.parametrize("mode", ["box_keypoint", "box_rle", "box", "keypoint"])
def test_scores_are_those_of_evaluation(mode: str) -> None:
    image, boxes, _ = scene(0)
    given = np.column_stack([boxes, [0.3, 0.9]])
    poses = finder(mode).predict([image], [given])[0]
    box_scores = np.where(poses.boxes[:, 0] == 0, 0.3, 0.9)  # type: ignore[index]
    np.testing.assert_allclose(poses.scores, rescore(box_scores, poses.joint_scores, mode))  # type: ignore[arg-type]
    assert poses.scores[0] > poses.scores[1]


def test_a_photo_without_boxes_is_one_person_and_one_with_no_boxes_nobody() -> None:
    image, _, points = scene(3, people=2)
    image = image[:, :60]  # the first person alone
    one, nobody = finder().predict([image, image], [None, []])
    np.testing.assert_allclose(one.keypoints, points[:1], atol=0.06)
    np.testing.assert_array_equal(one.boxes, [[-0.5, -0.5, 59.5, 119.5]])
    assert nobody.keypoints.shape == (0, 3, 2)
    assert nobody.scores.shape == (0,)
    assert finder().predict([]) == []
    assert len(finder().predict([image])[0]) == 1


@pytest.mark.parametrize("shape", [(5, 1, 3), (1, 1), (30, 20, 4), (20, 30)])
def test_photos_of_any_shape(shape: tuple[int, ...]) -> None:
    assert finder().predict([np.full(shape, 99, np.uint8)])[0].keypoints.shape == (1, 3, 2)


def test_errors_name_the_photo_and_the_box(photos: tuple[list, list, list]) -> None:
    images, boxes, _ = photos
    with pytest.raises(InputError, match=r"There is no photo .*missing\.png"):
        finder().predict([images[0], "missing.png"])
    with pytest.raises(InputError, match=r"images\[1\]: box 2 \(9 9 9 20\) has no area"):
        finder().predict(images[:2], [None, [*boxes[1][:2], [9, 9, 9, 20]]])
    with pytest.raises(InputError, match=r"images is one photo; put it into a list"):
        finder().predict("a.png")
    with pytest.raises(InputError, match="boxes for 2 photos, but 3 photos"):
        finder().predict(images, boxes[:2])
    with pytest.raises(InputError, match="batch_size is 0; give 1 or more"):
        finder().predict(images, batch_size=0)


def test_a_failed_photo_does_not_stop_the_stream(photos: tuple[list, list, list]) -> None:
    images, boxes, points = photos
    paths = [images[0], "missing.png", images[2], images[2]]
    found = list(finder().predict_stream(paths, [boxes[0], boxes[0], [[0, 0, 0, 9]], boxes[2]], batch_size=3))
    assert [one.name for one in found] == list(map(str, paths))
    assert [one.poses is None for one in found] == [False, True, True, False]
    assert "no photo missing.png" in str(found[1].error)
    assert "box 0 (0 0 0 9) has no area" in str(found[2].error)
    np.testing.assert_allclose(found[3].poses.keypoints, points[2], atol=0.06)  # type: ignore[union-attr]
    assert found[0].photo_size == (240, 120)


def test_a_stream_is_taken_as_it_is_needed() -> None:
    image, boxes, _ = scene(0)
    taken = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(1)
            yield image

    stream = finder().predict_stream(endless(), (boxes for _ in iter(int, 1)), batch_size=5)
    for _ in range(20):
        assert len(next(stream).poses or ()) == 2
    stream.close()
    assert len(taken) < 20 + 10 + 2 * crops.num_threads() + 2


def test_streams_of_different_length_are_refused() -> None:
    image, boxes, _ = scene(0)
    with pytest.raises(InputError, match="photos and boxes differ in number: the boxes end after 1"):
        list(finder().predict_stream([image, image], iter([boxes])))
    with pytest.raises(InputError, match="photos and boxes differ in number: the photos end after 1"):
        list(finder().predict_stream(iter([image]), [boxes, boxes]))


def test_damaged_weights_are_said_to_be() -> None:
    predictor = finder()
    with torch.no_grad():
        predictor.method.factor.fill_(torch.nan)  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"images\[0\]: the network gives NaN or infinity; are its weights damaged\?"):
        predictor.predict([scene(0)[0]])


def small_experiment(name: str) -> Experiment:
    config = METHODS[name].Config()
    changes = {
        "backbone": BackboneConfig("resnet18", channels=(8, 12, 16, 24)),
        "framing": replace(config.framing, size=(64, 96)),
    }
    if hasattr(config, "deconv_channels"):
        changes |= {"deconv_channels": (12, 8), "deconv_kernels": (4, 4)}
    return Experiment(replace(config, **changes), LSP)


@pytest.mark.parametrize("name", list(METHODS))
def test_equals_the_plain_way(name: str) -> None:
    """One crop at a time, unfolded, contiguous, each view on its own."""
    torch.manual_seed(0)
    experiment = small_experiment(name)
    method = build(experiment).eval()
    image, boxes, _ = scene(5, people=3)
    image = image + np.random.default_rng(0).integers(0, 99, image.shape).astype(np.uint8)
    found = NetworkPredictor(method, experiment, "cpu").predict([image], [boxes], batch_size=2)[0]
    cut = crop_people(image, boxes, experiment.method.framing, "it")
    close = 0
    for person, box in enumerate(found.boxes):  # type: ignore[arg-type]
        index = int(np.flatnonzero((boxes == box).all(1))[0])
        inputs = method.normalise(torch.from_numpy(cut.pixels[index : index + 1]).permute(0, 3, 1, 2).contiguous())
        with torch.inference_mode():
            decoded = method.predict([View(inputs), View(inputs.flip(-1).contiguous(), mirrored=True)])
        points = decoded.points[0, 0].double().numpy() @ cut.to_photo[index, :2, :2].T + cut.to_photo[index, :2, 2]
        # Untrained maps are flat: where two cells tie, rounding may choose the other one, so compare most, not all.
        close += (np.abs(points - found.keypoints[person]).max(-1) < 0.02).sum()
        np.testing.assert_allclose(found.joint_scores[person], decoded.joint_scores[0, 0].numpy(), rtol=1e-2, atol=1e-4)
    assert close > 0.9 * 3 * LSP.num_joints


def test_the_network_given_stays_as_it_is() -> None:
    experiment = small_experiment("heatmap")
    method = build(experiment).train()
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    NetworkPredictor(method, experiment, "cpu").predict([scene(0)[0]])
    assert method.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())


def test_parts_on_several_cores_are_the_batch() -> None:
    experiment = small_experiment("regression")
    method = build(experiment).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 96, 64, 3), np.uint8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with NetworkRunner(method, flip=True) as runner:
            plain = runner.start(pixels)()
        torch.set_num_threads(3)
        with NetworkRunner(method, flip=True) as runner:
            assert torch.get_num_threads() == 3
            np.testing.assert_allclose(runner.start(pixels)(), plain, rtol=1e-4, atol=1e-3)
            np.testing.assert_allclose(runner.start(pixels[:2])(), plain[:2], rtol=1e-4, atol=1e-3)
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    experiment = small_experiment("sar")
    path = tmp_path / "best.safetensors"
    checkpoints.save(path, build(experiment).state_dict(), experiment_to_dict(experiment))
    return path


def test_load_takes_a_checkpoint(checkpoint: Path) -> None:
    torch.manual_seed(3)
    experiment = small_experiment("sar")
    expected = NetworkPredictor(build(experiment), experiment, "cpu").predict([scene(0)[0]])[0]
    for predictor in (load(checkpoint, "cpu"), vitruvian.load(str(checkpoint), "cpu")):
        assert predictor.skeleton.joints == LSP.joints
        np.testing.assert_array_equal(predictor.predict([scene(0)[0]])[0].keypoints, expected.keypoints)


def test_load_takes_the_name_of_a_shipped_network(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "SHIPPED", checkpoint.parent)
    assert shipped() == ["best"]
    assert load("best", "cpu").skeleton.joints == LSP.joints
    with pytest.raises(InputError, match="there is no network 'besst': the nearest is 'best' of best; give a name, or"):
        load("besst")


def test_load_says_what_is_wrong(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "SHIPPED", checkpoint.parent / "nowhere")
    with pytest.raises(InputError, match="there is no network 'person': none is installed; give a name, or the path"):
        load("person")
    with pytest.raises(InputError, match=r"gone\.safetensors: there is no such file"):
        load(checkpoint.parent / "gone.safetensors")
    with pytest.raises(InputError, match="is a folder; name the checkpoint in it"):
        load(checkpoint.parent)
    torch.save({"state_dict": {"weight": torch.zeros(2, 3)}}, checkpoint.parent / "theirs.pth")
    with pytest.raises(InputError, match=r"theirs\.pth is a file of another program.*vitruvian import-weights"):
        load(checkpoint.parent / "theirs.pth")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda:-1", "cpu:3", "meta", "hpu", ""])
def test_devices_that_are_not_there(device: str, checkpoint: Path) -> None:
    with pytest.raises(InputError, match=rf"^device '{device}' is (unknown|not there); available: auto, cpu"):
        load(checkpoint, device)


def test_pixels_are_let_go_when_the_network_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def crop(*arguments: Any) -> crops.Crops:
        found = crop_people(*arguments)
        kept.append(weakref.ref(found.pixels))
        return found

    monkeypatch.setattr(streaming, "crop_people", crop)
    monkeypatch.setattr(streaming, "num_threads", lambda: 1)
    image, boxes, _ = scene(0)
    stream = finder().predict_stream([image] * 5, [boxes] * 5, batch_size=2)
    next(stream)  # the network has the second photo while the first one is handed out
    assert [pixels() is None for pixels in kept[:2]] == [True, True]
    stream.close()


def test_threads_end_with_the_stream() -> None:
    image, boxes, _ = scene(0)
    before = threading.active_count()
    stream = finder().predict_stream([image] * 50, [boxes] * 50)
    next(stream)
    stream.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "name", ["hf-hub:timm/resnet18.a1_in1k", "local-dir:/etc", "timm/resnet18", "..\\resnet18", ""]
)
def test_networks_from_elsewhere_are_refused(name: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of somebody else's must not make timm read a folder or ask the hub."""
    state, values = checkpoints.load(checkpoint)
    values["method"]["backbone"]["name"] = name
    checkpoints.save(checkpoint, state, values)
    monkeypatch.setattr("timm.create_model", None)
    message = f"{checkpoint}: method.backbone: name is {name!r}, expected one of timm's networks"
    with pytest.raises(InputError, match=re.escape(message)):
        load(checkpoint)


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys, vitruvian; assert vitruvian.__version__[0].isdigit(); "
        "heavy = {'torch', 'cv2', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
