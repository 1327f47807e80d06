"""Export: a network as an ONNX file, decoding and all, that other programs and `predict` run without torch.

The graph takes the pixels of crops as they are and gives keypoints in pixels of the crop: normalising, the mirrored
view, merging and decoding are nodes of it. It is written only where it gives what the network gives on real photos.

Where two places of a map are as high as each other, rounding decides which one is the peak. Such an undecided keypoint
is told from a wrong one by PyTorch's own answers when pixels change by less than a photo's numbers can say.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vitruvian.crops import crop_people
from vitruvian.errors import InputError
from vitruvian.experiment import Method, View
from vitruvian.files import check_place, write_atomically
from vitruvian.images import image_size, list_images
from vitruvian.methods import experiment_to_dict
from vitruvian.prediction import checkpoint_path, is_exported
from vitruvian.prediction.exported import (
    FORMAT,
    INPUT,
    METADATA,
    OUTPUTS,
    Description,
    description_path,
    open_session,
    run,
)
from vitruvian.prediction.networks import NetworkPredictor, load_network

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What the extra `export` installs."""

SAMPLES = Path(__file__).parents[1] / "docs" / "photos"
"""Photos that come with the sources."""

TOLERANCE = 0.05
"""Pixels of the input that a keypoint may be off."""

SCORE_TOLERANCE = 1e-3
"""What a joint's score may be off, as a share of the crop's largest score where that is above 1."""

NUDGE, NUDGES = 0.05, 8
"""Grey levels by which pixels change, and how often, before a keypoint counts as wrong and not as undecided."""

UNDECIDED = 0.02
"""Share of the keypoints that may be undecided."""

REGIONS = ((0, 0, 1, 1), (0, 0, 0.6, 0.7), (0.4, 0.2, 1, 1), (0.25, 0.1, 0.75, 0.95), (0.1, 0.4, 0.8, 0.9))
"""The boxes of a photo that are compared, in fractions of its sides."""


class Difference(NamedTuple):
    """How far an exported network is off."""

    points: float  # px of the input, the largest of the decided keypoints
    scores: float  # of a joint, the largest; where scores are above 1, as a share of the crop's largest
    undecided: int  # keypoints
    keypoints: int  # that were compared
    photos: int


