"""Parameter groups, learning rates and the moving average against literals and plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vitruvian.errors import InputError
from vitruvian.experiment import Training
from vitruvian.training.optimisation import (
    Average,
    all_finite,
    build_optimizer,
    learning_rate_factor,
    parameter_groups,
    set_learning_rate,
)


class Tower(nn.Module):
    """A ViT's names with nothing behind them: two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 4, 2)
        self.pos_embed = nn.Parameter(torch.zeros(1, 6, 4))
        self.blocks = nn.ModuleList([nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)) for _ in range(2)])
        self.norm = nn.LayerNorm(4)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.network = Tower()
        self.head = nn.Linear(4, 5)
        self.frozen = nn.Linear(2, 3).requires_grad_(False)


def test_layers_of_a_vit_learn_more_slowly_the_deeper_they_lie() -> None:
    network = Network()
    training = Training(learning_rate=0.5, weight_decay=0.1, layer_decay=0.5)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {
        names[id(parameter)].removeprefix("backbone.network."): (group["weight_decay"], group["lr"])
        for group in parameter_groups(network, training)
        for parameter in group["params"]
    }
    assert found == {
        "patch_embed.weight": (0.1, 0.0625),
        "patch_embed.bias": (0.0, 0.0625),
        "pos_embed": (0.0, 0.0625),
        "blocks.0.0.weight": (0.0, 0.125),
        "blocks.0.0.bias": (0.0, 0.125),
        "blocks.0.1.weight": (0.1, 0.125),
        "blocks.0.1.bias": (0.0, 0.125),
        "blocks.1.0.weight": (0.0, 0.25),
        "blocks.1.0.bias": (0.0, 0.25),
        "blocks.1.1.weight": (0.1, 0.25),
        "blocks.1.1.bias": (0.0, 0.25),
        "norm.weight": (0.0, 0.5),
        "norm.bias": (0.0, 0.5),
        "head.weight": (0.1, 0.5),
        "head.bias": (0.0, 0.5),
    }


def test_without_layer_decay_there_are_two_groups() -> None:
    groups = parameter_groups(Network(), Training(weight_decay=0.1))
    assert sorted((group["weight_decay"], group["factor"]) for group in groups) == [(0.0, 1.0), (0.1, 1.0)]


def test_layer_decay_needs_blocks() -> None:
    with pytest.raises(InputError, match=r"training.layer_decay is 0.75, but the network has no ViT's blocks"):
        parameter_groups(nn.Linear(2, 3), Training(layer_decay=0.75))


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.1), (2, 0.55), (4, 1.0), (9, 1.0), (10, 0.5), (19, 0.5), (20, 0.25), (99, 0.25)],
)
def test_the_learning_rate_warms_up_and_falls_at_milestones(step: int, factor: float) -> None:
    training = Training(epochs=20, warmup_steps=4, warmup_factor=0.1, milestones=(2, 4), gamma=0.5)
    assert learning_rate_factor(step, 5, training) == pytest.approx(factor)


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (5, 0.75), (7.5, 0.5), (15, 0.0), (16, 0.0)])
def test_the_learning_rate_follows_half_a_cosine(step: float, factor: float) -> None:
    training = Training(epochs=3, schedule="cosine")
    assert learning_rate_factor(step, 5, training) == pytest.approx(factor)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_each_group_gets_its_share_of_the_rate(name: str) -> None:
    network = Network()
    optimizer = build_optimizer(network, Training(optimizer=name, layer_decay=0.5, weight_decay=0.1))  # type: ignore[arg-type]
    set_learning_rate(optimizer, 0.8)
    assert {round(group["lr"], 4) for group in optimizer.param_groups} == {0.1, 0.2, 0.4, 0.8}
    before = network.head.weight.detach().clone()
    network.head(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert (network.head.weight != before).all()


def test_the_average_is_that_of_a_plain_loop() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    average = Average(network, 0.75)
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for _ in range(5):
        network(torch.randn(2, 2, 5, 7))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update()
        for name, tensor in network.state_dict().items():
            mixed = 0.75 * expected[name] + 0.25 * tensor
            expected[name] = mixed if tensor.is_floating_point() else tensor.clone()
    torch.testing.assert_close(average.state_dict(), expected)
    assert average.state_dict()["1.num_batches_tracked"] == 5
    again = Average(network, 0.75, average.state_dict())
    torch.testing.assert_close(again.state_dict(), expected)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_bad_number_among_many_is_found(bad: float) -> None:
    tensors = [torch.ones(2, 3), torch.ones(5)]
    assert all_finite(tensors)
    tensors[1][3] = bad
    assert not all_finite(tensors)
