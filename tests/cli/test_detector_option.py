"""`--detector`: from a folder of random weights to results, and what is said where it does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_detectors import no_network, rt_detr

from vitruvian.cli import main
from vitruvian.data.boxes import read_boxes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rt_detr(tmp_path_factory.mktemp("detector"))


def photos_of(data: Path) -> Path:
    return next(path for path in data.parent.rglob("*") if path.suffix in (".png", ".jpg")).parent


def test_predicts_the_people_whom_it_finds(folder: Path, data: Path, weights: Path, tmp_path: Path, capsys) -> None:
    arguments = ["predict", str(photos_of(data)), "--weights", str(weights), "--output", str(tmp_path), "--no-flip"]
    assert main([*arguments, "--detector", str(folder), "--detector-threshold", "0.2"]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results) > 3
    assert f"{len(results)} people in 3 photos" in capsys.readouterr().out
    assert main([*arguments, "--detector", str(folder), "--detector-threshold", "1"]) == 0
    assert json.loads((tmp_path / "results.json").read_text()) == []
    assert f"{folder} found nobody with a score of 1 or more (--detector-threshold) in 3 pho" in capsys.readouterr().out


def test_evaluates_with_the_people_whom_it_finds(
    folder: Path, data: Path, weights: Path, tmp_path: Path, capsys
) -> None:
    arguments = ["evaluate", "--data", str(data), "--weights", str(weights), "--no-flip", "--output", str(tmp_path)]
    assert main([*arguments, "--detector", str(folder)]) == 0
    assert f"boxes found by {folder}, flip off" in capsys.readouterr().out
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["boxes"] == "detected"
    boxes = read_boxes(tmp_path / "detections.json")
    assert sum(len(scores) for _, scores in boxes.values()) >= found["poses"] > 3
    assert main([*arguments, "--detections", str(tmp_path / "detections.json")]) == 0
    again = json.loads((tmp_path / "scores.json").read_text())
    assert again["AP"] == found["AP"]
    assert again["poses"] == found["poses"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            "--detector rt-detr --box 1 2 3 4",
            "--box and --detector were both given; say in one way where the people are",
        ),
        ("--detector rt-detr --boxes a.json", "--boxes and --detector were both given"),
        ("--detector-threshold 0.4", "--detector-threshold is for the scores of a detector; give --detector NAME, or"),
        ("--detector rt-detr --detector-threshold most", "--detector-threshold is 'most', expected a number"),
        ("--detector rt-detr --detector-threshold 7", "threshold is 7, expected a score from 0 to 1"),
        ("--detector rtdetr", "there is no detector 'rtdetr'; the nearest is 'rt-detr'"),
        ("--detector models/mine.pth", "there is no detector models/mine.pth: no such file or folder"),
        ("--detector ssdlite", "could not be fetched"),
        ("--detector ssdlite", "boxes work without a detector (--boxes FILE, --box X0 Y0 X1 Y1;"),
    ],
)
def test_what_does_not_fit(
    options: str, told: str, data: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch, tmp_path / "cache")
    assert main(["predict", str(photos_of(data)), "--output", str(tmp_path / "out"), *options.split()]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert not (tmp_path / "out").exists()


def test_evaluate_takes_one_of_detector_and_detections(data: Path, weights: Path, capsys) -> None:
    options = ["--detector", "rt-detr", "--detections", "a.json"]
    assert main(["evaluate", "--data", str(data), "--weights", str(weights), *options]) == 2
    assert "--detector and --detections were both given" in capsys.readouterr().err
