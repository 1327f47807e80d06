"""AP and AR of COCO keypoints, and of CrowdPose: faster-coco-eval behind functions that survive what files hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitruvian.data.labels import read_json
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE

FIGURES: tuple[str, ...] = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
"""The figures of a COCO keypoint table, in its order: fractions of 1."""

CROWD_FIGURES = ("AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_easy", "AP_medium", "AP_hard")
"""The figures of a CrowdPose table, in its order: fractions of 1."""

CROWD_LEVELS = {"AP_easy": (-math.inf, 0.2), "AP_medium": (0.2, 0.8), "AP_hard": (0.8, math.inf)}
"""From which `crowdIndex` of a photo to below which. Papers say 0.1; every published figure comes from 0.2."""

Record = Mapping[str, Any]


class Scores(NamedTuple):
    """What a list of results is worth."""

    figures: dict[str, float]  # by the names in FIGURES
    precision: np.ndarray  # (10, 101, 3): OKS .50:.05:.95, recall 0:.01:1, size (all, M, L); -1 where nobody counts
    recall: np.ndarray  # (10, 3): OKS and size


def evaluate_coco(
    truth: Record | str | Path,
    results: Sequence[Record] | str | Path,
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


def evaluate_crowdpose(
    truth: Record | str | Path, results: Sequence[Record] | str | Path, sigmas: Sequence[float] | np.ndarray
) -> dict[str, float]:
    """The nine figures of CrowdPose: those of `evaluate_coco` by the boxes' areas, and AP by how crowded a photo is.

    The AP of a level is that of its photos alone, to four decimals and with -1 taking part in its mean, as the official
    evaluation prints it. Arguments and errors are those of `evaluate_coco`; each image needs its `crowdIndex`.
    """
    truth_name, annotations = load_records(truth, "the truth")
    _, found = load_records(results, "the results")
    everywhere = score_coco(annotations, found, sigmas, use_area=False).figures
    figures = {name: everywhere[name] for name in CROWD_FIGURES if name in everywhere}
    for image in annotations["images"]:
        require(image, ("crowdIndex",), f"{truth_name}: image {image['id']}")
    for name, (low, high) in CROWD_LEVELS.items():
        images = [image for image in annotations["images"] if low <= image["crowdIndex"] < high]
        inside = {image["id"] for image in images}
        people = [person for person in annotations["annotations"] if person["image_id"] in inside]
        poses = [pose for pose in found if pose["image_id"] in inside]
        of_level = {**annotations, "images": images, "annotations": people}
        precision = score_coco(of_level, poses, sigmas, use_area=False).precision
        figures[name] = round(float(precision[..., 0].mean()), 4)
    return figures


def score_coco(
    truth: Record | str | Path,
    results: Sequence[Record] | str | Path,
    sigmas: Sequence[float] | np.ndarray,
    use_area: bool = True,
) -> Scores:
    """The figures of `evaluate_coco`, which says all else, with the curves that they are the means of."""
    dataset, poses = coco_dataset(truth, results, len(sigmas), use_area)
    if not dataset["annotations"]:
        return Scores(dict(zip(FIGURES, [-1.0] * len(FIGURES))), -np.ones((10, 101, 3)), -np.ones((10, 3)))
    from faster_coco_eval import COCO, COCOeval_faster  # here, for it takes a while to load

    people = COCO(dataset)  # it writes into the dicts that it is given
    evaluator = COCOeval_faster(
        people,
        people.loadRes(poses),
        iouType="keypoints",
        kpt_oks_sigmas=[float(sigma) for sigma in sigmas],
        print_function=_silent,
    )
    evaluator.run()
    curves = np.asarray(evaluator.eval["precision"]), np.asarray(evaluator.eval["recall"])
    figures = dict(zip(FIGURES, map(float, evaluator.stats)))
    return Scores(figures, _over_categories(curves[0][..., 0]), _over_categories(curves[1][..., 0]))


def coco_dataset(
    truth: Record | str | Path, results: Sequence[Record] | str | Path, joints: int, use_area: bool = True
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Truth and results as COCO's evaluators need them: complete, checked, numbered from 1 in the order given."""
    truth_name, annotations = load_records(truth, "the truth")
    results_name, found = load_records(results, "the results")
    if not isinstance(annotations, Mapping):
        raise InputError(f"{truth_name}: found a {type(annotations).__name__}, expected a dict of COCO annotations")
    if not isinstance(found, Sequence):
        raise InputError(f"{results_name}: found a {type(found).__name__}, expected a list of COCO results")
    require(annotations, ("images", "annotations"), truth_name)
    numbers = _number_images(annotations["images"], truth_name)
    people = [
        _person(
            annotation,
            numbers,
            joints,
            use_area,
            f"{truth_name}: annotation {annotation.get('id', index)}",
        )
        for index, annotation in enumerate(annotations["annotations"])
    ]
    for number, person in enumerate(people, start=1):
        person["id"] = number  # from 1, because the evaluator takes 0 for "matched to nobody"
    categories = {category.get("id", 1) for category in annotations.get("categories", ())}
    categories |= {person["category_id"] for person in people}
    has_boxes = len(found) > 0 and bool(found[0].get("bbox"))
    poses = [
        _pose(result, numbers, categories, joints, has_boxes, f"{results_name}: result {index}")
        for index, result in enumerate(found)
    ]
    dataset = {
        "images": [{"id": number} for number in numbers.values()],
        "categories": [{"id": category} for category in categories],
        "annotations": people,
    }
    return dataset, poses


