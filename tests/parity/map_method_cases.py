"""Parity of the baselines that are not of maps alone: direct and integral regression, and whole heatmap networks."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor, nn

from vitruvian.backbones import BackboneConfig
from vitruvian.backbones.weights import mmpose_name
from vitruvian.coordinates import from_fractions, label_fractions
from vitruvian.experiment import Method, View
from vitruvian.geometry import Framing
from vitruvian.heatmaps import to_cells, unmirror_maps
from vitruvian.methods.heatmap import method as heatmap
from vitruvian.methods.heatmap import weights as heatmap_weights
from vitruvian.methods.integral import method as integral
from vitruvian.methods.integral import weights as integral_weights
from vitruvian.methods.regression import method as regression
from vitruvian.methods.regression import weights as regression_weights
from vitruvian.sample import HIDDEN, Batch, People
from vitruvian.skeletons import Skeleton


class Features(nn.Module):
    """A backbone whose input is the feature map already."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.strides = (channels,), (stride,)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs,)


def tensors(case) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in case.inputs.items()}


def skeleton_of(case) -> Skeleton:
    """As many joints as the case has, with its mirror."""
    mirror = tuple(case.config["flip_indices"])
    return Skeleton(
        name="case",
        joints=tuple(f"joint {i}" for i in range(len(mirror))),
        limbs=(),
        mirror=mirror,
        oks_sigmas=(0.08,) * len(mirror),
    )


def batch_of(keypoints: Tensor, visible: Tensor, size: tuple[int, int]) -> Batch:
    """One person, a crop of `size` (W, H), for each row of keypoints (B, K, 2)."""
    count = len(keypoints)
    return Batch(
        inputs=torch.zeros(count, 3, size[1], size[0], dtype=torch.uint8),
        everyone=People(
            keypoints=keypoints,
            visibility=(visible > 0.5).to(torch.int8) * HIDDEN,
            boxes=torch.zeros(count, 4),
            areas=torch.zeros(count),
            ignored=torch.zeros(count, dtype=torch.bool),
        ),
        counts=(1,) * count,
        to_original=torch.eye(3, dtype=torch.float64).expand(count, 3, 3),
        photo_sizes=torch.tensor(size, dtype=torch.float64).expand(count, 2),
        image_ids=tuple(range(count)),
    )


def on_features(case, module, config, stride: int) -> Method:
    """The method of `module` above a given feature map."""
    features = Features(case.config["in_channels"], stride)
    with patch.object(module, "build_backbone", lambda backbone, size: features):
        return next(kind for kind in vars(module).values() if getattr(kind, "Config", None) is module.Config)(
            config, skeleton_of(case)
        )


def load_head(case, method: Method, weights) -> None:
    """The reference tensors of a head, by the names that they have in a checkpoint."""
    state = {f"head.{name}": torch.from_numpy(array) for name, array in case.state_dict().items()}
    method.load_state_dict(weights.from_reference(state, method).state)


def compare_coordinate_training(case, method: Method, ours: Callable[[str], str | None]) -> None:
    """Labels, loss, gradients, and decoding with and without the flip test."""
    given = tensors(case)
    features = given["feat"].requires_grad_()
    targets = method.targets(batch_of(given["keypoints"], given["visible"], tuple(case.config["input_size"])))
    case.compare("labels", targets.points)
    case.compare("weights", targets.weights)
    # The reference head stands in evaluation mode while its gradients are taken.
    loss = sum(method.eval().loss(method(features), targets).values())
    case.compare("loss", loss.reshape(1))
    parameters = dict(method.named_parameters())
    ours = [parameters[ours(f"head.{name}")] for name in case.config["grad_norm_names"]]
    gradient, *others = torch.autograd.grad(loss, [features, *ours])
    case.compare("grad.feat", gradient)
    case.compare("grad_norm", torch.stack([other.norm() for other in others]))
    with torch.no_grad():
        plain, mirrored = View(given["feat"].detach()), View(given["feat_flip"], mirrored=True)
        case.compare("keypoints", method.predict([plain]).points[:, 0])
        case.compare("keypoints_flip_test", method.predict([plain, mirrored]).points[:, 0])


