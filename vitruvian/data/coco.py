"""Reader for keypoint annotations in COCO format: COCO itself, LSPET, and anything that is written alike."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from vitruvian.data.labels import Labels, field, numbers, read_json
from vitruvian.errors import InputError
from vitruvian.geometry import boxes_from_xywh, clip_boxes
from vitruvian.sample import People, Photo
from vitruvian.skeletons import Skeleton, skeleton_from_names


def read_coco(path: Path, images: Path | None = None, content: dict | None = None) -> Labels:
    """The labels of a COCO-format file.

    A box is clipped to the photo. A keypoint of visibility 0 has no place (NaN). A missing `area` is 0.53 of the
    clipped box, the share that a person's outline fills of a box on average, and 1 px^2 at the least.

    Args:
        path: the JSON file.
        images: the folder of the photos; without it the usual places beside the file are tried.
        content: the file's content, where it is read already.

    Raises:
        InputError: a field is missing or has a wrong shape; the message names file, record and field.
    """
    if content is None:
        content = dict(read_json(path, "annotations in COCO format"))
    for key in ("images", "annotations", "categories"):
        if not isinstance(field(path, content, key, "the file"), list):
            raise InputError(f"{path}: field '{key}' is no list; expected annotations in COCO format")
    skeleton, category_id = read_category(path, content["categories"])
    records = defaultdict(list)
    for record in content["annotations"]:
        where = f"annotation {field(path, record, 'id', 'an annotation')}"
        if record.get("category_id", category_id) == category_id:
            records[field(path, record, "image_id", where)].append(record)
    folder = images if images is not None else images_folder(path, content["images"])
    photos = []
    for image in content["images"]:
        image_id = field(path, image, "id", "an image")
        where = f"image {image_id}"
        size = (int(image.get("width", 0)), int(image.get("height", 0)))
        of_image = records.pop(image_id, [])
        people = read_people(path, of_image, size, skeleton)
        file = folder / str(field(path, image, "file_name", where))
        photos.append(Photo(file, image_id, size, people, tuple(record["id"] for record in of_image)))
    if records:
        image_id, (record, *_) = next(iter(records.items()))
        raise InputError(
            f"{path}: annotation {record['id']} belongs to image {image_id!r}, which is not in the list of images; "
            f"add the image or remove the annotation ({len(records)} such images)"
        )
    return Labels(path, skeleton, tuple(photos))


def read_category(path: Path, categories: list[dict]) -> tuple[Skeleton, int]:
    """The skeleton of the first category that has keypoints, and its id."""
    for category in categories:
        if category.get("keypoints"):
            joints = tuple(str(name) for name in category["keypoints"])
            limbs = tuple((int(a) - 1, int(b) - 1) for a, b in category.get("skeleton") or ())
            name = str(category.get("name", "object"))
            try:
                return skeleton_from_names(name, joints, limbs), category.get("id", 1)
            except ValueError as error:
                raise InputError(f"{path}: category '{name}': {error}") from None
    raise InputError(f"{path}: no category has a field 'keypoints'; expected the joints' names there")


def read_people(path: Path, records: list[dict], size: tuple[int, int], skeleton: Skeleton) -> People:
    """The people of one image."""
    if not records:
        return People.none(skeleton.num_joints)
    keypoints, boxes, areas, ignored = [], [], [], []
    for record in records:
        where = f"annotation {record['id']}"
        values = field(path, record, "keypoints", where)
        keypoints.append(numbers(path, values, 3 * skeleton.num_joints, f"'keypoints' of {where}").reshape(-1, 3))
        boxes.append(numbers(path, field(path, record, "bbox", where), 4, f"'bbox' of {where}"))
        areas.append(float(record.get("area", np.nan)))
        ignored.append(bool(record.get("iscrowd", 0)))
    triples = np.stack(keypoints)
    corners = boxes_from_xywh(np.stack(boxes))
    if size[0] > 0 and size[1] > 0:
        corners = clip_boxes(corners, size)
    from_box = np.maximum(0.53 * (corners[:, 2:] - corners[:, :2]).prod(1), 1)
    visibility = triples[..., 2]
    if not np.isin(visibility, (0, 1, 2)).all():
        bad = visibility[~np.isin(visibility, (0, 1, 2))][0]
        raise InputError(
            f"{path}: a keypoint of image {records[0]['image_id']} has visibility {bad:g}, expected 0, 1 or 2"
        )
    points = np.where(visibility[..., None] > 0, triples[..., :2], np.nan)
    return People(
        keypoints=points.astype(np.float32),
        visibility=visibility.astype(np.int8),
        boxes=corners.astype(np.float32),
        areas=np.where(np.isnan(areas), from_box, areas).astype(np.float32),
        ignored=np.array(ignored, bool),
    )


def images_folder(path: Path, images: list[dict]) -> Path:
    """The folder that holds the first photo: the file's own, `images` in it or beside it, or a COCO split's name."""
    split = path.stem.rsplit("_", 1)[-1]
    beside = path.parent, path.parent.parent
    candidates = [base / name for base in beside for name in ("", "images", split, f"images/{split}")]
    name = str(images[0].get("file_name", "")) if images else ""
    for folder in candidates:
        if name and (folder / name).is_file():
            return folder
    return candidates[1]
