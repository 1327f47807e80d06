"""What a run keeps in its folder so that it can go on after a kill, and who may go on with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vitruvian.data.synthetic import SYNTHETIC
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.files import make_folder, write_atomically
from vitruvian.methods import experiment_from_dict, experiment_to_dict

STATE = "state.pt"
LAST = "last.safetensors"
BEST = "best.safetensors"
RESULTS = "results.json"
SCORES = "scores.csv"

MAY_CHANGE = (
    *("training.epochs", "training.workers", "training.score_every", "training.save_every"),
    *("dataset.images", "dataset.val_path", "dataset.val_images", "dataset.detections", "score"),
)
"""Fields that a resumed run may have otherwise than before: none of them changes what a step computes."""


def plain(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON gives it back: lists instead of tuples."""
    return json.loads(json.dumps(experiment_to_dict(experiment)))


def prepare_folder(output: Path, resume: bool) -> None:
    """Makes the folder of a run, and removes what a kill left half written in it.

    Raises:
        InputError: the folder holds a run that is not to be resumed, or none that can be.
    """
    held = next((name for name in (STATE, LAST, BEST) if (output / name).exists()), None)
    if held == STATE and not resume and not load_state(output / STATE)["step"]:
        held = None  # its first step never came, as where the first look found the data in disorder
    if held and not resume:
        raise InputError(f"{output} holds a run already ({held}): add --resume to go on, or choose another folder")
    if resume and not output.is_dir():
        raise InputError(f"{output}: there is no run to resume; correct the folder, or leave --resume out")
    if held and held != STATE:
        raise InputError(
            f"{output} holds {held} but no {STATE}, without which nothing resumes bit for bit; train into another "
            f"folder with training.start_from {output / held}"
        )
    make_folder(output)
    for name in (STATE, LAST, BEST):
        for temporary in output.glob(f".{Path(name).stem}.*{Path(name).suffix}"):
            temporary.unlink(missing_ok=True)


def scored(output: Path) -> bool:
    """Whether figures were obtained in the run in a folder, so that its best checkpoint is the best by them."""
    table = output / SCORES
    return table.exists() and table.stat().st_size > 0  # without rows it has no header either


def find_state(output: Path, experiment: Experiment) -> dict[str, Any] | None:
    """The state that the run in a folder goes on from; None where it is new, or was killed before its first step.

    Raises:
        InputError: the state is damaged, or of another experiment or other annotations.
    """
    if not (output / STATE).exists():
        return None
    state = load_state(output / STATE)
    if not state["step"]:
        return None
    before = state.get("annotations")  # states of earlier versions do not say it
    stored = plain(experiment_from_dict(state["experiment"], str(output / STATE)))  # with fields that are newer
    check_same(stored, plain(experiment), output / STATE, any_path=before is not None)
    if before is not None and content_hash(experiment.dataset.path) != before:
        raise InputError(
            f"{output / STATE}: the annotations in {experiment.dataset.path} are not those that the run was started "
            "with; put them back, or train into another folder"
        )
    return state


def content_hash(path: str | Path) -> str:
    """What tells a file from others with another content, wherever it lies; raises InputError for one not there."""
    if path == SYNTHETIC:
        return SYNTHETIC
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); correct dataset.path") from None


def check_place(state: Mapping[str, Any], steps_per_epoch: int, processes: int, path: Path) -> None:
    """Raises InputError when data or processes have changed, so that the steps of an epoch would be others."""
    if state["processes"] != processes:
        raise InputError(f"{path}: the run has {state['processes']} processes, found {processes}; resume with as many")
    if state["steps_per_epoch"] != steps_per_epoch:
        raise InputError(
            f"{path}: an epoch of the run has {state['steps_per_epoch']} steps, found {steps_per_epoch}; the data has "
            "changed: put it back, or train into another folder"
        )


def check_same(stored: dict[str, Any], given: dict[str, Any], path: Path, any_path: bool) -> None:
    """Raises InputError naming the first field in which two experiments differ though they must not.

    `any_path`: the annotations are known by their content, and may lie elsewhere than they did.
    """
    allowed = {*MAY_CHANGE, "dataset.path"} if any_path else set(MAY_CHANGE)
    if given["training"]["schedule"] == "cosine":
        allowed.discard("training.epochs")  # the learning rate depends on it
    before, now = flatten(stored), flatten(given)
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name) and name not in allowed:
            raise InputError(
                f"{path}: the run has {name} = {before.get(name)!r}, found {now.get(name)!r}; resume with what it was "
                f"started with (only {', '.join(sorted(allowed))} may change), or train into another folder"
            )


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, with dotted names."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes a state, whole or not at all; raises InputError when the disk does not take it."""

    def write(temporary: Path) -> None:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's way to say that the disk is full
            raise OSError(str(error).splitlines()[0]) from error

    write_atomically(path, write)


def load_state(path: Path) -> dict[str, Any]:
    """The state that a run left, on the CPU; raises InputError when it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the readers of archive and pickle meet in a damaged file
        raise InputError(f"{path}: damaged ({type(error).__name__}); train into another folder") from error
