"""What network a published file holds, seen from its tensors' names and shapes, so that it need not be said.

What tensors cannot tell (the input's size, how maps are read, whose joints) is taken from the configuration that
MMPose stores as text beside them, which is searched and never run; else it is a stated default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from torch import Tensor

from vitruvian import skeletons
from vitruvian.backbones import BackboneConfig
from vitruvian.backbones.timm_networks import VIT_SIZES
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.geometry import Framing
from vitruvian.methods import METHODS
from vitruvian.methods.rle.method import AUTHORS_MEAN, AUTHORS_STD
from vitruvian.skeletons import Skeleton, skeleton_from_names

SKELETONS = {
    skeleton.num_joints: skeleton
    for skeleton in (skeletons.LSP, skeletons.MPII, skeletons.COCO, skeletons.COCO_WHOLEBODY, skeletons.WFLW)
}
"""The joints that are taken for a file's where only their number is known."""

RESNETS = {  # whether blocks are bottlenecks, and blocks in each stage
    (False, 2, 2, 2, 2): "resnet18",
    (False, 3, 4, 6, 3): "resnet34",
    (True, 3, 4, 6, 3): "resnet50",
    (True, 3, 4, 23, 3): "resnet101",
    (True, 3, 8, 36, 3): "resnet152",
}

ALONE = ("fc.weight", "head.weight", "classifier.weight", "cls_token", "head.fc.weight")
"""Tensors by which a file is seen to hold a backbone that classifies."""


class Recognised(NamedTuple):
    """What a file was taken for, and what was assumed because nothing in it says so."""

    experiment: Experiment
    assumed: tuple[str, ...]


def recognise(content: Any, state: Mapping[str, Tensor], path: str) -> Recognised:
    """The experiment of a file's network.

    Args:
        content: what `read_foreign` gave.
        state: its tensors, `state_dict_of` it.
        path: for messages.

    Raises:
        InputError: the file is of a network that is not built here, or not recognised.
    """
    shapes = {name.replace("keypoint_head.", "head.", 1): tuple(tensor.shape) for name, tensor in state.items()}
    refuse_others(shapes, path)
    text = config_text(content)
    assumed: list[str] = []
    name, joints, options = method_of(shapes, text, assumed, path)
    backbone = backbone_of(shapes, path)
    framing = replace(METHODS[name].Config().framing, **framing_of(name, options, shapes, text, assumed))
    if name in ("sar", "heatmap", "heatmap_offset", "integral"):
        layers = [shapes[key] for key in sorted(shapes, key=order) if re.search(r"deconv_layers\.\d+\.weight$", key)]
        layers = [shape for shape in layers if len(shape) == 4]
        options["deconv_channels"] = tuple(shape[1] for shape in layers)
        options["deconv_kernels"] = tuple(shape[2] for shape in layers)
    config = METHODS[name].Config(backbone=backbone, framing=framing, **options)
    return Recognised(Experiment(config, skeleton_of(content, joints, assumed, path)), tuple(assumed))


def order(name: str) -> tuple:
    """A key that sorts names by the numbers in them."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name))


def refuse_others(shapes: Mapping[str, tuple], path: str) -> None:
    """Raises InputError for files of networks that are known and not built here, or not known."""
    if any(name.startswith(("offset_feature_layers.", "transition_heatmap.")) for name in shapes):
        raise InputError(f"{path} holds DEKR, which this version has no network for")
    if any(name.startswith(("flow3d.", "fc_sigma.weight")) for name in shapes):
        raise InputError(
            f"{path} holds RLE's own 3D network, which cannot be recognised; name the recipe that it is of"
        )
    heads = ("head.logit_conv", "head.final_layer", "head.fc.", "final_layer.", "fc_coord.", "head.simplebaseline")
    whole = any(name.startswith("backbone.") for name in shapes) and any(name.startswith(heads) for name in shapes)
    if not whole and not any(name.startswith(("fc_coord.", "final_layer.")) for name in shapes):
        raise InputError(
            f"{path}: no network that is known here (its tensors are {', '.join(list(shapes)[:3])} ...); name the "
            "recipe that it is of: import-weights FILE RECIPE (vitruvian list)"
        )


def is_backbone_alone(state: Mapping[str, Tensor]) -> bool:
    """Whether a file's tensors are those of a ResNet, HRNet or ViT without a head that finds keypoints."""
    names = [name.replace("keypoint_head.", "head.", 1) for name in state]
    layers = any(re.match(r"(backbone\.)?(layer1|stage2|blocks|layers)\.", name) for name in names)
    heads = ("head.logit_conv", "head.final_layer", "head.simplebaseline", "head.deconv", "deconv_layers.", "fc_coord.")
    found = any(name.startswith((*heads, "offset_feature_layers.", "transition_heatmap.")) for name in names)
    # What classifies stands beside a bare backbone; HRNet's pose networks are bare too, and end in a final_layer.
    classifies = any(name in state for name in ALONE)
    below = any(name.startswith("backbone.") for name in names)
    ends = any(name.startswith("head.fc." if below else "final_layer.") for name in names)
    return layers and not found and ((classifies and not below) or not ends)


def meta_of(content: Any) -> dict:
    """What MMPose stored beside the tensors."""
    meta = content.get("meta") if isinstance(content, dict) else None
    return meta if isinstance(meta, dict) else {}


def config_text(content: Any) -> str:
    """The configuration that MMPose stored beside the tensors; empty where there is none."""
    meta = meta_of(content)
    return next((meta[key] for key in ("config", "cfg") if isinstance(meta.get(key), str)), "")


