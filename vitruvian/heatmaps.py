"""Maps with one value per keypoint and cell: draw them, find and refine their peaks, turn mirrored ones back.

Points are map cells (x, y) by the convention of `vitruvian.geometry`: an integer is the centre of a cell. Everything is
batched over images, people and joints, runs on the device of its arguments and never waits for that device.

Four ways to write a keypoint k (map cells) as a map and to read it back:

    msra   a Gaussian about the nearest cell, cut at 3 sigma        peak, a quarter cell to its larger neighbour
    dark   a Gaussian about k itself, not cut                       peak, one Newton step on the logarithm
    udp    a Gaussian about k, cut at 3 sigma of the nearest cell   peak, one Newton step on the logarithm
    disc   1 within a radius of k, with maps of the offset to k     peak of the disc, plus the offset there

(SimpleBaseline, Xiao et al., ECCV 2018; DARK, Zhang et al., CVPR 2020; UDP, Huang et al., CVPR 2020.)
"""

from __future__ import annotations

from typing import Literal

import cv2
import torch
from torch import Tensor

from vitruvian.geometry import Affine

Style = Literal["msra", "dark", "udp"]

DISC_RADIUS = 0.0546875
"""Radius of UDP's discs, in fractions of the longer side of the map: 3.5 cells of 64."""


# Between pixels of the input and cells of a map -------------------------------------------------------------


def to_cells(points: Tensor, input_size: tuple[int, int], map_size: tuple[int, int], family: Affine) -> Tensor:
    """Points (..., 2 or 3), pixels of an input of `input_size` (W, H), as cells of a map of `map_size` (W, H).

    Depths stay.
    """
    return _scale(points, pixels_per_cell(input_size, map_size, family), inverse=True)


def to_pixels(points: Tensor, input_size: tuple[int, int], map_size: tuple[int, int], family: Affine) -> Tensor:
    """Points (..., 2 or 3), cells of a map of `map_size` (W, H), as pixels of an input of `input_size` (W, H).

    Depths stay.
    """
    return _scale(points, pixels_per_cell(input_size, map_size, family), inverse=False)


def pixels_per_cell(input_size: tuple[int, int], map_size: tuple[int, int], family: Affine) -> tuple[float, float]:
    """How far apart neighbouring cells of a map of `map_size` (W, H) are in x and in y, pixels of the input."""
    less = 1 if family == "udp" else 0
    return (input_size[0] - less) / (map_size[0] - less), (input_size[1] - less) / (map_size[1] - less)


def _scale(points: Tensor, factors: tuple[float, float], inverse: bool) -> Tensor:
    x, y, *depth = points.unbind(-1)
    if inverse:
        return torch.stack([x / factors[0], y / factors[1], *depth], -1)
    return torch.stack([x * factors[0], y * factors[1], *depth], -1)


# Drawing ----------------------------------------------------------------------------------------------------


def draw_gaussians(
    points: Tensor, visible: Tensor, size: tuple[int, int], sigma: float, style: Style = "msra"
) -> tuple[Tensor, Tensor]:
    """Gaussians of height 1 about keypoints, a map for each.

    Args:
        points: (..., K, 2) map cells, NaN where not known.
        visible: (..., K) bool; the maps of the others stay empty.
        size: (W, H) of the maps.
        sigma: cells.
        style: where the Gaussian stands and ends, see the module's docstring.

    Returns:
        maps (..., K, H, W) of the type of `points`, and kept (..., K) bool, those of `reaching_gaussians`. A kept
        keypoint may lie outside the map, and its Gaussian is cut there.
    """
    kept = reaching_gaussians(points, visible, size, sigma, style)
    first, end = _extent(points, sigma, style)
    about = _nearest(points) if style == "msra" else points

    def profile(axis: int) -> Tensor:
        cells = torch.arange(size[axis], dtype=points.dtype, device=points.device)
        drawn = kept[..., None]
        if style != "dark":
            drawn = drawn & (cells >= first[..., axis, None].trunc()) & (cells < end[..., axis, None].trunc())
        return torch.where(drawn, torch.exp((cells - about[..., axis, None]).square() / (-2 * sigma**2)), 0)

    return profile(1)[..., :, None] * profile(0)[..., None, :], kept


def reaching_gaussians(
    points: Tensor, visible: Tensor, size: tuple[int, int], sigma: float, style: Style = "msra"
) -> Tensor:
    """Which keypoints (..., K) are visible, known, and in or near the map: the square of 3 sigma about them meets it.

    Arguments as of `draw_gaussians`.
    """
    first, end = _extent(points, sigma, style)
    meets = (end >= 0).all(-1) & (first[..., 0] < size[0]) & (first[..., 1] < size[1])
    return visible & meets & ~points.isnan().any(-1)


