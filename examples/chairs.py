"""Draws photos of chairs and labels their corners in a COCO file: data of one's own for docs/own_keypoints.md.

    python examples/chairs.py chairs --photos 300

writes chairs/chairs.json, chairs/images/*.jpg, and 20 further photos in chairs/unseen/ with chairs/unseen.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

JOINTS = [
    f"{side}_{end}_{part}" for part in ("foot", "seat") for end in ("front", "back") for side in ("left", "right")
]
JOINTS += ["left_top", "right_top"]
LIMBS = [[1, 5], [2, 6], [3, 7], [4, 8], [5, 6], [5, 7], [6, 8], [7, 8], [7, 9], [8, 10], [9, 10]]  # counted from 1
CATEGORY = {"id": 1, "name": "chair", "keypoints": JOINTS, "skeleton": LIMBS}
WIDTH, HEIGHT = 320, 240
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
FACES = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]


def chair(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """A chair that faces the viewer: its parts as boxes (8, 3), its keypoints (10, 3), and the part of each.

    x goes to the viewer's right, hence to the chair's left, y up and z away from the viewer; metres.
    """
    wide, deep = rng.uniform(0.18, 0.27), rng.uniform(0.18, 0.27)
    seat, top, leg = rng.uniform(0.38, 0.52), rng.uniform(0.75, 1.1), rng.uniform(0.015, 0.03)
    parts = []
    feet = [(x, z) for z in (-deep, deep) for x in (wide, -wide)]  # left front, right front, left back, right back
    for x, z in feet:
        parts.append(np.array([[x - leg, 0, z - leg], [x + leg, seat, z + leg]]))
    parts.append(np.array([[-wide - leg, seat, -deep - leg], [wide + leg, seat + 0.04, deep + leg]]))
    bottom = rng.choice([seat, (seat + top) / 2])  # a whole back, or a board between two posts
    for x in (wide, -wide):
        parts.append(np.array([[x - leg, seat, deep - leg], [x + leg, top, deep + leg]]))
    parts.append(np.array([[-wide, bottom, deep - leg / 2], [wide, top, deep + leg / 2]]))
    points = (
        [(x, 0, z) for x, z in feet] + [(x, seat + 0.04, z) for x, z in feet] + [(wide, top, deep), (-wide, top, deep)]
    )
    boxes = [low + CORNERS * (high - low) for low, high in parts]
    return boxes, np.array(points), np.array([0, 1, 2, 3, 4, 4, 4, 4, 5, 6])


def camera(rng: np.random.Generator) -> Any:
    """A function from points (N, 3) of a chair to pixels (N, 2) and distances (N,)."""
    turn, tilt, far = np.radians(rng.uniform(-70, 70)), np.radians(rng.uniform(5, 35)), rng.uniform(1.7, 3.2)
    yaw = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    middle = np.array([rng.uniform(0.3, 0.7) * WIDTH, rng.uniform(0.4, 0.6) * HEIGHT])

    def look(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = (points - [0, 0.5, 0]) @ (pitch @ yaw).T + [0, 0, far]
        return middle + seen[:, :2] * [1, -1] / seen[:, 2:] * 300, seen[:, 2]

    return look


def draw_chair(image: np.ndarray, owner: np.ndarray, rng: np.random.Generator, number: int) -> dict[str, Any]:
    """Draws a chair; its annotation but for ids. `owner` gets number * 10 + part wherever the chair is drawn."""
    (boxes, points, part_of), look = chair(rng), camera(rng)
    colours = rng.uniform(30, 230, (2, 3))  # of the frame; of seat and back
    faces = []
    for part, corners in enumerate(boxes):
        pixels, distances = look(corners)
        for face in FACES:
            a, b, c = corners[list(face[:3])]
            light = 0.6 + 0.4 * abs(np.dot(np.cross(b - a, c - b), [0.3, 0.8, -0.5])) / np.linalg.norm(
                np.cross(b - a, c - b)
            )
            colour = colours[int(part in (4, 7))] * light
            faces.append((distances[list(face)].mean(), part, pixels[list(face)].round().astype(np.int32), colour))
    for _, part, polygon, colour in sorted(faces, key=lambda one: -one[0]):
        cv2.fillConvexPoly(image, polygon, colour.tolist(), cv2.LINE_AA)
        cv2.fillConvexPoly(owner, polygon, 10 * number + part)
    return {"points": look(points)[0], "parts": 10 * number + part_of}


def room(rng: np.random.Generator) -> np.ndarray:
    """A wall and a floor, with stripes, pictures and clutter on them."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    skirting = int(rng.uniform(0.3, 0.7) * HEIGHT)
    image[:skirting], image[skirting:] = rng.uniform(60, 240, 3), rng.uniform(30, 200, 3)
    for _ in range(rng.integers(3, 12)):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        wide, high = rng.integers(5, 90, 2)
        colour, thick = rng.uniform(0, 255, 3).tolist(), int(rng.choice([-1, 1, 2, 4]))
        if rng.random() < 0.4:
            cv2.line(image, (int(x), int(y)), (int(x + 3 * wide - 135), int(y + high)), colour, abs(thick), cv2.LINE_AA)
        else:
            cv2.rectangle(image, (int(x), int(y)), (int(x + wide), int(y + high)), colour, thick)
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2))


