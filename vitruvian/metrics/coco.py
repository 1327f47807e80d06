"""AP and AR of COCO keypoints, and of CrowdPose, from records that may lack what evaluators trip over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitruvian.errors import InputError
from vitruvian.metrics.curves import precision_and_recall
from vitruvian.metrics.records import Found, Named, Truth, load_records, read_found, read_truth, require

FIGURES: tuple[str, ...] = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
"""The figures of a COCO keypoint table, in its order: fractions of 1."""

CROWD_FIGURES = ("AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_easy", "AP_medium", "AP_hard")
"""The figures of a CrowdPose table, in its order: fractions of 1."""

CROWD_LEVELS = {"AP_easy": (-math.inf, 0.2), "AP_medium": (0.2, 0.8), "AP_hard": (0.8, math.inf)}
"""From which `crowdIndex` of a photo to below which. Papers say 0.1; every published figure comes from 0.2."""

Record = Mapping[str, Any]
Annotations = Record | str | Path | Named
Results = Sequence[Record] | str | Path | Named


class Scores(NamedTuple):
    """What a list of results is worth."""

    figures: dict[str, float]  # by the names in FIGURES
    precision: np.ndarray  # (10, 101, 3): OKS .50:.05:.95, recall 0:.01:1, size (all, M, L); -1 where nobody counts
    recall: np.ndarray  # (10, 3): OKS and size
    notes: tuple[str, ...] = ()  # what was repaired in the records, and what else decides about the figures


def evaluate_coco(
    truth: Annotations,
    results: Results,
    sigmas: Sequence[float] | np.ndarray,
    use_area: bool = True,
) -> dict[str, float]:
    """AP and AR of a list of results, by OKS .50:.05:.95 and at most 20 poses an image.

    A figure is -1 where no person of the truth counts for it (nobody of that size), and 0 where nobody was
    found. Some people do not count, but take the poses that lie on them out of the count: crowds (`iscrowd`),
    people without a labelled joint (`num_keypoints` 0), and those outside the range of sizes (M: 32^2 to 96^2
    px^2, L: from there). The arguments are not changed and nothing is printed.

    Args:
        truth: COCO annotations, as a dict or a JSON file, with any category names and image ids. `iscrowd`
            may be missing (0), and so may `num_keypoints` (counted from the visibility; where the file has
            it, the file's number holds, as in CrowdPose, which does not count the head). Ids of annotations
            are not used: they may be 0 or missing.
        results: COCO results, as a list or a JSON file: image_id, category_id, keypoints (x, y, score of
            each joint) and score. The size of a pose, on which the figures for M and L depend, is that of its
            `bbox` if the first result has one, and else the extent of all its joints. The two give different
            figures: say which.
        sigmas: (K,), one a joint, for any K.
        use_area: False for files without masks (CrowdPose): the area of a person is .53 of the box.

    Returns:
        the ten figures by the names in FIGURES, as fractions of 1.

    Raises:
        InputError: an area is missing, a result is of an image or a category that the truth does not have, a
            record lacks a field or has another number of joints than `sigmas`.
    """
    return score_coco(truth, results, sigmas, use_area).figures


def evaluate_crowdpose(truth: Annotations, results: Results, sigmas: Sequence[float] | np.ndarray) -> dict[str, float]:
    """The nine figures of CrowdPose: those of `evaluate_coco` by the boxes' areas, and AP by how crowded a photo is.

    The AP of a level is that of its photos alone, to four decimals and with -1 taking part in its mean, as the official
    evaluation prints it. Arguments and errors are those of `evaluate_coco`; each image needs its `crowdIndex`.
    """
    figures = score_crowdpose(truth, results, sigmas).figures
    return {name: figures[name] for name in CROWD_FIGURES}


def score_crowdpose(truth: Annotations, results: Results, sigmas: Sequence[float] | np.ndarray) -> Scores:
    """The ten figures of `score_coco` by the boxes' areas with the three of CROWD_LEVELS, and the curves of the ten."""
    truth_name, annotations = load_records(truth, "the truth")
    people, found, notes = read_records(Named(truth_name, annotations), results, len(sigmas), False)
    levels = {}
    for image in annotations["images"]:
        where = f"{truth_name}: image {image['id']}"
        require(image, ("crowdIndex",), where)
        level = image["crowdIndex"]
        if isinstance(level, bool) or not isinstance(level, Real) or math.isnan(level):
            raise InputError(f"{where} has the crowdIndex {level!r}, expected a number")
        levels[people.image_numbers[image["id"]]] = level
    scores = scored(people, found, sigmas, notes)
    for name, (low, high) in CROWD_LEVELS.items():
        chosen = np.array([number for number, level in levels.items() if low <= level < high], np.int64)
        of_level = found.select(np.isin(found.images, chosen))
        precision = scored(people.of_images(chosen), of_level, sigmas).precision
        scores.figures[name] = round(float(precision[..., 0].mean()), 4)
    return scores


def score_coco(
    truth: Annotations,
    results: Results,
    sigmas: Sequence[float] | np.ndarray,
    use_area: bool = True,
) -> Scores:
    """The figures of `evaluate_coco`, which says all else, with the curves that they are the means of, and notes."""
    people, found, notes = read_records(load_records(truth, "the truth"), results, len(sigmas), use_area)
    return scored(people, found, sigmas, notes)


def read_records(truth: Named, results: Results, joints: int, use_area: bool = True) -> tuple[Truth, Found, list[str]]:
    """Truth (name and content) and results as arrays, with what is to be said about them; see `evaluate_coco`."""
    people, notes = read_truth(truth[1], joints, use_area, name=truth[0])
    results_name, content = load_records(results, "the results")
    found, more = read_found(content, people, joints, name=results_name)
    return people, found, [*notes, *more]


def scored(
    truth: Truth,
    found: Found,
    sigmas: Sequence[float] | np.ndarray,
    notes: Sequence[str] = (),
) -> Scores:
    """The figures of arrays with the curves that they are the means of."""
    if not len(truth.images):
        return Scores(dict.fromkeys(FIGURES, -1.0), -np.ones((10, 101, 3)), -np.ones((10, 3)), tuple(notes))
    precision, recall = precision_and_recall(truth, found, sigmas)
    values = []
    for curve in (precision, recall):
        parts = (curve[..., 0], curve[0, ..., 0], curve[5, ..., 0], curve[..., 1], curve[..., 2])
        values += [mean_of_defined(part) for part in parts]
    return Scores(dict(zip(FIGURES, values)), _over_categories(precision), _over_categories(recall), tuple(notes))


def mean_of_defined(curve: np.ndarray) -> float:
    """The mean of what is not -1; -1 where all is."""
    return float(curve[curve > -1].mean()) if (curve > -1).any() else -1.0


def _over_categories(curves: np.ndarray) -> np.ndarray:
    """Curves (..., categories, sizes) as the mean (..., sizes) over the categories that have any."""
    known = curves > -1
    total = np.where(known, curves, 0).sum(-2)
    return np.where(known.any(-2), total / np.maximum(known.sum(-2), 1), -1.0)
