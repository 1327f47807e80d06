"""Reader for Human3.6M in its three circulating forms.

arrays    .npz with imgname, center, scale, part (17 joints in the photo) and S (17 joints before the camera, metres),
          and beside it, or one folder above, cameras.pkl with the cameras and their lenses
json      COCO-like, as regression and integral methods have it: joints before the camera in mm, f and c of a pinhole
mesh      .npz as `arrays` with the 24 joints that body models are scored on (SPIN)

Pickles are read without running anything that they name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.data.coco import images_folder, read_coco
from vitruvian.data.labels import STOP, Labels, Problems, field, identifier, number, numbers
from vitruvian.data.space import array_of, names_of, people_in_space, square_boxes
from vitruvian.errors import InputError
from vitruvian.sample import NOT_LABELLED, SEEN, Photo
from vitruvian.skeletons import H36M, H36M_18, MESH_24

CAMERAS = "cameras.pkl"
CAMERA_JOINTS = ("joint_cam", "keypoints_cam")
"""What the json form calls the joints before the camera."""

SKELETONS = {17: H36M, 18: H36M_18, 24: MESH_24}


ARRAYS = ("imgname", "center", "scale", "part", "S")
"""What a .npz of Human3.6M has."""


def is_h36m_arrays(content: Mapping[str, Any]) -> bool:
    """Whether the content of a .npz is of Human3.6M, its 17 joints or those of a mesh."""
    return set(ARRAYS) <= set(content)


def is_h36m_json(content: Any) -> bool:
    """Whether the content of a JSON file is of Human3.6M: by joints before a camera, or by the names of 17 joints."""
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        return False
    if has_camera_joints(content):
        return True
    if any(isinstance(record, dict) and "keypoints_depth" in record for record in content["annotations"][:1]):
        return False  # COCO's form with depths, of people who were drawn
    categories = content.get("categories")
    first = categories[0] if isinstance(categories, list) and categories else None
    names = first.get("keypoints") if isinstance(first, dict) else None
    return isinstance(names, list) and wrong_sides(names) is not None


def has_camera_joints(content: dict[str, Any]) -> bool:
    """Whether the annotations of a JSON file have joints before the camera."""
    first = next(iter(content["annotations"]), None)
    return isinstance(first, dict) and any(key in first for key in CAMERA_JOINTS)


def wrong_sides(names: list[Any]) -> list[str] | None:
    """Of names of joints in Human3.6M's order those that name the other side; None where they are other joints."""
    plain = [re.sub(r"\s*\(.*", "", str(name)) for name in names]  # "root (pelvis)"
    right = [name == joint for name, joint in zip(plain, H36M.joints)]
    other = [name == H36M.joints[joint] for name, joint in zip(plain, H36M.mirror)]
    if len(plain) != H36M.num_joints or not all(a or b for a, b in zip(right, other)):
        return None
    return [name for name, fits in zip(plain, right) if not fits]


# Arrays and meshes --------------------------------------------------------------------------------------------------


