"""Reader for keypoint annotations in COCO format: COCO, COCO-WholeBody, LSPET, and anything that is written alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitruvian.data.categories import Category, check_count, find_category
from vitruvian.data.faces import Face, as_faces, is_face, read_face, unnamed_face
from vitruvian.data.labels import (
    NOT_LABELLED,
    STOP,
    Labels,
    Problems,
    field,
    file_name,
    identifier,
    number,
    numbers,
    read_json,
)
from vitruvian.errors import InputError
from vitruvian.geometry import BOX_SHARE, boxes_from_xywh, clip_boxes
from vitruvian.sample import HIDDEN, People, Photo
from vitruvian.skeletons import COCO, COCO_WHOLEBODY, Skeleton

WHOLE_BODY = {"foot": "foot", "face": "face", "left_hand": "lefthand", "right_hand": "righthand"}
"""How COCO-WholeBody's fields call the parts that stand beside `keypoints`: `foot_kpts`, `foot_valid`, `foot_score`."""


class Row(NamedTuple):
    """One annotation as it is read."""

    annotation_id: int
    triples: np.ndarray  # (K, 3): x and y px, visibility
    box: np.ndarray  # (4,) x y width height px
    area: float  # px^2; NaN where the file does not say
    ignored: bool
    face: Face | None  # the square of a face, where the file gives it
    space: Space | None  # where the person stands in space, where the file gives it


class Space(NamedTuple):
    """What a person's annotation says of space."""

    depths: np.ndarray  # (K,) mm behind the root
    root_depth: float  # mm
    camera: np.ndarray  # (4,) fx fy cx cy px


def read_coco(
    path: Path, images: Path | None = None, content: Any = None, category: str = "", problems: Problems = STOP
) -> Labels:
    """The labels of a COCO-format file.

    A box is clipped to the photo. A keypoint of visibility 0 has no place (NaN); a person without `keypoints` has no
    labelled joint. A missing `area` is 0.53 of the clipped box, the share that a person's outline fills of a box on
    average, and 1 px^2 at the least. Annotations of other categories are left out.

    A file of COCO-WholeBody, told by its fields, has 133 joints. Its hands may have a visibility between 0 and 1, how
    sure a program was: such a joint is labelled. A part whose `*_valid` is false, or that is missing, is not labelled.
    Faces that have `center` and `scale` are read by these, as `vitruvian.data.faces` says.

    Annotations may say where their joints are in space, as those of synthetic people do: `keypoints_depth` (K,), mm
    behind the skeleton's root, `root_depth`, mm, and `camera`, fx fy cx cy px.

    Args:
        path: the JSON file.
        images: the folder of the photos; without it the usual places beside the file are tried.
        content: the file's content, where it is read already.
        category: the name of the one that is read; empty: the first with keypoints.
        problems: what becomes of a damaged record.

    Raises:
        InputError: a field is missing or has a wrong shape; the message names file, record and field.
    """
    if content is None:
        content = read_json(path, "annotations in COCO format")
    for key in ("images", "annotations", "categories"):
        if not isinstance(field(path, content, key, "the file"), list):
            raise InputError(f"{path}: field '{key}' is no list; expected annotations in COCO format")
    category_found = read_joints(path, content, category)
    skeleton, category_id, notes = category_found
    if skeleton is not COCO_WHOLEBODY:  # whose fields are several
        with problems:
            check_count(path, content, category_found)
    records = group_by_image(path, content["annotations"], category_id, problems)
    known = read_images(path, content["images"], problems)
    folder = images if images is not None else images_folder(path, [name for name, _ in known.values()])
    photos = []
    for image_id, (name, size) in known.items():
        found = [read_person(path, record, skeleton, problems) for record in records.pop(image_id, ())]
        rows = [row for row in found if row is not None]
        ids = tuple(row.annotation_id for row in rows)
        photos.append(Photo(folder / name, image_id, size, people_of(rows, size, skeleton), ids))
    for image_id, (record, *_) in records.items():
        with problems:
            raise InputError(
                f"{path}: annotation {record['id']} belongs to image {image_id!r}, which is not in the list of images; "
                f"add the image or remove the annotation ({len(records)} such images)"
            )
    return Labels(path, skeleton, tuple(photos), category_id, notes=notes)


