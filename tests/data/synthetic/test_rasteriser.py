"""Triangles to pixels, beside a plain loop over pixels."""

from __future__ import annotations

import numpy as np

from vitruvian.data.synthetic.rasteriser import interpolate, rasterise, spread_out


def plain(points: np.ndarray, triangles: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle (-1: none) and depth (H, W) by trying each triangle at each pixel."""
    owner, depth = np.full(size[::-1], -1), np.full(size[::-1], np.inf)
    for row in range(size[1]):
        for column in range(size[0]):
            for number, corners in enumerate(points[triangles]):
                matrix = np.concatenate([corners[:, :2].T, np.ones((1, 3))])
                shares = np.linalg.solve(matrix, [column, row, 1])
                if (shares >= 0).all() and shares @ corners[:, 2] < depth[row, column]:
                    owner[row, column], depth[row, column] = number, shares @ corners[:, 2]
    return owner, depth


def test_as_a_loop_over_pixels_finds_it() -> None:
    rng = np.random.default_rng(3)
    size = (13, 11)
    points = np.concatenate([rng.uniform(-4, 16, (21, 2)), rng.uniform(1, 5, (21, 1))], 1)
    triangles = np.arange(21).reshape(7, 3)
    found = rasterise(points, triangles, size)
    owner, depth = plain(points, triangles, size)
    image = np.full(13 * 11, -1)
    image[found.pixels] = found.triangles
    np.testing.assert_array_equal(image.reshape(11, 13), owner)
    np.testing.assert_allclose(found.depth, depth, rtol=1e-4)
    values = rng.uniform(-1, 1, (21, 2))
    seen = interpolate(found, points, triangles, np.concatenate([values, points[:, 2:]], 1), size[0])
    np.testing.assert_allclose(seen[:, 2], depth.reshape(-1)[found.pixels], rtol=1e-4)


def test_nothing_in_sight() -> None:
    points = np.array([[20.0, 1, 1], [25, 1, 1], [22, 5, 1]])
    found = rasterise(points, np.array([[0, 1, 2]]), (5, 4))
    assert len(found.pixels) == 0
    assert np.isinf(found.depth).all()


def test_spread_out() -> None:
    group, number = spread_out(np.array([2, 0, 3]))
    assert group.tolist() == [0, 0, 2, 2, 2]
    assert number.tolist() == [0, 1, 0, 1, 2]