def read_arrays(
    path: Path, images: Path | None = None, content: Mapping[str, Any] | None = None, problems: Problems = STOP
) -> Labels:
    """The people of the .npz forms: one on each photo, with depths, and cameras where there is a cameras.pkl.

    Args:
        path: the .npz.
        images: the folder that photos are named from; without it that of the file, or its `images`.
        content: the file's arrays, where they are read already.
        problems: what becomes of a damaged record.

    Raises:
        InputError: an array is missing or of another shape, or a photo's camera is not in cameras.pkl.
    """
    from vitruvian.checkpoints.foreign import read_foreign  # not at import time: it needs torch

    content = content or read_foreign(path)
    assert content is not None
    joints = np.shape(content["part"])[1:2]
    skeleton = SKELETONS.get(joints[0] if joints else 0)
    if skeleton is None or skeleton is H36M_18:
        raise InputError(f"{path}: 'part' has shape {np.shape(content['part'])}, expected N x 17 x 3 or N x 24 x 3")
    k = skeleton.num_joints
    part, places = array_of(path, content, "part", (0, k, 3)), array_of(path, content, "S", (0, k, 4))
    centres, scales = array_of(path, content, "center", (0, 2)), array_of(path, content, "scale", (0,))
    names = names_of(path, content)
    lengths = {len(part), len(places), len(centres), len(scales), len(names)}
    if len(lengths) > 1:
        found = ", ".join(map(str, sorted(lengths)))
        raise InputError(f"{path}: its arrays are of {found} people, expected as many in each; fetch the file again")
    folder = images or photos_folder(path, names)
    cameras_path, notes = find_cameras(path), ()
    cameras = read_cameras(cameras_path) if cameras_path else None
    if cameras is None:
        notes = (f"{path}: no {CAMERAS} beside it; without cameras joints are not measured in space",)
    if behind := int(((places[..., 2] <= 0) & (places[..., 3] > 0)).any(1).sum()):
        notes += (
            f"{path}: 'S' of {behind} of {len(places)} people does not lie before the camera, as where it counts from "
            "the root: depths are learnt, but joints are not measured in space",
        )
    boxes, photos = square_boxes(centres, scales), []
    for index, name in enumerate(names):
        with problems:
            camera = camera_of(path, name, cameras)
            known = places[index, :, 3:] > 0
            visible = np.where(part[index, :, 2] > 0, SEEN, NOT_LABELLED)
            joints = np.where(known, 1000 * places[index, :, :3], np.nan)
            if not np.isfinite(part[index, visible > 0]).all():
                raise InputError(f"{path}: 'part' of {name} holds NaN or infinity; set its third number to 0 there")
            one = people_in_space(
                joints[None], skeleton, camera, part[index, None, :, :2], visible[None], boxes[index, None]
            )
            # Photos of the smaller cameras may have two rows more than cameras.pkl says.
            photos.append(Photo(folder / name, name, (0, 0), one, (index + 1,)))
    return Labels(path, skeleton, tuple(photos), notes=notes)


def photos_folder(path: Path, names: list[str]) -> Path:
    """The folder that names of photos start from."""
    candidates = [base / inside for base in (path.parent, path.parent.parent) for inside in ("", "images")]
    return next((folder for folder in candidates if names and (folder / names[0]).is_file()), path.parent)


def find_cameras(path: Path) -> Path | None:
    """The cameras.pkl of a file: beside it, or one folder above."""
    return next((c for c in (path.parent / CAMERAS, path.parent.parent / CAMERAS) if c.is_file()), None)


def read_cameras(path: Path) -> dict[tuple[str, str], np.ndarray]:
    """Numbers (9,) of the cameras by (subject, camera).

    Raises InputError when the file is damaged or holds something else.
    """
    from vitruvian.checkpoints.foreign import read_foreign  # not at import time: it needs torch

    content = read_foreign(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected the cameras by (subject, camera)")
    found = {}
    for key, camera in content.items():
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(camera, Mapping)):
            raise InputError(f"{path}: its entry {str(key)[:40]!r} is not a camera's, expected (subject, camera)")
        values = []
        for name, length in (("f", 2), ("c", 2), ("k", 3), ("p", 2)):
            if name not in camera or np.size(camera[name]) != length:
                raise InputError(f"{path}: camera {key} has no '{name}' of {length} numbers; fetch the file again")
            values.append(np.asarray(camera[name], np.float64).ravel())
        found[str(key[0]), str(key[1])] = np.concatenate(values)
    return found


def camera_of(path: Path, name: str, cameras: Mapping[tuple[str, str], np.ndarray] | None) -> np.ndarray | None:
    """Camera (1, 9) of a photo by its name, `S1_Directions_1.54138969_000001.jpg`."""
    if cameras is None:
        return None
    found = re.match(r"(S\d+)_[^/]*\.(\d+)_\d+\.\w+$", name.replace("\\", "/").rpartition("/")[2])
    if not found or (found[1], found[2]) not in cameras:
        which = f"camera {found[2]} of {found[1]}" if found else "a camera by the name of the photo"
        raise InputError(f"{path}: {CAMERAS} has not {which}, which {name} was taken by; fetch {CAMERAS} again")
    return cameras[found[1], found[2]][None]


# JSON ---------------------------------------------------------------------------------------------------------------


