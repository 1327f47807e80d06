"""What the benchmarks share: repeats of two ways in turn, the spread over them, and photos of people to run on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from vitruvian.data.labels import Labels
from vitruvian.data.reading import read_labels
from vitruvian.sample import People, Photo
from vitruvian.skeletons import COCO

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Seconds that pass, or that this process computes, in all threads: steadier where others compute, too."""


def in_turn(
    ways: Sequence[Callable[[int], object]], count: int, repeats: int, clock: str, block: int = 1
) -> list[list[float]]:
    """Seconds that each way takes for 0, 1, ..., count - 1, in each repeat.

    The ways take turns after every `block` numbers, so that what else the machine does falls on all of them alike.
    """
    now = CLOCKS[clock]
    for way in ways:
        way(0)  # files into the cache, memory into the allocator
    seconds = [[0.0] * repeats for _ in ways]
    for repeat in range(repeats):
        for first in range(0, count, block):
            for way, times in zip(ways, seconds):
                start = now()
                for number in range(first, min(first + block, count)):
                    way(number)
                times[repeat] += now() - start
    return seconds


def spread(values: Sequence[float], digits: int = 2) -> str:
    """min / median / max."""
    return " / ".join(f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))


def compare(name: str, reference: Sequence[float], ours: Sequence[float], per: int, unit: str, goal: float) -> float:
    """Prints both ways in ms for one of `per` things, and the ratio of each repeat; returns the median ratio."""
    ratios = [theirs / our for theirs, our in zip(reference, ours)]
    ratio = statistics.median(ratios)
    print(f"{name}: min / median / max over {len(ratios)} repeats")
    for label, seconds in (("reference", reference), ("vitruvian", ours)):
        print(f"  {label}  {spread([1000 * s / per for s in seconds])} ms {unit}")
    print(f"  ratio      {spread(ratios)}  (goal {goal}: {'met' if ratio >= goal else 'MISSED'})", flush=True)
    return ratio


def machine() -> str:
    """The machine in words."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = lines[0].partition(":")[2].strip() if lines else processor
    return f"{os.cpu_count()} cores, {processor}"


def find_labels(data: str, folder: Path, count: int = 24, people: int = 4) -> Labels:
    """Photos with people: those of the annotation file `data`, of $VITRUVIAN_DATA, or generated ones in `folder`."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    usual = Path(os.environ.get("VITRUVIAN_DATA") or beside) / "coco_mini" / "annotations" / "person_keypoints.json"
    if data or usual.is_file():
        return read_labels(data or usual)
    return generated(folder, count, people)


def generated(folder: Path, count: int, people: int) -> Labels:
    """`count` JPEG photos of 640 x 480 px of smooth noise, with `people` boxes of all sizes and 17 joints in each."""
    rng = np.random.default_rng(0)
    photos = []
    for number in range(count):
        coarse = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
        image = cv2.add(image, rng.integers(0, 24, image.shape, dtype=np.uint8))
        path = folder / f"{number:012d}.jpg"
        cv2.imwrite(str(path), image)
        height = np.exp(rng.uniform(np.log(60), np.log(440), people))
        width = height * rng.uniform(0.3, 0.6, people)
        corner = rng.uniform(0, 1, (people, 2)) * (np.array([640, 480]) - np.stack([width, height], 1))
        boxes = np.concatenate([corner, corner + np.stack([width, height], 1)], 1)
        points = boxes[:, None, :2] + rng.uniform(0, 1, (people, 17, 2)) * (boxes[:, None, 2:] - boxes[:, None, :2])
        truth = People(
            keypoints=points.astype(np.float32),
            visibility=np.full((people, 17), 2, np.int8),
            boxes=boxes.astype(np.float32),
            areas=(0.53 * width * height).astype(np.float32),
            ignored=np.zeros(people, bool),
        )
        photos.append(Photo(path, number, (640, 480), truth, tuple(range(people * number, people * (number + 1)))))
    (folder / "generated.json").touch()  # a run remembers the file that it was started with
    return Labels(folder / "generated.json", COCO, tuple(photos))
