"""From labels to batches: person crops as samples, their order as a function of (seed, epoch), collating, workers."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from vitruvian.augment import Augmentation, change_pixels, draw_view
from vitruvian.data.labels import Labels, other_size, trainable
from vitruvian.errors import InputError
from vitruvian.geometry import Framing, box_matrix, from_reduced, invert, reach, reduction_for, transform_people
from vitruvian.images import image_size, read_image, warp
from vitruvian.sample import Batch, People, Photo, Sample
from vitruvian.skeletons import Skeleton

Key = tuple[int, int]  # (epoch, index): all that a training sample depends on, beside the run's seed


class PersonCrops(Dataset):
    """The people of a data set, one crop each, for top-down training.

    With an augmentation, sample (epoch, index) is a random view that depends on (seed, epoch, index) alone, whichever
    process makes it and whatever was made before. Without one, it is the plain crop of the box.
    """

    def __init__(
        self,
        labels: Labels,
        framing: Framing,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        limit: int = 0,
    ) -> None:
        self.labels, self.framing, self.augmentation, self.seed = labels, framing, augmentation, seed
        chosen = [
            (photo, int(person))
            for photo, of_photo in enumerate(labels.photos)
            for person in np.flatnonzero(trainable(of_photo.people))
        ]
        self.places = chosen[:limit] if limit else chosen  # (photo, person) of each sample

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the labels."""
        return self.labels.skeleton

    def __len__(self) -> int:
        return len(self.places)

    def plain(self) -> PersonCrops:
        """The same people without augmentation."""
        return PersonCrops(self.labels, self.framing)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        photo_index, person = self.places[index]
        photo = with_size(self.labels.photos[photo_index])
        people = photo.people.select(slice(person, person + 1))
        if self.augmentation is None:
            matrix = box_matrix(people.boxes[0], self.framing)
            return crop_sample(photo, people, matrix, self.framing, self.labels.skeleton.mirror)
        rng = np.random.default_rng((self.seed, epoch, index))
        matrix = draw_view(rng, people, photo.size, self.framing, self.labels.skeleton, self.augmentation)
        sample = crop_sample(photo, people, matrix, self.framing, self.labels.skeleton.mirror)
        image = change_pixels(rng, sample.image, self.augmentation)
        return Sample(image, sample.people, sample.to_original, sample.photo_size, sample.image_id)


class DrawnCrops:
    """People of a data set in random order, so many an epoch: fewer than it has, or some of them several times.

    Who sample (epoch, index) is depends on (seed, epoch, index) alone.
    """

    def __init__(self, people: PersonCrops, per_epoch: int, seed: int) -> None:
        self.people, self.per_epoch, self.seed = people, per_epoch, seed

    def __len__(self) -> int:
        return self.per_epoch

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        return self.people[epoch, int(np.random.default_rng((self.seed, epoch, index, 1)).integers(len(self.people)))]


def with_size(photo: Photo) -> Photo:
    """The photo with its size, from the file's head; raises InputError where the annotations say another one."""
    size = image_size(photo.path)
    if text := other_size(photo, size):
        raise InputError(text)
    return photo if photo.size == size else replace(photo, size=size)


def crop_sample(photo: Photo, people: People, matrix: np.ndarray, framing: Framing, mirror: Sequence[int]) -> Sample:
    """One crop of a photo, read at the smallest scale that holds all its detail."""
    reduction, to_photo = reduction_for(matrix), invert(matrix)
    image = read_image(photo.path, reduction, rows=reach(to_photo, framing.size)[1])
    image = warp(image, matrix if reduction == 1 else matrix @ from_reduced(reduction), framing.size)
    moved = transform_people(people, matrix, tuple(mirror))
    return Sample(image, moved, to_photo, photo.size, photo.image_id)


def epoch_order(length: int, seed: int, epoch: int) -> np.ndarray:
    """The order (length,) in which an epoch visits its samples."""
    return np.random.default_rng((seed, epoch)).permutation(length)