def photo(rng: np.random.Generator) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """A photo (H, W, 3) of one or two chairs, and their annotations without ids."""
    image, owner = room(rng), np.full((HEIGHT, WIDTH), -1, np.int32)
    chairs = [draw_chair(image, owner, rng, number) for number in range(rng.integers(1, 3))]
    noise = rng.normal(0, rng.uniform(2, 10), image.shape)
    annotations = []
    for number, one in enumerate(chairs):
        rows, columns = np.nonzero(owner // 10 == number)
        if len(rows) < 1500:
            continue  # hidden by the other one
        x0, y0 = columns.min(), rows.min()
        keypoints = []
        for (x, y), part in zip(one["points"], one["parts"]):
            inside = 0 <= x < WIDTH - 0.5 and 0 <= y < HEIGHT - 0.5
            around = owner[max(round(y) - 2, 0) : round(y) + 3, max(round(x) - 2, 0) : round(x) + 3]
            flag = 0 if not inside else 2 if (around == part).any() else 1  # 2 seen, 1 hidden, 0 not labelled
            keypoints += [round(float(x), 1), round(float(y), 1), flag] if inside else [0, 0, 0]
        box = [int(x0), int(y0), int(columns.max() - x0 + 1), int(rows.max() - y0 + 1)]
        annotations.append({"category_id": 1, "keypoints": keypoints, "bbox": box, "area": len(rows), "iscrowd": 0})
    return np.clip(image + noise, 0, 255).astype(np.uint8), annotations


def write(folder: Path, images: str, name: str, count: int, seed: int) -> None:
    """Writes `count` photos into a folder and their annotations beside it."""
    (folder / images).mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": [CATEGORY]}
    for number in range(1, count + 1):
        pixels, annotations = photo(np.random.default_rng((seed, number)))
        file_name = f"{images}/{number:04d}.jpg"
        cv2.imwrite(str(folder / file_name), pixels)
        content["images"].append({"id": number, "file_name": file_name, "width": WIDTH, "height": HEIGHT})
        for one in annotations:
            content["annotations"].append({"id": len(content["annotations"]) + 1, "image_id": number, **one})
    (folder / name).write_text(json.dumps(content))
    print(f"{folder / name}: {count} photos, {len(content['annotations'])} chairs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=300)
    options = parser.parse_args()
    write(options.folder, "images", "chairs.json", options.photos, 0)
    write(options.folder, "unseen", "unseen.json", 20, 1)


if __name__ == "__main__":
    main()
