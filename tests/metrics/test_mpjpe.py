"""MPJPE and its relatives: a plain mean, what each fit undoes and what it must not, and tables by action."""

import numpy as np
import pytest

from vitruvian.metrics.mpjpe import (
    action_of,
    align_scale,
    align_similarity,
    auc_3d,
    is_misaligned,
    joint_errors,
    mesh_figures,
    mesh_pose,
    mpjpe,
    pck_3d,
    root_relative,
    space_figures,
)

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
    assert mpjpe(predicted, TRUTH, align="procrustes") == pytest.approx(0, abs=1e-12)


def test_a_mirror_is_not_undone() -> None:
    predicted = TRUTH * [-1, 1, 1]
    assert mpjpe(predicted, TRUTH, align="procrustes") > 0.05
    # Turning as best one can is at least as good as not turning at all.
    assert ((align_similarity(predicted, TRUTH) - TRUTH) ** 2).sum() < ((predicted - TRUTH) ** 2).sum()


def test_a_batch_is_fitted_pose_by_pose() -> None:
    predicted = RNG.normal(size=TRUTH.shape)
    for align in ("scale", "procrustes"):
        single = [joint_errors(predicted[n : n + 1], TRUTH[n : n + 1], align)[0] for n in range(2)]
        np.testing.assert_allclose(joint_errors(predicted, TRUTH, align), single, atol=1e-12)


def test_hidden_joints_take_part_in_the_fit() -> None:
    predicted = TRUTH.copy()
    predicted[:, 0] += 3
    visible = np.ones((2, 5))
    visible[:, 0] = 0
    assert mpjpe(predicted, TRUTH, visible) == 0
    assert mpjpe(predicted, TRUTH, visible, "procrustes") > 0.1


@pytest.mark.parametrize("align", ["scale", "procrustes"])
def test_unknown_places_take_no_part_in_the_fit(align) -> None:
    predicted, truth = RNG.normal(size=(2, 5, 3)), TRUTH.copy()
    truth[:, 2] = np.nan
    visible = np.isfinite(truth).all(axis=2)
    rest = [0, 1, 3, 4]
    expected = mpjpe(predicted[:, rest], TRUTH[:, rest], align=align)
    assert mpjpe(predicted, truth, visible, align) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="joint 2 of pose 0 is visible, but its place is NaN"):
        mpjpe(predicted, truth, align=align)


def test_a_scale_is_undone_about_the_origin() -> None:
    assert mpjpe(7 * TRUTH, TRUTH, align="scale") == pytest.approx(0, abs=1e-12)
    assert mpjpe(7 * TRUTH + 1, TRUTH, align="scale") > 0.1
    assert mpjpe(0 * TRUTH, TRUTH, align="scale") == mpjpe(0 * TRUTH, TRUTH)
    # <p, t> / <p, p> = (1 * 2 + 2 * 1) / (1 + 4)
    scaled = align_scale(np.array([[[1.0, 0, 0], [0, 2, 0]]]), np.array([[[2.0, 0, 0], [0, 1, 0]]]))
    np.testing.assert_allclose(scaled, [[[0.8, 0, 0], [0, 1.6, 0]]])


def test_a_single_point_becomes_the_middle() -> None:
    aligned = align_similarity(np.full_like(TRUTH, 3), TRUTH)
    np.testing.assert_allclose(aligned, np.broadcast_to(TRUTH.mean(1, keepdims=True), TRUTH.shape))


def test_the_root_is_taken_off() -> None:
    np.testing.assert_allclose(root_relative(np.array([[[1, 2, 3], [4, 6, 8]]]), 1), [[[-3, -4, -5], [0, 0, 0]]])


def test_shares_within_a_distance() -> None:
    truth = np.zeros((2, 2, 3))
    predicted = truth.copy()
    predicted[..., 0] = [[0, 149], [150, 52]]
    assert pck_3d(predicted, truth) == 75  # an error of just 150 mm is too much
    assert pck_3d(predicted, truth, np.array([[0, 1], [1, 0]])) == 50
    assert pck_3d(predicted, truth, limit=52) == 25
    # Limits 0, 5, ..., 150: 30 of 31 are above 0, 1 above 149, 0 above 150, 20 (55 to 150) above 52.
    assert auc_3d(predicted, truth) == pytest.approx(100 * (30 + 1 + 0 + 20) / 4 / 31)


