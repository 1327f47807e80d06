"""What `vitruvian data` finds: facts, each contradiction and each damaged record and photo, all at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from vitruvian.data.inspection import inspect, sheet_of
from vitruvian.errors import InputError

JOINTS = ["nose", "left_eye", "right_eye"]
SIZE = (64, 48)


def photo(path: Path, width: int = SIZE[0], height: int = SIZE[1]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


def person(number: int, image: int, **change) -> dict:
    whole = {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [5, 5, 30, 30],
        "area": 300,
        "iscrowd": 0,
        "num_keypoints": 3,
        "keypoints": [10, 10, 2, 15, 12, 2, 20, 14, 1],
    }
    return {name: value for name, value in (whole | change).items() if value is not None}


def write(folder: Path, *people: dict, images: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Path:
    """Annotations of two sound photos or of other `images`, whose ids are 1, 2, ..."""
    listed = [{"id": i + 1, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for i, name in enumerate(images)]
    for name in ("a.jpg", "b.jpg"):
        photo(folder / "images" / name)
    category = {"id": 1, "name": "person", "keypoints": JOINTS, "skeleton": [[1, 2]], "sigmas": [0.1] * 3}
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": listed, "annotations": list(people), "categories": [category]}))
    return path


def test_sound_annotations(tmp_path: Path) -> None:
    hidden = person(3, 2, iscrowd=1)
    found = inspect(
        write(tmp_path, person(1, 1), person(2, 1, keypoints=[10, 10, 2] + [0] * 6, num_keypoints=1), hidden)
    )
    assert found.problems == []
    facts = found.facts
    assert (found.form, facts["images"], facts["photos found"], facts["people"], facts["ignored"]) == (
        "COCO",
        2,
        2,
        3,
        1,
    )
    assert facts["labelled"] == {"nose": 1.0, "left_eye": 0.5, "right_eye": 0.5}
    assert facts["seen"] == {"nose": 1.0, "left_eye": 0.5, "right_eye": 0.0}
    assert (facts["photo widths"], facts["box sides"]) == ([64, 64, 64], [30, 30, 30])
    sheet = sheet_of(found)
    assert sheet is not None
    assert sheet.shape[1] > 2 * 360


DAMAGED: dict[str, tuple[dict, str]] = {
    "dangling": ({"image_id": 9}, "annotation 7 belongs to image 9, which is not in the list of images; add the image"),
    "duplicate": ({"id": 8}, "two annotations have the id 8, the second is annotation number 1; give each its own"),
    "count": ({"keypoints": [1, 2, 2]}, "'keypoints' of annotation 7 holds 3 numbers, expected 9 numbers"),
    "text": ({"bbox": ["5", "5", 30, 30]}, "'bbox' of annotation 7 is \"['5', '5', 30, 30]\", expected numbers"),
    "no box": ({"bbox": None}, "annotation 7 has no field 'bbox'; add it"),
    "flag": ({"keypoints": [1, 2, 5] * 3}, "'nose' of annotation 7 has visibility 5, expected 0 (not labelled), 1"),
    "no area": ({"area": None}, "annotation 7 has no 'area', which others have; add it: training takes 0.53 of"),
    "area": ({"area": -1}, "annotation 7 has the area -1; correct it, or leave it out"),
    "large area": ({"area": 5000}, "annotation 7 has the area 5000, but its box 30 x 30 px has less; correct one"),
    "category": (
        {"category_id": "1"},
        "annotation 7 has category_id '1', which is not in the list of categories (1), and is left out; correct it",
    ),
    "thin": ({"bbox": [5, 5, 0, 30]}, "annotation 7 has a box of 0 x 30 px; correct 'bbox', which is x, y, width"),
    "outside": (
        {"bbox": [70, 5, 30, 30]},
        "annotation 7 has the box 70 5 30 30 (x y width height), wholly outside of the photo of 64 x 48 px; correct it",
    ),
    "number": ({"num_keypoints": 2}, "annotation 7 has num_keypoints 2, but 3 keypoints with v above 0; write 3, by"),
    "joints": (
        {"keypoints": [90, 10, 2] * 3},
        "annotation 7 in a.jpg has 3 of 3 labelled joints outside of the photo of 64 x 48 px; correct them, or set",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_each_problem_is_named(tmp_path: Path, name: str) -> None:
    change, message = DAMAGED[name]
    path = write(tmp_path, person(8, 1), person(7, 1, **change), person(6, 2))
    found = inspect(path)
    assert [text for text in found.problems if text.startswith(f"{path}: {message}")], found.problems
    assert len(found.problems) == 1


def test_all_problems_are_found_at_once(tmp_path: Path) -> None:
    kinds = [change for name, (change, _) in DAMAGED.items() if name not in ("duplicate",)]
    path = write(tmp_path, person(50, 1), *(person(100 + i, 2, **change) for i, change in enumerate(kinds)))
    found = inspect(path)
    numbers = [
        number for number in range(100, 100 + len(kinds)) if any(f"annotation {number}" in t for t in found.problems)
    ]
    assert numbers == list(range(100, 100 + len(kinds)))
    before = path.read_bytes()
    assert inspect(path).problems == found.problems
    assert path.read_bytes() == before


def test_notes_are_no_problems(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        person(1, 1, bbox=[50, 5, 30, 30], keypoints=[55, 10, 2, 60, 12, 2, 62, 14, 1]),
        person(2, 1, keypoints=[0, 0, 2, 15, 12, 2, 20, 14, 2]),
        person(3, 2, bbox=[40, 30, 10, 10], area=50),
    )
    found = inspect(path)
    assert found.problems == []
    assert [text.removeprefix(f"{path}: ") for text in found.notes[-3:]] == [
        "annotation 1 has the box 50 5 30 30 (x y width height), up to 16 px outside of the photo of 64 x 48 px; what "
        "is outside is cut off",
        "annotation 2 in a.jpg has 'nose' labelled at 0, 0; set its v to 0 if it is not labelled",
        "annotation 3 in b.jpg has 3 of 3 labelled joints far from its box 40 30 50 40 (x0 y0 x1 y1); correct one of "
        "them",
    ]


def test_photos_are_looked_at(tmp_path: Path) -> None:
    names = ("a.jpg", "half.jpg", "empty.jpg", "page.jpg", "missing.jpg", "small.jpg", "turned.jpg", "a.jpg")
    path = write(tmp_path, *(person(i + 1, i + 1) for i in range(8)), images=names)
    folder = tmp_path / "images"
    whole = (folder / "b.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<html>not found</html>")
    photo(folder / "small.jpg", 50)
    photo(folder / "turned.jpg", *SIZE[::-1])
    found = inspect(path)
    expected = [
        f"{folder}/half.jpg is cut off or damaged: its JPEG data has no end ({len(whole) // 2} bytes); fetch or save",
        f"{folder}/empty.jpg is empty (0 bytes); fetch or save it again",
        f"{folder}/page.jpg is not an image: it begins with b'<html>no'; name a JPEG or PNG file",
        f"There is no photo {folder}/missing.jpg; ",
        f"{folder}/small.jpg is 50 x 48 px, but its annotations say 64 x 48 px of image 6; fetch the photo",
        f"{folder}/turned.jpg is 48 x 64 px, perhaps turned by its EXIF orientation, but its annotations say",
        f"{path}: images 1 and 8 are the same file a.jpg; put the people of both into one",
    ]
    assert len(found.problems) == len(expected)
    for text, start in zip(found.problems, expected):
        assert text.startswith(start)
    assert found.facts["photos found"] == 3


def test_without_any_photo_one_line_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, person(1, 1), person(2, 2), images=("c.jpg", "d.jpg"))
    found = inspect(path)
    expected = (
        f"none of its 2 photos was found, c.jpg not in {tmp_path / 'images'}; give their folder (--images FOLDER)"
    )
    assert found.problems == [f"{path}: {expected}"]
    assert sheet_of(found) is None


def test_areas_that_nobody_has_are_one_problem(tmp_path: Path) -> None:
    path = write(tmp_path, person(1, 1, area=None), person(2, 2, area=None))
    (text,) = inspect(path).problems
    assert text.startswith(f"{path}: none of its 2 annotations has an 'area', annotation 1 first; 0.53 of the box is")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:-30], "not valid JSON at line 1"),
        (lambda text: text.replace('"categories"', '"kinds"'), "the file has no field 'categories'; add it"),
        (lambda text: "[3]", "neither COCO format (images, annotations, categories) nor MPII's or OCHuman's own"),
        (lambda text: text.replace("image_id", "image"), "annotation 1 has no field 'image_id'; add it"),
    ],
)
def test_unreadable_files_are_a_problem(tmp_path: Path, spoil: Callable[[str], str], message: str) -> None:
    path = write(tmp_path, person(1, 1))
    path.write_text(spoil(path.read_text()))
    found = inspect(path)
    assert found.problems[0].startswith(f"{path}: {message}")
    assert sheet_of(found) is None


def test_results_are_held_against_their_annotations(tmp_path: Path) -> None:
    data = write(tmp_path, person(1, 1), person(2, 2))
    sound = {"image_id": 1, "category_id": 1, "keypoints": [10, 12, 0.5] * 3, "score": 0.7}
    changes = [{}, {"image_id": 8}, {"image_id": 9}, {"keypoints": [1, 2, 3]}, {"score": "high"}, {}]
    path = tmp_path / "results.json"
    path.write_text(json.dumps([sound | change for change in changes] + [{"score": 1}]))
    found = inspect(path, data=data)
    assert [text.removeprefix(f"{path}: ") for text in found.problems] == [
        f"2 of its images are not in {data}, image_id 8, 9; give those of these photos, or take the others out",
        "'keypoints' of result 3 holds 3 numbers, expected 9 numbers; correct it",
        "'score' of result 4 is 'high', expected a number; correct it",
        "result 5 is the same pose as result 0; keep one of them",
        "result 6 has no field 'image_id'; add it",
    ]
    assert (found.form, found.facts["images"], found.facts["images without any"]) == ("keypoint results", 1, 1)
    assert sheet_of(found) is not None
    alone = inspect(path)
    assert (len(alone.problems), alone.facts["images"]) == (4, 3)


def test_boxes_are_held_against_their_annotations(tmp_path: Path) -> None:
    data = write(tmp_path, person(1, 1), person(2, 2))
    sound = {"image_id": 1, "category_id": 1, "bbox": [5, 6, 20, 30], "score": 0.7}
    changes = [{}, {"image_id": 8}, {"bbox": [1, 2, 0, 3]}, {"bbox": [1, 2, "3", 4]}, {"score": None}]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([sound | change for change in changes]))
    found = inspect(path, data=data)
    assert [text.removeprefix(f"{path}: ") for text in found.problems] == [
        f"1 of its images are not in {data}, image_id 8; give those of these photos, or take the others out",
        "'bbox' of box 2 is 0 x 3 px; remove the box or correct it",
        "'bbox' of box 3 is \"[1, 2, '3', 4]\", expected numbers; correct it",
        "'score' of box 4 is None, expected a number; correct it",
    ]
    assert (found.form, found.facts["images"]) == ("detected boxes", 1)
    assert sheet_of(found) is not None


def test_what_cannot_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, person(1, 1))
    with pytest.raises(InputError, match=r"labels.json: holds no boxes or results; --data FILE is for those alone"):
        inspect(path, data=path)
    with pytest.raises(
        InputError, match=r"nowhere.json: no such file; expected annotations, detected boxes or results"
    ):
        inspect(tmp_path / "nowhere.json")


def test_each_record_of_mpii_is_looked_at(tmp_path: Path) -> None:
    record = {"image": "a.jpg", "center": [30, 20], "scale": 0.1}
    joints = {"joints": [[20, 20]] * 16, "joints_vis": [1] * 16}
    path = tmp_path / "train.json"
    path.write_text(
        json.dumps(
            [
                record | joints,
                {**record, "scale": "1"},
                {"image": "a.jpg"},
                record | {"joints": [1]},
                record | {"image": "b.jpg", "center": [1]},
                {**record, "image": 3},
            ]
        )
    )
    photo(tmp_path / "images" / "a.jpg")
    found = inspect(path)
    assert [text.removeprefix(f"{path}: ") for text in found.problems] == [
        "'scale' of record 1 is '1', expected a number; correct it",
        "record 2 has no field 'center'; add it",
        "'joints' of record 3 holds 1 numbers, expected numbers shaped (16, 2); correct it",
        "'center' of record 4 holds 1 numbers, expected 2 numbers; correct it",
        "'image' of record 5 is '3', expected the name of a photo; correct it",
    ]
    assert (found.form, found.facts["people"], found.facts["photo widths"]) == ("MPII", 1, [64, 64, 64])


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("coco/test_coco.json", 14),
        ("coco/test_coco_wholebody.json", 14),
        ("crowdpose/test_crowdpose.json", 5),
        ("ochuman/test_ochuman.json", 5),
        ("mpii/test_mpii.json", 5),
        ("wflw/test_wflw.json", 4),
        ("300w/test_300w.json", 2),
    ],
)
def test_real_annotations_are_sound(shared_data: Path, name: str, people: int) -> None:
    found = inspect(shared_data / "samples" / name)
    assert found.problems == []
    assert found.facts["people"] == people
    assert found.facts["photos found"] == found.facts["images"]


def test_real_detections_are_sound(shared_data: Path) -> None:
    for data, boxes in (("coco/test_coco", "_det_AP_H_56"), ("crowdpose/test_crowdpose", "_det_AP_40")):
        path = shared_data / "samples" / f"{data}{boxes}.json"
        found = inspect(path, data=shared_data / "samples" / f"{data}.json")
        assert (found.problems, found.facts["images without any"]) == ([], 0)
