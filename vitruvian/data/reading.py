"""One door to all readers: the format is recognised from the file's content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vitruvian.data.coco import read_coco, read_joints
from vitruvian.data.cofw import landmarks_key, read_cofw
from vitruvian.data.faces import SKELETONS as FACES
from vitruvian.data.faces import face_columns, point_files, read_face_table, read_points, read_pts, read_wflw, text_rows
from vitruvian.data.h36m import ARRAYS as H36M_ARRAYS
from vitruvian.data.h36m import is_h36m_arrays, is_h36m_json, read_arrays, read_json_form
from vitruvian.data.labels import STOP, Labels, Problems, field, read_json
from vitruvian.data.lsp import lsp_half, read_lsp
from vitruvian.data.matlab import read_mat
from vitruvian.data.mpii import read_mpii
from vitruvian.data.ochuman import is_ochuman, ochuman_to_coco
from vitruvian.data.three_dpw import is_list, is_sequence, read_list, read_sequence
from vitruvian.errors import InputError
from vitruvian.skeletons import COFW, LSP, MPII, WFLW, Skeleton

Reader = Callable[[Path, Path | None, Any, Problems], Labels]
"""Path, folder of the photos or None, the file's content, what becomes of a damaged record."""


SPLITS = {"OCHuman": ("val", "test"), "LSP": ("train", "test")}
"""The parts of files that hold several."""

PREDICTIONS = ("detected boxes", "keypoint results")
"""What else files of the library hold."""


class Found(NamedTuple):
    """What a file was recognised as."""

    form: str  # "COCO", a key of READERS, or one of PREDICTIONS
    content: Any  # as its reader takes it


def read_labels(
    path: str | Path,
    images: str | Path = "",
    keep_content: bool = False,
    category: str = "",
    problems: Problems = STOP,
    split: str = "",
) -> Labels:
    """The labels of an annotation file in any format that the library reads.

    Args:
        path: the annotation file; for 300W the folder of its `.pts` files.
        images: the folder of its photos; empty: the usual places beside the file.
        keep_content: keep what the file holds, much larger than the labels, so that scoring does not read it again.
        category: in COCO format, the name of the one that is read; empty: the first with keypoints.
        problems: the context in which each record is read. One that keeps InputErrors gets all that are wrong with the
            file, and the labels are then without those records.
        split: of files that hold several, see `SPLITS`, the one that is read; empty: all of them. Ids of people and
            images are then those of the split.

    Raises:
        InputError: the format is unknown, the file is damaged, or it has no such split.
    """
    path = Path(path)
    found = recognise(path, problems, split)
    labels = labels_of(path, found, images, category, problems, split)
    # A part of OCHuman has ids of its own: the truth cannot be read again from the file.
    return replace(labels, content=found.content) if keep_content or split else labels


def labels_of(
    path: Path,
    found: Found,
    images: str | Path = "",
    category: str = "",
    problems: Problems = STOP,
    split: str = "",
) -> Labels:
    """`read_labels` of a file that was recognised already, with its split."""
    folder = Path(images) if images else None
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the photos of {path}")
    form, content = expect_annotations(path, found)
    if form == "COCO":
        return read_coco(path, folder, content, category, problems)
    if category:
        raise InputError(f"{path}: a file of {form} has no categories; leave out the category {category!r}")
    labels = READERS[form](path, folder, content, problems)
    return lsp_half(labels, content, split) if form == "LSP" and split else labels


def read_skeleton(path: str | Path) -> Skeleton:
    """The joints that an annotation file labels, without its people.

    Raises:
        InputError: the format is unknown or the file is damaged.
    """
    path = Path(path)
    form, content = expect_annotations(path, recognise(path))
    if form == "COCO":
        field(path, content, "categories", "the file")
        return read_joints(path, content).skeleton
    if form == "face table":
        return face_columns(path, content)[0]
    if form == "300W points":
        return FACES.get(len(read_pts(content[0]))) or read_points(path, None, content).skeleton
    known = {"MPII": MPII, "WFLW list": WFLW, "COFW": COFW, "LSP": LSP}
    return known[form] if form in known else READERS[form](path, None, content, STOP).skeleton


def recognised(path: Path) -> Any:
    """The content of an annotation file: a dict for COCO format (OCHuman's is made so), a list for MPII's, ..."""
    return expect_annotations(path, recognise(path)).content


def expect_annotations(path: Path, found: Found) -> Found:
    """What a file was recognised as; raises InputError for boxes and results."""
    if found.form in PREDICTIONS:
        raise InputError(f"{path}: holds {found.form}, expected annotations; give the file with the truth here")
    return found


