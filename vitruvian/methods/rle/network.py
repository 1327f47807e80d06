"""RLE's two heads: features are pooled to one vector, which gives a place and its sigma for every keypoint."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvian.layers import pool


class Maps(NamedTuple):
    """What the network gives."""

    points: Tensor  # (B, K, 2 or 3) x and y (and depth) in fractions of the axes
    sigma_logits: Tensor  # (B, K, 2 or 3) logits of sigma, the scale of the error on each axis, in fractions of it
    log_phi: Tensor | None = None  # (B, K) log density of the standardised errors; None without targets


class Head(nn.Module):
    """MMPose's head, one linear layer: features (B, C, h, w) -> points and logits of sigma, both (B, K, 2 or 3).

    Args:
        in_channels: C.
        num_joints: K.
        axes: 2, or 3 with a depth.
    """

    def __init__(self, in_channels: int, num_joints: int, axes: int = 2) -> None:
        super().__init__()
        self.axes = axes
        self.fc = nn.Linear(in_channels, 2 * axes * num_joints)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        # Half precision's three digits do not tell neighbouring pixels apart.
        with torch.autocast(features.device.type, enabled=False):
            both = self.fc(pool(features.float())).unflatten(1, (-1, 2 * self.axes))
        return both[..., : self.axes], both[..., self.axes :]


class AuthorsHead(nn.Module):
    """The authors' head: as `Head`, with a layer each for points and sigma.

    Points are W x / |x| + b and count from the middle of the input: how strong the features are does not move them.

    Args:
        in_channels: C.
        num_joints: K.
        axes: 2, or 3 with a depth.
    """

    CENTRE = 0.5  # what the layer calls 0 in x and y, in fractions of the input

    def __init__(self, in_channels: int, num_joints: int, axes: int = 2) -> None:
        super().__init__()
        self.axes = axes
        self.fc_coord = nn.Linear(in_channels, axes * num_joints)
        self.fc_sigma = nn.Linear(in_channels, axes * num_joints)
        for layer in (self.fc_coord, self.fc_sigma):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(features.device.type, enabled=False):
            pooled = pool(features.float())
            points = self.fc_coord(functional.normalize(pooled)).unflatten(1, (-1, self.axes))
            points = torch.cat([points[..., :2] + self.CENTRE, points[..., 2:]], -1)
            return points, self.fc_sigma(pooled).unflatten(1, (-1, self.axes))