def load_records(source: Any, role: str) -> tuple[str, Any]:
    """What messages call `source`, and its content, read where it is a path."""
    if isinstance(source, (str, Path)):
        return str(source), read_json(Path(source), f"{role} in COCO format")
    return role, source


def require(record: Record, keys: Sequence[str], where: str) -> None:
    for key in keys:
        if key not in record:
            raise InputError(f"{where} has no {key!r}, found {', '.join(map(str, record)) or 'nothing'}; add it")


def _number_images(images: Sequence[Record], source: str) -> dict[Any, int]:
    """Image id -> 1, 2, ...: the evaluator wants integers.

    In the order of the ids, for equal scores of different images are ranked by it.
    """
    for index, image in enumerate(images):
        require(image, ("id",), f"{source}: image {index}")
    ids = sorted({image["id"] for image in images}, key=lambda image_id: (isinstance(image_id, str), image_id))
    return {image_id: number for number, image_id in enumerate(ids, start=1)}


def _person(annotation: Record, numbers: Mapping[Any, int], joints: int, use_area: bool, where: str) -> dict[str, Any]:
    """One person of the truth with the fields that the evaluator reads, complete and checked."""
    require(annotation, ("image_id", "bbox"), where)
    if annotation["image_id"] not in numbers:
        raise InputError(f"{where} is of image {annotation['image_id']!r}, which is not in the list of images; add it")
    if use_area and "area" not in annotation:
        raise InputError(
            f"{where} has no 'area', which OKS needs: add the area of the mask, or for a data set without "
            f"masks (CrowdPose) evaluate with use_area=False"
        )
    # A person with a box alone has no labelled joint, as the reader of labels has it.
    keypoints = _keypoints(annotation, joints, where) if annotation.get("keypoints") else [0.0] * (3 * joints)
    labelled = [(x, y) for x, y, v in zip(keypoints[0::3], keypoints[1::3], keypoints[2::3]) if v > 0]
    if not all(math.isfinite(x + y) for x, y in labelled):
        raise InputError(f"{where} has a labelled keypoint that is not finite; set its visibility to 0")
    box = [float(value) for value in annotation["bbox"]]
    return {
        "image_id": numbers[annotation["image_id"]],
        "category_id": annotation.get("category_id", 1),
        "keypoints": keypoints,
        "bbox": box,
        "area": float(annotation["area"]) if use_area else BOX_SHARE * box[2] * box[3],
        "iscrowd": int(annotation.get("iscrowd", 0)),
        "num_keypoints": int(annotation.get("num_keypoints", len(labelled))),
    }


def _pose(
    result: Record, numbers: Mapping[Any, int], categories: set, joints: int, has_box: bool, where: str
) -> dict[str, Any]:
    """One result with the fields that the evaluator reads, checked against the truth."""
    require(result, ("image_id", "category_id", "keypoints", "score"), where)
    if result["image_id"] not in numbers:
        raise InputError(
            f"{where} is of image {result['image_id']!r}, which the truth does not list; "
            f"expected results of its {len(numbers)} images alone"
        )
    if result["category_id"] not in categories:
        expected = ", ".join(map(repr, sorted(categories))) or "none"
        raise InputError(f"{where} has category_id {result['category_id']!r}, the truth has {expected}")
    keypoints = _keypoints(result, joints, where)
    if not math.isfinite(sum(keypoints) + result["score"]):
        raise InputError(f"{where}, of image {result['image_id']!r}, holds NaN or infinity; expected finite numbers")
    pose = {
        "image_id": numbers[result["image_id"]],
        "category_id": result["category_id"],
        "keypoints": keypoints,
        "score": float(result["score"]),
    }
    if has_box:
        if not result.get("bbox"):
            raise InputError(f"{where} has no 'bbox', but the first result has one; give all of them boxes, or none")
        pose["bbox"] = [float(value) for value in result["bbox"]]
    return pose


def _keypoints(record: Record, joints: int, where: str) -> Sequence[float]:
    keypoints = record["keypoints"]
    if len(keypoints) != 3 * joints:
        raise InputError(f"{where} has {len(keypoints)} values in 'keypoints', expected 3 for each of {joints} joints")
    return keypoints


def _over_categories(curves: np.ndarray) -> np.ndarray:
    """Curves (..., categories, sizes) as the mean (..., sizes) over the categories that have any."""
    known = curves > -1
    total = np.where(known, curves, 0).sum(-2)
    return np.where(known.any(-2), total / np.maximum(known.sum(-2), 1), -1.0)


def _silent(*_: object) -> None:
    """Where the evaluator prints its table."""
