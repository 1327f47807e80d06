"""COCO-WholeBody's figures: each part by its own joints, score and people; and its five fields."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vitruvian.errors import InputError
from vitruvian.metrics.coco import FIGURES, evaluate_coco
from vitruvian.metrics.wholebody import PARTS, evaluate_wholebody, joined, split
from vitruvian.skeletons import COCO, COCO_WHOLEBODY

SIZES = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}


def points(seed: int) -> np.ndarray:
    """133 joints (x, y, v) within 80 x 80 px."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(110, 190, (133, 2)), np.full((133, 1), 2.0)], 1)


def person(seed: int, image: int, hidden: tuple[str, ...] = (), **more) -> dict:
    values = points(seed)
    for part in hidden:
        values[list(PARTS[part])] = 0
    fields = split(values.ravel().tolist())
    return {"image_id": image, "category_id": 1, "bbox": [100, 100, 100, 100], "area": 5000, **fields, **more}


def found(seed: int, image: int, score: float, off: dict[str, float] | None = None, **more) -> dict:
    """A result at the places of `points(seed)`, some of its parts moved to the right."""
    values = points(seed)
    for part, distance in (off or {}).items():
        values[list(PARTS[part]), 0] += distance
    return {"image_id": image, "category_id": 1, "score": score, **split(values.ravel().tolist()), **more}


def truth(*people: dict) -> dict:
    return {"images": [{"id": 1}, {"id": 2}], "categories": [{"id": 1}], "annotations": list(people)}


def test_the_five_fields_and_133_joints_are_the_same() -> None:
    values = list(range(399))
    fields = split(values)
    assert {name: len(own) // 3 for name, own in fields.items()} == SIZES
    assert joined(fields, "a result") == joined({"keypoints": values}, "a result") == values


def test_parts_are_scored_apart() -> None:
    people = truth(person(1, 1), person(2, 2))
    results = [found(1, 1, 0.9, {"face": 300}), found(2, 2, 0.8, {"foot": 300, "left_hand": 300})]
    figures = evaluate_wholebody(people, results)
    assert list(figures) == ["body", "foot", "face", "left_hand", "right_hand", "whole", "hand"]
    assert all(tuple(own) == FIGURES for own in figures.values())
    ar = {part: own["AR"] for part, own in figures.items()}
    assert ar["body"] == ar["right_hand"] == 1
    assert ar["foot"] == ar["face"] == ar["left_hand"] == 0.5
    assert ar["hand"] == 0.75
    assert 0 < ar["whole"] < 1


def test_the_body_alone_is_coco() -> None:
    people = truth(person(1, 1), person(2, 2, num_keypoints=17), person(3, 2))
    results = [found(1, 1, 0.9), found(2, 2, 0.8, {"body": 9}), found(5, 2, 0.7)]
    seventeen = [{**result, "keypoints": result["keypoints"]} for result in results]
    assert evaluate_wholebody(people, results)["body"] == evaluate_coco(people, seventeen, COCO.oks_sigmas)


def test_all_joints_in_one_field_are_read_too() -> None:
    people, results = [person(1, 1), person(2, 2)], [found(1, 1, 0.9), found(2, 2, 0.8, {"face": 2})]
    together = [{**record, "keypoints": joined(record, "")} for record in [*people, *results]]
    expected = evaluate_wholebody(truth(*people), results)
    assert evaluate_wholebody(truth(*together[:2]), together[2:]) == expected


def test_people_count_for_a_part_that_is_labelled_whatever_the_flags_say() -> None:
    hidden = person(2, 2, ("face",), num_keypoints=17, face_valid=True)
    figures = evaluate_wholebody(truth(person(1, 1, num_keypoints=0, face_valid=False), hidden), [found(1, 1, 0.9)])
    assert (figures["face"]["AR"], figures["body"]["AR"]) == (1, 0.5)
    assert evaluate_wholebody(truth(hidden), [found(2, 2, 0.9)])["face"]["AR"] == -1


def test_a_visibility_between_0_and_1_is_labelled() -> None:
    record = person(1, 1, ("left_hand",))
    record["lefthand_kpts"][2] = 0.01
    assert evaluate_wholebody(truth(record), [])["left_hand"]["AR"] == 0
    assert evaluate_wholebody(truth(record), [])["right_hand"]["AR"] == 0


def test_results_without_a_score_in_a_part_are_none_for_it() -> None:
    blind = found(1, 1, 0.9, {"foot": 500})
    blind["foot_kpts"][2::3] = [0.0] * 6
    figures = evaluate_wholebody(truth(person(1, 1)), [blind, found(1, 1, 0.8)])
    assert figures["foot"]["AP"] == 1  # the wrong one, though first, is not there


def test_each_part_is_ranked_by_its_own_score() -> None:
    people = truth(person(1, 1))
    off = {"face": 300.0, "body": 300.0}
    results = [found(1, 1, 0.9, off, face_score=0.1), found(1, 1, 0.8)]
    figures = evaluate_wholebody(people, results)
    assert figures["face"]["AP"] == 1
    assert figures["body"]["AP"] == pytest.approx(0.5)
    assert evaluate_wholebody(people, [{**one, "wholebody_score": 1 - one["score"]} for one in results])["whole"][
        "AP"
    ] == pytest.approx(1)


def test_the_size_of_a_result_is_that_of_its_body_for_every_part() -> None:
    people = truth(person(1, 1))  # medium
    stray = found(7, 2, 0.95, bbox=[0, 0, 500, 500])  # in a photo with nobody; its body is medium, its box is not
    figures = evaluate_wholebody(people, [stray, found(1, 1, 0.9)])
    assert figures["left_hand"]["AP_M"] == pytest.approx(0.5)
    stray["keypoints"][0] = 900  # now it is large, though its hand is not
    assert evaluate_wholebody(people, [stray, found(1, 1, 0.9)])["left_hand"]["AP_M"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"foot_kpts": [1.0] * 6}, "the results: result 0 has 6 values in 'foot_kpts', expected 3 for each of 6 join"),
        ({"face_kpts": None}, "the results: result 0 has 0 values in 'face_kpts', expected 3 for each of 68 joints"),
        ({"keypoints": [1.0] * 3}, "the results: result 0 has 3 values in 'keypoints', expected 3 for each of 17"),
        ({"image_id": 9}, "the results: result 0 is of image 9, which the truth does not list"),
    ],
)
def test_bad_results_are_named(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate_wholebody(truth(person(1, 1)), [found(1, 1, 0.9, **change)])


def test_bad_annotations_are_named() -> None:
    with pytest.raises(InputError, match="the truth: annotation 4 has 5 values in 'foot_kpts'"):
        evaluate_wholebody(truth(person(1, 1, id=4, foot_kpts=[1] * 5)), [])


def test_a_real_file_scored_against_itself(shared_data) -> None:
    path = shared_data / "samples" / "coco" / "test_coco_wholebody.json"
    content = json.loads(path.read_text())
    results = [{**one, "score": 0.5, "keypoints": joined(one, "")} for one in content["annotations"]]
    results = [one for one in results if any(one["keypoints"][2::3])]
    figures = evaluate_wholebody(path, results)
    assert {part: own["AR"] for part, own in figures.items()} == dict.fromkeys(figures, 1)
    assert len(COCO_WHOLEBODY.oks_sigmas) == 133