class Graph(nn.Module):
    """What is exported: pixels (B, H, W, 3) uint8 RGB -> points (B, K, 2 or 3) and joint scores (B, K)."""

    def __init__(self, method: Method, flip: bool) -> None:
        super().__init__()
        self.method, self.flip = method, flip

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        return self.from_inputs(self.method.normalise(pixels.permute(0, 3, 1, 2)))

    def from_inputs(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The same from normalised inputs (B, 3, H, W)."""
        views = [View(inputs)] + ([View(inputs.flip(-1), mirrored=True)] if self.flip else [])
        decoded = self.method.predict(views)
        return decoded.points[:, 0].float(), decoded.joint_scores[:, 0].float()


def export(
    weights: str | Path,
    output: str | Path,
    flip: bool = True,
    photos: Sequence[str | Path] = (),
    tolerance: float = TOLERANCE,
) -> tuple[Description, Difference]:
    """Writes a network as ONNX, with its description in the file's metadata and as JSON beside it.

    Batch norms are folded into the convolutions first. The batch may have any size; height and width are those of the
    network's framing, which the decoding depends on.

    Args:
        weights: a shipped network's name or a checkpoint.
        output: the file to write, .onnx; the JSON is OUTPUT.json.
        flip: whether the graph also looks at the mirrored crops and merges: more accurate, twice the time.
        photos: what it is compared on, as `images.list_images` takes them; none: those of the sources.
        tolerance: pixels of the input that a keypoint may be off at most.

    Raises:
        InputError: a package is missing, the network or a photo cannot be read, PyTorch cannot export the network, the
            file cannot be written, or it gives something else than the network; no file is written or changed then.
    """
    output = Path(output)
    check_export(checkpoint_path(weights), output)
    crops, count = sample_crops(photos, network := load_network(checkpoint_path(weights), "cpu"))
    program = onnx_program(network, flip)
    graph = Graph(network.method, flip)
    expected = eager(graph, crops)
    measured: list[tuple[Description, Difference]] = []

    def write(temporary: Path) -> None:
        description = described(network, flip, expected[0].shape[-1])
        save(program, description, temporary)
        difference = compare(run_in_parts(temporary, crops), expected, graph, crops, tolerance, count)
        check_difference(difference, output, tolerance)
        checked = {
            "photos": difference.photos,
            "keypoints": difference.keypoints,
            "undecided": difference.undecided,
            "largest_difference_px": round(difference.points, 6),
            "largest_difference_of_scores": round(difference.scores, 6),
        }
        description = dataclasses.replace(description, checked=checked)
        save(program, description, temporary)
        measured.append((description, difference))

    write_atomically(output, write)
    text = json.dumps(dataclasses.asdict(measured[0][0]), indent=1) + "\n"
    write_atomically(description_path(output), lambda part: part.write_text(text, encoding="utf-8"))
    return measured[0]


def check_export(weights: Path, output: Path) -> None:
    """Raises InputError for what can be seen before any work."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise InputError(f"export needs {', '.join(missing)}, which is not installed: pip install 'vitruvian[export]'")
    if is_exported(weights):
        raise InputError(f"{weights} is an exported network already; give the checkpoint that it was made of")
    if not is_exported(output):
        raise InputError(f"{output}: give a name that ends in .onnx")
    for path in (output, description_path(output)):
        check_place(path)


def sample_crops(photos: Sequence[str | Path], network: NetworkPredictor) -> tuple[np.ndarray, int]:
    """Crops (N, H, W, 3) uint8 of several regions of each photo, and the number of photos."""
    if not photos and not SAMPLES.is_dir():
        raise InputError("an exported network is compared on photos, and none came with the package: give --photos")
    paths, problems = list_images(photos or [SAMPLES])
    if problems:
        raise InputError(problems[0])
    crops = []
    for path in paths:
        boxes = np.array(REGIONS) * np.tile(image_size(path), 2)
        crops.append(crop_people(path, boxes, network.framing, str(path)).pixels)
    return np.concatenate(crops), len(paths)


def onnx_program(network: NetworkPredictor, flip: bool) -> Any:
    """The network, as PyTorch gives it for ONNX."""
    method = network.method.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    width, height = network.framing.size
    # A batch of one would be taken for a constant.
    example = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    try:
        with quiet(), torch.no_grad():
            batch = {INPUT: {0: torch.export.Dim("batch", min=1)}}
            traced = torch.export.export(Graph(method, flip).eval(), (example,), dynamic_shapes=batch, strict=False)
            return torch.onnx.export(
                traced, (), dynamo=True, input_names=[INPUT], output_names=list(OUTPUTS), verbose=False
            )
    except Exception as error:  # the exporter passes on whatever a layer of timm's does not like
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"PyTorch cannot export this network ({type(error).__name__}: {reason})") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Meanwhile the exporter's remarks on its own work are not shown."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def described(network: NetworkPredictor, flip: bool, coordinates: int) -> Description:
    """The description of an exported network that has not been compared yet."""
    values = experiment_to_dict(network.experiment)
    (width, height), joints = network.framing.size, network.skeleton.num_joints
    point = "x, y" if coordinates == 2 else "x, y, depth"
    unit = "pixels of the input" if coordinates == 2 else "pixels of the input, mm from the root joint"
    meaning = "RGB from 0 to 255; normalised in the graph"
    return Description(
        format=FORMAT,
        name=values["name"],
        method=values["method"],
        skeleton=network.skeleton,
        framing=network.framing,
        flip=flip,
        score=network.score,
        drawn_above=network.drawn_above,
        coordinates=coordinates,
        inputs={INPUT: {"type": "uint8", "shape": ["batch", height, width, 3], "holds": meaning}},
        outputs={
            OUTPUTS[0]: {"type": "float32", "shape": ["batch", joints, coordinates], "holds": f"{point}: {unit}"},
            OUTPUTS[1]: {"type": "float32", "shape": ["batch", joints], "holds": "how sure each joint is"},
        },
        checked={},
    )


