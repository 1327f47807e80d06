"""Parity of the evaluation of whole result files: COCO, COCO-WholeBody and CrowdPose, with curves, matches and OKS."""

from __future__ import annotations

import json

import numpy as np

from vitruvian.data.ochuman import ochuman_to_coco
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE, boxes_from_xywh
from vitruvian.metrics.coco import FIGURES, evaluate_coco, evaluate_crowdpose, read_records, score_coco
from vitruvian.metrics.curves import faster_coco_eval
from vitruvian.metrics.oks import oks, oks_nms, rescore, soft_oks_nms
from vitruvian.metrics.records import Named
from vitruvian.metrics.wholebody import PARTS, joined, mean_of_hands, score_wholebody
from vitruvian.skeletons import COCO as COCO_17

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MOST = 20  # results of an image that are looked at


def side_file(case, name: str):
    """The content of one of the case's side files."""
    return json.loads((case.folder / case.json["files"][name]).read_text())


def coco_keypoints(case) -> None:
    """AP and AR of COCO, its curves, who is matched to whom, and the OKS of every pair."""
    compare_coco(case, side_file(case, "gt"), side_file(case, "pred"))


def compare_coco(case, truth: dict, results: list[dict]) -> None:
    """All that a case of COCO's metric holds."""
    scores = score_coco(truth, results, case.config["sigmas"])
    case.compare("stats", [scores.figures[name] for name in FIGURES])
    case.compare("precision", scores.precision)
    case.compare("recall", scores.recall)
    compare_matches(case, truth, results, use_area=True)
    compare_oks(case, truth["annotations"], results, [person["area"] for person in truth["annotations"]])


def ochuman(case) -> None:
    """OCHuman's own file made into COCO's, and its AP and AR."""
    low, high = case.config["max_iou_range"]
    truth, results = (
        ochuman_to_coco(case.folder / "raw.json", side_file(case, "raw"), "all", (low, high)),
        side_file(case, "pred"),
    )
    for name in case.output_names:
        if name.startswith("ann."):
            case.compare(name, [person[name.removeprefix("ann.")] for person in truth["annotations"]])
    compare_coco(case, truth, results)


def crowdpose(case) -> None:
    """AP and AR of CrowdPose, whose areas come from boxes, and AP by how crowded a photo is."""
    truth, results, sigmas = side_file(case, "gt"), side_file(case, "pred"), case.config["sigmas"]
    figures = evaluate_crowdpose(truth, results, sigmas)
    case.compare("stats", [figures[name] for name in case.config["stats"]])
    scores = score_coco(truth, results, sigmas, use_area=False)
    case.compare("precision", scores.precision)
    case.compare("recall", scores.recall[:, :1])
    compare_matches(case, truth, results, use_area=False)
    people = truth["annotations"]
    compare_oks(case, people, results, [BOX_SHARE * person["bbox"][2] * person["bbox"][3] for person in people])


def compare_matches(case, truth: dict, results: list[dict], use_area: bool) -> None:
    """The annotation that each result is matched to at each threshold, and whether that is one that does not count."""
    matched = np.zeros((len(THRESHOLDS), len(results)), int)
    ids = [person["id"] for person in truth["annotations"]]
    counts = {p["id"]: not (p.get("iscrowd", 0) or p["num_keypoints"] == 0) for p in truth["annotations"]}
    people, found, _ = read_records(Named("the truth", truth), results, len(case.config["sigmas"]), use_area)
    for row, threshold in enumerate(THRESHOLDS):
        evaluator = faster_coco_eval(people, found, case.config["sigmas"], matches=True)
        evaluator.params.iouThrs = np.array([threshold])
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluator.evaluate()
        evaluator.accumulate()
        for pair in evaluator.eval["matched"]:
            pose, person = map(int, pair.split("_"))  # both are numbered from 1, in the order of the files
            matched[row, pose - 1] = ids[person - 1]
    ignored = np.array([[number > 0 and not counts[number] for number in row] for row in matched.tolist()])
    matched[:, beyond_most(results)] = -2
    case.compare("dt_match", matched)
    case.compare("dt_ignore", ignored)


