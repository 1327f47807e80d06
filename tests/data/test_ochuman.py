"""OCHuman's own file: who is kept, what becomes of joints and flags, splits, and each complaint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvian.data import ochuman
from vitruvian.data.inspection import inspect
from vitruvian.data.ochuman import ochuman_to_coco
from vitruvian.data.reading import read_labels, read_skeleton
from vitruvian.errors import InputError
from vitruvian.skeletons import COCO

NAMES = ["head", *COCO.joints[::-1], "neck"]
PATH = Path("ochuman.json")


def person(shift: float = 0, **changes) -> dict:
    """Joint j of the file at (j, shift); the flags are 0, 1, 2, 3, 0, 1, ..."""
    triples = [value for joint in range(19) for value in (joint, shift, joint % 4)]
    return {"bbox": [1, 2, 11, 22], "keypoints": triples, "segms": {"outer": []}, "max_iou": 0.6, **changes}


def content(*images: list[dict], names=NAMES) -> dict:
    listed = [
        {"image_id": f"0{i}", "file_name": f"{i}.jpg", "width": 40, "height": 30, "annotations": people}
        for i, people in enumerate(images)
    ]
    return {"keypoint_names": list(names), "keypoint_visible": {"missing": 0}, "images": listed}


def test_joints_flags_boxes_and_areas() -> None:
    truth = ochuman_to_coco(PATH, content([person(shift=5)]))
    (one,) = truth["annotations"]
    triples = np.reshape(one["keypoints"], (17, 3))
    np.testing.assert_array_equal(triples[:, 0], np.arange(17, 0, -1))  # the file has them the other way round
    assert triples[:, 2].tolist() == [{0: 0, 1: 2, 2: 2, 3: 1}[joint % 4] for joint in range(17, 0, -1)]
    assert (one["bbox"], one["area"], one["num_keypoints"]) == ([1, 2, 10, 20], 200, 13)
    assert truth["categories"][0]["keypoints"] == list(COCO.joints)


def test_people_without_joints_or_mask_and_images_without_people_are_left_out() -> None:
    nobody, unmasked = person(keypoints=None), person(segms=None)
    truth = ochuman_to_coco(PATH, content([nobody, person()], [unmasked], [], [person(), nobody, person()]))
    assert [(image["id"], image["file_name"]) for image in truth["images"]] == [(1, "0.jpg"), (2, "3.jpg")]
    assert [(one["id"], one["image_id"]) for one in truth["annotations"]] == [(1, 1), (2, 2), (3, 2)]


def test_splits_and_overlaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ochuman, "VAL_IMAGES", 2)
    given = content([person()], [person(keypoints=None)], [person(max_iou=0.9)], [person(max_iou=0.5)], [person()])
    names = {
        split: [image["file_name"] for image in ochuman_to_coco(PATH, given, split)["images"]]
        for split in ("val", "test", "all")
    }
    assert names == {"val": ["0.jpg", "2.jpg"], "test": ["3.jpg", "4.jpg"], "all": ["0.jpg", "2.jpg", "3.jpg", "4.jpg"]}
    between = ochuman_to_coco(PATH, given, "all", (0.5, 0.9))["images"]
    assert [image["file_name"] for image in between] == ["0.jpg", "3.jpg", "4.jpg"]


def test_the_reader_knows_the_format(tmp_path: Path) -> None:
    path = tmp_path / "ochuman.json"
    path.write_text(json.dumps(content([person(), person()], [person()])))
    labels = read_labels(path, keep_content=True)
    assert (labels.skeleton, len(labels.photos), labels.num_people) == (COCO, 2, 3)
    assert read_skeleton(path) is COCO
    assert len(labels.content["annotations"]) == 3


def test_one_split_is_read_with_its_own_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ochuman, "VAL_IMAGES", 2)
    path = tmp_path / "ochuman.json"
    path.write_text(json.dumps(content([person()], [person(), person()], [person(), person()])))
    sizes = {split: read_labels(path, split=split).num_people for split in ("val", "test", "")}
    assert sizes == {"val": 3, "test": 2, "": 5}
    labels = read_labels(path, split="test")
    assert [(photo.path.name, photo.image_id, photo.annotation_ids) for photo in labels.photos] == [
        ("2.jpg", 1, (1, 2))
    ]
    assert [image["file_name"] for image in labels.content["images"]] == ["2.jpg"]  # scoring goes by the same ids
    assert inspect(path, split="val").facts["people"] == 3
    with pytest.raises(InputError, match="the split is 'train', expected val or test, or none for all of OCHuman"):
        read_labels(path, split="train")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (content([person(bbox=[1, 2])]), "'bbox' of a person of 0.jpg holds 2 numbers, expected 4 numbers"),
        (content([person(keypoints=[1, 2, 2] * 5)]), "'keypoints' of a person of 0.jpg has 5 joints, expected 18 or"),
        (content([person(keypoints=[1, 2, 7] * 19)]), "has the visibility 7, expected 0, 1, 2 or 3"),
        (content([person()], names=NAMES[2:]), "'keypoint_names' has no 'right_ankle'; expected the 17 joints of COCO"),
        ({**content(), "images": [{"file_name": "a.jpg"}]}, "image number 0 has no field 'annotations'; add it"),
        ({**content(), "images": True}, "'images' of the file is 'True', expected a list"),
        ({**content(), "keypoint_names": "nose"}, "'keypoint_names' of the file is 'nose', expected a list"),
        (content([7]), "a person of image number 0 is of type int, expected a mapping with a field 'keypoints'"),
        (content([person(keypoints="all")]), "'keypoints' of a person of 0.jpg is 'all', expected a list"),
        (content([person(max_iou="low")]), "'max_iou' of a person of image number 0 is 'low', expected a number"),
    ],
)
def test_what_is_wrong_is_named(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ochuman_to_coco(PATH, given)
