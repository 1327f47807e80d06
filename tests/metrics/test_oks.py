import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.metrics.oks import nearby_nms, oks, oks_between, oks_nms, rescore, soft_oks_nms

SIGMAS = (0.5, 0.25, 0.125)  # (2 sigma)^2 is 1, 1/4, 1/16


def poses(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`number` poses of 3 joints in a few clusters, with scores and areas."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 40, (3, 3, 2))
    keypoints = centres[rng.integers(3, size=number)] + rng.normal(0, 1.5, (number, 3, 2))
    return keypoints, rng.uniform(0, 1, number), rng.uniform(20, 90, number)


def test_oks_is_the_mean_over_labelled_joints():
    truth = np.array([[[10.0, 10], [20, 10], [30, 10]], [[0, 0], [5, 5], [9, 0]]])
    predicted = np.stack([truth[0], truth[0] + [2, 0]])
    visibility = np.array([[2, 1, 0], [0, -1, 0]])
    similarity = oks(predicted, truth, visibility, np.array([2.0, 7.0]), SIGMAS)
    # d = 2 px and s^2 = 2 px^2: exp(-4 / (2 * 2 * 1)) and exp(-4 / (2 * 2 / 4))
    expected = (np.exp(-1) + np.exp(-4)) / 2
    np.testing.assert_allclose(similarity, [[1, 0], [expected, 0]], rtol=1e-14)
    assert similarity.dtype == np.float64


def test_oks_equals_the_plain_loop():
    rng = np.random.default_rng(0)
    predicted, truth = rng.uniform(0, 20, (4, 3, 2)), rng.uniform(0, 20, (5, 3, 2))
    visibility, areas = rng.integers(0, 3, (5, 3)), rng.uniform(50, 900, 5)
    visibility[:, 0] = 2
    for n, m in np.ndindex(4, 5):
        terms = [
            np.exp(-np.sum((predicted[n, k] - truth[m, k]) ** 2) / (2 * areas[m] * (2 * SIGMAS[k]) ** 2))
            for k in range(3)
            if visibility[m, k] > 0
        ]
        assert oks(predicted, truth, visibility, areas, SIGMAS)[n, m] == pytest.approx(np.mean(terms), abs=1e-14)


def test_what_is_not_labelled_may_be_nan():
    truth = np.array([[[1.0, 2], [np.nan, np.nan], [3, 4]], [[5, 6], [7, 8], [9, 9]]])
    visibility = np.array([[2, 0, 0], [2, 2, 2]])
    predicted = truth.copy()
    predicted[0, 1] = 0
    np.testing.assert_allclose(np.diag(oks(predicted, truth, visibility, np.array([3.0, 5.0]), SIGMAS)), 1)


def test_a_place_that_is_not_known_shows_at_once():
    truth = np.full((2, 3, 2), np.nan)
    assert np.isnan(oks(np.zeros((4, 3, 2)), truth, np.ones((2, 3)), np.ones(2), SIGMAS)).all()


def test_nobody_on_either_side():
    none, two = np.zeros((0, 3, 2)), np.ones((2, 3, 2))
    assert oks(none, two, np.ones((2, 3)), np.ones(2), SIGMAS).shape == (0, 2)
    assert oks(two, none, np.ones((0, 3)), np.ones(0), SIGMAS).shape == (2, 0)
    assert oks_nms(none, np.zeros(0), np.zeros(0), SIGMAS).shape == (0,)
    assert soft_oks_nms(none, np.zeros(0), np.zeros(0), SIGMAS).shape == (0,)
    assert rescore(np.zeros(0), np.zeros((0, 3))).shape == (0,)


def test_oks_names_the_shape_that_is_wrong():
    with pytest.raises(ValueError, match=r"poses have shape \(2, 4, 2\), expected \(N, 3, 2\) for 3 sigmas"):
        oks_between(np.zeros((2, 4, 2)), np.ones(2), SIGMAS)
    with pytest.raises(ValueError, match=r"visibility has shape \(3, 2\), expected \(2, 3\)"):
        oks(np.zeros((4, 3, 2)), np.zeros((2, 3, 2)), np.ones((3, 2)), np.ones(2), SIGMAS)


def test_oks_between_takes_all_joints_and_the_mean_area():
    keypoints = np.zeros((2, 3, 2))
    keypoints[1, :, 1] = 2
    similarity = oks_between(keypoints, np.array([1.0, 3.0]), SIGMAS)
    other = (np.exp(-1) + np.exp(-4) + np.exp(-16)) / 3
    np.testing.assert_allclose(similarity, [[1, other], [other, 1]], rtol=1e-14)


def test_oks_nms_keeps_the_best_of_each_group_and_who_only_resembles_the_suppressed():
    # In a row: 0 resembles 1, 1 resembles 2, but 0 does not resemble 2.
    keypoints = np.zeros((4, 3, 2))
    keypoints[:, :, 0] = np.array([0.0, 1.0, 2.0, 50.0])[:, None]
    areas = np.full(4, 40.0)
    assert oks_between(keypoints, areas, SIGMAS)[0, 1] > 0.9 > oks_between(keypoints, areas, SIGMAS)[0, 2]
    kept = oks_nms(keypoints, np.array([0.8, 0.7, 0.6, 0.9]), areas, SIGMAS)
    assert kept.tolist() == [3, 0, 2]


def test_oks_nms_keeps_who_is_as_similar_as_the_threshold():
    keypoints, scores, areas = np.zeros((2, 3, 2)), np.array([0.5, 0.5]), np.ones(2)
    assert oks_nms(keypoints, scores, areas, SIGMAS, threshold=1.0).tolist() == [0, 1]
    assert oks_nms(keypoints, scores, areas, SIGMAS, threshold=0.99).tolist() == [0]


@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from([0.3, 0.5, 0.9]))
def test_oks_nms_leaves_nobody_in_doubt(seed, number, threshold):
    keypoints, scores, areas = poses(number, seed)
    similarity = oks_between(keypoints, areas, SIGMAS)
    kept = oks_nms(keypoints, scores, areas, SIGMAS, threshold).tolist()
    assert kept == sorted(kept, key=lambda index: -scores[index])
    for index in range(number):
        duplicate = [k for k in kept if k != index and scores[k] > scores[index] and similarity[k, index] > threshold]
        assert bool(duplicate) != (index in kept)


