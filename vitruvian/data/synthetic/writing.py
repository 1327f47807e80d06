"""Synthetic scenes as files: photos, and their truth in COCO format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vitruvian.data.synthetic.scenes import MOST, Scene, SyntheticPeople
from vitruvian.files import make_folder, write_atomically
from vitruvian.images import write_image

ANNOTATIONS = "annotations.json"


def write_scenes(
    people: SyntheticPeople, folder: str | Path, count: int, size: tuple[int, int] = (512, 512), most: int = MOST
) -> Path:
    """Writes scenes 0 to count - 1 as JPEG photos and one annotation file, whose path is returned.

    An annotation has the usual fields of COCO, outlines included. Beside them stand `keypoints_depth` (K,), mm behind
    the middle of the hips, `root_depth`, mm, and `camera`, fx fy cx cy px.
    """
    folder = make_folder(folder)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        scene = people.scene((number,), size, most)
        name = f"{number:06d}.jpg"
        write_image(folder / name, scene.sample.image)
        images.append({"id": number + 1, "file_name": name, "width": size[0], "height": size[1]})
        for record in records_of(scene):
            annotations.append({"id": len(annotations) + 1, "image_id": number + 1, **record})
    skeleton = people.skeleton
    limbs = [[a + 1, b + 1] for a, b in skeleton.limbs]
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.joints), "skeleton": limbs}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path = folder / ANNOTATIONS
    write_atomically(path, lambda temporary: temporary.write_text(json.dumps(content), encoding="utf-8"))
    return path


def records_of(scene: Scene) -> list[dict[str, Any]]:
    """The annotations of a scene's people, without their ids."""
    truth, records = scene.sample.people, []
    for number in range(len(truth)):
        labelled = truth.visibility[number] > 0
        triples = np.concatenate([truth.keypoints[number, :, :2], truth.visibility[number][:, None]], 1)
        triples[~labelled] = 0
        x0, y0, x1, y1 = truth.boxes[number].tolist()
        outlines, _ = cv2.findContours(scene.masks[number].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        records.append(
            {
                "category_id": 1,
                "iscrowd": 0,
                "keypoints": triples.reshape(-1).round(2).tolist(),
                "num_keypoints": int(labelled.sum()),
                "bbox": [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)],
                "area": float(truth.areas[number]),
                "segmentation": [outline.reshape(-1).tolist() for outline in outlines if len(outline) >= 3],
                "keypoints_depth": np.where(labelled, truth.keypoints[number, :, 2], 0).round(1).tolist(),
                "root_depth": round(float(truth.root_depths[number]), 1),
                "camera": truth.cameras[number].round(3).tolist(),
            }
        )
    return records
