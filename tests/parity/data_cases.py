"""Crops, augmentation and annotation files against MMPose's top-down pipeline."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from vitruvian.augment import Augmentation, box_change, box_of_joints
from vitruvian.data.coco import read_coco
from vitruvian.data.labels import trainable
from vitruvian.data.mpii import read_mpii
from vitruvian.geometry import (
    Affine,
    centre_and_scale,
    crop_matrix,
    fix_aspect,
    mirror_matrix,
    transform_people,
    transform_points,
)
from vitruvian.images import warp
from vitruvian.sample import HIDDEN, People
from vitruvian.skeletons import COCO

PADDING = 1.25


def topdown_geometry(case) -> None:
    """From boxes to crops, mirrors, half bodies and random boxes."""
    given, size = case.inputs, tuple(case.config["input_size"])
    centres, scales = centre_and_scale(given["boxes"], case.config["padding"])
    fixed = fix_aspect(scales, size)
    case.compare("center", centres)
    case.compare("padded_scale", scales)
    case.compare("fixed_scale", fixed)
    families: tuple[tuple[Affine, str], ...] = (("pixel", ""), ("udp", "_udp"))
    for affine, suffix in families:
        turned = list(zip(centres, fixed, given["rotation"].astype(float)))
        matrices = [crop_matrix(centre, scale, size, angle, affine) for centre, scale, angle in turned]
        moved = [transform_points(points, m) for points, m in zip(given["keypoints"].astype(float), matrices)]
        case.compare(f"warp{suffix}", np.stack(matrices)[:, :2])
        case.compare(f"keypoints_input{suffix}", np.stack(moved))
        case.compare(f"crop{suffix}", np.stack([warp(given["image"], matrix, size) for matrix in matrices]))
        if affine == "pixel":
            # The reference goes back to the photo as if no crop were turned.
            upright = [np.linalg.inv(crop_matrix(centre, scale, size)) for centre, scale in zip(centres, fixed)]
            case.compare("keypoints_back", np.stack([transform_points(p, m) for p, m in zip(moved, upright)]))
    compare_mirror(case, centres)
    compare_random_boxes(case)


def compare_mirror(case, centres: np.ndarray) -> None:
    """Boxes, centres and people in the mirrored photo."""
    given, mirror = case.inputs, mirror_matrix(case.config["image_size"][0])
    people = People(
        keypoints=given["keypoints"],
        visibility=np.where(given["visible"] > 0, HIDDEN, 0).astype(np.int8),
        boxes=given["boxes"],
        areas=np.ones(len(given["boxes"]), np.float32),
        ignored=np.zeros(len(given["boxes"]), bool),
    )
    mirrored = transform_people(people, mirror, tuple(case.config["flip_indices"]))
    case.compare("flipped_boxes", mirrored.boxes)
    case.compare("flipped_centers", transform_points(centres, mirror))
    case.compare("flipped_keypoints", mirrored.keypoints)
    case.compare("flipped_visible", mirrored.visibility >= HIDDEN)


def compare_random_boxes(case) -> None:
    """Half-body boxes, and what given draws do to a box."""
    given = case.inputs
    halves = [case.config[f"{half}_ids"] for half in ("upper", "lower", "upper")]
    boxes = [box_of_joints(points[half]) for half, points in zip(halves, given["keypoints"])]  # hidden joints too
    case.compare("half_body_center", np.stack([centre for centre, _ in boxes]))
    case.compare("half_body_scale", np.stack([scale for _, scale in boxes]))
    chances = given["chance"][:, [0, 2]]  # the middle one is the scale's, which always changes
    changes = [box_change(draws, chance, Augmentation()) for draws, chance in zip(given["truncnorm"], chances)]
    case.compare("augment_offset", np.stack([shift for shift, _, _ in changes]))
    case.compare("augment_scale", np.array([[factor] for _, factor, _ in changes]))
    case.compare("augment_rotation", np.array([rotation for _, _, rotation in changes]))


def dataset_parsing(case) -> None:
    """What the readers of COCO's and MPII's files make of annotations."""
    with tempfile.TemporaryDirectory() as folder:
        compare_coco(case, Path(folder))
        compare_mpii(case, Path(folder))


def compare_coco(case, folder: Path) -> None:
    given, (width, height) = case.inputs, case.config["image_size"]
    records = []
    for index, box in enumerate(given["bbox_xywh"]):
        triples = np.concatenate([given["keypoints"][index], given["flags"][index][:, None]], -1)
        records.append(
            {
                "id": index,
                "image_id": 1,
                "category_id": 1,
                "bbox": box.tolist(),
                "keypoints": triples.flatten().tolist(),
                "num_keypoints": int((given["flags"][index] > 0).sum()),
                "iscrowd": int(given["iscrowd"][index]),
            }
        )
    content = {
        "images": [{"id": 1, "file_name": "photo.jpg", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.joints)}],
        "annotations": records,
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    people = read_coco(path).photos[0].people
    centres, scales = centre_and_scale(people.boxes, PADDING)
    case.compare("bbox", people.boxes)
    case.compare("visible", people.visibility >= HIDDEN)
    case.compare("area", people.areas)
    case.compare("center", centres)
    case.compare("scale", scales)
    case.compare("valid", trainable(people))


def compare_mpii(case, folder: Path) -> None:
    given = case.inputs
    people = zip(given["mpii_center"], given["mpii_scale"], given["mpii_joints"])
    records = [
        {
            "image": f"{index}.jpg",
            "center": centre.tolist(),
            "scale": float(scale),
            "joints": joints.tolist(),
            "joints_vis": [1] * len(joints),
        }
        for index, (centre, scale, joints) in enumerate(people)
    ]
    path = folder / "mpii.json"
    path.write_text(json.dumps(records))
    photos = read_mpii(path).photos
    boxes = np.concatenate([photo.people.boxes for photo in photos])
    centres, scales = centre_and_scale(boxes, PADDING)
    case.compare("mpii_bbox", boxes)
    case.compare("mpii_box_center", centres)
    case.compare("mpii_padded_scale", scales)
    # Files count from 1. MMPose moves centres to 0 and leaves joints as they are, which its evaluation makes up for by
    # adding 1 to predictions; the reader here moves both, so that labels and boxes share one convention.
    case.compare("mpii_keypoints", np.concatenate([photo.people.keypoints for photo in photos]) + 1)


CASES = {
    ("sar", "topdown_geometry"): topdown_geometry,
    ("sar", "dataset_parsing"): dataset_parsing,
}
