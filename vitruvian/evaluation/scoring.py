"""Scoring a file of COCO keypoint results against labels: AP by OKS, PCK by the torso, PCKh by the head."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitruvian.data.h36m import has_camera_joints
from vitruvian.data.labels import Labels, field, identifier, numbers, read_json, trainable
from vitruvian.data.reading import recognised
from vitruvian.errors import InputError
from vitruvian.evaluation.faces import face_figures, face_rows, face_sizes, measures_faces, whole_body_face
from vitruvian.evaluation.joints import labels_without, not_predicted, results_without, truth_without
from vitruvian.evaluation.space import depth_figures, left_out_line, own_depths, space_rows
from vitruvian.metrics.coco import CROWD_LEVELS, FIGURES, score_coco, score_crowdpose
from vitruvian.metrics.nme import longer_side
from vitruvian.metrics.pck import auc, epe, mean_of_known, pckh, size_pck, torso_pck
from vitruvian.metrics.records import Named
from vitruvian.metrics.wholebody import joined, score_wholebody, with_hand
from vitruvian.skeletons import COCO_WHOLEBODY, MPII

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")

BOX_SHARES = (0.05, 0.1, 0.2)
"""Errors that PCK of keypoints other than a body's or a face's forgives, as shares of the box's longer side."""

MOST_JOINTS = 30
"""So many joints get a line each; the file of scores has all."""

Person = tuple[int | str, int | str]  # image id, annotation id

PckhWay = Literal["inclusive", "mmpose"]
"""Whether an error of exactly the threshold is right, as in MPII's own evaluation and HRNet's, or wrong."""


def score_results(results_path: str | Path, labels: Labels, pckh_way: PckhWay = "inclusive") -> dict[str, Any]:
    """The figures of a results file, from the file and the labels alone.

    AP and AR (fractions of 1, -1 where nobody counts) are those of the file as it stands: with no rescoring and no
    suppression. They need labels in COCO format. The size of a pose is its own extent, unless the results hold boxes.

    A joint that has the score -1 in every result does not count: the network that made the file does not have it.

    PCK and PCKh (per cent) need each annotated person's own prediction: a record's `annotation_id` says whose box was
    looked into, and its `duplicates` what was found in the boxes of people whose pose is the same. A person without a
    prediction is wrong in all joints. Results of detected boxes have no annotation ids, hence no such figures.

    Args:
        results_path: a list of {image_id, category_id, keypoints [x, y, score] * K, score}, as `evaluate` writes it.
        labels: the truth.
        pckh_way: "inclusive", or "mmpose" for figures to compare with those that MMPose prints.

    Returns:
        what can be computed of the following:
        - `people` and `poses`, how many; `joints`, the names that count, where the network has not all of the labels'
        - the ten figures of a COCO table (AP to AR_L), for a whole body those of all its joints, and in `parts` those
          of body, foot, face, left_hand, right_hand and hand; for CrowdPose AP_easy, AP_medium and AP_hard
        - `notes`, lines on what the files lacked and on what else decides about these figures
        - for faces those of `nme`, and in `subsets` those of each part of WFLW's and 300W's test sets; for whole
          bodies in `face`
        - `torso_pck@0.2`, `torso_pck@0.1`, `torso_pck` (by joint) and `torso_lengths` (per cent of the people measured
          by each)
        - `PCKh@0.5`, `PCKh@0.1`, `PCKh@0.11`, `PCKh` (by the columns of an MPII table) and `PCKh_way`
        - for what is neither body nor face `box_pck@0.05`, `@0.1`, `@0.2`, `box_pck` (by joint), `AUC@30px` (per cent)
          and `EPE` (px)
        - for joints in space those of `depth_figures`

    Raises:
        InputError: the file is missing, damaged, or of other photos or joints.
    """
    path = Path(results_path)
    results = read_json(path, "COCO keypoint results")
    if not isinstance(results, list) or not all(isinstance(record, dict) for record in results):
        raise InputError(f"{path}: expected COCO keypoint results, a list of records with image_id and keypoints")
    return score_records(results, path, labels, pckh_way)