class EpochBatches(Sampler[list[Key]]):
    """Batches of (epoch, index) keys in an order that is a function of (seed, epoch).

    `epoch` and `start` say where the next iteration begins: setting both resumes in the middle of an epoch. Each of
    `world` processes takes every world-th batch. An incomplete last batch is left out.
    """

    def __init__(self, length: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.world = rank, world
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        return self.batches_per_epoch - self.start

    @property
    def batches_per_epoch(self) -> int:
        """Batches that each process takes in a whole epoch."""
        return self.length // (self.batch_size * self.world)

    def __iter__(self) -> Iterator[list[Key]]:
        order = epoch_order(self.length, self.seed, self.epoch)
        for step in range(self.start, self.batches_per_epoch):
            first = (step * self.world + self.rank) * self.batch_size
            yield [(self.epoch, int(index)) for index in order[first : first + self.batch_size]]


class RemainingBatches(Sampler[list[Key]]):
    """All batches from one step on to the end of the last epoch, so that workers run on from epoch to epoch."""

    def __init__(self, batches: EpochBatches, step: int, epochs: int) -> None:
        self.batches, self.step, self.epochs = batches, step, epochs

    def __iter__(self) -> Iterator[list[Key]]:
        first, start = divmod(self.step, self.batches.batches_per_epoch)
        for epoch in range(first, self.epochs):
            self.batches.epoch, self.batches.start = epoch, start
            yield from self.batches
            start = 0


def collate(samples: Sequence[Sample]) -> Batch:
    """A batch of samples of equal size; the pixels stay in the samples' order, which is channels-last memory."""
    pixels = torch.from_numpy(np.stack([sample.image for sample in samples]))
    everyone = pack([sample.people for sample in samples])
    masks = [sample.ignore for sample in samples]
    ignore = None
    if any(mask is not None for mask in masks):
        empty = np.zeros(samples[0].image.shape[:2], bool)
        ignore = torch.from_numpy(np.stack([empty if mask is None else mask for mask in masks]))
    return Batch(
        inputs=pixels.permute(0, 3, 1, 2),
        everyone=everyone,
        counts=tuple(len(sample.people) for sample in samples),
        to_original=torch.from_numpy(np.stack([sample.to_original for sample in samples])),
        photo_sizes=torch.tensor([sample.photo_size for sample in samples], dtype=torch.float64),
        image_ids=tuple(sample.image_id for sample in samples),
        ignore=ignore,
    )


def pack(people: Sequence[People]) -> People:
    """People (numpy) one after the other, as tensors; what some of them lack is None, but for depths and cameras.

    Where labels with and without depth are mixed, unknown ones are NaN.
    """
    packed: dict[str, torch.Tensor | None] = {}
    for one in fields(People):
        parts = [getattr(group, one.name) for group in people]
        if one.name in ("keypoints", "cameras", "root_depths"):
            parts = alike(parts, [len(group) for group in people])
        given = [part for part in parts if part is not None]
        packed[one.name] = torch.from_numpy(np.concatenate(given)) if len(given) == len(parts) else None
    return People(**packed)


def alike(parts: Sequence[np.ndarray | None], counts: Sequence[int]) -> list[np.ndarray | None]:
    """Arrays (N, ..., D) of the largest D among them, with NaN for what is missing; all None if all are."""
    given = [part for part in parts if part is not None]
    if not given:
        return list(parts)
    largest = max(given, key=lambda part: part.shape[-1] if part.ndim > 1 else 0)
    filled: list[np.ndarray | None] = []
    for part, count in zip(parts, counts):
        if part is None or part.shape[1:] != largest.shape[1:]:
            whole = np.full((count, *largest.shape[1:]), np.nan, np.float32)
            if part is not None:
                whole[..., : part.shape[-1]] = part
            part = whole
        filled.append(part)
    return filled


def make_loader(dataset: Any, batches: Sampler, workers: int, pin_memory: bool = False) -> DataLoader:
    """A loader of `Batch`es in `workers` processes; 0 loads in this one."""
    if workers:
        import cv2

        cv2.setNumThreads(1)  # a worker forked while OpenCV has threads of its own here would wait for them for ever
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=prepare_worker,
        pin_memory=pin_memory,
        persistent_workers=False,
        prefetch_factor=4 if workers else None,
    )


def prepare_worker(_worker: int) -> None:
    """Keeps a worker process to one thread, the workers are the parallelism; and leaves signals to the parent.

    Ctrl-C and a cluster's SIGTERM reach all processes of a run: one that still loads would take the run down with it.
    """
    import cv2

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


class EpochStream:
    """One stream of batches, cut at the ends of the epochs: each iteration gives the rest of the epoch under way.

    It has no length: the first epoch of a resumed run is shorter than the others.
    """

    def __init__(self, batches: Iterator[Batch], step: int, steps_per_epoch: int) -> None:
        self.batches, self.step, self.steps_per_epoch = batches, step, steps_per_epoch
        self.waited = 0.0  # seconds

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.steps_per_epoch - self.step % self.steps_per_epoch):
            start = time.monotonic()
            try:
                batch = next(self.batches, None)
            except InputError as error:  # out of a worker it comes as a traceback, with its own line at the end
                raise InputError(str(error).strip().splitlines()[-1].rpartition("InputError: ")[2]) from None
            if batch is None:
                return
            self.waited += time.monotonic() - start
            self.step += 1
            yield batch

    def close(self) -> None:
        """Ends the workers, which ignore signals: left to themselves, they would keep the process from ending."""
        shutdown = getattr(self.batches, "_shutdown_workers", None)  # torch has no public name for it
        if shutdown:
            shutdown()
