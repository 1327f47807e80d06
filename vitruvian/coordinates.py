"""Keypoints as fractions of the input or of a map, for methods that give coordinates instead of maps.

fraction = index / size on each axis: 0 is the centre of the first pixel or cell, 1 - 1 / size that of the last one. In
space a depth is a fraction of the range of depths that a network learns: 0 is the root's, -1/2 to 1/2 is the range.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def axes_of(size: tuple[int, int], depth_range: float = 0.0) -> tuple[float, ...]:
    """What 1 is on each axis: (W, H), and of depths in mm, if there are any, `depth_range`."""
    return (*size, depth_range) if depth_range else size


def points_of(keypoints: Tensor, axes: int) -> Tensor:
    """Keypoints (..., 2 or 3) with 2 or 3 `axes`: depths left out, or NaN where there are none."""
    if keypoints.shape[-1] < axes:
        return functional.pad(keypoints, (0, 1), value=torch.nan)
    return keypoints[..., :axes]


def to_fractions(points: Tensor, axes: Sequence[float]) -> Tensor:
    """Points (..., 2 or 3), pixels of an input or cells of a map and mm, as fractions of `axes_of` it."""
    return torch.stack([points[..., axis] / whole for axis, whole in enumerate(axes)], -1)


def from_fractions(points: Tensor, axes: Sequence[float]) -> Tensor:
    """The inverse of `to_fractions`."""
    return torch.stack([points[..., axis] * whole for axis, whole in enumerate(axes)], -1)


def about_root(points: Tensor, root: Sequence[int]) -> Tensor:
    """Points (..., K, 2 or 3) with depths that count from the middle of the joints `root`, of `Skeleton.root`."""
    if points.shape[-1] == 2 or not root:
        return points
    zero = points[..., list(root), 2].mean(-1)[..., None, None]
    return torch.cat([points[..., :2], points[..., 2:] - zero], -1)


def cell_fractions(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The places of the columns, x (w,), and of the rows, y (h,), of maps (..., h, w), in fractions of the map."""
    height, width = maps.shape[-2:]
    x = torch.arange(width, dtype=maps.dtype, device=maps.device) / width
    y = torch.arange(height, dtype=maps.dtype, device=maps.device) / height
    return x, y


def label_fractions(points: Tensor, visible: Tensor, axes: Sequence[float]) -> tuple[Tensor, Tensor]:
    """What coordinate regression learns.

    Args:
        points: (..., K, 2 or 3) pixels of the input, and mm; NaN where not known.
        visible: (..., K) bool.
        axes: those of the input.

    Returns:
        labels (..., K, 2 or 3), fractions, 0 where not known; and weights, 1 where visible and inside the input:
        (..., K) in the plane, and in space those of `space_weights`.
    """
    fractions = to_fractions(points, axes)
    weights = label_weights(points, visible, axes)
    return torch.where(fractions.isnan(), 0, fractions), space_weights(weights, fractions)


def label_weights(points: Tensor, visible: Tensor, axes: Sequence[float]) -> Tensor:
    """Weights (..., K), 1 where visible and inside the image; arguments as of `label_fractions`."""
    x, y = points[..., 0], points[..., 1]
    inside = (x >= 0) & (x <= axes[0] - 1) & (y >= 0) & (y <= axes[1] - 1)  # False for NaN
    return (visible & inside).to(points.dtype)


def space_weights(weights: Tensor, fractions: Tensor) -> Tensor:
    """Weights of each axis (..., K, 3) from those of keypoints (..., K), in the plane as they are.

    A joint whose depth is not known counts by its place alone, one that is deeper than the range not at all.
    """
    if fractions.shape[-1] == 2:
        return weights
    depths = fractions[..., 2]
    weights = weights * ~(depths.abs() > 0.5)
    return torch.stack([weights, weights, weights * ~depths.isnan()], -1)


def of_axes(weights: Tensor, points: Tensor) -> Tensor:
    """Weights (..., K) or (..., K, 3) of points (..., K, 2 or 3), ready to be multiplied by them."""
    return weights if weights.ndim == points.ndim else weights[..., None]


def coordinate_loss(points: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Smooth L1 of points and labels (..., K, 2 or 3), both first multiplied by weights, mean over all numbers.

    `weights` are those of `label_fractions`.
    """
    weights = of_axes(weights, points)
    return functional.smooth_l1_loss(points * weights, labels * weights)
