"""Checkpoints keep tensors and experiment, and other people's tensors fit or are named in one line."""

import errno
import json
import os
import re
import resource
import struct

import numpy as np
import pytest
import safetensors.torch
import torch

from vitruvian import checkpoints
from vitruvian.checkpoints import fit_state, load, load_state, save, state_dict_of
from vitruvian.checkpoints.foreign import read_foreign
from vitruvian.errors import InputError

EXPERIMENT = {"method": {"name": "sar", "size": [192, 256]}, "seed": 7, "rate": 5e-4, "norm": None}


def network():
    return torch.nn.Sequential(torch.nn.Conv2d(2, 3, 5), torch.nn.BatchNorm2d(3))


def test_tensors_and_experiment_come_back(tmp_path):
    state = network().state_dict()
    save(tmp_path / "a.safetensors", state, EXPERIMENT, extra={"epoch": "3"})
    result, experiment = load(tmp_path / "a.safetensors")
    assert experiment == EXPERIMENT
    assert result.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(result[name], tensor)
        assert result[name].dtype == tensor.dtype
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata()["epoch"] == "3"
        assert file.metadata()["vitruvian"]
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_a_header_of_any_length(tmp_path):
    """The file begins with that length, and with other bytes the same beginning would tell of another format."""
    for length in range(0, 600, 8):  # the header is filled up to eights
        save(tmp_path / "a.safetensors", {"a": torch.ones(3)}, {"name": "x" * length})
        assert len(load(tmp_path / "a.safetensors")[1]["name"]) == length


def test_tied_strided_and_empty_tensors(tmp_path):
    base = torch.arange(12.0)
    state = {
        "tied": base,
        "again": base,
        "part": base[2:8].view(2, 3),
        "turned": base.view(3, 4).t(),
        "empty": torch.zeros(0, 5),
        "none": torch.zeros(0, 3),
    }
    save(tmp_path / "a.safetensors", state, EXPERIMENT)
    result, _ = load(tmp_path / "a.safetensors")
    assert {name: tensor.tolist() for name, tensor in result.items()} == {n: t.tolist() for n, t in state.items()}


def test_halved_tensors_come_back_as_float32(tmp_path):
    state = {
        "weight": torch.tensor([0.1, -2.0, float("inf")]),
        "large": torch.tensor([1e6, 2.0]),
        "steps": torch.tensor(100_000),
    }
    save(tmp_path / "a.safetensors", state, EXPERIMENT, half=True)
    stored = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert [stored[name].dtype for name in state] == [torch.float16, torch.float32, torch.int64]
    result, _ = load(tmp_path / "a.safetensors")
    assert result["weight"].dtype == torch.float32
    assert torch.allclose(result["weight"], state["weight"], rtol=1e-3, atol=0)
    assert torch.equal(result["large"], state["large"])  # float16 has nothing beyond 65504
    assert torch.equal(result["steps"], state["steps"])


def test_names_of_the_metadata_are_taken(tmp_path):
    with pytest.raises(ValueError, match="extra has the name 'experiment', which the checkpoint itself uses"):
        save(tmp_path / "a.safetensors", {}, EXPERIMENT, extra={"experiment": "mine"})