def method_of(shapes: Mapping[str, tuple], text: str, assumed: list[str], path: str) -> tuple[str, int, dict[str, Any]]:
    """The key in METHODS, the number of joints, and fields of the Config that the file tells."""
    if "head.logit_conv.weight" in shapes:
        joints = shapes["head.logit_conv.weight"][0]
        return "sar", joints, {"heatmap_branch": "head.heatmap_conv.weight" in shapes}
    if "fc_coord.linear.weight" in shapes:
        return "rle", shapes["fc_coord.linear.weight"][0] // 2, {"form": "authors"}
    if any("flow_model." in name for name in shapes):
        return "rle", shapes["head.fc.weight"][0] // 4, {"form": "mmpose"}
    if "head.fc.weight" in shapes:
        return "regression", shapes["head.fc.weight"][0] // 2, {}
    final = next((name for name in shapes if name.endswith("final_layer.weight")), "")
    if not final:
        raise InputError(f"{path}: no head that is known here; name the recipe that it is of (vitruvian list)")
    maps = shapes[final][0]
    if any("linspace" in name or "simplebaseline_head" in name for name in shapes):
        return "integral", maps, {}
    three = maps % 3 == 0 and maps not in SKELETONS and maps // 3 in SKELETONS
    if three or re.search(r"heatmap_type\s*=\s*['\"]combined|target_type['\"]?\s*[=:]\s*['\"]CombinedTarget", text):
        return "heatmap_offset", maps // 3, {}
    return "heatmap", maps, {"codec": codec_of(text, assumed)}


def codec_of(text: str, assumed: list[str]) -> str:
    """How heatmaps are read."""
    if re.search(r"UDPHeatmap|use_udp\s*=\s*True|encoding\s*=\s*['\"]UDP", text):
        return "udp"
    if re.search(r"unbiased(_encoding)?\s*=\s*True", text):
        return "dark"
    if not re.search(r"MSRAHeatmap|TopDownGenerateTarget", text):
        assumed.append("maps are read as msra (--method.codec dark or udp, and --method.framing.affine udp with udp)")
    return "msra"


def framing_of(
    name: str, options: Mapping[str, Any], shapes: Mapping[str, tuple], text: str, assumed: list[str]
) -> dict[str, Any]:
    """Fields of the framing that the file tells, or that are usual."""
    fields: dict[str, Any] = {}
    if options.get("form") == "authors":
        fields |= {"mean": AUTHORS_MEAN, "std": AUTHORS_STD}
    if options.get("codec") == "udp" or name == "heatmap_offset":
        fields["affine"] = "udp"
    if found := re.search(r"(?:input_size|image_size)['\"]?\s*[=:]\s*[\[(]\s*(\d+),\s*(\d+)", text):
        return fields | {"size": (int(found[1]), int(found[2]))}
    patches = next((shape[1] for key, shape in shapes.items() if key.endswith("pos_embed")), 0)
    sizes = {192: (192, 256), 193: (192, 256), 432: (288, 384), 433: (288, 384)}
    fields["size"] = sizes.get(patches) or (Framing().size if name != "integral" else (256, 256))
    if patches not in sizes:
        width, height = fields["size"]
        assumed.append(f"the input has {width} x {height} px (--method.framing.size W H)")
    return fields


def backbone_of(shapes: Mapping[str, tuple], path: str) -> BackboneConfig:
    """The network below the head."""
    inner = {re.sub(r"^(backbone|preact)\.", "", name): shape for name, shape in shapes.items()}
    if (branch := inner.get("stage4.0.branches.0.0.conv1.weight")) is not None:
        return BackboneConfig(f"hrnet_w{branch[0]}")
    if (patch := inner.get("patch_embed.projection.weight")) or (patch := inner.get("patch_embed.proj.weight")):
        for name, (channels, _, _) in VIT_SIZES.items():
            if channels == patch[0]:
                return BackboneConfig(name)
    blocks = [len({m[1] for key in inner if (m := re.match(rf"layer{stage}\.(\d+)\.", key))}) for stage in range(1, 5)]
    if name := RESNETS.get(("layer1.0.conv3.weight" in inner, *blocks)):  # type: ignore[arg-type]
        return BackboneConfig(name)
    raise InputError(
        f"{path}: its backbone is no ResNet, HRNet or ViT of the usual sizes; name the recipe that it is of, and the "
        "backbone by --method.backbone.name"
    )


def skeleton_of(content: Any, joints: int, assumed: list[str], path: str) -> Skeleton:
    """The joints, by the names that MMPose stored beside the tensors, else by their number."""
    data = meta_of(content).get("dataset_meta")
    data = data if isinstance(data, dict) else {}
    names = data.get("keypoint_id2name")
    if isinstance(names, dict) and sorted(names) == list(range(joints)):
        mirror = data.get("flip_indices") or range(joints)
        limbs = [(int(start), int(end)) for start, end in data.get("skeleton_links") or ()]
        pairs = [(joint, int(other)) for joint, other in enumerate(mirror) if joint < int(other)]
        ordered = [str(names[joint]) for joint in range(joints)]
        known = next((one for one in skeletons.SKELETONS.values() if list(one.joints) == ordered), None)
        return known or skeleton_from_names(str(data.get("dataset_name", "imported")), ordered, limbs, pairs)
    if joints not in SKELETONS:
        known = ", ".join(f"{number} ({one.name})" for number, one in SKELETONS.items())
        raise InputError(
            f"{path} finds {joints} keypoints, which may be anything; name the recipe that it is of, and annotations "
            f"with these keypoints (--joints DATA). Known by their number: {known}"
        )
    assumed.append(f"the {joints} joints are those of {SKELETONS[joints].name} (--joints DATA)")
    return SKELETONS[joints]
