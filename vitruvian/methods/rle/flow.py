"""RealNVP: an invertible network whose density of a point is exact and cheap.

Dinh, Sohl-Dickstein, Bengio: Density estimation using Real NVP, ICLR 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MASKS_2D = ((0, 1), (1, 0)) * 3
"""Which coordinate each of RLE's six couplings leaves as it is."""

MASKS_3D = ((0, 0, 1), (1, 1, 0)) * 3
"""The same in space."""


class RealNVP(nn.Module):
    """A density of points (..., D): affine couplings between them and a unit normal.

    A coupling keeps the coordinates of its mask m and moves the others by what it reads off the kept ones,
    x -> m x + (1 - m) (x exp(s(m x)) + t(m x)), so that its inverse and its Jacobian's determinant are known.

    Args:
        masks: one a coupling, D numbers of 0 and 1 each; a latent point passes the first coupling first.
        hidden: width of the small networks s and t.
    """

    masks: Tensor  # (couplings, D)

    def __init__(self, masks: Sequence[Sequence[int]] = MASKS_2D, hidden: int = 64) -> None:
        super().__init__()
        self.register_buffer("masks", torch.tensor(masks, dtype=torch.float32), persistent=False)
        width = len(masks[0])
        # tanh bounds a coupling's stretch to exp(-1) ... exp(1): the density of a far point stays finite.
        self.scale_nets = nn.ModuleList(nn.Sequential(*perceptron(width, hidden), nn.Tanh()) for _ in masks)
        self.shift_nets = nn.ModuleList(nn.Sequential(*perceptron(width, hidden)) for _ in masks)

    def forward(self, points: Tensor) -> Tensor:
        """log phi (...) of points (..., D)."""
        latent, log_determinant = self.to_latent(points)
        log_normal = -0.5 * (latent.square().sum(-1) + latent.shape[-1] * math.log(2 * math.pi))
        return log_normal + log_determinant

    def to_latent(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The latent points (..., D) of points (..., D), and log |det d latent / d point| (...)."""
        log_determinant = points.new_zeros(points.shape[:-1])
        for coupling in reversed(range(len(self.masks))):
            kept, log_scale, shift = self.coupling(coupling, points)
            points = kept + (1 - self.masks[coupling]) * (points - shift) * torch.exp(-log_scale)
            log_determinant = log_determinant - log_scale.sum(-1)
        return points, log_determinant

    def coupling(self, index: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What coupling `index` keeps of the points (..., D), and the log scale and shift of the rest."""
        mask = self.masks[index]
        kept = mask * points
        return kept, self.scale_nets[index](kept) * (1 - mask), self.shift_nets[index](kept) * (1 - mask)


def perceptron(width: int, hidden: int) -> list[nn.Module]:
    """Three linear layers with leaky ReLUs between, (..., width) -> (..., width), that start near zero."""
    layers = [nn.Linear(width, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, width)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight, gain=0.01)
    return [layers[0], nn.LeakyReLU(), layers[1], nn.LeakyReLU(), layers[2]]
