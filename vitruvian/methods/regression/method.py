"""Direct regression: features are pooled to one vector, and a linear layer gives all coordinates at once.

Toshev, Szegedy: DeepPose: Human Pose Estimation via Deep Neural Networks, CVPR 2014. The baseline of coordinate
methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.coordinates import coordinate_loss, from_fractions, label_fractions
from vitruvian.experiment import Decoded, Method, View, check_crops, forward_views, merge_decoded
from vitruvian.geometry import Framing
from vitruvian.layers import pool
from vitruvian.sample import HIDDEN, Batch
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Config:
    """What a direct regression network is.

    Attributes:
        backbone: the network below the head.
        framing: how a person reaches it.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    framing: Framing = field(default_factory=Framing)

    def __post_init__(self) -> None:
        check_crops(self.framing)


class Maps(NamedTuple):
    """What the network gives."""

    points: Tensor  # (B, K, 2) x and y in fractions of the input


class Targets(NamedTuple):
    """What the loss compares with."""

    points: Tensor  # (B, K, 2) x and y in fractions of the input
    weights: Tensor  # (B, K) 1 where visible and inside the input, else 0


class RegressionHead(nn.Module):
    """Features (B, C, h, w) -> points (B, K, 2) in fractions of the input."""

    def __init__(self, in_channels: int, num_joints: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, 2 * num_joints)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        # Half precision's three digits do not tell neighbouring pixels apart.
        with torch.autocast(features.device.type, enabled=False):
            return self.fc(pool(features.float())).unflatten(1, (-1, 2))


class Regression(Method):
    """Top-down direct regression: one person a crop, `skeleton` says which keypoints."""

    Config = Config
    config: Config

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.backbone = build_backbone(config.backbone, config.framing.size)
        self.head = RegressionHead(self.backbone.channels[-1], skeleton.num_joints)

    def targets(self, batch: Batch) -> Targets:
        people = batch.everyone
        visible = people.visibility >= HIDDEN
        return Targets(*label_fractions(people.keypoints[..., :2], visible, self.config.framing.size))

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Targets | None = None) -> Maps:
        return Maps(self.head(self.backbone(inputs)[-1]))

    def loss(self, maps: Maps, targets: Targets) -> dict[str, Tensor]:
        return {"coordinates": coordinate_loss(maps.points, targets.points, targets.weights)}

    def decode(self, maps: Maps) -> Decoded:
        points = from_fractions(maps.points, self.config.framing.size)[:, None]
        scores = torch.ones_like(points[..., 0])  # the network does not say how sure it is
        return Decoded(points, scores, scores.mean(2))

    def predict(self, views: Sequence[View]) -> Decoded:
        decoded = [self.decode(maps) for maps in forward_views(self, views)]
        return merge_decoded(decoded, views, self.mirror, self.config.framing.size[0] - 1)
