"""What share of a training step is neither forward nor backward, in the real training loop.

A run of a recipe from random weights on photos of people, each part of each step by the clock. Counted as "the rest"
are waiting for data, moving and normalising it, drawing the targets, the loss, logging, and all that the loop does
between two steps. The optimizer, which updates each weight once and is torch's own, is shown apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from measure import find_labels, machine, spread

from vitruvian import training
from vitruvian.data.labels import Labels
from vitruvian.data.loading import EpochBatches, EpochStream, PersonCrops
from vitruvian.experiment import Experiment
from vitruvian.methods import build_empty, recipes
from vitruvian.training.loop import Loop

NETWORK = ("forward", "backward")
REST = ("waiting for data", "normalise", "targets", "loss", "logging")
OPTIMIZER = "optimizer"
SKIPPED = 2
"""First steps, in which memory is allocated."""


class Clock:
    """Seconds of each part of each step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.steps: list[dict[str, float]] = []
        self.starts: list[float] = []

    def now(self) -> float:
        """The time, once the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is added to `part` of the step under way."""

        def call(*arguments: Any, **options: Any) -> Any:
            start = self.now()
            try:
                return function(*arguments, **options)
            finally:
                if self.steps:
                    self.steps[-1][part] = self.steps[-1].get(part, 0.0) + self.now() - start

        return call


class TimedIterator:
    """Batches, with the time that they were waited for."""

    def __init__(self, batches: Iterator, clock: Clock) -> None:
        self.next = clock.timed("waiting for data", lambda: next(batches))
        self._shutdown_workers = getattr(batches, "_shutdown_workers", None)

    def __iter__(self) -> TimedIterator:
        return self

    def __next__(self) -> Any:
        return self.next()


class TimedLoop(Loop):
    """The training loop by the clock."""

    clock: Clock

    def train_dataloader(self) -> EpochStream:
        stream = super().train_dataloader()
        stream.batches = TimedIterator(stream.batches, self.clock)  # type: ignore[assignment]
        return stream

    def on_train_start(self) -> None:
        method: Any = self.method
        for name in ("normalise", "targets", "forward", "loss"):
            setattr(method, name, self.clock.timed(name, getattr(method, name)))
        for name, part in (("manual_backward", "backward"), ("move_weights", OPTIMIZER)):
            setattr(self, name, self.clock.timed(part, getattr(self, name)))

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.clock.starts.append(self.clock.now())
        self.clock.steps.append({})
        super().training_step(batch, batch_idx)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.clock.timed("logging", super().on_train_batch_end)(outputs, batch, batch_idx)


def run(experiment: Experiment, labels: Labels, steps: int, folder: Path, device: str) -> Clock:
    """Trains for `steps` steps, and the one that ends the last of them, and gives the times of each."""
    samples = (steps + SKIPPED + 1) * experiment.training.batch_size
    copies = -(-samples // max(len(PersonCrops(labels, experiment.method.framing)), 1))
    labels = dataclasses.replace(labels, photos=labels.photos * copies)
    crops = PersonCrops(labels, experiment.method.framing, experiment.augmentation, experiment.seed, samples)
    batches = EpochBatches(len(crops), experiment.training.batch_size, experiment.seed)
    torch.manual_seed(experiment.seed)
    loop = TimedLoop(build_empty(experiment), experiment, crops, batches, None, folder, None)
    loop.clock = Clock(torch.device(device))
    training.fit(loop, device, 1, 1, False)
    return loop.clock


def report(clock: Clock, goal: float) -> None:
    """Prints the parts of a step and the share of the rest."""
    totals = [end - start for start, end in pairwise(clock.starts)][SKIPPED:]
    whole = statistics.median(totals)
    steps = clock.steps[SKIPPED : SKIPPED + len(totals)]
    print(f"{len(totals)} steps, ms: min / median / max")
    for part in (*NETWORK, OPTIMIZER, *REST):
        values = [1000 * step.get(part, 0.0) for step in steps]
        print(f"  {part:18}{spread(values, 1):>30}  {statistics.median(values) / whole / 10:6.2f} %")
    between = [total - sum(step.values()) for total, step in zip(totals, steps)]
    print(f"  {'between the parts':18}{spread([1000 * value for value in between], 1):>30}")
    print(f"  {'whole step':18}{spread([1000 * value for value in totals], 1):>30}")
    named = (*NETWORK, OPTIMIZER)
    rest = [100 * (1 - sum(step.get(part, 0.0) for part in named) / total) for total, step in zip(totals, steps)]
    share = statistics.median(rest)
    verdict = "met" if share < goal else "MISSED"
    print(f"neither forward, backward nor optimizer: {spread(rest)} % (goal below {goal:g}: {verdict})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="heatmap/coco_resnet50", help="of vitruvian list")
    parser.add_argument("--data", default="", help="annotation file (default: generated photos)")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    experiment = recipes()[options.recipe]()
    changed = dataclasses.replace(
        experiment.training, epochs=1, batch_size=options.batch_size, workers=options.workers, save_every=0
    )
    experiment = dataclasses.replace(experiment, training=changed)
    print(f"{machine()}, {torch.get_num_threads()} threads; {options.recipe}, batch {options.batch_size}")
    with tempfile.TemporaryDirectory() as folder:
        labels = find_labels(options.data, Path(folder))
        experiment = dataclasses.replace(experiment, skeleton=labels.skeleton)
        report(run(experiment, labels, options.steps, Path(folder), options.device), 5.0)


if __name__ == "__main__":
    main()
