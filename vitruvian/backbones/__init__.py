"""Networks that turn an image into feature maps, behind one small face.

A backbone is a module with `channels` and `strides` (a tuple each, one entry a map) whose forward takes inputs
(B, 3, H, W) and gives a tuple of maps (B, channels[i], H / strides[i], W / strides[i]).
"""

from vitruvian.backbones.folding import fold_batch_norms
from vitruvian.backbones.timm_networks import Backbone, BackboneConfig, build_backbone

__all__ = ["Backbone", "BackboneConfig", "build_backbone", "fold_batch_norms"]
