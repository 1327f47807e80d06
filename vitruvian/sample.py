"""The types that travel: People (truth), Photo, Sample, Batch and Poses (prediction).

Shapes are written with N people, K keypoints, B images, H rows, W columns. Coordinates are pixels of the image that
they travel with, by the convention drawn in `vitruvian.geometry`. A coordinate that is not known is NaN.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

NOT_KNOWN = -1.0
"""Score of a joint in results that the network which made them does not have; its place is then (0, 0)."""

NEVER_LABELLED, NOT_LABELLED, HIDDEN, SEEN = -1, 0, 1, 2
"""Visibility of a keypoint: the data set never labels it, not labelled here, labelled but hidden, labelled and seen."""


@dataclass(frozen=True, eq=False)
class People:
    """The truth of one image (numpy), or of all images of a batch one after the other (tensors).

    Raises ValueError when two fields disagree on N or K.
    """

    keypoints: Any  # (N, K, 2) px, or (N, K, 3) px, px, depth mm behind the skeleton's root; NaN where not known
    visibility: Any  # (N, K) int8: -1, 0, 1, 2 as named above
    boxes: Any  # (N, 4) px: x0 y0 x1 y1
    areas: Any  # (N,) px^2
    ignored: Any  # (N,) bool: crowds and people that the metric leaves out
    head_sizes: Any = None  # (N,) px that errors are divided by: for PCKh, and for AFLW
    cameras: Any = None  # (N, 4 or 9) as in `vitruvian.cameras`, always in px of the photo; NaN where not known
    root_depths: Any = None  # (N,) mm, from the camera's centre to the plane of the root; NaN where not known

    def __post_init__(self) -> None:
        if len(self.keypoints.shape) != 3 or self.keypoints.shape[2] not in (2, 3):
            raise ValueError(f"People.keypoints has shape {tuple(self.keypoints.shape)}, expected (N, K, 2 or 3)")
        n, k = self.keypoints.shape[:2]
        expected = {"visibility": (n, k), "boxes": (n, 4), "areas": (n,), "ignored": (n,), "head_sizes": (n,)}
        expected["root_depths"] = (n,)
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and tuple(value.shape) != shape:
                raise ValueError(f"People.{name} has shape {tuple(value.shape)}, expected {shape}")
        if self.cameras is not None and tuple(self.cameras.shape) not in ((n, 4), (n, 9)):
            raise ValueError(f"People.cameras has shape {tuple(self.cameras.shape)}, expected ({n}, 4 or 9)")

    def __len__(self) -> int:
        return self.keypoints.shape[0]

    def select(self, index: Any) -> People:
        """The people at `index`: a slice, a mask or an array of indices."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        return People(**{name: value if value is None else value[index] for name, value in chosen.items()})

    @staticmethod
    def none(num_keypoints: int) -> People:
        """No person, of a skeleton with `num_keypoints` joints."""
        return People(
            keypoints=np.zeros((0, num_keypoints, 2), np.float32),
            visibility=np.zeros((0, num_keypoints), np.int8),
            boxes=np.zeros((0, 4), np.float32),
            areas=np.zeros(0, np.float32),
            ignored=np.zeros(0, bool),
        )


@dataclass(frozen=True, eq=False)
class Photo:
    """One image file of a data set with the people in it, before anything is read."""

    path: Path
    image_id: int | str
    size: tuple[int, int]  # width, height px; (0, 0) where the annotation file does not say
    people: People
    annotation_ids: tuple[int, ...] = ()  # one a person, as in the file


