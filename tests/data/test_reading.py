"""The door to the readers: which format a file has, and what is said about one that nobody can read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvian.data.labels import read_json
from vitruvian.data.reading import read_labels, read_skeleton
from vitruvian.errors import InputError
from vitruvian.skeletons import COCO, LSP, MPII

COCO_FILE = {
    "images": [{"id": 5, "file_name": "a.jpg"}],
    "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"]}],
    "annotations": [{"id": 7, "image_id": 5, "bbox": [1, 2, 3, 4], "keypoints": [1, 2, 2] * 3}],
}
MPII_FILE = [{"image": "a.jpg", "center": [60, 80], "scale": 0.5, "joints": [[3, 4]] * 16, "joints_vis": [1] * 16}]
MPII_TEST_FILE = [{"image": "a.jpg", "center": [60, 80], "scale": 0.5}]


def write(folder: Path, content) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "joints"), [(COCO_FILE, ("nose", "left_eye", "right_eye")), (MPII_FILE, MPII.joints)]
)
def test_the_format_is_seen_from_the_content(tmp_path: Path, content, joints: tuple[str, ...]) -> None:
    path = write(tmp_path, content)
    labels = read_labels(path, tmp_path)
    assert labels.skeleton.joints == joints == read_skeleton(str(path)).joints
    assert (labels.path, labels.num_people) == (path, 1)
    assert labels.photos[0].path == tmp_path / "a.jpg"
    assert read_labels(str(path)).photos[0].path == tmp_path / "images" / "a.jpg"


def test_mpii_records_without_joints_are_recognised(tmp_path: Path) -> None:
    assert read_labels(write(tmp_path, MPII_TEST_FILE)).skeleton is MPII


@pytest.mark.parametrize("content", [{"images": []}, [], [3], [{"bbox": [1, 2, 3, 4], "score": 0.5}], "text", 3])
def test_other_json_is_answered_with_what_was_expected(tmp_path: Path, content) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as raised:
        read_labels(path)
    expected = "neither COCO format (images, annotations, categories) nor MPII's or OCHuman's own was found in it"
    assert str(raised.value) == f"{path}: {expected}"


@pytest.mark.parametrize(
    ("record", "what"), [({"bbox": [1, 2, 3, 4]}, "detected boxes"), ({"keypoints": [1, 2, 3]}, "keypoint results")]
)
def test_predictions_are_told_from_annotations(tmp_path: Path, record: dict, what: str) -> None:
    path = write(tmp_path, [{"image_id": 5, "score": 0.5} | record])
    with pytest.raises(InputError, match=f"labels.json: holds {what}, expected annotations; give the file with"):
        read_labels(path)


def test_missing_damaged_and_unreadable_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    with pytest.raises(InputError, match=r"labels.json: no such file; expected an annotation file$"):
        read_labels(path)
    path.write_text("<html>\nnot found</html>")
    with pytest.raises(InputError, match=r"labels.json: not valid JSON at line 1 \(Expecting value\); .*cut off$"):
        read_labels(path)
    path.write_text(json.dumps(COCO_FILE, indent=1)[:-30])
    with pytest.raises(InputError, match=r"labels.json: not valid JSON at line \d\d .* perhaps the file is cut off$"):
        read_labels(path)
    path.write_bytes(b"\xff\xd8\xff\xe0 a photo")
    with pytest.raises(InputError, match=r"labels.json: cannot be read as text .*; expected an annotation file$"):
        read_labels(path)
    with pytest.raises(InputError, match=r"a folder without .pts files \(300W\); give the annotation file"):
        read_labels(tmp_path)


def test_a_folder_of_photos_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, COCO_FILE)
    with pytest.raises(InputError, match=r"photos: no such folder; expected the photos of .*labels.json"):
        read_labels(path, tmp_path / "photos")


def test_json_deeper_than_python_goes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text("[" * 200_000)
    with pytest.raises(InputError, match=r"labels.json: not valid JSON \(maximum recursion"):
        read_json(path, "an annotation file")


def test_a_byte_order_mark_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(COCO_FILE), encoding="utf-8-sig")
    assert read_labels(path).num_people == 1


def test_real_files_are_recognised(shared_data: Path) -> None:
    assert read_skeleton(shared_data / "coco_mini" / "annotations" / "person_keypoints.json") is COCO
    assert read_skeleton(shared_data / "samples" / "mpii" / "test_mpii.json") is MPII
    labels = read_labels(shared_data / "lspet" / "annotations" / "val.json")
    assert (labels.skeleton, labels.num_people) == (LSP, 1000)
    assert all(photo.path.is_file() for photo in labels.photos[:5])
    people = labels.photos[0].people
    assert np.array_equal(np.isnan(people.keypoints).any(2), people.visibility == 0)
