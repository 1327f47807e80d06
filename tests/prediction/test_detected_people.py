"""Prediction of people whom a detector finds: the same as with its boxes, with each photo decoded once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from colour_finder import finder, scene
from torch import Tensor

from vitruvian import detection
from vitruvian.detection import Detector
from vitruvian.errors import InputError
from vitruvian.images import write_image
from vitruvian.prediction.files import predict_files


def halves(images: Any, threshold: float) -> list[Tensor]:
    """Takes both halves of a photo for people, the darker one for an unlikely one; nobody in a small photo."""
    found = []
    for image in images:
        height, width = image.shape[:2]
        boxes = torch.tensor([[0, 0, width / 2, height, 0.4], [width / 2, -9, width + 5, height, 0.9]])
        found.append(boxes[boxes[:, 4] >= threshold] if width > 200 else boxes[:0])
    return found


def detector(threshold: float = 0.5) -> Detector:
    return Detector(halves, "halves", torch.device("cpu"), threshold)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Five photos: three of two people, one of one, and the second is none."""
    paths = [tmp_path / "in" / f"{number}.png" for number in range(1, 6)]
    paths[0].parent.mkdir()
    for seed, path in enumerate(paths):
        write_image(path, scene(seed, 1 + (seed != 3))[0])
    paths[1].write_bytes(b"no photo")
    return paths


def test_is_what_its_boxes_give(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    good: list[Any] = [*photos[:1], scene(7)[0], *photos[2:]]
    expected = finder("box").predict(good, detector(0.3).detect(good))
    read = []
    whole = detection.read_image
    monkeypatch.setattr(detection, "read_image", lambda path: read.append(path) or whole(path))
    for batch_size in (1, 3):
        found = finder("box").predict(good, batch_size=batch_size, detector=detector(0.3))
        for ours, theirs in zip(found, expected):
            np.testing.assert_array_equal(ours.keypoints, theirs.keypoints)
            np.testing.assert_array_equal(ours.scores, theirs.scores)
            np.testing.assert_array_equal(ours.boxes, theirs.boxes)  # type: ignore[arg-type]
    assert [len(poses) for poses in found] == [2, 2, 2, 0, 2]
    assert found[0].scores.tolist() == pytest.approx([0.9, 0.4])
    assert sorted(read) == sorted(2 * [photo for photo in good if isinstance(photo, Path)]), "once each time"


def test_people_much_larger_than_the_crop_look_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    write_image(tmp_path / "large.jpg", rng.integers(0, 256, (700, 1100, 3), dtype=np.uint8))
    image = tmp_path / "large.jpg"
    by_boxes = finder().predict([image], detector().detect([image]))[0]
    np.testing.assert_allclose(
        finder().predict([image], detector=detector())[0].keypoints, by_boxes.keypoints, atol=1.0
    )


def test_a_bad_photo_is_named_and_the_others_go_on(photos: list[Path]) -> None:
    found = list(finder().predict_stream([*photos], detector=detector()))
    assert [prediction.name for prediction in found] == [*map(str, photos)]
    assert [prediction.error is None for prediction in found] == [True, False, True, True, True]
    assert [len(prediction.poses or ()) for prediction in found] == [1, 0, 1, 0, 1]
    with pytest.raises(InputError, match=r"2\.png is not an image"):
        finder().predict(photos, detector=detector())


def test_files_and_the_report(photos: list[Path], tmp_path: Path) -> None:
    report = predict_files(finder(), photos, tmp_path / "out", progress=False, detector=detector())
    assert report.lines()[:2] == [
        f"{tmp_path / 'out' / 'results.json'}: 3 people in 4 photos",
        "halves found nobody with a score of 0.5 or more (--detector-threshold) in 1 photo",
    ]
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [record["image_id"] for record in results] == [1, 3, 5]
    assert results[0]["box"] == [120, 0, 240, 120], "cut off at the edges of the photo"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.json", "1.png", "3.png", "4.png", "5.png"}
    assert len(report.failed) == 1


def test_boxes_and_a_detector_are_one_too_many(photos: list[Path]) -> None:
    with pytest.raises(InputError, match="boxes and a detector were both given; give one of them"):
        finder().predict([photos[0]], [scene(0)[1]], detector=detector())