def _extent(points: Tensor, sigma: float, style: Style) -> tuple[Tensor, Tensor]:
    """The first cells (..., 2) of the squares of 3 sigma about points (..., 2), and those after the last."""
    middle = points if style == "dark" else _nearest(points)
    return middle - 3 * sigma, middle + 3 * sigma + 1


def _nearest(points: Tensor) -> Tensor:
    """The cells (..., 2) that points (..., 2) are counted to."""
    # Truncation towards zero, not rounding: -0.7 goes to 0 and -1.7 to -1, as in the code that the weights come from.
    return torch.trunc(points + 0.5)


def draw_discs_and_offsets(
    points: Tensor, visible: Tensor, size: tuple[int, int], radius_factor: float = DISC_RADIUS
) -> tuple[Tensor, Tensor]:
    """UDP's combined targets: three maps per keypoint.

    Args:
        points: (..., K, 2) map cells, NaN where not known.
        visible: (..., K) bool; the maps of the others stay 0.
        size: (W, H) of the maps.
        radius_factor: radius of the disc, in fractions of the longer side.

    Returns:
        maps (..., K, 3, H, W): 1 in the disc, then the keypoint minus the cell in x and in y, in radii, over the whole
        map; and kept (..., K) bool: visible and known, however far outside.
    """
    kept = visible & ~points.isnan().any(-1)
    radius = radius_factor * max(size)

    def distance(axis: int) -> Tensor:
        cells = torch.arange(size[axis], dtype=points.dtype, device=points.device)
        return torch.where(kept[..., None], (points[..., axis, None] - cells) / radius, 0)

    x, y = torch.broadcast_tensors(distance(0)[..., None, :], distance(1)[..., :, None])
    disc = ((x.square() + y.square() <= 1) & kept[..., None, None]).to(x.dtype)
    return torch.stack([disc, x, y], -3), kept


# Finding and refining peaks ---------------------------------------------------------------------------------


