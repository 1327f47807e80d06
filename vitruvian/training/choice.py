"""Which experiment fits data of one's own: the recipe `sar/own` with as many epochs as the data need."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from vitruvian.data.labels import Labels, trainable, why_nobody
from vitruvian.errors import InputError
from vitruvian.evaluation.scoring import TORSO
from vitruvian.experiment import Dataset, Experiment
from vitruvian.methods.sar.recipes import own
from vitruvian.metrics.nme import EYES
from vitruvian.skeletons import Skeleton

VIEWS = {"cpu": 12_000, "cuda": 100_000}
"""Views of people that a run learns from: about five minutes on a core of a CPU."""

EPOCHS = {"cpu": (15, 150), "cuda": (40, 300)}
"""At the least, and at the most: a person who is seen more often is known by heart."""

VAL_SHARE = 0.15
"""Photos that are held back from training where no others are given to be scored."""


def fitting_experiment(labels: Labels, dataset: Dataset, device: Literal["cpu", "cuda"]) -> Experiment:
    """The experiment for data that come without a recipe.

    Args:
        labels: of the file, already read.
        dataset: the file; photos are held back from it where it names nothing else to score.
        device: what there is to train on.

    Raises:
        InputError: there is nobody to learn from.
    """
    of_photos = [int(trainable(photo.people).sum()) for photo in labels.photos]
    people, photos = sum(of_photos), sum(map(bool, of_photos))
    if not people:
        raise InputError(f"{labels.path}: nobody in it can be learnt from: {why_nobody(labels)}")
    if not dataset.val_path and photos >= 4:
        dataset = replace(dataset, val_share=VAL_SHARE)
    learnt = max(round(people * (1 - dataset.val_share)), 1)
    recipe = own()
    batch_size = min(recipe.training.batch_size if learnt >= 200 else 16, max(learnt // 2, 1))
    epochs = int(np.clip(round(VIEWS[device] / learnt), *EPOCHS[device]))
    steps = epochs * (learnt // batch_size)
    training = replace(
        recipe.training,
        epochs=epochs,
        batch_size=batch_size,
        warmup_steps=min(recipe.training.warmup_steps, steps // 20),
        ema=min(recipe.training.ema, max(1 - 20 / steps, 0.0)),  # it looks back over a twentieth of the run
        score_every=-(-epochs // 5),
        metric=metric_of(labels.skeleton),
    )
    return replace(recipe, skeleton=labels.skeleton, dataset=dataset, training=training)


def described(labels: Labels, experiment: Experiment, device: Literal["cpu", "cuda"]) -> list[str]:
    """What was picked for data and why, in lines; the experiment may have been changed since."""
    of_photos = [int(trainable(photo.people).sum()) for photo in labels.photos]
    (width, height), training = experiment.method.framing.size, experiment.training
    start = f"from the network {training.start_from}" if training.start_from else "from scratch"
    return [
        f"{sum(of_photos)} people to learn from in {sum(map(bool, of_photos))} photos, "
        f"{'a GPU' if device == 'cuda' else 'no GPU'}: recipe sar/own, {start}, {width}x{height} px, {training.epochs} "
        f"epochs of batches of {training.batch_size}, best by {training.metric}",
        "otherwise: vitruvian train --data FILE --help names every field, vitruvian train RECIPE --data FILE --joints "
        "data takes another recipe (vitruvian list)",
    ]


def metric_of(skeleton: Skeleton) -> Literal["AP", "torso_pck@0.2", "box_pck@0.1"]:
    """What the best checkpoint of a skeleton is best in."""
    if set(TORSO) <= set(skeleton.joints):
        return "torso_pck@0.2"
    return "AP" if skeleton.name in EYES else "box_pck@0.1"
