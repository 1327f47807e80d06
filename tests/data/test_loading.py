"""Loading: samples are a function of (seed, epoch, index), epochs resume and are shared, batches are packed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vitruvian.augment import Augmentation
from vitruvian.data.labels import Labels
from vitruvian.data.loading import EpochBatches, PersonCrops, RemainingBatches, collate, make_loader
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError
from vitruvian.geometry import Affine, Framing, reduction_for, transform_points
from vitruvian.sample import Batch, Sample

JOINTS = ["nose", "left_eye", "right_eye"]
COLOURS = np.array([[255, 40, 40], [40, 255, 40], [40, 40, 255]])
FRAMING = Framing(size=(40, 48))
ANYHOW = Augmentation(half_body=0.0, colour=0.3, blur=0.3, erase=0.3)
GEOMETRY = Augmentation(half_body=0.0, shift=0.1, shift_chance=0.5, scale=0.3, rotation=60.0)


def write_photos(folder: Path, people: int = 4, scale: int = 2) -> Labels:
    """A JPEG a person: a dark photo of 93 x 81 px times `scale`, with a spot of its own colour at each joint."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(people):
        points = scale * np.array([[46.0, 24], [28, 48], [66, 44]]) + rng.uniform(-4, 4, (3, 2)) * scale
        rows, columns = np.mgrid[: 81 * scale, : 93 * scale]
        distances = (columns - points[:, 0, None, None]) ** 2 + (rows - points[:, 1, None, None]) ** 2
        spots = np.exp(-distances / (2 * (3.0 * scale) ** 2))
        photo = 20 + np.einsum("jhw,jc->hwc", spots, COLOURS - 20)
        cv2.imwrite(str(folder / f"{number}.jpg"), photo.clip(0, 255).astype(np.uint8)[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.jpg"})
        triples = np.concatenate([points, [[2], [1], [2]]], 1).ravel().tolist()
        box = [14 * scale, 10 * scale, 66 * scale, 60 * scale]
        annotations.append({"id": number, "image_id": number, "bbox": box, "keypoints": triples})
    crowd = {"id": 90, "image_id": 0, "bbox": [5, 5, 50, 50], "keypoints": [9, 9, 2] * 3, "iscrowd": 1}
    nobody = {"id": 91, "image_id": 1, "bbox": [5, 5, 50, 50], "keypoints": [0] * 9}
    content = {
        "images": images,
        "annotations": [crowd, *annotations, nobody],
        "categories": [{"name": "face", "keypoints": JOINTS}],
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return read_labels(path)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    return write_photos(tmp_path_factory.mktemp("photos"))


def same(one: Sample, two: Sample) -> bool:
    people = zip(vars(one.people).values(), vars(two.people).values())
    return (
        np.array_equal(one.image, two.image)
        and np.array_equal(one.to_original, two.to_original)
        and all(a is b is None or np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in people)
    )


def test_only_people_to_learn_from_are_samples(labels: Labels) -> None:
    crops = PersonCrops(labels, FRAMING)
    assert labels.num_people == 6
    assert crops.places == [(0, 1), (1, 0), (2, 0), (3, 0)]
    assert len(PersonCrops(labels, FRAMING, limit=3)) == 3
    assert [crops[0, index].image_id for index in range(4)] == [0, 1, 2, 3]
    assert crops[0, 2].photo_size == (186, 162)  # from the photo itself: the file does not say


def test_a_sample_is_a_function_of_seed_epoch_and_index(labels: Labels) -> None:
    crops = PersonCrops(labels, FRAMING, ANYHOW, seed=5)
    keys = [(epoch, index) for epoch in (0, 1, 7) for index in range(4)]
    first = {key: crops[key] for key in keys}
    again = PersonCrops(labels, FRAMING, ANYHOW, seed=5)
    assert all(same(again[key], first[key]) for key in reversed(keys))
    assert not same(first[0, 2], first[1, 2])
    assert not same(PersonCrops(labels, FRAMING, ANYHOW, seed=6)[0, 2], first[0, 2])
    plain = PersonCrops(labels, FRAMING)
    assert same(plain[0, 2], plain[7, 2])


def test_worker_processes_make_the_same_batches(labels: Labels) -> None:
    crops = PersonCrops(labels, FRAMING, ANYHOW, seed=5)
    alone, shared = (list(make_loader(crops, EpochBatches(4, 2, seed=1), workers=workers)) for workers in (0, 2))
    assert len(alone) == len(shared) == 2
    for one, two in zip(alone, shared):
        assert isinstance(two, Batch)
        assert torch.equal(one.inputs, two.inputs)
        assert one.image_ids == two.image_ids
        assert torch.equal(one.everyone.keypoints, two.everyone.keypoints)
        assert torch.equal(one.to_original, two.to_original)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_joints_lie_on_their_pixels_in_every_view(tmp_path: Path, affine: Affine, scale: int) -> None:
    """The spot of each joint is found where the sample says: mirrored, turned, read at 1/1, 1/2, 1/4 and 1/8."""
    labels = write_photos(tmp_path, people=2, scale=scale)
    crops = PersonCrops(labels, replace(FRAMING, affine=affine), GEOMETRY, seed=2)
    seen = set()
    for key in [(epoch, index) for epoch in range(8) for index in range(2)]:
        sample = crops[key]
        photo, person = crops.places[key[1]]
        truth = labels.photos[photo].people
        mirrored = np.linalg.det(sample.to_original[:2, :2]) < 0
        seen.add((mirrored, reduction_for(np.linalg.inv(sample.to_original))))
        order = [0, 2, 1] if mirrored else [0, 1, 2]
        assert sample.people.visibility.tolist() == truth.visibility[person : person + 1, order].tolist()
        back = transform_points(sample.people.keypoints[0].astype(float), sample.to_original)
        np.testing.assert_allclose(back, truth.keypoints[person, order], atol=1e-3 * scale)
        for joint, colour in enumerate(order):
            found = spot(sample.image, colour)
            expected = sample.people.keypoints[0, joint]
            if (expected > 6).all() and (expected < np.array(FRAMING.size) - 7).all():
                np.testing.assert_allclose(found, expected, atol=0.25)
    assert {mirrored for mirrored, _ in seen} == {True, False}
    assert scale in {reduction for _, reduction in seen}


def spot(image: np.ndarray, colour: int) -> np.ndarray:
    """The centre (x, y) of what has more of one of the three colours than of the others."""
    others = [other for other in range(3) if other != colour]
    weight = (image[..., colour].astype(float) - image[..., others].max(2) - 60).clip(0)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / max(weight.sum(), 1e-9)


def test_a_missing_photo_is_named(labels: Labels) -> None:
    photo = replace(labels.photos[0], path=labels.photos[0].path.with_name("7.jpg"))
    crops = PersonCrops(replace(labels, photos=(photo, *labels.photos[1:])), FRAMING)
    with pytest.raises(InputError, match=r"There is no photo .*7.jpg"):
        crops[0, 0]


def test_a_photo_of_another_size_than_annotated_is_named(labels: Labels) -> None:
    photo = replace(labels.photos[0], size=(7, 9))
    crops = PersonCrops(replace(labels, photos=(photo,)), FRAMING)
    with pytest.raises(InputError, match=r" px, but its annotations say 7 x 9 px of image .*; fetch the photo"):
        crops[0, 0]


def test_epochs_have_an_order_of_their_own() -> None:
    batches = EpochBatches(11, 3, seed=4)
    assert len(batches) == batches.batches_per_epoch == 3
    orders = []
    for batches.epoch in (0, 1, 2):
        keys = [key for batch in batches for key in batch]
        assert {epoch for epoch, _ in keys} == {batches.epoch}
        indices = [index for _, index in keys]
        assert len(set(indices)) == 9  # the incomplete last batch is left out
        assert set(indices) <= set(range(11))
        orders.append(indices)
    assert orders[0] != orders[1] != orders[2]
    again = EpochBatches(11, 3, seed=4)
    again.epoch = 1
    assert [index for batch in again for _, index in batch] == orders[1]
    assert [index for batch in EpochBatches(11, 3, seed=5) for _, index in batch] != orders[0]


def test_an_epoch_resumes_in_its_middle() -> None:
    whole = EpochBatches(23, 3, seed=4)
    whole.epoch = 2
    expected = list(whole)
    resumed = EpochBatches(23, 3, seed=4)
    resumed.epoch, resumed.start = 2, 4
    assert len(resumed) == 3
    assert list(resumed) == expected[4:]


def test_processes_share_an_epoch_without_overlap() -> None:
    ranks = [EpochBatches(29, 2, seed=4, rank=rank, world=3) for rank in range(3)]
    parts = [list(rank) for rank in ranks]
    assert [len(part) for part in parts] == [4, 4, 4] == [rank.batches_per_epoch for rank in ranks]
    keys = [key for part in parts for batch in part for key in batch]
    assert len(keys) == len(set(keys)) == 24
    alone = list(EpochBatches(29, 6, seed=4))  # three processes with batches of 2 see what one with 6 sees
    for step in range(4):
        assert [key for part in parts for key in part[step]] == alone[step]


def test_remaining_batches_run_on_into_the_next_epochs() -> None:
    batches = EpochBatches(11, 3, seed=4)
    everything = []
    for batches.epoch in range(3):
        everything += list(batches)
    for step in (0, 1, 3, 4, 8, 9):
        assert list(RemainingBatches(EpochBatches(11, 3, seed=4), step, epochs=3)) == everything[step:]


def test_batches_hold_their_pixels_channels_last_and_their_people_packed(labels: Labels) -> None:
    crops = PersonCrops(labels, FRAMING)
    samples = [crops[0, index] for index in (0, 2, 3)]
    two = replace(samples[1], people=labels.photos[0].people, ignore=np.ones((48, 40), bool))
    none = replace(samples[2], people=samples[2].people.select(slice(0)))
    batch = collate([samples[0], two, none])
    assert batch.inputs.shape == (3, 3, 48, 40)
    assert batch.inputs.dtype == torch.uint8
    assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch.inputs[1].permute(1, 2, 0).numpy(), two.image)
    assert batch.counts == (1, 2, 0)
    assert batch.image_ids == (0, 2, 3)
    expected = np.concatenate([samples[0].people.keypoints, two.people.keypoints])
    np.testing.assert_array_equal(batch.everyone.keypoints.numpy(), expected)
    assert batch.everyone.ignored.tolist() == [False, True, False]
    assert batch.photo_sizes.tolist() == [[186, 162]] * 3
    assert batch.to_original.dtype == torch.float64
    assert batch.ignore is not None
    assert batch.ignore.float().mean((1, 2)).tolist() == [0, 1, 0]
    assert collate(samples).ignore is None


def test_head_sizes_are_packed_where_all_have_them(labels: Labels) -> None:
    crops = PersonCrops(labels, FRAMING)
    samples = [crops[0, index] for index in range(2)]
    heads = [np.array([size], np.float32) for size in (7, 8)]
    sized = [replace(s, people=replace(s.people, head_sizes=h)) for s, h in zip(samples, heads)]
    packed = collate(sized).everyone.head_sizes
    assert packed is not None
    assert packed.tolist() == [7, 8]
    assert collate([sized[0], samples[1]]).everyone.head_sizes is None


@pytest.mark.parametrize(
    "file",
    ["coco_mini/annotations/person_keypoints.json", "samples/mpii/test_mpii.json", "lspet/annotations/val.json"],
)
def test_real_people_are_cropped(shared_data: Path, file: str) -> None:
    labels = read_labels(shared_data / file)
    crops = PersonCrops(labels, FRAMING, Augmentation(colour=0.3, erase=0.2), seed=1, limit=12)
    batch = next(iter(make_loader(crops, EpochBatches(len(crops), 5, seed=0), workers=0)))
    assert batch.inputs.float().std() > 10
    people = batch.everyone
    assert torch.equal(people.keypoints.isnan().any(2), people.visibility == 0)
    assert batch.inside.float().mean() > 0.2


def test_labels_with_and_without_depth_make_one_batch(labels: Labels) -> None:
    samples = [PersonCrops(labels, Framing(size=(24, 32)))[0, index] for index in range(3)]
    deep = np.concatenate([samples[1].people.keypoints, np.full_like(samples[1].people.keypoints[..., :1], 7)], -1)
    cameras, roots = np.array([[1.0, 2, 3, 4]], np.float32), np.array([5.0], np.float32)
    samples[1] = replace(
        samples[1], people=replace(samples[1].people, keypoints=deep, cameras=cameras, root_depths=roots)
    )
    packed = collate(samples).everyone
    assert packed.keypoints.shape[2] == 3
    np.testing.assert_array_equal(packed.keypoints[1], deep[0])
    np.testing.assert_array_equal(packed.keypoints[0, :, :2], samples[0].people.keypoints[0])
    assert packed.keypoints[[0, 2], :, 2].isnan().all()
    assert packed.cameras[1].tolist() == [1, 2, 3, 4]
    assert packed.root_depths[1] == 5
    assert packed.cameras[[0, 2]].isnan().all()
    assert packed.root_depths[[0, 2]].isnan().all()
    assert collate(samples[::2]).everyone.cameras is None
