"""Training: one loop for every method, which a kill at any moment does not harm."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import torch

from vitruvian import checkpoints
from vitruvian.data.loading import EpochBatches, PersonCrops
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment, Method
from vitruvian.files import write_atomically
from vitruvian.methods import build
from vitruvian.training_state import BEST, LAST, SCORES, STATE, check_same, load_state, plain
from vitruvian.validation import score


def train(
    experiment: Experiment, output: Path, resume: bool = False, deterministic: bool = False, device: str = "auto"
) -> Path:
    """Trains an experiment into the folder `output` and returns the path of its best checkpoint.

    Args:
        experiment: what to train, on what and how.
        output: the folder of the run: checkpoints, state, logs.
        resume: go on with the run that `output` holds.
        deterministic: the same weights bit for bit on every run on the same device; a CPU always does so.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        InputError: the data, the folder or the experiment does not allow it; a loss became NaN; the disk is full.
    """
    try:
        from vitruvian.training_loop import Loop, fit
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}: pip install 'vitruvian[train]'") from None
    output, training = Path(output), experiment.training
    state = prepare_folder(output, experiment, resume)
    labels = read_labels(experiment.dataset.path, experiment.dataset.images)
    crops = PersonCrops(
        labels, experiment.method.framing, experiment.augmentation, experiment.seed, experiment.dataset.limit
    )
    if not len(crops):
        raise InputError(f"{labels.path}: nobody in it has a labelled joint and a box; there is nothing to learn from")
    batches = EpochBatches(len(crops), training.batch_size, experiment.seed)
    if not batches.batches_per_epoch:
        raise InputError(f"{labels.path}: {len(crops)} people do not fill one batch of {training.batch_size}")
    torch.manual_seed(experiment.seed)
    method = build(experiment)
    if training.start_from and not state:
        weights, _ = checkpoints.load(training.start_from)
        checkpoints.load_state(method, weights, training.start_from)
    val = (
        read_labels(experiment.dataset.val_path, experiment.dataset.val_images) if experiment.dataset.val_path else None
    )

    def score_epoch(scored: Method, epoch: int) -> None:
        if val is None or (epoch % training.score_every and epoch != training.epochs):
            return
        figures = score(scored, val, training.batch_size, next(scored.parameters()).device)
        rows = read_scores(output / SCORES)
        best = max((float(row[training.metric]) for row in rows), default=float("-inf"))
        if figures[training.metric] > best:
            checkpoints.save(output / BEST, scored.state_dict(), plain(experiment), {"epoch": str(epoch)})
        write_scores(output / SCORES, [*rows, {"epoch": str(epoch), **{k: str(v) for k, v in figures.items()}}])
        print(f"epoch {epoch}: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()), flush=True)

    loop = Loop(method, experiment, batches, crops, output, score_epoch, state)
    fit(loop, device, deterministic)
    if not (output / BEST).exists():
        write_atomically(output / BEST, lambda temporary: shutil.copyfile(output / LAST, temporary))
    return output / BEST


def prepare_folder(output: Path, experiment: Experiment, resume: bool) -> dict | None:
    """Makes the folder of a run; the state to go on from, if it is a run that is resumed."""
    there = (output / STATE).exists()
    if there and not resume:
        raise InputError(f"{output} holds a run already: add --resume to go on with it, or choose another folder")
    if there:
        state = load_state(output / STATE)
        check_same(state["experiment"], plain(experiment), output / STATE)
        return state
    output.mkdir(parents=True, exist_ok=True)
    return None


def read_scores(path: Path) -> list[dict[str, str]]:
    """The rows of the table of scores."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_scores(path: Path, rows: list[dict[str, str]]) -> None:
    """Writes the table of scores."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[-1]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, lambda temporary: temporary.write_text(text.getvalue()))
