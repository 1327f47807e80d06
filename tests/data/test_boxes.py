from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitruvian.data.boxes import read_boxes
from vitruvian.data.labels import Labels
from vitruvian.errors import InputError
from vitruvian.sample import People, Photo
from vitruvian.skeletons import LSP


def box(image_id: Any = 7, bbox: Any = (10, 20, 30, 40), score: Any = 0.5, **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "bbox": bbox, "score": score, **more}


def write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(content))
    return path


def labels_of(*image_ids: int | str) -> Labels:
    nobody = People.none(LSP.num_joints)
    return Labels(Path("val.json"), LSP, tuple(Photo(Path(f"{i}.jpg"), i, (60, 50), nobody) for i in image_ids))


def test_boxes_are_corners_by_image_in_the_order_of_the_file(tmp_path: Path) -> None:
    records = [box(), box("a.jpg", score=1), box(bbox=[0.5, -3, 2, 5.25], score=0.75)]
    found = read_boxes(write(tmp_path, records))
    assert list(found) == [7, "a.jpg"]
    boxes, scores = found[7]
    np.testing.assert_array_equal(boxes, [[10, 20, 40, 60], [0.5, -3, 2.5, 2.25]])
    np.testing.assert_array_equal(scores, [0.5, 0.75])
    assert boxes.dtype == scores.dtype == np.float64


def test_other_categories_and_low_scores_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, [box(score=0.3), box(category_id=3), box(score=0.2), box(8, score=0.1)])
    assert {image_id: scores.tolist() for image_id, (_, scores) in read_boxes(path, floor=0.2).items()} == {
        7: [0.3, 0.2]
    }


def test_boxes_of_the_labels_alone(tmp_path: Path) -> None:
    path = write(tmp_path, [box(), box(9), box(9), box("9")])
    assert list(read_boxes(path, labels_of(7, 9, "9", 10))) == [7, 9, "9"]
    with pytest.raises(InputError, match=r"detections\.json: 2 of its images are not in val\.json, image_id 9, "):
        read_boxes(path, labels_of(7, 10))


@pytest.mark.parametrize("category", [0, 2])
def test_the_category_is_that_of_the_labels(category: int, tmp_path: Path) -> None:
    own = replace(labels_of(7), category_id=category)
    without = {name: value for name, value in box(score=0.75).items() if name != "category_id"}
    path = write(tmp_path, [box(category_id=category, score=0.25), box(), without])
    assert read_boxes(path, own)[7][1].tolist() == [0.25, 0.75]
    assert read_boxes(path)[7][1].tolist() == [0.5, 0.75]
    with pytest.raises(InputError) as raised:
        read_boxes(write(tmp_path, [box(), box(category_id=5)]), own)
    assert str(raised.value) == (
        f"{path}: its 2 boxes have the category_id 1, 5, but none has {category}, that of the people in val.json; "
        f"set the category_id of people's boxes to {category}, or leave the field out"
    )


def test_a_floor_above_all_scores(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of its boxes of category 1 has a score of 0\.9 or more; lower that"):
        read_boxes(write(tmp_path, [box()]), floor=0.9)


def test_an_empty_file_has_no_boxes(tmp_path: Path) -> None:
    assert read_boxes(write(tmp_path, []), labels_of(7)) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"boxes": []}, "holds a dict, expected a list of boxes"),
        ([box(), 3], "box 1 is of type int, expected a mapping"),
        ([{"image_id": 7}], "box 0 has no field 'score'; add it"),
        ([box(bbox=[1, 2, 3])], "'bbox' of box 0 holds 3 numbers, expected 4 numbers"),
        ([box(), box(bbox=[1, 2, float("nan"), 4])], "'bbox' of box 1 holds NaN or infinity"),
        ([box(score=float("nan"))], "'score' of box 0 is nan, expected a number"),
        ([box(score="high")], "'score' of box 0 is 'high', expected a number"),
        ([box(bbox=[5, 6, 0, 7])], "'bbox' of box 0 is 0 x 7 px; remove the box or correct it"),
        ([box(bbox=[5, 6, 7, -2])], "'bbox' of box 0 is 7 x -2 px"),
        ([box(image_id=None)], "'image_id' of box 0 is None, expected"),
        ([box(category_id=2)], "its 1 boxes have the category_id 2, but none has 1, a person's in COCO; set"),
    ],
)
def test_bad_files_are_answered_with_file_record_and_field(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=message) as raised:
        read_boxes(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; expected a detection file"):
        read_boxes(tmp_path / "nothing.json")
