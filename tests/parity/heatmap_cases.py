"""Parity of the maps: targets and decoding of four codecs, the flip test and the losses of the baselines."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vitruvian.heatmaps import (
    decode_discs_and_offsets,
    decode_gaussians,
    draw_discs_and_offsets,
    draw_gaussians,
    map_loss,
    to_cells,
    to_pixels,
    unmirror_maps,
    unmirror_points,
)
from vitruvian.methods.heatmap_offset.method import combined_losses
from vitruvian.methods.integral.method import jensen_shannon


def codec_gaussian(case) -> None:
    """Targets and decoding of "msra", "dark" and "udp"."""
    codec = case.config["codec"]
    style = "udp" if codec["type"] == "UDPHeatmap" else "dark" if codec.get("unbiased") else "msra"
    cells, visible = _cells(case)
    maps, kept = draw_gaussians(cells, visible, tuple(codec["heatmap_size"]), codec["sigma"], style)
    case.compare("heatmaps", maps[0].numpy())
    case.compare("weights", kept.float().numpy())
    for i, maps in enumerate(case.inputs["maps"]):
        points, values = decode_gaussians(torch.from_numpy(maps), style, codec.get("blur_kernel_size", 11))
        _compare_decoded(case, i, points, values)


def codec_udp_combined(case) -> None:
    """Targets and decoding of discs with offsets."""
    codec = case.config["codec"]
    cells, visible = _cells(case)
    factor = codec.get("radius_factor", 0.0546875)
    maps, kept = draw_discs_and_offsets(cells, visible, tuple(codec["heatmap_size"]), factor)
    case.compare("heatmaps", maps[0].flatten(0, 1).numpy())
    case.compare("weights", kept.float().numpy())
    for i, maps in enumerate(case.inputs["maps"]):
        kernel = 2 * codec.get("blur_kernel_size", 11) + 1
        points, scores = decode_discs_and_offsets(torch.from_numpy(maps).unflatten(0, (-1, 3)), kernel, factor)
        _compare_decoded(case, i, points, scores)


def _family(case) -> str:
    return "udp" if case.config["codec"]["type"] == "UDPHeatmap" else "pixel"


def _cells(case) -> tuple[Tensor, Tensor]:
    codec = case.config["codec"]
    points = torch.from_numpy(case.inputs["keypoints"])
    cells = to_cells(points, tuple(codec["input_size"]), tuple(codec["heatmap_size"]), _family(case))
    return cells, torch.from_numpy(case.inputs["visible"]) > 0.5


def _compare_decoded(case, i: int, points: Tensor, scores: Tensor) -> None:
    size, family = case.config["codec"]["input_size"], _family(case)
    pixels = to_pixels(points, tuple(size), tuple(case.config["codec"]["heatmap_size"]), family).numpy()
    if family == "udp":
        # The reference multiplies by the input's width where it divided by the width less one, and undoes it
        # when it goes on to the photo.
        pixels = pixels * np.array(size) / (np.array(size) - 1)
    case.compare(f"decoded_keypoints_{i}", pixels[None])
    case.compare(f"decoded_scores_{i}", scores.numpy()[None])


def flip_test(case) -> None:
    """What becomes of maps and points of the mirrored image before they are averaged."""
    mirror = torch.tensor(case.config["flip_indices"])
    given = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
    combined, offsets = given["heat3"].unflatten(1, (-1, 3)), given["heat2"].unflatten(1, (-1, 2))
    for name in case.json["outputs"]:
        kind, shift = name.rsplit("_shift", 1)
        shift = shift == "1"
        if kind == "heatmap":
            result = unmirror_maps(given["heat"], mirror, shift)
        elif kind == "udp_combined":
            result = unmirror_maps(combined, mirror, shift, x_offset=1).flatten(1, 2)
        elif kind == "offset":
            result = unmirror_maps(offsets, mirror, shift, x_offset=0).flatten(1, 2)
        else:
            x_sum = 1 - 1 / case.config["input_size"][0] if shift else 1
            result = unmirror_points(given["coords"], mirror, x_sum)
        case.compare(name, result.numpy())


def heatmap_losses(case) -> None:
    """Values and gradients of the losses on maps."""
    given = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
    output, output3 = given["output"].requires_grad_(), given["output3"].requires_grad_()
    target, weights = given["target"], given["weights"]

    def compare(name: str, loss: Tensor, of: Tensor | None = None) -> None:
        case.compare(name, loss.detach().reshape(1).numpy())
        if of is not None:
            case.compare(f"{name}_grad", torch.autograd.grad(loss, of)[0].numpy())

    compare("mse", map_loss(output, target, weights), output)
    drawn = (target != 0).flatten(2).any(-1)
    compare("mse_skip_empty", map_loss(output, target, weights * drawn))
    target3 = given["target3"].unflatten(1, (-1, 3))
    compare("combined", sum(combined_losses(output3.unflatten(1, (-1, 3)), target3, weights)), output3)
    compare("ohkm", hardest_mean(output, target, weights, case.config["ohkm_topk"]))
    probabilities = output.flatten(-2).softmax(-1).view_as(output)
    total = target.sum((-1, -2), keepdim=True)
    compare("js", jensen_shannon(probabilities, target / torch.where(total > 0, total, 1), weights))


def hardest_mean(maps: Tensor, target: Tensor, weights: Tensor, count: int) -> Tensor:
    """`map_loss` of so many keypoints of each person, those with the largest one: no method here is trained by it."""
    losses = [map_loss(*one) for one in zip(maps.flatten(0, 1), target.flatten(0, 1), weights.flatten())]
    return torch.stack(losses).view_as(weights).topk(count, -1).values.mean()


CASES = {
    ("sar", "codec_msra"): codec_gaussian,
    ("sar", "codec_dark"): codec_gaussian,
    ("sar", "codec_udp"): codec_gaussian,
    ("sar", "codec_udp_combined"): codec_udp_combined,
    ("sar", "flip_test"): flip_test,
    ("sar", "heatmap_losses"): heatmap_losses,
}
