"""Recognition: published files are told by their tensors, and what they do not say is said to be assumed."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from vitruvian.backbones import BackboneConfig, build_backbone
from vitruvian.cli import main
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.methods import METHODS, build, method_name
from vitruvian.recognition import is_backbone_alone, recognise
from vitruvian.skeletons import COCO, COCO_WHOLEBODY, WFLW

CASES = [
    ("sar", {"backbone": BackboneConfig("resnet18")}),
    ("sar", {"backbone": BackboneConfig("vit_small"), "deconv_channels": (12, 8), "deconv_kernels": (4, 4)}),
    ("heatmap", {"backbone": BackboneConfig("hrnet_w32"), "deconv_channels": (), "deconv_kernels": ()}),
    ("regression", {"backbone": BackboneConfig("resnet34")}),
    ("rle", {"backbone": BackboneConfig("resnet50")}),
    ("rle", {"backbone": BackboneConfig("resnet50"), "form": "authors"}),
    ("integral", {"backbone": BackboneConfig("resnet18")}),
]


def published(experiment: Experiment, older: bool = False) -> dict[str, torch.Tensor]:
    """The network's tensors as MMPose (`older`: 0.x) or RLE's authors name them, without memory of their own."""
    with torch.device("meta"):
        state = build(experiment).state_dict()
    name, method = method_name(experiment), experiment.method
    authors = getattr(method, "form", "") == "authors"
    flow = "flow" if authors else "head.loss.flow_model" if older else "head.loss_module.flow_model"
    found = {}
    for ours, tensor in state.items():
        theirs = ours.replace("backbone.network.", "preact." if authors else "backbone.")
        theirs = theirs.replace("flow.scale_nets", f"{flow}.s").replace("flow.shift_nets", f"{flow}.t")
        if authors:
            theirs = re.sub(r"head\.(fc_\w+)\.", r"\1.linear.", theirs)
        if name == "integral":
            theirs = theirs.replace("head.", "head.simplebaseline_head.")
        found[theirs.replace("head.", "keypoint_head.", 1) if older else theirs] = tensor
    if name == "integral":
        found |= {"head.linspace_x": torch.zeros(1, 64), "head.linspace_y": torch.zeros(1, 64)}
    return found


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(("name", "changes"), CASES, ids=lambda value: str(value)[:60])
def test_networks_are_recognised(name: str, changes: dict, older: bool) -> None:
    expected = Experiment(replace(METHODS[name].Config(), **changes), COCO)
    if older and "form" in changes:
        pytest.skip("the authors' own files have one form")
    state = published(expected, older)
    assert not is_backbone_alone(state)
    found, assumed = recognise({}, state, "it")
    assert method_name(found) == name
    assert (found.method.backbone, found.skeleton.joints) == (expected.method.backbone, COCO.joints)  # type: ignore[attr-defined]
    for field in ("form", "deconv_channels", "deconv_kernels", "heatmap_branch"):
        assert getattr(found.method, field, None) == getattr(expected.method, field, None)
    assert "the 17 joints are those of coco (--joints DATA)" in assumed
    names = import_module(f"vitruvian.methods.{name}.weights")
    with torch.device("meta"):
        method = build(found)
    assert names.from_reference(state, method).state.keys() == method.state_dict().keys()


def test_offset_networks_are_told_by_three_maps_a_joint() -> None:
    expected = Experiment(METHODS["heatmap_offset"].Config(backbone=BackboneConfig("resnet18")), COCO)
    found, _ = recognise({}, published(expected, older=True), "it")
    assert (method_name(found), found.skeleton.joints, found.method.framing.affine) == (  # type: ignore[attr-defined]
        "heatmap_offset",
        COCO.joints,
        "udp",
    )


def test_the_joints_beside_the_tensors_are_used() -> None:
    state = published(Experiment(METHODS["regression"].Config(), WFLW))
    meta: dict[str, Any] = {
        "dataset_name": "fish",
        "keypoint_id2name": {joint: f"point {joint}" for joint in range(98)},
        "flip_indices": [1, 0, *range(2, 98)],
        "skeleton_links": [(0, 2), (1, 2)],
    }
    skeleton = recognise({"meta": {"dataset_meta": meta}}, state, "it").experiment.skeleton
    assert (skeleton.name, skeleton.joints[3], skeleton.limbs) == ("fish", "point 3", ((0, 2), (1, 2)))
    assert skeleton.mirror == (1, 0, *range(2, 98))
    meta["keypoint_id2name"] = dict(enumerate(WFLW.joints))
    assert recognise({"meta": {"dataset_meta": meta}}, state, "it").experiment.skeleton is WFLW


def test_the_configuration_beside_the_tensors_is_used() -> None:
    experiment = Experiment(METHODS["heatmap"].Config(backbone=BackboneConfig("resnet18")), COCO_WHOLEBODY)
    text = "codec = dict(type='UDPHeatmap', input_size=(288, 384), heatmap_size=(72, 96))"
    found, assumed = recognise({"meta": {"cfg": text}}, published(experiment), "it")
    assert (found.method.codec, found.method.framing.size, found.method.framing.affine) == ("udp", (288, 384), "udp")  # type: ignore[attr-defined]
    assert len(assumed) == 1


def test_others_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="it holds DEKR, which this version has no network for"):
        recognise({}, {"offset_feature_layers.0.0.conv.weight": torch.zeros(2, 3)}, "it")
    with pytest.raises(InputError, match=r"it: no network that is known here \(its tensors are weight \.\.\.\)"):
        recognise({}, {"weight": torch.zeros(2, 3)}, "it")


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_backbone_alone_is_converted(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    config = BackboneConfig("resnet18")
    theirs = {prefix + name: tensor for name, tensor in build_backbone(config, (64, 96)).network.state_dict().items()}
    head = {f"{prefix}fc.weight": torch.ones(5, 512), f"{prefix}fc.bias": torch.ones(5)}
    torch.save(theirs | head, tmp_path / "theirs.pth")
    output = tmp_path / "ours.safetensors"
    assert main(["import-weights", str(tmp_path / "theirs.pth"), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert f"ours.safetensors: {len(theirs)} tensors from" in said
    assert f"--method.backbone.name resnet18 --method.backbone.weights {output}" in said
    assert "dropped, classifies ImageNet's 1000 classes: fc.weight, fc.bias" in said
    loaded = build_backbone(replace(config, weights=str(output)), (64, 96)).network.state_dict()
    for name, tensor in loaded.items():
        torch.testing.assert_close(tensor, theirs[prefix + name], rtol=0, atol=0)


def test_a_file_needs_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    config = METHODS["sar"].Config(backbone=BackboneConfig("resnet18"), deconv_channels=(), deconv_kernels=())
    state = build(Experiment(config, COCO)).state_dict()
    theirs = {name.replace("backbone.network.", "backbone."): tensor for name, tensor in state.items()}
    torch.save({"state_dict": theirs}, tmp_path / "theirs.pth")
    output = tmp_path / "ours.safetensors"
    assert main(["import-weights", str(tmp_path / "theirs.pth"), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "theirs.pth: sar, resnet18, 17 joints" in said
    assert "assumed, for the file does not say: the input has 192 x 256 px (--method.framing.size W H)" in said
    assert output.is_file()
