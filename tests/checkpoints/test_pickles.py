"""Nothing that a pickle names ever runs, and what stands beside it is read all the same."""

import collections
import io
import os
import pickle
import struct
import sys
import types

import numpy as np
import pytest
import torch

from vitruvian.checkpoints.foreign import read_foreign
from vitruvian.checkpoints.pickled_arrays import ARRAYS
from vitruvian.checkpoints.pickles import CONTAINERS, Placeholder, RestrictedUnpickler


def unpickle(data):
    return RestrictedUnpickler(io.BytesIO(data), {**CONTAINERS, **ARRAYS}).load()


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


@pytest.fixture
def trap(tmp_path):
    """A command that leaves a trace, and a check that it did not run."""
    trace = tmp_path / "ran"
    yield f"touch {trace}"
    assert not trace.exists()
    assert "antigravity" not in sys.modules


class Malicious:
    def __init__(self, function, *args):
        self.reduced = (function, args)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_a_call_is_recorded_and_not_made(trap, protocol):
    content = {"before": [1, 2], "evil": Malicious(os.system, trap), "after": "there"}
    result = unpickle(pickle.dumps(content, protocol))
    assert result["before"] == [1, 2]
    assert result["after"] == "there"
    assert result["evil"].name == f"{os.system.__module__}.system"
    assert result["evil"].args == (trap,)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (eval, ("__import__('antigravity')",)),
        (exec, ("import antigravity",)),
        (getattr, (os, "system")),
        (__import__, ("antigravity",)),
        (open, ("/dev/null", "w")),
        (bytes, (10**15,)),
        (bytearray, (10**15,)),
        (range, (10**15,)),
        (torch.zeros, (10**15,)),
        (torch.load, ("x",)),
        (np.load, ("x",)),
        (np.dtype, ("V100", False, True)),
        (torch.Size, (7,)),
        (collections.OrderedDict, (7,)),
        (set, (7,)),
        (torch._utils._rebuild_tensor_v2, ("not a storage", 0, (2, 3), (3, 1), False, None)),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_functions_and_arguments_that_are_not_known_become_placeholders(trap, function, args):
    args = tuple("module os" if isinstance(arg, types.ModuleType) else arg for arg in args)
    result = unpickle(pickle.dumps([Malicious(function, *args), "there"], 4))
    assert isinstance(result[0], Placeholder)
    assert result[0].args == args
    assert result[1] == "there"


HAND_MADE = {
    "global, reduce": "cos\nsystem\n(U{n}{trap}tR.",
    "inst": "(U{n}{trap}ios\nsystem\n.",
    "obj": "(cos\nsystem\nU{n}{trap}o.",
    "newobj": "cos\nsystem\nU{n}{trap}\x85\x81.",
    "newobj_ex": "cos\nsystem\nU{n}{trap}\x85}\x92.",
    "memoised": "cos\nsystem\nq\x00(U{n}{trap}tq\x010h\x00h\x01R.",
    "duplicated": "cos\nsystem\n2(U{n}{trap}tR.",
    "getattr, then its result": "c__builtin__\ngetattr\n(cposix\nsystem\nU\x08__call__tR(U{n}{trap}tR.",
    "call of a call": "cfunctools\npartial\n(cos\nsystem\nU{n}{trap}tR)R.",
    "as an item": "}(U\x01acos\nsystem\n(U{n}{trap}tRu.",
    "as a key": "}cos\nsystem\n(U{n}{trap}tRK\x01s.",
    "as a state": "c__main__\nThing\n)\x81cos\nsystem\n(U{n}{trap}tRb.",
    "in a persistent id": "(U\x07storagecos\nsystem\n(U{n}{trap}tRU\x010U\x03cpuK\x01tQ.",
    "a persistent id in a persistent id": "((U\x07storageK\x01tQcos\nsystem\n(U{n}{trap}tRtQ.",
    "set a class's attribute": "ccollections\nOrderedDict\nN}U\x0a__reduce__cos\nsystem\ns\x86b(U{n}{trap}tR.",
    "set a function's globals": "ctorch._utils\n_rebuild_tensor\n}U\x0b__globals__cos\nsystem\nsb.",
    "a state for a tensor's class": "ctorch._utils\n_rebuild_parameter\n}U\x04datacos\nsystem\nsb.",
    "an extension": "\x82\x01(U{n}{trap}tR.",
    "dotted": "c__builtin__\n__import__('os').system\n(U{n}{trap}tR.",
}


@pytest.mark.parametrize("program", HAND_MADE.values(), ids=HAND_MADE.keys())
def test_no_opcode_runs_anything(trap, program):
    written = program.replace("{n}", chr(len(trap))).replace("{trap}", trap).encode("latin1")
    result = unpickle(b"\x80\x02" + written)
    assert isinstance(result, (Placeholder, dict))


def test_a_state_does_not_reach_the_containers(trap):
    """BUILD would set attributes of an OrderedDict, or of the class itself."""
    content = collections.OrderedDict(a=1)
    content.hook = os.system
    result = unpickle(pickle.dumps(content, 2))
    assert result == {"a": 1}
    assert not hasattr(result, "hook")


