"""Integral regression: the expected place under a softmax over a map, so that coordinates are learnt through maps.

IPR       Sun, Xiao, Wei, Liang, Wei: Integral Human Pose Regression, ECCV 2018
DSNT      Nibali, He, Morgan, Prendergast: Numerical Coordinate Regression with Convolutional Neural Networks,
          arXiv 1801.07372, 2018: also pulls the map towards a Gaussian (Jensen-Shannon)
in space  Sun et al. again: the softmax runs over a volume, whose third axis is depth
debiased  Gu, Yang, Yao: Removing the Bias of Integral Pose Regression, ICCV 2021: takes out the pull towards the
          centre that the softmax's tail has
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.coordinates import (
    about_root,
    axes_of,
    cell_fractions,
    coordinate_loss,
    from_fractions,
    label_weights,
    points_of,
    space_weights,
    to_fractions,
)
from vitruvian.errors import expect
from vitruvian.experiment import Decoded, Method, View, check_crops, forward_views, merge_decoded
from vitruvian.geometry import Framing
from vitruvian.heatmaps import draw_gaussians, map_loss, to_cells, to_pixels
from vitruvian.layers import MapHead, check_deconvolutions
from vitruvian.sample import HIDDEN, Batch
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Config:
    """What a network of integral regression is.

    Attributes:
        backbone: the network below the head.
        framing: how a person reaches it; its family also says how the maps lie over the input.
        deconv_channels: channels of the deconvolutions, each of which doubles the map; empty: none.
        deconv_kernels: their kernel sizes: 2, 3 or 4.
        beta: what logits are multiplied by before the softmax.
        debias: take out the softmax's pull towards the centre.
        map_loss: what the maps themselves are also trained by: "none", "mse", "jensen_shannon" (DSNT).
        sigma: of the Gaussians that they are then pulled towards, cells.
        depth_range: in space, the depths from the front to the back of the volume, mm; 0: the image plane alone.
        depth_cells: how many cells deep the volume is.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    framing: Framing = field(default_factory=lambda: Framing(size=(256, 256)))
    deconv_channels: tuple[int, ...] = (256, 256, 256)
    deconv_kernels: tuple[int, ...] = (4, 4, 4)
    beta: float = 1.0
    debias: bool = False
    map_loss: Literal["none", "mse", "jensen_shannon"] = "none"
    sigma: float = 2.0
    depth_range: float = 0.0
    depth_cells: int = 64

    def __post_init__(self) -> None:
        check_crops(self.framing)
        check_deconvolutions(self.deconv_channels, self.deconv_kernels)
        expect(self.beta > 0, "beta", self.beta, "a number above 0")
        expect(self.sigma > 0, "sigma", self.sigma, "a number of cells above 0")
        expect(self.depth_range >= 0, "depth_range", self.depth_range, "0 mm or more")
        expect(self.depth_cells >= 2, "depth_cells", self.depth_cells, "2 or more")


class Maps(NamedTuple):
    """What the network gives."""

    points: Tensor  # (B, K, 2 or 3) x and y (and depth) in fractions of the axes
    probabilities: Tensor  # (B, K, h, w) the softmax, adds up to 1; of a volume what all depths have together


class Targets(NamedTuple):
    """What the loss compares with."""

    points: Tensor  # (B, K, 2 or 3) x and y (and depth) in fractions of the axes
    weights: Tensor  # (B, K) 1 where visible and inside the input, else 0; in space (B, K, 3), of each axis
    probabilities: Tensor | None  # (B, K, h, w) Gaussians that add up to 1, or empty; None without a loss on maps