def beyond_most(results: list[dict]) -> list[int]:
    """The results that are not among the best 20 of their image."""
    beyond = []
    for image in {result["image_id"] for result in results}:
        here = [index for index, result in enumerate(results) if result["image_id"] == image]
        beyond += sorted(here, key=lambda index: -results[index]["score"])[MOST:]
    return beyond


def compare_oks(case, people: list[dict], results: list[dict], areas: list[float], part: str = "") -> None:
    """OKS of the pairs that the case names."""
    sigmas = np.asarray(case.config["sigmas"])
    truth = np.array([person["keypoints"] for person in people], float).reshape(len(people), -1, 3)
    found = np.array([result["keypoints"] for result in results], float).reshape(len(results), -1, 3)
    if part:
        sigmas = sigmas[list(PARTS[part])]
    boxes = boxes_from_xywh(np.array([person["bbox"] for person in people]))
    similarity = oks(found[..., :2], truth[..., :2], truth[..., 2], np.array(areas), sigmas, boxes)
    rows = {person["id"]: index for index, person in enumerate(people)}
    prefix = f"{theirs(part)}." if part else ""
    stored = case.arrays
    pairs = stored[f"out.{prefix}oks_dt"], stored[f"out.{prefix}oks_gt"]
    places = [rows[number] for number in pairs[1].tolist()]
    case.compare(f"{prefix}oks", similarity[pairs[0], places])
    expected = {(int(pose), int(person)) for pose, person in zip(*pairs)}
    # Which pairs there are is part of the case: those of one image whose pose is among the image's best.
    own = pairs_of_images(people, results)
    assert expected == own, f"{case.name}: {prefix}oks is of {len(expected)} pairs, here there are {len(own)}"
    for name in ("oks_dt", "oks_gt"):
        case.compare(f"{prefix}{name}", stored[f"out.{prefix}{name}"])
    if f"{prefix}oks_img" in case.output_names:
        case.compare(f"{prefix}oks_img", [results[pose]["image_id"] for pose in pairs[0]])


def pairs_of_images(people: list[dict], results: list[dict]) -> set[tuple[int, int]]:
    """Index of the result and id of the annotation of every pair of one image; results beyond the best 20 have none."""
    beyond = set(beyond_most(results))
    return {
        (index, person["id"])
        for index, result in enumerate(results)
        for person in people
        if index not in beyond and result.get("keypoints") and person["image_id"] == result["image_id"]
    }


def theirs(part: str) -> str:
    """What the cases call a part."""
    return {"whole": "wholebody"}.get(part, part.replace("_", ""))


def coco_wholebody(case) -> None:
    """AP and AR of the parts of COCO-WholeBody, their curves, and the OKS of every pair."""
    truth, results = side_file(case, "gt"), side_file(case, "pred")
    by_part = score_wholebody(truth, results, case.config["sigmas"])
    for part, scores in by_part.items():
        case.compare(f"{theirs(part)}.stats", [scores.figures[name] for name in FIGURES])
        case.compare(f"{theirs(part)}.precision", scores.precision[:, ::5])
        case.compare(f"{theirs(part)}.recall", scores.recall)
        people = [part_of(person, part) for person in truth["annotations"]]
        poses = [part_of(result, part) for result in results]
        for pose in poses:
            if not any(pose["keypoints"][2::3]):  # no result of this part, hence no pairs
                pose["image_id"] = None
        compare_oks(case, people, poses, [person["area"] for person in people], part)
    hands = mean_of_hands(by_part["left_hand"].figures, by_part["right_hand"].figures)
    case.compare("hand.stats", [hands[name] for name in FIGURES])


def part_of(record: dict, part: str) -> dict:
    """A record with the joints of one part, and its score."""
    joints, values = PARTS[part], np.reshape(joined(record, "a record"), (-1, 3))
    score = record.get(f"{theirs(part)}_score", record.get("score")) if part != "body" else record.get("score")
    return {**record, "keypoints": values[list(joints)].ravel().tolist(), "score": score}


