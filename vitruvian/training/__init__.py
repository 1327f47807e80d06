"""Training: one loop for every method, which a kill at any moment does not harm."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import warnings
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vitruvian import checkpoints
from vitruvian.data.labels import Labels
from vitruvian.data.loading import EpochBatches
from vitruvian.devices import choose_device
from vitruvian.errors import InputError
from vitruvian.experiment import Experiment, Method
from vitruvian.files import write_atomically
from vitruvian.methods import build, build_empty
from vitruvian.prediction import checkpoint_path
from vitruvian.runs import RUN, write_run
from vitruvian.signals import handled
from vitruvian.training.data import HELD_BACK, read_data, write_held_back
from vitruvian.training.optimisation import parameter_groups
from vitruvian.training.state import BEST, LAST, STATE, check_place, find_state, prepare_folder, scored

if TYPE_CHECKING:
    from vitruvian.training.loop import Loop

SCORING_TIMEOUT = timedelta(hours=6)
"""How long the processes wait for the one that scores."""


def train(
    experiment: Experiment,
    output: str | Path,
    resume: bool = False,
    deterministic: bool = False,
    device: str = "auto",
    processes: int = 1,
    labels: Labels | None = None,
) -> Path:
    """Trains an experiment into the folder `output` and returns the path of its best checkpoint.

    Where nothing is scored that is the last one.

    The folder gets run.yaml, best.safetensors and last.safetensors, state.pt to go on from, losses.csv, scores.csv and
    the results.json that was scored last, pictures, and a folder for TensorBoard. A run that was killed at any moment
    and resumed ends with the weights that it would have had anyway: bit for bit on a CPU, or with `deterministic`, on
    the same kind of machine with as many threads.

    Args:
        experiment: what to train, on what and how.
        output: the folder of the run.
        resume: go on with the run that `output` holds.
        deterministic: use only algorithms that give the same bits every time; slower, and needed on a GPU alone.
        device: "auto", "cpu", "cuda" or one of several GPUs, such as "cuda:1".
        processes: how many share each step, on as many GPUs; ignored under torchrun, which says it itself.
        labels: of `experiment.dataset.path`, where they are read already.

    Raises:
        InputError: data, folder, device or experiment do not allow it; a loss became NaN; the disk is full.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is written and the message says how to go on.
    """
    try:
        from vitruvian.training.loop import Loop
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}: pip install 'vitruvian[train]'") from None
    output = Path(output)
    device = find_device(device, processes)
    processes, machines = launched(processes)
    if rank() == 0:
        prepare_folder(output, resume)
    state = find_state(output, experiment)
    crops, val, said = read_data(experiment, labels)
    if rank() == 0 and said:
        print("\n".join(said))
    batches = EpochBatches(
        len(crops), experiment.training.batch_size, experiment.seed, rank(), world=processes * machines
    )
    if not batches.batches_per_epoch:
        raise InputError(
            f"{experiment.dataset.path}: {len(crops)} people do not fill one step of {processes * machines} x "
            f"training.batch_size {experiment.training.batch_size}; lower it"
        )
    if state:
        check_place(state, batches.batches_per_epoch, processes * machines, output / STATE)
        threads = state.get("threads", torch.get_num_threads())
        if threads != torch.get_num_threads():
            print(
                f"{threads} threads before, {torch.get_num_threads()} now: on a CPU the last bits of the weights differ"
            )
    method = starting_method(experiment, from_state=state is not None)
    if rank() == 0:
        write_run(output / RUN, experiment)
        if val and not experiment.dataset.val_path:
            write_held_back(val, output / HELD_BACK)
    loop = Loop(method, experiment, crops, batches, val, output, state)
    try:
        fit(loop, device, processes, machines, deterministic)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(f"{output}: the disk is full; free some space and resume with --resume") from error
    if not loop.done:
        raise KeyboardInterrupt(
            f"stopped after step {loop.step} of {loop.steps}; the same command with --resume goes on from there"
        )
    if rank() == 0 and not scored(output):  # also where a shorter run has left its last one
        write_atomically(output / BEST, lambda temporary: shutil.copyfile(output / LAST, temporary))
    return output / BEST


def fit(loop: Loop, device: str, processes: int, machines: int, deterministic: bool) -> None:
    """Runs the loop from where it stands to its last epoch, or until a signal asks it to stop."""
    import lightning
    from lightning.pytorch.strategies import DDPStrategy
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    kind, _, index = device.partition(":")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings(), stopping_after_the_step(loop):
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer = lightning.Trainer(
            accelerator="gpu" if kind == "cuda" else "cpu",
            devices=[int(index)] if index else processes,
            num_nodes=machines,
            strategy=DDPStrategy(timeout=SCORING_TIMEOUT) if processes * machines > 1 else "auto",
            max_epochs=max(loop.options.epochs - loop.step // loop.steps_per_epoch, 0),
            deterministic=deterministic,
            benchmark=not deterministic,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(loop)
        except (SystemExit, KeyboardInterrupt, SIGTERMException):  # Lightning's ways to say that a signal came
            if not loop.asked:
                raise
        finally:
            loop.close()


def stopping_after_the_step(loop: Loop) -> AbstractContextManager[None]:
    """Meanwhile the first Ctrl-C or SIGTERM asks the loop to stop after its step, and the second one ends at once."""

    def ask(number: int, frame: object) -> None:
        if loop.asked or loop.looking:
            loop.asked = True
            raise KeyboardInterrupt
        loop.asked = True

    return handled((signal.SIGINT, signal.SIGTERM), ask)


def starting_method(experiment: Experiment, from_state: bool) -> Method:
    """The network that a run starts from; a resumed run finds its weights in its state.

    Weights of a network of other joints fit where its backbone does: the head's tensors of other shapes start anew.
    """
    start = experiment.training.start_from
    torch.manual_seed(experiment.seed)
    method = build_empty(experiment) if start or from_state else build(experiment)
    if start and not from_state:
        path = checkpoint_path(start)
        weights, before = checkpoints.load(path)
        ours = method.state_dict()
        anew = [name for name, own in ours.items() if name not in weights or weights[name].shape != own.shape]
        other_joints = before.get("skeleton", {}).get("joints") != list(experiment.skeleton.joints)
        if other_joints and not any(name.startswith("backbone.") for name in anew):
            weights = {name: own if name in anew else weights[name] for name, own in ours.items()}
            if rank() == 0:
                names = ", ".join(anew) or "none"
                print(f"starting from {start}, which has other joints: {len(ours) - len(anew)} tensors; anew: {names}")
        try:
            checkpoints.load_state(method, weights, path)
        except InputError as error:
            remedy = "start from a network that is built alike, or from scratch (--training.start-from '')"
            raise InputError(f"{error}; {remedy}") from None
    parameter_groups(method, experiment.training)  # says now what is wrong
    return method


def find_device(device: str, processes: int) -> str:
    """ "cpu", "cuda" or "cuda:N".

    Raises InputError when there is no such device, or not one for each process.
    """
    chosen = choose_device(device)
    if chosen.type not in ("cpu", "cuda"):
        raise InputError(f"device {device!r}: training runs on cpu and cuda; give one of them")
    found = torch.cuda.device_count()
    if chosen.type == "cuda" and processes > found:
        raise InputError(f"device {device!r} with {processes} processes: {found} GPUs were found")
    if chosen.index is not None and processes > 1:
        raise InputError(f"device {device!r} is one GPU, but there are {processes} processes; give cuda")
    return str(chosen)


def launched(processes: int) -> tuple[int, int]:
    """Processes on this machine, and machines; torchrun says both."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    return (local, int(os.environ["WORLD_SIZE"]) // local) if local else (processes, 1)


def rank() -> int:
    """The number of this process among all; Lightning and torchrun put it into the environment."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", 0)))
