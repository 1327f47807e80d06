import copy
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvian.errors import InputError
from vitruvian.metrics.coco import CROWD_FIGURES, FIGURES, evaluate_coco, evaluate_crowdpose, score_coco

SIGMAS = (0.079, 0.107, 0.089, 0.062, 0.03)
RANGES = ((0, 1e10), (32**2, 96**2), (96**2, 1e10))
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def annotation(image_id, x, y, side=100.0, **fields) -> dict:
    """A person of five joints on the diagonal of a square box."""
    points = [(x + side * step / 5, y + side * step / 5, 2) for step in range(5)]
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": [float(value) for point in points for value in point],
        "bbox": [x, y, side, side],
        "area": side * side / 2,
    } | fields


def result(image_id, x, y, score, side=100.0, **fields) -> dict:
    found = annotation(image_id, x, y, side)
    return {key: found[key] for key in ("image_id", "category_id", "keypoints")} | {"score": score} | fields


def truth_of(*annotations, images=(1, 2)) -> dict:
    people = [dict(person, id=index) for index, person in enumerate(annotations)]  # from 0
    return {
        "images": [{"id": image} for image in images],
        "annotations": people,
        "categories": [{"id": 1, "name": "statue"}],
    }


def figures(truth, results, **options) -> list[float]:
    found = evaluate_coco(truth, results, SIGMAS, **options)
    assert tuple(found) == FIGURES
    return list(found.values())


# --- the definition, written plainly -------------------------------------------------------------------------


def plain_figures(truth: dict, results: list[dict], sigmas) -> list[float]:
    precision, recall = zip(*(plain_range(truth, results, sigmas, limits) for limits in RANGES))

    def mean(values):
        values = np.asarray(values)
        return values[values > -1].mean() if (values > -1).any() else -1.0

    rows = [mean(precision[0]), mean(precision[0][0]), mean(precision[0][5]), mean(precision[1]), mean(precision[2])]
    return [*rows, mean(recall[0]), mean(recall[0][0]), mean(recall[0][5]), mean(recall[1]), mean(recall[2])]


def plain_range(truth: dict, results: list[dict], sigmas, limits) -> tuple[np.ndarray, np.ndarray]:
    """Precision (10, 101) and recall (10,) for one range of sizes."""
    precision, recall = -np.ones((10, 101)), -np.ones(10)
    for row, threshold in enumerate(THRESHOLDS):
        ranked, counted = [], 0
        for image in sorted(image["id"] for image in truth["images"]):
            people = [person for person in truth["annotations"] if person["image_id"] == image]
            people.sort(key=lambda person: plain_ignored(person, limits))
            counted += sum(not plain_ignored(person, limits) for person in people)
            found = [r for r in results if r["image_id"] == image]
            found = sorted(found, key=lambda r: -r["score"])[:20]
            ranked += plain_match(people, found, sigmas, limits, threshold)
        if counted == 0:
            continue
        ranked.sort(key=lambda pair: -pair[0])
        right = np.cumsum([pair[1] for pair in ranked])
        shares = right / np.arange(1, len(ranked) + 1)
        recalls = right / counted
        recall[row] = recalls[-1] if len(recalls) else 0
        for column, wanted in enumerate(np.linspace(0, 1, 101)):
            reached = np.flatnonzero(recalls >= wanted)
            precision[row, column] = shares[reached[0] :].max() if len(reached) else 0
    return precision, recall


def plain_match(people, found, sigmas, limits, threshold) -> list[tuple[float, bool]]:
    """(score, right) of each result of an image that counts."""
    taken, ranked = set(), []
    for pose in found:
        best, holder = min(threshold, 1 - 1e-10), None
        for index, person in enumerate(people):  # those that count first
            if index in taken and not person.get("iscrowd", 0):
                continue
            if holder is not None and not plain_ignored(people[holder], limits) and plain_ignored(person, limits):
                break
            similarity = plain_oks(pose, person, sigmas)
            if similarity >= best:
                best, holder = similarity, index
        if holder is not None:
            taken.add(holder)
            if not plain_ignored(people[holder], limits):
                ranked.append((pose["score"], True))
        elif limits[0] <= plain_area(pose) <= limits[1]:
            ranked.append((pose["score"], False))
    return ranked


