"""The COCO reader: boxes clipped to the photo, areas left out, unlabelled joints, and who is learnt from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvian.data.coco import read_coco
from vitruvian.data.labels import trainable
from vitruvian.errors import InputError

JOINTS = ["nose", "left_eye", "right_eye"]
SIZE = (40, 30)  # width, height


def write(folder: Path, *records: dict) -> Path:
    """A file of one photo with these annotations."""
    everyone = [{"id": 7 + i, "image_id": 5, "category_id": 1} | record for i, record in enumerate(records)]
    content = {
        "images": [{"id": 5, "file_name": "a.jpg", "width": SIZE[0], "height": SIZE[1]}],
        "categories": [{"id": 1, "name": "person", "keypoints": JOINTS}],
        "annotations": everyone,
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


def person(box: list[float], flags: tuple[int, int, int] = (2, 1, 0), **more) -> dict:
    triples = [(10 + i, 20 + i, flag) for i, flag in enumerate(flags)]
    return {"bbox": box, "keypoints": [number for triple in triples for number in triple]} | more


def test_boxes_are_clipped_and_missing_areas_come_from_them(tmp_path: Path) -> None:
    path = write(tmp_path, person([2, 3, 10, 20]), person([-5, 20, 50, 30], area=77), person([50, 3, 4, 5]))
    people = read_coco(path).photos[0].people
    assert people.boxes.tolist() == [[2, 3, 12, 23], [0, 20, 39, 29], [39, 3, 39, 8]]
    np.testing.assert_allclose(people.areas, [0.53 * 200, 77, 1])


def test_unlabelled_joints_have_no_place(tmp_path: Path) -> None:
    photo = read_coco(write(tmp_path, person([2, 3, 10, 20]))).photos[0]
    np.testing.assert_array_equal(photo.people.keypoints[0], [[10, 20], [11, 21], [np.nan, np.nan]])
    assert photo.people.visibility.tolist() == [[2, 1, 0]]
    assert (photo.size, photo.annotation_ids) == (SIZE, (7,))


def test_who_is_learnt_from(tmp_path: Path) -> None:
    box = [2.0, 3.0, 10.0, 20.0]
    crowd, nobody, outside = person(box, iscrowd=1), person(box, (0, 0, 0)), person([50, 3, 4, 5])
    path = write(tmp_path, person(box), crowd, nobody, outside)
    assert trainable(read_coco(path).photos[0].people).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 2]}, "'keypoints' of annotation 7 holds 3 numbers, expected 9"),
        ({"keypoints": [1, 2, 3] * 3}, "a keypoint of image 5 has visibility 3, expected 0, 1 or 2"),
        ({"bbox": [1, 2, 3]}, "'bbox' of annotation 7 holds 3 numbers, expected 4"),
        ({"image_id": 6}, "annotation 7 belongs to image 6, which is not in the list of images"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_coco(write(tmp_path, person([2, 3, 10, 20]) | change))
