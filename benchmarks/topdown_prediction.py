"""How fast photos with boxes become keypoints on a CPU, beside the way of the toolboxes before.

HRNet-W32 with heatmaps at 192 x 256, mirrored views too, 8 people at a time, from JPEG files, with the threads that
PyTorch chooses. The reference way, from its description: for each box decode the photo, crop and normalise it; run the
network on the crops and once more on their mirror images, with its norms as they were trained and memory in planes;
merge the maps and find and refine the peaks person by person and joint by joint. Ours is `Predictor.predict`; with
--onnx also that of the same network, exported, by ONNX Runtime.

The weights are random, which costs the same time; the norms hold the statistics of the crops.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from measure import compare, find_labels, in_turn, machine
from torch import nn

from vitruvian.data.labels import Labels, trainable
from vitruvian.experiment import Experiment, Method
from vitruvian.geometry import box_matrix, reduction_for
from vitruvian.methods import build_empty
from vitruvian.methods.heatmap.recipes import coco_hrnet_w32
from vitruvian.prediction import Predictor, load
from vitruvian.prediction.networks import NetworkPredictor
from vitruvian.skeletons import Skeleton

SIZE = (192, 256)
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
GOALS = {"PyTorch": 1.5, "ONNX Runtime": 2.0}
Work = list[tuple[Path, np.ndarray]]  # photos with boxes (N, 4) x0 y0 x1 y1 px


def reference_crop(path: Path, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """One person of a photo as normalised planes (3, H, W) float32."""
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    factor = SIZE[0] / scale[0]
    matrix = np.array([[factor, 0, SIZE[0] / 2 - factor * centre[0]], [0, factor, SIZE[1] / 2 - factor * centre[1]]])
    crop = cv2.warpAffine(image, matrix, SIZE, flags=cv2.INTER_LINEAR)[..., ::-1]
    return np.ascontiguousarray(((crop.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1))


def centre_and_size(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (2,) and size (2,) of the crop of a box, at the crop's aspect ratio."""
    centre, scale = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * 1.25
    aspect = SIZE[0] / SIZE[1]
    if scale[0] > scale[1] * aspect:
        return centre, np.array([scale[0], scale[0] / aspect])
    return centre, np.array([scale[1] * aspect, scale[1]])


