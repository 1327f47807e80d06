"""Prediction of files: results, drawings, names, boxes from detections, and what happens when something fails."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from colour_finder import Finder, finder, scene

from vitruvian.errors import InputError
from vitruvian.images import read_image, write_image
from vitruvian.prediction import files as prediction_files
from vitruvian.prediction.files import Report, coco_number, image_ids_of, match_boxes, predict_files, unique_names


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three photos of two people each, of which the second is not one."""
    paths = [tmp_path / "in" / name for name in ("000000000790.png", "broken.jpg", "summer.png")]
    paths[0].parent.mkdir()
    for seed, path in enumerate(paths):
        write_image(path, scene(seed)[0])
    paths[1].write_bytes(b"no photo")
    return paths


BOXES = scene(0)[1]


def test_results_drawings_and_a_failed_photo(photos: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "new" / "out"
    report = predict_files(finder(), photos, output, BOXES, progress=False)
    assert sorted(path.name for path in output.iterdir()) == ["000000000790.png", "results.json", "summer.png"]
    results = json.loads((output / "results.json").read_text())
    assert [record["image_id"] for record in results] == [790, 790, "summer.png", "summer.png"]
    for record, points, box in zip(results, [*scene(0)[2], *scene(2)[2]], [*BOXES, *BOXES]):
        assert set(record) == {"image_id", "category_id", "keypoints", "score", "box"}
        assert record["category_id"] == 1
        triples = np.array(record["keypoints"]).reshape(3, 3)
        np.testing.assert_allclose(triples[:, :2], points, atol=0.06)
        assert record["score"] == pytest.approx(triples[:, 2].mean(), abs=1e-5)
        assert record["box"] == box.tolist()
    assert (read_image(output / "summer.png") != read_image(photos[2])).any()
    assert (report.photos, report.people, report.whole, report.empty) == (2, 4, 0, 0)
    assert len(report.failed) == 1
    assert f"{photos[1]} is not an image" in report.failed[0]
    assert report.lines() == [
        f"{output / 'results.json'}: 4 people in 2 photos",
        f"failed: {report.failed[0]}",
        "1 photo failed, for the reasons above",
    ]


def test_the_whole_photo_is_said_to_be_taken(photos: list[Path], tmp_path: Path) -> None:
    report = predict_files(finder(), photos[::2], tmp_path / "out", drawings=False, progress=False)
    assert report.lines()[1] == (
        "no boxes were given: 2 whole photos taken as one person each; give boxes or a detector for several or "
        "small people"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]


def test_boxes_of_a_detection_file(photos: list[Path], tmp_path: Path) -> None:
    boxes = {790: (BOXES, np.array([0.5, 0.25])), 3: (BOXES, np.ones(2))}
    report = predict_files(finder("box"), photos[::2], tmp_path / "out", boxes, progress=False)  # type: ignore[arg-type]
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [record["score"] for record in results] == [0.5, 0.25]
    assert report.lines()[1] == "the boxes name nobody in 1 photo: nothing was looked for there"
    assert (report.photos, report.people, report.empty) == (2, 2, 1)
    assert (tmp_path / "out" / "summer.png").exists()


def test_boxes_with_a_low_score_are_left_out_and_counted(photos: list[Path], tmp_path: Path) -> None:
    boxes = {790: (BOXES, np.array([0.5, 0.29])), "summer.png": (BOXES, np.array([0.1, 0.2]))}
    report = predict_files(
        finder("box"), photos[::2], tmp_path, boxes, drawings=False, progress=False, box_threshold=0.3
    )
    results = json.loads((tmp_path / "results.json").read_text())
    assert [record["score"] for record in results] == [0.5]
    assert report.lines()[1:] == [
        "the boxes name nobody in 1 photo: nothing was looked for there",
        "3 boxes left out, with a score below 0.3 (--box-threshold)",
    ]


@pytest.mark.parametrize(("threshold", "faint"), [(None, 1), (0.0, 0), (0.95, 2)])
def test_people_too_faint_to_be_drawn_are_counted(
    threshold: float | None, faint: int, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second person's spots are half as bright as the first one's."""
    predictor = finder()
    assert predictor.drawn_above == Finder.drawn_above == 0.2
    monkeypatch.setattr(predictor, "drawn_above", 0.6)
    report = predict_files(predictor, photos[:1], tmp_path / "out", BOXES, threshold=threshold, progress=False)
    people = "1 person" if faint == 1 else "2 people"
    limit = 0.6 if threshold is None else threshold
    said = f"{people} not drawn: no joint has a score above {limit:g} (--threshold)"
    assert report.lines()[1:] == ([said] if faint else [])
    drawn = (read_image(tmp_path / "out" / photos[0].name) != read_image(photos[0])).any()
    assert drawn == (faint < 2)
    assert not predict_files(
        predictor, photos[:1], tmp_path, BOXES, threshold=0.95, drawings=False, progress=False
    ).faint


def test_no_people_at_all_is_an_empty_list(photos: list[Path], tmp_path: Path) -> None:
    predict_files(finder(), photos[:1], tmp_path, np.zeros((0, 4)), drawings=False, progress=False)
    assert json.loads((tmp_path / "results.json").read_text()) == []


def test_boxes_are_matched_by_name_or_number() -> None:
    boxes = {
        key: (np.full((2, 4), value), np.ones(2)) for value, key in enumerate(["a.jpg", "b", 12, "13", "sub/d.jpg", 99])
    }
    names = ["a.jpg", "x/b.png", "000012.jpg", "COCO_val2014_000000000013.jpg", "sub/d.jpg", "nobody.jpg"]
    found = match_boxes([Path(name) for name in names], boxes)  # type: ignore[arg-type]
    assert [one[0, 0] if len(one) else None for one in found] == [0, 1, 2, 3, 4, None]
    assert found[0].shape == (2, 5)
    assert found[-1].shape == (0, 5)
    with pytest.raises(InputError, match=r"the boxes are of other photos: image_id 'a.jpg' and so on, but .* x.jpg"):
        match_boxes([Path("x.jpg")], boxes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("000000000790.jpg", 790),
        ("7.png", 7),
        ("COCO_train2014_000000000009.jpg", 9),
        ("img_7.jpg", None),
        ("٣.jpg", None),
        ("9" * 19 + ".jpg", None),
    ],
)
def test_numbers_in_names(name: str, number: int | None) -> None:
    assert coco_number(name) == number


def test_names_of_photos_in_several_folders(tmp_path: Path) -> None:
    photos = [tmp_path / "one" / "7.jpg", tmp_path / "two" / "deep" / "7.jpg"]
    names = unique_names(photos)
    assert names == ["one/7.jpg", "two/deep/7.jpg"]
    assert image_ids_of([*names, "8.jpg"]) == [*names, 8]
    assert unique_names([photos[0], tmp_path / "8.jpg"]) == ["7.jpg", "8.jpg"]


def test_photos_of_one_name_get_a_drawing_each(tmp_path: Path) -> None:
    photos = [tmp_path / folder / "a.gif" for folder in ("one", "two")]
    for seed, photo in enumerate(photos):
        photo.parent.mkdir()
        write_image(photo.with_suffix(".png"), scene(seed)[0])
        photo.with_suffix(".png").rename(photo)
    predict_files(finder(), photos, tmp_path / "out", BOXES, progress=False)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [record["image_id"] for record in results] == ["one/a.gif", "one/a.gif", "two/a.gif", "two/a.gif"]
    assert (tmp_path / "out" / "two" / "a.gif.jpg").exists()


def test_photos_are_not_replaced_by_drawings(photos: list[Path]) -> None:
    before = photos[0].read_bytes()
    with pytest.raises(InputError, match=r"the drawing .*790\.png would replace that photo; choose another output"):
        predict_files(finder(), photos, photos[0].parent, BOXES, progress=False)
    assert photos[0].read_bytes() == before
    predict_files(finder(), photos[:1], photos[0].parent, BOXES, drawings=False, progress=False)


def test_a_full_disk_stops_with_one_line_and_leaves_nothing_half(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "summer.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"summer\.png: cannot be written \(No space left on device\)") as error:
        predict_files(finder(), photos, tmp_path / "out", BOXES, progress=False)
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["000000000790.png"]


def test_a_photo_that_cannot_be_drawn_keeps_its_results(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, image: np.ndarray) -> None:
        raise InputError(f"OpenCV could not encode {path.name}")

    monkeypatch.setattr(prediction_files, "write_image", fail)
    report = predict_files(finder(), photos[:1], tmp_path / "out", BOXES, progress=False)
    assert len(json.loads(report.results.read_text())) == 2
    assert report.lines()[1] == "not drawn: OpenCV could not encode 000000000790.png"


def test_an_output_that_is_a_file_is_refused(photos: list[Path]) -> None:
    with pytest.raises(InputError, match=r"790\.png: no folder can be made there \(File exists\); choose"):
        predict_files(finder(), photos[:1], photos[0], drawings=False)


def test_the_bar_counts_photos(photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    predict_files(finder(), photos, tmp_path / "out", BOXES)
    assert "3/3" in (said := capsys.readouterr().err)
    assert "photos/s" in said or "s/ photos" in said


def test_the_report_counts_in_words() -> None:
    report = Report(Path("r.json"), photos=1, people=1, whole=1)
    assert report.lines()[0] == "r.json: 1 person in 1 photo"
    assert "1 whole photo taken" in report.lines()[1]
