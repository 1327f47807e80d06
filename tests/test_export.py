"""Export: files give what the network gives, without torch; and what is wrong with files and options is said."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from colour_finder import scene

import vitruvian
from vitruvian import checkpoints, export
from vitruvian.backbones import BackboneConfig
from vitruvian.cli import main
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.images import write_image
from vitruvian.methods import METHODS, build, experiment_to_dict
from vitruvian.prediction.exported import ExportedPredictor
from vitruvian.prediction.networks import load_network
from vitruvian.skeletons import LSP

SMALL = BackboneConfig("resnet18", channels=(8, 12, 16, 24))
CASES: list[Any] = [
    ("regression", {}),
    ("heatmap", {"codec": "dark"}),
    ("sar", {"flip": "literal"}),
    ("sar", {"depth_range": 2000.0}),
    *(
        pytest.param(name, changes, marks=pytest.mark.slow)  # seconds each
        for name, changes in (
            ("heatmap_offset", {}),
            ("heatmap", {"codec": "msra"}),
            ("heatmap", {"codec": "udp"}),
            ("sar", {"flip": "exact"}),
            ("sar", {"flip": "maps"}),
            ("rle", {"form": "mmpose"}),
            ("rle", {"form": "authors"}),
            ("rle", {"form": "authors", "depth_range": 2000.0}),
            ("integral", {}),
            ("integral", {"depth_range": 2000.0}),
            # The features of a ViT are so large that with more noise several cells have the same score to rounding.
            ("sar", {"backbone": BackboneConfig("vit_small"), "noise": 0.03}),
        )
    ),
]


def checkpoint(folder: Path, name: str, noise: float = 0.3, **changes: Any) -> Path:
    """A small network that is sure of what it says, as if it had been trained: its head has weights of this size."""
    torch.manual_seed(1)
    config = METHODS[name].Config()
    changes = {"backbone": SMALL, "framing": replace(config.framing, size=(64, 96))} | changes
    if hasattr(config, "deconv_channels"):
        changes |= {"deconv_channels": (12, 8), "deconv_kernels": (4, 4)}
    experiment = Experiment(replace(config, **changes), LSP)
    method = build(experiment)
    with torch.no_grad():
        for parameter in method.get_submodule("head").parameters():
            parameter.add_(torch.randn_like(parameter) * (noise if parameter.ndim > 1 else 0))
    path = folder / f"{name}.safetensors"
    checkpoints.save(path, method.state_dict(), experiment_to_dict(experiment))
    return path


def write_photo(folder: Path) -> Path:
    """A photo with many edges."""
    image = scene(5, people=3)[0].astype(np.int64) + np.random.default_rng(0).integers(0, 99, (120, 330, 3))
    write_image(folder / "photo.png", image.clip(0, 255).astype(np.uint8))
    return folder / "photo.png"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A checkpoint, the .onnx file made of it without mirrored crops, and a photo."""
    folder = tmp_path_factory.mktemp("exported")
    weights, photo = checkpoint(folder, "regression"), write_photo(folder)
    command = ["export", str(weights), "--output", str(folder / "out.onnx"), "--photos", str(photo), "--no-flip"]
    assert main(command) == 0
    return weights, folder / "out.onnx", photo


