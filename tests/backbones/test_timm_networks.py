"""Backbones: shapes and strides by name and size, the pyramid, and what is said about one that cannot be built."""

from __future__ import annotations

import pytest
import timm
import torch
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError
from torch.nn import functional

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.backbones.timm_networks import VIT_SIZES, FeaturePyramid, PlainViT
from vitruvian.errors import InputError

SIZE = (64, 96)  # width, height


def build(name: str, size: tuple[int, int] = SIZE, **options):
    torch.manual_seed(0)
    return build_backbone(BackboneConfig(name, **options), size).eval()


def run(backbone, size: tuple[int, int]) -> torch.Tensor:
    """The one map of a backbone, for two images of `size` (W, H)."""
    with torch.inference_mode():
        (features,) = backbone(torch.randn(2, 3, size[1], size[0]))
    assert features.shape[1] == backbone.channels[0]
    return features


@pytest.mark.parametrize(
    ("name", "channels", "stride", "millions"),
    [
        ("resnet18", 512, 32, 11.18),
        ("resnet34", 512, 32, 21.28),
        ("resnet50", 2048, 32, 23.51),
        ("resnet101", 2048, 32, 42.50),
        ("resnet152", 2048, 32, 58.14),
        ("hrnet_w18", 18, 4, 9.32),
        ("hrnet_w32", 32, 4, 28.54),
        ("hrnet_w48", 48, 4, 63.59),
        ("vit_small", 384, 16, 21.60),
        ("vit_base", 768, 16, 85.67),
        ("vit_large", 1024, 16, 303.12),
        ("regnetx_002", 368, 32, 2.32),
    ],
)
def test_channels_strides_and_parameters_by_name(name: str, channels: int, stride: int, millions: float) -> None:
    with torch.device("meta"):  # shapes alone: nothing is initialised
        backbone = build(name)
    assert (backbone.channels, backbone.strides) == ((channels,), (stride,))
    assert sum(one.numel() for one in backbone.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize("name", ["resnet18", "hrnet_w18_small", "vit_small", "regnetx_002"])
def test_maps_have_the_promised_size(name: str) -> None:
    backbone = build(name)
    stride = backbone.strides[0]
    assert run(backbone, SIZE).shape[2:] == (SIZE[1] // stride, SIZE[0] // stride)


@pytest.mark.parametrize(("name", "pyramid"), [("resnet18", 0), ("resnet18", 24), ("regnetx_002", 24)])
@pytest.mark.parametrize("size", [(65, 97), (70, 41)])
def test_odd_sizes_are_rounded_up(name: str, pyramid: int, size: tuple[int, int]) -> None:
    backbone = build(name, size, pyramid=pyramid)
    stride = backbone.strides[0]
    assert stride == (8 if pyramid else 32)
    assert run(backbone, size).shape[2:] == (-(-size[1] // stride), -(-size[0] // stride))


def test_the_channels_of_a_resnets_stages_can_be_chosen() -> None:
    backbone = build("resnet18", channels=(8, 12, 16, 24))
    assert backbone.channels == (24,)
    assert run(backbone, SIZE).shape == (2, 24, 3, 2)


def test_the_pyramid_adds_coarse_maps_to_finer_ones_cell_by_cell() -> None:
    backbone = build("resnet18", channels=(8, 12, 16, 24), pyramid=10)
    assert isinstance(backbone, FeaturePyramid)
    inputs = torch.randn(2, 3, SIZE[1], SIZE[0])
    with torch.inference_mode():
        maps = backbone.network(inputs)[-3:]  # strides 8, 16, 32
        fine, middle, coarse = (lateral(one) for lateral, one in zip(backbone.laterals, maps))
        repeated = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
        merged = fine + (middle + repeated).repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(backbone(inputs)[0], backbone.smooth(merged))
    assert all(parameter.requires_grad for parameter in backbone.laterals.parameters())


def test_patches_of_a_vit_start_two_pixels_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VIT_SIZES, "vit_small", (384, 1, 12))
    backbone = build("vit_small")
    assert isinstance(backbone, PlainViT)
    network = backbone.network
    assert network.pos_embed.shape == (1, 4 * 6, 384)  # no class token
    assert network.blocks[0].attn.num_heads == 12
    inputs = torch.randn(2, 3, SIZE[1], SIZE[0])
    with torch.inference_mode():
        padded = functional.pad(inputs, (2, 2, 2, 2))
        corner = (padded[:, :, :16, 16:32] * network.patch_embed.proj.weight[5]).sum((1, 2, 3))
        network.blocks = torch.nn.Identity()
        network.norm = torch.nn.Identity()
        tokens = backbone(inputs)[0]
    expected = corner + network.patch_embed.proj.bias[5] + network.pos_embed[0, 1, 5]
    torch.testing.assert_close(tokens[:, 5, 0, 1], expected)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("hrnet_w18", (190, 256), "framing.size is 190 x 256 px, but hrnet_w18 needs multiples of 32; .* 192 x 256"),
        ("hrnet_w48", (192, 250), "framing.size is 192 x 250 px, but hrnet_w48 needs multiples of 32; .* 192 x 256"),
        ("vit_small", (250, 8), "framing.size is 250 x 8 px, but vit_small needs multiples of 16; .* 256 x 16"),
    ],
)
def test_sizes_that_do_not_suit_the_network_are_answered_with_the_nearest(name, size, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(name, size)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hrnet_w18", {"pyramid": 32}, "backbone.pyramid is 32, which hrnet_w18 has no use for; leave it out"),
        ("vit_small", {"channels": (8, 16)}, r"backbone.channels is \(8, 16\), which vit_small has no use for"),
        ("resnet18", {"drop_path": 0.1}, "backbone.drop_path is 0.1, which resnet18 has no use for; leave it out"),
    ],
)
def test_options_that_would_be_ignored_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(name, **options)


@pytest.mark.parametrize(
    ("name", "near"), [("resnet-50", "resnet50"), ("hrnet_w33", "hrnet_w32"), ("vit_smal", "vit_small,")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(InputError, match=rf"backbone.name: timm cannot build '{name}' with maps .*; near it: .*{near}"):
        build(name)


def test_a_network_that_cannot_take_an_option_is_named_in_one_line() -> None:
    with pytest.raises(InputError, match=r"backbone.name: timm cannot build 'regnetx_002' with maps") as raised:
        build("regnetx_002", channels=(8, 16, 24, 32))
    assert "\n" not in str(raised.value)


class OlderLocalEntryNotFoundError(FileNotFoundError, ValueError):
    """What huggingface_hub before 1.0 raised without a network: a ValueError too."""


@pytest.mark.parametrize(
    "error",
    [
        LocalEntryNotFoundError("Please check your connection\nand try again."),
        OlderLocalEntryNotFoundError("Please check your connection."),
        HTTPError("407 Proxy Authentication Required"),
        ConnectionResetError("by peer"),
        TimeoutError("read"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_a_network_the_remedy_is_named_in_one_line(error, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args, **options):
        assert options["pretrained"]
        raise error

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(InputError) as raised:
        build("resnet50", weights="imagenet")
    expected = (
        f"backbone.weights: the ImageNet weights of 'resnet50' could not be fetched ({type(error).__name__}); "
        "give the path of a downloaded file, or leave backbone.weights empty"
    )
    assert str(raised.value) == expected


def test_the_hub_has_no_weights_for_a_vit_without_class_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VIT_SIZES, "vit_small", (384, 1, 12))
    with pytest.raises(InputError, match=r"the hub has no weights for vit_small .*; give the path of an MAE"):
        build("vit_small", weights="imagenet")
