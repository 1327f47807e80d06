"""One door to all readers: the format is recognised from the file's content."""

from __future__ import annotations

from pathlib import Path

from vitruvian.data.coco import read_coco
from vitruvian.data.labels import Labels, read_json
from vitruvian.data.mpii import read_mpii
from vitruvian.errors import InputError


def read_labels(path: str | Path, images: str | Path = "") -> Labels:
    """The labels of an annotation file in any format that the library reads.

    Args:
        path: the annotation file.
        images: the folder of its photos; empty: the usual places beside the file.

    Raises:
        InputError: the format is unknown or the file is damaged.
    """
    path = Path(path)
    folder = Path(images) if images else None
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the photos of {path}")
    content = read_json(path, "an annotation file")
    if isinstance(content, dict) and "annotations" in content:
        return read_coco(path, folder, content)
    if isinstance(content, list) and content and isinstance(content[0], dict) and "joints_vis" in content[0]:
        return read_mpii(path, folder, content)
    raise InputError(f"{path}: neither COCO format (images, annotations, categories) nor MPII records were found in it")