def test_a_full_disk(tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    save(path, {"a": torch.ones(3)}, EXPERIMENT)

    def full(_tensors, filename, _metadata):
        filename.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(InputError, match=r"last.safetensors: cannot be written \(No space left on device\)"):
        save(path, {"a": torch.ones(3)}, EXPERIMENT)
    assert load(path)[1] == EXPERIMENT
    assert os.listdir(tmp_path) == ["last.safetensors"]


def test_a_limit_of_the_system_on_file_sizes(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"a.safetensors: cannot be written \(.*File too large"):
            save(tmp_path / "a.safetensors", {"a": torch.ones(70_000)}, EXPERIMENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_files_that_are_no_checkpoint_of_ours(tmp_path):
    path = tmp_path / "w48.pth"
    command = f"vitruvian import-weights {path} RECIPE --output OUT.safetensors (vitruvian list names the recipes)"
    hint = re.escape(f"make a checkpoint of it: {command}")
    with pytest.raises(InputError, match=r"w48.pth: there is no such file"):
        load(path)
    torch.save({"state_dict": network().state_dict()}, path)
    with pytest.raises(InputError, match=rf"is a file of another program, not a checkpoint of Vitruvian's: {hint}"):
        load(path)
    safetensors.torch.save_file({"a": torch.ones(3)}, path, {"format": "pt"})
    with pytest.raises(InputError, match=rf"holds tensors, but no experiment in its metadata: {hint}"):
        load(path)
    safetensors.torch.save_file({"a": torch.ones(3)}, path, {"experiment": "{'seed': 7}"})
    with pytest.raises(InputError, match=r"the experiment in its metadata is not JSON \(Expecting property name"):
        load(path)
    safetensors.torch.save_file({"a": torch.ones(3)}, path, {"experiment": "[7]"})
    with pytest.raises(InputError, match=r"the experiment in its metadata is a list, expected an object"):
        load(path)
    path.write_text("<html>not found")
    with pytest.raises(InputError, match=r"is a web page"):
        load(path)
    path.write_text("not found")
    with pytest.raises(InputError, match=r"is a text, not a checkpoint"):
        load(path)


def test_a_checkpoint_that_was_cut_short(tmp_path):
    path = tmp_path / "a.safetensors"
    save(path, network().state_dict(), EXPERIMENT)
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 50, 10):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=rf"a.safetensors: damaged or cut short at {size} bytes") as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_a_hostile_header_is_refused(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(InputError, match=r"damaged or cut short at \d+ bytes"):
        load(tmp_path / "a.safetensors")


def test_a_state_goes_into_the_network_or_is_explained():
    first, second = network(), network()
    load_state(second, first.state_dict(), "a.safetensors")
    assert torch.equal(second[0].weight, first[0].weight)

    state = first.state_dict()
    state["0.weight"] = torch.ones(3, 2, 7, 7)
    state["2.weight"] = torch.ones(1)
    del state["0.bias"]
    with pytest.raises(InputError) as caught:
        load_state(second, state, "a.safetensors")
    assert str(caught.value) == (
        "a.safetensors does not fit the network: tensors 1 missing (0.bias), 1 unexpected (2.weight), 1 of another "
        "shape (0.weight is float32 (3, 2, 7, 7) in the file and float32 (3, 2, 5, 5) in the network)"
    )
    with pytest.raises(
        InputError, match=r"7 missing \(0.weight, 0.bias, 1.weight, 1.bias, 1.running_mean and 2 more\)"
    ):
        load_state(second, {}, "a.safetensors")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "meta": {"epoch": 3}, "optimizer": {"state": {0: torch.ones(3)}}},
        lambda state: {"epoch": 3, "model": {"state_dict": state}},
        lambda state: {"model_state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"teacher": {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"model": {name: tensor.numpy() for name, tensor in state.items()}, "author": "x"},
        lambda state: {**state, "epoch": 3, "model": "hrnet"},
    ],
)
def test_the_networks_tensors_are_found(wrap):
    state = network().state_dict()
    result = state_dict_of(wrap(state))
    assert list(result) == list(state)
    for name, tensor in state.items():
        assert torch.equal(result[name], tensor)


def test_arrays_of_other_machines_become_tensors():
    result = state_dict_of({"a": np.array([1, 2], ">f4"), "b": np.float32(3), "c": np.array(["x"])})
    assert list(result) == ["a", "b"]
    assert result["a"].tolist() == [1, 2]
    assert result["b"].shape == ()


