"""The training loop of every method as a module of Lightning's; nothing else imports Lightning."""

from __future__ import annotations

import contextlib
import copy
import csv
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.utils.data import Sampler

from vitruvian import checkpoints
from vitruvian.data.loading import EpochBatches, Key, make_loader
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment, Method
from vitruvian.optimisation import Average, all_finite, build_optimizer, learning_rate_factor, set_learning_rate
from vitruvian.sample import Batch
from vitruvian.training_state import LAST, LOSSES, STATE, plain, save_state

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


class RemainingBatches(Sampler[list[Key]]):
    """All batches from one step on to the end of the last epoch, so that workers run on from epoch to epoch."""

    def __init__(self, batches: EpochBatches, step: int, epochs: int) -> None:
        self.batches, self.step, self.epochs = batches, step, epochs

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, start = divmod(self.step, self.batches.batches_per_epoch)
        for self.batches.epoch in range(epoch, self.epochs):
            self.batches.start = start
            yield from self.batches
            start = 0


class EpochStream:
    """One stream of batches, cut at the ends of the epochs: each iteration gives the rest of the epoch under way.

    It has no length, which Lightning would take for that of all epochs though a resumed run begins with a shorter one.
    """

    def __init__(self, batches: Iterator[Batch], step: int, steps_per_epoch: int) -> None:
        self.batches, self.step, self.steps_per_epoch = batches, step, steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.steps_per_epoch - self.step % self.steps_per_epoch):
            batch = next(self.batches, None)
            if batch is None:
                return
            self.step += 1
            yield batch


