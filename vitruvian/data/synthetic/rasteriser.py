"""Triangles to pixels: which triangle is nearest at each pixel, and what its corners' values are there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EMPTY = -1


class Raster(NamedTuple):
    """The nearest surface at each of P covered pixels of an image, and the depth everywhere."""

    pixels: np.ndarray  # (P,) places in the flattened image
    triangles: np.ndarray  # (P,)
    depth: np.ndarray  # (H, W) float32, infinite where nothing is


def rasterise(points: np.ndarray, triangles: np.ndarray, size: tuple[int, int]) -> Raster:
    """The nearest triangles at the pixels of an image.

    Each triangle is cut into rows, each row into the pixels whose centres it covers; of all that cover a pixel the
    nearest stays. Exact at every pixel, and no loop in Python: the time is that of the covered pixels.

    Args:
        points: (V, 3) float: x and y px, depth, of which a smaller one is nearer.
        triangles: (T, 3) corners.
        size: width and height, px.
    """
    width, height = size
    corners = points.astype(np.float32)[triangles]  # (T, 3, 3)
    x, y, z = corners[..., 0], corners[..., 1], corners[..., 2]
    top = np.maximum(np.ceil(y.min(1)), 0).astype(np.int32)
    rows = np.minimum(np.floor(y.max(1)), height - 1).astype(np.int32) - top + 1
    rows[(x.max(1) < 0) | (x.min(1) > width - 1)] = 0
    shown = np.flatnonzero(rows > 0)
    depth = np.full(height * width, np.inf, np.float32)
    owner = np.full(height * width, EMPTY, np.int32)
    if len(shown):
        of_row, row = spread_out(rows[shown])
        of_row = shown[of_row]
        row += top[of_row]
        first, last = spans(x[of_row], y[of_row], row, width)
        counts = np.maximum(last - first + 1, 0)
        of_pixel, column = spread_out(counts)
        column += first[of_pixel]
        slope_x, slope_y, offset = planes(x, y, z)
        row_depth = slope_y[of_row] * row.astype(np.float32) + offset[of_row]
        pixel_depth = (slope_x[of_row])[of_pixel] * column.astype(np.float32) + row_depth[of_pixel]
        pixel = (row * width)[of_pixel] + column
        np.minimum.at(depth, pixel, pixel_depth)
        nearest = pixel_depth <= depth[pixel]
        owner[pixel[nearest]] = of_row[of_pixel[nearest]]
    pixels = np.flatnonzero(owner >= 0)
    return Raster(pixels, owner[pixels], depth.reshape(height, width))


def spread_out(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of sum(counts) items its group, and its number there: (2, 3) -> (0, 0, 1, 1, 1), (0, 1, 0, 1, 2)."""
    group = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    ends = np.cumsum(counts)
    number = np.arange(len(group), dtype=np.int32) - np.repeat((ends - counts).astype(np.int32), counts)
    return group, number


def spans(x: np.ndarray, y: np.ndarray, row: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last column (N,) that triangles x, y (N, 3) cover in one row (N,) each."""
    left, right = np.full(len(row), np.inf, np.float32), np.full(len(row), -np.inf, np.float32)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        rise = y[:, b] - y[:, a]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (row - y[:, a]) / rise
            at = x[:, a] + share * (x[:, b] - x[:, a])
        crossed = (share >= 0) & (share <= 1)
        left = np.where(crossed, np.minimum(left, at), left)
        right = np.where(crossed, np.maximum(right, at), right)
    first = np.ceil(np.clip(left, 0, width))
    last = np.floor(np.clip(right, -1, width - 1))
    return first.astype(np.int32), last.astype(np.int32)


def planes(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes (T,) along x and y and offset (T,) of the planes through corners (T, 3); of edges seen end on, 0."""
    ux, uy, uz = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0], z[:, 1] - z[:, 0]
    vx, vy, vz = x[:, 2] - x[:, 0], y[:, 2] - y[:, 0], z[:, 2] - z[:, 0]
    area = ux * vy - uy * vx
    area = np.where(np.abs(area) < 1e-6, np.inf, area)
    slope_x, slope_y = (uz * vy - vz * uy) / area, (ux * vz - vx * uz) / area
    return slope_x, slope_y, z[:, 0] - slope_x * x[:, 0] - slope_y * y[:, 0]


def interpolate(
    raster: Raster, points: np.ndarray, triangles: np.ndarray, values: np.ndarray, width: int
) -> np.ndarray:
    """Values (P, C) float32 at the covered pixels, of values (V, C) at the triangles' corners."""
    corners = points.astype(np.float32)[triangles]
    x, y = corners[..., 0], corners[..., 1]
    (x0, x1, x2), (y0, y1, y2) = x.T, y.T
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    scale = 1 / np.where(np.abs(area) < 1e-6, np.float32(np.inf), area)
    # Weights of the second and the third corner, as planes over the image.
    planes_of = np.stack(
        [
            (y2 - y0) * scale, (x0 - x2) * scale, (x2 * y0 - x0 * y2) * scale,
            (y0 - y1) * scale, (x1 - x0) * scale, (x0 * y1 - x1 * y0) * scale,
        ],
        1,
    )[raster.triangles]  # fmt: skip
    row, column = np.divmod(raster.pixels.astype(np.int32), width)
    row, column = row.astype(np.float32), column.astype(np.float32)
    second = planes_of[:, 0] * column + planes_of[:, 1] * row + planes_of[:, 2]
    third = planes_of[:, 3] * column + planes_of[:, 4] * row + planes_of[:, 5]
    second, third = np.clip(second, 0, 1), np.clip(third, 0, 1)  # slivers would extrapolate
    corner = triangles[raster.triangles]
    values = values.astype(np.float32)
    found = values[corner[:, 0]] * (1 - second - third)[:, None]
    found += values[corner[:, 1]] * second[:, None]
    found += values[corner[:, 2]] * third[:, None]
    return found
