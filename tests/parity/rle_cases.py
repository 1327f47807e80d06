"""RLE against both published codes: the authors' and MMPose's."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from vitruvian.backbones import BackboneConfig
from vitruvian.data.loading import box_matrix
from vitruvian.experiment import View, forward_views, merge_decoded
from vitruvian.geometry import Framing, centre_and_scale, fix_aspect, transform_points
from vitruvian.heatmaps import draw_gaussians, to_cells
from vitruvian.images import normalise, warp
from vitruvian.methods.rle import method as rle
from vitruvian.methods.rle import weights
from vitruvian.methods.rle.loss import negative_log_density, standardised_errors
from vitruvian.methods.rle.method import AUTHORS_MEAN, AUTHORS_STD, RLE, Config, Targets
from vitruvian.sample import HIDDEN, Batch, People
from vitruvian.skeletons import Skeleton


class Features(nn.Module):
    """A backbone whose input is the feature map already."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.strides = (channels,), (32,)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs,)


def tensors(case) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in case.inputs.items()}


def skeleton_of(case) -> Skeleton:
    """As many joints as the case has, with its mirror; in space the first one is the root."""
    in_space = case.config.get("dims", 2) == 3
    count = case.config["num_keypoints"]
    mirror = list(case.config.get("flip_indices", range(count)))
    for left, right in case.config.get("joint_pairs", ()):
        mirror[left], mirror[right] = right, left
    names = ["root" if in_space else "joint 0", *(f"joint {i}" for i in range(1, count))]
    return Skeleton("case", tuple(names), (), tuple(mirror), (0.08,) * count)


def config_of(case, **changes) -> Config:
    framing = Framing(size=tuple(case.config.get("input_size", (192, 256))))
    return Config(framing=framing, **changes)


def load(method: RLE, state: dict[str, np.ndarray]) -> None:
    """Fills the network from the reference's tensors by their names in a checkpoint."""
    reference = {name: torch.from_numpy(array) for name, array in state.items()}
    method.load_state_dict(weights.from_reference(reference, method).state)


def on_features(case, config: Config, channels: int) -> RLE:
    """The method above given feature maps, with the case's weights."""
    with patch.object(rle, "build_backbone", lambda backbone, size: Features(channels)):
        method = RLE(config, skeleton_of(case))
    heads = ("fc.", "loss_module.")
    state = {f"head.{n}" if n.startswith(heads) else n: array for n, array in case.state_dict().items()}
    load(method, state)
    return method


def our_parameter(method: RLE, name: str) -> Tensor:
    """The parameter that the reference calls `name`, without the prefix of MMPose's heads."""
    full = f"head.{name}" if name.startswith(("fc.", "loss_module.")) else name
    return dict(method.named_parameters())[weights.ours(full) or ""]


def compare_gradients(case, method: RLE, loss: Tensor, features: Tensor) -> None:
    """Gradients of the loss: to the features, 2-norms of all parameters, and some parameters' own."""
    single = [name for name in case.output_names if name.startswith("grad.") and name != "grad.feat"]
    full = [name.removeprefix("grad.").replace("flow.", "loss_module.flow_model.") for name in single]
    if method.config.form == "authors":
        full = [name.removeprefix("grad.") for name in single]
    names = case.config["grad_norm_names"] + full
    gradient, *others = torch.autograd.grad(loss, [features, *(our_parameter(method, name) for name in names)])
    case.compare("grad.feat", gradient.flatten(1) if case.inputs["feat"].ndim == 2 else gradient)
    case.compare("grad_norm", torch.stack([other.norm() for other in others[: len(names) - len(full)]]))
    for name, value in zip(single, others[len(names) - len(full) :]):
        case.compare(name, value)


def rle_loss(case) -> None:
    """MMPose's head and loss: errors, flow, densities, value and gradients."""
    given, config = tensors(case), case.config
    changes = {"density": config["q_distribution"], "residual": config.get("residual", True)}
    method = on_features(case, config_of(case, **changes), config["in_channels"])
    features = given["feat"][..., None, None].requires_grad_()
    targets = Targets(given["labels"], given["weights"])
    maps = method(features, None, targets)
    case.compare("prediction", torch.cat([maps.points, maps.sigma_logits], -1))
    with torch.no_grad():
        errors = standardised_errors(maps.points, maps.sigma_logits, targets.points).flatten(0, 1)
        latent, log_determinant = method.flow.to_latent(errors)
    case.compare("error", errors)
    case.compare("latent", latent)
    case.compare("log_det", log_determinant)
    case.compare("log_prob", method.flow(errors))
    loss = torch.stack(list(method.loss(maps, targets).values())).sum()
    case.compare("loss", loss)
    compare_gradients(case, method, loss, features)