class Loop(lightning.LightningModule):
    """What one step is, and what is written when.

    `step` counts the batches that are done, in all epochs together: it is the place of the run. States are written
    only where the weights have just moved, so that no half-summed gradient has to be kept.
    """

    def __init__(
        self,
        method: Method,
        experiment: Experiment,
        batches: EpochBatches,
        crops: Any,
        folder: Path,
        score: Callable[[Method, int], None],
        state: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.method, self.experiment, self.training_options = method, experiment, experiment.training
        self.batches, self.crops, self.folder, self.score = batches, crops, folder, score
        self.resumed, self.step = state, state["step"] if state else 0
        self.steps_per_epoch = batches.batches_per_epoch
        self.average: Average | None = None
        self.pending: list[tuple[int, dict[str, Tensor], tuple]] = []  # losses that were not looked at yet
        self.read_at = time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self.method, self.training_options)

    def train_dataloader(self) -> EpochStream:
        remaining = RemainingBatches(self.batches, self.step, self.training_options.epochs)
        pin = self.trainer.strategy.root_device.type == "cuda"
        loader = make_loader(self.crops, remaining, self.training_options.workers, pin)
        return EpochStream(iter(loader), self.step, self.steps_per_epoch)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def on_train_start(self) -> None:
        self.method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        precision = self.training_options.precision
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        if self.resumed:
            self.method.load_state_dict(self.resumed["method"])
        if self.training_options.ema:
            self.average = Average(self.method, self.training_options.ema)
        if self.resumed:
            self.optimizers(use_pl_optimizer=False).load_state_dict(self.resumed["optimizer"])
            self.scaler.load_state_dict(self.resumed["scaler"])
            if self.average:
                self.average.load(self.resumed["average"])
        self.resumed = None

    def training_step(self, batch: Batch, batch_index: int) -> STEP_OUTPUT:
        options = self.training_options
        # Dropout and drop path become a function of the place, whatever was drawn before and by whom.
        torch.manual_seed(hash((self.experiment.seed, self.step, self.global_rank)) & 0x7FFFFFFF)
        group, moves = self._accumulation()
        with torch.no_grad():
            inputs = self.method.normalise(batch.inputs)
            targets = self.method.targets(batch)
        with self._autocast():
            maps = self.method(inputs, batch.inside if self.method.config.framing.kind == "photo" else None, targets)
        losses = self.method.loss(as_float32(maps), targets)
        with contextlib.nullcontext() if moves else self._no_sync():
            self.manual_backward(self.scaler.scale(torch.stack(list(losses.values())).sum() / group))
        if moves:
            self._move_weights()
        self.pending.append((self.step, {k: v.detach() for k, v in losses.items()}, batch.image_ids))
        self.step += 1
        return None

    def _accumulation(self) -> tuple[int, bool]:
        """How many steps this step's gradients are added up with, and whether it is the last of them."""
        wanted, place = self.training_options.accumulate, self.step % self.steps_per_epoch
        first = place - place % wanted
        group = min(wanted, self.steps_per_epoch - first)  # an epoch's last group may be smaller
        return group, place == first + group - 1

    def _move_weights(self) -> None:
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        options = self.training_options
        rate = options.learning_rate * learning_rate_factor(self.step, self.steps_per_epoch, options)
        set_learning_rate(optimizer, rate)
        if options.clip_norm:
            self.scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(self.method.parameters(), options.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(self.method)

    def _autocast(self) -> contextlib.AbstractContextManager:
        precision = PRECISIONS.get(self.training_options.precision)
        return torch.autocast(self.device.type, precision, enabled=precision is not None)

    def _no_sync(self) -> contextlib.AbstractContextManager:
        model: Any = self.trainer.model
        return model.no_sync() if hasattr(model, "no_sync") else contextlib.nullcontext()

    def on_train_batch_end(self, outputs: STEP_OUTPUT, batch: Batch, batch_index: int) -> None:
        if time.monotonic() - self.read_at > 1:
            self.read_losses()
        every = self.training_options.save_every
        moved = (self.step % self.steps_per_epoch) % self.training_options.accumulate == 0
        if (
            self.step % self.steps_per_epoch
            and every
            and moved
            and self.step % every < self.training_options.accumulate
        ):
            self.save_state()

    def on_train_epoch_end(self) -> None:
        if self.step % self.steps_per_epoch:
            return
        self.read_losses()
        self.save_weights(LAST)
        self.save_state()
        epoch = self.step // self.steps_per_epoch
        if self.trainer.is_global_zero:
            self.score(self.scored(), epoch)

    def scored(self) -> Method:
        """A copy of the network in evaluation mode, with the averaged weights where there are any."""
        method = copy.deepcopy(self.method)
        if self.average:
            method.load_state_dict(self.average.state)
        return method.eval()

    def save_weights(self, name: str) -> None:
        """Writes the weights that are used, averaged ones where there are any."""
        if self.trainer.is_global_zero:
            state = self.average.state if self.average else self.method.state_dict()
            extra = {"epoch": str(self.step // self.steps_per_epoch)}
            checkpoints.save(self.folder / name, state, plain(self.experiment), extra)

    def save_state(self) -> None:
        """Writes all that the next step depends on."""
        self.read_losses()
        if not all_finite(self.method.parameters()):
            raise InputError(f"the weights are NaN or infinite after step {self.step}; lower training.learning_rate")
        if not self.trainer.is_global_zero:
            return
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        state = {
            "step": self.step,
            "steps_per_epoch": self.steps_per_epoch,
            "processes": self.trainer.world_size,
            "experiment": plain(self.experiment),
            "method": self.method.state_dict(),
            "average": self.average.state if self.average else None,
            "optimizer": optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save_state(self.folder / STATE, state)

    def read_losses(self) -> None:
        """Looks at the losses of the steps since the last time, all in one wait for the device, and logs their means."""
        if not self.pending:
            return
        names = list(self.pending[0][1])
        values = torch.stack([torch.stack([losses[name] for name in names]) for _, losses, _ in self.pending]).cpu()
        bad = (~values.isfinite()).nonzero()
        if len(bad):
            (step, _, image_ids), name = self.pending[int(bad[0, 0])], names[int(bad[0, 1])]
            raise InputError(
                f"loss '{name}' is {float(values[tuple(bad[0])])} at step {step} (images {', '.join(map(str, image_ids))}); "
                f"{self.folder / STATE} holds the last good state: lower training.learning_rate, or look at these images"
            )
        seconds, steps = time.monotonic() - self.read_at, len(self.pending)
        self.pending, self.read_at = [], time.monotonic()
        if self.trainer.is_global_zero:
            rate = steps * self.batches.batch_size * self.trainer.world_size / seconds
            self.log_losses(dict(zip(names, values.mean(0).tolist())), rate)

    def log_losses(self, losses: dict[str, float], samples_per_second: float) -> None:
        """One row of the table of losses, and one line on the screen."""
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        row = {
            "step": self.step,
            "epoch": round(self.step / self.steps_per_epoch, 3),
            "learning_rate": max(group["lr"] for group in optimizer.param_groups),
            "samples_per_second": round(samples_per_second, 1),
            **losses,
        }
        path = self.folder / LOSSES
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def as_float32(maps: Any) -> Any:
    """Maps with all floating tensors in float32: losses are never computed in half precision."""
    return type(maps)(*(m.float() if isinstance(m, Tensor) and m.is_floating_point() else m for m in maps))


def fit(loop: Loop, device: str, deterministic: bool) -> None:
    """Runs the loop from where it stands to its last epoch."""
    kind, _, index = device.partition(":")
    kind = {"cuda": "gpu"}.get(kind, kind)
    epochs = loop.training_options.epochs - loop.step // loop.steps_per_epoch
    trainer = lightning.Trainer(
        accelerator=kind,
        devices=[int(index)] if index else 1,
        max_epochs=epochs,
        deterministic=deterministic,
        benchmark=not deterministic,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    if math.isfinite(epochs) and epochs > 0:
        trainer.fit(loop)
