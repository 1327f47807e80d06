"""Parity of single measures: PCK of each kind, AUC, EPE, NME, MPJPE, OKS between poses, suppression; and of crops."""

from __future__ import annotations

import numpy as np

from vitruvian.geometry import boxes_from_xywh, centre_and_scale, crop_matrix, fix_aspect, transform_points
from vitruvian.metrics.mpjpe import NAMES, action_of, align_similarity, mesh_figures, mpjpe, space_figures
from vitruvian.metrics.nme import EYES, eye_distance, longer_side, nme, normalised_errors, per_image
from vitruvian.metrics.oks import nearby_nms, oks_between, oks_nms, rescore, soft_oks_nms
from vitruvian.metrics.pck import (
    auc,
    epe,
    jhmdb_pck,
    jhmdb_torsos,
    mean_of_known,
    pckh,
    pckh_curves,
    size_pck,
)
from vitruvian.skeletons import COCO_WHOLEBODY


def mpii_pckh(case) -> None:
    """PCKh of HRNet's evaluation and of MMPose's, with the curves of the former."""
    given = case.inputs
    corners = given["headbox"].astype(np.float64)
    heads = case.config["sc_bias"] * np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    # Predictions count from 0, the file from 1: the reader of labels takes the 1 off there, which is the same.
    poses = given["pred"].astype(np.float64) + 1, given["joints"], given["joints_vis"], heads
    for output, thresholds, inclusive in (("figures", (0.5, 0.11), True), ("mmpose.figures", (0.5, 0.1), False)):
        case.compare(output, list(pckh(*poses, thresholds, inclusive).values()))
    by_joint, means = pckh_curves(*poses, np.arange(51) / 100)
    case.compare("joint_curve", by_joint[::10])
    case.compare("mean_curve", means)


def pck_auc_epe(case) -> None:
    """PCK by the longer side of the box, AUC and EPE."""
    given = case.inputs
    poses = given["pred"], given["gt"], given["mask"]
    for name in case.output_names:
        if name.startswith("joint_pck@"):
            threshold = name.removeprefix("joint_pck@")
            by_joint = size_pck(*poses, longer_side(given["bbox"]), float(threshold))
            case.compare(name, np.nan_to_num(by_joint / 100, nan=-1))
            case.compare(f"pck@{threshold}", mean_of_known(by_joint) / 100)
        elif name.startswith("auc_"):
            limit, steps = name.removeprefix("auc_").split("_")
            case.compare(name, auc(*poses, float(limit), int(steps)) / 100)
    case.compare("epe", epe(*poses))


def torso_pck(case) -> None:
    """JHMDB's PCK, by box and by torso."""
    given = case.inputs
    poses = given["pred"], given["gt"], given["mask"]
    sizes = longer_side(given["bbox"]), jhmdb_torsos(given["pred"], given["gt"])
    for name in case.output_names:
        threshold = float(name.removeprefix("figures@"))
        figures = [value / 100 for size in sizes for value in jhmdb_pck(*poses, size, threshold).values()]
        case.compare(name, figures)


def face_nme(case) -> None:
    """NME of five data sets, each by its own size of a face."""
    given = case.inputs
    for data in sorted({name.partition(".")[0] for name in case.output_names}):
        predicted, truth = given[f"{data}.pred"], given[f"{data}.gt"]
        sizes = eye_distance(truth, data) if data in EYES else longer_side(given[f"{data}.bbox"])
        figures = nme(predicted, truth, sizes)
        values = {
            "nme_masked": nme(predicted, truth, sizes, given[f"{data}.mask"])["NME_points"],
            "nme": figures["NME"],
            "per_image": per_image(*normalised_errors(predicted, truth, sizes)),
            "fr": [figures["FR@0.08"], figures["FR@0.1"]],
            "auc": figures["AUC@0.1"],
        }
        for name, value in values.items():
            if f"{data}.{name}" in case.output_names:
                case.compare(f"{data}.{name}", value)


