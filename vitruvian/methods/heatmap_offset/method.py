"""Heatmap and offsets (UDP's "combined" targets): a coarse disc says where, two maps of offsets say exactly where.

Huang, Zhu, Guo, Huang: The Devil is in the Details: Delving into Unbiased Data Processing for Human Pose Estimation,
CVPR 2020. Three maps per keypoint: a disc round it, and the offsets in x and y from each cell to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.errors import expect
from vitruvian.experiment import Decoded, Method, View, check_crops, forward_views
from vitruvian.geometry import Framing
from vitruvian.heatmaps import (
    DISC_RADIUS,
    decode_discs_and_offsets,
    draw_discs_and_offsets,
    to_cells,
    to_pixels,
    unmirror_maps,
)
from vitruvian.layers import MapHead, check_deconvolutions
from vitruvian.sample import HIDDEN, Batch
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Config:
    """What a network of heatmaps and offsets is.

    Attributes:
        backbone: the network below the head.
        framing: how a person reaches it; its family also says how the maps lie over the input.
        deconv_channels: channels of the deconvolutions, each of which doubles the map; empty: none.
        deconv_kernels: their kernel sizes: 2, 3 or 4.
        radius: of the discs, as a share of the longer side of the map; also the unit of the offsets.
        blur: kernel that discs are blurred with before their peak is sought, cells, odd.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    framing: Framing = field(default_factory=lambda: Framing(affine="udp"))
    deconv_channels: tuple[int, ...] = (256, 256, 256)
    deconv_kernels: tuple[int, ...] = (4, 4, 4)
    radius: float = DISC_RADIUS
    blur: int = 23

    def __post_init__(self) -> None:
        check_crops(self.framing)
        check_deconvolutions(self.deconv_channels, self.deconv_kernels)
        expect(self.radius > 0, "radius", self.radius, "a share of the map above 0")
        expect(self.blur >= 1 and self.blur % 2 == 1, "blur", self.blur, "an odd number of cells")


class Maps(NamedTuple):
    """What the network gives."""

    combined: Tensor  # (B, K, 3, h, w) disc, and keypoint minus cell in x and in y, in radii


class Targets(NamedTuple):
    """What the loss compares with."""

    combined: Tensor  # (B, K, 3, h, w)
    weights: Tensor  # (B, K) 1 where the keypoint is visible, else 0


class HeatmapOffset(Method):
    """Top-down heatmaps with offsets: one person a crop, `skeleton` says which keypoints."""

    Config = Config
    config: Config

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.backbone = build_backbone(config.backbone, config.framing.size)
        channels = self.backbone.channels[-1]
        self.head = MapHead(channels, 3 * skeleton.num_joints, config.deconv_channels, config.deconv_kernels)
        self.map_size = self.head.map_size(config.framing.size, self.backbone.strides[-1])  # cells (w, h)

    def targets(self, batch: Batch) -> Targets:
        people, framing = batch.everyone, self.config.framing
        cells = to_cells(people.keypoints[..., :2], framing.size, self.map_size, framing.affine)
        visible = people.visibility >= HIDDEN
        combined, kept = draw_discs_and_offsets(cells, visible, self.map_size, self.config.radius)
        return Targets(combined, kept.to(combined.dtype))

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Targets | None = None) -> Maps:
        return Maps(self.head(self.backbone(inputs)[-1]).unflatten(1, (-1, 3)))

    def loss(self, maps: Maps, targets: Targets) -> dict[str, Tensor]:
        disc, offset = combined_losses(maps.combined, targets.combined, targets.weights)
        return {"disc": disc, "offset": offset}

    def decode(self, maps: Maps) -> Decoded:
        cells, scores = decode_discs_and_offsets(maps.combined, self.config.blur, self.config.radius)
        points = to_pixels(cells, self.config.framing.size, self.map_size, self.config.framing.affine)
        return Decoded(points[:, None], scores[:, None], scores.mean(1, keepdim=True))

    def predict(self, views: Sequence[View]) -> Decoded:
        combined = [
            unmirror_maps(maps.combined, self.mirror, x_offset=1) if view.mirrored else maps.combined
            for maps, view in zip(forward_views(self, views), views)
        ]
        return self.decode(Maps(torch.stack(combined).mean(0)))


def combined_losses(maps: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Half the squared differences of the discs, and of the offsets in x and y within the discs; means over cells.

    Args:
        maps: (B, K, 3, h, w).
        target: (B, K, 3, h, w).
        weights: (B, K); keypoints of weight 0 count in the means.
    """
    disc = weights[..., None, None] * target[:, :, 0]
    disc_loss = (weights[..., None, None] * maps[:, :, 0] - disc).square().mean() / 2
    offsets = disc[:, :, None] * (maps[:, :, 1:] - target[:, :, 1:])
    return disc_loss, offsets.square().sum(2).mean() / 2
