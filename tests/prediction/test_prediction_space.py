"""Predicted depths before the camera: what is given and what is assumed, results, drawings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vitruvian.backbones import BackboneConfig
from vitruvian.draw import MIDDLE, draw_in_space
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.geometry import Framing
from vitruvian.images import read_image, write_image
from vitruvian.methods import build
from vitruvian.methods.sar.method import Config
from vitruvian.prediction import Predictor
from vitruvian.prediction.files import predict_files
from vitruvian.prediction.networks import NetworkPredictor
from vitruvian.prediction.space import Viewpoint, before_camera, space_fields
from vitruvian.sample import Poses
from vitruvian.skeletons import H36M, Skeleton

THREE = Skeleton("three", ("root", "left_hand", "right_hand"), ((0, 1), (0, 2)), (0, 2, 1), (0.05,) * 3)


def two_people() -> Poses:
    points = np.array([[[50.0, 40, 0], [60, 40, 100], [40, 50, -50]], [[10, 20, 0], [12, 22, 30], [14, 24, 60]]])
    boxes = np.array([[0.0, 0, 40, 80], [0, 0, 30, 20]])
    return Poses(points.astype(np.float32), np.ones((2, 3), np.float32), np.ones(2), boxes)


def test_a_known_camera_and_distance_give_places_in_millimetres() -> None:
    viewpoint = Viewpoint((100.0, 200.0, 50.0, 40.0), 1000.0)
    joints, camera, roots = before_camera(two_people(), (100, 80), 1.25, viewpoint)
    np.testing.assert_allclose(joints[0], [[0, 0, 1000], [110, 0, 1100], [-95, 47.5, 950]], atol=1e-3)
    assert camera.tolist() == [100, 200, 50, 40]
    assert roots.tolist() == [1000, 1000]
    assert viewpoint.assumptions() == []


def test_without_them_a_usual_camera_and_a_crop_of_two_metres_are_assumed() -> None:
    joints, camera, roots = before_camera(two_people(), (100, 80), 1.25, Viewpoint())
    np.testing.assert_allclose(camera, [115, 115, 49.5, 39.5])
    np.testing.assert_allclose(roots, [2000 * 115 / 100, 2000 * 115 / 37.5])
    np.testing.assert_allclose(joints[:, 0, 2], roots)
    said = Viewpoint().assumptions()
    assert said[0].startswith("no camera was given: a focal length of 1.15 times the photo's longer side")
    assert said[1].startswith(
        "no distance was given: each person is put where the longer side of the crop measures 2 m"
    )


@pytest.mark.parametrize(
    ("camera", "depth", "message"),
    [
        ((0.0, 1, 2, 3), None, r"focal lengths are \(0.0, 1\) px; give numbers above 0"),
        (None, -5.0, "the root's depth is -5 mm; give the distance from the camera, above 0"),
        ((1.0, 1, float("nan"), 3), None, "give finite numbers"),
    ],
)
def test_what_is_no_camera_is_refused(camera, depth, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Viewpoint(camera, depth)


def test_poses_in_the_plane_have_no_further_fields() -> None:
    flat = two_people()
    flat = Poses(flat.keypoints[..., :2], flat.joint_scores, flat.scores, flat.boxes)
    assert space_fields(flat, (100, 80), 1.25, Viewpoint()) == [{}, {}]


def tiny(depth_range: float) -> Predictor:
    torch.manual_seed(0)
    config = Config(
        backbone=BackboneConfig("resnet18", channels=(8, 8, 16, 16)),
        framing=Framing(size=(64, 64)),
        deconv_channels=(),
        deconv_kernels=(),
        depth_range=depth_range,
    )
    experiment = Experiment(method=config, skeleton=H36M)
    return NetworkPredictor(build(experiment).eval(), experiment, "cpu")


def test_results_and_drawings_of_a_network_in_space(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    write_image(photo, np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    viewpoint = Viewpoint((100.0, 100.0, 45.0, 30.0), 3000.0)
    report = predict_files(tiny(2000.0), [photo], tmp_path / "out", progress=False, viewpoint=viewpoint)
    (record,) = json.loads(report.results.read_text())
    joints = np.array(record["keypoints_3d"]).reshape(17, 3)
    x, y, _ = np.array(record["keypoints"]).reshape(17, 3).T
    assert (record["camera"], record["root_depth"]) == ([100, 100, 45, 30], 3000)
    assert record["depths"][0] == 0
    np.testing.assert_allclose(joints[:, 2], 3000 + np.array(record["depths"]), atol=0.02)
    np.testing.assert_allclose(joints[:, 0], (x - 45) / 100 * joints[:, 2], atol=0.5)
    np.testing.assert_allclose(joints[:, 1], (y - 30) / 100 * joints[:, 2], atol=0.5)
    assert read_image(tmp_path / "out" / "photo.png").shape[1] > 4 * 480
    assumed = predict_files(tiny(2000.0), [photo], tmp_path / "out", progress=False, drawings=False)
    assert sum("--camera" in line or "--root-depth" in line for line in assumed.lines()) == 2
    with pytest.raises(InputError, match="the network finds no depths: leave out --camera and --root-depth"):
        predict_files(tiny(0.0), [photo], tmp_path / "out", progress=False, viewpoint=viewpoint)


def test_people_are_drawn_from_front_side_and_above() -> None:
    joints = np.array([[[0.0, -400, 3000], [300, 100, 2800], [-300, 400, 3500]]])
    photo = np.zeros((30, 40, 3), np.uint8)
    sheet = draw_in_space(photo, joints, np.ones((1, 3)), THREE, tile=200)
    pictures = np.split(sheet[:, -(len(sheet[0]) // 4) * 4 :], 4, axis=1)

    def root(picture: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(np.abs(picture[:200].astype(int) - MIDDLE).max(2) < 12)
        return np.array([columns.mean(), rows.mean()])

    extent = 1.2 * 800 + 300
    middle = np.array([0, 0, 3150])
    for picture, (across, down, sign) in zip(pictures[1:], ((0, 1, 1), (2, 1, 1), (0, 2, -1))):
        offset = (joints[0, 0] - middle)[[across, down]] * (1, sign) * 200 / extent
        np.testing.assert_allclose(root(picture), np.array([100, 100]) + offset, atol=6)
    np.testing.assert_array_equal(photo, 0)
