"""timm's networks as backbones: ResNet, HRNet, plain ViT with ViTPose's patches, any other that timm cuts into maps.

Parameter names are timm's, which for ResNet and HRNet are those of the published checkpoints.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import timm
from torch import Tensor, nn
from torch.nn import functional

from vitruvian.backbones.weights import load_backbone
from vitruvian.errors import InputError, expect

VIT_SIZES = {  # channels, layers, heads of ViTPose (NeurIPS 2022); timm's own vit_small has 6 heads
    "vit_small": (384, 12, 12),
    "vit_base": (768, 12, 12),
    "vit_large": (1024, 24, 16),
}


@dataclass(frozen=True)
class BackboneConfig:
    """Which network computes the features.

    Attributes:
        name: resnet18 to resnet152, hrnet_w18, hrnet_w32, hrnet_w48, vit_small, vit_base, vit_large, or any other
            network of timm that gives feature maps.
        weights: what it starts from: empty, random; "imagenet", timm's weights from the hub (one download); else the
            path of a file, the authors' or timm's.
        channels: channels of a ResNet's four stages; empty: its own.
        pyramid: channels of a feature pyramid that merges the maps of stride 8 and coarser into one of stride 8, so
            that small networks keep detail without deconvolutions; 0: none.
        drop_path: chance that a residual branch is left out while training (ViT).
    """

    name: str = "resnet50"
    weights: str = ""
    channels: tuple[int, ...] = ()
    pyramid: int = 0
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        # timm would take "hf-hub:..." and "local-dir:..." for places to read a network's settings from.
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ValueError(f"name is {self.name!r}, expected one of timm's networks: letters, digits, _ . and -")
        expect(all(one >= 1 for one in self.channels), "channels", self.channels, "numbers from 1 on")
        expect(self.pyramid >= 0, "pyramid", self.pyramid, "0 or more")
        expect(0 <= self.drop_path < 1, "drop_path", self.drop_path, "a chance from 0 to below 1")


class Backbone(nn.Module):
    """A network of timm that gives its last (ResNet, ViT) or finest (HRNet) map: (B, 3, H, W) -> ((B, C, h, w),)."""

    network: Any  # timm's own classes, whose attributes no type says
    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __init__(self, network: nn.Module, channels: int, stride: int) -> None:
        super().__init__()
        self.network = network
        self.channels, self.strides = (channels,), (stride,)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.network(inputs)[-1],)


class FeaturePyramid(Backbone):
    """A network of timm whose maps of stride 8, 16 and 32 are merged, coarse to fine, into one of stride 8.

    Each map goes through a 1x1 convolution, the coarser sum is doubled by repeating cells and added, and a 3x3
    convolution smooths the last sum (Feature Pyramid Networks, CVPR 2017, figure 3).
    """

    STRIDE = 8

    def __init__(self, network: nn.Module, in_channels: Sequence[int], strides: Sequence[int], channels: int) -> None:
        super().__init__(network, channels, self.STRIDE)
        self.chosen = [index for index, stride in enumerate(strides) if stride >= self.STRIDE]
        self.laterals = nn.ModuleList(nn.Conv2d(in_channels[index], channels, 1) for index in self.chosen)
        self.smooth = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        features = self.network(inputs)
        maps = [lateral(features[index]) for lateral, index in zip(self.laterals, self.chosen)]
        merged = maps[-1]
        for finer in maps[-2::-1]:
            merged = finer + functional.interpolate(merged, size=finer.shape[2:], mode="nearest")
        return (self.smooth(merged),)


class PlainViT(Backbone):
    """A vision transformer without class token, whose 16 x 16 patches start 2 px outside the image (ViTPose)."""

    PATCH_PADDING = 2

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        network = self.network
        embed = network.patch_embed.proj
        patches = functional.conv2d(inputs, embed.weight, embed.bias, embed.stride, self.PATCH_PADDING)
        height, width = patches.shape[2:]
        tokens = network.pos_drop(patches.flatten(2).transpose(1, 2) + network.pos_embed)
        tokens = network.norm(network.blocks(tokens))
        return (tokens.transpose(1, 2).reshape(-1, self.channels[0], height, width),)


def build_backbone(config: BackboneConfig, size: tuple[int, int]) -> Backbone:
    """The backbone that `config` names, with its starting weights.

    Args:
        config: name and weights.
        size: width and height of the input, px; a ViT's position embedding depends on it.

    Raises:
        InputError: timm has no such network, it gives no maps, an option or the size does not suit it, or its starting
            weights cannot be read.
    """
    check_config(config, size)
    if config.name in VIT_SIZES:
        backbone = build_vit(config, size)
    elif config.name.startswith("hrnet"):
        network = create(config, feature_location="", out_indices=(1,))
        drop_unused_branches(network)
        backbone = Backbone(network, network.feature_info.channels()[-1], network.feature_info.reduction()[-1])
    else:
        options = {"channels": config.channels} if config.channels else {}
        network = create(config, **options)
        channels, strides = network.feature_info.channels(), network.feature_info.reduction()
        if config.pyramid:
            backbone = FeaturePyramid(network, channels, strides, config.pyramid)
        else:
            backbone = Backbone(network, channels[-1], strides[-1])
    if config.weights not in ("", "imagenet"):
        load_backbone(backbone, config)
    return backbone


def check_config(config: BackboneConfig, size: tuple[int, int]) -> None:
    """Raises InputError for an option that the network would ignore, and for an input that its maps do not fit."""
    vit, hrnet = config.name in VIT_SIZES, config.name.startswith("hrnet")
    ignored = {
        "channels": config.channels if vit or hrnet else (),
        "pyramid": config.pyramid if vit or hrnet else 0,
        "drop_path": 0 if vit else config.drop_path,
    }
    for option, value in ignored.items():
        if value:
            raise InputError(f"backbone.{option} is {value}, which {config.name} has no use for; leave it out")
    if len(config.channels) not in (0, 4):
        raise InputError(f"backbone.channels is {config.channels}, expected those of four stages, or none")
    # A ViT's patches; and HRNet adds its maps of stride 32, enlarged, to those of stride 4.
    multiple = 16 if vit else 32 if hrnet else 1
    if any(side % multiple for side in size):
        width, height = (max(round(side / multiple), 1) * multiple for side in size)
        raise InputError(
            f"framing.size is {size[0]} x {size[1]} px, but {config.name} needs multiples of {multiple}; "
            f"the nearest is {width} x {height}"
        )


def create(config: BackboneConfig, **options) -> Any:
    """A network of timm, cut into maps."""
    from huggingface_hub.errors import HTTPError  # the base of all errors of the HTTP library that it uses

    try:
        return timm.create_model(config.name, pretrained=config.weights == "imagenet", features_only=True, **options)
    except (OSError, HTTPError) as error:  # first: some of the hub's are ValueErrors too
        raise InputError(
            f"backbone.weights: the ImageNet weights of '{config.name}' could not be fetched ({type(error).__name__}); "
            "give the path of a downloaded file, or leave backbone.weights empty"
        ) from None
    except (RuntimeError, TypeError, AttributeError, ValueError) as error:
        known = [*VIT_SIZES, *timm.list_models()]
        near = [name for name in known if name.startswith(config.name)] or difflib.get_close_matches(config.name, known)
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"backbone.name: timm cannot build '{config.name}' with maps ({reason}); "
            f"near it: {', '.join(near[:3]) or 'see timm.list_models()'}"
        ) from None


def drop_unused_branches(network: Any) -> None:
    """Takes out of timm's HRNet what only classification uses and the last module's outputs other than the finest."""
    for name in (
        "incre_modules",
        "downsamp_modules",
        "final_layer",
        "classifier",
        "global_pool",
        "head_drop",
    ):
        if hasattr(network, name):
            setattr(network, name, None)
    last = network.stage4[-1]
    last.fuse_layers = nn.ModuleList([last.fuse_layers[0]])


def build_vit(config: BackboneConfig, size: tuple[int, int]) -> PlainViT:
    """ViTPose's transformer for inputs of `size` (W, H)."""
    channels, depth, heads = VIT_SIZES[config.name]
    network = timm.create_model(
        f"{config.name}_patch16_224",
        pretrained=False,
        img_size=(size[1], size[0]),
        num_heads=heads,
        depth=depth,
        class_token=False,
        global_pool="",
        num_classes=0,
        drop_path_rate=config.drop_path,
    )
    if config.weights == "imagenet":
        raise InputError(
            f"backbone.weights: the hub has no weights for {config.name} with {heads} heads and no class token; "
            "give the path of an MAE or ViTPose file"
        )
    return PlainViT(network, channels, 16)
