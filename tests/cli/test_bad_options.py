"""Option values that no network can be built of or trained with: each is named in one line, and nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vitruvian.cli import main

BATCH = ("--training.batch-size", "2", "--training.workers", "0")


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--method.framing.size 0 0", "method.framing: size is (0, 0), expected a width and a height of 2 px or more"),
        ("--method.framing.size=-64,96", "method.framing: size is (-64, 96), expected a width and a height of 2 px"),
        ("--method.framing.size 2 2 --method.deconv-channels [] --method.deconv-kernels []", "maps would have 1 x 1"),
        ("--method.framing.kind photo", "framing.kind is 'photo', expected 'crop'"),
        ("--method.framing.padding 0", "method.framing: padding is 0.0, expected a factor above 0"),
        ("--method.framing.std 1 0 1", "method.framing: std is (1.0, 0.0, 1.0), expected numbers above 0"),
    ],
)
def test_of_evaluate(options: str, message: str, capsys: Any, data: Path, weights: Path) -> None:
    assert message in complaint(capsys, "evaluate", "--data", data, "--weights", weights, *options.split())


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("sar", "--method.deconv-channels 8 --method.deconv-kernels 5", "deconv_kernels is (5,), expected sizes of 2,"),
        ("sar", "--method.deconv-channels 8 --method.deconv-kernels 4 4", "deconv_channels has 1 numbers and"),
        ("sar", "--method.deconv-channels 0 --method.deconv-kernels 4", "deconv_channels is (0,), expected numbers"),
        ("sar", "--method.heatmap-sigma 0", "heatmap_sigma is 0.0, expected a number of cells above 0"),
        ("sar", "--method.sharpness -1", "sharpness is -1.0, expected a number above 0"),
        ("sar", "--method.backbone.channels 8 8", "backbone.channels is (8, 8), expected those of four stages, or"),
        ("sar", "--method.backbone.channels 8 8 0 8", "channels is (8, 8, 0, 8), expected numbers from 1 on"),
        ("sar", "--method.backbone.pyramid -3", "pyramid is -3, expected 0 or more"),
        ("sar", "--method.backbone.drop-path 2", "drop_path is 2.0, expected a chance"),
        ("heatmap", "--method.framing.padding 0", "padding is 0.0, expected a factor above 0"),
        ("heatmap", "--method.codec dark --method.blur 4", "blur is 4, expected an odd number of cells"),
        ("heatmap", "--method.sigma 0", "the options: method: sigma is 0.0, expected a number of cells above 0"),
        ("heatmap_offset", "--method.radius 0", "radius is 0.0, expected a share of the map above 0"),
        ("heatmap_offset", "--method.blur 0", "blur is 0, expected an odd number of cells"),
        ("integral", "--method.beta 0", "beta is 0.0, expected a number above 0"),
        ("integral", "--method.sigma -1", "sigma is -1.0, expected a number of cells above 0"),
        ("regression", "--method.framing.kind photo", "framing.kind is 'photo', expected 'crop'"),
        ("rle", "--method.framing.kind photo", "framing.kind is 'photo', expected 'crop'"),
        ("rle", "--method.framing.multiple 0", "multiple is 0, expected 1 px or more"),
        ("rle", "--augmentation.scale 1.5", "augmentation: scale is 1.5, expected 0 to below 1"),
        ("rle", "--training.milestones 3 -5", "training: milestones is (3, -5), expected epochs from 1 on"),
        ("rle", "--dataset.limit -1", "dataset: limit is -1, expected 0 or more"),
    ],
)
def test_of_train(
    recipe: str, options: str, message: str, capsys: Any, data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("train", f"{recipe}/lspet_resnet18", "--data", data, "--device", "cpu", *BATCH, *options.split())
    assert message in complaint(capsys, *arguments)
