"""Heatmaps: one map per keypoint, learnt as a Gaussian, whose peak is the answer. The baseline of most papers.

    SimpleBaseline  Xiao, Wu, Wei: Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018:
                    ResNet and three deconvolutions
    HRNet           Sun, Xiao, Liu, Wang: Deep High-Resolution Representation Learning for Human Pose Estimation,
                    CVPR 2019: a backbone that keeps a map of stride 4, no deconvolution
    ViTPose         Xu, Zhang, Zhang, Tao: ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation,
                    NeurIPS 2022: a plain transformer and two deconvolutions

They differ in backbone and deconvolutions alone. How a keypoint becomes a map and back ("msra", "dark", "udp") is said
in `vitruvian.heatmaps`.
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
    Style,
    decode_gaussians,
    draw_gaussians,
    map_loss,
    to_cells,
    to_pixels,
    unmirror_maps,
)
from vitruvian.layers import MapHead, check_deconvolutions
from vitruvian.sample import HIDDEN, Batch
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Config:
    """What a heatmap network is.

    Attributes:
        backbone: the network below the head.
        framing: how a person reaches it; its family also says how the maps lie over the input.
        deconv_channels: channels of the deconvolutions, each of which doubles the map; empty: none.
        deconv_kernels: their kernel sizes: 2, 3 or 4.
        codec: how a keypoint becomes a map and back.
        sigma: of the Gaussians, cells: 2 for maps of 48x64, 3 for 72x96.
        blur: kernel that maps are blurred with before "dark" and "udp" refine their peaks, cells, odd: 11 for sigma 2,
            17 for sigma 3.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    framing: Framing = field(default_factory=Framing)
    deconv_channels: tuple[int, ...] = (256, 256, 256)
    deconv_kernels: tuple[int, ...] = (4, 4, 4)
    codec: Style = "msra"
    sigma: float = 2.0
    blur: int = 11

    def __post_init__(self) -> None:
        check_crops(self.framing)
        check_deconvolutions(self.deconv_channels, self.deconv_kernels)
        expect(self.sigma > 0, "sigma", self.sigma, "a number of cells above 0")
        expect(self.blur >= 1 and self.blur % 2 == 1, "blur", self.blur, "an odd number of cells")


class Maps(NamedTuple):
    """What the network gives."""

    heatmaps: Tensor  # (B, K, h, w), near 1 at the keypoint and 0 far from it


class Targets(NamedTuple):
    """What the loss compares with."""

    heatmaps: Tensor  # (B, K, h, w) Gaussians
    weights: Tensor  # (B, K) 1 where a Gaussian is drawn, else 0


class Heatmap(Method):
    """Top-down heatmaps: one person a crop, `skeleton` says which keypoints."""

    Config = Config
    config: Config

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.backbone = build_backbone(config.backbone, config.framing.size)
        channels = self.backbone.channels[-1]
        self.head = MapHead(channels, skeleton.num_joints, config.deconv_channels, config.deconv_kernels)
        self.map_size = self.head.map_size(config.framing.size, self.backbone.strides[-1])  # cells (w, h)

    def targets(self, batch: Batch) -> Targets:
        people, framing = batch.everyone, self.config.framing
        cells = to_cells(people.keypoints[..., :2], framing.size, self.map_size, framing.affine)
        visible = people.visibility >= HIDDEN
        heatmaps, kept = draw_gaussians(cells, visible, self.map_size, self.config.sigma, self.config.codec)
        return Targets(heatmaps, kept.to(heatmaps.dtype))

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Targets | None = None) -> Maps:
        return Maps(self.head(self.backbone(inputs)[-1]))

    def loss(self, maps: Maps, targets: Targets) -> dict[str, Tensor]:
        return {"heatmap": map_loss(maps.heatmaps, targets.heatmaps, targets.weights)}

    def decode(self, maps: Maps) -> Decoded:
        cells, scores = decode_gaussians(maps.heatmaps, self.config.codec, self.config.blur)
        points = to_pixels(cells, self.config.framing.size, self.map_size, self.config.framing.affine)
        return Decoded(points[:, None], scores[:, None], scores.mean(1, keepdim=True))

    def predict(self, views: Sequence[View]) -> Decoded:
        # Where cell = pixel / stride, a mirrored crop's maps come back (stride - 1) / stride of a cell too far left;
        # the authors' codes move them by a whole one, which the published figures need.
        shift = self.config.framing.affine == "pixel"
        heatmaps = [
            unmirror_maps(maps.heatmaps, self.mirror, shift) if view.mirrored else maps.heatmaps
            for maps, view in zip(forward_views(self, views), views)
        ]
        return self.decode(Maps(torch.stack(heatmaps).mean(0)))
