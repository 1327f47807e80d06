"""OKS of all images at once, against that of each image and against pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from vitruvian.metrics.coco import FIGURES, scored
from vitruvian.metrics.curves import faster_coco_eval, oks_by_image, pairs_within_images
from vitruvian.metrics.oks import oks
from vitruvian.metrics.records import Found, Truth

SIGMAS = np.array([0.03, 0.1, 0.05, 0.2, 0.07])


def scene(seed: int, people: int = 40, results: int = 170) -> tuple[Truth, Found]:
    """Six images, two categories; crowds, people without a labelled joint, more than 20 results an image, and ties."""
    rng = np.random.default_rng(seed)
    corners, sides = rng.uniform(0, 200, (people, 2)), rng.uniform(20, 150, (people, 2))
    flags = rng.choice([0, 1, 2], (people, 5)) * (rng.random((people, 1)) < 0.8)
    points = corners[:, None] + rng.uniform(0, 1, (people, 5, 2)) * sides[:, None]
    truth = Truth(
        image_numbers={f"{number}.jpg": number for number in range(1, 7)},
        category_numbers={"cat": 1, "dog": 2},
        images=rng.integers(1, 6, people),
        categories=rng.integers(1, 3, people),
        keypoints=np.concatenate([points, flags[..., None]], 2),
        boxes=np.concatenate([corners, sides], 1),
        areas=0.6 * sides.prod(1),
        crowds=rng.random(people) < 0.1,
        counts=(flags > 0).sum(1),
    )
    near = rng.integers(people, size=results)
    moved = points[near] + rng.normal(0, 4, (results, 5, 2)) * rng.uniform(0, 2, (results, 1, 1))
    found = Found(
        images=np.where(rng.random(results) < 0.9, truth.images[near], 6),
        categories=truth.categories[near],
        keypoints=np.concatenate([moved, np.ones((results, 5, 1))], 2),
        scores=rng.integers(0, 12, results) / 12,
        areas=truth.areas[near] * rng.uniform(0.5, 2, results),
    )
    return truth, found


def test_pairs_are_of_one_image_and_category() -> None:
    truth, found = scene(0)
    rows, columns = pairs_within_images(truth, found)
    assert (found.images[rows] == truth.images[columns]).all()
    assert (found.categories[rows] == truth.categories[columns]).all()
    expected = sum(
        min(20, int(((found.images == image) & (found.categories == category)).sum()))
        * int(((truth.images == image) & (truth.categories == category)).sum())
        for image in range(1, 7)
        for category in (1, 2)
    )
    assert len(rows) == expected
    assert len(set(zip(rows.tolist(), columns.tolist()))) == expected


def test_oks_of_all_images_is_that_of_each(monkeypatch) -> None:
    truth, found = scene(1)
    monkeypatch.setattr("vitruvian.metrics.curves.PAIRS", 13)
    by_image = oks_by_image(truth, found, SIGMAS)
    corners = np.concatenate([truth.boxes[:, :2], truth.boxes[:, :2] + truth.boxes[:, 2:]], 1)
    for (image, category), values in by_image.items():
        people = np.flatnonzero((truth.images == image) & (truth.categories == category))
        poses = np.flatnonzero((found.images == image) & (found.categories == category))
        poses = poses[np.argsort(-found.scores[poses], kind="stable")][:20]
        plain = oks(
            found.keypoints[poses, :, :2],
            truth.keypoints[people, :, :2],
            truth.keypoints[people, :, 2],
            truth.areas[people],
            SIGMAS,
            corners[people],
        )
        np.testing.assert_array_equal(values, plain)
    assert len(by_image) > 5


def test_nothing_to_compare() -> None:
    truth, found = scene(2)
    assert oks_by_image(truth, found.select(np.zeros(len(found.images), bool)), SIGMAS) == {}
    assert oks_by_image(truth.of_images(np.array([6])), found, SIGMAS) == {}


@pytest.mark.parametrize("seed", [3, 4])
def test_figures_and_curves_are_those_of_pycocotools(seed: int) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = scene(seed)
    people = [
        {
            **{"id": index + 1, "image_id": int(truth.images[index]), "category_id": int(truth.categories[index])},
            **{"keypoints": truth.keypoints[index].ravel().tolist(), "bbox": truth.boxes[index].tolist()},
            **{"area": truth.areas[index], "iscrowd": int(truth.crowds[index])},
            "num_keypoints": int(truth.counts[index]),
        }
        for index in range(len(truth.images))
    ]
    poses = [
        {
            **{"image_id": int(found.images[index]), "category_id": int(found.categories[index])},
            **{"keypoints": found.keypoints[index].ravel().tolist(), "score": found.scores[index]},
            "bbox": [0.0, 0.0, found.areas[index], 1.0],
        }
        for index in range(len(found.images))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO()
        categories = [{"id": 1}, {"id": 2}]
        theirs.dataset = {"images": [{"id": i} for i in range(1, 7)], "categories": categories, "annotations": people}
        theirs.createIndex()
        evaluator = COCOeval(theirs, theirs.loadRes(poses), "keypoints")
        evaluator.params.kpt_oks_sigmas = SIGMAS
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    figures = scored(truth, found, SIGMAS).figures
    np.testing.assert_allclose([figures[name] for name in FIGURES], evaluator.stats, rtol=0, atol=1e-12)
    assert 0.1 < figures["AP"] < 0.9


def test_who_is_matched_to_whom() -> None:
    truth, found = scene(5)
    evaluator = faster_coco_eval(truth, found, SIGMAS, matches=True)
    evaluator.evaluate()
    evaluator.accumulate()
    pairs = [tuple(map(int, pair.split("_"))) for pair in evaluator.eval["matched"]]
    assert pairs
    for pose, person in pairs:
        assert found.images[pose - 1] == truth.images[person - 1]
