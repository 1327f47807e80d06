"""Random views: their ranges and chances, the rules of half bodies, colours, and that a seed says all."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from vitruvian.augment import (
    Augmentation,
    box_change,
    box_of_joints,
    change_pixels,
    choose_half,
    draw_box_change,
    draw_colours,
    draw_view,
    erase_rectangle,
    half_body_box,
    truncated_normal,
)
from vitruvian.geometry import Affine, Framing, box_matrix, transform_points
from vitruvian.sample import People
from vitruvian.skeletons import COCO, MPII, WFLW, Skeleton

FRAMING = Framing(size=(48, 64))
PHOTO = (200, 150)  # width, height
STILL = Augmentation(flip=0, half_body=0, shift=0, scale=0, rotation=0)


def person(labelled: tuple[int, ...] = tuple(range(17)), skeleton: Skeleton = COCO) -> People:
    """Joint j at (60 + 3 j, 40 + 5 j mod 37), in the box 55 30 115 90."""
    count = skeleton.num_joints
    joints = np.arange(count)
    points = np.stack([60 + 3 * joints, 40 + (5 * joints) % 37], -1).astype(np.float32)
    visibility = np.isin(joints, labelled) * 2
    points[visibility == 0] = np.nan
    return People(
        keypoints=points[None],
        visibility=visibility[None].astype(np.int8),
        boxes=np.array([[55, 30, 115, 90]], np.float32),
        areas=np.array([1800], np.float32),
        ignored=np.array([False]),
    )


def view(rng, augmentation: Augmentation, people: People | None = None, framing: Framing = FRAMING) -> np.ndarray:
    return draw_view(rng, people or person(), PHOTO, framing, COCO, augmentation)


def views(augmentation: Augmentation, count: int = 300) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.stack([view(rng, augmentation) for _ in range(count)])


def test_the_normal_is_truncated_at_one() -> None:
    draws = truncated_normal(np.random.default_rng(0), 20_000)
    assert draws.shape == (20_000,)
    assert np.abs(draws).max() <= 1
    assert abs(draws.mean()) < 0.01
    # 1 - 2 phi(1) / (Phi(1) - Phi(-1)), of a unit normal cut at +-1
    assert draws.var() == pytest.approx(0.29112, abs=0.004)
    assert truncated_normal(np.random.default_rng(0), 3).shape == (3,)


def test_the_truncated_normal_has_the_distribution_of_its_name() -> None:
    """Kolmogorov and Smirnov's test against (Phi(x) - Phi(-1)) / (Phi(1) - Phi(-1)), at a level of 5 %."""
    draws = np.sort(truncated_normal(np.random.default_rng(0), 20_000))
    expected = 0.5 + np.array([math.erf(x / math.sqrt(2)) for x in draws]) / (2 * math.erf(1 / math.sqrt(2)))
    steps = np.arange(len(draws) + 1) / len(draws)
    assert max((steps[1:] - expected).max(), (expected - steps[:-1]).max()) < 1.36 / math.sqrt(len(draws))


def test_draws_become_shift_scale_and_rotation() -> None:
    augmentation = Augmentation(shift=0.2, shift_chance=0.3, scale=0.5, rotation=80, rotation_chance=0.6)
    draws = np.array([0.5, -1.0, 0.4, -0.25])
    shift, factor, rotation = box_change(draws, np.array([0.29, 0.59]), augmentation)
    np.testing.assert_allclose(shift, [0.1, -0.2])
    assert (factor, rotation) == (pytest.approx(1.2), -20)
    shift, factor, rotation = box_change(draws, np.array([0.3, 0.6]), augmentation)  # a chance of .3 is draws below .3
    assert (shift.tolist(), factor, rotation) == ([0, 0], pytest.approx(1.2), 0)


@pytest.mark.parametrize(("draws", "variance"), [("uniform", 1 / 3), ("truncated_normal", 0.29112)])
def test_box_changes_spread_over_their_range(draws, variance: float) -> None:
    augmentation = Augmentation(draws=draws)
    rng = np.random.default_rng(0)
    changes = [draw_box_change(rng, augmentation) for _ in range(4000)]
    shifts = np.array([shift for shift, _, _ in changes])
    factors, rotations = np.array([factor for _, factor, _ in changes]), np.array([turn for _, _, turn in changes])
    assert (shifts != 0).any(1).mean() == pytest.approx(0.3, abs=0.03)
    assert (rotations != 0).mean() == pytest.approx(0.6, abs=0.03)
    assert np.abs(shifts).max() == pytest.approx(0.16, abs=0.002)
    assert np.abs(rotations).max() == pytest.approx(80, abs=1)
    assert ((factors >= 0.5) & (factors <= 1.5)).all()
    assert (factors - 1).var() == pytest.approx(variance * 0.25, abs=0.006)