def unmirrored(maps: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Maps (K, h, w) of a mirrored crop as the crop's, moved one column to the right."""
    maps = maps[:, :, ::-1].copy()
    for joint, other in enumerate(skeleton.mirror):
        if joint < other:
            maps[joint], maps[other] = maps[other].copy(), maps[joint].copy()
    maps[:, :, 1:] = maps[:, :, :-1].copy()
    return maps


def peaks(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (K, 2) in cells and scores (K,) of maps (K, h, w): each peak, moved a quarter to its larger neighbour."""
    joints, height, width = maps.shape
    points, scores = np.zeros((joints, 2)), np.zeros(joints)
    for joint in range(joints):
        cells = maps[joint]
        y, x = np.unravel_index(cells.argmax(), cells.shape)
        scores[joint] = cells[y, x]
        points[joint] = x, y
        if 1 < x < width - 1 and y > 0:
            points[joint, 0] += 0.25 * np.sign(cells[y, x + 1] - cells[y, x - 1])
        if 1 < y < height - 1 and x > 0:
            points[joint, 1] += 0.25 * np.sign(cells[y + 1, x] - cells[y - 1, x])
        if scores[joint] <= 0:
            points[joint] = -1
    return points, scores


def reference_way(method: Method, work: Work, batch_size: int) -> np.ndarray:
    """Points (N, K, 2) px of everybody in the photos, in the order of their boxes."""
    people = [(path, box) for path, boxes in work for box in boxes]
    found = []
    for first in range(0, len(people), batch_size):
        batch = people[first : first + batch_size]
        frames = [centre_and_size(box) for _, box in batch]
        crops = [reference_crop(path, *frame) for (path, _), frame in zip(batch, frames)]
        with torch.no_grad():
            inputs = torch.from_numpy(np.stack(crops))
            plain = method(inputs).heatmaps.numpy()
            mirrored = method(inputs.flip(3)).heatmaps.numpy()
        for maps, other, (centre, scale) in zip(plain, mirrored, frames):
            points, _ = peaks((maps + unmirrored(other, method.skeleton)) / 2)
            found.append(points * (scale / (maps.shape[2], maps.shape[1])) + centre - scale / 2)
    return np.stack(found)


def our_way(predictor: Predictor, work: Work, batch_size: int) -> np.ndarray:
    """The same by `predict`."""
    found = predictor.predict([path for path, _ in work], [boxes for _, boxes in work], True, batch_size)
    points = []
    for (_, boxes), poses in zip(work, found):
        assert poses.boxes is not None
        order = [int((poses.boxes == box).all(1).argmax()) for box in boxes]  # best first -> as given
        points.append(poses.keypoints[order])
    return np.concatenate(points)


def batches_of(labels: Labels, batch_size: int, count: int) -> list[Work]:
    """`count` times photos with `batch_size` people together, several a photo."""
    photos = [(photo.path, photo.people.boxes[trainable(photo.people)].astype(np.float64)) for photo in labels.photos]
    several = [(path, boxes) for path, boxes in photos if len(boxes) > 1]
    batches: list[Work] = []
    while several and len(batches) < count:
        work, missing = [], batch_size
        while several and missing:
            path, boxes = several.pop(0)
            work.append((path, boxes[:missing]))
            missing -= len(work[-1][1])
        if not missing:
            batches.append(work)
    return batches


def network(experiment: Experiment, batches: list[Work]) -> Method:
    """Random weights, with norms that hold the statistics of the crops: without, numbers grow from layer to layer."""
    torch.manual_seed(0)
    method = build_empty(experiment).train()
    norms = [layer for layer in method.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean of what it sees
    with torch.no_grad():
        for work in batches[:2]:
            crops = [reference_crop(path, *centre_and_size(box)) for path, boxes in work for box in boxes]
            method(torch.from_numpy(np.stack(crops)))
    return method.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="annotation file (default: generated photos)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", type=int, default=3, help="batches in one repeat")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--onnx", action="store_true", help="export the network (a minute) and run it so, too")
    options = parser.parse_args()
    experiment = coco_hrnet_w32()
    with tempfile.TemporaryDirectory() as folder:
        batches = batches_of(find_labels(options.data, Path(folder)), options.batch_size, options.batches)
        method = network(experiment, batches)
        network_predictor = NetworkPredictor(method, experiment, "cpu")
        predictors: dict[str, Predictor] = {"PyTorch": network_predictor}
        if options.onnx:
            predictors["ONNX Runtime"] = exported(network_predictor, Path(folder) / "network.onnx")
        people = options.batch_size * len(batches)
        photos = sum(map(len, batches))
        print(f"{machine()}, {torch.get_num_threads()} threads; {people} people in {photos} photos")
        ways: list[Callable[[int], object]] = [
            lambda number: reference_way(method, batches[number], options.batch_size),
        ]
        for name, predictor in predictors.items():
            report_difference(name, method, predictor, batches, options.batch_size)
            ways.append(partial(run_batch, predictor, batches, options.batch_size))
        seconds = in_turn(ways, len(batches), options.repeats, options.clock)
        for (name, goal), ours in zip(GOALS.items(), seconds[1:]):
            what = f"from files and boxes to keypoints by {name}"
            compare(what, seconds[0], ours, people, f"a person ({options.clock})", goal)


def run_batch(predictor: Predictor, batches: list[Work], batch_size: int, number: int) -> np.ndarray:
    """One batch by `predict`."""
    return our_way(predictor, batches[number], batch_size)


def exported(network: NetworkPredictor, path: Path) -> Predictor:
    """The network as `vitruvian export` writes it, without the comparison on photos."""
    from vitruvian.export import described, onnx_program, save

    save(onnx_program(network, True), described(network, True, 2), path)
    return load(path)


def report_difference(name: str, method: Method, predictor: Predictor, batches: list[Work], batch_size: int) -> None:
    """Prints how far the results of both ways are apart, in pixels of the photos."""
    reference = np.concatenate([reference_way(method, work, batch_size) for work in batches])
    ours = np.concatenate([our_way(predictor, work, batch_size) for work in batches])
    distance = np.linalg.norm(reference - ours, axis=-1)
    full = np.concatenate(
        [
            np.full(len(boxes), min(reduction_for(box_matrix(box, predictor.framing)) for box in boxes) == 1)
            for work in batches
            for _, boxes in work
        ]
    )
    print(
        f"results by {name} differ by at most {distance[full].max(initial=0):.5f} px where photos were decoded in full "
        f"({full.sum()} of {len(full)} people)"
    )


if __name__ == "__main__":
    main()
