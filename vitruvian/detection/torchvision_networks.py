"""Detectors of torchvision: Faster R-CNN, RetinaNet, FCOS, SSD and SSDLite, and the boxes of Mask and Keypoint R-CNN.

They suppress doubles themselves, by non-maximum suppression at the overlap of their published settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, detection, get_model_builder, get_model_weights, list_models
from torchvision.models.detection.roi_heads import RoIHeads

from vitruvian.checkpoints import state_dict_of
from vitruvian.checkpoints.foreign import read_foreign
from vitruvian.detection.hub import WITHOUT_DETECTOR
from vitruvian.errors import InputError

PERSON = 1
"""A person's class in COCO's 91 and in those of a detector of people alone, where 0 is the background."""

COCO_CLASSES = 91

NO_EPSILON = tuple(f"{kind}_resnet50_fpn" for kind in ("fasterrcnn", "retinanet", "maskrcnn", "keypointrcnn"))
"""Networks whose COCO_V1 weights want batch norms without an epsilon, as torchvision's own builders set them."""


class TorchvisionNetwork:
    """A detector of torchvision as a `PeopleNetwork`.

    A batch of photos of different sizes is padded to one size, which moves boxes by fractions of a pixel.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model, self.device = model.eval().to(device), device
        heads = getattr(model, "roi_heads", None)
        if isinstance(heads, RoIHeads):
            heads.mask_roi_pool = heads.keypoint_roi_pool = None  # boxes are all that is asked for

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray], threshold: float) -> list[Tensor]:
        inputs = [torch.from_numpy(image).to(self.device).permute(2, 0, 1).float() / 255 for image in images]
        people = []
        for found in self.model(inputs):
            kept = (found["labels"] == PERSON) & (found["scores"] >= threshold)
            people.append(torch.cat([found["boxes"], found["scores"][:, None]], 1)[kept])
        return people


@cache
def names() -> list[str]:
    """The detection networks of torchvision."""
    return list_models(module=detection)


def fetched(name: str, device: torch.device) -> TorchvisionNetwork:
    """A network with the weights that torchvision publishes of it, from its cache where they were fetched before.

    Raises InputError that says what to download where they cannot be fetched.
    """
    weights = get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    try:
        return TorchvisionNetwork(get_model_builder(name)(weights=weights), device)
    except (OSError, RuntimeError) as error:  # RuntimeError: what was fetched has another checksum
        raise InputError(
            f"the detector {name} could not be fetched ({error}); download {weights.url} and give that file "
            f"(--detector {file_name(weights)}); {WITHOUT_DETECTOR}"
        ) from None


def from_file(path: Path, device: torch.device) -> TorchvisionNetwork:
    """The network whose state a file holds, as torchvision publishes it or training code saves it; no code is run.

    It is recognised by the names and shapes of its tensors. Those of the two MobileNet Faster R-CNNs are the same:
    there the file's name says which it is, by beginning with the network's.

    Raises InputError when the file cannot be read, or is of no such network of COCO's classes or of people alone.
    """
    state = state_dict_of(read_foreign(path), path)
    for name in likely_first(path.name):
        classes = classes_of(state, name)
        if not classes:
            continue
        model = built(name, classes)
        model.load_state_dict(state, strict=False)  # all is there but perhaps counters
        if name in NO_EPSILON and path.name == file_name(get_model_weights(name)["COCO_V1"]):
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eps = 0.0
        return TorchvisionNetwork(model, device)
    hint = "" if path.name != "model.safetensors" else "; of a detector of transformers give the folder"
    raise InputError(
        f"{path}: its {len(state)} tensors are those of none of torchvision's detectors ({', '.join(names())}) with "
        f"COCO's 91 classes, or with 2: background and person{hint}"
    )


def built(name: str, classes: int) -> nn.Module:
    """A network without weights."""
    return get_model_builder(name)(weights=None, weights_backbone=None, num_classes=classes)


def classes_of(state: Mapping[str, Tensor], name: str) -> int:
    """With how many classes a state is that of a network, 91 or 2; 0 where it is not."""
    shapes = shapes_of(state)
    for classes in (COCO_CLASSES, 2):
        with torch.device("meta"):
            expected = shapes_of(built(name, classes).state_dict())
        if shapes == expected:
            return classes
        if shapes.keys() != expected.keys():
            break
    return 0


def likely_first(file: str) -> list[str]:
    """The networks' names, those that the name of a file begins with first, and the plainest of the others."""
    by_length = sorted(names(), key=len)
    meant = [name for name in reversed(by_length) if file.startswith(name)]
    return [*meant, *(name for name in by_length if name not in meant)]


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """Names and shapes of a state's tensors, without the counters of batch norms, which frozen norms do not have."""
    return {key: value.shape for key, value in state.items() if not key.endswith(".num_batches_tracked")}


def file_name(weights: WeightsEnum) -> str:
    """The name of the file that torchvision publishes."""
    return weights.url.rsplit("/", 1)[-1]