def test_figures_by_action() -> None:
    truth = np.zeros((3, 2, 3))
    truth[:, 1] = [0, 100, 0]
    predicted = truth.copy()
    predicted[:, 1] += [[0, 30, 0], [0, 0, 40], [0, 200, 0]]
    figures = space_figures(predicted, truth, np.array([[1, 1], [1, 1], [0, 1]]), ["Walking", "Eating", "Walking"])
    assert figures["MPJPE"] == pytest.approx((30 + 40 + 200) / 5)
    assert figures["PA-MPJPE"] == pytest.approx(0, abs=1e-9)  # two points always fit
    assert figures["3DPCK@150"] == 80
    by_action = figures["actions"]
    assert list(by_action) == ["Eating", "Walking"]  # in the order of tables
    assert by_action["Eating"]["MPJPE"] == pytest.approx(20)
    assert by_action["Walking"]["MPJPE"] == pytest.approx(230 / 3)
    assert figures["MPJPE over actions"] == pytest.approx((20 + 230 / 3) / 2)
    assert "actions" not in space_figures(predicted, truth)


def test_the_14_joints_of_a_mesh_lie_about_the_hips() -> None:
    joints = RNG.normal(size=(2, 24, 3))
    pose = mesh_pose(joints)
    assert pose.shape == (2, 14, 3)
    np.testing.assert_allclose(pose[:, 2] + pose[:, 3], 0, atol=1e-12)
    np.testing.assert_allclose(pose[:, 13] - pose[:, 0], joints[:, 18] - joints[:, 0])


def test_mesh_figures_leave_out_what_the_protocol_does() -> None:
    truth = RNG.normal(size=(2, 24, 3))
    predicted = truth + np.array([3, -1, 2])
    predicted[:, 13:18] += 9
    predicted[:, 19:] -= 9
    predicted[0, 5] += [0, 0, 14]
    figures = mesh_figures(predicted, truth)
    assert figures["MPJPE"] == pytest.approx(14 / 28)
    assert figures["PA-MPJPE"] > 0
    visible = np.ones((2, 24))
    visible[0, 5] = 0
    assert mesh_figures(predicted, truth, visible)["MPJPE"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("S11_Directions.54138969_000001.jpg", "Directions"),
        ("S9_WalkDog_1.54138969_000006.jpg", "WalkDog"),
        ("S1/S1_Sitting_2.54138969/S1_Sitting_2.54138969_000001.jpg", "Sitting"),
        ("images_of/S9_SittingDown 1.54138969_000001.jpg", "SittingDown"),
        ("s_09_act_02_subact_01_ca_01/s_09_act_02_subact_01_ca_01_000001.jpg", "Directions"),
        ("s_11_act_16_subact_02_ca_04_000065.jpg", "WalkTogether"),
    ],
)
def test_actions_of_image_names(name, action) -> None:
    assert action_of(name) == action


@pytest.mark.parametrize("name", ["000001.jpg", "s_11_act_17_subact_02_ca_04_000065.jpg", "S9"])
def test_names_without_an_action_are_refused(name) -> None:
    with pytest.raises(ValueError, match="names no action, expected a name as S11_WalkDog"):
        action_of(name)


def test_three_sequences_are_misaligned() -> None:
    assert is_misaligned("s_09_act_05_subact_02_ca_03/s_09_act_05_subact_02_ca_03_000001.jpg")
    assert not is_misaligned("s_11_act_05_subact_02_ca_03_000001.jpg")


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, K, 3\) twice"):
        mpjpe(TRUTH[..., :2], TRUTH[..., :2])
    with pytest.raises(ValueError, match=r"visibility has shape \(2, 4\), expected \(2, 5\)"):
        mpjpe(TRUTH, TRUTH, np.ones((2, 4)))
    with pytest.raises(ValueError, match="align is 'rigid', expected None, 'scale' or 'procrustes'"):
        mpjpe(TRUTH, TRUTH, align="rigid")  # type: ignore[arg-type]


def test_poses_that_were_not_predicted_are_refused() -> None:
    predicted = TRUTH.copy()
    predicted[1, 3] = np.nan
    with pytest.raises(ValueError, match="the prediction of pose 1 is not finite; leave the pose out"):
        mpjpe(predicted, TRUTH)
