"""RLE: Human Pose Regression with Residual Log-likelihood Estimation. Jiefeng Li et al., ICCV 2021.

A linear layer gives each keypoint's place and the scale sigma of its error. Training minimises the negative
log-likelihood of the error e = (prediction - label) / sigma under a density that is learnt with the network: a fixed
one, Q, times what a normalising flow phi knows better. At test time the flow is gone: RLE is direct regression that
knows how sure it is.

    loss = log sigma - log Q(e) - log phi(e)        score = 1 - mean sigma

The method is published in two forms whose weights do not fit each other, the authors' code and MMPose's:

               "mmpose"                                "authors"
    network    one linear layer                        points from W x / |x| + b, about the middle of the input
    targets    only keypoints within the input         all visible keypoints
    loss       Laplacian log(2 sigma) + |e|            log(sigma sqrt(2 pi)) + |e| / sqrt 2

In space, which only the authors publish, depths are learnt beside x and y. Joints with a depth have a flow of three
coordinates, all others that of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.coordinates import (
    about_root,
    axes_of,
    from_fractions,
    label_fractions,
    points_of,
    space_weights,
    to_fractions,
)
from vitruvian.errors import expect
from vitruvian.experiment import Decoded, Method, View, check_crops, forward_views, merge_decoded
from vitruvian.geometry import Framing
from vitruvian.methods.rle.flow import MASKS_3D, RealNVP
from vitruvian.methods.rle.loss import (
    Density,
    Form,
    flow_term,
    known_labels,
    residual_term,
    standardised_errors,
)
from vitruvian.methods.rle.network import AuthorsHead, Head, Maps
from vitruvian.sample import HIDDEN, Batch
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Config:
    """What an RLE network is.

    Attributes:
        backbone: the network below the head.
        framing: how a person reaches it; the authors' form has a normalisation of its own (AUTHORS_MEAN, AUTHORS_STD).
        form: whose network, targets and loss: "mmpose" or "authors".
        density: the fixed density Q: "laplace" or "gaussian".
        residual: learn phi beside Q; else phi is the whole density (the paper's direct likelihood estimation).
        depth_range: in space, the depths that are learnt, mm, half of them before the root; 0: the image plane alone.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    framing: Framing = field(default_factory=Framing)
    form: Form = "mmpose"
    density: Density = "laplace"
    residual: bool = True
    depth_range: float = 0.0

    def __post_init__(self) -> None:
        check_crops(self.framing)
        expect(self.depth_range >= 0, "depth_range", self.depth_range, "0 mm or more")


AUTHORS_MEAN = (0.406 * 255, 0.457 * 255, 0.480 * 255)
"""What the authors' code takes off R, G and B. They are the means of B, G and R, which the released weights need."""

AUTHORS_STD = (255.0, 255.0, 255.0)
"""What it divides by: 0 to 1 is all that its 2D networks ask for."""

AUTHORS_STD_3D = (0.225 * 255, 0.224 * 255, 0.229 * 255)
"""What it divides by for its 3D networks: the deviations of B, G and R."""


class Targets(NamedTuple):
    """What the loss compares with."""

    points: Tensor  # (B, K, 2 or 3) x and y (and depth) in fractions of the axes
    weights: Tensor  # (B, K) 1 for keypoints that are learnt from, else 0; in space (B, K, 3), of each axis


class RLE(Method):
    """Top-down RLE: one person a crop, `skeleton` says which keypoints."""

    Config = Config
    config: Config

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.backbone = build_backbone(config.backbone, config.framing.size)
        head = {"mmpose": Head, "authors": AuthorsHead}[config.form]
        self.axes = axes_of(config.framing.size, config.depth_range)
        self.head = head(self.backbone.channels[-1], skeleton.num_joints, len(self.axes))
        self.flow = RealNVP()
        self.flow_3d = RealNVP(MASKS_3D) if config.depth_range else None

    def targets(self, batch: Batch) -> Targets:
        points = points_of(batch.everyone.keypoints, len(self.axes))
        visible = batch.everyone.visibility >= HIDDEN
        labels, weights = label_fractions(points, visible, self.axes)
        if self.config.form == "authors":
            known = visible & ~points[..., :2].isnan().any(-1)
            if self.config.depth_range:  # only what lies within the input, its far edges included
                known &= ((labels[..., :2] - 0.5).abs() <= 0.5).all(-1)
            weights = space_weights(known.to(labels.dtype), to_fractions(points, self.axes))
        return Targets(labels, weights)

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Targets | None = None) -> Maps:
        points, sigma_logits = self.head(self.backbone(inputs)[-1])
        if targets is None:
            return Maps(points, sigma_logits)
        with torch.autocast(points.device.type, enabled=False):
            labels = known_labels(points, targets.points, targets.weights)
            return Maps(points, sigma_logits, self.log_phi(standardised_errors(points, sigma_logits, labels), targets))

    def log_phi(self, errors: Tensor, targets: Targets) -> Tensor:
        """Log density (B, K) of errors (B, K, 2 or 3), where the depth is not known of those in x and y."""
        if self.flow_3d is None:
            return self.flow(errors)
        return torch.where(targets.weights[..., 2] > 0, self.flow_3d(errors), self.flow(errors[..., :2]))

    def loss(self, maps: Maps, targets: Targets) -> dict[str, Tensor]:
        if maps.log_phi is None:
            raise ValueError("Maps.log_phi is None: give the targets to forward too, where the flow's parameters act")
        losses = {"flow": flow_term(maps.log_phi, maps.sigma_logits, targets.weights)}
        if self.config.residual:
            labels = known_labels(maps.points, targets.points, targets.weights)
            errors = standardised_errors(maps.points, maps.sigma_logits, labels)
            density, form = self.config.density, self.config.form
            losses["residual"] = residual_term(errors, maps.sigma_logits, targets.weights, density, form)
        return losses

    def decode(self, maps: Maps) -> Decoded:
        points = about_root(from_fractions(maps.points, self.axes), self.skeleton.root)
        joint_scores = 1 - maps.sigma_logits.sigmoid().mean(-1)
        return Decoded(points[:, None], joint_scores[:, None], joint_scores.mean(1, keepdim=True))

    def predict(self, views: Sequence[View]) -> Decoded:
        decoded = [self.decode(maps) for maps in forward_views(self, views)]
        return merge_decoded(decoded, views, self.mirror, self.config.framing.size[0] - 1)