def score_records(
    results: list[dict[str, Any]], results_path: str | Path, labels: Labels, pckh_way: PckhWay = "inclusive"
) -> dict[str, Any]:
    """`score_results` of the records of a file, which need not be read then."""
    path = Path(results_path)
    missing = not_predicted(results, labels.skeleton)
    if missing.any():
        labels = labels_without(labels, missing)
    counted = [trainable(photo.people) for photo in labels.photos]
    figures: dict[str, Any] = {"people": int(sum(mask.sum() for mask in counted)), "poses": len(results)}
    if missing.any():
        figures["joints"] = [joint for joint, left_out in zip(labels.skeleton.joints, missing) if not left_out]
    truth = coco_truth(labels)
    if truth is not None:
        found = results
        if missing.any():
            truth = truth_without(truth, missing, labels.skeleton)
            found = results_without(results, missing, labels.skeleton)
        figures |= similarity_figures(Named(str(labels.path), truth), Named(str(path), found), labels)
    if any("annotation_id" in record for record in results):
        points = own_predictions(path, results, labels)
        figures |= person_figures(labels, counted, points, pckh_way)
        figures |= depth_figures(labels, counted, own_depths(path, list(own_records(path, results)), points))
    return figures


def similarity_figures(truth: Named, results: Named, labels: Labels) -> dict[str, Any]:
    """The figures by OKS: ten of all joints, those of a whole body's `parts` or CrowdPose's levels; and `notes`."""
    if labels.skeleton.joints == COCO_WHOLEBODY.joints:
        by_part = score_wholebody(truth, results)
        notes = list(by_part["whole"].notes)
        figures = with_hand({part: scores.figures for part, scores in by_part.items()})
        return {**figures.pop("whole"), "parts": figures, "notes": notes}
    people, sigmas = truth.content["annotations"], labels.skeleton.oks_sigmas
    if all("crowdIndex" in image for image in truth.content["images"]) and "area" not in people[0]:
        scores = score_crowdpose(truth, results, sigmas)
        return {**scores.figures, "notes": list(scores.notes)}
    with_areas = any("area" in person for person in people)
    scores = score_coco(truth, results, sigmas, with_areas)
    boxes = f"{truth.name}: no annotation has an 'area'; a person is as large as .53 of the box, as in CrowdPose"
    return {**scores.figures, "notes": [*([] if with_areas else [boxes]), *scores.notes]}


def coco_truth(labels: Labels) -> dict[str, Any] | None:
    """The annotations of the labels' photos in their file; None for other formats than COCO's, and for empty files.

    They come from the file, not from the labels, because the published figures go by its boxes and areas unchanged.
    """
    content = recognised(labels.path) if labels.content is None else labels.content
    if not isinstance(content, dict) or "annotations" not in content or has_camera_joints(content):
        return None
    category, photos = labels.category_id, {photo.image_id for photo in labels.photos}
    people = [
        record
        for record in content["annotations"]
        if record.get("category_id", category) == category and record["image_id"] in photos
    ]
    images = [image for image in content["images"] if image["id"] in photos]
    categories = [record for record in content["categories"] if record.get("id", 1) == category]
    return {"images": images, "categories": categories, "annotations": people} if people else None


def own_predictions(path: Path, results: list[dict[str, Any]], labels: Labels) -> dict[Person, np.ndarray]:
    """Each annotated person's predicted points (K, 2) px, by image and annotation id."""
    joints, whole = labels.skeleton.num_joints, labels.skeleton.joints == COCO_WHOLEBODY.joints
    known = {(photo.image_id, person) for photo in labels.photos for person in photo.annotation_ids}
    found: dict[Person, np.ndarray] = {}
    for where, image_id, record in own_records(path, results):
        person = image_id, identifier(path, record, "annotation_id", where)
        if person not in known:
            raise InputError(
                f"{path}: {where} is of annotation {person[1]!r} in image {image_id!r}, which {labels.path} does not "
                "have; score the results against the labels that they were made from"
            )
        if person in found:
            raise InputError(f"{path}: {where} is the second one of annotation {person[1]!r}; keep one of them")
        given = field(path, record, "keypoints", where)
        if whole:
            given = joined(record, f"{path}: {where}")
        values = numbers(path, given, 3 * joints, f"'keypoints' of {where}")
        found[person] = values.reshape(joints, 3)[:, :2]
    return found


