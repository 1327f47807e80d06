"""One door to all readers: the format is recognised from the file's content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from vitruvian.data.coco import read_coco, read_joints
from vitruvian.data.labels import Labels, field, read_json
from vitruvian.data.mpii import read_mpii
from vitruvian.data.ochuman import is_ochuman, ochuman_to_coco
from vitruvian.errors import InputError
from vitruvian.skeletons import MPII, Skeleton


def read_labels(path: str | Path, images: str | Path = "", keep_content: bool = False, category: str = "") -> Labels:
    """The labels of an annotation file in any format that the library reads.

    Args:
        path: the annotation file.
        images: the folder of its photos; empty: the usual places beside the file.
        keep_content: keep what the file holds, much larger than the labels, so that scoring does not read it again.
        category: in COCO format, the name of the one that is read; empty: the first with keypoints.

    Raises:
        InputError: the format is unknown or the file is damaged.
    """
    path = Path(path)
    folder = Path(images) if images else None
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the photos of {path}")
    content = recognised(path)
    if category and not isinstance(content, dict):
        raise InputError(f"{path}: a file of MPII has no categories; leave out the category {category!r}")
    labels = (
        read_coco(path, folder, content, category) if isinstance(content, dict) else read_mpii(path, folder, content)
    )
    return replace(labels, content=content) if keep_content else labels


def read_skeleton(path: str | Path) -> Skeleton:
    """The joints that an annotation file labels, without its people.

    Raises:
        InputError: the format is unknown or the file is damaged.
    """
    path = Path(path)
    content = recognised(path)
    if isinstance(content, list):
        return MPII
    field(path, content, "categories", "the file")
    return read_joints(path, content).skeleton


def recognised(path: Path) -> dict[str, Any] | list[dict[str, Any]]:
    """The content of an annotation file: a dict in COCO format (OCHuman's is made so), a list of MPII records."""
    content = read_json(path, "an annotation file")
    if is_ochuman(content):
        return ochuman_to_coco(path, content)
    if isinstance(content, dict) and "annotations" in content:
        return content
    if isinstance(content, list) and content and isinstance(content[0], dict) and "center" in content[0]:
        return content
    raise InputError(
        f"{path}: neither COCO format (images, annotations, categories) nor MPII's or OCHuman's own was found in it"
    )