@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from([0.3, 0.9]))
def test_oks_nms_of_many_images_is_that_of_each(seed, number, threshold):
    keypoints, scores, areas = poses(number, seed)
    images = np.random.default_rng(seed).choice([4, 2, 9], number)
    seen = np.random.default_rng(seed).random(keypoints.shape[:2]) < 0.8
    together = oks_nms(keypoints, scores, areas, SIGMAS, threshold, seen, images)
    apart = []
    for image in (2, 4, 9):
        here = np.flatnonzero(images == image)
        kept = oks_nms(keypoints[here], scores[here], areas[here], SIGMAS, threshold, seen[here])
        apart += here[kept].tolist()
    assert together.tolist() == apart


def test_pairs_are_compared_in_parts(monkeypatch):
    keypoints, scores, areas = poses(9, 3)
    whole = oks_nms(keypoints, scores, areas, SIGMAS, 0.3)
    monkeypatch.setattr("vitruvian.metrics.oks.PAIRS", 7)
    assert oks_nms(keypoints, scores, areas, SIGMAS, 0.3).tolist() == whole.tolist()
    assert len(whole) < 9


@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from([3, 20]))
def test_soft_oks_nms_equals_sorting_again_after_each_pick(seed, number, limit):
    keypoints, scores, areas = poses(number, seed)
    similarity = oks_between(keypoints, areas, SIGMAS)
    left, expected = dict(enumerate(scores)), []
    while left and len(expected) < limit:
        best = max(left, key=lambda index: left[index])
        expected.append(best)
        del left[best]
        left = {index: score * np.exp(-(similarity[best, index] ** 2) / 0.5) for index, score in left.items()}
    assert soft_oks_nms(keypoints, scores, areas, SIGMAS, 0.5, limit).tolist() == expected