def recognise(path: Path, problems: Problems = STOP, split: str = "") -> Found:
    """The format of an annotation file, by its content and the end of its name, and the content, of a split of it."""
    form, content = recognise_all(path)
    check_split(path, form, split)
    if form == "OCHuman":
        part = "val" if split == "val" else "test" if split == "test" else "all"
        return Found("COCO", ochuman_to_coco(path, content, part, problems=problems))
    return Found(form, content)


def check_split(path: Path, form: str, split: str) -> None:
    """Raises InputError where a file of the format does not have a split."""
    known = SPLITS.get(form, ())
    if not split or split in known:
        return
    if known:
        raise InputError(f"{path}: the split is {split!r}, expected {' or '.join(known)}, or none for all of {form}")
    raise InputError(f"{path}: a file of {form} is one split; leave out the split {split!r}, or give another file")


def recognise_all(path: Path) -> Found:
    """`recognise` of a whole file; one of OCHuman is as it stands."""
    if path.is_dir():
        return in_folder(path)
    kind = path.suffix.lower()
    if kind in (".txt", ".csv"):
        return Found("WFLW list" if kind == ".txt" else "face table", text_rows(path))
    if kind == ".mat":
        return in_matlab(path)
    if kind in (".npz", ".pkl"):
        return in_space(path)
    if kind == ".pts":
        raise InputError(f"{path}: the points of one photo; give the folder {path.parent}, which has them all")
    content = read_json(path, "an annotation file")
    if is_ochuman(content):
        return Found("OCHuman", content)
    if is_h36m_json(content):
        return Found("Human3.6M", content)
    if isinstance(content, dict) and "annotations" in content:
        return Found("COCO", content)
    if isinstance(content, list) and content and isinstance(content[0], dict):
        if "center" in content[0]:
            return Found("MPII", content)
        if "image_id" in content[0]:
            return Found(PREDICTIONS["keypoints" in content[0]], content)
    raise InputError(
        f"{path}: neither COCO format (images, annotations, categories) nor MPII's or OCHuman's own was found in it"
    )


def in_space(path: Path) -> Found:
    """What a .npz or .pkl with joints in space is recognised as; no object in it is unpickled."""
    from vitruvian.checkpoints.foreign import read_foreign  # not at import time: it needs torch

    content = read_foreign(path)
    if is_sequence(content):
        return Found("3DPW", content)
    if isinstance(content, dict) and is_h36m_arrays(content):
        return Found("Human3.6M arrays", content)
    if isinstance(content, dict) and is_list(content):
        return Found("list of bodies", content)
    keys = ", ".join(map(str, list(content)[:8])) if isinstance(content, dict) else f"a {type(content).__name__}"
    lacking = [key for key in H36M_ARRAYS if key not in content] if isinstance(content, dict) else []
    remedy = f"; without {', '.join(lacking)} it is not Human3.6M's: fetch it again" if len(lacking) < 3 else ""
    raise InputError(
        f"{path}: holds {keys or 'nothing'}, expected imgname, center, scale, part and S (Human3.6M) or a sequence of "
        f"3DPW (jointPositions, cam_poses, cam_intrinsics){remedy * bool(lacking)}"
    )


def in_folder(path: Path) -> Found:
    """What a folder of points is recognised as."""
    files = point_files(path)
    if not files:
        raise InputError(
            f"{path}: a folder without .pts files (300W); give the annotation file, and this as the folder of photos"
        )
    return Found("300W points", files)


def in_matlab(path: Path) -> Found:
    """What a MATLAB file is recognised as."""
    content = read_mat(path)
    if landmarks_key(content):
        return Found("COFW", content)
    if "joints" in content:
        return Found("LSP", content)
    if "headboxes_src" in content or "RELEASE" in content:
        raise InputError(
            f"{path}: MPII's labels are read from its JSON form (train.json, valid.json); give that file, and leave "
            "gt_valid.mat beside valid.json"
        )
    raise InputError(
        f"{path}: has neither the array 'joints' (LSP) nor 'phisTr' or 'phisT' (COFW), but "
        f"{', '.join(content) or 'none'}; give the file with the labels"
    )


READERS: dict[str, Reader] = {
    "MPII": read_mpii,
    "WFLW list": read_wflw,
    "face table": read_face_table,
    "300W points": read_points,
    "COFW": read_cofw,
    "LSP": read_lsp,
    "Human3.6M": read_json_form,
    "Human3.6M arrays": read_arrays,
    "3DPW": read_sequence,
    "list of bodies": read_list,
}
"""The reader of each format but COCO's, which has categories too."""