def test_an_array_takes_only_bytes_that_fit():
    good = pickle.dumps(np.arange(6, dtype=np.float32).reshape(2, 3), 2)
    assert unpickle(good).tolist() == [[0, 1, 2], [3, 4, 5]]
    for change in (good.replace(b"K\x02K\x03\x86", b"K\x7fK\x03\x86"), good.replace(b"f4", b"f8")):
        assert change != good
        with pytest.raises(pickle.UnpicklingError, match="with 24 bytes of float"):
            unpickle(change)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 3), np.float16),
        np.array([True, False]),
        np.array(["left", "né"]),
        np.array([{"a": 1}, [1, 2], None], dtype=object),
        np.array(7 + 2j),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back_as_they_were(array, protocol):
    result, again = unpickle(pickle.dumps([array, array], protocol))
    assert result is again
    assert result.dtype == array.dtype
    assert result.shape == array.shape
    assert result.tolist() == array.tolist()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_as_they_were(protocol):
    shared = [1, 2]
    content = {
        "numbers": (1, -2, 3.5, 2**70, 1 + 2j, True, None),
        "texts": ["", "é", b"", b"\x00\xff", bytearray(b"ab")],
        "sets": [set(), {1, "a"}, frozenset({2, (3, 4)})],
        "ordered": collections.OrderedDict(b=1, a=2),
        "counter": collections.Counter("aab"),
        "default": collections.defaultdict(list, {"a": [1]}),
        "deque": collections.deque([1, 2], maxlen=5),
        "scalars": [np.float32(1.5), np.int64(-3), np.bool_(True)],
        "torch": [torch.Size((2, 3)), torch.float16],
        ("a", 1): shared,
        "again": shared,
    }
    result = unpickle(pickle.dumps(content, protocol))
    expected = content | {"deque": [1, 2]}
    assert result == expected
    assert result["again"] is result["a", 1]
    assert list(result["ordered"]) == ["b", "a"]
    assert [type(value) for value in result["scalars"]] == [np.float32, np.int64, np.bool_]


def test_python_2_pickles():
    written = b"(dp0\nS'vertices'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\n"
    written += (
        b"tp5\nRp6\n(I1\n(I2\ntp7\ncnumpy\ndtype\np8\n(S'u1'\np9\nI0\nI1\ntp10\nRp11\n(I3\nS'|'\nNNNI-1\nI-1\nI0\n"
    )
    written += b"tp12\nbI00\nS'\\x07\\xff'\np13\ntp14\nbs."
    assert unpickle(written)["vertices"].tolist() == [7, 255]


def test_keys_that_would_take_for_ever_to_hash():
    program = b"\x80\x02}" + b")" + b"2\x86" * 200 + b"K\x01s."
    with pytest.raises(pickle.UnpicklingError, match="a key of more than a thousand parts"):
        unpickle(program)


@pytest.fixture
def mmengine_like(monkeypatch):
    """Modules like the training library's, which the reader must not need."""
    source = """
class HistoryBuffer:
    def __init__(self, values):
        self.values = values
        self.methods = {"mean": HistoryBuffer.mean}
    def __setstate__(self, state):
        raise AssertionError("the file's code ran")
    def mean(self):
        raise AssertionError("the file's code ran")
class ConfigDict(dict):
    def __setitem__(self, key, value):
        raise AssertionError("the file's code ran")
class Slots:
    __slots__ = ("a",)
"""
    modules = {}
    for name in ("mmfake", "mmfake.logging"):
        modules[name] = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, modules[name])
    logging = modules["mmfake.logging"]
    exec(source, logging.__dict__)
    modules["mmfake"].logging = logging
    yield logging
    assert "mmfake" not in sys.modules


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_checkpoint_of_a_training_library_that_is_not_installed(
    mmengine_like, monkeypatch, tmp_path, zipped, protocol
):
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 5), torch.nn.BatchNorm2d(3))
    moments = {"step": torch.tensor(7.0), "exp_avg": torch.rand(3, 2, 5, 5)}
    slots = mmengine_like.Slots()
    slots.a = 3
    content = {
        "meta": {
            "epoch": 210,
            "cfg": mmengine_like.ConfigDict(model="SAR"),
            "dataset_meta": {"sigmas": np.array([0.026, 0.025], np.float32), "flip_pairs": {(1, 2)}},
            "time": np.float64(2.5),
        },
        "state_dict": network.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2, 3).half()),
        "message_hub": {
            "log_scalars": collections.OrderedDict(loss=mmengine_like.HistoryBuffer(np.array([0.5, 0.25]))),
            "resumed": slots,
        },
        "optimizer": {"state": {0: moments}, "param_groups": [{"betas": (0.9, 0.999), "params": [0, 1]}]},
    }
    path = tmp_path / "best_coco_AP_epoch_210.pth"
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    for name in ("mmfake", "mmfake.logging"):
        monkeypatch.delitem(sys.modules, name)

    result = read_foreign(path)

    assert list(result) == list(content)
    assert result["meta"]["epoch"] == 210
    assert result["meta"]["time"] == 2.5
    assert result["meta"]["dataset_meta"]["flip_pairs"] == {(1, 2)}
    assert result["meta"]["cfg"].name == "mmfake.logging.ConfigDict"
    assert result["meta"]["cfg"].items == [("model", "SAR")]
    buffer = result["message_hub"]["log_scalars"]["loss"]
    assert repr(buffer) == "<mmfake.logging.HistoryBuffer of the file>"
    assert buffer.state["values"].tolist() == [0.5, 0.25]
    assert buffer.state["methods"]["mean"].name in ("mmfake.logging.HistoryBuffer.mean", "builtins.getattr")
    assert result["message_hub"]["resumed"].state == (None, {"a": 3})
    assert result["parameter"].dtype == torch.float16
    assert not result["parameter"].requires_grad
    for name, tensor in network.state_dict().items():
        assert torch.equal(result["state_dict"][name], tensor)
    assert torch.equal(result["optimizer"]["state"][0]["exp_avg"], moments["exp_avg"])
