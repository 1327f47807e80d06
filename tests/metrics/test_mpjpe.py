"""MPJPE and its relatives: a plain mean, what each fit undoes and what it must not."""

import numpy as np
import pytest

from vitruvian.metrics.mpjpe import action_of, align_similarity, mesh_pose, mpjpe, n_mpjpe, pa_mpjpe

RNG = np.random.default_rng(4)
TRUTH = RNG.normal(size=(2, 5, 3))


def turned(points: np.ndarray) -> np.ndarray:
    """Turned by 50 degrees about an oblique axis."""
    axis, angle = np.array([1, 2, 2]) / 3, np.radians(50)
    cross = np.cross(np.eye(3), axis)
    return points @ (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def test_the_mean_is_over_visible_joints() -> None:
    predicted = TRUTH.copy()
    predicted[0, 1] += [2, 3, 6]
    predicted[1, 4] += [0, 0, 1]
    assert mpjpe(predicted, TRUTH) == pytest.approx(0.8)
    visibility = np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 1]])
    assert mpjpe(predicted, TRUTH, visibility) == pytest.approx(8 / 3)
    assert np.isnan(mpjpe(predicted, TRUTH, 0 * visibility))


def test_a_similarity_is_undone() -> None:
    predicted = 0.3 * turned(TRUTH) + np.array([5.0, -2, 1])
    assert mpjpe(predicted, TRUTH) > 1
    np.testing.assert_allclose(align_similarity(predicted, TRUTH), TRUTH, atol=1e-12)
    assert pa_mpjpe(predicted, TRUTH) == pytest.approx(0, abs=1e-12)


def test_a_mirror_is_not_undone() -> None:
    predicted = TRUTH * [-1, 1, 1]
    assert pa_mpjpe(predicted, TRUTH) > 0.05
    # Turning as best one can is at least as good as not turning at all.
    assert ((align_similarity(predicted, TRUTH) - TRUTH) ** 2).sum() < ((predicted - TRUTH) ** 2).sum()


def test_hidden_joints_take_part_in_the_fit() -> None:
    predicted = TRUTH.copy()
    predicted[:, 0] += 3
    visible = np.ones((2, 5))
    visible[:, 0] = 0
    assert mpjpe(predicted, TRUTH, visible) == 0
    assert pa_mpjpe(predicted, TRUTH, visible) > 0.1


def test_a_scale_is_undone_about_the_origin() -> None:
    assert n_mpjpe(7 * TRUTH, TRUTH) == pytest.approx(0, abs=1e-12)
    assert n_mpjpe(7 * TRUTH + 1, TRUTH) > 0.1
    assert n_mpjpe(0 * TRUTH, TRUTH) == mpjpe(0 * TRUTH, TRUTH)


def test_a_single_point_becomes_the_middle() -> None:
    aligned = align_similarity(np.full_like(TRUTH, 3), TRUTH)
    np.testing.assert_allclose(aligned, np.broadcast_to(TRUTH.mean(1, keepdims=True), TRUTH.shape))


def test_the_14_joints_of_a_mesh_lie_about_the_hips() -> None:
    joints = RNG.normal(size=(2, 24, 3))
    pose = mesh_pose(joints)
    assert pose.shape == (2, 14, 3)
    np.testing.assert_allclose(pose[:, 2] + pose[:, 3], 0, atol=1e-12)
    np.testing.assert_allclose(pose[:, 13] - pose[:, 0], joints[:, 18] - joints[:, 0])


def test_actions_of_image_names() -> None:
    names = ("S11_Directions.54138969_000001.jpg", "S9_WalkDog_1.54138969_000006.jpg")
    assert [action_of(name) for name in names] == ["Directions", "WalkDog"]


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, K, 3\) twice"):
        mpjpe(TRUTH[..., :2], TRUTH[..., :2])
