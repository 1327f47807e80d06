"""Keypoints as fractions of the input or of a map, for methods that give coordinates instead of maps.

fraction = index / size on each axis: 0 is the centre of the first pixel or cell, 1 - 1 / size that of the last one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def to_fractions(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Points (..., 2), pixels of an input or cells of a map of `size` (W, H), as fractions of it."""
    return torch.stack([points[..., 0] / size[0], points[..., 1] / size[1]], -1)


def from_fractions(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `to_fractions`."""
    return torch.stack([points[..., 0] * size[0], points[..., 1] * size[1]], -1)


def cell_fractions(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The places of the columns, x (w,), and of the rows, y (h,), of maps (..., h, w), in fractions of the map."""
    height, width = maps.shape[-2:]
    x = torch.arange(width, dtype=maps.dtype, device=maps.device) / width
    y = torch.arange(height, dtype=maps.dtype, device=maps.device) / height
    return x, y


def label_fractions(points: Tensor, visible: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What coordinate regression learns.

    Args:
        points: (..., K, 2) pixels of the input, NaN where not known.
        visible: (..., K) bool.
        size: (W, H) of the input.

    Returns:
        labels (..., K, 2), fractions, 0 where not known; and weights (..., K), 1 where visible and inside the input.
    """
    labels = torch.where(points.isnan(), 0, to_fractions(points, size))
    return labels, label_weights(points, visible, size)


def label_weights(points: Tensor, visible: Tensor, size: tuple[int, int]) -> Tensor:
    """The weights (..., K) of `label_fractions`, whose arguments they have."""
    x, y = points.unbind(-1)
    inside = (x >= 0) & (x <= size[0] - 1) & (y >= 0) & (y <= size[1] - 1)  # False for NaN
    return (visible & inside).to(points.dtype)


def coordinate_loss(points: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Smooth L1 of points and labels (..., K, 2), both first multiplied by weights (..., K), mean over all numbers."""
    weights = weights[..., None]
    return functional.smooth_l1_loss(points * weights, labels * weights)
