"""Prediction: a trained network and photos in, poses in pixels of the photos out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vitruvian import checkpoints
from vitruvian.backbones import fold_batch_norms
from vitruvian.crops import Crops, Image, crop_people, in_order, num_threads, points_in_photo
from vitruvian.errors import InputError, nearest_name
from vitruvian.experiment import Decoded, Experiment, Method, View
from vitruvian.methods import build_empty, experiment_from_dict
from vitruvian.metrics.oks import rescore
from vitruvian.sample import Poses

PART = 4
"""Crops, mirrored ones included, that a core takes at a time: few enough to stay in its cache."""

SHIPPED = Path(__file__).parents[1] / "weights"
"""The networks that come with the package: NAME.safetensors."""


def load(name_or_path: str | Path, device: str = "auto") -> Predictor:
    """A network that is ready to predict.

    Args:
        name_or_path: a shipped network (see `shipped`) or the path of a checkpoint that training or `import-weights`
            wrote. Where a name could be both, it is the shipped network's.
        device: "auto" (a GPU of CUDA if there is one), or one of `available_devices`; "cuda" is the first GPU.

    Raises:
        InputError: there is no such network, the file is damaged or of another program, or there is no such device.
    """
    chosen = choose_device(device)
    path = checkpoint_path(name_or_path)
    state, values = checkpoints.load(path)
    experiment = experiment_from_dict(values, str(path))
    method = build_empty(experiment)
    checkpoints.load_state(method, state, path)
    return Predictor(method, experiment, chosen)


def shipped() -> list[str]:
    """The names of the networks that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def checkpoint_path(name_or_path: str | Path) -> Path:
    """The file of a shipped network's name, or the path as it is; raises InputError if it is neither."""
    path = Path(name_or_path)
    names = shipped()
    if str(name_or_path) in names:
        return SHIPPED / f"{name_or_path}.safetensors"
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the checkpoint in it (best.safetensors of a run)")
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return path
    near = f"the nearest is {nearest_name(str(path), names)!r} of {', '.join(names)}" if names else "none is installed"
    raise InputError(f"there is no network {str(path)!r}: {near}; give a name, or the path of a checkpoint")


