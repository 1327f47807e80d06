"""How weights move: parameter groups, learning rates, clipping, mixed precision and the moving average."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vitruvian.experiment import Training

MOMENTUM = 0.9
"""Of SGD."""


def parameter_groups(method: nn.Module, training: Training) -> list[dict[str, Any]]:
    """The parameters that learn, grouped by weight decay and by the factor on their learning rate.

    Biases, parameters of norms and position embeddings have no weight decay: all that is named `pos_embed` or has
    fewer than two dimensions. With `layer_decay` below 1, layer i of a plain ViT of depth D learns at
    layer_decay^(D + 1 - i): patch and position embedding are layer 0, block i is layer i + 1, what follows is D + 1
    (BEiT, ICLR 2022, appendix).

    Returns:
        groups for a torch optimizer, each with `params`, `weight_decay`, `lr`, and `factor`, the share of the learning
        rate that the group gets.
    """
    named = [(name, parameter) for name, parameter in method.named_parameters() if parameter.requires_grad]
    depth = vit_depth([name for name, _ in named]) if training.layer_decay != 1 else 0
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in named:
        plain = parameter.ndim < 2 or name.endswith("pos_embed")
        factor = training.layer_decay ** (depth + 1 - vit_layer(name, depth)) if depth else 1.0
        groups.setdefault((0.0 if plain else training.weight_decay, factor), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "lr": training.learning_rate * factor, "factor": factor}
        for (decay, factor), parameters in groups.items()
    ]


def vit_depth(names: list[str]) -> int:
    """How many blocks the ViT with these parameters has; 0: it is none."""
    return 1 + max((block for block in map(_block, names) if block is not None), default=-1)


def vit_layer(name: str, depth: int) -> int:
    """The layer of a parameter, 0 to depth + 1."""
    block = _block(name)
    if block is not None:
        return block + 1
    return 0 if re.search(r"(^|\.)(patch_embed|pos_embed|cls_token)(\.|$)", name) else depth + 1


def _block(name: str) -> int | None:
    found = re.search(r"(?:^|\.)backbone\..*?\bblocks\.(\d+)\.", name)
    return int(found[1]) if found else None


def learning_rate_factor(step: int, steps_per_epoch: int, training: Training) -> float:
    """What the learning rate is multiplied by at a step.

    Warm-up rises from `warmup_factor` at step 0 to 1 at step `warmup_steps`, on top of the schedule: `gamma` for each
    milestone (an epoch) that is passed, or half a cosine over all steps.

    Args:
        step: steps taken before this one, in all epochs together.
        steps_per_epoch: steps of one epoch.
        training: warm-up and schedule.
    """
    warmup = 1.0
    if step < training.warmup_steps:
        warmup = training.warmup_factor + (1 - training.warmup_factor) * step / training.warmup_steps
    if training.schedule == "cosine":
        return warmup * 0.5 * (1 + math.cos(math.pi * min(step / (training.epochs * steps_per_epoch), 1.0)))
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
    """The exponential moving average of all weights and buffers of a network; integers are taken as they are."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """average <- decay average + (1 - decay) weights, after each move of the weights."""
        state = module.state_dict()
        floating = [name for name, tensor in self.state.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.state[n] for n in floating], [state[n].detach() for n in floating], 1 - self.decay)
        for name in self.state.keys() - set(floating):
            self.state[name].copy_(state[name])

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes over a stored average."""
        for name, tensor in self.state.items():
            tensor.copy_(state[name])


def all_finite(tensors: Iterator[Tensor]) -> bool:
    """Whether no number is NaN or infinite; waits for the device once."""
    norms = torch._foreach_norm([tensor.detach() for tensor in tensors if tensor.is_floating_point()], float("inf"))
    return bool(torch.stack([norm.float() for norm in norms]).isfinite().all())
