"""Projection, the lens and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.cameras import (
    assumed_camera,
    assumed_root_depths,
    back_project,
    distort,
    in_space,
    project,
    undistort,
    world_to_camera,
)

LENS = np.array([1145.0, 1143.0, 512.0, 515.0, -0.2, 0.24, -0.003, -0.0014, -0.0009])


def test_a_point_on_the_axis_is_seen_at_the_centre_and_others_by_their_slope() -> None:
    cameras = np.array([[100.0, 200, 30, 40], [50, 50, 0, 0]])
    points = np.array([[[0.0, 0, 5000], [500, 250, 1000], [-1, 1, 2]], [[10, 20, 40], [0, 0, 1], [3, 6, 3]]])
    expected = [[[30, 40], [80, 90], [-20, 140]], [[12.5, 25], [0, 0], [50, 100]]]
    np.testing.assert_allclose(project(points, cameras), expected)
    np.testing.assert_allclose(back_project(np.array(expected), points[..., 2], cameras), points, atol=1e-9)


def test_the_lens_moves_a_ray_by_the_published_polynomial() -> None:
    x, y = 0.2, -0.1
    r2 = x * x + y * y
    k1, k2, k3, p1, p2 = LENS[4:]
    factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * y + p2 * x
    expected = [x * factor + p2 * r2, y * factor + p1 * r2]
    np.testing.assert_allclose(distort(np.array([[x, y]]), LENS)[0], expected, rtol=1e-12)


def test_undistorting_is_the_inverse() -> None:
    rays = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 3, 2))
    cameras = np.stack([LENS, LENS + 0.001])
    np.testing.assert_allclose(undistort(distort(rays, cameras), cameras), rays, atol=1e-9)
    assert np.abs(distort(rays, cameras) - rays).max() > 1e-3


def test_keypoints_with_depths_come_back_to_space() -> None:
    points = np.random.default_rng(1).uniform(-800, 800, (2, 3, 3)) + np.array([0, 0, 4000])
    cameras = np.stack([LENS, LENS])
    roots = points[:, 0, 2]
    depths = points[..., 2] - roots[:, None]
    keypoints = np.concatenate([project(points, cameras), depths[..., None]], -1)
    np.testing.assert_allclose(in_space(keypoints, cameras, roots), points, atol=1e-5)


def test_the_world_is_turned_about_the_camera() -> None:
    quarter = np.array([[[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]] * 2)
    found = world_to_camera(np.array([[[3.0, 5, 7]] * 3] * 2), quarter, np.array([[1.0, 1, 1], [0, 0, 0]]))
    np.testing.assert_allclose(found[:, 0], [[4, -2, 6], [5, -3, 7]])


def test_what_is_assumed_of_a_photo_of_unknown_camera() -> None:
    camera = assumed_camera((640, 480))
    np.testing.assert_allclose(camera, [736, 736, 319.5, 239.5])
    boxes = np.array([[0.0, 0, 100, 368], [50, 60, 690, 68]])
    np.testing.assert_allclose(assumed_root_depths(boxes, camera, padding=1.0), [4000, 2300], rtol=1e-9)
    assert assumed_root_depths(boxes, camera)[0] == pytest.approx(3200)
