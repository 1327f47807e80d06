"""The parameter names of MMPose's integral regression (0.x and 1.x) -> ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from vitruvian.backbones.weights import UNUSED as UNUSED_OF_BACKBONES
from vitruvian.backbones.weights import mmpose_name
from vitruvian.checkpoints import Fitted, fit_state
from vitruvian.experiment import Method

UNUSED = {
    **UNUSED_OF_BACKBONES,
    r"(keypoint_)?head\.linspace_[xy]": "places of columns and rows, which are computed here",
}


def ours(name: str) -> str | None:
    """Our name for one of MMPose's, whose head holds a whole head of SimpleBaseline where it has deconvolutions."""
    return mmpose_name(name.replace("head.simplebaseline_head.", "head.", 1))


def from_reference(state: Mapping[str, Tensor], method: Method) -> Fitted:
    """The network's tensors under our names, and what was dropped and why.

    Args:
        state: the tensors of a released file.
        method: the network that they are for.

    Raises:
        InputError: a tensor is missing, left over or of another shape; the message names it.
    """
    return fit_state(method.state_dict(), state, ours, UNUSED)