def test_soft_oks_nms_does_not_touch_the_scores():
    keypoints, scores, areas = poses(7, 1)
    before = scores.copy()
    soft_oks_nms(keypoints, scores, areas, SIGMAS)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("box_keypoint", [0.5 * 0.7, 0.0]),  # .2 itself does not count, and nobody is 0
        ("box_rle", [0.5 + 1.6 / 3 + 0.8, 1.0 + 0.1 + 0.15]),
        ("box", [0.5, 1.0]),
        ("keypoint", [1.6 / 3, 0.1]),
    ],
)
def test_rescore(mode, expected):
    joint_scores = np.array([[0.8, 0.2, 0.6], [0.1, 0.05, 0.15]])
    np.testing.assert_allclose(rescore(np.array([0.5, 1.0]), joint_scores, mode), expected, rtol=1e-14)


def test_rescore_with_another_threshold():
    assert rescore([0.5, 1.0], [[0.8, 0.2, 0.6], [0.1, 0.9, 0.2]], threshold=0.7).tolist() == [0.4, 0.9]


def test_rescore_names_the_modes():
    with pytest.raises(ValueError, match="mode is 'bbox', expected one of box_keypoint, box_rle, box, keypoint"):
        rescore(np.ones(2), np.ones((2, 3)), mode="bbox")
    with pytest.raises(ValueError, match=r"box_scores has shape \(3,\) and joint_scores \(2, 3\)"):
        rescore(np.ones(3), np.ones((2, 3)))


def test_without_a_labelled_joint_the_distance_is_that_from_the_enlarged_box() -> None:
    sigmas, areas = np.array([0.1, 0.2, 0.3]), np.array([400.0, 900.0])
    truth = np.full((2, 3, 2), np.nan)
    truth[1] = [[5, 6], [7, 8], [9, 10]]
    boxes = np.array([[100, 100, 120, 140], [0, 0, 10, 10]])
    predicted = np.array([[[80, 60], [140, 180], [110, 120]], [[77, 60], [140, 184], [110, 56]]], float)
    found = oks(predicted, truth, np.array([[0, 0, 0], [2, 1, 0]]), areas, sigmas, boxes)
    assert found[0, 0] == 1  # corners and middle of the box enlarged from (80, 60) to (140, 180)
    squares = np.array([9, 16, 16])
    assert found[1, 0] == pytest.approx(np.exp(-squares / (2 * 400 * (2 * sigmas) ** 2)).mean())
    plain = oks(predicted, truth, np.array([[0, 0, 0], [2, 1, 0]]), areas, sigmas)
    np.testing.assert_array_equal(found[:, 1], plain[:, 1])
    assert plain[:, 0].tolist() == [0, 0]


def test_only_joints_seen_in_both_poses_count() -> None:
    points = np.array([[[0, 0], [10, 0], [0, 10]], [[0, 0], [90, 0], [0, 10]], [[0, 0], [10, 0], [0, 10]]], float)
    areas, sigmas = np.array([100.0, 100, 100]), np.array([0.1, 0.1, 0.1])
    seen = np.array([[True, True, False], [True, False, True], [False, False, True]])
    similarity = oks_between(points, areas, sigmas, seen)
    np.testing.assert_allclose(similarity, [[1, 1, 0], [1, 1, 1], [0, 1, 1]])
    assert oks_nms(points, np.array([0.9, 0.8, 0.7]), areas, sigmas, 0.9, seen).tolist() == [0, 2]
    assert oks_nms(points, np.array([0.9, 0.8, 0.7]), areas, sigmas, 0.9).tolist() == [0, 1]


def test_poses_with_many_joints_nearby_are_one_person() -> None:
    pose = np.array([[0, 0], [30, 0], [0, 40], [30, 40]], float)  # a diagonal of 50 px
    near = pose + np.array([[4, 0], [0, 4], [4, 0], [90, 0]])
    half = pose + np.array([[4, 0], [0, 4], [60, 0], [150, 0]])
    poses, scores = np.stack([pose, near, half]), np.array([0.5, 0.9, 0.7])
    assert nearby_nms(poses, scores, 0.1).tolist() == [1, 2]  # three of four joints, and two of them
    assert nearby_nms(poses, scores, 0.1, count=1).tolist() == [1]
    assert nearby_nms(poses, scores, 0.05).tolist() == [1, 2, 0]
    assert nearby_nms(poses, scores, 0.05, limit=2).tolist() == [1, 2]
    assert nearby_nms(poses[:0], scores[:0], 0.1).tolist() == []
