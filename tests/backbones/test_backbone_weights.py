"""Published backbone files: torchvision's, HRNet's, timm's, MMPose's and MAE's names, and files that do not fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.backbones.timm_networks import VIT_SIZES
from vitruvian.backbones.weights import UNUSED_BACKBONE, backbone_name, fit_positions, mmpose_name
from vitruvian.checkpoints import fit_state
from vitruvian.errors import InputError

SMALL = (8, 12, 16, 24)
SIZE = (64, 96)  # width, height: a grid of 6 rows and 4 columns for a ViT


def load(name: str, state: dict, folder: Path, **options):
    """A backbone that starts from a file of these tensors."""
    path = folder / "weights.pth"
    torch.save(state, path)
    return build_backbone(BackboneConfig(name, weights=str(path), **options), SIZE).eval()


def test_torchvisions_file_gives_its_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    resnet = torchvision.models.resnet18(num_classes=10).eval()
    backbone = load("resnet18", resnet.state_dict(), tmp_path)
    layers = [layer for name, layer in resnet.named_children() if name not in ("avgpool", "fc")]
    inputs = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        torch.testing.assert_close(backbone(inputs)[0], torch.nn.Sequential(*layers)(inputs))


@pytest.mark.parametrize("wrapped", ["state_dict", "module", "old", "mmpose"])
def test_files_load_in_each_wrapping(wrapped: str, tmp_path: Path) -> None:
    config = BackboneConfig("resnet18", channels=SMALL)
    published = build_backbone(config, SIZE).network.state_dict()
    state = {name: torch.randn_like(value) if value.ndim else value for name, value in published.items()}
    wrapped_states = {
        "state_dict": {"state_dict": state, "epoch": 3},
        "module": {f"module.{name}": value for name, value in state.items()},
        "old": {
            name: value for name, value in state.items() if value.ndim
        },  # PyTorch before 0.4.1 did not count batches
        "mmpose": {
            "meta": {},
            "state_dict": {f"backbone.{name}": value for name, value in state.items()}
            | {"data_preprocessor.mean": torch.zeros(3, 1, 1), "head.final_layer.weight": torch.zeros(3, 4, 1, 1)},
        },
    }
    own = load("resnet18", wrapped_states[wrapped], tmp_path, channels=SMALL).network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in own.items())


def test_hrnets_classifier_and_coarse_outputs_are_dropped_for_a_reason() -> None:
    with torch.device("meta"):  # names and shapes alone
        published = timm.create_model("hrnet_w32").state_dict()
        own = build_backbone(BackboneConfig("hrnet_w32"), SIZE).network.state_dict()
    fitted = fit_state(own, published, backbone_name, UNUSED_BACKBONE)
    assert fitted.state.keys() == own.keys()
    assert not fitted.kept
    assert {"HRNet's classification head", "coarser outputs of HRNet's last module, which nothing reads"} < set(
        fitted.dropped.values()
    )
    # The authors' own file for poses has one output in its last module and a final layer of 17 maps.
    poses = {name: value for name, value in published.items() if name in own}
    poses["final_layer.weight"] = torch.empty(17, 32, 1, 1, device="meta")
    assert fit_state(own, poses, backbone_name, UNUSED_BACKBONE).dropped.keys() == {"final_layer.weight"}


def test_timms_names_load_without_its_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = timm.create_model("regnetx_002", num_classes=10).state_dict()
    assert "head.fc.weight" in published
    own = load("regnetx_002", published, tmp_path).network.state_dict()
    assert all(torch.equal(value, published[name]) for name, value in own.items())


@pytest.fixture
def small_vit(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The tensors of a ViT of two layers, at random, by timm's names."""
    monkeypatch.setitem(VIT_SIZES, "vit_small", (384, 2, 12))
    torch.manual_seed(0)
    state = build_backbone(BackboneConfig("vit_small"), SIZE).network.state_dict()
    return {name: torch.randn_like(value) for name, value in state.items()}


def test_mmposes_vit_names_load(small_vit: dict, tmp_path: Path) -> None:
    renames = (
        (r"^patch_embed\.proj\.", "patch_embed.projection."),
        (r"^blocks\.(\d+)\.norm(\d)\.", r"layers.\1.ln\2."),
        (r"^blocks\.(\d+)\.mlp\.fc1\.", r"layers.\1.ffn.layers.0.0."),
        (r"^blocks\.(\d+)\.mlp\.fc2\.", r"layers.\1.ffn.layers.1."),
        (r"^blocks\.(\d+)\.attn\.", r"layers.\1.attn."),
        (r"^norm\.", "ln1."),
    )
    theirs = {}
    for name, value in small_vit.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        theirs[f"backbone.{name}"] = value
    assert "backbone.layers.1.ffn.layers.0.0.weight" in theirs
    own = load("vit_small", {"state_dict": theirs}, tmp_path).network.state_dict()
    assert all(torch.equal(value, small_vit[name]) for name, value in own.items())


