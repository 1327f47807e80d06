"""From photos to batches of crops, and from what a network finds in them to poses; without torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from vitruvian.crops import Crops, Image, crop_people, in_order, num_threads, photo_name, points_in_photo
from vitruvian.errors import InputError
from vitruvian.geometry import Framing
from vitruvian.metrics.oks import ScoreMode, rescore
from vitruvian.sample import Poses
from vitruvian.skeletons import Skeleton

if TYPE_CHECKING:
    from vitruvian.detection import Detector


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


InProgress = tuple[list[tuple[Waiting, int]], Callable[[], np.ndarray]]
"""People whom the network is looking at, and what waits for the result."""


class Runner(Protocol):
    """What runs a network on batches of crops, between `__enter__` and `__exit__`."""

    def start(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        """Starts on crops (B, H, W, 3) uint8 RGB; what it returns gives points and scores (B, K, 3 or 4) when called.

        Points are pixels of the crop.
        """
        ...


class Predictor:
    """A network that finds the joints of people in photos.

    Batches run over photos: people are predicted together whichever photo they are in, each photo is decoded once for
    all of them, in threads ahead of the network. Memory does not grow with the number of photos.

    What runs the network is said by subclasses, in `runner` and `usual_batch_size`.

    Args:
        skeleton: the joints that are found.
        framing: how the network wants people.
        score: how a box's and the joints' scores become a person's.
        drawn_above: joint score from which a joint is likely there, for pictures of predictions.
        flip: whether mirrored crops are looked at, too, where nobody says.
    """

    def __init__(
        self, skeleton: Skeleton, framing: Framing, score: ScoreMode, drawn_above: float, flip: bool = True
    ) -> None:
        if framing.kind != "crop":
            raise ValueError(f"the network takes a {framing.kind}, expected one that takes crops of people")
        self.skeleton, self.framing = skeleton, framing
        self.score: ScoreMode = score
        self.drawn_above, self.flip = drawn_above, flip

    def runner(self, flip: bool) -> AbstractContextManager[Runner]:
        """What runs the network; raises InputError when it cannot do so with or without mirrored crops."""
        raise NotImplementedError

    def usual_batch_size(self) -> int:
        """People at a time where nobody says."""
        raise NotImplementedError

    def predict(
        self,
        images: Sequence[Image],
        boxes: Sequence[Any] | None = None,
        flip: bool | None = None,
        batch_size: int | None = None,
        detector: Detector | None = None,
    ) -> list[Poses]:
        """The poses in each photo, best first.

        Args:
            images: paths, arrays (H, W, 3) of uint8 RGB, or both.
            boxes: for each photo its people (N, 4) x0 y0 x1 y1 px, perhaps with a score as fifth number; or None, the
                whole photo as one person. `Poses.boxes` says which box each pose is from.
            flip: also look at the mirrored crops and merge: more accurate, twice the time. None: the attribute `flip`.
            batch_size: people at a time; None: 4 for each thread of a CPU, 64 on a GPU.
            detector: what finds the people where there are no boxes; see `vitruvian.detection.load_detector`.

        Returns:
            one Poses a photo, in pixels of the photo. Joint scores are the method's own; a person's score is made of
            them and the box's score (1 where none was given) by `score`, as evaluation does.

        Raises:
            InputError: a photo cannot be read or a box is none; the message names photo and box.
        """
        if isinstance(images, str | Path | np.ndarray):
            raise InputError("images is one photo; put it into a list: predict([photo])")
        if boxes is not None and len(boxes) != len(images):
            raise InputError(f"there are boxes for {len(boxes)} photos, but {len(images)} photos; give each its own")
        found = []
        for prediction in self.predict_stream(images, boxes, flip, batch_size, detector):
            if prediction.poses is None:
                raise prediction.error or InputError(f"{prediction.name}: no prediction")
            found.append(prediction.poses)
        return found

    def predict_stream(
        self,
        images: Iterable[Image],
        boxes: Iterable[Any] | None = None,
        flip: bool | None = None,
        batch_size: int | None = None,
        detector: Detector | None = None,
    ) -> Generator[Prediction]:
        """What `predict` does, photo by photo and in order, for any number of them.

        `images` and `boxes` are read a few photos ahead of the network. A photo that cannot be read or has a bad box
        does not stop the others: its Prediction has the error instead of poses.
        """
        if batch_size is None:
            batch_size = self.usual_batch_size()
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; give 1 or more")
        waiting: deque[Waiting] = deque()
        people: deque[tuple[Waiting, int]] = deque()  # not seen yet
        running: deque[InProgress] = deque()
        if detector is None:
            photos = in_order(self._crop, named(images, boxes), num_threads())
        elif boxes is None:
            photos = self._crop_detected(detector, images)
        else:
            raise InputError("boxes and a detector were both given; give one of them")
        with self.runner(self.flip if flip is None else flip) as runner, closing(photos):
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

    def _crop_detected(self, detector: Detector, images: Iterable[Image]) -> Generator[Waiting]:
        """The people whom a detector finds in each photo, from the pixels that it has looked at."""
        with closing(detector.detect_stream(images)) as detections:
            for found in detections:
                if found.pixels is None:
                    yield Waiting(found.name, None, found.error, [], 0)
                else:
                    yield self._crop((found.name, found.pixels, found.boxes))

    def _crop(self, photo: tuple[str, Image, Any]) -> Waiting:
        """The people of one photo, called by its name; runs in a thread."""
        name, image, boxes = photo
        try:
            crops = crop_people(image, boxes, self.framing, name)
        except InputError as error:
            return Waiting(name, None, error, [], 0)
        return Waiting(name, crops, None, [np.empty(0)] * len(crops), len(crops))

    def _run(self, runner: Runner, members: list[tuple[Waiting, int]], running: deque[InProgress]) -> None:
        """Starts the network on people of any photos."""
        pixels = np.stack([photo.crops.pixels[person] for photo, person in members if photo.crops])
        for photo, person in members:
            if photo.crops and person == len(photo.crops) - 1:
                photo.crops = replace(photo.crops, pixels=np.empty(0, np.uint8))
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
            scores=rescore(crops.box_scores, joint_scores, self.score),
            boxes=crops.boxes,
        )
        best_first = np.argsort(-poses.scores, kind="stable")
        return Prediction(photo.name, crops.photo_size, poses.select(best_first), None)


def collect(running: deque[InProgress], leave: int) -> None:
    """Hands results to their photos, one copy from the device a batch, until only `leave` batches are running."""
    while len(running) > leave:
        members, result = running.popleft()
        for (photo, person), found in zip(members, result()):
            photo.found[person] = found
            photo.missing -= 1


def named(images: Iterable[Image], boxes: Iterable[Any] | None) -> Iterator[tuple[str, Image, Any]]:
    """Each photo with its name and its boxes; raises InputError when one of the two ends before the other."""
    if boxes is None:
        yield from ((photo_name(image, index), image, None) for index, image in enumerate(images))
        return
    nothing = object()
    for index, (image, of_image) in enumerate(zip_longest(images, boxes, fillvalue=nothing)):
        if image is nothing or of_image is nothing:
            fewer = "photos" if image is nothing else "boxes"
            raise InputError(f"photos and boxes differ in number: the {fewer} end after {index}; give each its own")
        yield photo_name(image, index), image, of_image  # type: ignore[misc, arg-type]
