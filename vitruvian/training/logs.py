"""What a run tells about itself: tables, TensorBoard, pictures and a progress bar."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from vitruvian.files import write_atomically
from vitruvian.images import write_image
from vitruvian.training.state import SCORES

LOSSES = "losses.csv"

Row = dict[str, Any]


class UnreadLosses:
    """Losses of steps that nobody has looked at: they stay on the device, since each look waits for it."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, dict[str, Tensor], Sequence[int | str]]] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: int, losses: Mapping[str, Tensor], image_ids: Sequence[int | str]) -> None:
        """The terms of one step, scalars, and the images that they come from."""
        self._steps.append((step, {name: loss.detach() for name, loss in losses.items()}, image_ids))

    def read(self) -> dict[str, float]:
        """The mean of each term since the last reading, all in one wait for the device.

        Raises ValueError that names step, term and images of the first one that is NaN or infinite.
        """
        names = list(self._steps[0][1])
        values = torch.stack([torch.stack([losses[name] for name in names]) for _, losses, _ in self._steps]).cpu()
        bad = (~values.isfinite()).nonzero().tolist()
        if bad:
            row, column = bad[0]
            step, _, image_ids = self._steps[row]
            images = ", ".join(map(str, image_ids))
            raise ValueError(f"loss '{names[column]}' is {float(values[row, column])} at step {step}, images {images}")
        self._steps = []
        return dict(zip(names, values.mean(0).tolist()))


class Logs:
    """The tables losses.csv (a row about every second) and scores.csv (a row a scoring), the same in the folder
    tensorboard, and a progress bar where there is a terminal.

    Rows of steps that a resumed run takes again are removed first.
    """

    def __init__(self, folder: Path, step: int, steps: int, steps_per_epoch: int) -> None:
        self.folder, self.steps_per_epoch = folder, steps_per_epoch
        self.epochs = steps // steps_per_epoch
        kept = [row for row in read_table(folder / LOSSES) if int(row["step"]) <= step]
        write_table(folder / LOSSES, kept)
        self._losses = (folder / LOSSES).open("a", newline="")
        self._header_is_there = bool(kept)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)
        self._sums: dict[str, float] = {}  # of the epoch under way
        self._steps = 0
        self._bar = tqdm(total=steps, initial=step, unit="step", disable=None, dynamic_ncols=True, smoothing=0.05)

    def losses(self, step: int, losses: Mapping[str, float], count: int, rates: Mapping[str, float]) -> None:
        """The means of the loss terms over the last `count` steps, with the learning rate and how fast it goes."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + count * value
        self._steps += count
        row = {"step": step, "epoch": step / self.steps_per_epoch, **losses, **rates}
        row = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        writer = csv.DictWriter(self._losses, list(row))
        if not self._header_is_there:
            writer.writeheader()
            self._header_is_there = True
        writer.writerow(row)
        self._losses.flush()
        for name, value in losses.items():
            self._board.add_scalar(f"loss/{name}", value, step)
        for name, value in rates.items():
            self._board.add_scalar(f"run/{name}", value, step)
        terms = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        self._bar.set_postfix_str(
            f"epoch {min(step // self.steps_per_epoch + 1, self.epochs)}/{self.epochs}, {terms}, "
            f"lr {rates['learning_rate']:.3g}, {rates['samples_per_second']:.3g} samples/s",
            refresh=False,
        )
        self._bar.update(step - self._bar.n)

    def end_epoch(self, step: int) -> None:
        """Says the mean losses of the epoch that ends at `step`."""
        means = ", ".join(f"{name} {value / self._steps:.4g}" for name, value in self._sums.items())
        self.say(f"epoch {step // self.steps_per_epoch}/{self.epochs}: {means}")
        self._sums, self._steps = {}, 0

    def scores(self, epoch: int, figures: Mapping[str, float]) -> None:
        """The figures of one scoring."""
        write_table(self.folder / SCORES, [*self.scored(), {"epoch": epoch, **figures}])
        for name, value in figures.items():
            self._board.add_scalar(f"score/{name}", value, epoch * self.steps_per_epoch)

    def scored(self) -> list[Row]:
        """The rows of the table of scores, as strings."""
        return read_table(self.folder / SCORES)

    def picture(self, epoch: int, image: np.ndarray) -> None:
        """A picture (H, W, 3) uint8 RGB of what the network predicts after an epoch."""
        (self.folder / "pictures").mkdir(exist_ok=True)
        write_image(self.folder / "pictures" / f"epoch_{epoch:04d}.png", image)
        self._board.add_image("predictions", image, epoch * self.steps_per_epoch, dataformats="HWC")

    def say(self, line: str) -> None:
        """A line above the progress bar."""
        tqdm.write(line)

    def close(self) -> None:
        """Ends the bar and writes what is not written yet."""
        self._bar.close()
        self._losses.close()
        self._board.close()


def read_table(path: Path) -> list[Row]:
    """The rows of a CSV file as dicts of strings; none where there is no file. A row that is cut off is left out."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Writes a CSV file, whole or not at all."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(path, lambda temporary: temporary.write_text(text.getvalue(), newline=""))
