"""Export: a network as an ONNX file, decoding and all, that other programs and `predict` run without torch.

The graph takes the pixels of crops as they are and gives keypoints in pixels of the crop: normalising, the mirrored
view, merging and decoding are nodes of it. It is written only where it gives what the network gives on real photos.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
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
"""What a joint's score may be off."""

REGIONS = ((0, 0, 1, 1), (0, 0, 0.6, 0.7), (0.4, 0.2, 1, 1), (0.25, 0.1, 0.75, 0.95), (0.1, 0.4, 0.8, 0.9))
"""The boxes of a photo that are compared, in fractions of its sides."""


class Difference(NamedTuple):
    """How far an exported network is off."""

    points: float  # px of the input, the largest
    scores: float  # of a joint, the largest
    crops: int  # that were compared
    photos: int


class Graph(nn.Module):
    """What is exported: pixels (B, H, W, 3) uint8 RGB -> points (B, K, 2 or 3) and joint scores (B, K)."""

    def __init__(self, method: Method, flip: bool) -> None:
        super().__init__()
        self.method, self.flip = method, flip

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        inputs = self.method.normalise(pixels.permute(0, 3, 1, 2))
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
    expected = eager(Graph(network.method, flip), crops)
    measured: list[tuple[Description, Difference]] = []

    def write(temporary: Path) -> None:
        description = described(network, flip, expected[0].shape[-1])
        save(program, description, temporary)
        difference = compare(temporary, crops, expected, count)
        check_difference(difference, output, tolerance)
        checked = {
            "photos": difference.photos,
            "crops": difference.crops,
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


@torch.inference_mode()
def eager(graph: Graph, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What PyTorch gives for crops (N, H, W, 3) uint8: points (N, K, 2 or 3) and joint scores (N, K)."""
    found = [graph(part) for part in torch.from_numpy(crops).split(4)]
    points, scores = (torch.cat(parts).numpy() for parts in zip(*found))
    return points, scores


def compare(path: Path, crops: np.ndarray, expected: tuple[np.ndarray, np.ndarray], photos: int) -> Difference:
    """How far the file's results are from those expected, the first crop alone and the others in batches of three."""
    session = open_session(path)
    firsts = [0, *range(1, len(crops), 3), len(crops)]
    parts = [crops[first:end] for first, end in zip(firsts, firsts[1:]) if end > first]
    found = np.concatenate([run(session, part) for part in parts]).astype(np.float64)
    points = np.abs(found[..., :-1] - expected[0]).max()
    return Difference(float(points), float(np.abs(found[..., -1] - expected[1]).max()), len(crops), photos)


def check_difference(difference: Difference, output: Path, tolerance: float) -> None:
    """Raises InputError when a network gives something else after its export."""
    if difference.points <= tolerance and difference.scores <= SCORE_TOLERANCE:
        return  # NaN is not
    raise InputError(
        f"{output} is not written: what it gives differs from the network's by up to {difference.points:.3g} px and "
        f"{difference.scores:.3g} in a joint's score, on {difference.crops} crops of {difference.photos} photos; "
        f"{tolerance:g} px (--tolerance) and {SCORE_TOLERANCE:g} are allowed"
    )