def rle_predict(case) -> None:
    """Pooling, head, decoding and the flip test of MMPose."""
    given = tensors(case)
    method = on_features(case, config_of(case), case.config["in_channels"]).eval()
    width = method.config.framing.size[0]
    views = [View(given["feat"]), View(given["feat_flip"], mirrored=True)]
    with torch.inference_mode():
        plain, both = method.predict(views[:1]), method.predict(views)
        if not case.config["shift_coords"]:
            decoded = [method.decode(maps) for maps in forward_views(method, views)]
            both = merge_decoded(decoded, views, method.mirror, width)
    for name, decoded in (("", plain), ("_flip_test", both)):
        case.compare(f"keypoints{name}", decoded.points[:, 0])
        case.compare(f"scores{name}", decoded.joint_scores[:, 0])


def authors_form(case, **changes) -> Config:
    return config_of(case, form="authors", **changes)


def centred(method: RLE, points: Tensor) -> Tensor:
    """Points (..., 2 or 3) in fractions as the authors count x and y: from the middle of the input."""
    return torch.cat([points[..., :2] - method.head.CENTRE, points[..., 2:]], -1)


def rle_official_loss(case) -> None:
    """The authors' head and loss: value, terms and gradients."""
    given, size, axes = tensors(case), len(case.inputs["feat"]), case.config.get("dims", 2)
    in_space = {"depth_range": 2000.0} if axes == 3 else {}
    method = on_features(case, authors_form(case, **in_space), case.inputs["feat"].shape[1])
    labels = given["target"].reshape(size, -1, axes)
    labels = torch.cat([labels[..., :2] + method.head.CENTRE, labels[..., 2:]], -1)
    flags = given["weight"].reshape(size, -1, axes)
    assert torch.equal(flags[..., 0], flags[..., 1]), "x and y have different weights, which no keypoint here has"
    features = given["feat"].requires_grad_()
    targets = Targets(labels, flags[..., 0] if axes == 2 else flags)
    maps = method(features, None, targets)
    case.compare("pred_jts", centred(method, maps.points))
    case.compare("sigma", maps.sigma_logits.sigmoid())
    with torch.no_grad():
        errors = standardised_errors(maps.points, maps.sigma_logits, labels)
        log_phi = method.log_phi(errors, targets)
        case.compare("nf_loss", nn.functional.logsigmoid(maps.sigma_logits) - log_phi[..., None])
        case.compare("log_q", negative_log_density(errors, maps.sigma_logits, "laplace", "authors"))
    loss = torch.stack(list(method.loss(maps, targets).values())).sum()
    case.compare("loss", loss)
    compare_gradients(case, method, loss, features)


def rle_official_network(case) -> None:
    """The authors' whole network, flip test, and the way back to the photo; in space depths count from joint 0."""
    state = case.state_dict()
    depth = {16: 50, 33: 101, 50: 152}[sum(name.endswith(".bn3.weight") for name in state)]
    in_space = {"depth_range": 2000.0} if case.config.get("dims", 2) == 3 else {}
    config = authors_form(case, backbone=BackboneConfig(f"resnet{depth}"), **in_space)
    method = RLE(config, skeleton_of(case)).eval()
    load(method, state)
    image = tensors(case)["image"]
    views = [View(image), View(image.flip(3), mirrored=True)]
    with torch.inference_mode():
        case.compare("feature", method.backbone(image)[-1])
        maps = method(image)
        both = method.predict(views)
    plain = method.decode(maps)
    axes = np.array(method.axes)
    case.compare("pred_jts", centred(method, plain.points[:, 0] / torch.from_numpy(axes)))
    case.compare("sigma", maps.sigma_logits.sigmoid())
    case.compare("maxvals", plain.joint_scores[:, 0, :, None])
    size = config.framing.size
    points, scores = both.points[:, 0].numpy(), both.joint_scores[:, 0]
    case.compare("pred_jts_flip_test", centred(method, torch.from_numpy(points / axes)))
    case.compare("maxvals_flip_test", scores[..., None])
    matrices = [np.linalg.inv(box_matrix(box, Framing(size=size, padding=1.0))) for box in case.inputs["boxes"]]
    in_photo = np.stack([transform_points(p, m) for p, m in zip(points.astype(float), matrices)])
    case.compare("keypoints", in_photo / [1, 1, *axes[2:]])
    case.compare("scores", scores[..., None])
    case.compare("instance_score_terms", scores.mean(1) + scores.amax(1))