def direct_regression(case) -> None:
    size = tuple(case.config["input_size"])
    method = on_features(case, regression, regression.Config(framing=Framing(size=size)), 32)
    load_head(case, method, regression_weights)
    case.compare("prediction", method(tensors(case)["feat"]).points)
    compare_coordinate_training(case, method, mmpose_name)


def integral_regression(case) -> None:
    config = case.config
    size = tuple(config["input_size"])
    losses = {None: "none", "KeypointMSELoss": "mse", "JSDiscretLoss": "jensen_shannon"}
    method = on_features(
        case,
        integral,
        integral.Config(
            framing=Framing(size=size),
            deconv_channels=tuple(config["deconv_out_channels"] or ()),
            deconv_kernels=tuple(config["deconv_kernel_sizes"] or ()),
            beta=config["beta"],
            debias=config["debias"],
            map_loss=losses[config["heatmap_loss"]],
            sigma=config.get("sigma", 2.0),
        ),
        size[0] // config["feature_size"][0],
    )
    load_head(case, method, integral_weights)
    maps = method.eval()(tensors(case)["feat"])
    case.compare("coords", maps.points)
    case.compare("heatmaps", maps.probabilities)
    given = tensors(case)
    cells = to_cells(given["keypoints"], size, method.map_size, "pixel")
    case.compare("target_heatmaps", method.target_probabilities(cells, given["visible"] > 0.5))
    compare_coordinate_training(case, method, integral_weights.ours)


def codec_regression(case) -> None:
    given, size = tensors(case), tuple(case.config["codec"]["input_size"])
    labels, weights = label_fractions(given["keypoints"], given["visible"] > 0.5, size)
    case.compare("labels", labels)
    case.compare("weights", weights)
    for i, values in enumerate(given["maps"]):
        case.compare(f"decoded_keypoints_{i}", from_fractions(values[..., :2], size))
        sigma = values[..., 2:]
        scores = 1 - sigma.mean(-1) if sigma.shape[-1] else torch.ones_like(values[..., 0])
        case.compare(f"decoded_scores_{i}", scores)


def net_heatmap(case) -> None:
    """A whole network from image to points in the photo."""
    config, codec, given = case.config, case.config["codec"], tensors(case)
    size = tuple(config["input_size"])
    udp = codec["type"] == "UDPHeatmap"
    method = heatmap.Heatmap(
        heatmap.Config(
            backbone=BackboneConfig(config["backbone"]),
            framing=Framing(size=size, affine="udp" if udp else "pixel"),
            deconv_channels=tuple(config["deconv_out_channels"] or ()),
            deconv_kernels=tuple(config["deconv_kernel_sizes"] or ()),
            codec="udp" if udp else "dark" if codec.get("unbiased") else "msra",
            sigma=codec["sigma"],
            blur=codec.get("blur_kernel_size", 11),
        ),
        skeleton_of(case),
    ).eval()
    state = {name: torch.from_numpy(array) for name, array in case.state_dict().items()}
    method.load_state_dict(heatmap_weights.from_reference(state, method).state)
    plain = View(given["image"])
    with torch.no_grad():
        case.compare("feature", method.backbone(plain.inputs)[-1])
        case.compare("heatmap", method(plain.inputs).heatmaps)
        mirrored = View(plain.inputs.flip(-1), mirrored=True)
        both = method.predict([plain, mirrored])
        if config["shift_heatmap"] == udp:  # a case that departs from what goes with its family
            maps, others = (method(view.inputs).heatmaps for view in (plain, mirrored))
            others = unmirror_maps(others, method.mirror, config["shift_heatmap"])
            both = method.decode(heatmap.Maps((maps + others) / 2))
        for suffix, decoded in (("", method.predict([plain])), ("_flip_test", both)):
            less = 1 if udp else 0
            share = decoded.points[:, 0] / (torch.tensor(size) - less)
            points = share * given["scale"][:, None] + (given["center"] - given["scale"] / 2)[:, None]
            case.compare(f"keypoints{suffix}", points)
            case.compare(f"scores{suffix}", decoded.joint_scores[:, 0])


CASES = {
    ("sar", "direct_regression"): direct_regression,
    ("sar", "integral_regression"): integral_regression,
    ("sar", "codec_regression"): codec_regression,
    ("sar", "net_simplebaseline"): net_heatmap,
    ("sar", "net_hrnet"): net_heatmap,
}