def test_contents_without_tensors(tmp_path):
    with pytest.raises(InputError, match=r"a.pth holds no tensors of a network: found a dict with the keys meta, cfg"):
        state_dict_of({"meta": 3, "cfg": "x"}, "a.pth")
    with pytest.raises(InputError, match=r"the checkpoint holds no tensors of a network: found a list, expected"):
        state_dict_of([1, 2])
    endless: dict = {}
    endless["model"] = endless
    with pytest.raises(InputError, match="holds no tensors"):
        state_dict_of(endless)
    torch.save(network(), tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a whole pickled object \(torch.nn.modules.container.Sequential\)"):
        state_dict_of(read_foreign(tmp_path / "a.pth"))


OURS = {
    "backbone.conv": torch.zeros(3, 2, 5, 5),
    "head.weight": torch.zeros(7, 3),
    "head.steps": torch.zeros((), dtype=torch.int64),
    "grid": torch.arange(4.0),
}
THEIRS = {
    "conv": torch.rand(3, 2, 5, 5, dtype=torch.float64),
    "fc.weight": torch.rand(3, 7).t(),
    "fc.steps": torch.tensor(9),
    "data_preprocessor.mean": torch.zeros(3),
}
NAMES = {"conv": "backbone.conv", "fc.weight": "head.weight", "fc.steps": "head.steps"}
UNUSED = {r"data_preprocessor\..*": "our images are normalised in the network"}
WITHOUT = {"grid": "computed from the size"}


def test_a_reference_fits_and_the_rest_is_accounted_for():
    result = fit_state(OURS, THEIRS, NAMES.get, UNUSED, WITHOUT)
    assert list(result.state) == list(OURS)
    for theirs, ours in NAMES.items():
        assert torch.equal(result.state[ours], THEIRS[theirs].to(OURS[ours].dtype))
        assert result.state[ours].dtype == OURS[ours].dtype
        assert result.state[ours].is_contiguous()
    assert torch.equal(result.state["grid"], OURS["grid"])
    assert result.dropped == {"data_preprocessor.mean": "our images are normalised in the network"}
    assert result.kept == {"grid": "computed from the size"}


def test_a_fitted_state_has_its_own_memory():
    result = fit_state(OURS, THEIRS, NAMES.get, UNUSED, WITHOUT)
    result.state["head.steps"].zero_()
    result.state["grid"].zero_()
    assert THEIRS["fc.steps"] == 9
    assert OURS["grid"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "names", "message"),
    [
        ({"conv": None}, NAMES, "tensors 1 missing (backbone.conv)"),
        ({"x.mean": torch.ones(3)}, NAMES, "tensors 1 left over (x.mean)"),
        ({}, {**NAMES, "conv": "c"}, "tensors 1 missing (backbone.conv), 1 left over (conv (as c))"),
        (
            {"twin": torch.ones(7, 3)},
            {**NAMES, "twin": "head.weight"},
            "tensors 1 taken twice (head.weight from fc.weight and twin)",
        ),
        (
            {"fc.weight": torch.ones(3, 7)},
            NAMES,
            "tensors 1 of another shape or kind (fc.weight is float32 (3, 7) and head.weight is float32 (7, 3))",
        ),
        (
            {"fc.steps": torch.tensor(9.5)},
            NAMES,
            "tensors 1 of another shape or kind (fc.steps is float32 () and head.steps is int64 ())",
        ),
    ],
)
def test_a_reference_that_does_not_fit(changes, names, message):
    reference = {name: tensor for name, tensor in {**THEIRS, **changes}.items() if tensor is not None}
    with pytest.raises(InputError) as caught:
        fit_state(OURS, reference, names.get, UNUSED, WITHOUT, "w48.pth")
    assert str(caught.value) == f"w48.pth does not fit the network: {message}"


def test_reasons_are_for_whole_names():
    with pytest.raises(InputError, match=r"1 left over \(data_preprocessor.mean\)"):
        fit_state(OURS, THEIRS, NAMES.get, {"data_preprocessor": "a part of the name"}, WITHOUT)