@pytest.mark.parametrize(
    ("upper", "lower", "prefer_upper", "expected"),
    [
        (2, 3, True, "upper"),
        (2, 3, False, "lower"),
        (1, 3, True, "lower"),
        (2, 2, False, "upper"),
        (11, 0, False, "upper"),
        (0, 6, True, "lower"),
        (1, 2, True, None),
        (0, 0, False, None),
    ],
)
def test_a_half_needs_two_joints_above_or_three_below(upper: int, lower: int, prefer_upper: bool, expected) -> None:
    halves = {"upper": list(range(upper)), "lower": list(range(11, 11 + lower)), None: None}
    assert choose_half(halves["upper"], halves["lower"], prefer_upper) == halves[expected]


def test_the_box_of_joints_is_their_mean_and_their_extent_and_a_half_more() -> None:
    centre, extent = box_of_joints(np.array([[0.0, 4], [6, 4], [3, 10]]))
    assert (centre.tolist(), extent.tolist()) == ([3, 6], [9, 9])


def test_half_bodies_need_nine_labelled_joints() -> None:
    rng = np.random.default_rng(0)
    assert half_body_box(rng, person(tuple(range(8))), COCO, 9) is None
    assert half_body_box(rng, person(tuple(range(9))), COCO, 9) is not None
    assert half_body_box(rng, person(tuple(range(8))), COCO, 8) is not None


def test_seven_half_bodies_in_ten_are_upper_ones() -> None:
    people = person()
    upper, lower = (box_of_joints(people.keypoints[0, list(COCO.parts[half])])[0] for half in ("upper", "lower"))
    found = [half_body_box(np.random.default_rng(seed), people, COCO, 9) for seed in range(600)]
    chosen = np.array([np.array_equal(half[0], upper) for half in found if half])
    assert len(chosen) == 600
    assert all(half is not None and (half[0].tolist() in (upper.tolist(), lower.tolist())) for half in found)
    assert chosen.mean() == pytest.approx(0.7, abs=0.04)
    alone = person(tuple(range(11)))  # nothing below the hips
    halves = [half_body_box(np.random.default_rng(seed), alone, COCO, 9) for seed in range(20)]
    assert all(half is not None and np.array_equal(half[0], upper) for half in halves)


def test_joints_of_unknown_place_do_not_count_for_half_bodies() -> None:
    people = person(tuple(range(10)))
    people.keypoints[0, 0] = np.nan  # labelled, but its place is gone
    half = half_body_box(np.random.default_rng(0), people, COCO, 9)
    assert half is not None
    assert np.isfinite(half[0]).all()
    people.keypoints[0, 1] = np.nan
    assert half_body_box(np.random.default_rng(0), people, COCO, 9) is None


def test_there_is_no_half_of_a_face_or_of_one_place() -> None:
    face = person(tuple(range(98)), WFLW)
    assert half_body_box(np.random.default_rng(0), face, WFLW, 9) is None
    people = person()
    people.keypoints[:] = 70
    assert half_body_box(np.random.default_rng(0), people, COCO, 9) is None


def test_the_halves_of_coco_and_mpii_are_the_published_ones() -> None:
    assert COCO.parts["upper"] == tuple(range(11))
    assert COCO.parts["lower"] == tuple(range(11, 17))
    assert sorted(MPII.parts["upper"]) == list(range(7, 16))
    assert sorted(MPII.parts["lower"]) == list(range(7))


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_without_any_change_the_view_is_the_plain_crop(affine: Affine) -> None:
    framing = replace(FRAMING, affine=affine)
    matrix = view(np.random.default_rng(0), STILL, framing=framing)
    np.testing.assert_allclose(matrix, box_matrix(person().boxes[0], framing), atol=1e-12)


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_a_mirrored_view_is_the_crop_of_the_mirrored_photo(affine: Affine) -> None:
    framing = replace(FRAMING, affine=affine)
    matrix = view(np.random.default_rng(0), replace(STILL, flip=1), framing=framing)
    x0, y0, x1, y1 = person().boxes[0]
    mirrored_box = np.array([PHOTO[0] - 1 - x1, y0, PHOTO[0] - 1 - x0, y1])
    points = np.array([[60.0, 40], [110, 88]])
    mirrored_points = points * [-1, 1] + [PHOTO[0] - 1, 0]
    expected = transform_points(mirrored_points, box_matrix(mirrored_box, framing))
    np.testing.assert_allclose(transform_points(points, matrix), expected, atol=1e-9)


def test_half_of_the_views_are_mirrored() -> None:
    mirrored = np.linalg.det(views(Augmentation())) < 0
    assert mirrored.mean() == pytest.approx(0.5, abs=0.08)
    assert not (np.linalg.det(views(replace(STILL, rotation=30.0))) < 0).any()


def test_scale_rotation_and_shift_stay_in_their_ranges() -> None:
    plain = view(np.random.default_rng(0), STILL)
    size = np.sqrt(np.linalg.det(plain[:2, :2]))
    scaled = np.sqrt(np.linalg.det(views(replace(STILL, scale=0.25))[:, :2, :2])) / size
    assert (scaled.min() >= 1 / 1.25 - 1e-9, scaled.max() <= 1 / 0.75 + 1e-9) == (True, True)
    assert np.ptp(scaled) > 0.4
    turned = views(replace(STILL, rotation=40.0, rotation_chance=1.0))
    angles = np.rad2deg(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 35 < np.abs(angles).max() <= 40
    centre = np.array([85.0, 60])
    np.testing.assert_allclose([transform_points(centre, matrix) for matrix in turned], [[24, 32]] * 300, atol=1e-9)
    moved = views(replace(STILL, shift=0.1, shift_chance=1.0))
    away = np.abs([transform_points(centre, matrix) - [24, 32] for matrix in moved]) / np.sqrt(np.linalg.det(plain))
    assert 6.5 < away.max() <= 7.5 + 1e-9  # a tenth of the padded side of 75 px


def test_views_depend_on_the_generator_alone() -> None:
    first, again = views(Augmentation(), 20), views(Augmentation(), 20)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first.reshape(20, -1), axis=0)) == 20