def plain_ignored(person: dict, limits) -> bool:
    labelled = sum(v > 0 for v in person["keypoints"][2::3])
    outside = not limits[0] <= person["area"] <= limits[1]
    return bool(person.get("iscrowd", 0) or person.get("num_keypoints", labelled) == 0 or outside)


def plain_area(pose: dict) -> float:
    if "bbox" in pose:
        return pose["bbox"][2] * pose["bbox"][3]
    return np.ptp(pose["keypoints"][0::3]) * np.ptp(pose["keypoints"][1::3])


def plain_oks(pose: dict, person: dict, sigmas) -> float:
    terms, outside = [], []
    x, y, w, h = person["bbox"]
    for joint, sigma in enumerate(sigmas):
        px, py = pose["keypoints"][3 * joint : 3 * joint + 2]
        gx, gy, v = person["keypoints"][3 * joint : 3 * joint + 3]
        spread = 2 * (person["area"] + np.spacing(1)) * (2 * sigma) ** 2
        if v > 0:
            terms.append(np.exp(-((px - gx) ** 2 + (py - gy) ** 2) / spread))
        dx = max(0, x - w - px) + max(0, px - x - 2 * w)
        dy = max(0, y - h - py) + max(0, py - y - 2 * h)
        outside.append(np.exp(-(dx**2 + dy**2) / spread))
    return float(np.mean(terms or outside))


def crowded_scene(seed: int, with_boxes: bool) -> tuple[dict, list[dict]]:
    """Images with crowds, unlabelled and small people, none found, nobody there, more than 20 results, and ties."""
    rng = np.random.default_rng(seed)
    images = rng.permutation([3, 11, 5, 70, 8])
    people, found = [], []
    for image in images[:4].tolist():
        for _ in range(rng.integers(1, 6)):
            side = float(rng.choice([25.0, 50.0, 110.0, 180.0]) * rng.uniform(0.9, 1.1))
            person = annotation(image, *rng.uniform(0, 200, 2).tolist(), side)
            person["iscrowd"] = int(rng.random() < 0.15)
            for joint in np.flatnonzero(rng.random(5) < (1.0 if rng.random() < 0.2 else 0.3)):
                person["keypoints"][3 * joint : 3 * joint + 3] = [0.0, 0.0, 0.0]
            people.append(person)
    for image in images[1:].tolist():
        here = [person for person in people if person["image_id"] == image] or [annotation(image, 9.0, 9.0)]
        for _ in range(rng.integers(2, 27)):
            near = here[rng.integers(len(here))]
            x, y, side, _ = near["bbox"]
            pose = result(image, x, y, float(rng.integers(1, 9)) / 8, side)
            noise = rng.normal(0, 0.08 * side * rng.random(), 15)
            pose["keypoints"] = (np.array(pose["keypoints"]) + noise).tolist()
            found.append(pose | ({"bbox": [x, y, side * rng.uniform(0.6, 1.4), side]} if with_boxes else {}))
    return truth_of(*people, images=images.tolist()), found


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.booleans())
def test_the_figures_are_those_of_the_definition(seed, with_boxes):
    truth, results = crowded_scene(seed, with_boxes)
    np.testing.assert_allclose(figures(truth, results), plain_figures(truth, results, SIGMAS), rtol=0, atol=1e-12)


# --- small sets with known figures ---------------------------------------------------------------------------

HALF = 51 / 101  # precision 1 up to a recall of .5, at 101 points


def test_one_of_two_people_found():
    truth = truth_of(annotation(1, 10.0, 10.0), annotation(2, 30.0, 5.0))
    assert figures(truth, [result(1, 10.0, 10.0, 0.9)]) == pytest.approx(
        [HALF, HALF, HALF, HALF, -1, 0.5, 0.5, 0.5, 0.5, -1], abs=1e-12
    )


def test_a_false_alarm_costs_precision_only_if_it_is_sure_of_itself():
    truth = truth_of(annotation(1, 10.0, 10.0))
    right, wrong = result(1, 10.0, 10.0, 0.5), result(1, 300.0, 300.0, 0.9)
    assert figures(truth, [right, wrong])[0] == pytest.approx(0.5)
    assert figures(truth, [right, wrong | {"score": 0.1}])[0] == 1.0


def test_no_results_give_0():
    truth = truth_of(annotation(1, 10.0, 10.0))
    assert figures(truth, []) == [0, 0, 0, 0, -1, 0, 0, 0, 0, -1]


