"""Parity of the metrics: rescoring, OKS-NMS, COCO AP and PCKh of given predictions."""

from __future__ import annotations

import re

import numpy as np

from vitruvian.metrics.coco import FIGURES, evaluate_coco
from vitruvian.metrics.oks import oks_nms, rescore, soft_oks_nms
from vitruvian.metrics.pck import pckh

# of COCO's 17 joints, which the cases of this kind have
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000


def coco_rescoring_nms(case) -> None:
    """Every pair of score mode and suppression that the case's outputs name."""
    given, config = case.inputs, case.config
    padding = float(re.search(r"([\d.]+)\^2", config["area"]).group(1))
    boxes = given["boxes"].astype(np.float64)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * padding**2
    for name in case.json["outputs"]:
        if not name.startswith("kept_"):
            continue
        mode, suppression = re.fullmatch(r"kept_(.+?)_(oks_nms|soft_oks_nms|none)", name).groups()
        scores = rescore(
            given["box_scores"], given["scores"], mode.replace("bbox", "box"), config["keypoint_score_thr"]
        )
        kept = _suppress(suppression, given, scores, areas, config["nms_thr"])
        figures = evaluate_coco(_truth(given), _results(given, scores, kept), SIGMAS)
        case.compare(name, kept)
        case.compare(f"score_{mode}_{suppression}", scores[kept])
        case.compare(f"ap_{mode}_{suppression}", np.array([figures[figure] for figure in FIGURES]))


def _suppress(suppression: str, given: dict, scores: np.ndarray, areas: np.ndarray, threshold: float) -> np.ndarray:
    """Indices kept of all images, image by image in the order of their first prediction."""
    function = {"oks_nms": oks_nms, "soft_oks_nms": soft_oks_nms}.get(suppression)
    kept = []
    for image in dict.fromkeys(given["image"].tolist()):
        here = np.flatnonzero(given["image"] == image)
        if function is not None:
            here = here[function(given["keypoints"][here], scores[here], areas[here], SIGMAS, threshold)]
        kept.append(here)
    return np.concatenate(kept)


def _truth(given: dict) -> dict:
    keypoints = np.concatenate([given["gt_keypoints"], given["gt_visible"][..., None]], axis=2).astype(np.float64)
    images = np.union1d(given["gt_image"], given["image"]).tolist()
    return {
        "images": [{"id": image} for image in images],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"image_id": image, "category_id": 1, "keypoints": points, "bbox": box, "area": area}
            for image, points, box, area in zip(
                given["gt_image"].tolist(),
                keypoints.reshape(len(keypoints), -1).tolist(),
                given["gt_boxes"].astype(np.float64).tolist(),  # x, y, width, height already
                given["gt_area"].astype(np.float64).tolist(),
            )
        ],
    }


def _results(given: dict, scores: np.ndarray, kept: np.ndarray) -> list[dict]:
    keypoints = np.concatenate([given["keypoints"], given["scores"][..., None]], axis=2).astype(np.float64)
    corners = given["boxes"].astype(np.float64)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return [
        {
            "image_id": int(given["image"][index]),
            "category_id": 1,
            "keypoints": keypoints[index].ravel().tolist(),
            "score": float(scores[index]),
            "bbox": boxes[index].tolist(),  # MMPose writes the box, so AP_M and AP_L go by its size
        }
        for index in kept
    ]


def mpii_pckh(case) -> None:
    """MMPose's PCKh: strict, on files that count pixels from 1 while predictions count from 0."""
    given = case.inputs
    figures = pckh(
        given["pred"].astype(np.float64) + 1,
        given["gt"],
        given["visible"],
        given["head_size"],
        inclusive=False,
    )
    names = {"PCK": "Mean", "PCK@0.1": "Mean@0.1"}
    wanted = [names.get(name, name.removesuffix(" PCK")) for name in case.config["metric_names"]]
    case.compare("metrics", np.array([figures[name] for name in wanted]))


CASES = {("sar", "coco_rescoring_nms"): coco_rescoring_nms, ("sar", "mpii_pckh"): mpii_pckh}
