"""How fast 10,000 poses of 5,000 photos become figures of COCO, beside the way of the toolboxes before.

From what a top-down network found in detected boxes: rescoring, suppression of duplicates, the results file, AP and AR.
The reference way, from its description: rescore person by person and joint by joint; in each photo compare the best
pose with the others left, one after the other; write the file, read it back, and hand it to pycocotools. Ours is
`result_records`, the file, and `score_records`. Both have the truth in memory. Poses are made up: a quarter of the
people is found twice, some with errors far and near. The figures of both ways are compared before they are timed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from measure import compare, in_turn, machine
from pycocotools.coco import COCO as CocoTruth
from pycocotools.cocoeval import COCOeval

from vitruvian.data.coco import read_coco
from vitruvian.data.labels import Labels
from vitruvian.evaluation.results import PhotoBoxes, result_records
from vitruvian.evaluation.scoring import score_records
from vitruvian.files import write_atomically
from vitruvian.geometry import Framing
from vitruvian.metrics.coco import FIGURES
from vitruvian.sample import Poses
from vitruvian.skeletons import COCO

SIZE, PADDING = (192, 256), 1.25
SIGMAS = np.array(COCO.oks_sigmas)
Work = list[tuple[PhotoBoxes, Poses]]


def made_up(folder: Path, photos: int, poses: int) -> tuple[Labels, Work]:
    """The truth, `truth.json` in the folder, and what was found in two boxes a photo on average."""
    rng = np.random.default_rng(0)
    people = []
    for number in range(poses):
        side = np.exp(rng.uniform(np.log(40), np.log(400), 2))
        corner = rng.uniform(0, 200, 2)
        flags = rng.choice([0, 1, 2], 17, p=[0.3, 0.1, 0.6])
        points = np.where(flags[:, None] > 0, corner + rng.uniform(0, 1, (17, 2)) * side, 0)
        people.append(
            {
                "id": number + 1,
                "image_id": int(rng.integers(photos)) + 1,
                "category_id": 1,
                "iscrowd": int(rng.random() < 0.01),
                "bbox": [*corner.tolist(), *side.tolist()],
                "area": float(0.53 * side.prod()),
                "num_keypoints": int((flags > 0).sum()),
                "keypoints": np.concatenate([points, flags[:, None]], 1).ravel().tolist(),
            }
        )
    images = [{"id": i + 1, "file_name": f"{i + 1}.jpg", "width": 640, "height": 640} for i in range(photos)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": []}
    truth = {"images": images, "categories": [category], "annotations": people}
    path = folder / "truth.json"
    path.write_text(json.dumps(truth))
    labels = read_coco(path, folder, truth)
    labels = Labels(path, COCO, labels.photos, 1, truth)
    by_photo: dict[int, list[tuple]] = {}
    for index in np.concatenate([np.arange(poses - poses // 4), rng.integers(poses, size=poses // 4)]).tolist():
        person = people[index]
        triples = np.reshape(person["keypoints"], (17, 3))
        side = np.sqrt(person["area"])
        points = np.where(triples[:, 2:] > 0, triples[:, :2], np.array(person["bbox"][:2]) + side / 2)
        points = points + rng.normal(0, side * rng.choice([0.01, 0.03, 0.1]), (17, 2))
        box = np.array(person["bbox"]) + rng.normal(0, 2, 4)
        found = points, rng.uniform(0, 1, 17), np.concatenate([box[:2], box[:2] + np.abs(box[2:])]), rng.random()
        by_photo.setdefault(person["image_id"], []).append(found)
    work = []
    for photo in labels.photos:
        if photo.image_id in by_photo:
            points, joints, boxes, scores = (np.array(column) for column in zip(*by_photo[int(photo.image_id)]))
            poses_here = Poses(points.astype(np.float32), joints.astype(np.float32), scores.astype(np.float32), boxes)
            work.append((PhotoBoxes(photo, boxes, scores, ()), poses_here))
    return labels, work


def reference_oks(one: np.ndarray, other: np.ndarray, area: float, other_area: float) -> float:
    """OKS of two poses (17, 2)."""
    dx, dy = one[:, 0] - other[:, 0], one[:, 1] - other[:, 1]
    exponents = (dx**2 + dy**2) / (2 * SIGMAS) ** 2 / ((area + other_area) / 2 + np.spacing(1)) / 2
    return float(np.sum(np.exp(-exponents)) / len(exponents))


def reference_nms(people: list[dict]) -> list[dict]:
    """The people of a photo without duplicates."""
    order = np.argsort([-person["score"] for person in people], kind="stable")
    kept = []
    while len(order):
        best = people[order[0]]
        kept.append(best)
        similarity = np.array(
            [reference_oks(best["points"], people[i]["points"], best["area"], people[i]["area"]) for i in order[1:]]
        )
        order = order[1:][similarity <= 0.9]
    return kept


def reference_score(work: Work, truth: CocoTruth, path: Path) -> list[float]:
    """The figures of the reference's way."""
    by_photo: dict[int, list[dict]] = {}
    for people, poses in work:
        for index in range(len(people.boxes)):
            total, count = 0.0, 0
            for joint in poses.joint_scores[index]:
                if joint > 0.2:
                    total += joint
                    count += 1
            sides = (people.boxes[index, 2:] - people.boxes[index, :2]) * PADDING
            aspect = SIZE[0] / SIZE[1]
            width, height = max(sides[0], sides[1] * aspect), max(sides[1], sides[0] / aspect)
            person = {"points": poses.keypoints[index].astype(np.float64), "joints": poses.joint_scores[index]}
            person |= {"score": people.scores[index] * total / max(count, 1), "area": width * height}
            by_photo.setdefault(int(people.photo.image_id), []).append(person)
    results = []
    for image_id, people_here in by_photo.items():
        for person in reference_nms(people_here):
            triples = np.concatenate([person["points"], person["joints"][:, None]], 1).astype(np.float64)
            result = {"image_id": image_id, "category_id": 1, "keypoints": triples.ravel().tolist()}
            results.append({**result, "score": float(person["score"])})
    with path.open("w") as file:
        json.dump(results, file)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(truth, truth.loadRes(str(path)), "keypoints")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return list(evaluator.stats)


def our_score(work: Work, labels: Labels, path: Path) -> list[float]:
    """The figures of our way."""
    records = result_records(work, "box_keypoint", Framing(SIZE, padding=PADDING), labels, range(17))
    text = json.dumps(records, allow_nan=False)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    figures = score_records(records, path, labels)
    return [figures[name] for name in FIGURES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--poses", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        labels, work = made_up(Path(folder), options.photos, options.poses)
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = CocoTruth(folder + "/truth.json")
        path = Path(folder, "results.json")
        figures = reference_score(work, theirs, path), our_score(work, labels, path)
        apart = np.abs(np.subtract(*figures)).max()
        print(f"AP {figures[0][0]:.4f} and {figures[1][0]:.4f}; the ten figures are at most {apart:.1e} apart")
        ways = (lambda _: reference_score(work, theirs, path), lambda _: our_score(work, labels, path))
        seconds = in_turn(ways, 1, options.repeats, options.clock)
        compare("from what was found to figures", *seconds, 1, f"a set ({options.clock})", 3.0)


if __name__ == "__main__":
    main()