def test_no_colour_change_is_the_identity_but_for_grey_views() -> None:
    matrices = np.stack([draw_colours(np.random.default_rng(seed), 0.0) for seed in range(400)])
    identity = np.isclose(matrices, np.eye(3, 4)).all((1, 2))
    assert identity.mean() == pytest.approx(0.9, abs=0.04)
    grey = np.concatenate([np.broadcast_to([0.299, 0.587, 0.114], (3, 3)), np.zeros((3, 1))], 1)
    np.testing.assert_allclose(matrices[~identity], np.broadcast_to(grey, matrices[~identity].shape))


def test_contrast_turns_about_middle_grey_and_colours_stay_in_range() -> None:
    middle = np.array([128, 128, 128, 1.0])
    rng = np.random.default_rng(0)
    shades = np.stack([draw_colours(rng, 0.3) @ middle for _ in range(2000)])
    assert (shades <= 128 * 1.3 * 1.15 * 1.3 + 1e-9).all()
    assert (shades >= 0).all()
    assert shades.mean() == pytest.approx(128, rel=0.01)


def test_pixels_change_only_as_far_as_asked() -> None:
    image = np.random.default_rng(1).integers(0, 256, (16, 12, 3)).astype(np.uint8)
    untouched = image.copy()
    assert change_pixels(np.random.default_rng(0), image, STILL) is image
    for change in ({"colour": 0.4}, {"blur": 1.0}, {"erase": 1.0}):
        augmentation = replace(STILL, **change)
        one, two = (change_pixels(np.random.default_rng(seed), image, augmentation) for seed in (3, 3))
        np.testing.assert_array_equal(one, two)
        assert (one != image).any()
        assert (one.dtype, one.shape) == (np.uint8, image.shape)
    np.testing.assert_array_equal(image, untouched)


def test_erased_rectangles_cover_a_fiftieth_to_a_fifth() -> None:
    image = np.zeros((60, 45, 3), np.uint8)
    shares, ratios = [], []
    for seed in range(200):
        hidden = (erase_rectangle(np.random.default_rng(seed), image) > 0).any(2)
        height, width = hidden.any(1).sum(), hidden.any(0).sum()
        shares.append(height * width / image[..., 0].size)
        ratios.append(height / width)
        assert hidden.sum() > 0.95 * height * width  # one rectangle of noise, in which black is rare
    assert min(shares) > 0.018
    assert max(shares) < 0.25  # sides are rounded up
    assert min(ratios) > 1 / 3.6
    assert max(ratios) < 3.6


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("flip", 7.0, "flip is 7.0, expected a chance from 0 to 1"),
        ("half_body", -0.1, "half_body is -0.1, expected a chance"),
        ("shift_chance", 1.1, "shift_chance is 1.1, expected a chance"),
        ("rotation_chance", 2.0, "rotation_chance is 2.0, expected a chance"),
        ("blur", -1.0, "blur is -1.0, expected a chance"),
        ("erase", 3.0, "erase is 3.0, expected a chance"),
        ("half_body_joints", -2, "half_body_joints is -2, expected 0 or more"),
        ("shift", -1.0, "shift is -1.0, expected a share of the box from 0 to 1"),
        ("scale", 1.5, "scale is 1.5, expected 0 to below 1"),
        ("scale", 1.0, "scale is 1.0, expected 0 to below 1"),
        ("rotation", -30.0, "rotation is -30.0, expected 0 to 180 degrees"),
        ("colour", 1.5, "colour is 1.5, expected a strength from 0 to 1"),
    ],
)
def test_senseless_ranges_are_refused(field: str, value: float, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        replace(Augmentation(), **{field: value})


def test_clipped_draws_lie_on_the_ends_of_their_ranges() -> None:
    augmentation = Augmentation(draws="clipped_normal", shift=0.0, scale=0.3, rotation=60.0, rotation_chance=1.0)
    rng = np.random.default_rng(0)
    changes = [draw_box_change(rng, augmentation) for _ in range(2000)]
    scales, rotations = (np.array([change[place] for change in changes]) for place in (1, 2))
    assert np.mean(np.isclose(scales, 1.3)) == pytest.approx(0.159, abs=0.03)  # beyond one deviation
    assert np.mean(np.isclose(rotations, 60)) == pytest.approx(0.023, abs=0.012)  # beyond two
    assert rotations[np.abs(rotations) < 59].std() == pytest.approx(27, abs=2)
    assert scales.min() == pytest.approx(0.7)