def read_images(
    path: Path, images: list[dict], problems: Problems = STOP
) -> dict[int | str, tuple[str, tuple[int, int]]]:
    """File name and size (width, height; 0 where the file does not say) of each image by its id."""
    known: dict[int | str, tuple[str, tuple[int, int]]] = {}
    for index, image in enumerate(images):
        with problems:
            name = file_name(path, image, "file_name", f"image number {index}")
            image_id = identifier(path, image, "id", f"the image {name}")
            if image_id in known:
                other = Path(known[image_id][0]).name
                raise InputError(f"{path}: two images have the id {image_id!r}, {other} and {name}; give each its own")
            known[image_id] = name, (0, 0)  # kept where its size is damaged
            sides = [
                number(path, image.get(side) or 0, f"'{side}' of image {image_id}") for side in ("width", "height")
            ]
            known[image_id] = name, (int(sides[0]), int(sides[1]))
    return known


def group_by_image(
    path: Path, annotations: list[dict], category_id: int, problems: Problems = STOP
) -> dict[int | str, list[dict]]:
    """The annotations of one category by the id of their image."""
    records: dict[int | str, list[dict]] = {}
    seen: set[int | str] = set()
    for index, record in enumerate(annotations):
        with problems:
            annotation_id = identifier(path, record, "id", f"annotation number {index}")
            where = f"annotation {annotation_id}"
            if record.get("category_id", category_id) != category_id:
                continue
            if annotation_id in seen:
                raise InputError(
                    f"{path}: two annotations have the id {annotation_id!r}, the second is annotation number {index}; "
                    "give each its own"
                )
            seen.add(annotation_id)
            records.setdefault(identifier(path, record, "image_id", where), []).append(record)
    return records


def read_joints(path: Path, content: dict[str, Any], category: str = "") -> Category:
    """The skeleton of the labels in a file, and its category.

    Its category names the joints of `keypoints` alone, also in COCO-WholeBody.
    """
    face = None if category else unnamed_face(content)
    if face is not None:
        return Category(*face, ())
    found = find_category(path, content, category)
    if found.skeleton is COCO_WHOLEBODY:
        return found
    names = [f"{part}_kpts" for part in WHOLE_BODY.values()]
    parted = (
        record for record in content["annotations"] if isinstance(record, dict) and any(n in record for n in names)
    )
    record = next((one for one in parted if one.get("category_id", found.id) == found.id), None)
    if record is None:
        return found
    if found.skeleton is not COCO:
        fields = ", ".join(name for name in names if name in record)
        raise InputError(
            f"{path}: annotation {record.get('id')} has fields of COCO-WholeBody ({fields}), but category {found.id} "
            f"names {found.skeleton.num_joints} joints; name the 17 of COCO there, or take the fields out"
        )
    return found._replace(skeleton=COCO_WHOLEBODY)


def read_person(path: Path, record: dict, skeleton: Skeleton, problems: Problems = STOP) -> Row | None:
    """One annotation; None where something in it is damaged and `problems` keeps it."""
    where = f"annotation {record['id']}"
    triples = box = area = ignored = None
    with problems:
        triples = read_keypoints(path, record, skeleton, where)
    with problems:
        box = numbers(path, field(path, record, "bbox", where), 4, f"'bbox' of {where}")
    with problems:
        given = record.get("area")
        area = np.nan if given is None else number(path, given, f"'area' of {where}")
    with problems:
        ignored = bool(number(path, record.get("iscrowd") or 0, f"'iscrowd' of {where}"))
    if triples is None or box is None or area is None or ignored is None:
        return None
    face = space = None
    with problems:
        face = read_face(path, record, where) if is_face(skeleton) else None
    with problems:
        space = read_space(path, record, skeleton, where)
    return Row(record["id"], triples, box, area, ignored, face, space)


def read_space(path: Path, record: dict, skeleton: Skeleton, where: str) -> Space | None:
    """What one annotation says of space; None where it says nothing."""
    if record.get("keypoints_depth") is None:
        return None
    return Space(
        numbers(path, record["keypoints_depth"], skeleton.num_joints, f"'keypoints_depth' of {where}", NOT_LABELLED),
        number(path, field(path, record, "root_depth", where), f"'root_depth' of {where}"),
        numbers(path, field(path, record, "camera", where), 4, f"'camera' of {where}"),
    )