def rle_official_targets(case) -> None:
    """The authors' crop, normalisation and targets, and those of their heatmap baseline."""
    given = case.inputs
    height, width = case.json["outputs"]["crop"]["full_shape"][2:]
    framing = Framing(size=(width, height), padding=case.config["padding"], mean=AUTHORS_MEAN, std=AUTHORS_STD)
    config = Config(BackboneConfig("resnet18"), framing, form="authors")
    with patch.object(rle, "build_backbone", lambda backbone, size: Features(4)):
        method = RLE(config, Skeleton("case", ("a",), (), (0,), (0.08,)))
    matrices = [box_matrix(box, framing) for box in given["boxes"]]
    crops = np.stack([warp(given["image"], matrix, framing.size) for matrix in matrices])
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2)
    case.compare("crop", normalise(pixels, framing.mean, framing.std))
    centre, scale = centre_and_scale(given["boxes"], framing.padding)
    half = fix_aspect(scale, framing.size) / 2
    case.compare("crop_box", np.concatenate([centre - half, centre + half], -1))
    points = np.stack([transform_points(p, m) for p, m in zip(given["keypoints"].astype(float), matrices)])
    batch = batch_of(torch.from_numpy(points).float(), torch.from_numpy(given["visible"]), framing.size)
    targets = method.targets(batch)
    # The authors send only visible keypoints through the crop's matrix: the others keep the photo's pixels.
    visible = given["visible"][..., None] > 0
    unmoved = given["keypoints"] / framing.size
    case.compare("target_uv", np.where(visible, targets.points.numpy(), unmoved) - method.head.CENTRE)
    case.compare("target_uv_weight", targets.weights[..., None].expand(-1, -1, 2))
    rows, columns = case.json["outputs"]["target_heatmap"]["full_shape"][2:]
    map_size, sigma = (columns, rows), case.config.get("sigma", 2.0)
    cells = to_cells(batch.everyone.keypoints, framing.size, map_size, "pixel")
    case.compare("target_heatmap", draw_gaussians(cells, batch.everyone.visibility >= HIDDEN, map_size, sigma)[0])


def batch_of(points: Tensor, visible: Tensor, size: tuple[int, int]) -> Batch:
    """One person a crop of `size` (W, H), for each row of points (B, K, 2); the places of hidden ones are not known."""
    count, seen = len(points), visible > 0.5
    return Batch(
        inputs=torch.zeros(count, 3, size[1], size[0], dtype=torch.uint8),
        everyone=People(
            keypoints=torch.where(seen[..., None], points, torch.nan),
            visibility=seen.to(torch.int8) * HIDDEN,
            boxes=torch.zeros(count, 4),
            areas=torch.ones(count),
            ignored=torch.zeros(count, dtype=torch.bool),
        ),
        counts=(1,) * count,
        to_original=torch.eye(3, dtype=torch.float64).expand(count, 3, 3),
        photo_sizes=torch.tensor([size] * count, dtype=torch.float64),
        image_ids=tuple(range(count)),
    )


CASES = {
    ("sar", "rle_loss"): rle_loss,
    ("sar", "rle_predict"): rle_predict,
    ("sar", "rle_official_coco"): rle_official_network,
    ("sar", "rle_official_h36m"): rle_official_network,
    ("sar", "rle_official_loss_2d"): rle_official_loss,
    ("sar", "rle_official_loss_3d"): rle_official_loss,
    ("sar", "rle_official_targets"): rle_official_targets,
}
