"""Detectors: what they find is what their libraries find, from files at hand; what cannot be loaded is named."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_detectors import d_fine, no_network, rt_detr, ssdlite

from vitruvian.detection import SHORT_NAMES, Detector, load_detector, within
from vitruvian.detection.torchvision_networks import file_name, from_file, names
from vitruvian.errors import InputError
from vitruvian.images import write_image

PHOTOS = [(50, 70), (90, 33), (41, 120)]  # height, width


def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in PHOTOS]


@pytest.fixture(scope="module", params=[rt_detr, d_fine, ssdlite], ids=lambda make: make.__name__)
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    make: Callable[[Path], Path] = request.param
    path = make(tmp_path_factory.mktemp("detector") / "ssdlite320_mobilenet_v3_large.pth")
    return load_detector(path, "cpu", threshold=0.6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rt_detr(tmp_path_factory.mktemp("detector") / "rt")


def test_finds_people_in_photos_of_any_size(detector: Detector, tmp_path: Path) -> None:
    images: list[Any] = photos()
    found = detector.detect(images)
    assert len(found) == 3
    for boxes, (height, width) in zip(found, PHOTOS):
        assert boxes.dtype == np.float64
        assert boxes.shape[1] == 5
        assert 1 < len(boxes) < 400
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:4] <= [width, height]).all()
        assert (boxes[:, 2:4] > boxes[:, :2]).all()
        assert (boxes[:, 4] >= 0.6).all()
        assert (np.diff(boxes[:, 4]) <= 0).all(), "best first"
    write_image(tmp_path / "a.png", images[1])
    np.testing.assert_array_equal(detector.detect([tmp_path / "a.png"])[0], detector.detect([images[1]])[0])
    grey = images[1][..., :1]
    np.testing.assert_array_equal(detector.detect([grey[..., 0]])[0], detector.detect([np.repeat(grey, 3, 2)])[0])


def test_a_batch_gives_what_single_photos_give(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    single = detector.detect(photos())
    monkeypatch.setattr(detector, "batch_size", 2)
    for alone, together in zip(single, detector.detect(photos())):
        np.testing.assert_allclose(together, alone, atol=1e-3)


@pytest.mark.parametrize(("sure", "share"), [(4.0, 1.0), (-9.0, 0.0)])
def test_is_what_transformers_says(sure: float, share: float, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = rt_detr(tmp_path, sure)
    from PIL import Image

    processor = transformers.RTDetrImageProcessor.from_pretrained(folder)
    model = transformers.RTDetrForObjectDetection.from_pretrained(folder).eval()
    detector = load_detector(folder, "cpu", threshold=0.0)
    for image, found in zip(photos(), detector.detect(photos())):
        with torch.inference_mode():
            outputs = model(**processor(images=Image.fromarray(image), return_tensors="pt"))
        sizes = torch.tensor([image.shape[:2]])
        expected = processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes)[0]
        people = expected["labels"] == 2
        assert len(people) == 7
        assert people.float().mean() == share, "others are no people"
        by_score = expected["scores"][people].argsort(descending=True, stable=True)
        np.testing.assert_allclose(found[:, 4], expected["scores"][people][by_score], atol=1e-6)
        boxes = expected["boxes"][people][by_score].clip(min=0).minimum(sizes.flip(1).repeat(1, 2))
        np.testing.assert_allclose(found[:, :4], boxes, atol=1e-4)


def test_the_state_of_any_network_of_torchvision_is_recognised(tmp_path: Path) -> None:
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn as fasterrcnn

    torch.manual_seed(1)
    model = fasterrcnn(weights=None, weights_backbone=None, num_classes=91).eval()
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias[1] = 9
    without_counters = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    for name, size in (("renamed.pth", 800), ("fasterrcnn_mobilenet_v3_large_320_fpn-fb.pth", 320)):
        torch.save(without_counters, tmp_path / name)
        detector = load_detector(tmp_path / name, "cpu")
        assert detector.network.model.transform.min_size == (size,)  # type: ignore[attr-defined]
    model.transform.min_size = (96,)
    detector.network.model.transform.min_size = (96,)  # type: ignore[attr-defined]
    with torch.inference_mode():
        expected = model([torch.from_numpy(photos()[0]).permute(2, 0, 1) / 255])[0]
    kept = (expected["labels"] == 1) & (expected["scores"] >= 0.5)
    assert kept.sum() > 1
    np.testing.assert_allclose(detector.detect(photos()[:1])[0][:, :4], expected["boxes"][kept], atol=1e-3)


def test_published_files_are_run_as_torchvision_runs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import WeightsEnum, get_model_weights
    from torchvision.models.detection import retinanet_resnet50_fpn as retinanet

    for slow in ("kaiming_normal_", "kaiming_uniform_", "normal_"):  # the values of convolutions do not matter here
        monkeypatch.setattr(torch.nn.init, slow, lambda tensor, *_arguments, **_options: tensor)
    state = retinanet(weights=None, weights_backbone=None, num_classes=91).state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            value.fill_(1e-5)  # the epsilon doubles that
    published = get_model_weights("retinanet_resnet50_fpn").COCO_V1  # type: ignore[attr-defined]
    path = tmp_path / file_name(published)
    torch.save(state, path)
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_arguments, **_options: state)
    maps = torch.rand(2, 64, 3, 5)
    expected = retinanet(weights=published).eval().backbone.body.bn1(maps)
    for name, same in ((path.name, True), ("of_mine.pth", False)):
        norm = from_file(path.rename(tmp_path / name), torch.device("cpu")).model.backbone.body.bn1  # type: ignore[union-attr]
        assert torch.allclose(norm(maps), expected, rtol=1e-4) == same
        path = tmp_path / name


def test_nobody_is_no_error(folder: Path) -> None:
    detector = load_detector(folder, "cpu", threshold=1.0)
    assert [boxes.shape for boxes in detector.detect(photos())] == [(0, 5)] * 3


def test_a_bad_photo_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    detector = load_detector(folder, "cpu")
    detector.batch_size = 2
    images: list[Any] = [photos()[0], tmp_path / "bad.jpg", tmp_path / "gone.jpg", photos()[2]]
    found = list(detector.detect_stream(images))
    assert [detection.name for detection in found] == ["images[0]", *map(str, images[1:3]), "images[3]"]
    assert [detection.pixels is None for detection in found] == [False, True, True, False]
    assert "bad.jpg is not an image" in str(found[1].error)
    assert "gone.jpg" in str(found[2].error)
    assert len(found[0].boxes)
    assert not len(found[1].boxes)
    with pytest.raises(InputError, match=r"bad\.jpg is not an image"):
        detector.detect(images)
    with pytest.raises(InputError, match="put it into a list"):
        detector.detect("photo.jpg")


def test_photos_are_read_as_they_are_needed(folder: Path) -> None:
    taken = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(1)
            yield photos()[0]

    stream = load_detector(folder, "cpu").detect_stream(endless())
    next(stream)
    stream.close()
    assert len(taken) < 40


def test_boxes_end_at_the_edges_of_the_photo() -> None:
    people = np.array([[-3, 4, 20, 30, 0.5], [5, 5, 9, 9, 0.9], [60, 2, 70, 9, 0.8], [9, 9, 5, 20, 0.7]])
    np.testing.assert_array_equal(within(people, 50, 25, "it"), [[5, 5, 9, 9, 0.9], [0, 4, 20, 25, 0.5]])
    people[1, 2] = np.nan
    with pytest.raises(InputError, match="the detector it gives NaN or infinity; are its weights damaged"):
        within(people, 50, 25, "it")


def refused(name: object, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        load_detector(name, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    return str(error.value)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    assert refused("rtdetr").startswith("there is no detector 'rtdetr'; the nearest is 'rt-detr' of rt-detr, d-fine, ")
    assert "the nearest is 'fasterrcnn_resnet50_fpn_v2'" in refused("faster_rcnn_resnet50_v2")
    assert refused("nowhere/model.pth") == "there is no detector nowhere/model.pth: no such file or folder"
    assert refused("/nowhere/at/all") == "there is no detector /nowhere/at/all: no such file or folder"
    assert refused("rt-detr", threshold=1.5) == "the detector's threshold is 1.5, expected a score from 0 to 1"
    assert "device 'gpu' is unknown" in refused("rt-detr", device="gpu")
    assert set(SHORT_NAMES.values()) & set(names()) == {v for v in SHORT_NAMES.values() if "/" not in v}


@pytest.mark.parametrize("name", ["d-fine", "someone/some-detector"])
def test_without_network_it_says_what_to_download(name: str, monkeypatch: Any, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    no_network(monkeypatch, tmp_path)
    told = refused(name)
    model = SHORT_NAMES.get(name, name)
    assert told.startswith(f"the detector {model} could not be fetched (")
    assert (
        f"download config.json, preprocessor_config.json, model.safetensors of https://huggingface.co/{model} into a "
        "folder and give that (--detector FOLDER); boxes work without a detector (--boxes FILE, --box X0 Y0 X1 Y1;"
    ) in told


def test_without_network_it_names_the_file_of_torchvision(monkeypatch: Any, tmp_path: Path) -> None:
    no_network(monkeypatch, tmp_path)
    told = refused("ssdlite")
    assert told.startswith("the detector ssdlite320_mobilenet_v3_large could not be fetched (")
    assert "ssdlite320_mobilenet_v3_large_coco-a79551df.pth and give that file (--detector ssdlite320_mobil" in told
    assert "--boxes FILE" in told


def test_without_transformers_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in ("rt-detr", folder):
        assert refused(name).startswith("this detector needs transformers: pip install 'vitruvian[detect]'; boxes work")


def test_damaged_folders_are_named(folder: Path, tmp_path: Path) -> None:
    import shutil

    assert "it lacks config.json and preprocessor_config.json; expected config.json, prepro" in refused(tmp_path)
    content = json.loads((folder / "config.json").read_text())
    cases: list[tuple[str, str | bytes | None, str]] = [
        (
            "config.json",
            json.dumps({**content, "id2label": {"0": "cat", "1": "dog", "2": "cow"}}),
            "only cat, dog, cow",
        ),
        ("config.json", json.dumps({**content, "d_model": 24}), "its weights lack"),
        ("config.json", json.dumps({**content, "model_type": "bert"}), "no detector of transformers can be read from"),
        ("config.json", "{", "no detector of transformers can be read from"),
        ("preprocessor_config.json", "[]", "no detector of transformers can be read from"),
        ("model.safetensors", (folder / "model.safetensors").read_bytes()[:5000], "no detector of transformers can"),
        ("model.safetensors", None, "no detector of transformers can be read from"),
    ]
    for number, (name, damaged, told) in enumerate(cases):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        if damaged is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
        message = refused(copy)
        assert message.startswith(str(copy))
        assert told in message, (name, damaged)


def test_files_of_something_else_are_named(folder: Path, tmp_path: Path) -> None:
    told = refused(folder / "model.safetensors")
    assert "tensors are those of none of torchvision's detectors (fasterrcnn_mobilenet_v3_large_320_fpn, " in told
    assert told.endswith("; of a detector of transformers give the folder")
    (tmp_path / "text.pth").write_text("no weights")
    assert str(tmp_path / "text.pth") in refused(tmp_path / "text.pth")


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_detector(folder, "cpu").detect(photos())
    assert capfd.readouterr() == ("", "")
