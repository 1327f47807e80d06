"""The joints that a category of a COCO file names: limbs, mirror pairs and OKS sigmas of keypoints of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitruvian.data.labels import numbers
from vitruvian.errors import InputError, nearest_name
from vitruvian.skeletons import DEFAULT_SIGMA, SKELETONS, Skeleton, skeleton_from_names


class Category(NamedTuple):
    """The category of a file whose keypoints are read."""

    skeleton: Skeleton
    id: int
    notes: tuple[str, ...]  # what was taken from where, and how to have it otherwise; none for a known skeleton


def find_category(path: Path, content: dict[str, Any], wanted: str = "") -> Category:
    """The joints of one category of a COCO file.

    Names stand in its `keypoints`, limbs in `skeleton`, counted from 1. Two fields that COCO does not have are read
    where they are there: `mirror_pairs`, the pairs of joints that change places in a mirrored photo, counted from 1,
    instead of those that the words left and right in the names say; and `sigmas`, those of OKS. Joints without names
    are called joint_1, joint_2, ...

    Args:
        path: the file, for messages.
        content: what it holds, with `annotations` and `categories`.
        wanted: the category's name; empty: the first with keypoints and annotations, or else with keypoints.

    Raises:
        InputError: there is no such category, or its fields disagree with each other or with the annotations; the
            message says what to write.
    """
    categories = content["categories"]
    for index, category in enumerate(categories):
        if not isinstance(category, dict):
            raise InputError(f"{path}: category {index} is of type {type(category).__name__}, expected a mapping")
    named = [one for one in categories if one.get("keypoints")] or unnamed(content)
    if not named:
        raise InputError(f"{path}: no category has a field 'keypoints'; expected the joints' names there")
    if wanted and wanted not in [name_of(one) for one in named]:
        names = [name_of(one) for one in named]
        raise InputError(
            f"{path}: no category with keypoints is named {wanted!r}; the nearest is {nearest_name(wanted, names)!r}"
        )
    choice = [one for one in named if name_of(one) == wanted] if wanted else named
    chosen = next((one for one in choice if next(triples(content, one.get("id", 1)), None)), choice[0])
    notes = []
    if len(named) > 1 and not wanted:
        others = ", ".join(repr(name_of(one)) for one in named if one is not chosen)
        notes.append(
            f"{path}: reading category {name_of(chosen)!r}; {others} {'has' if len(named) == 2 else 'have'} keypoints "
            "too (--category NAME, --dataset.category NAME)"
        )
    skeleton = skeleton_of(path, chosen)
    if skeleton not in SKELETONS.values():
        notes.append(f"{path}: " + described(skeleton, chosen))
    return Category(skeleton, chosen.get("id", 1), tuple(notes))


def name_of(category: dict[str, Any]) -> str:
    """What a category is called."""
    return str(category.get("name", "object"))


def triples(content: dict[str, Any], category_id: int) -> Iterator[tuple[Any, int]]:
    """Id and number of keypoint numbers of each annotation of a category that has any."""
    for record in content["annotations"]:
        if isinstance(record, dict) and record.get("category_id", category_id) == category_id:
            values = record.get("keypoints")
            if isinstance(values, list) and values and not isinstance(values[0], list):
                yield record.get("id"), len(values)


def unnamed(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The categories that name no joints though annotations of theirs have keypoints, with names given to these."""
    found = []
    for category in content["categories"]:
        _, count = next(triples(content, category.get("id", 1)), (None, 0))
        if count and count % 3 == 0:
            found.append({**category, "keypoints": [f"joint_{i + 1}" for i in range(count // 3)], "unnamed": True})
    return found


def skeleton_of(path: Path, category: dict[str, Any]) -> Skeleton:
    """The skeleton of a category's fields."""
    name = name_of(category)
    of_category = f"of category '{name}'"
    if not isinstance(category["keypoints"], list):
        raise InputError(f"{path}: 'keypoints' {of_category} is {str(category['keypoints'])[:60]!r}, expected names")
    joints = tuple(str(joint) for joint in category["keypoints"])
    pairs, sigmas = category.get("mirror_pairs"), category.get("sigmas")
    if pairs is not None:
        pairs = read_pairs(path, pairs, len(joints), f"a pair in 'mirror_pairs' {of_category}")
    if sigmas is not None:
        sigmas = numbers(path, sigmas, len(joints), f"'sigmas' {of_category}").tolist()
    try:
        skeleton = skeleton_from_names(name, joints, (), pairs, sigmas)
    except InputError as error:
        raise InputError(f"{path}: category '{name}': {error}") from None
    if skeleton in SKELETONS.values():  # files of CrowdPose have the limbs of COCO
        return skeleton
    limbs = read_pairs(path, category.get("skeleton") or (), len(joints), f"a limb in 'skeleton' {of_category}")
    return replace(skeleton, limbs=tuple(limbs))


def check_count(path: Path, content: dict[str, Any], category: Category) -> None:
    """Raises InputError where a category names another number of joints than all of its annotations have."""
    found = list(triples(content, category.id))
    counts, joints = {count for _, count in found}, category.skeleton.num_joints
    if len(counts) == 1 and (count := counts.pop()) != 3 * joints and count % 3 == 0:
        raise InputError(
            f"{path}: 'keypoints' of annotation {found[0][0]} holds {count} numbers, expected {3 * joints} numbers, "
            f"three for each joint that category '{category.skeleton.name}' names; name {count // 3} joints there, or "
            f"give every annotation {3 * joints} numbers"
        )


def read_pairs(path: Path, pairs: Any, joints: int, where: str) -> list[tuple[int, int]]:
    """Pairs of joints, counted from 0, from those of a file, which are counted from 1."""
    if not isinstance(pairs, list | tuple):
        raise InputError(f"{path}: {where} is {str(pairs)[:60]!r}, expected pairs of joints such as [[1, 2], [2, 3]]")
    given = [numbers(path, pair, 2, where) for pair in pairs]
    for pair in given:
        wrong = [end for end in pair if not (1 <= end <= joints and end == int(end))]
        if not wrong and pair[0] != pair[1]:
            continue
        shown = f"{path}: {where} is [{pair[0]:g}, {pair[1]:g}], but joints are counted from 1 to {joints}"
        ends = np.concatenate(given)
        if wrong[:1] == [0] and ends.max() < joints and (ends == ends.astype(int)).all():
            shifted = str([[int(a) + 1, int(b) + 1] for a, b in given[:8]])[:-1]
            raise InputError(f"{shown}; they are from 0 here, write {shifted}{', ...' * (len(given) > 8)}]")
        raise InputError(f"{shown}; write two different ones of these numbers")
    return [(int(a) - 1, int(b) - 1) for a, b in given]


def described(skeleton: Skeleton, category: dict[str, Any]) -> str:
    """What was made of a category's names, in one line, with what to write where it should be otherwise."""
    said = [f"{skeleton.num_joints} joints of {skeleton.name!r}"]
    if category.get("unnamed"):
        said.append('without names, called joint_1 and so on ("keypoints": [names] in the category)')
    said.append(
        f"{len(skeleton.limbs)} limb{'s' * (len(skeleton.limbs) > 1)}"
        if skeleton.limbs
        else 'no limbs ("skeleton": [[1, 2], ...])'
    )
    pairs = sum(partner > joint for joint, partner in enumerate(skeleton.mirror))
    source = "given" if "mirror_pairs" in category else "by left and right in their names"
    said.append(
        f"{pairs} mirror pair{'s' * (pairs > 1)} {source}"
        if pairs
        else 'no mirror pairs ("mirror_pairs": [[1, 2], ...], where any)'
    )
    uniform = sum(sigma == DEFAULT_SIGMA for sigma in skeleton.oks_sigmas)
    if category.get("sigmas") is not None:
        said.append("OKS sigmas given")
    elif uniform == skeleton.num_joints:
        said.append(f'OKS sigmas {DEFAULT_SIGMA} for all ("sigmas": [one for each])')
    else:
        known = skeleton.num_joints - uniform
        said.append(f'OKS sigmas of joints of these names for {known}, {DEFAULT_SIGMA} for {uniform} ("sigmas": [...])')
    return ", ".join(said)
