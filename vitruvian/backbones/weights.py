"""The names of published backbone checkpoints -> ours, and loading such a file into a backbone."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from safetensors.torch import save_file

from vitruvian.checkpoints import Fitted, fit_state, load_state, state_dict_of
from vitruvian.checkpoints.foreign import read_foreign
from vitruvian.errors import InputError
from vitruvian.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from vitruvian.backbones.timm_networks import Backbone, BackboneConfig

VIT_NAMES = (  # MMPose's ViTPose -> timm
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^layers\.(\d+)\.ln([12])\.", r"blocks.\1.norm\2."),
    (r"^layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (r"^layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (r"^layers\.(\d+)\.attn\.", r"blocks.\1.attn."),
    (r"^ln1\.", "norm."),
)

UNUSED = {
    r"(backbone\.|preact\.)?(fc|head|classifier)\.(weight|bias)": "classifies ImageNet's 1000 classes",
    r"(backbone\.)?stage4\.2\.fuse_layers\.[123]\..*": "coarser outputs of HRNet's last module, which nothing reads",
    r"(backbone\.)?(incre_modules|downsamp_modules|final_layer)\..*": "HRNet's classification head",
    r"(backbone\.)?(cls_token|mask_token)": "there is no class token",
    r"(decoder_|backbone\.decoder_).*": "MAE's decoder",
    r"data_preprocessor\.(mean|std)": "normalisation, which the framing holds",
}
"""Names of published files that no network here has, and why."""

UNUSED_BACKBONE = {**UNUSED, r"head\.fc\.(weight|bias)": "classifies ImageNet's 1000 classes"}
"""The same for files of a backbone alone; in a whole network `head.fc` may be what finds the keypoints."""

OURS_ALONE = {r".*\.num_batches_tracked": "files of PyTorch before 0.4.1 do not count batches"}
"""Names here that a published file may lack, and why."""


def backbone_name(name: str) -> str:
    """The name within a timm network of a tensor that MMPose, torchvision, HRNet or timm calls `name`."""
    for pattern, replacement in VIT_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def mmpose_name(name: str) -> str | None:
    """Our name for a tensor of a top-down network of MMPose, 0.x or 1.x: the backbone is one level deeper here."""
    name = name.replace("keypoint_head.", "head.", 1)
    if name.startswith("backbone."):
        return "backbone.network." + backbone_name(name.removeprefix("backbone."))
    return name if name.startswith("head.") else None


def load_backbone(backbone: Backbone, config: BackboneConfig) -> None:
    """Fills a backbone from the file `config.weights`.

    A ViT's position embedding is brought to the input's grid and loses its class token.

    Raises:
        InputError: the file cannot be read, or its tensors are not those of `config.name`; the message names them.
    """
    state = state_dict_of(read_foreign(config.weights), config.weights)
    if any(name.startswith("backbone.") for name in state):
        state = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    own = backbone.network.state_dict()
    if "pos_embed" in state and "pos_embed" in own:
        state["pos_embed"] = fit_positions(state["pos_embed"], backbone.network.patch_embed.grid_size, config.weights)
    fitted = fit_state(own, state, backbone_name, UNUSED_BACKBONE, OURS_ALONE, path=config.weights)
    load_state(backbone.network, fitted.state, config.weights)


def convert_backbone(state: Mapping[str, Tensor], own: Mapping[str, Tensor], path: str, output: str | Path) -> Fitted:
    """Writes the tensors of a published backbone as safetensors that `load_backbone` reads.

    A ViT's position embedding stays as it is, class token and all: the input's grid is known when it is loaded.

    Args:
        state: the file's tensors.
        own: those of the network here that it is for.
        path: of the file, for messages.
        output: the file to write.

    Raises:
        InputError: a tensor is missing, left over or of another shape, or the file cannot be written.
    """
    state = {name.removeprefix("backbone."): value for name, value in state.items()}
    positions = {name: state.pop(name).contiguous() for name in ("pos_embed",) if name in state and name in own}
    rest = {name: value for name, value in own.items() if name not in positions}
    fitted = fit_state(rest, state, backbone_name, UNUSED_BACKBONE, OURS_ALONE, path=path)
    tensors = {**fitted.state, **positions}
    write_atomically(output, lambda part: save_file(tensors, part, {"format": "pt"}))
    return fitted._replace(state=tensors)


def fit_positions(positions: Tensor, grid: tuple[int, int], path: str) -> Tensor:
    """A ViT's position embedding (1, T, C) for a grid (rows, columns) of patches, without class token.

    One of a square grid is resampled; one of as many patches as the grid has is taken as it is.

    Raises:
        InputError: T tells no grid.
    """
    from timm.layers import resample_abs_pos_embed

    length = positions.shape[1]
    lengths = length, length - 1  # with a class token, that one stands first
    for patches in lengths:
        if patches == grid[0] * grid[1]:
            return positions[:, length - patches :]
    for patches in lengths:
        if math.isqrt(patches) ** 2 == patches:
            return resample_abs_pos_embed(positions[:, length - patches :], list(grid), num_prefix_tokens=0)
    raise InputError(
        f"{path}: its position embedding has {length} places, expected a square grid or {grid[0]} x {grid[1]}, with or "
        "without a class token; choose the input size that it was made for"
    )
