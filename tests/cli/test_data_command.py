"""`vitruvian data`: what it prints and writes, its exit codes, and long lists made short."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from vitruvian.cli import main


def write(folder: Path, people: int, **change) -> Path:
    """Annotations of `people`, all but the first with a `change`, in one photo."""
    cv2.imwrite(str(folder / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    sound = {"image_id": 5, "category_id": 1, "bbox": [5, 5, 30, 30], "area": 300, "keypoints": [10, 10, 2, 20, 9, 1]}
    path = folder / "labels.json"
    content = {
        "images": [{"id": 5, "file_name": "a.png", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "chair", "keypoints": ["left_arm", "right_arm"], "skeleton": [[1, 2]]}],
        "annotations": [sound | (change if i else {}) | {"id": i + 1} for i in range(people)],
    }
    path.write_text(json.dumps(content))
    return path


def test_sound_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = write(tmp_path, 2), tmp_path / "out"
    assert main(["data", str(path), "--output", str(output)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{path}: COCO, 2 joints of 'chair'\n")
    for line in (
        "images           1, 0 of them without people",
        f"photos           1 in {tmp_path}",
        "  width, height  64; 48 px",
        "people           2, at most 2 in an image",
        "boxes            longer side 30 px",
        "  right_arm                        100.0    0.0",
        "no problem found",
        f"a sheet of 1 photos in {output / 'sheet.jpg'}",
    ):
        assert line in text.splitlines()
    assert cv2.imread(str(output / "sheet.jpg")).shape[1] >= 360
    report = json.loads((output / "data.json").read_text())
    assert (report["people"], report["seen"], report["problems"]) == (2, {"left_arm": 1.0, "right_arm": 0.0}, [])


def test_problems_are_listed_by_kind_and_written_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, 14, keypoints=[1, 2])
    report = tmp_path / "report.json"
    assert main(["data", str(path), "--output", str(tmp_path / "out"), "--json", str(report)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert "13 problems:" in lines
    assert f"  {path}: 'keypoints' of annotation 2 holds 2 numbers, expected 6 numbers; correct it" in lines
    assert "  ... and 3 more like these" in lines
    assert len(json.loads(report.read_text())["problems"]) == 13
    assert not (tmp_path / "out" / "data.json").exists()


def test_a_missing_file_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.endswith(
        "none.json: no such file; expected annotations, detected boxes or results\n"
    )


def test_the_photos_of_cofw_are_extracted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    path, folder = tmp_path / "COFW_test_color.mat", tmp_path / "photos"
    with h5py.File(path, "w", userblock_size=512) as file:  # axes the other way round than in MATLAB
        file["phisT"] = np.concatenate([rng.uniform(5, 45, (58, 2)), np.zeros((29, 2))])
        file["#refs#/a"] = np.full((3, 64, 48), 90, np.uint8)
        cells = file.create_dataset("IsT", (1, 2), h5py.ref_dtype)
        cells[0, 0] = cells[0, 1] = file["#refs#/a"].ref
    assert main(["data", str(path), "--output", str(tmp_path / "out")]) == 2
    assert "--extract FOLDER" in capsys.readouterr().out
    assert main(["data", str(path), "--extract", str(folder), "--output", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"2 photos written to {folder}", f"{path}: COFW, 29 joints of 'cofw'"]
    assert f"photos           2 in {folder}" in lines
