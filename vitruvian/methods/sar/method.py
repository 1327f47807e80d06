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
from torch.nn import functional

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.coordinates import about_root, axes_of, from_fractions, points_of, to_fractions
from vitruvian.errors import expect
from vitruvian.experiment import Decoded, Method, View, check_crops, forward_views, merge_decoded
from vitruvian.geometry import Framing
from vitruvian.heatmaps import draw_gaussians, pixels_per_cell, reaching_gaussians, to_cells, to_pixels, unmirror_maps
from vitruvian.layers import check_deconvolutions, map_size
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
        flip: how a mirrored view is merged: "literal", the mean of both views' points, mirrored as the authors do, to
            1 - x - 1 / (4 w), which is exact on a grid of stride 4; "exact", the same with W - 1 - x on any grid;
            "maps", exact too, but confidences and opinions are merged cell by cell before the surest cell speaks.
        depth_range: in space, the depths that are 1 apart in the loss, mm; 0: the image plane alone.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    framing: Framing = field(default_factory=Framing)
    deconv_channels: tuple[int, ...] = (256, 256, 256)
    deconv_kernels: tuple[int, ...] = (4, 4, 4)
    heatmap_branch: bool = True
    heatmap_sigma: float = 2.0
    sharpness: float = 16.0
    selector_prior: bool = False
    flip: Literal["literal", "exact", "maps"] = "literal"
    depth_range: float = 0.0

    def __post_init__(self) -> None:
        check_crops(self.framing)
        check_deconvolutions(self.deconv_channels, self.deconv_kernels)
        expect(self.heatmap_sigma > 0, "heatmap_sigma", self.heatmap_sigma, "a number of cells above 0")
        expect(self.sharpness > 0, "sharpness", self.sharpness, "a number above 0")
        expect(self.depth_range >= 0, "depth_range", self.depth_range, "0 mm or more")


class Targets(NamedTuple):
    """V is the number of keypoints of the whole batch that are learnt from."""

    visible: Tensor  # (V,) their places in the flattened (B, K)
    labels: Tensor  # (V, 2 or 3) x, y (and depth) in fractions of the axes; NaN for a depth that is not known
    heatmaps: Tensor | None  # (V, h, w) Gaussians


class SAR(Method):
    """Top-down SAR: one person a crop, `skeleton` says which keypoints."""

    Config = Config
    drawn_above = 0.0  # a score is the peak's share of the map, which says as much about the map's size
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
            axes=3 if config.depth_range else 2,
        )
        self.map_size = map_size(config.framing.size, self.backbone.strides[-1], len(config.deconv_channels))

    @property
    def axes(self) -> tuple[float, ...]:
        """What 1 is on each axis of points and labels: cells of the map, and mm."""
        return axes_of(self.map_size, self.config.depth_range)

    def targets(self, batch: Batch) -> Targets:
        """Keypoints whose Gaussian touches the grid, as in the authors' codec: also some outside of the crop."""
        framing = self.config.framing
        points = points_of(batch.everyone.keypoints, len(self.axes))
        cells = to_cells(points, framing.size, self.map_size, framing.affine)
        labelled = batch.everyone.visibility >= HIDDEN
        kept = reaching_gaussians(cells[..., :2], labelled, self.map_size, self.config.heatmap_sigma).flatten()
        visible = kept.nonzero()[:, 0]  # the one synchronisation of a step; the rest is then V keypoints
        cells, heatmaps = cells.flatten(0, 1)[visible], None
        if self.config.heatmap_branch:
            heatmaps, _ = draw_gaussians(cells[..., :2], kept[visible], self.map_size, self.config.heatmap_sigma)
        return Targets(visible, to_fractions(cells, self.axes), heatmaps)

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Targets | None = None) -> Maps:
        return self.head(self.backbone(inputs)[-1])

    def loss(self, maps: Maps, targets: Targets) -> dict[str, Tensor]:
        visible, labels = targets.visible, targets.labels
        losses = {
            "expectation": expected_quality_loss(maps.selector, maps.keypoints, visible, labels, self.config.sharpness)
        }
        if maps.heatmap is not None and targets.heatmaps is not None:
            losses["heatmap"] = quality_focal_loss(maps.heatmap.flatten(0, 1)[visible], targets.heatmaps)
        return losses

    def decode(self, maps: Maps) -> Decoded:
        """The surest cell's opinion; its score is its share c_max / sum c of the confidence, not c_max."""
        return self.surest_opinion(functional.logsigmoid(maps.selector), maps.keypoints)

    def surest_opinion(self, log_confidence: Tensor, keypoints: Tensor) -> Decoded:
        """`decode` of log c_t (B, K, h, w), up to a constant a map, and K_t (B, K, 2 or 3, h, w) in fractions."""
        # Of sigmoids, which all underflow where logits are below -104, nothing would be left to divide by.
        log_weights = log_confidence.flatten(2).log_softmax(2)
        peak, cell = log_weights.max(2, keepdim=True)  # (B, K, 1)
        fractions = keypoints.flatten(3).gather(3, cell[:, :, None].expand(-1, -1, len(self.axes), -1))[..., 0]
        cells, framing = from_fractions(fractions, self.axes), self.config.framing
        points = about_root(to_pixels(cells, framing.size, self.map_size, framing.affine), self.skeleton.root)
        joint_scores = peak[..., 0].exp()
        return Decoded(points[:, None], joint_scores[:, None], joint_scores.mean(1, keepdim=True))

    def predict(self, views: Sequence[View]) -> Decoded:
        maps = forward_views(self, views)
        if self.config.flip == "maps":
            return self.surest_opinion(*self.merge_opinions(maps, views))
        return merge_decoded([self.decode(one) for one in maps], views, self.mirror, self.mirror_sum())

    def merge_opinions(self, maps: Sequence[Maps], views: Sequence[View]) -> tuple[Tensor, Tensor]:
        """What all views say, cell by cell: where they disagree, the surer one wins, not the middle between the two.

        Returns the mean of log w_t (B, K, h, w), and the mean of K_t (B, K, 2 or 3, h, w) weighted by w_t.
        """
        log_weights, opinions = [], []
        framing = self.config.framing
        x_sum = self.mirror_sum() / self.column_width() / self.map_size[0]  # fractions of the map
        shift = framing.affine == "pixel"  # where a cell's mirror lies nearer to the next column
        for one, view in zip(maps, views):
            log_confidence, keypoints = functional.logsigmoid(one.selector), one.keypoints
            if view.mirrored:
                log_confidence = unmirror_maps(log_confidence, self.mirror, shift)
                keypoints = unmirror_maps(keypoints, self.mirror, shift, x_offset=0)
                keypoints[:, :, 0] += x_sum
            log_weights.append(log_confidence.flatten(2).log_softmax(2).view_as(log_confidence))
            opinions.append(keypoints)
        each = torch.stack(log_weights)  # (views, B, K, h, w)
        return each.mean(0), (torch.stack(opinions) * each.softmax(0).unsqueeze(3)).sum(0)

    def mirror_sum(self) -> float:
        """x + x' of a point and its mirror, input pixels."""
        if self.config.flip != "literal":
            return self.config.framing.size[0] - 1.0
        return self.column_width() * (self.map_size[0] - 1 / 4)

    def column_width(self) -> float:
        """Input pixels from one column of the map to the next."""
        framing = self.config.framing
        return pixels_per_cell(framing.size, self.map_size, framing.affine)[0]