def own_records(path: Path, results: list[dict[str, Any]]) -> Iterator[tuple[str, int | str, dict[str, Any]]]:
    """What messages call it, image id, and the record of each prediction, the duplicates of others included."""
    for index, record in enumerate(results):
        where = f"result {index}"
        image_id = identifier(path, record, "image_id", where)
        yield where, image_id, record
        for duplicate in record.get("duplicates", ()):
            yield f"a duplicate of {where}", image_id, duplicate


def person_figures(
    labels: Labels, counted: list[np.ndarray], predictions: dict[Person, np.ndarray], pckh_way: PckhWay
) -> dict[str, Any]:
    """PCK by the torso where the skeleton has one, NME of faces, else PCK by the box; PCKh where heads have sizes.

    Args:
        labels: the truth.
        counted: for each photo the people (N,) that are measured.
        predictions: points (K, 2) px by image and annotation id.
        pckh_way: how PCKh counts.
    """
    joints = labels.skeleton.joints
    unknown = np.full((len(joints), 2), np.nan)
    predicted = [
        predictions.get((photo.image_id, photo.annotation_ids[index]), unknown)
        for photo, mask in zip(labels.photos, counted)
        for index in np.flatnonzero(mask)
    ]
    if not predicted:
        return {}
    people = [photo.people.select(mask) for photo, mask in zip(labels.photos, counted)]
    points = np.stack(predicted)
    truth = np.concatenate([one.keypoints[..., :2] for one in people])
    visibility = np.concatenate([one.visibility for one in people])
    figures: dict[str, Any] = {}
    boxes = np.concatenate([one.boxes for one in people])
    if set(TORSO) <= set(joints):
        figures |= torso_figures(torso_pck(points, truth, visibility, boxes, joints), joints)
    heads = [one.head_sizes for one in people if len(one)]
    if measures_faces(labels):
        ids = [p.annotation_ids[i] for p, mask in zip(labels.photos, counted) for i in np.flatnonzero(mask)]
        figures |= face_figures(labels, points, truth, visibility, face_sizes(heads, boxes), ids)
    elif not figures:
        figures |= box_figures(points, truth, visibility, boxes, joints)
    if joints == COCO_WHOLEBODY.joints and (face := whole_body_face(points, truth, visibility)):
        figures["face"] = face
    if len(joints) == 16 and all(sizes is not None for sizes in heads):
        found = pckh(points, truth, visibility, np.concatenate(heads), inclusive=pckh_way == "inclusive")
        names = {"Mean": "PCKh@0.5", "Mean@0.1": "PCKh@0.1", "Mean@0.11": "PCKh@0.11"}
        figures |= {name: found.pop(mean) for mean, name in names.items()}
        figures |= {"PCKh": found, "PCKh_way": pckh_way}
    return figures


def box_figures(
    points: np.ndarray, truth: np.ndarray, visibility: np.ndarray, boxes: np.ndarray, joints: tuple[str, ...]
) -> dict[str, Any]:
    """PCK by the longer side of the box (`size_pck`): of all joints, their plain mean, and of each joint."""
    found = {f"@{at:g}": size_pck(points, truth, visibility, longer_side(boxes), at) for at in BOX_SHARES}
    predicted = np.where(np.isnan(points), np.inf, points)
    return {
        "AUC@30px": auc(predicted, truth, visibility),
        "EPE": epe(predicted, truth, visibility),
        **{f"box_pck{at}": mean_of_known(values) for at, values in found.items()},
        "box_pck": {joint: {at: float(values[i]) for at, values in found.items()} for i, joint in enumerate(joints)},
    }


def torso_figures(found: dict[str, float], joints: tuple[str, ...]) -> dict[str, Any]:
    """The figures of `torso_pck` under the names that `training.metric` has, by joint, and by the length measured."""
    thresholds = [name.removeprefix("PCK@") for name in found if name.startswith("PCK@")]
    return {
        **{f"torso_pck@{threshold}": found[f"PCK@{threshold}"] for threshold in thresholds},
        "torso_pck": {joint: {f"@{at}": found[f"{joint}@{at}"] for at in thresholds} for joint in joints},
        "torso_lengths": {name: found[name] for name in ("torso", "other torso", "box")},
    }


