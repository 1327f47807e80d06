"""SAR: Spatial-Aware Regression for Keypoint Localization. Dongkai Wang, Shiliang Zhang, CVPR 2024.

Direct regression pools the features to one vector and loses where things are. SAR keeps the grid: every cell t says
where it believes each keypoint to be (the regressor, K_t = p_t - o_t) and how sure it is (the selector, c_t). Both are
trained by one objective, the expected quality of the opinions under the selector's distribution w_t = c_t / sum c:

    loss = -log sum_t w_t exp(-16 |K_t - K*|_1)

and at test time the surest cell speaks. The grid may be as coarse as the backbone's own: deconvolutions are optional.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.experiment import Decoded, Method, View, forward_views, merge_decoded
from vitruvian.geometry import Framing
from vitruvian.heatmaps import draw_gaussians, to_cells, to_pixels
from vitruvian.layers import map_size
from vitruvian.methods.sar.loss import expected_quality_loss, quality_focal_loss
from vitruvian.methods.sar.network import Maps, SARHead
from vitruvian.sample import HIDDEN, Batch
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Config:
    """What a SAR network is.

    Attributes:
        backbone: the network below the head.
        framing: how a person reaches it.
        deconv_channels: channels of the deconvolutions, each of which doubles the grid; empty: none.
        deconv_kernels: their kernel sizes: 2, 3 or 4.
        heatmap_branch: train an auxiliary heatmap, as all released networks do.
        heatmap_sigma: sigma of its Gaussians, cells.
        sharpness: lambda of the quality, per fraction of the map.
        selector_prior: start the selector at a confidence of 0.01 in spite of the heatmap branch.
        flip: how a mirrored view's x is turned back: "literal", the authors' 1 - x - 1 / (4 w), which is exact on a
            grid of stride 4; "exact", W - 1 - x on any grid.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    framing: Framing = field(default_factory=Framing)
    deconv_channels: tuple[int, ...] = (256, 256, 256)
    deconv_kernels: tuple[int, ...] = (4, 4, 4)
    heatmap_branch: bool = True
    heatmap_sigma: float = 2.0
    sharpness: float = 16.0
    selector_prior: bool = False
    flip: Literal["literal", "exact"] = "literal"


class Targets(NamedTuple):
    """V is the number of keypoints of the whole batch that are learnt from."""

    chosen: Tensor  # (V,) their places in the flattened (B, K)
    labels: Tensor  # (V, 2) x, y in fractions of the map
    heatmaps: Tensor | None  # (V, h, w) Gaussians


class SAR(Method):
    """Top-down SAR: one person a crop, `skeleton` says which keypoints."""

    Config = Config
    config: Config

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.backbone = build_backbone(config.backbone, config.framing.size)
        self.head = SARHead(
            self.backbone.channels[-1],
            skeleton.num_joints,
            config.deconv_channels,
            config.deconv_kernels,
            config.heatmap_branch,
            config.selector_prior,
        )
        self.map_size = map_size(config.framing.size, self.backbone.strides[-1], len(config.deconv_channels))

    def targets(self, batch: Batch) -> Targets:
        """Keypoints whose Gaussian touches the grid, as in the authors' codec: also some outside of the crop."""
        framing = self.config.framing
        cells = to_cells(batch.everyone.keypoints[..., :2], framing.size, self.map_size, framing.affine)
        visible = batch.everyone.visibility >= HIDDEN
        heatmaps, kept = draw_gaussians(cells, visible, self.map_size, self.config.heatmap_sigma, "msra")
        chosen = kept.flatten().nonzero()[:, 0]  # the one synchronisation of a step; the rest is then V keypoints
        labels = cells_to_fractions(cells, self.map_size).flatten(0, 1)[chosen]
        return Targets(chosen, labels, heatmaps.flatten(0, 1)[chosen] if self.config.heatmap_branch else None)

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Targets | None = None) -> Maps:
        return self.head(self.backbone(inputs)[-1])

    def loss(self, maps: Maps, targets: Targets) -> dict[str, Tensor]:
        chosen, labels = targets.chosen, targets.labels
        losses = {
            "expectation": expected_quality_loss(maps.selector, maps.keypoints, chosen, labels, self.config.sharpness)
        }
        if maps.heatmap is not None and targets.heatmaps is not None:
            losses["heatmap"] = quality_focal_loss(maps.heatmap.flatten(0, 1)[chosen], targets.heatmaps)
        return losses

    def decode(self, maps: Maps) -> Decoded:
        """The surest cell's opinion; its score is its share c_max / sum c of the confidence, not c_max."""
        confidence = maps.selector.sigmoid().flatten(2)
        peak, cell = confidence.max(2, keepdim=True)  # (B, K, 1)
        keypoints = maps.keypoints.flatten(3).gather(3, cell[:, :, None].expand(-1, -1, 2, -1))[..., 0]
        cells = fractions_to_cells(keypoints, self.map_size)
        points = to_pixels(cells, self.config.framing.size, self.map_size, self.config.framing.affine)
        joint_scores = peak[..., 0] / confidence.sum(2)
        return Decoded(points[:, None], joint_scores[:, None], joint_scores.mean(1, keepdim=True))

    def predict(self, views: Sequence[View]) -> Decoded:
        decoded = [self.decode(maps) for maps in forward_views(self, views)]
        return merge_decoded(decoded, views, self.mirror, self.mirror_sum())

    def mirror_sum(self) -> float:
        """x + x' of a point and its mirror, input pixels."""
        (width, height), framing = self.map_size, self.config.framing
        if self.config.flip == "exact":
            return framing.size[0] - 1.0
        whole = to_pixels(torch.tensor([float(width), float(height)]), framing.size, self.map_size, framing.affine)
        return float(whole[0]) * (1 - 1 / (4 * width))


def fractions_to_cells(points: Tensor, map_size: tuple[int, int]) -> Tensor:
    """Points (..., 2) in fractions of a map of `map_size` (w, h) as its cells: index = fraction * size."""
    return torch.stack([points[..., 0] * map_size[0], points[..., 1] * map_size[1]], -1)


def cells_to_fractions(points: Tensor, map_size: tuple[int, int]) -> Tensor:
    """The inverse of `fractions_to_cells`."""
    return torch.stack([points[..., 0] / map_size[0], points[..., 1] / map_size[1]], -1)