@pytest.mark.parametrize(("name", "changes"), CASES, ids=str)
def test_gives_what_the_network_gives(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    weights, photo = checkpoint(tmp_path, name, **changes), write_photo(tmp_path)
    description, difference = export.export(weights, tmp_path / "out.onnx", photos=[photo], tolerance=0.01)
    assert (difference.keypoints, difference.photos) == (5 * LSP.num_joints, 1)
    boxes = [[[0.0, 0, 150, 110], [90, 0, 240, 110], [20, 10, 300, 100]]]
    ours = vitruvian.load(tmp_path / "out.onnx")
    assert isinstance(ours, ExportedPredictor)
    assert (ours.skeleton.joints, ours.skeleton.mirror) == (LSP.joints, LSP.mirror)
    assert ours.framing == description.framing
    network = load_network(weights, "cpu")
    assert (ours.score, ours.drawn_above) == (network.score, network.drawn_above)
    found, expected = ours.predict([photo], boxes)[0], network.predict([photo], boxes)[0]
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    far = np.abs(found.keypoints - expected.keypoints).max(-1) > 0.05
    assert far.sum() <= 1  # between two places
    np.testing.assert_allclose(found.joint_scores, expected.joint_scores, atol=1e-3)


def test_predicts_without_torch(exported: tuple[Path, Path, Path], tmp_path: Path) -> None:
    weights, model, photo = exported
    code = (
        "import sys; from vitruvian.cli import main; code = main(sys.argv[1:]);"
        "sys.exit('imports torch' if 'torch' in sys.modules else code)"
    )
    command = [sys.executable, "-c", code, "predict", str(photo), "--weights", str(model), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "photo.png").is_file()
    record = json.loads((tmp_path / "results.json").read_text())[0]
    expected = load_network(weights, "cpu").predict([photo], flip=False)[0]
    np.testing.assert_allclose(np.reshape(record["keypoints"], (-1, 3))[:, :2], expected.keypoints[0], atol=0.02)


def test_the_description_says_all(exported: tuple[Path, Path, Path]) -> None:
    values = json.loads(exported[1].with_name("out.onnx.json").read_text())
    assert (values["name"], values["flip"], values["score"]) == ("regression", False, "box_keypoint")
    assert values["inputs"]["pixels"]["shape"] == ["batch", 96, 64, 3]
    assert values["outputs"]["points"]["shape"] == ["batch", 14, 2]
    assert values["framing"]["padding"] == 1.25
    assert values["skeleton"]["joints"] == list(LSP.joints)
    assert values["checked"]["largest_difference_px"] < 0.01
    stored = {one.key: one.value for one in onnx.load(exported[1]).metadata_props}
    assert json.loads(stored["vitruvian"]) == values


def test_batches_have_any_size(exported: tuple[Path, Path, Path]) -> None:
    predictor, image = vitruvian.load(exported[1]), scene(2)[0]
    together = predictor.predict([image] * 5, batch_size=5)
    alone = predictor.predict([image], batch_size=1)[0]
    for poses in together:
        np.testing.assert_allclose(poses.keypoints, alone.keypoints, atol=1e-3)


def test_what_is_wrong_with_a_file_is_said(exported: tuple[Path, Path, Path], tmp_path: Path) -> None:
    whole = exported[1].read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"cut\.onnx: not an ONNX file that can be read, .* {len(whole) // 2} bytes"):
        vitruvian.load(cut)
    with pytest.raises(InputError, match=r"gone\.onnx: there is no such file; vitruvian export writes one"):
        vitruvian.load(tmp_path / "gone.onnx")
    bare = tmp_path / "bare.onnx"
    model = onnx.load(exported[1])
    del model.metadata_props[:]
    onnx.save(model, bare)
    with pytest.raises(InputError, match=r"does not say what network it is: .* no bare\.onnx\.json beside it"):
        vitruvian.load(bare)
    beside = bare.with_name("bare.onnx.json")
    beside.write_text('{"format": 1')
    with pytest.raises(InputError, match=r"bare\.onnx\.json: the description of the network is no JSON"):
        vitruvian.load(bare)
    values = json.loads(exported[1].with_name("out.onnx.json").read_text())
    beside.write_text(json.dumps(values))
    assert vitruvian.load(bare).skeleton.joints == LSP.joints
    values["framing"]["size"] = [64, 64]
    beside.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"another network than its description: it has .*\(batch, 96, 64, 3\)"):
        vitruvian.load(bare)
    beside.write_text(json.dumps(values | {"format": 99}))
    with pytest.raises(InputError, match="format is 99, expected 1 or less: a later version of Vitruvian wrote it"):
        vitruvian.load(bare)


def test_what_was_decided_at_export_stays(exported: tuple[Path, Path, Path]) -> None:
    predictor = vitruvian.load(exported[1])
    with pytest.raises(InputError, match=r"was exported without mirrored crops, .* export it again without --no-flip"):
        predictor.predict([scene(0)[0]], flip=True)
    with pytest.raises(InputError, match=r"device 'cuda': .* is an exported network, which runs on the CPU here"):
        vitruvian.load(exported[1], "cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{weights}", "--output", "{folder}/out.bin"], "out.bin: give a name that ends in .onnx"),
        (["{weights}", "--output", "{folder}/no/out.onnx"], "there is no folder"),
        (["{model}", "--output", "{folder}/out.onnx"], "is an exported network already"),
        (["{folder}/gone.safetensors", "--output", "{folder}/out.onnx"], "there is no such file"),
        (["{weights}", "--output", "{folder}/out.onnx", "--photos", "{folder}/gone.jpg"], "There is no photo"),
        (["{weights}", "--output", "{folder}/out.onnx", "--tolerance", "-1"], "--tolerance is -1, expected 0 px"),
    ],
)
def test_what_cannot_be_exported_is_said(
    options: list[str], message: str, exported: tuple[Path, Path, Path], tmp_path: Path, capsys: Any
) -> None:
    weights, model, _ = exported
    given = [option.format(weights=weights, model=model, folder=tmp_path) for option in options]
    assert main(["export", *given]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_off_is_not_left(
    exported: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = export.run
    monkeypatch.setattr(export, "run", lambda session, pixels: run(session, pixels) + np.float32(0.5))
    weights, _, photo = exported
    command = ["export", str(weights), "--output", str(tmp_path / "out.onnx"), "--photos", str(photo), "--no-flip"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "out.onnx is not written: what it gives differs from the network's by up to 0.5 px and 0.5 in a" in said
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(
    exported: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(InputError, match=r"export needs onnxscript, .*pip install 'vitruvian\[export\]'"):
        export.export(exported[0], tmp_path / "out.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"runs on ONNX Runtime, which is not installed: pip install 'vitruvian\["):
        vitruvian.load(exported[1])
