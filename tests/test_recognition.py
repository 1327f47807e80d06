"""Recognition: published files are told by their tensors, and what they do not say is said to be assumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vitruvian.backbones import BackboneConfig
from vitruvian.cli import main
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.methods import METHODS, build, method_name
from vitruvian.recognition import recognise
from vitruvian.skeletons import COCO, COCO_WHOLEBODY

CASES = [
    ("sar", {"backbone": BackboneConfig("resnet18")}),
    ("sar", {"backbone": BackboneConfig("vit_small"), "deconv_channels": (12, 8), "deconv_kernels": (4, 4)}),
    ("heatmap", {"backbone": BackboneConfig("hrnet_w32"), "deconv_channels": (), "deconv_kernels": ()}),
    ("regression", {"backbone": BackboneConfig("resnet34")}),
]


def published(experiment: Experiment) -> dict[str, torch.Tensor]:
    """The network's tensors as MMPose names them, without memory of their own."""
    with torch.device("meta"):
        state = build(experiment).state_dict()
    names = {name: name.replace("backbone.network.", "backbone.") for name in state}
    return {names[name]: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(("name", "changes"), CASES, ids=lambda value: str(value)[:60])
def test_networks_are_recognised(name: str, changes: dict) -> None:
    expected = Experiment(replace(METHODS[name].Config(), **changes), COCO)
    found, assumed = recognise({}, published(expected), "it")
    assert method_name(found) == name
    assert found.method == expected.method
    assert found.skeleton.joints == COCO.joints
    assert "the 17 joints are those of coco (--joints DATA)" in assumed


def test_the_configuration_beside_the_tensors_is_used() -> None:
    experiment = Experiment(METHODS["heatmap"].Config(backbone=BackboneConfig("resnet18")), COCO_WHOLEBODY)
    text = "codec = dict(type='UDPHeatmap', input_size=(288, 384), heatmap_size=(72, 96))"
    found, assumed = recognise({"meta": {"cfg": text}}, published(experiment), "it")
    assert (found.method.codec, found.method.framing.size, found.method.framing.affine) == ("udp", (288, 384), "udp")  # type: ignore[attr-defined]
    assert len(assumed) == 1


def test_others_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="it holds DEKR, which this version has no network for"):
        recognise({}, {"offset_feature_layers.0.0.conv.weight": torch.zeros(2, 3)}, "it")
    backbone = {"layer1.0.conv1.weight": torch.zeros(2, 3), "fc.weight": torch.zeros(5, 3)}
    with pytest.raises(InputError, match=r"a backbone without a head, .* --method\.backbone\.weights it"):
        recognise({}, backbone, "it")
    with pytest.raises(InputError, match=r"it: no network that is known here \(its tensors are weight \.\.\.\)"):
        recognise({}, {"weight": torch.zeros(2, 3)}, "it")


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