DECIDED = {
    **dict.fromkeys(("gt_id_zero", "no_num_keypoints"), "xtcocotools"),
    **dict.fromkeys(("all_zero_scores", "num_keypoints_disagrees", "only_ignored_gt"), "pycocotools"),
    **dict.fromkeys(("score_ties", "mixed_bbox", "extra_iscrowd_match"), "pycocotools"),
    **dict.fromkeys(("empty_results", "no_iscrowd"), "xtcocotools"),
}
"""Which evaluator the library follows where they differ from one another, or fail."""

REFUSED = ("no_area",)
"""What the library does not score but complains about."""


def evaluator_corner_cases(case) -> None:
    """Small sets on which evaluators differ or fail: the library has the figures of the one it has decided for."""
    for name, given in side_file(case, "sets").items():
        own = [output for output in case.output_names if output.startswith(f"{name}.")]
        case.compared |= set(own)  # those of the others are there to be differed from
        if name in REFUSED:
            try:
                evaluate_coco(given["gt"], given["pred"], COCO_17.oks_sigmas)
            except InputError:
                continue
            case.failures.append(f"{name}: was scored, but should be refused")
        else:
            figures = evaluate_coco(given["gt"], given["pred"], COCO_17.oks_sigmas)
            case.compare(f"{name}.{DECIDED[name]}", [figures[figure] for figure in case.config["stats"]])


def rescore_nms_metric(case) -> None:
    """From what a top-down network found to AP, by each way to rescore and to suppress duplicates."""
    given, truth = case.inputs, side_file(case, "gt")
    areas = given["bbox_scales"].prod(1)
    pairs = list(zip(given["img_id"].tolist(), given["id"].tolist()))
    first = [index for index, pair in enumerate(pairs) if pair not in pairs[:index]]  # samplers repeat some
    images = given["img_id"][first]
    for name, options in case.config["modes"].items():
        options = {**case.config["defaults"], **options}
        mode = options["score_mode"].replace("bbox", "box")
        scores = rescore(given["bbox_scores"], given["keypoint_scores"], mode, options["keypoint_score_thr"])
        poses = given["keypoints"], scores, areas
        if options["nms_mode"] == "oks_nms":
            own = oks_nms(*(one[first] for one in poses), COCO_17.oks_sigmas, options["nms_thr"], images=images)
            kept = np.array(first)[own].tolist()
        else:
            kept = one_by_one(options, np.array(first), images, poses)
        final = np.full(len(scores), -1.0)
        final[kept] = scores[kept]
        case.compare(f"{name}.scores", final)
        triples = np.concatenate([given["keypoints"], given["keypoint_scores"][..., None]], 2).reshape(len(scores), -1)
        results = [
            {
                "image_id": int(given["img_id"][index]),
                "category_id": 1,
                "keypoints": triples[index].tolist(),
                "score": float(scores[index]),
            }
            for index in kept
        ]
        figures = evaluate_coco(truth, results, COCO_17.oks_sigmas)
        case.compare(f"{name}.figures", [figures[figure] for figure in case.config["figures"]])


def one_by_one(options: dict, first: np.ndarray, images: np.ndarray, poses: tuple) -> list[int]:
    """The poses that soft suppression, or none, leaves of each image."""
    assert options["nms_mode"] in ("soft_oks_nms", "none"), f"no suppression {options['nms_mode']!r} is known"
    if options["nms_mode"] == "none":
        return first.tolist()
    kept: list[int] = []
    for image in dict.fromkeys(images.tolist()):
        here = first[images == image]
        kept += here[soft_oks_nms(*(one[here] for one in poses), COCO_17.oks_sigmas, options["nms_thr"])].tolist()
    return kept


CASES = {
    ("evaluation", "coco_keypoints"): coco_keypoints,
    ("evaluation", "coco_wholebody"): coco_wholebody,
    ("evaluation", "crowdpose"): crowdpose,
    ("evaluation", "evaluator_corner_cases"): evaluator_corner_cases,
    ("evaluation", "ochuman"): ochuman,
    ("evaluation", "rescore_nms_metric"): rescore_nms_metric,
}