@pytest.mark.parametrize(
    "people", [(), (annotation(1, 5.0, 5.0, num_keypoints=0),), (annotation(1, 5.0, 5.0, iscrowd=1),)]
)
def test_nobody_who_counts_gives_minus_1(people):
    assert figures(truth_of(*people), [result(1, 10.0, 10.0, 0.9)]) == [-1] * 10


def test_annotation_ids_play_no_part():
    truth = truth_of(annotation(1, 10.0, 10.0), annotation(1, 200.0, 10.0))
    results = [result(1, 10.0, 10.0, 0.9), result(1, 200.0, 10.0, 0.8)]
    assert truth["annotations"][0]["id"] == 0
    assert figures(truth, results)[0] == 1
    for person in truth["annotations"]:
        del person["id"]
    assert figures(truth, results)[0] == 1


def test_image_ids_may_be_texts():
    truth = truth_of(annotation("b.jpg", 10.0, 10.0), images=("b.jpg", "a.jpg"))
    assert figures(truth, [result("b.jpg", 10.0, 10.0, 0.9), result("a.jpg", 10.0, 10.0, 0.8)])[0] == 1


def test_a_missing_number_of_keypoints_is_counted_and_a_given_one_holds():
    unlabelled = annotation(1, 200.0, 200.0)
    unlabelled["keypoints"] = [0.0] * 15
    results = [result(1, 10.0, 10.0, 0.5), result(1, 200.0, 200.0, 0.9)]
    assert figures(truth_of(annotation(1, 10.0, 10.0), unlabelled), results)[0] == 1  # the second is not counted
    ignored = annotation(1, 200.0, 200.0, num_keypoints=0)
    assert figures(truth_of(annotation(1, 10.0, 10.0), ignored), results[:1])[0] == 1


def test_places_that_are_not_labelled_may_be_nan():
    person = annotation(1, 10.0, 10.0)
    person["keypoints"][3:6] = [float("nan"), float("nan"), 0]
    assert figures(truth_of(person), [result(1, 10.0, 10.0, 0.9)])[0] == 1


def test_boxes_of_the_results_move_the_figures_by_size():
    # The person is of medium size, a result that misses by far is medium by its joints and large by its box.
    truth = truth_of(annotation(1, 10.0, 10.0))
    results = [result(1, 10.0, 10.0, 0.5), result(1, 300.0, 300.0, 0.9)]
    boxed = [r | {"bbox": [0.0, 0.0, 200.0, 200.0]} for r in results]
    assert evaluate_coco(truth, results, SIGMAS)["AP_M"] == pytest.approx(0.5)
    assert evaluate_coco(truth, boxed, SIGMAS)["AP_M"] == 1
    assert figures(truth, [results[0], boxed[1]]) == figures(truth, results)  # the first one decides


def test_without_masks_the_area_is_a_share_of_the_box():
    person = annotation(1, 10.0, 10.0)
    del person["area"]
    results = [result(1, 13.0, 10.0, 0.9)]
    same = truth_of(person | {"area": 0.53 * 100 * 100})
    assert figures(truth_of(person), results, use_area=False) == figures(same, results)
    assert 0 < figures(same, results)[0] < 1


@pytest.mark.parametrize("joints", [14, 133])
def test_any_number_of_joints(joints):
    points = [7.0, 9.0, 2.0] * joints
    person = annotation(4, 0.0, 0.0) | {"keypoints": points, "category_id": 6}
    truth = {"images": [{"id": 4}], "annotations": [person], "categories": [{"id": 6, "name": "ape"}]}
    found = {"image_id": 4, "category_id": 6, "keypoints": points, "score": 0.3}
    assert evaluate_coco(truth, [found], np.full(joints, 0.05))["AP"] == 1


def test_files_are_read(tmp_path):
    truth, results = crowded_scene(1, False)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert figures(tmp_path / "truth.json", str(tmp_path / "results.json")) == figures(truth, results)


def test_it_prints_nothing_and_changes_nothing(capfd):
    truth, results = crowded_scene(2, False)
    before = copy.deepcopy((truth, results))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures(truth, results)
    assert capfd.readouterr() == ("", "")
    assert (truth, results) == before


# --- messages ------------------------------------------------------------------------------------------------


def without(record: dict, key: str) -> dict:
    return {name: value for name, value in record.items() if name != key}


PERSON, FOUND = annotation(1, 10.0, 10.0), result(1, 10.0, 10.0, 0.9)


