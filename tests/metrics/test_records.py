"""What is said about truth and results that evaluators trip over, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.errors import InputError
from vitruvian.metrics.coco import score_coco, score_crowdpose
from vitruvian.metrics.records import Found, Named, load_records, ranks, read_found, read_truth
from vitruvian.metrics.wholebody import score_wholebody
from vitruvian.skeletons import COCO_WHOLEBODY

SIGMAS = (0.1, 0.05, 0.2)


def person(image: int = 1, **fields) -> dict:
    keypoints = [10.0, 10, 2, 60, 10, 2, 35, 80, 1]
    return {
        **{"id": 5, "image_id": image, "category_id": 1, "bbox": [0.0, 0, 80, 90], "area": 5000.0},
        **{"iscrowd": 0, "num_keypoints": 3, "keypoints": keypoints},
        **fields,
    }


def pose(image: int = 1, score: float = 0.9, **fields) -> dict:
    keypoints = [11.0, 10, 0.5, 60, 11, 0.5, 35, 80, 0.5]
    return {"image_id": image, "category_id": 1, "keypoints": keypoints, "score": score, **fields}


def truth(*people: dict, images: tuple = (1, 2)) -> dict:
    return {"images": [{"id": i} for i in images], "categories": [{"id": 1}], "annotations": list(people)}


def without(record: dict, *keys: str) -> dict:
    return {key: value for key, value in record.items() if key not in keys}


def notes(people: dict, results: list[dict], **options) -> list[str]:
    return list(score_coco(people, results, SIGMAS, **options).notes)


def test_nothing_is_said_about_sound_files() -> None:
    assert notes(truth(person()), [pose()]) == []


@pytest.mark.parametrize(
    ("people", "results", "note"),
    [
        (
            truth(person(id=0), person(2)),
            [pose()],
            "the truth: 1 annotation with id 0; numbered anew from 1, no figure depends on ids",
        ),
        (
            truth(without(person(), "id"), person(2), person(1)),
            [pose()],
            "the truth: 1 annotation with no id, 2 annotations with an id that another has, too; numbered anew from 1, "
            "no figure depends on ids",
        ),
        (
            truth(person(), without(person(2, id=7), "num_keypoints")),
            [pose()],
            "the truth: annotation 7 first: 1 person without 'num_keypoints'; counted from v > 0",
        ),
        (
            truth(person(num_keypoints=0), person(2, id=6, num_keypoints=5)),
            [pose()],
            "the truth: annotation 5 first: 2 people whose 'num_keypoints' contradicts v (0 stated, 3 with v > 0); the "
            "stated number holds, and 1 of them do not count for it",
        ),
        (truth(without(person(), "iscrowd")), [pose()], "the truth: 1 annotation without 'iscrowd'; taken as 0"),
        (truth(person(), images=(1, 1, 2)), [pose()], "the truth: image 1 is listed 2 times; counted once"),
        (truth(person()), [], "the results: no results at all; every figure that is defined is 0"),
        (
            truth(person()),
            [pose(keypoints=[10.0, 10, 0, 60, 10, 0, 35, 80, 0]), pose()],
            "the results: 1 result whose joints all have the score 0; kept, as COCO's own evaluation does",
        ),
        (
            truth(person()),
            [pose(score=step / 30) for step in range(23)],
            "the results: 3 results beyond the best 20 of an image; not looked at",
        ),
        (
            truth(person()),
            [pose(bbox=[0, 0, 9, 9])],
            "the results: the results carry boxes, so a pose is as large as its box, which AP and AR of M and L depend "
            "on",
        ),
        (
            truth(person()),
            [pose(), pose(bbox=[0, 0, 9, 9])],
            "the results: 1 result with a 'bbox', the first without; no box is used",
        ),
    ],
)
def test_what_is_said(people: dict, results: list[dict], note: str) -> None:
    given = notes(people, results)
    assert note in given
    # Ids that all people of these sets share are said, too, and nothing else.
    assert [line for line in given if line != note and "numbered anew" not in line] == []


def test_repairs_change_no_figure() -> None:
    whole = score_coco(truth(person(), person(2, id=6)), [pose(), pose(2)], SIGMAS).figures
    broken = truth(without(person(id=0), "iscrowd", "num_keypoints"), without(person(2), "id"))
    assert score_coco(broken, [pose(), pose(2)], SIGMAS).figures == whole
    assert whole["AP"] > 0.5


def test_crowdpose_counts_its_first_twelve_joints_without_a_word() -> None:
    joints = [5.0, 5.0, 1.0] * 14
    crowd = truth(person(keypoints=joints, num_keypoints=12))
    for image in crowd["images"]:
        image["crowdIndex"] = 0.1
    found = [pose(keypoints=joints)]
    scores = score_crowdpose(crowd, found, [0.1] * 14)
    assert scores.notes == ()
    assert (scores.figures["AP"], scores.figures["AP_easy"], scores.figures["AP_hard"]) == (1, 1, -1)
    assert "contradicts v (12 stated, 14 with v > 0)" in score_coco(crowd, found, [0.1] * 14).notes[0]


def test_whole_bodies_without_a_seen_joint_are_left_out_and_it_is_said() -> None:
    values = [50.0, 60.0, 2.0] * COCO_WHOLEBODY.num_joints
    people = truth(person(keypoints=values))
    blind = pose(keypoints=[50.0, 60.0, 0.0] * COCO_WHOLEBODY.num_joints)
    scores = score_wholebody(people, [blind])
    assert scores["whole"].notes == (
        "the results: 1 result whose joints all have the score 0; left out, as COCO-WholeBody's own evaluation does",
    )
    assert scores["whole"].figures["AR"] == 0


@pytest.mark.parametrize(
    ("people", "results", "message"),
    [
        (truth(person(area="large")), [], r"annotation 5 has 'large' in 'area', expected numbers; correct it"),
        (truth(person(area=-4)), [], r"annotation 5 has an area of -4 px\^2, expected 0 or more"),
        (truth(person(bbox=[1, 2, 3])), [], "annotation 5 has 3 values in 'bbox', expected 4"),
        (truth(person(keypoints=["1"] * 9)), [], "annotation 5 has '1' in 'keypoints', expected numbers"),
        (truth(person(num_keypoints=None)), [], "annotation 5 has None in 'num_keypoints', expected numbers"),
        (truth(person(), images=()), [], "annotation 5 is of image 1, which is not in the list of images"),
        ({"images": [3], "annotations": []}, [], "the truth: image 0 is a int, expected a record with named fields"),
        ({"images": [], "annotations": {}}, [], "the truth: annotations are a dict, expected a list of records"),
        (truth(person()), ["a"], "the results: result 0 is a str, expected a record with named fields"),
        (truth(person()), [pose(score="high")], "result 0 has 'high' in 'score', expected numbers"),
        (truth(person()), [pose(), pose(keypoints=[None] * 9)], "result 1 has None in 'keypoints', expected numbers"),
        (truth(person()), [pose(image_id=[1])], r"result 0 is of image \[1\], which the truth does not list"),
        (truth(person()), [pose(bbox=[0, 0, 9, 9]), pose(bbox=[0, 0, 9])], "result 1 has 3 values in 'bbox'"),
        (truth(person()), [pose(bbox=7)], "result 0 has 1 values in 'bbox', expected 4"),
        (truth(person(keypoints=3)), [], "annotation 5 has 1 values in 'keypoints', expected 3 for each of 3 joints"),
        (truth(person()), "results", "found a str|no such file"),
    ],
)
def test_what_is_refused(people: dict, results: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_coco(people, results, SIGMAS)


def test_files_that_were_read_keep_their_names() -> None:
    named = Named("a/results.json", [pose(7)])
    assert load_records(named, "the results") is named
    with pytest.raises(InputError, match=r"a/results\.json: result 0 is of image 7, .* of its 2 images alone"):
        score_coco(truth(person()), named, SIGMAS)


def test_records_become_arrays() -> None:
    people, _ = read_truth(truth(person(2), person(1, iscrowd=1, area=7), images=(9, 2, 1)), 3)
    assert people.image_numbers == {1: 1, 2: 2, 9: 3}
    assert people.images.tolist() == [2, 1]
    assert people.crowds.tolist() == [False, True]
    assert people.areas.tolist() == [5000, 7]
    assert people.of_images(np.array([1, 3])).areas.tolist() == [7]
    boxes, _ = read_truth(truth(person(2)), 3, use_area=False)
    assert boxes.areas.tolist() == pytest.approx([0.53 * 80 * 90])
    found, _ = read_found([pose(9), pose(1, bbox=[])], people, 3)
    assert found.images.tolist() == [3, 1]
    assert found.areas.tolist() == [49 * 70, 49 * 70]
    assert found.keypoints.shape == (2, 3, 3)


def test_ranks_within_image_and_category() -> None:
    images, categories = np.array([2, 1, 2, 2, 1, 2]), np.array([1, 1, 1, 2, 1, 1])
    scores = np.array([0.5, 0.1, 0.9, 0.7, 0.3, 0.5])
    found = Found(images, categories, np.zeros((6, 3, 3)), scores, np.zeros(6))
    assert ranks(found).tolist() == [1, 1, 0, 0, 0, 2]
    assert ranks(found.select(np.zeros(6, bool))).tolist() == []
