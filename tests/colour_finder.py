"""A network that finds coloured spots without any training, and photos of them: for tests of prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vitruvian.experiment import Decoded, Experiment, Method, View, merge_decoded
from vitruvian.geometry import Framing
from vitruvian.prediction.networks import NetworkPredictor
from vitruvian.skeletons import Skeleton

COLOURS = Skeleton("colours", ("red", "green", "blue"), (), (0, 1, 2), (0.1, 0.1, 0.1))
SIZE = (48, 64)  # width, height


@dataclass(frozen=True)
class Config:
    framing: Framing = field(default_factory=lambda: Framing(size=SIZE, mean=(0, 0, 0), std=(1, 1, 1)))


class Maps(NamedTuple):
    colours: Tensor


class Finder(Method):
    """Finds the middle of what is red, green and blue; scores are a tenth of the peak's."""

    Config = Config

    def __init__(self) -> None:
        super().__init__(Config(), COLOURS)
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: object = None) -> Maps:
        return Maps(inputs * self.factor)

    def decode(self, maps: Maps) -> Decoded:
        mass = maps.colours.double().clamp(min=1e-9)
        y = torch.arange(SIZE[1], dtype=torch.float64)[:, None]
        x = torch.arange(SIZE[0], dtype=torch.float64)
        total = mass.sum((2, 3))
        points = torch.stack([(mass * x).sum((2, 3)) / total, (mass * y).sum((2, 3)) / total], -1)
        scores = mass.amax((2, 3)) / 255
        return Decoded(points[:, None], scores[:, None], scores.mean(1, keepdim=True))

    def predict(self, views: Sequence[View]) -> Decoded:
        decoded = [self.decode(self(view.inputs)) for view in views]
        return merge_decoded(decoded, views, self.mirror, SIZE[0] - 1)


def finder(score: str = "keypoint") -> NetworkPredictor:
    return NetworkPredictor(Finder(), Experiment(Config(), COLOURS, score=score), "cpu")  # type: ignore[arg-type]


def scene(seed: int, people: int = 2, brightness: int = 255) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo with people of three soft coloured spots each, their boxes (N, 4) and points (N, 3, 2)."""
    rng = np.random.default_rng(seed)
    image = np.zeros((120, 60 + 90 * people, 3), np.uint8)
    rows, columns = np.mgrid[:120, : 60 + 90 * people]
    points = np.empty((people, 3, 2))
    for person in range(people):
        for colour in range(3):
            x, y = rng.integers(14, 46) + 90 * person, 17 + 32 * colour + rng.integers(0, 18)
            spot = brightness / (person + 1) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 32)
            image[..., colour] += np.round(spot).astype(np.uint8)
            points[person, colour] = x, y
    boxes = np.array([[90.0 * person, 0, 60 + 90 * person, 110] for person in range(people)])
    return image, boxes, points
