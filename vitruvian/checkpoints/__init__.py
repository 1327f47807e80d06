"""Checkpoints: a network's tensors with the experiment that made them, and other people's tensors under our names.

A checkpoint is a safetensors file whose metadata holds the experiment as JSON under "experiment" and this package's
version under "vitruvian".
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from vitruvian.checkpoints.foreign import file_kind, read_foreign
from vitruvian.checkpoints.pickles import Placeholder
from vitruvian.errors import InputError
from vitruvian.files import write_atomically

_STATE_KEYS = ("state_dict", "model_state_dict", "model", "teacher", "network", "net", "state_dict_ema", "model_ema")
_WRAPPERS = ("module.", "_orig_mod.")  # torch's data parallelism and compilation


def save(
    path: str | Path,
    state: Mapping[str, torch.Tensor],
    experiment: Mapping[str, Any],
    extra: Mapping[str, str] | None = None,
    half: bool = False,
) -> None:
    """Writes a checkpoint, whole or not at all; tensors that share memory are each written in full.

    `experiment` is of plain values, `extra` goes into the metadata beside it. `half` stores floating tensors as
    float16, but for those with values beyond its range.

    Raises InputError when the file cannot be written; ValueError when `extra` has a name that is taken.
    """
    metadata = {"experiment": json.dumps(experiment), "vitruvian": _version()}
    if taken := sorted(metadata.keys() & (extra or {}).keys()):
        raise ValueError(f"extra has the name {taken[0]!r}, which the checkpoint itself uses")
    tensors: dict[str, torch.Tensor] = {}
    memory: set[int] = set()
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if half and tensor.is_floating_point():
            halved = tensor.half()
            tensor = tensor if (halved.isinf() & ~tensor.isinf()).any() else halved
        if tensor.untyped_storage().data_ptr() in memory:
            tensor = tensor.clone()  # safetensors refuses two names for one memory
        memory.add(tensor.untyped_storage().data_ptr())
        tensors[name] = tensor

    def write(temporary: Path) -> None:
        try:
            save_file(tensors, temporary, {**metadata, **(extra or {})})
            _sort_metadata(temporary)
        except SafetensorError as error:  # its way to say that the disk is full
            raise OSError(str(error)) from error

    write_atomically(path, write)


def _sort_metadata(path: Path) -> None:
    """Puts the metadata into alphabetical order in place: safetensors leaves it to chance, and equal content should
    make equal files.
    """
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= size:
            file.seek(8)
            file.write(text.ljust(size))


def load(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a checkpoint, on the CPU and halved ones as float32, and the experiment that made it.

    Raises InputError when there is no such file, it is damaged, or it is not one of Vitruvian's.
    """
    path = Path(path)
    remedy = (
        f"make a checkpoint of it: vitruvian import-weights {shlex.quote(str(path))} RECIPE --output OUT.safetensors "
        "(vitruvian list names the recipes)"
    )
    if file_kind(path) != "safetensors":
        read_foreign(path)  # says what is wrong with a file that nobody can read
        raise InputError(f"{path} is a file of another program, not a checkpoint of Vitruvian's: {remedy}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, OSError) as error:
        size = path.stat().st_size
        raise InputError(f"{path}: damaged or cut short at {size} bytes ({error}): copy it again") from error
    if "experiment" not in metadata:
        raise InputError(f"{path} holds tensors, but no experiment in its metadata: {remedy}")
    try:
        experiment = json.loads(metadata["experiment"])
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: the experiment in its metadata is not JSON ({error}): {remedy}") from error
    if not isinstance(experiment, dict):
        raise InputError(f"{path}: the experiment in its metadata is a {type(experiment).__name__}, expected an object")
    return {n: t.float() if t.dtype == torch.float16 else t for n, t in state.items()}, experiment


def load_state(module: torch.nn.Module, state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Puts `state`, read from `path`, into `module`.

    Raises InputError that names the tensors when names or shapes differ.
    """
    ours = module.state_dict()
    problems = {
        "missing": [name for name in ours if name not in state],
        "unexpected": [name for name in state if name not in ours],
        "of another shape": [
            f"{name} is {_shape(state[name])} in the file and {_shape(ours[name])} in the network"
            for name in ours
            if name in state and state[name].shape != ours[name].shape
        ],
    }
    _raise_on(problems, f"{path} does not fit the network")
    module.load_state_dict(dict(state))


def state_dict_of(content: Any, path: str | Path = "the checkpoint") -> dict[str, torch.Tensor]:
    """The network's tensors in what `read_foreign` gave: under one of the usual keys, or the whole content.

    numpy arrays become tensors, what is not numbers is left out, and a prefix that all names share because the
    network was wrapped ("module.") is taken off.

    Raises InputError when there are no tensors; `path` is named in it.
    """
    state: dict[str, torch.Tensor] = {}
    for candidate in _candidates(content):
        state = _tensors(candidate)
        if state:
            break
    if not state and isinstance(content, Placeholder):
        raise InputError(
            f"{path} holds a whole pickled object ({content.name}), not its tensors: load it with the code that made "
            "it, and save its state_dict()"
        )
    if not state:
        keys = ", ".join(str(key) for key in content if isinstance(key, str)) if isinstance(content, dict) else ""
        found = f"a dict with the keys {_shown(keys.split(', '))}" if keys else f"a {type(content).__name__}"
        raise InputError(f"{path} holds no tensors of a network: found {found}, expected one of {_STATE_KEYS}")
    for prefix in _WRAPPERS * 2:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


class Fitted(NamedTuple):
    """What `fit_state` found: the tensors under our names, and what became of the others."""

    state: dict[str, torch.Tensor]  # complete
    dropped: dict[str, str]  # the reference's name: why it has no place here
    kept: dict[str, str]  # our name: why it keeps its own value


def fit_state(
    module_state: Mapping[str, torch.Tensor],
    reference: Mapping[str, torch.Tensor],
    rename: Callable[[str], str | None],
    unused: Mapping[str, str],
    ours_without_counterpart: Mapping[str, str] | None = None,
    path: str | Path = "",
) -> Fitted:
    """Puts a reference's tensors under our names: each is used exactly once or dropped for a stated reason.

    `rename` gives our name for a reference's, or None; `unused` and `ours_without_counterpart` map regular
    expressions for whole names, of the reference's and of ours, to the reason why they have no partner. An unused
    name is not renamed. Values come in our tensors' dtype and on the CPU or wherever the reference has them.

    Raises InputError that names tensors missing, left over, taken twice, or of another shape or kind, and `path`.
    """
    state: dict[str, torch.Tensor] = {}
    dropped: dict[str, str] = {}
    sources: dict[str, str] = {}
    left_over, twice, shapes = [], [], []
    for theirs, tensor in reference.items():
        if reason := _reason(theirs, unused):
            dropped[theirs] = reason
            continue
        name = rename(theirs)
        if name is None or name not in module_state:
            left_over.append(theirs if name is None else f"{theirs} (as {name})")
        elif name in sources:
            twice.append(f"{name} from {sources[name]} and {theirs}")
        else:
            sources[name] = theirs
            own = module_state[name]
            if tensor.shape != own.shape or tensor.is_floating_point() != own.is_floating_point():
                shapes.append(f"{theirs} is {_shape(tensor)} and {name} is {_shape(own)}")
            else:
                state[name] = tensor.detach().to(own.dtype, copy=True).contiguous()
    without = {name: _reason(name, ours_without_counterpart or {}) for name in module_state if name not in sources}
    problems = {
        "missing": [name for name, reason in without.items() if not reason],
        "left over": left_over,
        "taken twice": twice,
        "of another shape or kind": shapes,
    }
    _raise_on(problems, f"{path} does not fit the network" if path else "the weights do not fit the network")
    kept = {name: reason for name, reason in without.items() if reason}
    return Fitted({n: state.get(n, own.detach().clone()) for n, own in module_state.items()}, dropped, kept)


def _reason(name: str, reasons: Mapping[str, str]) -> str | None:
    return next((reason for pattern, reason in reasons.items() if re.fullmatch(pattern, name)), None)


def _raise_on(problems: Mapping[str, list[str]], what: str) -> None:
    found = [f"{len(names)} {problem} ({_shown(names)})" for problem, names in problems.items() if names]
    if found:
        raise InputError(f"{what}: tensors " + ", ".join(found))


def _shown(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _shape(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _candidates(content: Any, depth: int = 3) -> Iterator[dict]:
    """Where a network's tensors may be, the likeliest first."""
    if isinstance(content, dict) and depth:
        for key in _STATE_KEYS:
            yield from _candidates(content.get(key), depth - 1)
        yield content


def _tensors(content: Mapping[Any, Any]) -> dict[str, torch.Tensor]:
    result: dict[str, torch.Tensor] = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "bifuc":
            value = torch.from_numpy(np.array(value, value.dtype.newbyteorder("=")))
        if isinstance(name, str) and isinstance(value, torch.Tensor):
            result[name] = value
    return result


def _version() -> str:
    try:
        return version("vitruvian")
    except PackageNotFoundError:  # run from its sources
        return "unknown"
