"""Network parts that several methods use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitruvian.errors import expect

PADDINGS = {4: (1, 0), 3: (1, 1), 2: (0, 0)}
"""Padding, and that of the output, with which a deconvolution of each kernel size doubles a map exactly."""


def check_deconvolutions(channels: Sequence[int], kernels: Sequence[int]) -> None:
    """Raises ValueError for channels and kernel sizes that `deconvolutions` cannot be built of."""
    if len(channels) != len(kernels):
        raise ValueError(
            f"deconv_channels has {len(channels)} numbers and deconv_kernels has {len(kernels)}, expected as many"
        )
    expect(all(one >= 1 for one in channels), "deconv_channels", tuple(channels), "numbers from 1 on")
    expect(all(kernel in PADDINGS for kernel in kernels), "deconv_kernels", tuple(kernels), "sizes of 2, 3 or 4")


def deconvolutions(in_channels: int, channels: Sequence[int], kernels: Sequence[int]) -> nn.Sequential:
    """A stack of transposed convolutions that each double the map: (B, in_channels, h, w) -> (B, channels[-1], ...).

    Each is followed by batch norm and ReLU (SimpleBaseline, ECCV 2018).

    Args:
        in_channels: channels of the features.
        channels: output channels of each layer; empty: an empty stack.
        kernels: kernel sizes, 2, 3 or 4, one a layer.

    Raises ValueError for others.
    """
    check_deconvolutions(channels, kernels)
    layers: list[nn.Module] = []
    for out_channels, kernel in zip(channels, kernels):
        padding, output_padding = PADDINGS[kernel]
        layers += [
            nn.ConvTranspose2d(in_channels, out_channels, kernel, 2, padding, output_padding, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
        in_channels = out_channels
    return nn.Sequential(*layers)


def initialise_head(head: nn.Module, std: float = 0.001) -> None:
    """Convolutions of a head: weights normal with `std`, biases 0; norms start as the identity."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


class MapHead(nn.Module):
    """Optional deconvolutions, then a 1x1 convolution to maps (SimpleBaseline, ECCV 2018).

    Features (B, C, h0, w0) -> maps (B, M, h, w).

    Args:
        in_channels: C.
        num_maps: M.
        deconv_channels: channels of the deconvolutions, each of which doubles the map; empty: none.
        deconv_kernels: their kernel sizes.
    """

    def __init__(
        self, in_channels: int, num_maps: int, deconv_channels: Sequence[int], deconv_kernels: Sequence[int]
    ) -> None:
        super().__init__()
        self.deconv_layers = deconvolutions(in_channels, deconv_channels, deconv_kernels)
        self.deconvolutions = len(deconv_channels)
        self.final_layer = nn.Conv2d(deconv_channels[-1] if deconv_channels else in_channels, num_maps, 1)
        initialise_head(self)

    def forward(self, features: Tensor) -> Tensor:
        features = self.deconv_layers(features)
        # The maps themselves in float32, and not channels last: peaks are sought in them.
        with torch.autocast(features.device.type, enabled=False):
            return self.final_layer(features.float()).contiguous()

    def map_size(self, input_size: tuple[int, int], stride: int) -> tuple[int, int]:
        """Width and height of the maps, cells, for an input of `input_size` (W, H) and features of `stride`."""
        return map_size(input_size, stride, self.deconvolutions)


def map_size(input_size: tuple[int, int], stride: int, deconvolutions: int) -> tuple[int, int]:
    """Width and height, cells, of features of `stride` after some deconvolutions, for an input of (W, H) pixels.

    Raises ValueError for maps of a single row or column, which say nothing about where things are.
    """
    width, height = (-(-side // stride) * 2**deconvolutions for side in input_size)
    if min(width, height) < 2:
        raise ValueError(
            f"framing.size is {input_size}, expected more: its maps would have {width} x {height} cells, 2 x 2 or more "
            "are needed"
        )
    return width, height


def pool(features: Tensor) -> Tensor:
    """Global average pooling: (B, C, h, w) -> (B, C)."""
    return features.mean((2, 3))
