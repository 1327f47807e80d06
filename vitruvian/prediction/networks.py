"""Networks that PyTorch runs: loading a checkpoint, batches of crops in, points out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import numpy as np
import torch
from torch import Tensor

from vitruvian import checkpoints
from vitruvian.backbones import fold_batch_norms
from vitruvian.devices import choose_device
from vitruvian.experiment import Decoded, Experiment, Method, View
from vitruvian.methods import build_empty, experiment_from_dict
from vitruvian.prediction.streaming import Predictor

PART = 4
"""Crops, mirrored ones included, that a core takes at a time: few enough to stay in its cache."""


def load_network(path: Path, device: str) -> NetworkPredictor:
    """The network of a checkpoint; what `prediction.load` does, for paths."""
    chosen = choose_device(device)
    return predictor_of(*read_network(path), path, chosen)


def read_network(path: Path) -> tuple[dict[str, Tensor], Experiment]:
    """The tensors of a checkpoint, and the experiment that made it."""
    state, values = checkpoints.load(path)
    return state, experiment_from_dict(values, str(path))


def predictor_of(
    state: dict[str, Tensor], experiment: Experiment, path: Path, device: str | torch.device
) -> NetworkPredictor:
    """The network of an experiment with tensors that were read from `path`."""
    method = build_empty(experiment)
    checkpoints.load_state(method, state, path)
    return NetworkPredictor(method, experiment, device)


class NetworkPredictor(Predictor):
    """A network in PyTorch, on any device; see `Predictor` for what it does."""

    def __init__(self, method: Method, experiment: Experiment, device: str | torch.device = "auto") -> None:
        """Takes a copy of the network, folds its batch norms and moves it to `device`."""
        super().__init__(experiment.skeleton, method.config.framing, experiment.score, method.drawn_above)
        self.experiment, self.device = experiment, choose_device(device)
        folded = folded_copy(method)
        self.method = folded.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def runner(self, flip: bool) -> NetworkRunner:
        return NetworkRunner(self.method, flip)

    def usual_batch_size(self) -> int:
        return 64 if self.device.type == "cuda" else 4 * torch.get_num_threads()


def folded_copy(method: Method) -> Method:
    """A copy that only predicts, its batch norms folded into the convolutions, on the network's device."""
    width, height = method.config.framing.size
    example = torch.rand(1, 3, height, width, device=next(method.parameters()).device)
    folded = fold_batch_norms(method, example)
    assert isinstance(folded, Method)
    return folded


class NetworkRunner:
    """Runs a network on batches of crops, on a CPU in parts of which each core has its own.

    A layer that is cut up among all cores waits for the slowest of them; cores that work on people of their own wait
    for nobody. That is worth a fifth of the time on two cores, more on more, and most where others use them, too.
    """

    def __init__(self, method: Method, flip: bool) -> None:
        self.method, self.flip = method, flip
        self.device = next(method.parameters()).device
        self.threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        self.pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> NetworkRunner:
        if self.threads > 1:
            everybody = Barrier(self.threads)
            self.pool = ThreadPoolExecutor(self.threads, initializer=partial(torch.set_num_threads, 1))
            try:
                for _ in self.pool.map(lambda _: everybody.wait(), range(self.threads)):
                    pass
            except BaseException:  # an interrupt: nobody would ever wake those who wait
                everybody.abort()
                raise
            torch.set_num_threads(self.threads)  # a thread's own choice counts for those that start later, too
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def start(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        """Starts on crops (B, H, W, 3) uint8; what it returns gives points and scores (B, K, 3 or 4) when called."""
        inputs = torch.from_numpy(pixels)
        if self.device.type == "cuda":
            inputs = inputs.pin_memory()
        inputs = inputs.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        if self.pool is None or len(inputs) < self.threads:
            result = self.run(inputs)
            return lambda: result.cpu().numpy()
        people = min(-(-len(inputs) // self.threads), PART // (1 + self.flip))
        parts = [self.pool.submit(self.run, part) for part in inputs.split(people)]
        return lambda: torch.cat([part.result() for part in parts]).numpy()

    @torch.inference_mode()
    def run(self, pixels: Tensor) -> Tensor:
        """Points and scores (B, K, 3 or 4) of crops (B, 3, H, W) uint8."""
        inputs = self.method.normalise(pixels)
        views = [View(inputs)] + ([View(inputs.flip(-1), mirrored=True)] if self.flip else [])
        decoded: Decoded = self.method.predict(views)
        return torch.cat([decoded.points, decoded.joint_scores[..., None]], -1)[:, 0]
