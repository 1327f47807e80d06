"""The training loop of every method, as a module of Lightning's; `training.fit` alone imports Lightning too."""

from __future__ import annotations

import contextlib
import copy
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from vitruvian import checkpoints
from vitruvian.data.labels import Labels
from vitruvian.data.loading import EpochBatches, EpochStream, PersonCrops, RemainingBatches, make_loader
from vitruvian.data.synthetic.crops import Crops
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment, Method
from vitruvian.sample import Batch
from vitruvian.training import validation
from vitruvian.training.logs import Logs, UnreadLosses
from vitruvian.training.optimisation import (
    Average,
    all_finite,
    build_optimizer,
    learning_rate_factor,
    set_learning_rate,
)
from vitruvian.training.state import BEST, LAST, RESULTS, STATE, content_hash, plain, save_state

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
READ_SECONDS = 1.0
"""Time between two looks at the losses: each look waits for the device."""
PREVIEW = 8
"""Photos that are scored before the first step."""
AGREE_STEPS = 10
"""Steps between two moments at which several processes agree on whether to stop."""


class Loop(lightning.LightningModule):
    """What a step is, and what is written when.

    `step`, the batches that are done in all epochs together, is the place of the run. States are written only where
    the weights have just moved, so that there is no half-summed gradient to keep.
    """

    def __init__(
        self,
        method: Method,
        experiment: Experiment,
        crops: Crops,
        batches: EpochBatches,
        val: Labels | None,
        folder: Path,
        state: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # ours, so that nothing but the state is needed to go on
        self.method, self.experiment, self.options = method, experiment, experiment.training
        self.crops, self.batches, self.val, self.folder, self.state = crops, batches, val, folder, state
        self.step, self.steps_per_epoch = state["step"] if state else 0, batches.batches_per_epoch
        known = state and state.get("annotations")  # which the run was checked against
        self.annotations = known or content_hash(experiment.dataset.path)
        self.pictured = PersonCrops(val, method.config.framing) if val else crops.plain()
        self.average: Average | None = None
        self.unread = UnreadLosses()
        self.read_at = time.monotonic()
        self.logs: Logs | None = None
        self.stream: EpochStream | None = None
        self.asked = False  # by a signal to this process
        self.looking = False  # at pictures and figures, which can be done again
        self.done = False
        self.stopping = False  # agreed between all processes
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if state:
            method.load_state_dict(state["method"])

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.options.epochs * self.steps_per_epoch

    # What Lightning asks for before the first step.

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.optimizer = build_optimizer(self.method, self.options)
        if self.state:
            self.optimizer.load_state_dict(self.state["optimizer"])
        return self.optimizer

    def train_dataloader(self) -> EpochStream:
        remaining = RemainingBatches(self.batches, self.step, self.options.epochs)
        pin = self.trainer.strategy.root_device.type == "cuda"
        loader = make_loader(self.crops, remaining, self.options.workers, pin)
        self.stream = EpochStream(iter(loader), self.step, self.steps_per_epoch)
        return self.stream

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def on_fit_start(self) -> None:
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.options.precision == "fp16")
        if self.state:
            self.scaler.load_state_dict(self.state["scaler"])
        if self.options.ema:
            self.average = Average(self.method, self.options.ema, self.state["average"] if self.state else None)
        if self.trainer.is_global_zero:
            self.logs = Logs(self.folder, self.step, self.steps, self.steps_per_epoch)
        if not self.state:
            self.save_state()  # shows at once whether the disk has room for it
            self.look()
        elif self.step % self.steps_per_epoch == 0:
            self.look()  # the kill may have come before it
        self.state = None
        self.read_at = time.monotonic()

    # A step.

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.seed_draws()
        group, moves = self.accumulation()
        with torch.no_grad():
            inputs = self.method.normalise(batch.inputs)
            inside = batch.inside if self.method.config.framing.kind == "photo" else None
            targets = self.method.targets(batch)
        precision = PRECISIONS.get(self.options.precision)
        with torch.autocast(self.device.type, precision, enabled=precision is not None):
            maps = self.method(inputs, inside, targets)
        losses = self.method.loss(as_float32(maps), targets)
        with contextlib.nullcontext() if moves else self.without_exchange():
            self.manual_backward(self.scaler.scale(sum(losses.values(), torch.zeros((), device=self.device)) / group))
        if moves:
            self.move_weights()
        self.unread.add(self.step, losses, batch.image_ids)
        self.step += 1

    def seed_draws(self) -> None:
        """Makes what this step draws, for dropout, a function of its place, whatever was drawn before and by whom."""
        place = self.step * self.trainer.world_size + self.global_rank
        seed = ((self.experiment.seed << 40) + place) % 2**63
        torch.default_generator.manual_seed(seed)  # torch.manual_seed queues up calls for absent devices
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def accumulation(self) -> tuple[int, bool]:
        """How many steps' gradients this step's are added up with, and whether it is the last of them."""
        wanted, place = self.options.accumulate, self.step % self.steps_per_epoch
        first = place - place % wanted
        group = min(wanted, self.steps_per_epoch - first)  # the last group of an epoch may be smaller
        return group, place == first + group - 1

    def without_exchange(self) -> contextlib.AbstractContextManager:
        """Processes keep their gradients to themselves until the weights move."""
        model: Any = self.trainer.model
        return model.no_sync() if hasattr(model, "no_sync") else contextlib.nullcontext()

    def move_weights(self) -> None:
        """One step of the optimizer, and of the average."""
        factor = learning_rate_factor(self.step, self.steps_per_epoch, self.options)
        set_learning_rate(self.optimizer, self.options.learning_rate * factor)
        if self.options.clip_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.method.parameters(), self.options.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update()

    # After a step.

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if time.monotonic() - self.read_at > READ_SECONDS:
            self.read_losses()
        if self.trainer.world_size == 1:
            self.stopping = self.asked
        elif self.step % AGREE_STEPS == 0:
            self.stopping = self.trainer.strategy.reduce_boolean_decision(self.asked or self.stopping, all=False)
        place, accumulate, every = self.step % self.steps_per_epoch, self.options.accumulate, self.options.save_every
        if place == 0 or place % accumulate:
            return  # at the end of an epoch a state is written anyway
        if self.stopping:
            self.trainer.should_stop = True
        if self.stopping or (every and self.step % every < accumulate):
            self.save_state()

    def on_train_epoch_end(self) -> None:
        if self.step % self.steps_per_epoch:
            return  # stopped on the way
        self.check()
        if self.logs:
            used = self.average.state_dict() if self.average else self.method.state_dict()
            self.save_weights(LAST, used)
            self.logs.end_epoch(self.step)
        self.save_state()
        if self.stopping:
            self.trainer.should_stop = True  # a look can wait until the run goes on
        else:
            self.look()

    def check(self) -> None:
        """Raises InputError when the losses or the weights are not finite."""
        self.read_losses()
        if not all_finite([parameter.detach() for parameter in self.method.parameters()]):
            raise InputError(self.remedy(f"the weights are NaN or infinite after step {self.step}"))

    def read_losses(self) -> None:
        """Logs the mean losses of the steps since the last time; raises InputError when one is not finite."""
        count = len(self.unread)
        if not count:
            return
        try:
            means = self.unread.read()
        except ValueError as error:
            raise InputError(self.remedy(str(error))) from None
        seconds = time.monotonic() - self.read_at
        if self.logs:
            rates = {
                "learning_rate": max(group["lr"] for group in self.optimizer.param_groups),
                "samples_per_second": count * self.batches.batch_size * self.trainer.world_size / seconds,
                "waiting_for_data": self.stream.waited / seconds if self.stream else 0.0,
            }
            self.logs.losses(self.step, means, count, rates)
        self.read_at = time.monotonic()
        if self.stream:
            self.stream.waited = 0.0

    def remedy(self, problem: str) -> str:
        """The message of a run that cannot go on because numbers ran away."""
        return (
            f"{problem}; {self.folder / STATE} holds the last good state. Look at these images, or lower "
            "training.learning_rate or lengthen training.warmup_steps and train into another folder"
        )

    # What is written.

    def save_state(self) -> None:
        """Writes all that the steps to come depend on."""
        self.check()
        if self.trainer.is_global_zero:
            state = {
                "step": self.step,
                "steps_per_epoch": self.steps_per_epoch,
                "processes": self.trainer.world_size,
                "threads": torch.get_num_threads(),
                "experiment": plain(self.experiment),
                "annotations": self.annotations,
                "method": self.method.state_dict(),
                "average": self.average.state_dict() if self.average else None,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
            }
            save_state(self.folder / STATE, state)

    def save_weights(self, name: str, weights: dict[str, Tensor]) -> None:
        """Writes a checkpoint of these weights."""
        extra = {"epoch": str(self.step // self.steps_per_epoch)}
        checkpoints.save(self.folder / name, weights, plain(self.experiment), extra)

    def look(self) -> None:
        """A picture after each epoch; figures where they are due, and the best weights by them.

        Before the first step the figures are of a few people only: they show whether the data is in order.
        """
        epoch, options = self.step // self.steps_per_epoch, self.options
        if self.logs:
            self.looking = True
            self.look_at(epoch, self.logs)
            self.looking = False
        self.trainer.strategy.barrier()  # nobody goes on, or returns, before the figures are there
        self.done = epoch == options.epochs

    def look_at(self, epoch: int, logs: Logs) -> None:
        """What `look` does, in the process that writes."""
        options = self.options
        method = copy.deepcopy(self.method)
        if self.average:
            method.load_state_dict(self.average.state_dict())
        method.eval()
        logs.picture(epoch, validation.picture(method, self.pictured))
        rows = logs.scored()
        due = epoch == 0 or epoch % options.score_every == 0 or epoch == options.epochs
        if self.val is None or not due or any(int(row["epoch"]) == epoch for row in rows):
            return
        results = self.folder / RESULTS
        figures = validation.score(method, self.val, self.experiment, results, limit=0 if epoch else PREVIEW)
        if options.metric not in figures:
            raise InputError(
                f"training.metric is {options.metric!r}, but scoring on {self.val.path} gives {', '.join(figures)}; "
                "choose one of these"
            )
        if epoch:
            sign = -1 if options.metric.endswith("MPJPE") else 1
            best = all(sign * figures[options.metric] > sign * float(row[options.metric]) for row in rows)
            if best:
                self.save_weights(BEST, method.state_dict())
            logs.scores(epoch, figures)  # after the best weights: a kill in between scores once more
            logs.say(f"epoch {epoch}: {options.metric} {figures[options.metric]:.4g}{', the best so far' * best}")

    def close(self) -> None:
        """Ends the logs and the loading."""
        if self.stream:
            self.stream.close()
        if self.logs:
            self.logs.close()
            self.logs = None


def as_float32(maps: Any) -> Any:
    """Maps, however nested, with floating tensors in float32: no loss is computed in half precision."""
    if isinstance(maps, Tensor):
        return maps.float() if maps.is_floating_point() else maps
    if isinstance(maps, tuple):
        parts = [as_float32(part) for part in maps]
        return type(maps)(*parts) if hasattr(maps, "_fields") else tuple(parts)
    return maps
