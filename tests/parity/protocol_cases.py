"""Parity of what surrounds the metrics: skeletons, and the boxes that top-down networks look into."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from vitruvian.data.boxes import read_boxes
from vitruvian.data.coco import read_coco
from vitruvian.data.labels import trainable
from vitruvian.data.mpii import read_mpii
from vitruvian.geometry import centre_and_scale, fix_aspect
from vitruvian.skeletons import SKELETONS


def side_file(case, name: str):
    """The content of one of the case's side files."""
    return json.loads((case.folder / case.json["files"][name]).read_text())


def dataset_meta(case) -> None:
    """Mirrored joints, sigmas and limbs of every skeleton."""
    for output in case.output_names:
        name, _, what = output.rpartition(".")
        skeleton = SKELETONS[name]
        values = {"flip_indices": skeleton.mirror, "sigmas": skeleton.oks_sigmas, "skeleton": skeleton.limbs}
        case.compare(output, np.array(values[what]).reshape(case.json["outputs"][output]["shape"]))


def person_boxes(case) -> None:
    """From annotations and detections to the centres and sizes of crops, in units of 200 px."""
    unit, padding = case.config["pixel_std"], case.config["padding"]
    with tempfile.TemporaryDirectory() as folder:
        ids, annotated = annotated_boxes(side_file(case, "gt"), Path(folder, "gt.json"))
        centres, scales, joints = mpii_people(side_file(case, "mpii"), Path(folder, "mpii.json"), padding)
    detected, scores = detected_boxes(side_file(case, "dets"), case.folder / case.json["files"]["dets"])
    case.compare("mpii.center", centres)
    case.compare("mpii.scale", scales / unit)
    case.compare("mpii.joints", joints)
    for size in sorted({name.split(".")[1] for name in case.output_names if name.startswith("gt.")}):
        for source, boxes in (("gt", annotated), ("det", detected)):
            centres, scales = centre_and_scale(boxes, padding)
            case.compare(f"{source}.{size}.center", centres)
            width, height = map(int, size.split("x"))
            case.compare(f"{source}.{size}.scale", fix_aspect(scales, (width, height)) / unit)
        case.compare(f"gt.{size}.ann", ids)
        case.compare(f"det.{size}.score", scores)


def annotated_boxes(truth: dict, path: Path) -> tuple[list[int], np.ndarray]:
    """The annotations that are looked at, and their boxes.

    The reader goes by MMPose's box, whose last column of pixels is x + w; HRNet's, here, is x + w - 1.
    """
    sizes = {image["id"]: (image["width"], image["height"]) for image in truth["images"]}
    for person in truth["annotations"]:
        first, sides = np.maximum(person["bbox"][:2], 0), np.maximum(np.array(person["bbox"][2:]) - 1, 0)
        last = np.minimum(np.array(sizes[person["image_id"]]) - 1, first + sides)
        person["bbox"] = [*first.tolist(), *(last - first).tolist()]
    path.write_text(json.dumps(truth))
    ids, boxes = [], []
    for photo in read_coco(path).photos:
        chosen = np.flatnonzero(trainable(photo.people))
        ids += [photo.annotation_ids[index] for index in chosen]
        boxes += list(photo.people.boxes[chosen])
    return ids, np.stack(boxes)


def detected_boxes(records: list[dict], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores of the people in a detection file, in its order."""
    by_image = {image: iter(zip(*found)) for image, found in read_boxes(path).items()}
    rows = [next(by_image[record["image_id"]]) for record in records if record["category_id"] == 1]
    return np.stack([box for box, _ in rows]), np.array([score for _, score in rows])


def mpii_people(records: list[dict], path: Path, padding: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, padded sizes and joints of MPII's people.

    The case also has the places of joints that are not labelled, which mean nothing and are NaN here: label them all.
    It does not pad a person whose centre is not known, whose box means nothing either.
    """
    path.write_text(json.dumps([{**record, "joints_vis": [1] * len(record["joints"])} for record in records]))
    people = [photo.people for photo in read_mpii(path).photos]
    centres, scales = centre_and_scale(np.concatenate([one.boxes for one in people]), padding)
    unknown = np.array([record["center"][0] == -1 for record in records])
    scales[unknown] /= padding
    return centres, scales, np.concatenate([one.keypoints for one in people])


CASES = {
    ("evaluation", "dataset_meta"): dataset_meta,
    ("evaluation", "person_boxes"): person_boxes,
}
