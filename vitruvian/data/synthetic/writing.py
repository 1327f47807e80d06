"""Synthetic scenes as files: photos, and their truth in COCO format."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from vitruvian.data.synthetic.scenes import MOST, SyntheticPeople
from vitruvian.files import make_folder, write_atomically
from vitruvian.geometry import Framing, invert
from vitruvian.images import write_image
from vitruvian.sample import People, Sample
from vitruvian.skeletons import Skeleton

ANNOTATIONS = "annotations.json"
MARGIN = 1.4
"""The side of a crop that is written, as a factor of its person's."""


def write_scenes(
    people: SyntheticPeople, folder: str | Path, count: int, size: tuple[int, int] = (512, 512), most: int = MOST
) -> Path:
    """Writes scenes 0 to count - 1 as JPEG photos and one annotation file, whose path is returned.

    An annotation has the usual fields of COCO, outlines included. Beside them stand `keypoints_depth` (K,), mm behind
    the middle of the hips, `root_depth`, mm, and `camera`, fx fy cx cy px.
    """
    scenes = (people.scene((number,), size, most) for number in range(count))
    return write(((scene.sample, scene.masks) for scene in scenes), people.skeleton, folder, count)


def write_crops(people: SyntheticPeople, folder: str | Path, count: int, side: int = 192) -> Path:
    """Writes crops 0 to count - 1, square and of one person each, as `write_scenes` writes scenes, without outlines.

    They are what training by `--data synthetic` draws, to be drawn once and learnt from often. A margin round the
    person is left for the augmentation of training.
    """
    framing = Framing(size=(side, side), padding=MARGIN)
    crops = (people.crop((0, number), framing) for number in range(count))
    return write(((as_photo(crop), None) for crop in crops), people.skeleton, folder, count)


def as_photo(crop: Sample) -> Sample:
    """A crop as a photo of its own, seen by a camera of its own."""
    truth, height, width = crop.people, *crop.image.shape[:2]
    to_crop = invert(crop.to_original)
    scale, shift = to_crop[[0, 1], [0, 1]], to_crop[:2, 2]  # a crop without augmentation is not turned
    assert truth.cameras is not None
    cameras = np.concatenate([truth.cameras[:, :2] * scale, truth.cameras[:, 2:] * scale + shift], 1)
    return replace(crop, people=replace(truth, cameras=cameras), to_original=np.eye(3), photo_size=(width, height))


def write(
    photos: Iterable[tuple[Sample, np.ndarray | None]], skeleton: Skeleton, folder: str | Path, count: int
) -> Path:
    """Writes `count` photos, with the masks (N, H, W) of their people or without, and one annotation file."""
    folder = make_folder(folder)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (sample, masks) in enumerate(tqdm(photos, "drawing", count, unit="photo", disable=None)):
        name = f"{number:06d}.jpg"
        write_image(folder / name, sample.image)
        width, height = sample.photo_size
        images.append({"id": number + 1, "file_name": name, "width": width, "height": height})
        for record in records_of(sample.people, masks):
            annotations.append({"id": len(annotations) + 1, "image_id": number + 1, **record})
    limbs = [[a + 1, b + 1] for a, b in skeleton.limbs]
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.joints), "skeleton": limbs}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path = folder / ANNOTATIONS
    write_atomically(path, lambda temporary: temporary.write_text(json.dumps(content), encoding="utf-8"))
    return path


def records_of(truth: People, masks: np.ndarray | None) -> list[dict[str, Any]]:
    """The annotations of a photo's people, without their ids; outlines where there are masks (N, H, W)."""
    records: list[dict[str, Any]] = []
    assert truth.root_depths is not None
    assert truth.cameras is not None
    for number in range(len(truth)):
        labelled = truth.visibility[number] > 0
        triples = np.concatenate([truth.keypoints[number, :, :2], truth.visibility[number][:, None]], 1)
        triples[~labelled] = 0
        x0, y0, x1, y1 = truth.boxes[number].tolist()
        records.append(
            {
                "category_id": 1,
                "iscrowd": 0,
                "keypoints": triples.reshape(-1).round(2).tolist(),
                "num_keypoints": int(labelled.sum()),
                "bbox": [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)],
                "area": float(truth.areas[number]),
                **({} if masks is None else {"segmentation": outlines_of(masks[number])}),
                "keypoints_depth": np.where(labelled, truth.keypoints[number, :, 2], 0).round(1).tolist(),
                "root_depth": round(float(truth.root_depths[number]), 1),
                "camera": truth.cameras[number].round(3).tolist(),
            }
        )
    return records


def outlines_of(mask: np.ndarray) -> list[list[float]]:
    """The polygons x y x y ... px round a mask (H, W)."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline.reshape(-1).tolist() for outline in outlines if len(outline) >= 3]
