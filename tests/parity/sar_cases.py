"""SAR's head, loss, decoding and whole networks against the authors' code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from vitruvian.backbones import BackboneConfig
from vitruvian.checkpoints import fit_state
from vitruvian.experiment import View
from vitruvian.geometry import Framing, crop_matrix, fix_aspect, transform_points
from vitruvian.methods.sar.method import SAR, Config
from vitruvian.methods.sar.network import Maps, SARHead
from vitruvian.methods.sar.weights import from_reference
from vitruvian.sample import Batch, People
from vitruvian.skeletons import Skeleton


def skeleton_of(case) -> Skeleton:
    """Keypoints without names, with the case's mirror pairs."""
    count = case.config["num_keypoints"]
    mirror = tuple(case.config.get("flip_indices", range(count)))
    return Skeleton("case", tuple(f"joint_{i}" for i in range(count)), (), mirror, (0.05,) * count)


def config_of(case, backbone: str = "resnet18") -> Config:
    codec = case.config["codec"]
    return Config(
        backbone=BackboneConfig(backbone),
        framing=Framing(size=tuple(codec["input_size"]), affine="udp" if codec["type"] == "UDPHeatmap" else "pixel"),
        deconv_channels=tuple(case.config.get("deconv_out_channels") or ()),
        deconv_kernels=tuple(case.config.get("deconv_kernel_sizes") or ()),
        heatmap_branch=case.config.get("with_heatmap", False),
        heatmap_sigma=codec.get("sigma", 2),
        sharpness=case.config.get("quality_sharpness", 16.0),
    )


class HeadOnly(SAR):
    """SAR without a backbone: its inputs are features."""

    def __init__(self, case, in_channels: int) -> None:
        config = config_of(case)
        super().__init__(config, skeleton_of(case))
        self.backbone = torch.nn.Identity()
        options = config.deconv_channels, config.deconv_kernels, config.heatmap_branch
        self.head = SARHead(in_channels, self.skeleton.num_joints, *options)
        self.map_size = tuple(case.config["codec"]["heatmap_size"])
        if case.json["state_dict"]:
            reference = {name: torch.from_numpy(value) for name, value in case.state_dict().items()}
            self.head.load_state_dict(fit_state(self.head.state_dict(), reference, lambda name: name, {}).state)

    def forward(self, inputs: Tensor, inside=None, targets=None) -> Maps:
        return self.head(inputs)


def as_reference_pixels(points: Tensor, method: SAR) -> Tensor:
    """Pixels as the reference prints them: for UDP it multiplies fractions of W - 1 steps by W."""
    if method.config.framing.affine == "pixel":
        return points
    width, height = method.config.framing.size
    return points * points.new_tensor([width / (width - 1), height / (height - 1)])


def sar_head(case) -> None:
    inputs = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    method = HeadOnly(case, case.config["in_channels"]).eval()
    with torch.inference_mode():
        maps = method(inputs["feat"])
        plain, both = predictions(method, inputs["feat"], inputs["feat_flip"])
    case.compare("logit", maps.selector.sigmoid())
    case.compare("keypoint", maps.keypoints)
    if "heatmap" in case.output_names:
        case.compare("heatmap", maps.heatmap)
    compare_decoded(case, method, plain, both)


def predictions(method: SAR, plain: Tensor, mirrored: Tensor):
    """What is predicted without and with the mirrored view."""
    return method.predict([View(plain)]), method.predict([View(plain), View(mirrored, mirrored=True)])


def compare_decoded(case, method: SAR, plain, both) -> None:
    for name, decoded in (("", plain), ("_flip_test", both)):
        case.compare(f"keypoints{name}", as_reference_pixels(decoded.points[:, 0], method))
        case.compare(f"scores{name}", decoded.joint_scores[:, 0])


def sar_decode_peaked(case) -> None:
    inputs = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    given = {
        name: Maps(torch.logit(inputs[f"logit{name}"].double()).float(), inputs[f"keypoint{name}"], None)
        for name in ("", "_flip")
    }
    method = HeadOnly(case, 4)
    plain = given[""].selector
    mirrored = given["_flip"].selector
    method.forward = (
        lambda x, inside=None, targets=None: Maps(  # type: ignore[method-assign]
            *(None if one is None else torch.cat([one, two])[: len(x)] for one, two in zip(given[""], given["_flip"]))
        )
    )
    compare_decoded(case, method, *predictions(method, plain, mirrored))