class Integral(Method):
    """Top-down integral regression: one person a crop, `skeleton` says which keypoints."""

    Config = Config
    config: Config

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.backbone = build_backbone(config.backbone, config.framing.size)
        channels = self.backbone.channels[-1]
        self.depth_cells = config.depth_cells if config.depth_range else 1
        maps = skeleton.num_joints * self.depth_cells
        self.head = MapHead(channels, maps, config.deconv_channels, config.deconv_kernels)
        self.map_size = self.head.map_size(config.framing.size, self.backbone.strides[-1])  # cells (w, h)

    @property
    def axes(self) -> tuple[float, ...]:
        """What 1 is on each axis of points and labels: cells of the map, and mm."""
        return axes_of(self.map_size, self.config.depth_range)

    def targets(self, batch: Batch) -> Targets:
        keypoints = points_of(batch.everyone.keypoints, len(self.axes))
        visible, framing = batch.everyone.visibility >= HIDDEN, self.config.framing
        weights = label_weights(keypoints, visible, framing.size)
        cells = to_cells(keypoints, framing.size, self.map_size, framing.affine)
        points = to_fractions(cells, self.axes)
        weights = space_weights(weights, points)
        probabilities = None if self.config.map_loss == "none" else self.target_probabilities(cells[..., :2], visible)
        return Targets(torch.where(points.isnan(), 0, points), weights, probabilities)

    def target_probabilities(self, cells: Tensor, visible: Tensor) -> Tensor:
        """Gaussians (B, K, h, w) that add up to 1, or are empty, about keypoints (B, K, 2), map cells."""
        heatmaps, _ = draw_gaussians(cells, visible, self.map_size, self.config.sigma)
        total = heatmaps.sum((-1, -2), keepdim=True)
        return heatmaps / torch.where(total > 0, total, 1)

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Targets | None = None) -> Maps:
        logits = self.head(self.backbone(inputs)[-1])
        if self.config.depth_range:
            logits = logits.unflatten(1, (-1, self.depth_cells))
        return integrate(logits, self.config.beta, self.config.debias)

    def loss(self, maps: Maps, targets: Targets) -> dict[str, Tensor]:
        losses = {"coordinates": coordinate_loss(maps.points, targets.points, targets.weights)}
        if targets.probabilities is not None:
            function = map_loss if self.config.map_loss == "mse" else jensen_shannon
            weights = targets.weights if targets.weights.ndim == 2 else targets.weights[..., 0]
            losses["maps"] = function(maps.probabilities, targets.probabilities, weights)
        return losses

    def decode(self, maps: Maps) -> Decoded:
        cells, framing = from_fractions(maps.points, self.axes), self.config.framing
        points = to_pixels(cells, framing.size, self.map_size, framing.affine)[:, None]
        points = about_root(points, self.skeleton.root)
        scores = torch.ones_like(points[..., 0])
        return Decoded(points, scores, scores.mean(2))

    def predict(self, views: Sequence[View]) -> Decoded:
        decoded = [self.decode(maps) for maps in forward_views(self, views)]
        return merge_decoded(decoded, views, self.mirror, self.config.framing.size[0] - 1)


def integrate(logits: Tensor, beta: float, debias: bool) -> Maps:
    """Softmax and expected place of maps (B, K, h, w) or of volumes (B, K, depth, h, w)."""
    probabilities, depth = (beta * logits).flatten(2).softmax(-1).unflatten(-1, logits.shape[2:]), []
    if logits.ndim == 5:
        layers = torch.arange(logits.shape[2], dtype=logits.dtype, device=logits.device) / logits.shape[2]
        depth.append((probabilities.sum((-1, -2)) * layers).sum(-1))
        probabilities = probabilities.sum(2)
    x, y = cell_fractions(logits)
    points = torch.stack([(probabilities.sum(-2) * x).sum(-1), (probabilities.sum(-1) * y).sum(-1), *depth], -1)
    if debias:
        # C = sum exp(z), without beta as in the published code, by its logarithm: it overflows from z = 80 on.
        inverse = torch.exp(-logits.flatten(2).logsumexp(-1, keepdim=True))
        points = (points - inverse / 2) / (1 - inverse)
    if depth:
        points = torch.cat([points[..., :2], points[..., 2:] - 0.5], -1)  # the root lies in the middle layer
    return Maps(points, probabilities)


def jensen_shannon(probabilities: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Jensen-Shannon divergence of distributions over maps, summed over keypoints, divided by B.

    Args:
        probabilities: (B, K, h, w), each map adds up to 1.
        target: (B, K, h, w).
        weights: (B, K).
    """
    # Keypoints of weight 0 first become equal and positive everywhere: the logarithm of an empty map has no gradient.
    seen = (weights > 0)[..., None, None]
    p, q = torch.where(seen, probabilities, 1), torch.where(seen, target, 1)
    log_middle = ((p + q) / 2).clamp_min(1e-24).log()
    divergence = torch.xlogy(p, p) + torch.xlogy(q, q) - (p + q) * log_middle
    return (weights * divergence.sum((-1, -2))).sum() / (2 * len(p))
