"""Parts that several networks share: deconvolutions, their initial values, the head of all map networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vitruvian.layers import MapHead, deconvolutions, initialise_head, map_size, pool


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_each_deconvolution_doubles_the_map(kernel: int) -> None:
    stack = deconvolutions(6, (8, 5), (kernel, kernel))
    assert stack(torch.randn(2, 6, 3, 7)).shape == (2, 5, 12, 28)
    assert [type(layer) for layer in stack[:3]] == [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU]
    assert stack[0].bias is None


def test_no_deconvolutions_change_nothing() -> None:
    features = torch.randn(2, 6, 3, 7)
    assert torch.equal(deconvolutions(6, (), ())(features), features)


def test_channels_without_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="deconv_channels has 2 numbers and deconv_kernels has 1, expected as many"):
        deconvolutions(6, (8, 5), (4,))


def test_deconvolutions_that_do_not_double_are_refused() -> None:
    with pytest.raises(ValueError, match=r"deconv_kernels is \(4, 5\), expected sizes of 2, 3 or 4"):
        deconvolutions(6, (8, 5), (4, 5))
    with pytest.raises(ValueError, match=r"deconv_channels is \(8, 0\), expected numbers from 1 on"):
        deconvolutions(6, (8, 0), (4, 4))


def test_maps_of_a_single_row_are_refused() -> None:
    assert map_size((33, 40), 32, 0) == (2, 2)
    with pytest.raises(ValueError, match=r"framing.size is \(32, 96\), expected more: its maps would have 1 x 3 cells"):
        map_size((32, 96), 32, 0)


def test_heads_start_small_and_norms_as_the_identity() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(*deconvolutions(32, (48,), (4,)), nn.Conv2d(48, 5, 3), nn.Conv2d(5, 2, 1, bias=False))
    for parameter in head.parameters():
        nn.init.constant_(parameter, 7)
    initialise_head(head, std=0.01)
    deconvolution, norm, _, convolution, last = head
    assert deconvolution.weight.std().item() == pytest.approx(0.01, rel=0.03)
    assert convolution.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert last.weight.abs().max() < 0.1
    assert (convolution.bias.tolist(), norm.bias.tolist(), norm.weight.tolist()) == ([0] * 5, [0] * 48, [1] * 48)


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (70, 41)])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_map_size_is_that_of_the_maps(size: tuple[int, int], count: int) -> None:
    head = MapHead(6, 5, (8,) * count, (4,) * count)
    features = torch.randn(2, 6, -(-size[1] // 32), -(-size[0] // 32))
    maps = head(features)
    assert maps.shape == (2, 5, *head.map_size(size, 32)[::-1])
    assert head.map_size(size, 32) == map_size(size, 32, count)


def test_maps_are_whole_precision_and_not_channels_last() -> None:
    head = MapHead(6, 5, (8,), (4,))
    features = torch.randn(2, 6, 3, 7).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        maps = head(features)
    assert maps.dtype == torch.float32
    assert maps.is_contiguous()


def test_pooling_is_the_mean_over_the_map() -> None:
    features = torch.arange(24.0).reshape(2, 3, 2, 2)
    assert pool(features).tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]