def read_keypoints(path: Path, record: dict, skeleton: Skeleton, where: str) -> np.ndarray:
    """x, y and visibility (K, 3) of one annotation."""
    size = 3 * skeleton.num_joints
    values = record.get("keypoints")
    values = [0] * size if values is None or values == [] else values
    if skeleton is COCO_WHOLEBODY and not (isinstance(values, list) and len(values) == size):
        triples = whole_body(path, record, where)
    else:
        triples = numbers(path, values, size, f"'keypoints' of {where}", NOT_LABELLED).reshape(-1, 3)
    wrong = np.flatnonzero(~np.isin(triples[:, 2], (0, 1, 2)))
    if len(wrong):
        joint = wrong[0]
        raise InputError(
            f"{path}: '{skeleton.joints[joint]}' of {where} has visibility {triples[joint, 2]:g}, expected 0 (not "
            "labelled), 1 (hidden) or 2 (seen); correct it"
        )
    return triples


def people_of(rows: list[Row], size: tuple[int, int], skeleton: Skeleton) -> People:
    """The people of one image of `size` px."""
    if not rows:
        return People.none(skeleton.num_joints)
    triples = np.stack([row.triples for row in rows])
    corners = boxes_from_xywh(np.stack([row.box for row in rows]))
    if size[0] > 0 and size[1] > 0:
        corners = clip_boxes(corners, size)
    areas = np.array([row.area for row in rows])
    from_box = np.maximum(BOX_SHARE * (corners[:, 2:] - corners[:, :2]).prod(1), 1)
    visibility = triples[..., 2]
    people = People(
        keypoints=np.where(visibility[..., None] > 0, triples[..., :2], np.nan).astype(np.float32),
        visibility=visibility.astype(np.int8),
        boxes=corners.astype(np.float32),
        areas=np.where(np.isnan(areas), from_box, areas).astype(np.float32),
        ignored=np.array([row.ignored for row in rows], bool),
    )
    people = with_space(people, [row.space for row in rows])
    return as_faces(people, [row.face for row in rows]) if is_face(skeleton) else people


def with_space(people: People, spaces: list[Space | None]) -> People:
    """People with the depths of those N that have any; NaN for the others, and without change if none has."""
    if all(space is None for space in spaces):
        return people
    unknown = Space(np.full(people.keypoints.shape[1], np.nan), np.nan, np.full(4, np.nan))
    depths, root_depths, cameras = (np.stack(column) for column in zip(*(space or unknown for space in spaces)))
    keypoints = np.concatenate([people.keypoints, depths[..., None]], -1).astype(np.float32)
    keypoints[people.visibility <= 0] = np.nan
    return replace(
        people, keypoints=keypoints, root_depths=root_depths.astype(np.float32), cameras=cameras.astype(np.float32)
    )


def whole_body(path: Path, record: dict, where: str) -> np.ndarray:
    """Points and visibility (133, 3) of one annotation of COCO-WholeBody."""
    body = record.get("keypoints") or [0] * (3 * COCO.num_joints)
    parts = [numbers(path, body, 3 * COCO.num_joints, f"'keypoints' of {where}", NOT_LABELLED)]
    for part, name in WHOLE_BODY.items():
        size = 3 * len(COCO_WHOLEBODY.parts[part])
        given = record.get(f"{name}_kpts") or [0] * size
        values = numbers(path, given, size, f"'{name}_kpts' of {where}", NOT_LABELLED)
        sure = values[2::3]
        # v > 0 is all that the data set's own evaluation asks.
        values[2::3] = np.where((sure > 0) & (sure < 1), HIDDEN, sure) if record.get(f"{name}_valid", True) else 0
        parts.append(values)
    return np.concatenate(parts).reshape(-1, 3)


def images_folder(path: Path, names: list[str]) -> Path:
    """The folder that holds the first photo: the file's own, `images` in it or beside it, or one of COCO's splits."""
    splits = dict.fromkeys((path.stem.rsplit("_", 1)[-1], "train2017", "val2017"))  # person_keypoints_SPLIT.json
    inside = ["", "images", *splits, *(f"images/{split}" for split in splits)]
    candidates = [base / name for base in (path.parent, path.parent.parent) for name in inside]
    first = (folder for folder in candidates if names and (folder / names[0]).is_file())
    return next(first, candidates[1])