def find_peaks(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Cells (..., 2) of the largest values of maps (..., H, W), the first of equals, and the values (...)."""
    # A reduction over the last two axes of channels-last memory is 10 to 100 times slower than a copy.
    values, index = maps.contiguous().flatten(-2).max(-1)
    y = torch.div(index, maps.shape[-1], rounding_mode="floor")
    return torch.stack([index - y * maps.shape[-1], y], -1).to(maps.dtype), values


def decode_gaussians(maps: Tensor, style: Style, kernel: int) -> tuple[Tensor, Tensor]:
    """Keypoints (..., 2), map cells, of maps (..., H, W) learnt from `draw_gaussians`, and the peaks (...).

    Maps without a positive value give (-1, -1). `kernel` (cells, odd) is the blur of "dark" and "udp".
    """
    maps = maps.contiguous()
    peaks, values = find_peaks(maps)
    if style == "msra":
        points = refine_quarter(maps, peaks)
    elif style == "dark":
        points = refine_dark(maps, peaks, kernel)
    else:
        points = refine_udp(maps, peaks, kernel)
    return torch.where(values[..., None] > 0, points, -1), values


def decode_discs_and_offsets(maps: Tensor, kernel: int, radius_factor: float = DISC_RADIUS) -> tuple[Tensor, Tensor]:
    """Keypoints (..., K, 2), map cells, of maps (..., K, 3, H, W) of `draw_discs_and_offsets`, and scores.

    Args:
        maps: disc, x and y offset of each keypoint; both sides larger than half the kernel.
        kernel: cells, odd: the blur of the discs before their peak is sought.
        radius_factor: radius of the discs, in fractions of the longer side.

    Returns:
        points, (-1, -1) where no value is positive, and scores (..., K): the blurred disc at its peak.
    """
    peaks, scores = find_peaks(blur(maps[..., 0, :, :], kernel, border="reflect"))
    offsets = _window(maps[..., 1:, :, :], peaks[..., None, :].expand(*peaks.shape[:-1], 2, 2), 0)[..., 0, 0]
    points = peaks + offsets * (radius_factor * max(maps.shape[-2:]))
    return torch.where(scores[..., None] > 0, points, -1), scores


def refine_quarter(maps: Tensor, peaks: Tensor) -> Tensor:
    """Peaks (..., 2) of maps (..., H, W), moved a quarter cell towards the larger neighbour on each axis."""
    height, width = maps.shape[-2:]
    x, y = peaks.unbind(-1)
    around = _window(maps, peaks, 1)
    # The tests are not symmetric: columns 0, 1 and the last one do not move in x, nor does anything in row 0.
    move_x = (x > 1) & (x < width - 1) & (y > 0)
    move_y = (y > 1) & (y < height - 1) & (x > 0)
    x = x + 0.25 * torch.sign(around[..., 1, 2] - around[..., 1, 0]) * move_x
    y = y + 0.25 * torch.sign(around[..., 2, 1] - around[..., 0, 1]) * move_y
    return torch.stack([x, y], -1)


def refine_dark(maps: Tensor, peaks: Tensor, kernel: int) -> Tensor:
    """Peaks (..., 2) of maps (..., H, W), moved by one Newton step on the logarithm of the blurred maps (DARK).

    Derivatives over one cell (first) and two (second). Peaks within two cells of the border stay.
    """
    height, width = maps.shape[-2:]
    x, y = peaks.unbind(-1)
    f = _window(_blur_to_peak(maps, kernel), peaks, 2).clamp_min(1e-10).log()
    gradient = (f[..., 2, 3] - f[..., 2, 1]) / 2, (f[..., 3, 2] - f[..., 1, 2]) / 2
    xx = (f[..., 2, 4] - 2 * f[..., 2, 2] + f[..., 2, 0]) / 4
    yy = (f[..., 4, 2] - 2 * f[..., 2, 2] + f[..., 0, 2]) / 4
    xy = (f[..., 3, 3] - f[..., 1, 3] - f[..., 3, 1] + f[..., 1, 1]) / 4
    inner = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return _newton_step(peaks, gradient, (xx, xy, yy), inner)


def refine_udp(maps: Tensor, peaks: Tensor, kernel: int) -> Tensor:
    """Peaks (..., 2) of maps (..., H, W), moved by one Newton step on the logarithm of blurred, clipped maps.

    Derivatives over one cell; beyond the border the maps go on with the border's values, so that every peak moves.
    """
    f = _window(_blur_to_peak(maps, kernel), peaks, 1).clamp(1e-3, 50.0).log()
    gradient = (f[..., 1, 2] - f[..., 1, 0]) / 2, (f[..., 2, 1] - f[..., 0, 1]) / 2
    regular = torch.finfo(torch.float32).eps
    xx = f[..., 1, 2] - 2 * f[..., 1, 1] + f[..., 1, 0] + regular
    yy = f[..., 2, 1] - 2 * f[..., 1, 1] + f[..., 0, 1] + regular
    # Of the four diagonal neighbours only two are used.
    straight = f[..., 1, 2] + f[..., 1, 0] + f[..., 2, 1] + f[..., 0, 1]
    xy = (f[..., 2, 2] + f[..., 0, 0] + 2 * f[..., 1, 1] - straight) / 2
    return _newton_step(peaks, gradient, (xx, xy, yy), torch.ones_like(xx, dtype=torch.bool))


def _newton_step(
    points: Tensor, gradient: tuple[Tensor, Tensor], hessian: tuple[Tensor, Tensor, Tensor], allowed: Tensor
) -> Tensor:
    """Points (..., 2) minus inverse Hessian (xx, xy, yy) times gradient, where allowed and not singular."""
    xx, xy, yy = hessian
    determinant = xx * yy - xy.square()
    allowed = allowed & (determinant != 0)
    divisor = torch.where(allowed, determinant, 1)
    step_x = (yy * gradient[0] - xy * gradient[1]) / divisor
    step_y = (xx * gradient[1] - xy * gradient[0]) / divisor
    return points - torch.stack([step_x, step_y], -1) * allowed[..., None]


def _window(maps: Tensor, peaks: Tensor, radius: int) -> Tensor:
    """Values (..., 2 radius + 1, 2 radius + 1) round peaks (..., 2); past the border those of the border."""
    height, width = maps.shape[-2:]
    steps = torch.arange(-radius, radius + 1, device=maps.device)
    x = (peaks[..., 0, None].long() + steps).clamp(0, width - 1)
    y = (peaks[..., 1, None].long() + steps).clamp(0, height - 1)
    index = y[..., :, None] * width + x[..., None, :]
    return maps.flatten(-2).gather(-1, index.flatten(-2)).unflatten(-1, index.shape[-2:])


def _blur_to_peak(maps: Tensor, kernel: int) -> Tensor:
    """Maps (..., H, W) blurred, then scaled so that each has its old maximum again."""
    blurred = blur(maps, kernel)
    old, new = maps.contiguous().flatten(-2).amax(-1), blurred.flatten(-2).amax(-1)
    return blurred * torch.where(new > 0, old / new, 1)[..., None, None]


def blur(maps: Tensor, kernel: int, border: Literal["zero", "reflect"] = "zero") -> Tensor:
    """Maps (..., H, W) blurred by a Gaussian `kernel` cells wide (odd), of the sigma that OpenCV gives it.

    sigma = 0.3 ((kernel - 1) / 2 - 1) + 0.8, or OpenCV's fixed tables for small kernels. Beyond the border lie zeros,
    or the map reflected about its outermost cells.
    """
    # Two products with banded matrices: 3 to 7 times faster than convolutions at 64 x 48 and 96 x 72, and cheap enough
    # not to look at the peaks' surroundings only, which would not give the maximum that the result is scaled by.
    rows, columns = (_band(length, kernel, border, maps) for length in maps.shape[-2:])
    return rows @ (maps @ columns.T)


def _band(length: int, kernel: int, border: str, like: Tensor) -> Tensor:
    """The (length, length) matrix that blurs a column of `length` cells."""
    if kernel % 2 == 0 or kernel < 1:
        raise ValueError(f"a blur needs an odd kernel, not {kernel}")
    weights = torch.from_numpy(cv2.getGaussianKernel(kernel, 0)[:, 0]).to(like.device, like.dtype, non_blocking=True)
    cells = torch.arange(length, device=like.device)
    taps = cells[:, None] + torch.arange(-(kernel // 2), kernel // 2 + 1, device=like.device)
    if border == "reflect":
        period = max(2 * (length - 1), 1)
        taps = taps % period
        taps = torch.minimum(taps, period - taps)
    return ((taps[..., None] == cells) * weights[:, None]).sum(1)


# Turning back what is found in the mirrored image -----------------------------------------------------------


def read_at(maps: Tensor, points: Tensor) -> Tensor:
    """Values (..., P) of maps (..., H, W) at points (..., P, 2), map cells, by bilinear interpolation.

    Beyond the map lie zeros, so that values fade over the cell next to the border. NaN where a point is NaN.
    The leading dimensions of the two are broadcast. Gradients go to both.
    """
    height, width = maps.shape[-2:]
    lead = torch.broadcast_shapes(maps.shape[:-2], points.shape[:-2])
    cells = maps.flatten(-2).expand(*lead, height * width)
    points = points.expand(*lead, *points.shape[-2:])
    corner = points.detach().floor()
    fraction = points - corner
    total = torch.zeros_like(points[..., 0])
    for right in (0, 1):
        for below in (0, 1):
            x, y = corner[..., 0] + right, corner[..., 1] + below
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            # Clamped before the conversion: a float beyond the integers has no defined one.
            index = y.nan_to_num().clamp(0, height - 1) * width + x.nan_to_num().clamp(0, width - 1)
            weight_x = fraction[..., 0] if right else 1 - fraction[..., 0]
            weight_y = fraction[..., 1] if below else 1 - fraction[..., 1]
            total = total + weight_x * weight_y * torch.where(inside, cells.gather(-1, index.long()), 0)
    return total


def unmirror_maps(maps: Tensor, mirror: Tensor, shift: bool = False, x_offset: int | None = None) -> Tensor:
    """Maps (B, K, ..., H, W) of a mirrored image as maps of the image itself.

    Args:
        maps: one or, between K and H, several maps for each keypoint.
        mirror: (K,) integers, the joint that each joint becomes in a mirror.
        shift: also move everything one column to the right, column 0 stays: for maps with cell = pixel / stride, whose
            mirror is not the mirror of the cells.
        x_offset: of maps (B, K, C, H, W), the one that holds offsets in x, which change sign.
    """
    maps = maps.flip(-1).index_select(1, mirror)
    if x_offset is not None:
        maps[:, :, x_offset].neg_()
    if shift:
        maps = torch.cat([maps[..., :1], maps[..., :-1]], -1)
    return maps


def unmirror_points(points: Tensor, mirror: Tensor, x_sum: float) -> Tensor:
    """Points (..., K, 2 or more) of a mirrored image as the image's: x -> x_sum - x, joints exchanged."""
    points = points.index_select(-2, mirror)
    return torch.cat([x_sum - points[..., :1], points[..., 1:]], -1)


# Losses -----------------------------------------------------------------------------------------------------


def map_loss(maps: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Squared difference of maps and target (..., K, H, W), times weights (..., K), mean over every cell."""
    return (weights[..., None, None] * (maps - target).square()).mean()