def missing_figures(figures: dict[str, Any], labels: Labels) -> list[str]:
    """Why figures that one might look for are not there, one line each."""
    if not {"torso_pck", "PCKh", "NME", "box_pck"} & figures.keys():
        return ["no PCK: it is of people whose own boxes were looked into"]
    if "PCKh" not in figures and labels.skeleton.joints == MPII.joints:
        return [f"no PCKh: the sizes of the heads are missing; put gt_{labels.path.stem}.mat beside {labels.path}"]
    return left_out_line(figures)


def without_nan(value: Any) -> Any:
    """Figures for JSON, which has neither NaN nor infinity: None in their place."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def figures_table(figures: dict[str, Any]) -> str:
    """What `score_results` gives as aligned text; AP and AR in per cent too."""
    blocks = []
    if "AP" in figures:
        rows = [["COCO, per cent", *FIGURES], ["all joints, by OKS", *shares_of_one(figures)]]
        counted = {part: own for part, own in figures.get("parts", {}).items() if own["AR"] >= 0}
        rows += [[f"  {part.replace('_', ' ')}", *shares_of_one(own)] for part, own in counted.items()]
        blocks.append(rows)
    if "AP_easy" in figures:
        shares = ["-" if figures[name] < 0 else f"{100 * figures[name]:.2f}" for name in CROWD_LEVELS]
        blocks.append([["CrowdPose, per cent", *CROWD_LEVELS], ["by how crowded a photo is", *shares]])
    blocks += [face_rows(own) for own in (figures, figures.get("face", {})) if "NME" in own]
    if "box_pck" in figures:
        blocks.append(pck_rows("PCK by the box's longer side, per cent", "box_pck", figures))
        blocks.append(
            [
                ["", "AUC to 30 px, per cent", "EPE, px"],
                ["all joints", percent(figures["AUC@30px"]), percent(figures["EPE"])],
            ]
        )
    if "torso_pck" in figures:
        blocks.append(pck_rows("PCK by the torso, per cent", "torso_pck", figures))
        shares = figures["torso_lengths"]
        names = {
            "torso": "left shoulder to right hip",
            "other torso": "right shoulder to left hip",
            "box": "half the box's longer side",
        }
        rows = [["torso measured as, per cent of people", ""]]
        blocks.append(rows + [[f"  {text}", percent(shares[name])] for name, text in names.items()])
    if "PCKh" in figures:
        columns = figures["PCKh"]
        rows = [["MPII, per cent", *columns, "Mean", "Mean@0.1", "Mean@0.11"]]
        means = (figures["PCKh@0.5"], figures["PCKh@0.1"], figures["PCKh@0.11"])
        rows.append([f"PCKh@0.5, {figures['PCKh_way']}", *map(percent, columns.values()), *map(percent, means)])
        blocks.append(rows)
    if "MPJPE" in figures:
        blocks.append(space_rows(figures))
    return "\n\n".join(map(aligned, blocks))


def pck_rows(title: str, name: str, figures: dict[str, Any]) -> list[list[str]]:
    """The table of a PCK: of all joints, and of each that is measured, unless these are as many as of a whole body."""
    by_joint = figures[name]
    thresholds = list(next(iter(by_joint.values())))
    rows = [[title, *thresholds], ["all joints", *(percent(figures[f"{name}{at}"]) for at in thresholds)]]
    measured = {joint: own for joint, own in by_joint.items() if not all(map(math.isnan, own.values()))}
    if len(measured) > MOST_JOINTS:
        return rows
    return rows + [[f"  {joint}", *map(percent, values.values())] for joint, values in measured.items()]


def shares_of_one(figures: dict[str, float]) -> list[str]:
    """The figures of a COCO table in per cent, as it prints them."""
    return ["-" if figures[name] < 0 else f"{100 * figures[name]:.1f}" for name in FIGURES]


def percent(value: float) -> str:
    """One figure of a table."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def aligned(rows: list[list[str]]) -> str:
    """Rows of a table as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
