"""What a training step of each method costs, beside the one of heatmaps, at the budget of docs/comparison.md.

One batch of photos of people from random weights, the methods in turn: normalise, targets, forward, loss, backward and
the optimizer's step. Loading is left out, for it is the same for all.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from measure import find_labels, in_turn, machine, spread

from vitruvian.data.loading import PersonCrops, collate
from vitruvian.methods import build, recipes
from vitruvian.training.optimisation import build_optimizer

METHODS = ("heatmap", "sar", "regression", "rle", "heatmap_offset", "integral")


def step(recipe: str, folder: Path, data: str) -> Callable[[int], None]:
    """One training step of a recipe on a batch that is ready."""
    experiment = recipes()[recipe]()
    labels = find_labels(data, folder)
    experiment = dataclasses.replace(experiment, skeleton=labels.skeleton)
    crops = PersonCrops(labels, experiment.method.framing, experiment.augmentation, experiment.seed)
    batch = collate([crops[0, index % len(crops)] for index in range(experiment.training.batch_size)])
    method = build(experiment).train().to(memory_format=torch.channels_last)
    optimizer = build_optimizer(method, experiment.training)

    def run(number: int) -> None:
        targets = method.targets(batch)
        losses = method.loss(method(method.normalise(batch.inputs), batch.inside, targets), targets)
        optimizer.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        optimizer.step()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="lspet_resnet18_cpu", help="recipe of each method")
    parser.add_argument("--data", default="", help="annotation file (default: generated photos)")
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    options = parser.parse_args()
    print(f"{machine()}, {torch.get_num_threads()} threads; {options.budget}")
    with tempfile.TemporaryDirectory() as folder:
        ways = [step(f"{method}/{options.budget}", Path(folder), options.data) for method in METHODS]
        seconds = in_turn(ways, 1, options.repeats, options.clock)
    print(f"min / median / max over {options.repeats} repeats")
    for method, times in zip(METHODS, seconds):
        ratio = statistics.median(time / reference for time, reference in zip(times, seconds[0]))
        print(f"  {method:16}{spread([1000 * time for time in times], 0):>24} ms   {ratio:.2f} of {METHODS[0]}'s")


if __name__ == "__main__":
    main()
