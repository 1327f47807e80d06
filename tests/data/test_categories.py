"""Skeletons of one's own from the categories of COCO files: what is read, what is said, and what is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vitruvian.data.labels import Labels
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError

CHAIR = ["seat", "left_leg", "right_leg", "back"]


def read(folder: Path, *categories: dict[str, Any], counts: tuple[int, ...] = (12, 12), wanted: str = "") -> Labels:
    """The labels of a file with one photo and, for each count, an annotation of the first category."""
    first = {"id": 5, "name": "chair", "keypoints": CHAIR} | categories[0]
    people = [
        {"id": 7 + i, "image_id": 1, "category_id": 5, "bbox": [1, 2, 30, 20], "keypoints": [4, 5, 2] * (count // 3)}
        for i, count in enumerate(counts)
    ]
    images = [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}]
    content = {"images": images, "annotations": people, "categories": [first, *categories[1:]]}
    path = folder / "chairs.json"
    path.write_text(json.dumps(content))
    return read_labels(path, category=wanted)


def test_a_skeleton_of_ones_own_says_what_it_was_made_of(tmp_path: Path) -> None:
    labels = read(tmp_path, {"skeleton": [[1, 2], [1, 3], [1, 4]]})
    skeleton = labels.skeleton
    assert (skeleton.name, skeleton.joints) == ("chair", tuple(CHAIR))
    assert skeleton.limbs == ((0, 1), (0, 2), (0, 3))
    assert (skeleton.mirror, set(skeleton.oks_sigmas)) == ((0, 2, 1, 3), {0.08})
    assert labels.notes == (
        f"{labels.path}: 4 joints of 'chair', 3 limbs, 1 mirror pair by left and right in their names, "
        'OKS sigmas 0.08 for all ("sigmas": [one for each])',
    )


def test_pairs_and_sigmas_of_the_file_come_before_those_of_names(tmp_path: Path) -> None:
    fields = {"keypoints": ["nose", "a", "b", "left_wing"], "mirror_pairs": [[2, 3]], "sigmas": [0.1, 0.2, 0.2, 0.3]}
    labels = read(tmp_path, fields)
    assert labels.skeleton.mirror == (0, 2, 1, 3)
    assert labels.skeleton.oks_sigmas == (0.1, 0.2, 0.2, 0.3)
    assert labels.notes[0].endswith("1 mirror pair given, OKS sigmas given")
    assert read(tmp_path, {"mirror_pairs": []}).skeleton.mirror == (0, 1, 2, 3)


def test_joints_without_names_are_numbered(tmp_path: Path) -> None:
    labels = read(tmp_path, {"keypoints": []}, counts=(9, 9))
    assert labels.skeleton.joints == ("joint_1", "joint_2", "joint_3")
    assert "3 joints of 'chair', without names, called joint_1 and so on (\"keypoints\": [names]" in labels.notes[0]
    assert "no limbs" in labels.notes[0]
    assert "no mirror pairs" in labels.notes[0]


def test_one_of_several_categories_is_read(tmp_path: Path) -> None:
    table = {"id": 6, "name": "table", "keypoints": ["top", "leg"]}
    labels = read(tmp_path, {}, table)
    assert (labels.category_id, labels.num_people) == (5, 2)
    assert labels.notes[0].endswith(
        "reading category 'chair'; 'table' has keypoints too (--category NAME, --dataset.category NAME)"
    )
    labels = read(tmp_path, {}, table, wanted="table")
    assert (labels.skeleton.joints, labels.category_id, labels.num_people) == (("top", "leg"), 6, 0)
    assert len(labels.notes) == 1
    with pytest.raises(InputError, match=r"no category with keypoints is named 'tabel'; the nearest is 'table'"):
        read(tmp_path, {}, table, wanted="tabel")
    empty = read(tmp_path, {"id": 8, "name": "stool"}, {"id": 5, "name": "chair", "keypoints": CHAIR})
    assert empty.category_id == 5  # the first that anything is annotated for


@pytest.mark.parametrize(
    ("names", "mirror"),
    [
        (["legL", "legR", "L-arm", "R-arm"], (1, 0, 3, 2)),
        (["LShoulder", "RShoulder", "leftEye", "rightEye"], (1, 0, 3, 2)),
        (["x_left", "x_right", "left eye", "right eye"], (1, 0, 3, 2)),
        (["l_x", "r_x", "Left-Fin", "Right-Fin"], (1, 0, 3, 2)),
        (["l1", "r1", "leg_left2", "leg_right2"], (1, 0, 3, 2)),
        (["leftmost", "rightmost", "leftover", "r7"], (1, 0, 2, 3)),
        (["links", "rechts", "bright", "lid"], (0, 1, 2, 3)),
    ],
)
def test_the_sides_of_names(tmp_path: Path, names: list[str], mirror: tuple[int, ...]) -> None:
    assert read(tmp_path, {"keypoints": names}).skeleton.mirror == mirror


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"skeleton": [[0, 1], [2, 3]]},
            "a limb in 'skeleton' of category 'chair' is [0, 1], but joints are counted from 1 to 4; they are from 0 "
            "here, write [[1, 2], [3, 4]]",
        ),
        ({"skeleton": [[2, 5]]}, "is [2, 5], but joints are counted from 1 to 4; write two different ones of these"),
        ({"skeleton": [[2, 2]]}, "is [2, 2], but joints are counted from 1 to 4; write two different ones of these"),
        ({"skeleton": "none"}, "a limb in 'skeleton' of category 'chair' is 'none', expected pairs of joints such as"),
        (
            {"keypoints": ["seat", "left_leg", "back", "arm"]},
            'category \'chair\': Joint "left_leg" has no partner "right_leg", needed in a mirrored photo; add it, '
            "rename the joint without left or right, or give the category the pairs that a mirror exchanges, counted "
            'from 1: "mirror_pairs": [[1, 2], [3, 4]], or [] for none',
        ),
        ({"keypoints": ["seat", "leg", "leg", "arm"]}, 'joints 1 and 2 are both named "leg"; give each joint its own'),
        ({"keypoints": "seat"}, "'keypoints' of category 'chair' is 'seat', expected names"),
        (
            {"keypoints": CHAIR[:3]},
            "'keypoints' of annotation 7 holds 12 numbers, expected 9 numbers, three for each joint that category "
            "'chair' names; name 4 joints there, or give every annotation 9 numbers",
        ),
        ({"mirror_pairs": [[1, 2], [2, 3]]}, "category 'chair': joint 2, \"left_leg\", is in two mirror pairs"),
        ({"mirror_pairs": [[1, 7]]}, "a pair in 'mirror_pairs' of category 'chair' is [1, 7], but joints are counted"),
        ({"sigmas": [0.1]}, "'sigmas' of category 'chair' holds 1 numbers, expected 4 numbers"),
        ({"sigmas": [0.1, 0, 0.1, 0.1]}, 'the OKS sigma of joint "left_leg" is 0.0; give a positive number'),
    ],
)
def test_what_to_write_is_said(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, fields)
    assert str(raised.value).startswith(f"{tmp_path / 'chairs.json'}: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_one_annotation_of_another_length_is_named_alone(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'keypoints' of annotation 8 holds 9 numbers, expected 12 numbers; correct it$"
    ):
        read(tmp_path, {}, counts=(12, 9))
