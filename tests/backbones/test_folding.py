"""Folding batch norms: the same numbers from fewer layers, and no folding where it would change them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vitruvian.backbones import BackboneConfig, build_backbone, fold_batch_norms
from vitruvian.experiment import Experiment
from vitruvian.methods import METHODS, build
from vitruvian.skeletons import LSP

SIZE = (64, 96)  # width, height


def with_statistics(module: nn.Module) -> nn.Module:
    """The module with norms that do something: random factors, and means and variances of random inputs."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
            layer.momentum = 0.5
    with torch.no_grad():
        for _ in range(3):
            module.train()(torch.randn(3, 3, SIZE[1], SIZE[0]))
    return module.eval()


def norms_of(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


def check_equal(module: nn.Module, folded: nn.Module) -> None:
    inputs = torch.randn(2, 3, SIZE[1], SIZE[0])
    with torch.inference_mode():
        expected, found = module(inputs), folded(inputs)
    for ours, theirs in zip(found, expected, strict=True):
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "hrnet_w18", "mobilenetv3_small_100"])
def test_folds_all_norms_of_a_backbone(name: str) -> None:
    torch.manual_seed(0)
    module = with_statistics(build_backbone(BackboneConfig(name), SIZE))
    count = norms_of(module)
    folded = fold_batch_norms(module, torch.rand(1, 3, SIZE[1], SIZE[0]))
    check_equal(module, folded)
    assert norms_of(folded) == 0
    assert norms_of(module) == count > 0


@pytest.mark.parametrize("name", ["resnetv2_50", "densenet121"])
def test_folds_what_follows_directly_where_norms_also_come_first(name: str) -> None:
    torch.manual_seed(0)
    module = with_statistics(build_backbone(BackboneConfig(name), SIZE))
    folded = fold_batch_norms(module, torch.rand(1, 3, SIZE[1], SIZE[0]))
    check_equal(module, folded)
    assert norms_of(folded) < norms_of(module)


@pytest.mark.parametrize("name", list(METHODS))
def test_folds_heads(name: str) -> None:
    torch.manual_seed(0)
    config = METHODS[name].Config()
    changes = {
        "backbone": BackboneConfig("resnet18", channels=(8, 12, 16, 24)),
        "framing": replace(config.framing, size=SIZE),
    }
    if hasattr(config, "deconv_channels"):
        changes |= {"deconv_channels": (12, 8), "deconv_kernels": (4, 4)}
    method = with_statistics(build(Experiment(replace(config, **changes), LSP)))
    folded = fold_batch_norms(method, torch.rand(1, 3, SIZE[1], SIZE[0]))
    check_equal(method, folded)
    assert norms_of(folded) == 0


def test_a_network_without_norms_is_copied() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    folded = fold_batch_norms(module, torch.rand(1, 3, 9, 7))
    assert folded[0].weight is not module[0].weight  # type: ignore[index]
    assert torch.equal(folded[0].weight, module[0].weight)  # type: ignore[index]


def test_grouped_and_transposed_convolutions() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, groups=3),
        nn.BatchNorm2d(6),
        nn.ConvTranspose2d(6, 4, 4, 2, 1, groups=2, bias=False),
        nn.BatchNorm2d(4, affine=False),
    )
    module = with_statistics_of_plain(module)
    folded = fold_batch_norms(module, torch.rand(2, 3, 9, 7))
    inputs = torch.randn(2, 3, 9, 7)
    torch.testing.assert_close(folded(inputs), module(inputs), rtol=1e-4, atol=1e-5)
    assert norms_of(folded) == 0


def with_statistics_of_plain(module: nn.Module) -> nn.Module:
    for _ in range(20):
        module.train()(torch.randn(5, 3, 9, 7) + 1)
    return module.eval()


class Order(nn.Module):
    """Children in another order than they are used in, and a norm that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.other_norm = nn.BatchNorm2d(5)
        self.norm = nn.BatchNorm2d(5)
        self.other = nn.Conv2d(5, 5, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.other_norm(self.other(self.norm(self.conv(inputs)))) + self.other_norm(self.conv(inputs))


def test_the_order_of_children_does_not_mislead() -> None:
    torch.manual_seed(0)
    module = with_statistics_of_plain(Order())
    folded = fold_batch_norms(module, torch.rand(2, 3, 9, 7))
    inputs = torch.randn(2, 3, 9, 7)
    torch.testing.assert_close(folded(inputs), module(inputs))
    assert norms_of(folded) == 2, "the first convolution and the second norm are used twice"


class Shared(nn.Module):
    """A convolution whose output goes to a norm and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.conv(inputs)
        return features + self.norm(features)


def test_does_not_fold_what_is_used_elsewhere() -> None:
    torch.manual_seed(0)
    module = with_statistics_of_plain(Shared())
    folded = fold_batch_norms(module, torch.rand(2, 3, 9, 7))
    inputs = torch.randn(2, 3, 9, 7)
    torch.testing.assert_close(folded(inputs), module(inputs))
    assert norms_of(folded) == 1
