"""Our numbers against those of the papers' published code, for every case in a folder laid out like shared/parity.

The folder is `--parity DIR`, else $VITRUVIAN_PARITY, else `../shared/parity` beside the repository. A case is tested by
the function for its (system, kind) in tests/parity; a kind that has none fails, unless it stands in NOT_BUILT.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

NOT_BUILT = {
    "centergroup": (
        "ae_parse ae_pipeline aggregate_maps center_targets detector_forward detector_loss embed_cnn graph "
        "grouping grouping_loss heatmap_targets original_detector_forward pipeline pose_output "
        "position_encoding preprocess train_geometry training_step"
    ),
    "lofr": (
        "average_response cam decode decoder_layer encoder_layer head labels loss metric_pck network "
        "part_diversity prototype_generation response_maps sem_graph_conv spatial_position_encoding"
    ),
    "logocap": (
        "adaptation attentive_norm attraction_maps augmentation_geometry center_decode expansion_maps "
        "inference instance_suppression losses network oks_assignment pipeline preprocess targets train_step "
        "training_sample upper_bound warped_pictures"
    ),
    "sar": "dekr_decode dekr_network dekr_targets_loss",
    "tcformer": (
        "backbone_forward classify ctm ctm_topk decode dpc_knn flops grad_backbone grid_block hmr_head "
        "local_dpc_knn loss merge_tokens mta mta_gather target tc_block token_conv token_downup "
        "token_map train_step visual wholebody"
    ),
}
"""Kinds of cases for what is not built yet, by system, words of a text. A kind that stands nowhere fails."""


class Case:
    """One parity case: its description, weights and inputs, and the comparison with what is stored."""

    def __init__(self, folder: Path, fill) -> None:
        self.folder, self.fill = folder, fill
        self.json = json.loads((folder / "case.json").read_text())
        self.config = self.json["config"]
        self.key = self.json["system"], self.json["kind"]
        self.name = f"{self.json['system']}/{self.json['case']}"
        self.compared: set[str] = set()
        self.failures: list[str] = []

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "arrays.npz") as stored:
            return {name: stored[name] for name in stored.files}

    def state_dict(self) -> dict[str, np.ndarray]:
        """The reference model's tensors by their reference names."""
        return self.fill.fill_state_dict(self.json["state_dict"], self.json["seed"], self.json["scales"])

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """The case's inputs by name."""
        values, stored = {}, self.arrays
        for name, spec in self.json["inputs"].items():
            if spec["kind"] == "stored":
                values[name] = stored[f"in.{name}"]
            elif spec["kind"] == "json":
                values[name] = spec["value"]
            else:
                limits = spec.get("low", 0.0), spec.get("high", 1.0)
                values[name] = self.fill.fill_input(name, tuple(spec["shape"]), spec["seed"], spec["kind"], *limits)
        return values

    @property
    def output_names(self) -> list[str]:
        """The outputs that the case pins."""
        return list(self.json["outputs"])

    def compare(self, name: str, value) -> None:
        """Holds `value`, the full array, to what is stored under `name`, at that output's tolerance."""
        spec = self.json["outputs"][name]
        expected = self.arrays[f"out.{name}"].astype(np.float64)
        value = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64)
        if "full_shape" in spec:
            assert value.shape == tuple(spec["full_shape"]), f"{name}: shape {value.shape}, not {spec['full_shape']}"
        if "slice" in spec:
            value = value[parse_slice(spec["slice"])]
        value = value.reshape(expected.shape) if value.size == 1 else value
        assert value.shape == expected.shape, f"{name}: shape {value.shape}, expected {expected.shape}"
        value = value * spec.get("scale", 1)
        tolerance = spec.get("tolerance", self.json["tolerance"])
        self.compared.add(name)
        # The stored arrays are float32: where they cannot hold a difference, none can be asked for.
        close = np.isclose(value, expected, rtol=tolerance["rtol"], atol=tolerance["atol"], equal_nan=True)
        if not close.all():
            worst = np.nanmax(np.where(close, 0, np.abs(value - expected)))
            self.failures.append(f"{name}: {(~close).mean():.1%} off, worst by {worst:.3g}, allowed {tolerance}")

    def finish(self) -> None:
        """Fails if an output was not compared or did not agree."""
        assert not self.failures, f"{self.name}: " + "; ".join(self.failures)
        missing = set(self.json["outputs"]) - self.compared
        assert not missing, f"{self.name}: not compared: {sorted(missing)}"


def parse_slice(text: str) -> tuple[slice, ...]:
    """NumPy slicing syntax as slices: "[:, ::2]" -> (slice(None), slice(None, None, 2))."""
    parts = text.strip("[]").split(",")
    return tuple(slice(*(int(n) if n else None for n in part.strip().split(":"))) for part in parts)


def load_module(path: Path):
    """A Python file as a module, without its folder on the path."""
    name = re.sub(r"\W", "_", str(path.resolve()))
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def functions_by_kind() -> dict:
    """The functions of tests/parity by (system, kind)."""
    found: dict = {}
    for path in sorted((Path(__file__).parent / "parity").glob("*_cases.py")):
        found |= load_module(path).CASES
    return found


def is_not_built(key: tuple[str, str]) -> bool:
    system, kind = key
    return kind in NOT_BUILT.get(system, "").split()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    root: Path = metafunc.config.parity_folder  # type: ignore[attr-defined]
    folders = sorted(path.parent for path in root.glob("*/*/case.json"))
    parameters = []
    for folder in folders:
        description = json.loads((folder / "case.json").read_text())
        if not is_not_built((description["system"], description["kind"])):
            parameters.append(pytest.param(folder, id=f"{folder.parent.name}/{folder.name}"))
    if not folders:
        parameters = [pytest.param(None, marks=pytest.mark.skip(reason=f"no parity cases under {root}"), id="none")]
    metafunc.parametrize("folder", parameters)


def test_parity(folder: Path, request: pytest.FixtureRequest) -> None:
    root = request.config.parity_folder  # type: ignore[attr-defined]
    case = Case(folder, load_module(root / "fill.py"))
    by_kind = functions_by_kind()
    assert case.key in by_kind, f"{case.name}: no test knows the kind {case.key}; write one in tests/parity"
    by_kind[case.key](case)
    case.finish()
