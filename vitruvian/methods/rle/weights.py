"""The parameter names of RLE's published networks, the authors' and MMPose's 1.x and 0.x -> ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from vitruvian.backbones.weights import UNUSED, mmpose_name
from vitruvian.checkpoints import Fitted, fit_state
from vitruvian.methods.rle.method import RLE

UNUSED_FLOW = {
    r".*\bflow(_model|2d|3d)?\.(mask|loc|cov)": "the flow's fixed masks and the mean and covariance of its unit normal"
}

FLOW = re.compile(r"(?:flow(2d|3d)?|head\.loss(?:_module)?\.flow_model)\.([st])\.(\d+\.\d+\.\w+)")
AUTHORS_LAYER = re.compile(r"(fc_coord|fc_sigma)(?:\.linear)?\.(weight|bias)")


def ours(name: str) -> str | None:
    """Our name for a reference's."""
    name = name.replace("keypoint_head.", "head.", 1)
    if flow := FLOW.fullmatch(name):
        whose = "flow_3d" if flow[1] == "3d" else "flow"
        return f"{whose}.{'scale' if flow[2] == 's' else 'shift'}_nets.{flow[3]}"
    if layer := AUTHORS_LAYER.fullmatch(name):
        return f"head.{layer[1]}.{layer[2]}"
    if name.startswith("preact."):
        name = name.replace("preact.", "backbone.", 1)
    return mmpose_name(name)


def from_reference(state: Mapping[str, Tensor], method: RLE) -> Fitted:
    """The network's tensors under our names, and what was dropped and why.

    Args:
        state: the tensors of a released file.
        method: the network that they are for; `form` must be that of the file.

    Raises:
        InputError: a tensor is missing, left over or of another shape; the message names it.
    """
    return fit_state(method.state_dict(), state, ours, UNUSED | UNUSED_FLOW)
