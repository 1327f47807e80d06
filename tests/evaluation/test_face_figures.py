"""Figures of faces as `evaluate` gives them: AFLW by its boxes, WFLW's parts, and the faces of whole bodies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitruvian.data.faces import read_wflw
from vitruvian.data.labels import Labels
from vitruvian.data.reading import read_labels
from vitruvian.evaluation.faces import face_figures, face_rows, face_sizes, measures_faces, whole_body_face
from vitruvian.skeletons import AFLW, COCO, WFLW


def test_parts_of_wflw_are_scored_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 90, (3, 98, 2)).round(2)
    points[:, 72] = points[:, 60] + [30, 40]  # the eyes: 50 px
    attributes = ("1 0 0 0 0 0", "0 0 0 0 1 0", "1 0 0 0 1 0")
    rows = [f"{' '.join(map(str, one.ravel().tolist()))} 0 0 9 9 {own} a.jpg" for one, own in zip(points, attributes)]
    (tmp_path / "list.txt").write_text("\n".join(rows))
    labels = read_wflw(tmp_path / "list.txt")
    assert labels.subsets == (("pose", frozenset({0, 2})), ("occlusion", frozenset({1, 2})))
    off = np.array([1.0, 2, 6])[:, None]  # NME .02, .04, .12
    predicted = points + np.stack([off, 0 * off], -1)
    figures = face_figures(labels, predicted, points, np.full((3, 98), 2), np.ones(3), [0, 1, 2])
    assert (figures["NME"], figures["FR@0.1"]) == pytest.approx((0.06, 1 / 3))
    assert {name: own["NME"] for name, own in figures["subsets"].items()} == pytest.approx(
        {"pose": 0.07, "occlusion": 0.08}
    )
    assert face_rows(figures)[1:3] == [
        ["all landmarks", "6.00", "6.00", "33.33", "33.33", "46.67"],
        ["  pose", "7.00", "7.00", "50.00", "50.00", "40.00"],
    ]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("helen/testset", "ibug", "lfpw/testset"), {"common": 0.02, "challenging": 0.06}),
        (("helen/trainset", "afw", "lfpw/trainset"), None),
        (("helen/testset", "helen/testset", "lfpw/testset"), None),
    ],
)
def test_300w_is_scored_by_the_folders_of_its_photos(
    tmp_path: Path, folders: tuple[str, ...], expected: dict | None
) -> None:
    truth = np.random.default_rng(1).uniform(10, 90, (3, 68, 2))
    truth[:, 45] = truth[:, 36] + [30, 40]  # the eyes: 50 px
    for number, (folder, points) in enumerate(zip(folders, truth)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        rows = "\n".join(f"{x} {y}" for x, y in points)
        (tmp_path / folder / f"{number}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}")
    labels = read_labels(tmp_path)
    order = [int(photo.path.stem) for photo in labels.photos]
    truth = truth[order]
    off = np.array([0.5, 3, 1.5])[order][:, None]  # NME .01, .06, .03
    predicted = truth + np.stack([off, 0 * off], -1)
    ids = [person for photo in labels.photos for person in photo.annotation_ids]
    figures = face_figures(labels, predicted, truth, np.full((3, 68), 2), np.ones(3), ids)
    found = {name: own["NME"] for name, own in figures["subsets"].items()} if "subsets" in figures else None
    assert found == (None if expected is None else pytest.approx(expected))


def test_aflw_goes_by_its_boxes(tmp_path: Path) -> None:
    labels = Labels(tmp_path, AFLW, ())
    truth = np.zeros((2, 19, 2))
    boxes = np.array([[0, 0, 50, 40], [0, 0, 100, 200]])
    assert face_sizes([None, None], boxes).tolist() == [50, 200]
    assert face_sizes([np.array([40.0, 80.0])], boxes).tolist() == [40, 80]
    figures = face_figures(labels, truth + np.array([2, 0]), truth, np.ones((2, 19)), face_sizes([None], boxes), [0, 1])
    assert figures["NME"] == pytest.approx((2 / 50 + 2 / 200) / 2)
    assert "subsets" not in figures
    assert [measures_faces(Labels(tmp_path, one, ())) for one in (AFLW, WFLW, COCO)] == [True, True, False]


def test_faces_of_whole_bodies_go_by_their_eyes() -> None:
    truth = np.random.default_rng(1).uniform(0, 90, (2, 133, 2))
    truth[:, 23 + 45] = truth[:, 23 + 36] + [0, 20]
    visibility = np.full((2, 133), 2)
    visibility[1, 23:91] = 0  # no face
    predicted = truth.copy()
    predicted[:, 23:91, 0] += 1
    assert whole_body_face(predicted, truth, visibility)["NME"] == pytest.approx(0.05)
    assert whole_body_face(predicted, truth, 0 * visibility) == {}
    predicted[0] = np.nan
    assert whole_body_face(predicted, truth, visibility)["NME"] == np.inf