def choose_device(name: str | torch.device) -> torch.device:
    """The device that a name stands for; raises InputError that names the available ones if there is none."""
    available = available_devices()
    if str(name) == "auto":
        return torch.device("cuda" if "cuda:0" in available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {str(name)!r} is unknown; available: auto, {', '.join(available)}") from None
    if device.type == "cpu" and not device.index:
        return torch.device("cpu")
    if f"{device.type}:{device.index or 0}" not in available:
        raise InputError(f"device {str(name)!r} is not there; available: auto, {', '.join(available)}")
    return device


def available_devices() -> list[str]:
    """The CPU, and each accelerator that PyTorch can use: cuda:0, cuda:1, mps:0, xpu:0."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    count = torch.accelerator.device_count() if accelerator else 0
    return ["cpu", *(f"{accelerator.type}:{index}" for index in range(count) if accelerator)]


class Prediction(NamedTuple):
    """What became of one photo: its poses, or why there are none."""

    name: str  # its path, or its place among those given
    photo_size: tuple[int, int]  # width, height px; (0, 0) where it was not read
    poses: Poses | None
    error: InputError | None


@dataclass(eq=False)
class Waiting:
    """A photo whose people the network has not all seen yet."""

    name: str
    crops: Crops | None  # without pixels once the network has them all
    error: InputError | None  # where there are no crops
    found: list[np.ndarray]  # N, once none is missing: (K, 3 or 4) points and score of each joint, pixels of the crop
    missing: int  # of the N


InProgress = tuple[list[tuple[Waiting, int]], Callable[[], Tensor]]
"""People whom the network is looking at, and what waits for the result."""


class Predictor:
    """A network that finds the joints of people in photos.

    Batches run over photos: people are predicted together whichever photo they are in, each photo is decoded once for
    all of them, in threads ahead of the network. Memory does not grow with the number of photos.
    """

    def __init__(self, method: Method, experiment: Experiment, device: str | torch.device = "auto") -> None:
        """Takes a copy of the network, folds its batch norms and moves it to `device`."""
        self.experiment, self.skeleton, self.framing = experiment, experiment.skeleton, method.config.framing
        if self.framing.kind != "crop":
            raise ValueError(f"the network takes a {self.framing.kind}, expected one that takes crops of people")
        self.drawn_above = method.drawn_above
        self.device = choose_device(device)
        width, height = self.framing.size
        example = torch.rand(1, 3, height, width, device=next(method.parameters()).device)
        folded = fold_batch_norms(method, example)
        assert isinstance(folded, Method)
        self.method = folded.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def predict(
        self,
        images: Sequence[Image],
        boxes: Sequence[Any] | None = None,
        flip: bool = True,
        batch_size: int | None = None,
    ) -> list[Poses]:
        """The poses in each photo, best first.

        Args:
            images: paths, arrays (H, W, 3) of uint8 RGB, or both.
            boxes: for each photo its people (N, 4) x0 y0 x1 y1 px, perhaps with a score as fifth number; or None, the
                whole photo as one person. `Poses.boxes` says which box each pose is from.
            flip: also look at the mirrored crops and merge: more accurate, twice the time.
            batch_size: people at a time; None: 4 for each thread of a CPU, 64 on a GPU.

        Returns:
            one Poses a photo, in pixels of the photo. Joint scores are the method's own; a person's score is made of
            them and the box's score (1 where none was given) by `experiment.score`, as evaluation does.

        Raises:
            InputError: a photo cannot be read or a box is none; the message names photo and box.
        """
        if isinstance(images, str | Path | np.ndarray):
            raise InputError("images is one photo; put it into a list: predict([photo])")
        if boxes is not None and len(boxes) != len(images):
            raise InputError(f"there are boxes for {len(boxes)} photos, but {len(images)} photos; give each its own")
        found = []
        for prediction in self.predict_stream(images, boxes, flip, batch_size):
            if prediction.poses is None:
                raise prediction.error or InputError(f"{prediction.name}: no prediction")
            found.append(prediction.poses)
        return found

    def predict_stream(
        self,
        images: Iterable[Image],
        boxes: Iterable[Any] | None = None,
        flip: bool = True,
        batch_size: int | None = None,
    ) -> Generator[Prediction]:
        """What `predict` does, photo by photo and in order, for any number of them.

        `images` and `boxes` are read a few photos ahead of the network. A photo that cannot be read or has a bad box
        does not stop the others: its Prediction has the error instead of poses.
        """
        if batch_size is None:
            batch_size = 64 if self.device.type == "cuda" else 4 * torch.get_num_threads()
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; give 1 or more")
        waiting: deque[Waiting] = deque()
        people: deque[tuple[Waiting, int]] = deque()  # not seen yet
        running: deque[InProgress] = deque()
        photos = in_order(self._crop, numbered(images, boxes), num_threads())
        with Runner(self.method, flip) as runner, closing(photos):
            for photo in photos:
                waiting.append(photo)
                people.extend((photo, person) for person in range(photo.missing))
                while len(people) >= batch_size:
                    self._run(runner, [people.popleft() for _ in range(batch_size)], running)
                    collect(running, leave=1)  # one batch is computed while the next one is prepared
                while waiting and not waiting[0].missing:
                    yield self._finish(waiting.popleft())
            if people:
                self._run(runner, list(people), running)
            collect(running, leave=0)
            while waiting:
                yield self._finish(waiting.popleft())

    def _crop(self, photo: tuple[int, Image, Any]) -> Waiting:
        """The people of one photo; runs in a thread."""
        index, image, boxes = photo
        name = str(image) if isinstance(image, str | Path) else f"images[{index}]"
        try:
            crops = crop_people(image, boxes, self.framing, name)
        except InputError as error:
            return Waiting(name, None, error, [], 0)
        return Waiting(name, crops, None, [np.empty(0)] * len(crops), len(crops))

    def _run(self, runner: Runner, members: list[tuple[Waiting, int]], running: deque[InProgress]) -> None:
        """Starts the network on people of any photos."""
        pixels = torch.from_numpy(np.stack([photo.crops.pixels[person] for photo, person in members if photo.crops]))
        for photo, person in members:
            if photo.crops and person == len(photo.crops) - 1:
                photo.crops = replace(photo.crops, pixels=np.empty(0, np.uint8))
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()
        pixels = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        running.append((members, runner.start(pixels)))

    def _finish(self, photo: Waiting) -> Prediction:
        """The poses of a photo whose people have all been seen."""
        crops = photo.crops
        if crops is None:
            return Prediction(photo.name, (0, 0), None, photo.error)
        found = np.stack(photo.found) if photo.found else np.zeros((0, self.skeleton.num_joints, 3), np.float32)
        if not np.isfinite(found).all():
            error = InputError(f"{photo.name}: the network gives NaN or infinity; are its weights damaged?")
            return Prediction(photo.name, crops.photo_size, None, error)
        joint_scores = found[..., -1]
        poses = Poses(
            keypoints=points_in_photo(found[..., :-1].astype(np.float64), crops.to_photo).astype(np.float32),
            joint_scores=joint_scores,
            scores=rescore(crops.box_scores, joint_scores, self.experiment.score),
            boxes=crops.boxes,
        )
        best_first = np.argsort(-poses.scores, kind="stable")
        return Prediction(photo.name, crops.photo_size, poses.select(best_first), None)


class Runner:
    """Runs a network on batches of crops, on a CPU in parts of which each core has its own.

    A layer that is cut up among all cores waits for the slowest of them; cores that work on people of their own wait
    for nobody. That is worth a fifth of the time on two cores, more on more, and most where others use them, too.
    """

    def __init__(self, method: Method, flip: bool) -> None:
        self.method, self.flip = method, flip
        self.threads = torch.get_num_threads() if next(method.parameters()).device.type == "cpu" else 1
        self.pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Runner:
        if self.threads > 1:
            everybody = Barrier(self.threads)
            self.pool = ThreadPoolExecutor(self.threads, initializer=partial(torch.set_num_threads, 1))
            try:
                for _ in self.pool.map(lambda _: everybody.wait(), range(self.threads)):
                    pass
            except BaseException:  # an interrupt: nobody would ever wake those who wait
                everybody.abort()
                raise
            torch.set_num_threads(self.threads)  # a thread's own choice counts for those that start later, too
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def start(self, pixels: Tensor) -> Callable[[], Tensor]:
        """Starts on crops (B, 3, H, W) uint8; what it returns gives points and scores (B, K, 3 or 4) when called."""
        if self.pool is None or len(pixels) < self.threads:
            result = self.run(pixels)
            return lambda: result
        people = min(-(-len(pixels) // self.threads), PART // (1 + self.flip))
        parts = [self.pool.submit(self.run, part) for part in pixels.split(people)]
        return lambda: torch.cat([part.result() for part in parts])

    @torch.inference_mode()
    def run(self, pixels: Tensor) -> Tensor:
        """Points and scores (B, K, 3 or 4) of crops (B, 3, H, W) uint8."""
        inputs = self.method.normalise(pixels)
        views = [View(inputs)] + ([View(inputs.flip(-1), mirrored=True)] if self.flip else [])
        decoded: Decoded = self.method.predict(views)
        return torch.cat([decoded.points, decoded.joint_scores[..., None]], -1)[:, 0]


def collect(running: deque[InProgress], leave: int) -> None:
    """Hands results to their photos, one copy from the device a batch, until only `leave` batches are running."""
    while len(running) > leave:
        members, result = running.popleft()
        for (photo, person), found in zip(members, result().cpu().numpy()):
            photo.found[person] = found
            photo.missing -= 1


def numbered(images: Iterable[Image], boxes: Iterable[Any] | None) -> Iterator[tuple[int, Image, Any]]:
    """Each photo with its number and its boxes; raises InputError when one of the two ends before the other."""
    if boxes is None:
        yield from ((index, image, None) for index, image in enumerate(images))
        return
    nothing = object()
    for index, (image, of_image) in enumerate(zip_longest(images, boxes, fillvalue=nothing)):
        if image is nothing or of_image is nothing:
            fewer = "photos" if image is nothing else "boxes"
            raise InputError(f"photos and boxes differ in number: the {fewer} end after {index}; give each its own")
        yield index, image, of_image  # type: ignore[misc]