def batch_of(points: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> Batch:
    """One person a crop, as the loader gives them."""
    count = len(points)
    return Batch(
        inputs=torch.zeros(count, 3, size[1], size[0], dtype=torch.uint8),
        everyone=People(
            keypoints=torch.from_numpy(points).float(),
            visibility=torch.from_numpy(np.where(visible > 0, 2, 0).astype(np.int8)),
            boxes=torch.zeros(count, 4),
            areas=torch.ones(count),
            ignored=torch.zeros(count, dtype=torch.bool),
        ),
        counts=(1,) * count,
        to_original=torch.eye(3, dtype=torch.float64).repeat(count, 1, 1),
        photo_sizes=torch.tensor([size] * count, dtype=torch.float64),
        image_ids=tuple(range(count)),
    )


def sar_loss(case) -> None:
    inputs = case.inputs
    method = HeadOnly(case, case.config["in_channels"])
    method.train(case.config["batch_norm_training"])
    batch = batch_of(inputs["keypoints"], inputs["visible"], method.config.framing.size)
    compare_targets(case, method, batch)
    features = torch.from_numpy(inputs["feat"]).requires_grad_()
    losses = method.loss(method(features), method.targets(batch))
    total = sum(losses.values())
    total.backward()
    case.compare("loss", total)
    case.compare("loss_expectation", losses["expectation"])
    if "loss_heatmap" in case.output_names:
        case.compare("loss_heatmap", losses["heatmap"])
    case.compare("grad_feat", features.grad)
    case.compare("grad_feat_norm", features.grad.norm())
    gradients = {name: parameter.grad for name, parameter in method.head.named_parameters()}
    case.compare("grad_norm", torch.stack([gradients[name].norm() for name in case.config["grad_norm_names"]]))
    for name in case.output_names:
        if name.startswith("grad."):
            case.compare(name, gradients[name.removeprefix("grad.")])


def compare_targets(case, method: SAR, batch: Batch) -> None:
    """Full target arrays from what is kept of them, the keypoints that are learnt from."""
    method.config = replace(method.config, heatmap_branch=True)
    targets = method.targets(batch)
    method.config = config_of(case)
    count, joints = batch.everyone.visibility.shape
    width, height = method.map_size
    weights = torch.zeros(count * joints).index_fill(0, targets.visible, 1.0)
    heatmaps = torch.zeros(count * joints, height, width).index_copy(0, targets.visible, targets.heatmaps)
    labels = torch.full((count * joints, 2), torch.nan).index_copy(0, targets.visible, targets.labels)
    labels = labels * torch.tensor(method.map_size)
    # Hidden keypoints have no label here; the reference divides whatever stands in the array.
    size = torch.tensor(method.config.framing.size) / torch.tensor(method.map_size)
    everything = (batch.everyone.keypoints / size).flatten(0, 1)
    labels = torch.where(labels.isnan(), everything, labels)
    case.compare("target_heatmaps", heatmaps.unflatten(0, (count, joints)))
    case.compare("target_labels", labels.unflatten(0, (count, joints)))
    case.compare("target_weights", weights.unflatten(0, (count, joints)))


def net_sar(case) -> None:
    method = SAR(config_of(case, case.config["backbone"]), skeleton_of(case)).eval()
    reference = {name: torch.from_numpy(value) for name, value in case.state_dict().items()}
    method.load_state_dict(from_reference(reference, method).state)
    inputs = case.inputs
    image = torch.from_numpy(inputs["image"])
    with torch.inference_mode():
        case.compare("feature", method.backbone(image)[-1])
        maps = method(image)
        case.compare("logit", maps.selector.sigmoid())
        case.compare("keypoint", maps.keypoints)
        case.compare("heatmap", maps.heatmap)
        decoded = method.predict([View(image), View(image.flip(3), mirrored=True)])
    case.compare("keypoints_flip_test", to_photo(decoded.points[:, 0].numpy(), inputs, method.config.framing.size))
    case.compare("scores_flip_test", decoded.joint_scores[:, 0])


def to_photo(points: np.ndarray, inputs: dict[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Points (B, K, 2) of crops with the case's centres and scales, in pixels of the photo."""
    crops = [crop_matrix(c, fix_aspect(s, size), size) for c, s in zip(inputs["center"], inputs["scale"])]
    return np.stack([transform_points(p.astype(np.float64), np.linalg.inv(m)) for p, m in zip(points, crops)])


CASES = {
    ("sar", "sar_head"): sar_head,
    ("sar", "sar_loss"): sar_loss,
    ("sar", "sar_decode_peaked"): sar_decode_peaked,
    ("sar", "net_sar"): net_sar,
}