@pytest.mark.parametrize(
    ("person", "found", "message"),
    [
        (without(PERSON, "area"), FOUND, "the truth: annotation 0 has no 'area', .*use_area=False"),
        (without(PERSON, "bbox"), FOUND, "annotation 0 has no 'bbox', found image_id, category_id"),
        (PERSON | {"image_id": 7}, FOUND, "annotation 0 is of image 7, which is not in the list of images"),
        (PERSON | {"keypoints": [1.0] * 12}, FOUND, "annotation 0 has 12 values in 'keypoints', .* each of 5 joints"),
        (PERSON | {"keypoints": [np.nan] * 2 + [2.0] * 13}, FOUND, "annotation 0 has a labelled keypoint that is not"),
        (PERSON, FOUND | {"image_id": 33}, "the results: result 0 is of image 33, which the truth does not list"),
        (PERSON, FOUND | {"image_id": "1"}, "result 0 is of image '1', which the truth does not list"),
        (PERSON, FOUND | {"category_id": 4}, "result 0 has category_id 4, the truth has 1"),
        (PERSON, without(FOUND, "score"), "result 0 has no 'score', found image_id, category_id, keypoints"),
        (PERSON, FOUND | {"keypoints": [1.0] * 51}, "result 0 has 51 values in 'keypoints', .* each of 5 joints"),
        (PERSON, FOUND | {"score": np.nan}, "result 0, of image 1, holds NaN or infinity"),
    ],
)
def test_what_is_wrong_is_named(person, found, message):
    with pytest.raises(InputError, match=message):
        figures(truth_of(person), [found])


def test_boxes_of_all_results_or_of_none():
    with pytest.raises(InputError, match="result 1 has no 'bbox', but the first result has one"):
        figures(truth_of(PERSON), [FOUND | {"bbox": [0.0, 0.0, 9.0, 9.0]}, FOUND])


def test_files_that_hold_something_else(tmp_path):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "cut.json").write_text('[{"image_id": 1')
    with pytest.raises(InputError, match=r"list\.json: found a list, expected a dict of COCO annotations"):
        figures(tmp_path / "list.json", [])
    with pytest.raises(InputError, match="the results: found a dict, expected a list of COCO results"):
        figures(truth_of(PERSON), {"images": []})
    with pytest.raises(InputError, match=r"cut\.json: not valid JSON"):
        figures(truth_of(PERSON), tmp_path / "cut.json")
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        figures(tmp_path / "none.json", [])
    with pytest.raises(InputError, match="the truth has no 'annotations', found images"):
        figures({"images": []}, [])


def test_crowded_photos_are_scored_apart_too() -> None:
    people = [annotation(image, 10.0, 20.0) for image in (1, 2, 3)]
    truth = truth_of(*people, images=(1, 2, 3))
    for image, crowded in zip(truth["images"], (0.19, 0.2, 3.0)):
        image["crowdIndex"] = crowded
    for person in truth["annotations"]:
        del person["area"]
    found = [result(1, 10.0, 20.0, 0.9), result(2, 15.0, 20.0, 0.8)]
    figures = evaluate_crowdpose(truth, found, SIGMAS)
    assert tuple(figures) == CROWD_FIGURES
    everywhere = evaluate_coco(truth, found, SIGMAS, use_area=False)
    assert all(figures[name] == everywhere[name] for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75"))
    assert (figures["AP_easy"], figures["AP_hard"]) == (1, 0)
    assert 0 < figures["AP_medium"] < 1
    assert figures["AP_medium"] == round(figures["AP_medium"], 4)
    del truth["images"][0]["crowdIndex"]
    with pytest.raises(InputError, match="image 1 has no 'crowdIndex'"):
        evaluate_crowdpose(truth, found, SIGMAS)


def test_curves_are_what_the_figures_are_means_of() -> None:
    truth = truth_of(annotation(1, 10.0, 20.0), annotation(2, 30.0, 20.0))
    scores = score_coco(truth, [result(1, 12.0, 20.0, 0.9), result(2, 30.0, 20.0, 0.8)], SIGMAS)
    assert scores.figures["AP"] == pytest.approx(scores.precision[..., 0].mean())
    assert scores.figures["AR_M"] == pytest.approx(scores.recall[:, 1].mean())
    assert (scores.precision[..., 2] == -1).all()  # nobody is large
