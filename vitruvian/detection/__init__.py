"""Detection: the boxes of the people in photos, by networks of transformers (RT-DETR, D-FINE, ...) and torchvision.

    detector = load_detector("rt-detr")
    poses = vitruvian.load("person").predict(photos, detector=detector)

Their weights are not part of this package: a name stands for files that are fetched once, a path for files at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vitruvian.crops import Image, as_rgb, in_order, num_threads, photo_name
from vitruvian.errors import InputError, nearest_name
from vitruvian.images import read_image

if TYPE_CHECKING:
    import torch

SHORT_NAMES = {
    "rt-detr": "PekingU/rtdetr_r18vd",
    "d-fine": "ustc-community/dfine-small-coco",
    "fasterrcnn": "fasterrcnn_resnet50_fpn_v2",
    "retinanet": "retinanet_resnet50_fpn_v2",
    "fcos": "fcos_resnet50_fpn",
    "ssdlite": "ssdlite320_mobilenet_v3_large",
}
"""What the short names stand for: a model of the Hugging Face hub, or a network of torchvision."""

THRESHOLD = 0.5
"""Score from which what a detector shows is taken for a person."""

PeopleNetwork = Callable[[Sequence[np.ndarray], float], "list[torch.Tensor]"]
"""A detection network: images (H, W, 3) uint8 RGB and a threshold -> of each its people (N, 5), x0 y0 x1 y1 score.

The boxes are pixels as detection files count them: 0 is the left edge of the photo and W its right one.
"""


class Detection(NamedTuple):
    """What a detector found in one photo, or why it could not look."""

    name: str  # the photo's path, or its place among those given
    pixels: np.ndarray | None  # (H, W, 3) uint8 RGB, as the detector saw it
    boxes: np.ndarray  # (N, 5) float64 x0 y0 x1 y1 px and score, best first
    error: InputError | None


class Detector:
    """A network that finds people in photos, with the score that it takes for certain enough.

    Attributes:
        name: what was loaded.
        device: where it computes.
        threshold: people with a score below it are left out.
        batch_size: photos at a time.
    """

    def __init__(self, network: PeopleNetwork, name: str, device: torch.device, threshold: float = THRESHOLD) -> None:
        self.network, self.name, self.device, self.threshold = network, name, device, threshold
        self.batch_size = 8 if device.type == "cuda" else 1  # a CPU gains nothing by more

    def detect(self, images: Sequence[Image]) -> list[np.ndarray]:
        """The people of each photo: (N, 5) x0 y0 x1 y1 px and score, best first; what `Predictor.predict` takes.

        Args:
            images: paths, arrays (H, W, 3) of uint8 RGB, or both.

        Raises:
            InputError: a photo cannot be read.
        """
        if isinstance(images, str | Path | np.ndarray):
            raise InputError("images is one photo; put it into a list: detect([photo])")
        found = []
        for detection in self.detect_stream(images):
            if detection.error:
                raise detection.error
            found.append(detection.boxes)
        return found

    def detect_stream(self, images: Iterable[Image]) -> Generator[Detection]:
        """What `detect` does, photo by photo and in order, for any number of them; photos are read ahead in threads.

        A photo that cannot be read does not stop the others: its Detection has the error instead of pixels.
        """
        with closing(in_order(read_photo, enumerate(images), num_threads())) as photos:
            while batch := list(islice(photos, self.batch_size)):
                found = iter(self._people([photo.pixels for photo in batch if photo.pixels is not None]))
                for photo in batch:
                    yield photo if photo.pixels is None else photo._replace(boxes=next(found))

    def _people(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The people of each photo, within it and best first."""
        if not images:
            return []
        found = self.network(images, self.threshold)
        return [
            within(people.cpu().double().numpy(), image.shape[1], image.shape[0], self.name)
            for people, image in zip(found, images)
        ]


def load_detector(name_or_path: str | Path, device: str = "auto", threshold: float = THRESHOLD) -> Detector:
    """A detector that is ready to find people.

    Args:
        name_or_path: one of SHORT_NAMES, a model of the Hugging Face hub (OWNER/NAME) or a detection network of
            torchvision, which are fetched once; or the path of a folder that transformers' `save_pretrained` wrote, or
            of a file with the state of one of torchvision's networks, which is recognised by its tensors.
        device: "auto" (a GPU of CUDA if there is one), "cpu", "cuda", ...
        threshold: people with a score below it are left out.

    Raises:
        InputError: there is no such detector or device, its weights cannot be fetched or are damaged, it knows no
            people, or a library is missing.
    """
    from vitruvian.detection import hub, torchvision_networks
    from vitruvian.devices import choose_device

    if not 0 <= threshold <= 1:
        raise InputError(f"the detector's threshold is {threshold:g}, expected a score from 0 to 1")
    chosen = choose_device(device)
    given, path = str(name_or_path), Path(name_or_path)
    name = SHORT_NAMES.get(given, given)
    if name in torchvision_networks.names():
        network: PeopleNetwork = torchvision_networks.fetched(name, chosen)
    elif given in SHORT_NAMES:
        network = hub.fetched(name, chosen)
    elif path.is_dir():
        network = hub.from_folder(path, chosen)
    elif path.is_file():
        network = torchvision_networks.from_file(path, chosen)
    elif re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and not is_file_name(path):
        network = hub.fetched(name, chosen)
    elif len(path.parts) > 1 or is_file_name(path):
        raise InputError(f"there is no detector {path}: no such file or folder")
    else:
        known = [*SHORT_NAMES, *torchvision_networks.names()]
        raise InputError(
            f"there is no detector {given!r}; the nearest is {nearest_name(given, known)!r} of {', '.join(known)}; or "
            "give OWNER/NAME of a model of the Hugging Face hub, or the path of a folder or file"
        )
    return Detector(network, given, chosen, threshold)


def is_file_name(path: Path) -> bool:
    """Whether a path's suffix is one of files with weights."""
    return path.suffix.lower() in (".pth", ".pt", ".bin", ".ckpt", ".safetensors")


def read_photo(numbered: tuple[int, Image]) -> Detection:
    """A photo's pixels, or why there are none; runs in a thread."""
    index, image = numbered
    name, nobody = photo_name(image, index), np.zeros((0, 5))
    try:
        pixels = read_image(image) if isinstance(image, str | Path) else as_rgb(image, name)
    except InputError as error:
        return Detection(name, None, nobody, error)
    return Detection(name, pixels, nobody, None)


def within(people: np.ndarray, width: int, height: int, name: str) -> np.ndarray:
    """People (N, 5) cut off at the photo's edges, without those of whom nothing is left, best first.

    Raises InputError where a number is not finite: the weights of the detector `name` are damaged.
    """
    if not np.isfinite(people).all():
        raise InputError(f"the detector {name} gives NaN or infinity; are its weights damaged?")
    corners = people[:, :4].clip(0, np.tile((width, height), 2))
    kept = np.flatnonzero((corners[:, 2:] > corners[:, :2]).all(1))
    best_first = kept[np.argsort(-people[kept, 4], kind="stable")]
    return np.column_stack([corners, people[:, 4]])[best_first]
