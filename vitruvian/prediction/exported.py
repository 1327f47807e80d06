"""Networks that ONNX Runtime runs: the files that `vitruvian export` writes; without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.errors import InputError, expect
from vitruvian.geometry import Framing
from vitruvian.metrics.oks import ScoreMode
from vitruvian.prediction.streaming import Predictor
from vitruvian.skeletons import Skeleton
from vitruvian.typed_values import typed

METADATA = "vitruvian"
"""The key of the description in the metadata of a .onnx file."""

FORMAT = 1
"""Of descriptions; a file with a higher number was written by a later version."""

INPUT, OUTPUTS = "pixels", ("points", "joint_scores")
"""pixels (B, H, W, 3) uint8 RGB -> points (B, K, 2 or 3) pixels of the input (and mm), joint_scores (B, K)."""

PART = 4
"""Crops, mirrored ones included, that a core takes at a time."""


@dataclass(frozen=True)
class Description:
    """What has to be known of an exported network to use it; JSON in the file's metadata, and beside the file.

    Attributes:
        format: FORMAT of the version that wrote it.
        name: the method, a key of `vitruvian.methods.METHODS`.
        method: the method's Config as plain values; how mirrored views are merged among them.
        skeleton: the joints, in the order of the outputs.
        framing: how a photo reaches the input; normalising is in the graph.
        flip: whether the graph also looks at the mirrored input and merges.
        score: how a box's and the joints' scores become a person's.
        drawn_above: joint score from which a joint is likely there.
        coordinates: of each point: 2, or 3 with a depth.
        inputs: name, type, shape and meaning of what the graph takes.
        outputs: the same of what it gives.
        checked: what it was compared on, and how far it was off.
    """

    format: int
    name: str
    method: dict
    skeleton: Skeleton
    framing: Framing
    flip: bool
    score: ScoreMode
    drawn_above: float
    coordinates: int
    inputs: dict
    outputs: dict
    checked: dict

    def __post_init__(self) -> None:
        expect(self.format <= FORMAT, "format", self.format, f"{FORMAT} or less: a later version of Vitruvian wrote it")
        expect(self.coordinates in (2, 3), "coordinates", self.coordinates, "2 or 3")


def load_exported(path: Path, device: str = "auto") -> ExportedPredictor:
    """The network of a .onnx file that `vitruvian export` wrote.

    Raises InputError when ONNX Runtime is not installed, the file is missing, damaged or of another program, or the
    device is not the CPU.
    """
    if device not in ("auto", "cpu", "cpu:0"):
        raise InputError(f"device {device!r}: {path} is an exported network, which runs on the CPU here; give cpu")
    session = open_session(path)
    description = read_description(path, session)
    check_face(path, session, description)
    return ExportedPredictor(path, session, description)


def open_session(path: Path) -> Any:
    """ONNX Runtime's session of a file.

    Its threads are shared by all parts that run at once (see `ExportedRunner`), so that all cores work on one person
    alone, too. They sleep while they wait: spinning, they take the processor from each other, a fifth of the time.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; vitruvian export writes one")
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise InputError(
            f"{path} runs on ONNX Runtime, which is not installed: pip install 'vitruvian[export]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = cores(), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own, and a damaged file brings up any of them
        reason = " ".join(str(error).split())[:200]
        size = path.stat().st_size
        raise InputError(
            f"{path}: not an ONNX file that can be read, perhaps cut short at {size} bytes ({reason}); copy it again, "
            "or export it again"
        ) from None


def read_description(path: Path, session: Any) -> Description:
    """The description in a file's metadata; or, where a tool has taken that away, of the JSON file beside it."""
    beside = description_path(path)
    text, source = session.get_modelmeta().custom_metadata_map.get(METADATA), str(path)
    if text is None and beside.is_file():
        text, source = beside.read_text(encoding="utf-8", errors="replace"), str(beside)
    if text is None:
        raise InputError(
            f"{path} does not say what network it is: there is no {METADATA!r} in its metadata and no {beside.name} "
            "beside it; give a file of vitruvian export"
        )
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{source}: the description of the network is no JSON ({error}); export it again") from None
    return typed(Description, values, f"{source}: description")


def description_path(path: Path) -> Path:
    """The JSON file beside a .onnx file."""
    return path.with_name(f"{path.name}.json")


def check_face(path: Path, session: Any, description: Description) -> None:
    """Raises InputError unless the graph takes and gives what its description says."""
    width, height = description.framing.size
    joints, coordinates = description.skeleton.num_joints, description.coordinates
    expected = {
        INPUT: ("tensor(uint8)", [height, width, 3]),
        OUTPUTS[0]: ("tensor(float)", [joints, coordinates]),
        OUTPUTS[1]: ("tensor(float)", [joints]),
    }
    found = {one.name: (one.type, list(one.shape[1:])) for one in (*session.get_inputs(), *session.get_outputs())}
    if found != expected:
        raise InputError(
            f"{path}: the graph is of another network than its description: it has {shown(found)}, expected "
            f"{shown(expected)}; export it again"
        )


def shown(face: dict[str, tuple[str, list]]) -> str:
    """Names, types and shapes for messages."""
    return ", ".join(f"{name} {kind} (batch, {', '.join(map(str, shape))})" for name, (kind, shape) in face.items())


class ExportedPredictor(Predictor):
    """An exported network on the CPU; see `Predictor` for what it does. Mirrored crops were decided on by `export`."""

    def __init__(self, path: Path, session: Any, description: Description) -> None:
        one = description
        super().__init__(one.skeleton, one.framing, one.score, one.drawn_above, one.flip)
        self.path, self.session, self.description = path, session, description

    def runner(self, flip: bool) -> ExportedRunner:
        if flip != self.flip:
            with_it, option = ("with", "with --no-flip") if self.flip else ("without", "without --no-flip")
            raise InputError(
                f"{self.path} was exported {with_it} mirrored crops, which its graph holds: leave --flip and --no-flip "
                f"out, or export it again {option}"
            )
        return ExportedRunner(self.session, flip)

    def usual_batch_size(self) -> int:
        return 4 * cores()


class ExportedRunner:
    """Runs a graph on batches of crops, in parts of which each core has its own (see `networks.NetworkRunner`)."""

    def __init__(self, session: Any, flip: bool) -> None:
        self.session, self.people = session, PART // (1 + flip)
        self.pool = ThreadPoolExecutor(cores())

    def __enter__(self) -> ExportedRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def start(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        """Starts on crops (B, H, W, 3) uint8; what it returns gives points and scores (B, K, 3 or 4) when called."""
        people = min(-(-len(pixels) // cores()), self.people)
        firsts = range(0, len(pixels), people)
        parts = [self.pool.submit(run, self.session, pixels[first : first + people]) for first in firsts]
        return lambda: np.concatenate([part.result() for part in parts])


def run(session: Any, pixels: np.ndarray) -> np.ndarray:
    """Points and scores (B, K, 3 or 4) that a graph gives for crops (B, H, W, 3) uint8."""
    points, joint_scores = session.run(list(OUTPUTS), {INPUT: pixels})
    return np.concatenate([points, joint_scores[..., None]], -1)


def cores() -> int:
    """How many cores this process may use: $OMP_NUM_THREADS where it is set, as for PyTorch."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
