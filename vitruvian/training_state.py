"""What a run keeps on the disk so that it can go on after a kill: its folder, its state file and its logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.files import write_atomically
from vitruvian.methods import experiment_to_dict

STATE, LAST, BEST, SCORES, LOSSES = "state.pt", "last.safetensors", "best.safetensors", "scores.csv", "losses.csv"

MAY_CHANGE = (
    *("training.epochs", "training.workers", "training.score_every", "training.save_every", "training.start_from"),
    *("dataset.images", "dataset.val_path", "dataset.val_images", "dataset.detections", "score"),
)
"""Fields that a resumed run may have otherwise: none of them changes how a step is computed."""


def plain(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON gives it back: lists instead of tuples."""
    return json.loads(json.dumps(experiment_to_dict(experiment)))


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes a state, whole or not at all; raises InputError when the disk does not take it."""

    def write(temporary: Path) -> None:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's way to say that the disk is full
            raise OSError(str(error).splitlines()[0]) from error

    write_atomically(path, write)


def load_state(path: Path) -> dict[str, Any]:
    """The state that a run left; raises InputError when it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; there is no run to resume, leave --resume out") from None
    except Exception as error:  # whatever the archive's reader meets in a damaged file
        raise InputError(f"{path}: damaged ({type(error).__name__}); start again in another folder") from error


def check_same(stored: dict[str, Any], given: dict[str, Any], path: Path) -> None:
    """Raises InputError naming the first field in which two experiments differ though it must not."""
    allowed = set(MAY_CHANGE)
    if given["training"]["schedule"] == "cosine":
        allowed.discard("training.epochs")  # the learning rate depends on it
    for name in sorted(set(flatten(stored)) | set(flatten(given))):
        before, now = flatten(stored).get(name), flatten(given).get(name)
        if before != now and name not in allowed:
            raise InputError(
                f"{path}: the run has {name} = {before!r}, found {now!r}; resume with what it was started with "
                f"(only {', '.join(sorted(allowed))} may change) or train into another folder"
            )


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, with dotted names."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result
