import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.metrics.pck import (
    MPII_GROUPS,
    auc,
    epe,
    jhmdb_pck,
    jhmdb_torsos,
    mean_of_known,
    pckh,
    size_pck,
    torso_pck,
)

JOINTS = ("left_hip", "right_hip", "neck", "left_shoulder", "right_shoulder")


def mpii(errors: np.ndarray) -> dict:
    """Arguments of `pckh` for two people with heads of 10 and 20 px, off by `errors` (2, 16) px to the right."""
    truth = np.random.default_rng(0).integers(50, 200, (2, 16, 2)).astype(np.float64)
    predicted = truth + np.stack([errors, np.zeros((2, 16))], axis=2)
    heads = np.array([10.0, 20.0])
    return {"predicted": predicted, "truth": truth, "visibility": np.full((2, 16), 2), "head_sizes": heads}


def test_pckh_of_exact_predictions():
    figures = pckh(**mpii(np.zeros((2, 16))))
    assert figures == dict.fromkeys([*MPII_GROUPS, "Mean", "Mean@0.1", "Mean@0.11"], 100.0)


def test_pckh_by_group_and_the_mean_that_leaves_pelvis_and_thorax_out():
    errors = np.zeros((2, 16))
    errors[:, [6, 7]] = 500  # not counted
    errors[0, 9] = 6  # head of the first person: .6 head sizes
    errors[1, [12, 13]] = 30  # both shoulders of the second
    errors[:, 10] = 30  # the right wrist of both
    figures = pckh(**mpii(errors))
    assert {name: value for name, value in figures.items() if value != 100} == {
        "Head": 50.0,
        "Shoulder": 50.0,
        "Wrist": 50.0,
        "Mean": pytest.approx(100 * 23 / 28),
        "Mean@0.1": pytest.approx(100 * 23 / 28),
        "Mean@0.11": pytest.approx(100 * 23 / 28),
    }


def test_pckh_counts_an_error_of_exactly_the_threshold_unless_told_otherwise():
    errors = np.zeros((2, 16))
    errors[0, 9], errors[1, 9] = 5, 10  # half a head each
    people = mpii(errors)
    assert pckh(**people)["Head"] == 100
    assert pckh(**people, inclusive=False)["Head"] == 0


def test_hrnets_figure_at_a_tenth_is_the_one_at_eleven_hundredths():
    errors = np.zeros((2, 16))
    errors[0] = 1.05  # .105 of the head
    figures = pckh(**mpii(errors))
    assert figures["Mean@0.1"] == 50
    assert figures["Mean@0.11"] == 100


def test_pckh_groups_are_plain_means_of_sides_and_the_mean_weighs_by_labels():
    errors = np.zeros((2, 16))
    errors[0, 0] = 100  # the right ankle of the first person is wrong
    people = mpii(errors)
    people["visibility"][1, 0] = 0  # that of the second is not labelled, nor any knee
    people["visibility"][:, [1, 4]] = 0
    people["truth"][1, 0] = np.nan
    figures = pckh(**people, thresholds=[0.5])
    assert figures["Ankle"] == 50  # right 0 of 1, left 2 of 2
    assert np.isnan(figures["Knee"])
    assert figures["Mean"] == pytest.approx(100 * 22 / 23)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predicted": np.zeros((2, 15, 2))}, r"predicted has shape \(2, 15, 2\), truth \(2, 16, 2\)"),
        ({"head_sizes": np.array([3.0, 0.0])}, "expected 2 sizes, all above 0 px"),
        ({"truth": np.full((2, 16, 2), np.nan)}, "joint 0 of person 0 is labelled, but its place is NaN"),
    ],
)
def test_pckh_names_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        pckh(**(mpii(np.zeros((2, 16))) | change))


def test_pckh_is_of_mpii_alone():
    with pytest.raises(ValueError, match="16 joints of MPII, found 5"):
        pckh(np.zeros((2, 5, 2)), np.zeros((2, 5, 2)), np.ones((2, 5)), np.ones(2))


def torso() -> dict:
    """Four people: torso of 10 px, the other torso of 20 px, a box of 60 x 80 px, and one who is not labelled."""
    truth = np.zeros((4, 5, 2))
    truth[0] = [[50, 50], [6, 8], [0, 0], [0, 0], [90, 90]]
    truth[1] = [[12, 16], [0, 0], [0, 0], [0, 0], [0, 0]]
    visibility = np.array([[2, 1, 2, 2, 2], [2, 2, 2, 0, 2], [0, 2, 2, 2, 0], [0, 0, 0, 0, 0]])
    visibility[2, 1] = 0
    truth[visibility == 0] = np.nan
    boxes = np.array([[0.0, 0, 500, 500], [0, 0, 500, 500], [10, 20, 70, 100], [0, 0, 9, 9]])
    return {"truth": truth, "visibility": visibility, "boxes": boxes, "joints": JOINTS}


