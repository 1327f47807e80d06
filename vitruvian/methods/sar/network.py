"""The network of SAR: a backbone, optional deconvolutions and three 1x1 convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vitruvian.coordinates import cell_fractions
from vitruvian.layers import deconvolutions, initialise_head


class Maps(NamedTuple):
    """What the network gives; h, w are the size of its grid."""

    selector: Tensor  # (B, K, h, w) logits s_t: how sure each cell is that it knows where the keypoint is
    keypoints: Tensor  # (B, K, 2 or 3, h, w) K_t: x and y (and depth) in fractions of the axes, one opinion a cell
    heatmap: Tensor | None  # (B, K, h, w) logits of the auxiliary heatmap, None without that branch


class SARHead(nn.Module):
    """Features (B, C, h0, w0) -> Maps: the regressor K_t = p_t - o_t and the selector, whose sigmoid is c_t.

    Args:
        in_channels: C.
        num_joints: K.
        deconv_channels: channels of the deconvolutions, each of which doubles the grid; empty: none.
        deconv_kernels: their kernel sizes.
        heatmap_branch: whether the auxiliary heatmap is there; only training needs it.
        selector_prior: start the selector at a confidence of 0.01 also where there is a heatmap branch. The released
            code means to and does not: its second initialiser resets the first one's bias.
    """

    def __init__(
        self,
        in_channels: int,
        num_joints: int,
        deconv_channels: Sequence[int] = (),
        deconv_kernels: Sequence[int] = (),
        heatmap_branch: bool = True,
        selector_prior: bool = False,
        axes: int = 2,
    ) -> None:
        super().__init__()
        self.axes = axes
        self.deconv_layers = deconvolutions(in_channels, deconv_channels, deconv_kernels)
        channels = deconv_channels[-1] if deconv_channels else in_channels
        self.heatmap_conv = nn.Conv2d(channels, num_joints, 1) if heatmap_branch else None
        self.logit_conv = nn.Conv2d(channels, num_joints, 1)
        self.offset_conv = nn.Conv2d(channels, axes * num_joints, 1)
        initialise_head(self)
        prior = -math.log((1 - 0.01) / 0.01)
        if self.heatmap_conv is not None:
            nn.init.constant_(bias_of(self.heatmap_conv), prior)
        if self.heatmap_conv is None or selector_prior:
            nn.init.constant_(bias_of(self.logit_conv), prior)

    def forward(self, features: Tensor) -> Maps:
        features = self.deconv_layers(features)
        # Coordinates need more than half precision's three digits; three 1x1 convolutions cost next to nothing.
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            offsets = self.offset_conv(features).contiguous().unflatten(1, (-1, self.axes))
            keypoints = cell_locations(features, self.axes) - offsets  # (B, K, 2 or 3, h, w)
            heatmap = None if self.heatmap_conv is None else self.heatmap_conv(features).contiguous()
            return Maps(self.logit_conv(features).contiguous(), keypoints, heatmap)


def bias_of(layer: nn.Conv2d) -> Tensor:
    """The layer's bias, which is there."""
    assert layer.bias is not None
    return layer.bias


def cell_locations(features: Tensor, axes: int = 2) -> Tensor:
    """p_t (2 or 3, h, w): x and y of each cell of maps (B, C, h, w), in fractions of the map, and a depth of 0."""
    x, y = cell_fractions(features)
    return torch.stack(torch.broadcast_tensors(x, y[:, None], x.new_zeros(()))[:axes])
