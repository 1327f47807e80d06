"""Folding batch norms into the convolutions before them, for networks that only predict."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

Convolution = nn.Conv2d | nn.ConvTranspose2d


def fold_batch_norms(module: nn.Module, inputs: Tensor) -> nn.Module:
    """A copy for inference in which convolutions do the work of the batch norms that follow them.

    Which norm follows which convolution is seen in a run on `inputs`, for the order of a module's children need not be
    that of its data; and a second run confirms that the copy gives the same up to rounding. Where a network uses a
    convolution's output in another place too, it does not, and the copy keeps all its norms.

    Args:
        module: a network that gives a tensor or a tuple of tensors, some perhaps None; it stays as it is.
        inputs: (B, 3, H, W) what it may be run on, on its device.
    """
    module = copy.deepcopy(module).eval()
    pairs, expected = follow(module, inputs)
    if not pairs:
        return module
    folded = copy.deepcopy(module)
    for convolution, norm in pairs:
        fold(folded.get_submodule(convolution), folded.get_submodule(norm))
        parent, _, name = norm.rpartition(".")
        setattr(folded.get_submodule(parent), name, rest_of_norm(folded.get_submodule(norm)))
    with torch.inference_mode():
        equal = all(map(almost_equal, tensors_of(folded(inputs)), expected))
    return folded if equal else module


def follow(module: nn.Module, inputs: Tensor) -> tuple[list[tuple[str, str]], list[Tensor]]:
    """The names of each convolution and the norm that takes its output, each used once; and what the module gives."""
    made: dict[int, tuple[str, Tensor]] = {}  # by id; the tensors are kept, or another one might get the same id
    runs: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []

    def remember(name: str):
        def hook(layer: nn.Module, given: tuple, result: Tensor) -> None:
            runs[name] = runs.get(name, 0) + 1
            if isinstance(layer, Convolution):
                made[id(result)] = (name, result)
            elif id(given[0]) in made and can_fold(layer):
                pairs.append((made[id(given[0])][0], name))

        return hook

    kinds = Convolution | nn.BatchNorm2d
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(remember(name)) for name, layer in layers]
    try:
        with torch.inference_mode():
            expected = tensors_of(module(inputs))
    finally:
        for hook in hooks:
            hook.remove()
    partners = [name for pair in pairs for name in pair]
    return [pair for pair in pairs if all(runs[name] == partners.count(name) == 1 for name in pair)], expected


def can_fold(norm: nn.Module) -> bool:
    """Whether the norm is an affine map per channel that does not depend on its input."""
    return isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None


@torch.no_grad()
def fold(convolution: nn.Module, norm: nn.Module) -> None:
    """Changes the convolution to give what the norm makes of its output, computed in float64."""
    assert isinstance(convolution, Convolution)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if convolution.bias is not None:
        shift = shift + convolution.bias.double() * scale
    weight = convolution.weight.double()
    if isinstance(convolution, nn.ConvTranspose2d):  # (in, out / groups, h, w)
        weight = weight.unflatten(0, (convolution.groups, -1)) * scale.view(convolution.groups, 1, -1, 1, 1)
        weight = weight.flatten(0, 1)
    else:
        weight = weight * scale.view(-1, 1, 1, 1)
    convolution.weight = nn.Parameter(weight.to(convolution.weight.dtype), requires_grad=False)
    convolution.bias = nn.Parameter(shift.to(convolution.weight.dtype), requires_grad=False)


def rest_of_norm(norm: nn.Module) -> nn.Module:
    """What remains of a folded norm: those of timm may carry an activation of their own."""
    rest = [getattr(norm, name, None) for name in ("drop", "act")]
    rest = [part for part in rest if part is not None and not isinstance(part, nn.Identity)]
    return nn.Sequential(*rest) if rest else nn.Identity()


def tensors_of(result: Tensor | tuple[Tensor | None, ...]) -> list[Tensor]:
    """The tensors that a module has given."""
    return [result] if isinstance(result, Tensor) else [tensor for tensor in result if tensor is not None]


def almost_equal(ours: Tensor, expected: Tensor) -> bool:
    """Equal up to the rounding of float32 in a deep network."""
    return bool((ours - expected).abs().max() <= 1e-3 * expected.abs().max())
