"""Precision and recall of results in arrays: faster-coco-eval, given the OKS of all pairs of all images at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from vitruvian.metrics.oks import PAIRS, Sigmas, oks_of_pairs
from vitruvian.metrics.records import MOST, Found, Truth, ranks


def precision_and_recall(truth: Truth, found: Found, sigmas: Sigmas) -> tuple[np.ndarray, np.ndarray]:
    """The curves of keypoint results as COCO defines them.

    Args:
        truth: M people.
        found: N results.
        sigmas: (K,).

    Returns:
        precision (10, 101, C, 3) at OKS .50:.05:.95, recall 0:.01:1, of each category of the truth's people, by size
        (all, M, L); recall (10, C, 3); -1 where nobody counts.
    """
    evaluator = faster_coco_eval(truth, found, sigmas)
    evaluator.evaluate()
    evaluator.accumulate()
    precision, recall = (np.asarray(evaluator.eval[name], np.float64) for name in ("precision", "recall"))
    return precision[..., 0], recall[..., 0]


def faster_coco_eval(truth: Truth, found: Found, sigmas: Sigmas, matches: bool = False) -> Any:
    """A COCOeval_faster over the arrays, which is given the OKS that it would compute person by person.

    Annotations and results are numbered from 1 in the order of the arrays, for 0 is "matched to nobody" there. With
    `matches` its `eval["matched"]` holds which result is whose, "RESULT_ANNOTATION".
    """
    from faster_coco_eval import COCO, COCOeval_faster  # here, for it takes a while to load

    people, poses = COCO(_dataset(truth, _people(truth))), COCO(_dataset(truth, _poses(found)))
    evaluator = COCOeval_faster(people, poses, iouType="keypoints", print_function=_silent, extra_calc=matches)
    similarity = oks_by_image(truth, found, sigmas)
    evaluator.computeOks = lambda imgId, catId: similarity.get((imgId, catId), [])
    return evaluator


def oks_by_image(truth: Truth, found: Found, sigmas: Sigmas) -> dict[tuple[int, int], np.ndarray]:
    """OKS of the best 20 results (best first) of an image and category with its people (in the file's order).

    Returns:
        (results, people) by numbers of image and category, of those that have both.
    """
    rows, columns = pairs_within_images(truth, found)
    corners = np.concatenate([truth.boxes[:, :2], truth.boxes[:, :2] + truth.boxes[:, 2:]], 1)
    values = np.empty(len(rows))
    for start in range(0, len(rows), PAIRS):
        pose, person = rows[start : start + PAIRS], columns[start : start + PAIRS]
        values[start : start + PAIRS] = oks_of_pairs(
            found.keypoints[pose, :, :2],
            truth.keypoints[person, :, :2],
            truth.keypoints[person, :, 2],
            truth.areas[person],
            sigmas,
            corners[person],
        )
    groups = np.stack([found.images[rows], found.categories[rows]], 1)
    starts = np.flatnonzero((groups[1:] != groups[:-1]).any(1)) + 1
    by_group = {}
    for of_group, people, own in zip(*(np.split(one, starts) for one in (groups, columns, values))):
        if len(own):  # a file without pairs is one group of none
            by_group[tuple(of_group[0].tolist())] = own.reshape(-1, len(np.unique(people)))
    return by_group


def pairs_within_images(truth: Truth, found: Found) -> tuple[np.ndarray, np.ndarray]:
    """The index (P,) of the result, and that of the person, of all pairs of an image and category.

    Image by image, the best 20 results each, from the best to the worst; with each all people in the file's order.
    """
    rank = ranks(found)
    order = np.lexsort((rank, found.categories, found.images))
    order = order[rank[order] < MOST]
    factor = len(truth.category_numbers) + 1
    key_of_person, key_of_result = truth.images * factor + truth.categories, found.images * factor + found.categories
    people = np.argsort(key_of_person, kind="stable")
    first, after = (np.searchsorted(key_of_person[people], key_of_result[order], side) for side in ("left", "right"))
    number = after - first  # of people that each result is compared with
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    return np.repeat(order, number), people[np.repeat(first, number) + within]


def _dataset(truth: Truth, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """A data set in COCO format with the numbers of images and categories alone."""
    return {
        "images": [{"id": number} for number in truth.image_numbers.values()],
        "categories": [{"id": number} for number in truth.category_numbers.values()],
        "annotations": annotations,
    }


def _people(truth: Truth) -> list[dict[str, Any]]:
    """The people without their joints, numbered from 1."""
    columns = (truth.images, truth.categories, truth.areas, truth.crowds.astype(int), truth.counts)
    names = ("id", "image_id", "category_id", "area", "iscrowd", "num_keypoints")
    return [dict(zip(names, row)) for row in zip(range(1, len(truth.images) + 1), *(c.tolist() for c in columns))]


def _poses(found: Found) -> list[dict[str, Any]]:
    """The results without their joints, numbered from 1."""
    columns = (found.images, found.categories, found.areas, found.scores)
    names = ("id", "image_id", "category_id", "area", "score")
    return [dict(zip(names, row)) for row in zip(range(1, len(found.images) + 1), *(c.tolist() for c in columns))]


def _silent(*_: object) -> None:
    """Where the evaluator prints its progress."""
