"""The parameter names of MMPose's networks of heatmaps and offsets (0.x and 1.x) -> ours."""

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
    return fit_state(method.state_dict(), state, mmpose_name, UNUSED)