def read_json_form(path: Path, images: Path | None = None, content: Any = None, problems: Problems = STOP) -> Labels:
    """The people of the json form, one on each photo, with depths where it has joints before the camera.

    A file without them is read for its places in the photo. Its joints are in Human3.6M's order, also where their names
    exchange left and right; `Labels.notes` says so. Photos that lie in folders by their sequences are found there.

    Raises:
        InputError: a field is missing or of another shape; the message names file, record and field.
    """
    if not has_camera_joints(content):
        return read_plain_json(path, images, content, problems)
    listed = {image.get("id"): image for image in content.get("images", ()) if isinstance(image, dict)}
    photos, skeleton = [], None
    names = [str(record.get("file_name", "")) for record in listed.values()]
    folder = images or images_folder(path, names)
    for index, record in enumerate(content["annotations"]):
        with problems:
            where = f"annotation {identifier(path, record, 'id', f'annotation number {index}')}"
            own = {**listed.get(record.get("image_id"), {}), **record}
            own |= own["cam_param"] if isinstance(own.get("cam_param"), dict) else {}
            name = str(field(path, own, "file_name", where))
            key = next((key for key in CAMERA_JOINTS if key in own), CAMERA_JOINTS[0])
            given = field(path, own, key, where)
            count = len(given) if isinstance(given, list) else H36M.num_joints
            joints = numbers(path, given, (count, 3), f"'{key}' of {where}")
            skeleton = skeleton or SKELETONS.get(len(joints), H36M)
            if len(joints) != skeleton.num_joints or skeleton is MESH_24:
                raise InputError(f"{path}: '{key}' of {where} has {len(joints)} joints, expected 17 or 18 in all")
            width, height = (
                int(number(path, own.get(side) or 0, f"'{side}' of {where}")) for side in ("width", "height")
            )
            size = width, height
            camera = np.concatenate(
                [numbers(path, field(path, own, part, where), 2, f"'{part}' of {where}") for part in "fc"]
            )
            if camera[:2].min() <= 0 or joints[:, 2].min() <= 0:
                raise InputError(
                    f"{path}: the camera of {where} sees nothing: its 'f' is {camera[:2].tolist()} and the nearest "
                    f"joint of '{key}' is {joints[:, 2].min():g} mm before it, expected numbers above 0"
                )
            box = numbers(path, field(path, own, "bbox", where), 4, f"'bbox' of {where}")
            boxes = json_boxes(box[None], size)
            one = people_in_space(joints[None], skeleton, camera[None], boxes=boxes)
            photos.append(
                Photo(found_photo(folder, folder / name), own.get("image_id", name), size, one, (record["id"],))
            )
    return Labels(path, skeleton or H36M, tuple(photos))


def json_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) x y w h of the json form -> x0 y0 x1 y1 of their first and last pixels, within a photo of `size`."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + np.maximum(boxes[:, 2:] - 1, 0)], 1)
    if min(size) <= 0:
        return corners
    limit = np.array([size[0] - 1, size[1] - 1] * 2, np.float64)
    return np.minimum(np.maximum(corners, 0), limit)


def read_plain_json(path: Path, images: Path | None, content: dict[str, Any], problems: Problems) -> Labels:
    """The json form without joints before the camera: COCO, in Human3.6M's order whatever its names say."""
    category = content["categories"][0]
    wrong = wrong_sides(category["keypoints"])
    # Its limbs are counted from 0, which COCO's are not, and known anyway.
    named = {**{k: v for k, v in category.items() if k != "skeleton"}, "keypoints": list(H36M.joints)}
    labels = read_coco(path, images, {**content, "categories": [named]}, "", problems)
    photos = tuple(replace(one, path=found_photo(images or path.parent, one.path)) for one in labels.photos)
    notes = ["it has no joints before the camera (joint_cam): depths are not known"]
    if wrong:
        notes.append(f"{', '.join(wrong)} are named for the wrong side: the order is Human3.6M's, the right leg first")
    return replace(labels, skeleton=H36M, photos=photos, notes=tuple(f"{path}: {note}" for note in notes))


def found_photo(folder: Path, path: Path) -> Path:
    """The path of a photo, also where it lies in a folder by its subject and sequence, which its name tells."""
    if path.is_file():
        return path
    sequence, subject = path.name.rpartition("_")[0], path.name.partition("_")[0]
    inside = (f"{base}{folder_of}" for base in ("", "images/") for folder_of in (sequence, f"{subject}/{sequence}"))
    return next((folder / one / path.name for one in inside if (folder / one / path.name).is_file()), path)
