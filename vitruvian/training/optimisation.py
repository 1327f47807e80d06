"""How weights move: parameter groups, learning rates and the moving average."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vitruvian.errors import InputError
from vitruvian.experiment import Training

MOMENTUM = 0.9
"""Of SGD."""


def parameter_groups(method: nn.Module, training: Training) -> list[dict[str, Any]]:
    """The parameters that learn, grouped by weight decay and by the factor on their learning rate.

    Biases, parameters of norms and position embeddings have no weight decay: all that has fewer than two dimensions or
    is named `pos_embed`. With `layer_decay` other than 1, layer i of a plain ViT of D blocks learns at
    layer_decay^(D + 1 - i) (BEiT, ICLR 2022): patch and position embeddings are layer 0, block i is layer i + 1, what
    follows is layer D + 1.

    Returns:
        groups for a torch optimizer, each with `params`, `weight_decay`, `lr`, and `factor`, the share of the learning
        rate that the group gets.

    Raises:
        InputError: nothing learns, or a layer decay is given and the network has no blocks.
    """
    named = [(name, parameter) for name, parameter in method.named_parameters() if parameter.requires_grad]
    if not named:
        raise InputError(f"{type(method).__name__} has no parameter that learns; there is nothing to train")
    depth = vit_depth([name for name, _ in named]) if training.layer_decay != 1 else 0
    if training.layer_decay != 1 and not depth:
        raise InputError(
            f"training.layer_decay is {training.layer_decay}, but the network has no ViT's blocks; set it to 1"
        )
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in named:
        undecayed = parameter.ndim < 2 or name.endswith("pos_embed")
        factor = training.layer_decay ** (depth + 1 - vit_layer(name, depth)) if depth else 1.0
        groups.setdefault((0.0 if undecayed else training.weight_decay, factor), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "lr": training.learning_rate * factor, "factor": factor}
        for (decay, factor), parameters in groups.items()
    ]


def vit_depth(names: Iterable[str]) -> int:
    """How many blocks the ViT with parameters of these names has; 0: it is none."""
    return 1 + max((block for block in map(_block, names) if block is not None), default=-1)


def vit_layer(name: str, depth: int) -> int:
    """The layer of a parameter in a ViT of `depth` blocks, 0 to depth + 1."""
    block = _block(name)
    if block is not None:
        return block + 1
    return 0 if re.search(r"(^|\.)(patch_embed|pos_embed)(\.|$)", name) else depth + 1


def _block(name: str) -> int | None:
    found = re.search(r"(?:^|\.)backbone\.(?:\w+\.)?blocks\.(\d+)\.", name)
    return int(found[1]) if found else None


def learning_rate_factor(step: int, steps_per_epoch: int, training: Training) -> float:
    """What the learning rate is multiplied by at a step.

    Warm-up rises in equal parts from `warmup_factor` at step 0 to 1 at step `warmup_steps`, on top of the schedule:
    `gamma` for each milestone that is passed, or half a cosine that ends at 0 after the last step.

    Args:
        step: steps before this one, in all epochs together.
        steps_per_epoch: steps of one epoch.
        training: warm-up and schedule.
    """
    warmup = 1.0
    if step < training.warmup_steps:
        warmup = training.warmup_factor + (1 - training.warmup_factor) * step / training.warmup_steps
    if training.schedule == "cosine":
        done = min(step / (training.epochs * steps_per_epoch), 1.0)
        return warmup * 0.5 * (1 + math.cos(math.pi * done))
    epoch = step // steps_per_epoch
    return warmup * training.gamma ** sum(epoch >= milestone for milestone in training.milestones)


def build_optimizer(method: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimizer of all parameters that learn."""
    groups = parameter_groups(method, training)
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=training.learning_rate, momentum=MOMENTUM)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimizer]
    return kind(groups, lr=training.learning_rate)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives each group its share of `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


class Average:
    """The exponential moving average of a network's weights and buffers; integers are taken as they are.

    The network must stay on its device: the tensors are paired once, since looking them up by name takes longer than
    averaging them.
    """

    def __init__(self, module: nn.Module, decay: float, state: Mapping[str, Tensor] | None = None) -> None:
        self._current = {name: tensor.detach() for name, tensor in module.state_dict().items()}
        self._state = {name: tensor.clone() for name, tensor in self._current.items()}
        for name, tensor in self._state.items():
            if state is not None:
                tensor.copy_(state[name])
        floating = [name for name, tensor in self._current.items() if tensor.is_floating_point()]
        self._pairs = [self._state[name] for name in floating], [self._current[name] for name in floating]
        self._merge = get_ema_multi_avg_fn(decay)

    def update(self) -> None:
        """average <- decay * average + (1 - decay) * weights; called after each move of the weights."""
        self._merge(*self._pairs, None)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged tensors by name: views, which the next update changes."""
        for name, tensor in self._state.items():
            if not tensor.is_floating_point():
                tensor.copy_(self._current[name])
        return dict(self._state)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no number is NaN or infinite; waits for the device once."""
    return bool(get_total_norm(tensors, norm_type=math.inf).isfinite())