@dataclass(frozen=True, eq=False)
class Sample:
    """What the network is about to see of one photo: pixels and truth in the same, already transformed, frame."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    people: People
    to_original: np.ndarray  # (3, 3) maps pixels of `image` to pixels of the photo
    photo_size: tuple[int, int]  # width, height px of the photo; with `to_original` it tells photo from padding
    image_id: int | str
    ignore: np.ndarray | None = None  # (H, W) bool: crowds; None: nowhere

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"Sample.image is {self.image.dtype} {self.image.shape}, expected uint8 (H, W, 3)")
        if self.ignore is not None and self.ignore.shape != self.image.shape[:2]:
            raise ValueError(f"Sample.ignore has shape {self.ignore.shape}, expected {self.image.shape[:2]}")
        if self.to_original.shape != (3, 3):
            raise ValueError(f"Sample.to_original has shape {self.to_original.shape}, expected (3, 3)")


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples of one size as tensors.

    The people of all images lie one after the other in `everyone` and `counts` says how many belong to each image, so
    that a batch moves to a device in a handful of copies and targets are made without a loop; `people` gives them image
    by image, as views.
    """

    inputs: torch.Tensor  # (B, 3, H, W) uint8 RGB, channels last in memory
    everyone: People  # of tensors, sum(counts) people
    counts: tuple[int, ...]  # people in each image
    to_original: torch.Tensor  # (B, 3, 3) float64; a negative determinant marks a mirrored sample
    photo_sizes: torch.Tensor  # (B, 2) width, height px
    image_ids: tuple[int | str, ...]
    ignore: torch.Tensor | None = None  # (B, H, W) bool: crowds

    def __post_init__(self) -> None:
        size = self.inputs.shape[0]
        if not len(self.counts) == len(self.image_ids) == len(self.photo_sizes) == len(self.to_original) == size:
            raise ValueError(f"Batch of {size} images has {len(self.counts)} counts and {len(self.image_ids)} ids")
        if sum(self.counts) != len(self.everyone):
            raise ValueError(f"Batch.counts add up to {sum(self.counts)}, but there are {len(self.everyone)} people")

    @property
    def people(self) -> tuple[People, ...]:
        """The people of each image, views of `everyone`."""
        starts = np.cumsum((0, *self.counts))
        return tuple(self.everyone.select(slice(a, b)) for a, b in itertools.pairwise(starts))

    @property
    def inside(self) -> torch.Tensor:
        """(B, H, W) bool: where the photo is; outside it lies padding. Computed on the batch's device."""
        import torch

        height, width = self.inputs.shape[2:]
        rows = torch.arange(height, device=self.inputs.device, dtype=torch.float64)[:, None]
        columns = torch.arange(width, device=self.inputs.device, dtype=torch.float64)
        a = self.to_original[:, :2, :, None, None]
        points = a[:, :, 0] * columns + a[:, :, 1] * rows + a[:, :, 2]  # (B, 2, H, W) px of the photo
        limit = self.photo_sizes[:, :, None, None] - 0.5
        return ((points >= -0.5) & (points <= limit)).all(1)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on `device`; copies from pinned memory do not wait."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, for the loader's `pin_memory=True`."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change) -> Batch:
        def changed(value):
            return None if value is None else change(value)

        everyone = People(**{f.name: changed(getattr(self.everyone, f.name)) for f in fields(self.everyone)})
        return replace(
            self,
            inputs=change(self.inputs),
            everyone=everyone,
            to_original=change(self.to_original),
            photo_sizes=change(self.photo_sizes),
            ignore=changed(self.ignore),
        )


@dataclass(frozen=True, eq=False)
class Poses:
    """The prediction for one image, best first: on the host, in pixels of the photo."""

    keypoints: np.ndarray  # (N, K, 2) px, or (N, K, 3) px, px, mm
    joint_scores: np.ndarray  # (N, K)
    scores: np.ndarray  # (N,)
    boxes: np.ndarray | None = None  # (N, 4) px: the boxes that were looked into, of top-down methods
    vertices: np.ndarray | None = None  # (N, V, 3)

    def __post_init__(self) -> None:
        if self.keypoints.ndim != 3 or self.keypoints.shape[2] not in (2, 3):
            raise ValueError(f"Poses.keypoints has shape {self.keypoints.shape}, expected (N, K, 2 or 3)")
        n, k = self.keypoints.shape[:2]
        if self.joint_scores.shape != (n, k) or self.scores.shape != (n,):
            raise ValueError(
                f"Poses of {n} people and {k} joints has joint_scores {self.joint_scores.shape} "
                f"and scores {self.scores.shape}"
            )
        for name in ("boxes", "vertices"):
            value = getattr(self, name)
            if value is not None and value.shape[0] != n:
                raise ValueError(f"Poses.{name} has {value.shape[0]} rows for {n} people")

    def __len__(self) -> int:
        return self.keypoints.shape[0]

    def with_joints(self, sources: Sequence[int]) -> Poses:
        """The poses in joints of another skeleton, K of them.

        `sources` (K,) says which joint each is (`skeletons.matching_joints`); one that is not there, -1, is at (0, 0)
        with the score NOT_KNOWN.
        """
        chosen = np.asarray(sources, np.intp)
        there = chosen >= 0
        keypoints = np.where(there[:, None], self.keypoints[:, chosen], 0)
        joint_scores = np.where(there, self.joint_scores[:, chosen], np.float32(NOT_KNOWN))
        return replace(self, keypoints=keypoints, joint_scores=joint_scores)

    def select(self, index: Any) -> Poses:
        """The poses at `index`: a slice, a mask or an array of indices."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {name: value if value is None else value[index] for name, value in values.items()}
        return Poses(**chosen)