def mpjpe_family(case) -> None:
    """MPJPE, PA-MPJPE and N-MPJPE, of all frames and by action, and the protocol of meshes."""
    given = case.inputs
    poses = given["pred"], given["gt"], given["mask"]
    actions = [action_of(name) for name in case.config["image_names"]]
    figures, groups = space_figures(*poses, actions), dict.fromkeys(actions)
    for name, align in NAMES.items():
        output = name.lower().replace("pa-", "p_").replace("-", "_")
        case.compare(output, [mpjpe(*poses, align), *(figures["actions"][group][name] for group in groups)])
    aligned = align_similarity(given["pred"], given["gt"])
    case.compare("aligned", aligned[: case.json["outputs"]["aligned"]["shape"][0]])
    mesh = mesh_figures(given["mesh.pred"], given["mesh.gt"], given["mesh.mask"])
    case.compare("mesh", [1000 * mesh["MPJPE"], 1000 * mesh["PA-MPJPE"]])  # the inputs are metres


def oks_suppression(case) -> None:
    """OKS of every two poses, and three ways to suppress duplicates; an output's name says which, and its settings."""
    given, sigmas = case.inputs, case.config["sigmas"]
    points, scores, areas = given["kpts"][..., :2], given["score"], given["area"]
    seen = given["kpts"][..., 2] > 0.5
    case.compare("oks", oks_between(points, areas, sigmas))
    case.compare("oks_vis", oks_between(points, areas, sigmas, seen))
    for name in case.output_names:
        way, _, settings = name.partition("@")
        if not settings:
            continue
        first, _, second = settings.partition("_")
        if way in ("hard", "hard_vis"):
            kept = oks_nms(points, scores, areas, sigmas, float(first), seen if way == "hard_vis" else None)
        elif way == "soft":
            kept = soft_oks_nms(points, scores, areas, sigmas, float(first), int(second.removeprefix("max") or 20))
        else:
            limit = int(second.removeprefix("max")) if second.startswith("max") else None
            count = int(second) if second and limit is None else None
            kept = nearby_nms(points, scores, float(first), count, limit)
        case.compare(name, kept)


def whole_body_rescoring(case) -> None:
    """The score of whole bodies from joints and box, and OKS-NMS over all 133 joints, some of which are duplicates."""
    given, config = case.inputs, case.config
    points = given["keypoints"][..., :2].copy()
    for one, other in config["near_duplicates"]:
        points[other] = points[one] + given["jitter"][other]
    scores = rescore(given["box_score"], given["keypoint_score"], "box_keypoint", config["vis_thr"])
    case.compare("score", scores)
    case.compare("keep", oks_nms(points, scores, given["area"], COCO_WHOLEBODY.oks_sigmas, config["oks_thr"]))


def crop_matrices(case) -> None:
    """From boxes to centres, padded sizes in units of 200 px, and turned crops."""
    given, config = case.inputs, case.config
    size = tuple(config["image_size"])
    centres, scales = centre_and_scale(boxes_from_xywh(given["bbox"]), config["padding"])
    fixed = fix_aspect(scales, size)
    case.compare("center", centres)
    case.compare("scale", fixed / config["pixel_std"])
    turned = zip(centres, fixed, given["rotation"].astype(float))
    matrices = [crop_matrix(centre, scale, size, angle) for centre, scale, angle in turned]
    case.compare("matrix", np.stack(matrices)[:, :2])
    moved = [transform_points(points.astype(float), matrix) for points, matrix in zip(given["points"], matrices)]
    case.compare("points", np.stack(moved))


CASES = {
    ("evaluation", "mpii_pckh"): mpii_pckh,
    ("evaluation", "mpjpe"): mpjpe_family,
    ("evaluation", "nme"): face_nme,
    ("evaluation", "oks_nms"): oks_suppression,
    ("evaluation", "pck_auc_epe"): pck_auc_epe,
    ("evaluation", "torso_pck"): torso_pck,
    ("tcformer", "affine"): crop_matrices,
    ("tcformer", "rescore"): whole_body_rescoring,
}
