"""NME: sizes of faces, means over images and landmarks, failures, and the area under the curve."""

import numpy as np
import pytest

from vitruvian.metrics.nme import eye_distance, longer_side, nme


def faces() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two faces of three landmarks, 10 and 20 px large; one landmark of each is off, by 3 and by 1 px."""
    truth = np.arange(12.0).reshape(2, 3, 2)
    predicted = truth.copy()
    predicted[0, 1] += [3, 0]
    predicted[1, 2] += [0, 1]
    return predicted, truth, np.array([10.0, 20.0])


def test_all_landmarks() -> None:
    figures = nme(*faces())
    assert (figures["NME"], figures["NME_points"]) == pytest.approx((0.35 / 6, 0.35 / 6))
    assert figures["FR@0.08"] == 0.5
    assert figures["AUC@0.1"] == pytest.approx((1 - 0.05 / 3 / 0.1) / 2)  # the first face adds nothing, it is at 0.1


def test_landmarks_that_do_not_count() -> None:
    visible = np.array([[1, 1, 0], [0, 0, 0]])
    figures = nme(*faces(), visible)
    assert figures["NME"] == figures["NME_points"] == pytest.approx(0.15)  # the second face has nothing to measure
    visible[1, 2] = 1
    figures = nme(*faces(), visible)
    assert (figures["NME"], figures["NME_points"]) == pytest.approx((0.1, 0.35 / 3))
    assert all(np.isnan(value) for value in nme(*faces(), np.zeros((2, 3))).values())


def test_sizes() -> None:
    truth = np.zeros((2, 29, 2))
    truth[:, 9] = [[3, 4], [6, 8]]
    assert eye_distance(truth, "cofw").tolist() == [5, 10]
    assert longer_side(np.array([[1, 2, 4, 9], [0, 0, 8, 3]])).tolist() == [7, 8]


def test_bad_shapes_and_sizes_are_named() -> None:
    predicted, truth, sizes = faces()
    with pytest.raises(ValueError, match="the size of face 1 is not above 0 px"):
        nme(predicted, truth, sizes * [1, 0])
    with pytest.raises(ValueError, match=r"predicted has shape \(1, 3, 2\)"):
        nme(predicted[:1], truth, sizes)
    with pytest.raises(ValueError, match=r"sizes \(1,\), expected \(2, 3\) and \(2,\)"):
        nme(predicted, truth, sizes[:1])
