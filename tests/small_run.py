"""A training of seconds: 24 little photos of dots, a tiny SAR network, and a process for it that can be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vitruvian import checkpoints
from vitruvian.backbones import BackboneConfig
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError
from vitruvian.experiment import Dataset, Experiment, Training
from vitruvian.geometry import Framing
from vitruvian.methods import build, experiment_to_dict
from vitruvian.methods.sar.method import Config
from vitruvian.skeletons import LSP
from vitruvian.training import train

PEOPLE = 24


def make_data(folder: Path, people: int = PEOPLE) -> Path:
    """An annotation file in COCO format with one person on each photo."""
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, people + 1):
        points = rng.uniform(8, (80, 64), (LSP.num_joints, 2))
        image = rng.integers(60, 90, (72, 88, 3), np.uint8)
        for joint, (x, y) in enumerate(points):
            cv2.circle(image, (int(x), int(y)), 4, (17 * joint, 255 - 17 * joint, 130), -1)
        cv2.imwrite(str(folder / f"{number}.jpg"), image)
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 88, "height": 72})
        triples = np.concatenate([points, np.full((LSP.num_joints, 1), 2.0)], 1).round(2).reshape(-1).tolist()
        record = {"id": number, "image_id": number, "category_id": 1, "keypoints": triples, "bbox": [4, 4, 80, 64]}
        annotations.append(record)
    category = {"id": 1, "name": "person", "keypoints": list(LSP.joints), "skeleton": []}
    path = folder / "people.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def small_experiment(data: Path, val: bool = True, **training: Any) -> Experiment:
    """Two epochs of four steps, with an average; the options of training may be others."""
    options = Training(
        epochs=2,
        batch_size=6,
        learning_rate=0.01,
        milestones=(1,),
        ema=0.9,
        workers=0,
        score_every=1,
        save_every=1,
        metric="torso_pck@0.2",
    )
    return Experiment(
        method=Config(
            backbone=BackboneConfig("resnet18", channels=(8, 8, 16, 16)),
            framing=Framing(size=(64, 64)),
            deconv_channels=(8,),
            deconv_kernels=(4,),
        ),
        skeleton=read_labels(data).skeleton,
        dataset=Dataset(path=str(data), val_path=str(data) if val else ""),
        training=replace(options, **training),
        seed=5,
    )


def make_weights(data: Path) -> Path:
    """A checkpoint, beside its data, of a tiny network that has learnt nothing."""
    torch.manual_seed(0)
    experiment = small_experiment(data)
    path = data.parent / "tiny.safetensors"
    checkpoints.save(path, build(experiment).state_dict(), experiment_to_dict(experiment))
    return path


def _run(
    experiment: Experiment,
    output: Path,
    resume: bool,
    prepare: Callable[[], object] | None,
    environment: dict[str, str],
) -> None:
    import torch

    multiprocessing.set_start_method("fork", force=True)  # of loader workers, as outside of tests
    os.environ.update(environment)
    torch.set_num_threads(1)
    with open(f"{output}.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if prepare is not None:
        prepare()
    try:
        train(experiment, output, resume, device="cpu")
    except (InputError, KeyboardInterrupt) as error:
        print(error, flush=True)
        os._exit(2)


def start(
    experiment: Experiment,
    output: Path,
    resume: bool = False,
    prepare: Callable[[], object] | None = None,
    environment: dict[str, str] | None = None,
) -> multiprocessing.process.BaseProcess:
    """Trains in another process, which forks from one that has everything imported and has computed nothing yet.

    `prepare` is called in it before the training. What it prints goes to OUTPUT.log.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["small_run", "vitruvian.training.loop"])
    process = context.Process(target=_run, args=(experiment, output, resume, prepare, environment or {}))
    process.start()
    return process


class KillAt:
    """Kills the process by SIGKILL at the n-th call of a function: before it, after it, or in the midst of its file."""

    def __init__(self, module: str, name: str, call: int, when: str) -> None:
        self.module, self.name, self.call, self.when = module, name, call, when

    def __call__(self) -> None:
        __import__(self.module)
        module = sys.modules[self.module]
        function, calls = getattr(module, self.name), [0]

        def counted(*args: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] < self.call:
                return function(*args, **options)
            if self.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **options)
            if self.when == "midst":  # args: what, path
                with open(args[1], "r+b") as file:
                    file.truncate(os.path.getsize(args[1]) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(module, self.name, counted)


class Dropout:
    """Gives the network something random to do: a tenth of its input is dropped while it trains; then `also`."""

    def __init__(self, also: Callable[[], object] | None = None) -> None:
        self.also = also

    def __call__(self) -> None:
        from torch.nn import functional

        from vitruvian.methods.sar.method import SAR

        forward = SAR.forward

        def dropping(self: SAR, inputs: Any, inside: Any = None, targets: Any = None) -> Any:
            return forward(self, functional.dropout(inputs, 0.1, self.training), inside, targets)

        SAR.forward = dropping
        if self.also:
            self.also()


class LimitStates:
    """No state of the process may be larger than so many bytes: a full disk."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self) -> None:
        from vitruvian.training import loop as training_loop

        save_state, most = training_loop.save_state, resource.getrlimit(resource.RLIMIT_FSIZE)

        def limited(path: Path, state: dict[str, Any]) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, most[1]))
            try:
                save_state(path, state)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, most)

        training_loop.save_state = limited