def save(program: Any, description: Description, path: Path) -> None:
    """Writes a graph with its description."""
    program.model.metadata_props[METADATA] = json.dumps(dataclasses.asdict(description))
    program.save(str(path), external_data=False)


Found = tuple[np.ndarray, np.ndarray]
"""Points (N, K, 2 or 3) and joint scores (N, K) of N crops."""


@torch.inference_mode()
def eager(graph: Graph, crops: np.ndarray, nudge: float = 0.0, seed: int = 0) -> Found:
    """What PyTorch gives for crops (N, H, W, 3) uint8, whose pixels change by up to `nudge` grey levels."""
    noise = torch.Generator().manual_seed(seed)
    std = torch.tensor(graph.method.config.framing.std).view(3, 1, 1)
    points, scores = [], []
    for part in torch.from_numpy(crops).split(4):
        inputs = graph.method.normalise(part.permute(0, 3, 1, 2))
        if nudge:
            inputs = inputs + nudge / std * (2 * torch.rand(inputs.shape, generator=noise) - 1)
        found = graph.from_inputs(inputs)
        points.append(found[0])
        scores.append(found[1])
    return torch.cat(points).numpy(), torch.cat(scores).numpy()


def run_in_parts(path: Path, crops: np.ndarray) -> Found:
    """What the file gives for crops (N, H, W, 3): the first one alone, the others in batches of three."""
    session = open_session(path)
    firsts = [0, *range(1, len(crops), 3), len(crops)]
    parts = [crops[first:end] for first, end in pairwise(firsts) if end > first]
    found = np.concatenate([run(session, part) for part in parts])
    return found[..., :-1], found[..., -1]


def compare(
    found: Found, expected: Found, graph: Graph, crops: np.ndarray, tolerance: float, photos: int
) -> Difference:
    """How far results are from those expected of the crops (N, H, W, 3) of so many photos."""

    def apart(points: np.ndarray, others: np.ndarray) -> np.ndarray:
        return np.abs(points.astype(np.float64) - others).max(-1)  # (N, K)

    distance = apart(found[0], expected[0])
    far = distance > tolerance
    rows = np.flatnonzero(far.any(1))
    undecided = np.zeros_like(far)
    for seed in range(NUDGES if len(rows) else 0):
        points, _ = eager(graph, crops[rows], NUDGE, seed)
        undecided[rows] |= far[rows] & (apart(found[0][rows], points) <= tolerance)
    largest = distance[~undecided].max(initial=0.0)  # NaN stays NaN
    # What confidences are not, raw maps are: as large as they like, and float32 has seven digits.
    scores = (
        np.abs(found[1].astype(np.float64) - expected[1]) / np.abs(expected[1]).max(1, initial=1, keepdims=True)
    ).max()
    return Difference(float(largest), float(scores), int(undecided.sum()), undecided.size, photos)


def check_difference(difference: Difference, output: Path, tolerance: float) -> None:
    """Raises InputError when a network gives something else after its export."""
    few = difference.undecided <= UNDECIDED * difference.keypoints
    if difference.points <= tolerance and difference.scores <= SCORE_TOLERANCE and few:
        return  # NaN is not
    raise InputError(
        f"{output} is not written: what it gives differs from the network's by up to {difference.points:.3g} px and "
        f"{difference.scores:.3g} in a joint's score, where {tolerance:g} px (--tolerance) and {SCORE_TOLERANCE:g} are "
        f"allowed, and {difference.undecided} of {difference.keypoints} keypoints of {difference.photos} photos lie "
        f"between two places, {UNDECIDED:.0%} are allowed; has the network been trained?"
    )