def test_torso_pck_takes_the_first_of_three_lengths_that_there_is():
    people = torso()
    # Lengths are 10, 20 and 80 / 2 = 40: the errors below are .2, .1 and just more than .2 of them.
    errors = np.array([2.0, 2.0, 8.001, 0.0])
    figures = torso_pck(people["truth"] + np.stack([errors, np.zeros(4)], axis=1)[:, None], **people)
    assert figures == pytest.approx(
        {
            "PCK@0.2": 100 * 9 / 11,
            "PCK@0.1": 100 * 4 / 11,
            "left_hip@0.2": 100,
            "right_hip@0.2": 100,
            "neck@0.2": 200 / 3,
            "left_shoulder@0.2": 50,
            "right_shoulder@0.2": 100,
            "left_hip@0.1": 50,
            "right_hip@0.1": 50,
            "neck@0.1": 100 / 3,
            "left_shoulder@0.1": 0,
            "right_shoulder@0.1": 50,
            "torso": 100 / 3,
            "other torso": 100 / 3,
            "box": 100 / 3,
        }
    )


@given(st.integers(0, 10**6))
def test_torso_pck_equals_the_plain_loop(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.uniform(0, 50, (2, 7, 5, 2))
    predicted = truth + 0.2 * (predicted - truth)
    visibility = rng.integers(0, 3, (7, 5))
    corner = rng.uniform(0, 9, (7, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 60, (7, 2))], axis=1)
    right = total = 0
    for person in range(7):
        left_hip, right_hip, _, left_shoulder, right_shoulder = visibility[person] > 0
        if left_shoulder and right_hip:
            length = np.linalg.norm(truth[person, 3] - truth[person, 1])
        elif right_shoulder and left_hip:
            length = np.linalg.norm(truth[person, 4] - truth[person, 0])
        else:
            length = max(boxes[person, 2] - boxes[person, 0], boxes[person, 3] - boxes[person, 1]) / 2
        for joint in np.flatnonzero(visibility[person] > 0):
            total += 1
            right += np.linalg.norm(predicted[person, joint] - truth[person, joint]) <= 0.2 * length
    figures = torso_pck(predicted, truth, visibility, boxes, JOINTS)
    assert figures["PCK@0.2"] == pytest.approx(100 * right / total)
    assert figures["PCK@0.1"] <= figures["PCK@0.2"]
    assert figures["torso"] + figures["other torso"] + figures["box"] == pytest.approx(100)


def test_a_prediction_that_is_nan_is_wrong():
    people = torso()
    predicted = people["truth"].copy()
    predicted[0, 2] = np.nan
    assert torso_pck(predicted, **people)["PCK@0.2"] == pytest.approx(1000 / 11)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": ("left_hip", "right_hip", "neck", "left_shoulder", "head")}, "needs the joint 'right_shoulder'"),
        ({"joints": JOINTS[1:]}, "there are 4 joint names for 5 joints"),
        ({"boxes": np.zeros((3, 4))}, r"boxes has shape \(3, 4\), expected \(4, 4\)"),
    ],
)
def test_torso_pck_names_what_is_wrong(change, message):
    people = torso() | change
    with pytest.raises(ValueError, match=message):
        torso_pck(people["truth"], **people)


def test_pck_by_any_size_is_strict_and_leaves_out_people_without_a_size() -> None:
    truth = np.zeros((3, 2, 2))
    predicted = truth + np.array([[[1, 0], [0, 3]], [[2, 0], [0, 0]], [[9, 9], [9, 9]]])
    visibility = np.array([[1, 1], [1, 0], [1, 1]])
    by_joint = size_pck(predicted, truth, visibility, np.array([20, 20, 0]), 0.1)
    assert by_joint.tolist() == [50, 0]  # an error of 2 of 20 px is not less than a tenth
    visibility[:, 1] = 0
    by_joint = size_pck(predicted, truth, visibility, np.array([20, 20, 0]), 0.1)
    assert np.isnan(by_joint[1])
    assert mean_of_known(by_joint) == 50


def test_area_under_the_curve_and_end_point_error() -> None:
    truth = np.zeros((2, 2, 2))
    predicted = truth + np.array([[[3, 4], [0, 12]], [[50, 0], [0, 0]]])
    visibility = np.array([[1, 1], [0, 0]])
    assert epe(predicted, truth, visibility) == 8.5
    # limits 0, 10, 20 px: none, one, and both joints are right
    assert auc(predicted, truth, visibility, limit=30, steps=3) == pytest.approx((0 + 50 + 100) / 3)
    assert np.isnan(epe(predicted, truth, 0 * visibility))


def test_jhmdb() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, (2, 15, 2))
    truth[:, 4], truth[:, 5] = [[10, 10], [7, 7]], [[40, 50], [7.5, 7]]
    predicted = truth.copy()
    predicted[1, 5] += [0, 12]  # the second torso has no length of its own
    torsos = jhmdb_torsos(predicted, truth)
    np.testing.assert_allclose(torsos, [50, np.hypot(0.5, 12)])
    figures = jhmdb_pck(predicted, truth, np.ones((2, 15)), torsos)
    assert figures["Hip"] == 75
    assert figures["PCK"] == pytest.approx(100 * 29 / 30)
    assert [name for name, value in figures.items() if value == 100] == [
        *("Head", "Shoulder", "Elbow", "Wrist", "Knee", "Ankle")
    ]
