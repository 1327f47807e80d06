"""The parameter names of published heatmap networks (MMPose 0.x and 1.x, HRNet's and SimpleBaseline's own) -> ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from vitruvian.backbones.weights import UNUSED, mmpose_name
from vitruvian.checkpoints import Fitted, fit_state
from vitruvian.experiment import Method


def from_reference(state: Mapping[str, Tensor], method: Method) -> Fitted:
    """The network's tensors under our names, and what was dropped and why.

    Args:
        state: the tensors of a released file.
        method: the network that they are for.

    Raises:
        InputError: a tensor is missing, left over or of another shape; the message names it.
    """
    if not any(name.startswith("backbone.") for name in state) and "final_layer.weight" in state:
        # HRNet's and SimpleBaseline's own files have no prefixes.
        heads = ("deconv_layers.", "final_layer.")
        state = {f"{'head' if name.startswith(heads) else 'backbone'}.{name}": state[name] for name in state}
    return fit_state(method.state_dict(), state, mmpose_name, UNUSED)
