"""The types that travel: what their constructors refuse, people image by image, and where the photo is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vitruvian.geometry import crop_matrix, mirror_matrix, transform_points
from vitruvian.sample import Batch, People, Poses, Sample


def people(count: int = 3, joints: int = 4, dims: int = 2) -> People:
    rng = np.random.default_rng(0)
    return People(
        keypoints=rng.uniform(0, 50, (count, joints, dims)).astype(np.float32),
        visibility=rng.choice([0, 1, 2], (count, joints)).astype(np.int8),
        boxes=rng.uniform(0, 50, (count, 4)).astype(np.float32),
        areas=np.arange(count, dtype=np.float32),
        ignored=np.zeros(count, bool),
        head_sizes=np.arange(count, dtype=np.float32) + 10,
        cameras=np.arange(4 * count, dtype=np.float32).reshape(count, 4),
        root_depths=np.arange(count, dtype=np.float32) + 3000,
    )


@pytest.mark.parametrize(
    ("field", "shape", "message"),
    [
        ("keypoints", (3, 4), r"People.keypoints has shape \(3, 4\), expected \(N, K, 2 or 3\)"),
        ("keypoints", (3, 4, 5), r"People.keypoints has shape \(3, 4, 5\), expected \(N, K, 2 or 3\)"),
        ("visibility", (3, 5), r"People.visibility has shape \(3, 5\), expected \(3, 4\)"),
        ("boxes", (2, 4), r"People.boxes has shape \(2, 4\), expected \(3, 4\)"),
        ("areas", (3, 1), r"People.areas has shape \(3, 1\), expected \(3,\)"),
        ("ignored", (2,), r"People.ignored has shape \(2,\), expected \(3,\)"),
        ("head_sizes", (2,), r"People.head_sizes has shape \(2,\), expected \(3,\)"),
        ("root_depths", (2,), r"People.root_depths has shape \(2,\), expected \(3,\)"),
        ("cameras", (3, 5), r"People.cameras has shape \(3, 5\), expected \(3, 4 or 9\)"),
    ],
)
def test_people_whose_fields_disagree_are_refused(field: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(people(), **{field: np.zeros(shape)})


def test_selected_people_keep_their_fields_together() -> None:
    everyone = people(dims=3)
    for index in (slice(1, 3), np.array([True, False, True]), np.array([2, 0])):
        chosen = everyone.select(index)
        for name in ("keypoints", "visibility", "boxes", "areas", "ignored", "head_sizes", "cameras", "root_depths"):
            np.testing.assert_array_equal(getattr(chosen, name), getattr(everyone, name)[index])
    assert replace(everyone, head_sizes=None).select(slice(2)).head_sizes is None
    assert len(everyone.select(slice(0, 0))) == len(People.none(7)) == 0
    assert People.none(7).visibility.shape == (0, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((5, 7, 3))}, r"Sample.image is float64 \(5, 7, 3\), expected uint8 \(H, W, 3\)"),
        ({"image": np.zeros((5, 7), np.uint8)}, r"Sample.image is uint8 \(5, 7\), expected uint8 \(H, W, 3\)"),
        ({"ignore": np.zeros((7, 5), bool)}, r"Sample.ignore has shape \(7, 5\), expected \(5, 7\)"),
        ({"to_original": np.eye(2)}, r"Sample.to_original has shape \(2, 2\), expected \(3, 3\)"),
    ],
)
def test_samples_of_wrong_shapes_are_refused(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {
        "image": np.zeros((5, 7, 3), np.uint8),
        "people": people(),
        "to_original": np.eye(3),
        "photo_size": (70, 50),
        "image_id": 3,
    }
    assert Sample(**fields).ignore is None
    with pytest.raises(ValueError, match=message):
        Sample(**(fields | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": np.zeros((3, 4))}, r"Poses.keypoints has shape \(3, 4\), expected \(N, K, 2 or 3\)"),
        ({"scores": np.zeros(2)}, r"Poses of 3 people and 4 joints has joint_scores \(3, 4\) and scores \(2,\)"),
        ({"joint_scores": np.zeros((3, 5))}, r"Poses of 3 people and 4 joints has joint_scores \(3, 5\)"),
        ({"boxes": np.zeros((2, 4))}, r"Poses.boxes has 2 rows for 3 people"),
        ({"vertices": np.zeros((4, 6, 3))}, r"Poses.vertices has 4 rows for 3 people"),
    ],
)
def test_poses_whose_fields_disagree_are_refused(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {
        "keypoints": np.zeros((3, 4, 2)),
        "joint_scores": np.zeros((3, 4)),
        "scores": np.array([0.9, 0.5, 0.2]),
        "boxes": np.arange(12.0).reshape(3, 4),
    }
    poses = Poses(**fields)
    best = poses.select(poses.scores > 0.4)
    assert (len(poses), len(best), best.vertices) == (3, 2, None)
    np.testing.assert_array_equal(best.boxes, fields["boxes"][:2])
    with pytest.raises(ValueError, match=message):
        Poses(**(fields | change))


def batch_of(matrices: list[np.ndarray], sizes: list[tuple[int, int]], counts: tuple[int, ...]) -> Batch:
    """A batch of 7 x 5 px images with these `to_original` and photo sizes."""
    numpy_people = people(sum(counts))
    names = ("keypoints", "visibility", "boxes", "areas", "ignored", "head_sizes", "cameras", "root_depths")
    return Batch(
        inputs=torch.zeros(len(matrices), 3, 5, 7, dtype=torch.uint8),
        everyone=People(**{name: torch.from_numpy(getattr(numpy_people, name)) for name in names}),
        counts=counts,
        to_original=torch.from_numpy(np.stack(matrices)),
        photo_sizes=torch.tensor(sizes, dtype=torch.float64),
        image_ids=tuple(range(len(matrices))),
    )


def test_people_of_a_batch_are_views_image_by_image() -> None:
    batch = batch_of([np.eye(3)] * 3, [(7, 5)] * 3, counts=(2, 0, 3))
    assert [len(of_image) for of_image in batch.people] == [2, 0, 3]
    assert torch.equal(torch.cat([of_image.keypoints for of_image in batch.people]), batch.everyone.keypoints)
    batch.people[2].areas[0] = -5.0
    assert batch.everyone.areas[2] == -5.0


def test_batches_whose_fields_disagree_are_refused() -> None:
    batch = batch_of([np.eye(3)] * 2, [(7, 5)] * 2, counts=(2, 3))
    with pytest.raises(ValueError, match="Batch of 2 images has 3 counts and 2 ids"):
        replace(batch, counts=(2, 2, 1))
    with pytest.raises(ValueError, match=r"Batch.counts add up to 4, but there are 5 people"):
        replace(batch, counts=(2, 2))


def test_a_batch_moves_with_all_its_tensors() -> None:
    batch = batch_of([np.eye(3)] * 2, [(7, 5)] * 2, counts=(2, 3))
    batch = replace(batch, ignore=torch.zeros(2, 5, 7, dtype=torch.bool))
    moved = batch.to("meta")
    tensors = [moved.inputs, moved.to_original, moved.photo_sizes, moved.ignore, *vars(moved.everyone).values()]
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert moved.counts == batch.counts
    without = replace(batch, ignore=None, everyone=replace(batch.everyone, head_sizes=None)).to("meta")
    assert (without.ignore, without.everyone.head_sizes) == (None, None)


def test_inside_is_where_the_photo_is() -> None:
    """Against a loop over pixels: plain, shifted, mirrored, rotated, shrunk, and wholly outside."""
    turned = crop_matrix(np.array([3.0, 4.0]), np.array([9.8, 7.0]), (7, 5), rotation=40.0)
    to_original = [
        np.eye(3),
        np.array([[1.0, 0, -2.5], [0, 1, 1.25], [0, 0, 1]]),
        mirror_matrix(6),
        np.linalg.inv(turned),
        np.linalg.inv(turned @ mirror_matrix(8)),
        np.diag([3.0, 2.0, 1.0]),
        np.array([[1.0, 0, 90], [0, 1, 0], [0, 0, 1]]),
    ]
    sizes = [(7, 5), (4, 6), (6, 3), (7, 9), (8, 9), (10, 7), (20, 20)]
    batch = batch_of(to_original, sizes, counts=(0,) * len(sizes))
    expected = np.zeros((len(sizes), 5, 7), bool)
    for image, ((width, height), matrix) in enumerate(zip(sizes, to_original)):
        for y in range(5):
            for x in range(7):
                px, py = transform_points(np.array([x, y], float), matrix)
                expected[image, y, x] = -0.5 <= px <= width - 0.5 and -0.5 <= py <= height - 0.5
    np.testing.assert_array_equal(batch.inside.numpy(), expected)
    assert [bool(mask.all()) for mask in expected][:2] == [True, False]
    assert expected[3].any()
    assert not expected[3].all()
    assert not expected[-1].any()
