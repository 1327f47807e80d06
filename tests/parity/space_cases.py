"""Human3.6M as RLE's own code has it: labels, decoding and errors in space."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import torch
from parity.rle_cases import Features, batch_of, skeleton_of

from vitruvian.backbones import BackboneConfig
from vitruvian.cameras import in_space, project, world_to_camera
from vitruvian.crops import points_in_photo
from vitruvian.data.h36m import json_boxes
from vitruvian.data.space import with_mid_shoulder
from vitruvian.experiment import View, merge_decoded
from vitruvian.geometry import Framing, box_matrix, centre_and_scale, fix_aspect, transform_points
from vitruvian.images import normalise, warp
from vitruvian.methods.rle import method as rle
from vitruvian.methods.rle.method import AUTHORS_MEAN, AUTHORS_STD_3D, RLE, Config
from vitruvian.methods.rle.network import Maps
from vitruvian.metrics.mpjpe import align_similarity, joint_errors, root_relative
from vitruvian.skeletons import H36M_18, Skeleton

DEPTH_RANGE = 2000.0


def method_of(skeleton: Skeleton, size: tuple[int, int], depth_range: float = DEPTH_RANGE) -> RLE:
    """The authors' form in space, without a backbone."""
    framing = Framing(size=size, padding=1.0, mean=AUTHORS_MEAN, std=AUTHORS_STD_3D)
    config = Config(BackboneConfig("resnet18"), framing, form="authors", depth_range=depth_range)
    with patch.object(rle, "build_backbone", lambda backbone, size: Features(4)):
        return RLE(config, skeleton)


def of_cameras(given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Joints (B, 17, 3) in mm before the cameras (B, 4)."""
    world, rotation, position = (given[name].astype(np.float64) for name in ("joints_world", "R", "t"))
    return world_to_camera(world, rotation, position), np.concatenate([given["f"], given["c"]], 1).astype(np.float64)


def h36m_targets(case) -> None:
    given = case.inputs
    joints, cameras = of_cameras(given)
    joints = with_mid_shoulder(joints)
    case.compare("joint_cam", joints)
    places = np.concatenate([project(joints, cameras), joints[..., 2:] - joints[:, :1, 2:]], -1)
    case.compare("joint_img", places)
    boxes = json_boxes(given["bbox_xywh"].astype(np.float64), tuple(case.config["image_size"]))
    case.compare("bbox_xyxy", boxes)
    height, width = case.json["outputs"]["crop"]["full_shape"][2:]
    method = method_of(H36M_18, (width, height), case.config.get("depth_range", DEPTH_RANGE))
    framing = method.config.framing
    matrices = [box_matrix(box, framing) for box in boxes]
    crops = np.stack([warp(given["image"], matrix, framing.size) for matrix in matrices])
    case.compare("crop", normalise(torch.from_numpy(crops).permute(0, 3, 1, 2), framing.mean, framing.std))
    centre, scale = centre_and_scale(boxes, framing.padding)
    half = fix_aspect(scale, framing.size) / 2
    case.compare("crop_box", np.concatenate([centre - half, centre + half], -1))
    moved = np.stack([transform_points(one, matrix) for one, matrix in zip(places, matrices)])
    batch = batch_of(torch.from_numpy(moved).float(), torch.ones(moved.shape[:2]), framing.size)
    targets = method.targets(batch)
    centred = targets.points - torch.tensor([method.head.CENTRE, method.head.CENTRE, 0])
    case.compare("target_uvd", centred)
    case.compare("target_weight", targets.weights)


def h36m_evaluation(case) -> None:
    given, size = case.inputs, tuple(case.config.get("input_size", (256, 256)))
    joints, cameras = of_cameras(given)
    depth_range, root = case.config["depth_range"], case.config["root"]
    case.config.setdefault("num_keypoints", given["pred_jts"].shape[1])
    method = method_of(skeleton_of(case), size, depth_range)
    decoded = []
    for name in ("pred_jts", "pred_jts_flip"):
        points = torch.from_numpy(given[name]) + torch.tensor([method.head.CENTRE, method.head.CENTRE, 0])
        decoded.append(method.decode(Maps(points, torch.zeros_like(points))))
    views = [View(torch.zeros(2, 3, 5, 7)), View(torch.zeros(2, 3, 5, 7), mirrored=True)]
    points = merge_decoded(decoded, views, method.mirror, size[0] - 1).points[:, 0].double().numpy()
    plain = Framing(size=size, padding=1.0)
    to_photo = np.stack([np.linalg.inv(box_matrix(box, plain)) for box in given["crop_box"].astype(np.float64)])
    points = points_in_photo(points, to_photo)
    case.compare("uvd", points / [1, 1, depth_range])
    evaluated = joints.shape[1]
    predicted = root_relative(in_space(points[:, :evaluated], cameras, joints[:, root, 2]), root)
    truth = root_relative(joints, root)
    case.compare("pred_cam", predicted)
    aligned = align_similarity(predicted, truth)
    case.compare("pred_aligned", aligned)
    case.compare("mpjpe", joint_errors(predicted, truth).mean())
    case.compare("summary", [joint_errors(aligned, truth).mean(), *np.abs(predicted - truth).mean((0, 1))])


CASES = {
    ("sar", "h36m_targets"): h36m_targets,
    ("sar", "h36m_evaluation"): h36m_evaluation,
}
