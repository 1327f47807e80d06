"""The pixel convention: bright pixels of warped photos stand where the matrices say, in both families and mirrored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vitruvian.geometry import (
    Affine,
    Framing,
    box_matrix,
    boxes_from_xywh,
    centre_and_scale,
    clip_boxes,
    crop_matrix,
    determinant,
    fix_aspect,
    from_reduced,
    invert,
    mirror_matrix,
    reach,
    reduction_for,
    transform_boxes,
    transform_people,
    transform_points,
)
from vitruvian.images import read_image, warp, write_image
from vitruvian.sample import People

FAMILIES: tuple[Affine, ...] = ("pixel", "udp")
NONE = np.nan


def spot(image: np.ndarray) -> np.ndarray:
    """The centre of brightness (x, y) of an image (H, W, 3), px."""
    weight = image[..., 0].astype(np.float64)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


def bright_pixel(width: int, height: int, x: int, y: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[y, x] = 255
    return image


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 25.0, -70.0])
@pytest.mark.parametrize("affine", FAMILIES)
def test_a_bright_pixel_lands_where_its_point_does(affine: Affine, rotation: float, mirrored: bool) -> None:
    size, box = (96, 128), np.array([20.0, 10, 44, 30])
    centre, scale = centre_and_scale(box, 1.25)
    matrix = crop_matrix(centre, fix_aspect(scale, size), size, rotation, affine)
    if mirrored:
        matrix = matrix @ mirror_matrix(57)
    x, y = (22, 17) if mirrored else (35, 17)
    crop = warp(bright_pixel(57, 41, x, y), matrix, size)
    expected = transform_points(np.array([x, y], float), matrix)
    assert (expected > 5).all()
    assert (expected < np.array(size) - 6).all()
    np.testing.assert_allclose(spot(crop), expected, atol=0.06)


def test_the_box_fills_the_crop_in_each_family_own_way() -> None:
    centre, scale = np.array([30.0, 20.0]), np.array([24.0, 32.0])  # x 18 to 42, y 4 to 36
    corners = np.array([[18.0, 4.0], [42.0, 36.0]])
    pixel = crop_matrix(centre, scale, (6, 8))
    np.testing.assert_allclose(transform_points(corners, pixel), [[0, 0], [6, 8]], atol=1e-12)
    udp = crop_matrix(centre, scale, (6, 8), affine="udp")
    np.testing.assert_allclose(transform_points(corners, udp), [[0, 0], [5, 7]], atol=1e-12)


def test_the_families_turn_in_opposite_senses_about_the_centre() -> None:
    centre, scale, size = np.array([30.0, 20.0]), np.array([24.0, 32.0]), (96, 128)
    right = np.array([[30.0, 20.0], [40.0, 20.0]])
    moved = transform_points(right, crop_matrix(centre, scale, size, 30.0))
    np.testing.assert_allclose(moved[0], [48, 64], atol=1e-9)
    assert moved[1, 1] < 64  # the frame turns clockwise, what is in it counter-clockwise
    udp = transform_points(right, crop_matrix(centre, scale, size, 30.0, "udp"))
    np.testing.assert_allclose(udp[0], [47.5, 63.5], atol=1e-9)
    assert udp[1, 1] > 63.5
    for matrix in (crop_matrix(centre, scale, size, 30.0), crop_matrix(centre, scale, size, -30.0)):
        assert np.linalg.det(matrix) == pytest.approx(16)  # a rotation changes no size


def test_a_mirror_meets_the_mirrored_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(warp(photo, mirror_matrix(7), (7, 5)), photo[:, ::-1])
    points = np.array([[0.0, 2], [6, 4], [2.5, 0]])
    np.testing.assert_array_equal(transform_points(points, mirror_matrix(7)), [[6, 2], [0, 4], [3.5, 0]])
    np.testing.assert_array_equal(mirror_matrix(7) @ mirror_matrix(7), np.eye(3))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_photos_read_at_reduced_scale_keep_their_places(tmp_path: Path, reduction: int, suffix: str) -> None:
    """A blob in a photo whose sides are no multiples of 8: its place in the crop does not depend on the reduction."""
    width, height, place = 301, 221, np.array([187.0, 95.0])
    rows, columns = np.mgrid[:height, :width]
    blob = 255 * np.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / (2 * 12.0**2))
    path = tmp_path / f"photo{suffix}"
    assert cv2.imwrite(str(path), np.repeat(blob[..., None], 3, 2).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])
    matrix = crop_matrix(np.array([170.0, 100.0]), np.array([260.0, 195.0]), (208, 156), 10.0)
    expected = transform_points(place, matrix)
    for one in (1, reduction):
        reduced = read_image(path, one)
        assert reduced.shape[:2] == (-(-height // one), -(-width // one))
        crop = warp(reduced, matrix @ from_reduced(one), (208, 156)).astype(np.int16) - 10  # JPEG's dark is not black
        np.testing.assert_allclose(spot(crop.clip(0)), expected, atol=0.1)


def test_a_photo_is_read_no_smaller_than_its_crop_needs() -> None:
    def scaled(factor: float) -> np.ndarray:
        return mirror_matrix(9) @ np.diag([factor, factor, 1.0])

    factors = [3.0, 1.0, 0.51, 0.5, 0.26, 0.25, 0.126, 0.1249, 0.01]
    assert [reduction_for(scaled(factor)) for factor in factors] == [1, 1, 1, 2, 2, 4, 4, 8, 8]
    corner = transform_points(np.array([0.0, 0.0]), from_reduced(4))
    np.testing.assert_array_equal(corner, [1.5, 1.5])  # the middle of the pixels 0 to 3
    np.testing.assert_array_equal(from_reduced(1), np.eye(3))


def test_plain_crops_of_a_framing() -> None:
    framing = Framing(size=(96, 128), padding=1.5)
    matrix = box_matrix(np.array([10.0, 20, 40, 40]), framing)  # 45 x 30 padded, grown to 45 x 60 about (25, 30)
    np.testing.assert_allclose(
        transform_points(np.array([[2.5, 0], [47.5, 60]]), matrix), [[0, 0], [96, 128]], atol=1e-9
    )


def test_boxes_are_converted_clipped_and_grown() -> None:
    boxes = np.array([[-3.0, 2, 10, 20], [5, 6, 7, 8]])
    np.testing.assert_array_equal(boxes_from_xywh(boxes), [[-3, 2, 7, 22], [5, 6, 12, 14]])
    np.testing.assert_array_equal(clip_boxes(boxes_from_xywh(boxes), (11, 13)), [[0, 2, 7, 12], [5, 6, 10, 12]])
    centres, scales = centre_and_scale(boxes_from_xywh(boxes), 1.25)
    np.testing.assert_array_equal(centres, [[2, 12], [8.5, 10]])
    np.testing.assert_array_equal(scales, [[12.5, 25], [8.75, 10]])
    np.testing.assert_array_equal(fix_aspect(np.array([[30.0, 20], [3, 20]]), (6, 8)), [[30, 40], [15, 20]])


def test_boxes_seen_through_a_rotation_are_those_round_their_corners() -> None:
    quarter = np.array([[0.0, -1, 10], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(transform_boxes(np.array([[1.0, 2, 4, 8]]), quarter), [[2, 1, 8, 4]])
    np.testing.assert_array_equal(transform_boxes(np.array([[1.0, 2, 4, 8]]), mirror_matrix(20)), [[15, 2, 18, 8]])


def three_joints(dims: int) -> People:
    """Nose, left and right eye of two people; the first one's left eye is not labelled."""
    points = np.array([[[5.0, 6, 7], [NONE] * 3, [3, 4, NONE]], [[8, 9, 1], [9, 8, 2], [7, 8, 3]]], np.float32)
    return People(
        keypoints=points[..., :dims],
        visibility=np.array([[2, 0, 1], [2, 2, 1]], np.int8),
        boxes=np.array([[2.0, 3, 6, 7], [5, 5, 9, 9]], np.float32),
        areas=np.array([10.0, 12], np.float32),
        ignored=np.array([False, True]),
        head_sizes=np.array([3.0, 4], np.float32),
        cameras=np.array([[100.0, 101, 50, 51], [102, 103, 52, 53]], np.float32),
        root_depths=np.array([4000.0, 5000], np.float32),
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_a_mirror_exchanges_left_and_right(dims: int) -> None:
    before = three_joints(dims)
    after = transform_people(before, mirror_matrix(20), (0, 2, 1))
    assert after.visibility.tolist() == [[2, 1, 0], [2, 1, 2]]
    flat = [[[14, 6], [16, 4], [NONE, NONE]], [[11, 9], [12, 8], [10, 8]]]
    np.testing.assert_array_equal(after.keypoints[..., :2], flat)
    if dims == 3:  # a depth stays, known or not
        np.testing.assert_array_equal(after.keypoints[..., 2], [[7, NONE, NONE], [1, 3, 2]])
    assert after.keypoints.dtype == after.areas.dtype == after.boxes.dtype == after.head_sizes.dtype == np.float32
    for field in ("ignored", "cameras", "root_depths"):  # the last two are the photo's
        np.testing.assert_array_equal(getattr(after, field), getattr(before, field))
    again = transform_people(after, mirror_matrix(20), (0, 2, 1))
    np.testing.assert_array_equal(again.keypoints, before.keypoints)
    np.testing.assert_array_equal(again.boxes, before.boxes)


def test_other_matrices_keep_the_sides_and_scale_what_is_measured() -> None:
    before = three_joints(2)
    matrix = crop_matrix(np.array([5.0, 5]), np.array([8.0, 6]), (24, 18), 30.0)
    after = transform_people(before, matrix, (0, 2, 1))
    np.testing.assert_array_equal(after.visibility, before.visibility)
    np.testing.assert_array_equal(np.isnan(after.keypoints), np.isnan(before.keypoints))
    np.testing.assert_allclose(after.areas, before.areas * 9, rtol=1e-6)
    np.testing.assert_allclose(after.head_sizes, [9, 12], rtol=1e-6)
    without = People(*(getattr(before, name) for name in ("keypoints", "visibility", "boxes", "areas", "ignored")))
    assert transform_people(without, matrix, (0, 2, 1)).head_sizes is None


def test_small_matrices_equal_those_of_linear_algebra() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        matrix = np.eye(3)
        matrix[:2] = rng.normal(size=(2, 3)) * (1, 1, 50)
        np.testing.assert_allclose(invert(matrix), np.linalg.inv(matrix), rtol=1e-9, atol=1e-9)
        assert determinant(matrix) == pytest.approx(np.linalg.det(matrix))


def test_reach_is_what_a_crop_needs_of_a_photo() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (50, 70, 3), dtype=np.uint8)
    for _ in range(20):
        matrix = crop_matrix(rng.uniform(0, 60, 2), np.array([24.0, 32.0]), (12, 16), rng.uniform(-90, 90))
        columns, rows = reach(invert(matrix), (12, 16))
        clipped = image.copy()
        clipped[rows:], clipped[:, columns:] = 0, 0
        np.testing.assert_array_equal(warp(clipped, matrix, (12, 16)), warp(image, matrix, (12, 16)))
    assert reach(np.array([[1.0, 0, -99], [0, 1, -99], [0, 0, 1]]), (12, 16)) == (1, 1)
    assert reach(np.eye(3), (12, 16)) == (13, 17)


def test_points_and_pixels_agree_through_a_written_photo(tmp_path: Path) -> None:
    """The whole way of a pixel: written, read, cropped, and its point sent back to the photo."""
    path = tmp_path / "photo.png"
    write_image(path, bright_pixel(57, 41, 35, 17))
    matrix = box_matrix(np.array([20.0, 10, 44, 30]), Framing(size=(96, 128)))
    found = spot(warp(read_image(path), matrix, (96, 128)))
    np.testing.assert_allclose(transform_points(found, np.linalg.inv(matrix)), [35, 17], atol=0.02)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("size", (64, 0), r"size is \(64, 0\), expected a width and a height of 2 px or more"),
        ("size", (-64, 96), r"size is \(-64, 96\), expected"),
        ("padding", 0.0, "padding is 0.0, expected a factor above 0"),
        ("multiple", 0, "multiple is 0, expected 1 px or more"),
        ("std", (1.0, -2.0, 3.0), r"std is \(1.0, -2.0, 3.0\), expected numbers above 0"),
    ],
)
def test_framings_that_show_nothing_are_refused(field: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        replace(Framing(), **{field: value})