def test_maes_file_loses_its_class_token_and_decoder_and_is_resampled(small_vit: dict, tmp_path: Path) -> None:
    rows, columns = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    ramps = torch.zeros(14, 14, 384)
    ramps[..., 0], ramps[..., 1], ramps[..., 2] = (rows + 0.5) / 14, (columns + 0.5) / 14, 7
    positions = torch.cat([torch.full((1, 1, 384), 99.0), ramps.reshape(1, 196, 384)], 1)
    mae = {"cls_token": torch.zeros(1, 1, 384), "mask_token": torch.zeros(1, 1, 5), "decoder_norm.bias": torch.zeros(5)}
    theirs = {"model": small_vit | {"pos_embed": positions} | mae}
    own = load("vit_small", theirs, tmp_path).network.state_dict()
    assert all(torch.equal(value, small_vit[name]) for name, value in own.items() if name != "pos_embed")
    grid = own["pos_embed"].reshape(6, 4, 384)
    # A ramp stays a ramp in fractions of the image, but for the edges, where the resampling has no neighbours.
    torch.testing.assert_close(grid[1:-1, 0, 0], (torch.arange(1, 5) + 0.5) / 6, atol=0.01, rtol=0)
    torch.testing.assert_close(grid[0, 1:-1, 1], (torch.arange(1, 3) + 0.5) / 4, atol=0.01, rtol=0)
    torch.testing.assert_close(grid[..., 2], torch.full((6, 4), 7.0))


def test_positions_of_the_same_grid_stay_and_of_an_unknown_one_are_refused() -> None:
    positions = torch.randn(1, 25, 3)
    assert torch.equal(fit_positions(positions[:, :24], (6, 4), "a.pth"), positions[:, :24])
    assert torch.equal(fit_positions(positions, (6, 4), "a.pth"), positions[:, 1:])  # of the grid, with a class token
    assert torch.equal(fit_positions(positions, (5, 5), "a.pth"), positions)
    assert fit_positions(positions, (2, 3), "a.pth").shape == (1, 6, 3)  # 5 x 5, resampled
    with pytest.raises(InputError, match=r"a.pth: its position embedding has 15 places, expected a square grid or 6"):
        fit_positions(positions[:, :15], (6, 4), "a.pth")


def test_names_map_one_by_one() -> None:
    for name in ("layer1.0.conv1.weight", "stage4.2.fuse_layers.0.1.0.weight", "blocks.3.norm1.bias", "cls_token"):
        assert backbone_name(name) == name
    assert backbone_name("layers.11.ffn.layers.1.bias") == "blocks.11.mlp.fc2.bias"
    assert mmpose_name("backbone.layers.0.ln2.weight") == "backbone.network.blocks.0.norm2.weight"
    assert mmpose_name("keypoint_head.final_layer.bias") == "head.final_layer.bias"
    assert mmpose_name("head.deconv_layers.0.weight") == "head.deconv_layers.0.weight"
    assert mmpose_name("neck.weight") is None


def test_files_of_other_networks_are_answered_with_the_tensors_that_differ(tmp_path: Path) -> None:
    deeper = build_backbone(BackboneConfig("resnet34", channels=SMALL), SIZE).network.state_dict()
    with pytest.raises(InputError, match=r"weights.pth does not fit the network: .* left over \(layer1.2.conv1.weight"):
        load("resnet18", deeper, tmp_path, channels=SMALL)
    state = build_backbone(BackboneConfig("resnet18", channels=SMALL), SIZE).network.state_dict()
    del state["layer2.0.conv1.weight"]
    with pytest.raises(InputError, match=r"tensors 1 missing \(layer2.0.conv1.weight\)"):
        load("resnet18", state, tmp_path, channels=SMALL)
    state["layer2.0.conv1.weight"] = torch.zeros(7, 5)
    with pytest.raises(InputError, match=r"layer2.0.conv1.weight is float32 \(7, 5\) and .* is float32 \(12, 8,"):
        load("resnet18", state, tmp_path, channels=SMALL)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"resnet18.pth"):
        build_backbone(BackboneConfig("resnet18", weights=str(tmp_path / "resnet18.pth")), SIZE)
