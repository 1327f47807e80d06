"""Scoring predicted depths: joints in the camera's frame, from the true distance of the root, about the root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.cameras import in_space
from vitruvian.data.labels import Labels, field, numbers
from vitruvian.metrics.mpjpe import action_of, is_misaligned, mesh_figures, space_figures
from vitruvian.sample import People, Photo
from vitruvian.skeletons import H36M_18, MESH_24

EVALUATED = {H36M_18.name: 17}
"""How many of a skeleton's joints are scored, the first ones: the middle of the shoulders helps to learn alone."""

Found = dict[tuple[int | str, int | str], tuple[np.ndarray, np.ndarray]]
"""Points (K, 2) px and depths (K,) mm of a person, by the image's and the annotation's id."""


def own_depths(
    path: Path,
    records: Sequence[tuple[str, int | str, dict[str, Any]]],
    points: dict[tuple[int | str, int | str], np.ndarray],
) -> Found:
    """The predictions that have depths.

    Args:
        path: the results file.
        records: what messages call it, the image's id and the record of each prediction.
        points: what the same records say in the image plane.
    """
    found: Found = {}
    for where, image_id, record in records:
        if "depths" in record:
            person = image_id, field(path, record, "annotation_id", where)
            depths = numbers(path, record["depths"], len(points[person]), f"'depths' of {where}")
            found[person] = points[person], depths
    return found


def depth_figures(labels: Labels, counted: Sequence[np.ndarray], found: Found) -> dict[str, Any]:
    """The errors of joints in space, mm, of people whose camera and depths are known.

    Predicted pixels and depths, which count from the root, are brought into space with the root's true distance, as in
    the published protocols. Sequences of Human3.6M whose truth is off are left out, and so are people without a
    prediction; how many is said.

    Args:
        labels: the truth.
        counted: for each photo the people (N,) that are measured.
        found: the predictions.

    Returns:
        what `space_figures` gives, `space_people` and `space_left_out`, how many people count and how many do not; for
        meshes MPJPE and PA-MPJPE of 14 joints about the hips, `mesh MPJPE` and `mesh PA-MPJPE`. Nothing where nobody
        could be measured.
    """
    predicted, truth, visibility, names, left_out = [], [], [], [], 0
    joints = slice(EVALUATED.get(labels.skeleton.name))
    for photo, mask in zip(labels.photos, counted):
        for index in np.flatnonzero(mask):
            one = photo.people.select(slice(index, index + 1))
            person = found.get((photo.image_id, photo.annotation_ids[index]))
            if not has_space(one, labels.skeleton.root):
                continue
            if person is None or is_misaligned(photo.path.name):
                left_out += 1
                continue
            keypoints = np.concatenate([person[0], person[1][:, None]], 1)[None]
            poses = [in_space(each, one.cameras, one.root_depths) for each in (keypoints, one.keypoints)]
            poses = [pose - pose[:, list(labels.skeleton.root)].mean(1, keepdims=True) for pose in poses]
            predicted.append(poses[0][0, joints])
            truth.append(poses[1][0, joints])
            visibility.append((one.visibility[0, joints] > 0) & np.isfinite(truth[-1]).all(1))
            names.append(action_or_none(photo))
    if not predicted:
        return {}
    arrays = np.stack(predicted), np.stack(truth), np.stack(visibility)
    actions = [name for name in names if name is not None]
    figures = space_figures(*arrays, actions if len(actions) == len(names) else None)
    if labels.skeleton.joints == MESH_24.joints:
        figures |= {f"mesh {name}": value for name, value in mesh_figures(*arrays).items()}
    return {**figures, "space_people": len(names), "space_left_out": left_out}


def has_space(people: People, root: Sequence[int]) -> bool:
    """Whether one person's camera and distance are known, and the root's place, which errors count from."""
    if people.cameras is None or people.root_depths is None or people.keypoints.shape[2] < 3 or not root:
        return False
    known = [people.cameras, people.root_depths, people.keypoints[:, list(root)]]
    return all(bool(np.isfinite(one).all()) for one in known)


def action_or_none(photo: Photo) -> str | None:
    """The action in a photo's name where it is one of Human3.6M's."""
    try:
        return action_of(photo.path.name)
    except ValueError:
        return None


def space_rows(figures: dict[str, Any]) -> list[list[str]]:
    """What `depth_figures` gives as a table's rows."""
    names = ("MPJPE", "PA-MPJPE", "N-MPJPE", "3DPCK@150", "3DAUC@150")
    rows = [["in space, mm and per cent", *names]]
    rows.append([f"{figures['space_people']} people", *(f"{figures[name]:.1f}" for name in names)])
    for action, own in figures.get("actions", {}).items():
        rows.append([f"  {action}", *(f"{own[name]:.1f}" if name in own else "" for name in names)])
    if "MPJPE over actions" in figures:
        means = (figures.get(f"{name} over actions") for name in names)
        rows.append(["mean over actions", *("" if mean is None else f"{mean:.1f}" for mean in means)])
    if "mesh MPJPE" in figures:
        rows.append(["14 joints about the hips", *(f"{figures[f'mesh {name}']:.1f}" for name in names[:2]), "", "", ""])
    return rows


def left_out_line(figures: dict[str, Any]) -> list[str]:
    """Who does not count in space, if anybody, as a line."""
    count = figures.get("space_left_out", 0)
    if not count:
        return []
    return [f"in space {count} people are left out: of misaligned sequences, or without a prediction of their own"]
