"""Pictures of what a network sees and says: poses on a photo, maps over it, sheets of many pictures.

Everything takes and gives (H, W, 3) uint8 RGB and leaves its arguments as they are. Points follow the convention drawn
in `vitruvian.geometry`. Each person has a colour, lighter on the left limbs and darker on the right ones; a joint is
an orange dot on the left, a blue one on the right, a white one in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from vitruvian.sample import People, Poses
from vitruvian.skeletons import Skeleton

Colour = tuple[int, int, int]

LEFT, RIGHT, MIDDLE = (255, 149, 28), (38, 160, 255), (245, 245, 245)
PEOPLE: tuple[Colour, ...] = (
    *((86, 214, 92), (255, 82, 130), (255, 214, 51), (70, 210, 220), (186, 117, 255)),
    *((255, 130, 60), (130, 160, 255), (190, 225, 70), (240, 120, 220), (60, 200, 160)),
)
_RIM: Colour = (24, 24, 28)
_PAPER: Colour = (18, 18, 20)
_LINE: Colour = (44, 46, 52)
_FRACTION_BITS = 4  # OpenCV draws at 1/16 px


def draw_poses(
    image: np.ndarray, poses: Poses, skeleton: Skeleton, threshold: float = 0.2, boxes: bool = False
) -> np.ndarray:
    """`image` with the limbs and joints of `poses` on it, the best person on top.

    Widths follow the size of the person, and of the face or hand where the skeleton has those. A joint whose score
    is not above `threshold`, or whose place is not known, is left out with its limbs. `boxes` draws `poses.boxes` too.
    Raises ValueError when the poses are not of this skeleton.
    """
    if poses.keypoints.shape[1] != skeleton.num_joints:
        raise ValueError(
            f"the poses have {poses.keypoints.shape[1]} joints, but the skeleton {skeleton.name} has "
            f"{skeleton.num_joints}; draw them with the skeleton that they were predicted for"
        )
    canvas = image.copy()
    points = np.asarray(poses.keypoints[..., :2], np.float64)
    near = np.abs(points).max(-1, initial=0) < 10 * max(image.shape)  # False for NaN, and for what OpenCV cannot hold
    shown = near & (np.asarray(poses.joint_scores) > threshold)
    for person in reversed(range(len(poses))):
        colour = PEOPLE[person % len(PEOPLE)]
        if boxes and poses.boxes is not None:
            _draw_box(canvas, poses.boxes[person], colour)
        if shown[person].any():
            _draw_person(canvas, points[person], shown[person], skeleton, colour)
    return canvas


def draw_in_space(
    image: np.ndarray,
    joints: np.ndarray,
    joint_scores: np.ndarray,
    skeleton: Skeleton,
    threshold: float = 0.2,
    tile: int = 480,
) -> np.ndarray:
    """A sheet of `image`, which has the poses drawn already, and of the same people from front, side and above.

    The three have one scale and lines half a metre apart (a metre where people stand far apart). The front is what the
    camera sees, but without perspective; from the side what is further away is to the right, from above further up.

    Args:
        image: (H, W, 3), the photo with its poses.
        joints: (N, K, 3) mm before the camera: x to the right, y down, z away from it.
        joint_scores: (N, K).
        skeleton: of K joints.
        threshold: joints with a score not above it are left out.
        tile: longer side of each picture, px.
    """
    joints = np.asarray(joints, np.float64)
    shown = np.isfinite(joints).all(-1) & (np.asarray(joint_scores) > threshold)
    known = joints[shown] if shown.any() else np.zeros((1, 3))
    middle, extent = (known.min(0) + known.max(0)) / 2, 1.2 * float(np.ptp(known, axis=0).max()) + 300
    line, scale = (500.0 if extent < 5000 else 1000.0), tile / extent
    pictures = [image]
    for across, down, sign in ((0, 1, 1), (2, 1, 1), (0, 2, -1)):
        axes, signs = [across, down], np.array([1, sign])
        canvas = np.full((tile, tile, 3), _PAPER, np.uint8)
        corner = middle[axes] * signs - extent / 2  # mm at the top left
        for axis in range(2):
            for mark in np.arange(math.ceil(corner[axis] / line) * line, corner[axis] + extent, line):
                place = round((mark - corner[axis]) * scale)
                canvas[(slice(None), place) if axis == 0 else (place,)] = _LINE
        flat = (joints[..., axes] * signs - corner) * scale - 0.5
        for person in np.argsort(-np.where(shown, joints[..., 2], -np.inf).max(-1)):  # the nearest on top
            if shown[person].any():
                _draw_person(canvas, flat[person], shown[person], skeleton, PEOPLE[person % len(PEOPLE)])
        pictures.append(canvas)
    captions = ["photo", f"front, lines {line / 1000:g} m apart", "side, far is right", "above, far is up"]
    return contact_sheet(pictures, 4, captions, tile)


def as_poses(people: People) -> Poses:
    """The truth as something to draw: labelled joints have score 1, others 0."""
    labelled = (np.asarray(people.visibility) > 0).astype(np.float32)
    return Poses(np.asarray(people.keypoints), labelled, np.ones(len(people), np.float32), np.asarray(people.boxes))


def enlarge(image: np.ndarray, poses: Poses, side: int) -> tuple[np.ndarray, Poses]:
    """A photo smaller than `side` px and its poses, at the size where the longer side is `side`; others as they are.

    Limbs drawn on a small photo and then enlarged are coarse: enlarge first.
    """
    larger = _fit(image, side)
    if larger.shape[0] <= image.shape[0]:
        return image, poses
    scale = np.array([larger.shape[1] / image.shape[1], larger.shape[0] / image.shape[0]])
    keypoints = np.array(poses.keypoints, np.float64)
    keypoints[..., :2] = (keypoints[..., :2] + 0.5) * scale - 0.5
    boxes = None if poses.boxes is None else (poses.boxes + 0.5) * np.tile(scale, 2) - 0.5
    return larger, replace(poses, keypoints=keypoints, boxes=boxes)


def draw_maps(image: np.ndarray, maps: np.ndarray, names: Sequence[str], tile: int = 240) -> np.ndarray:
    """A sheet with one picture a joint: the photo in grey under the heat of its map.

    `maps` (K, h, w) cover `image`, cell 0 on pixel 0. Dark red is the highest value of them all; the captions give each
    joint's name, of `names` (K), and the peak of its map. `tile` is the longer side of a picture, px.
    Raises ValueError when there is not one name for each map.
    """
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3 or len(maps) != len(names):
        raise ValueError(f"maps have shape {maps.shape}, expected ({len(names)}, h, w) for {len(names)} names")
    small = _fit(image, tile)
    grey = np.repeat(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1) * 0.7
    height, width = small.shape[:2]
    step_x, step_y = width / maps.shape[2], height / maps.shape[1]  # tile px of a cell
    scale_x, scale_y = width / image.shape[1], height / image.shape[0]
    matrix = np.array([[step_x, 0, (scale_x - 1) / 2], [0, step_y, (scale_y - 1) / 2]])
    top = max(float(np.nanmax(maps, initial=0)), 1e-6)
    pictures = []
    for heat in maps:
        heat = cv2.warpAffine(heat, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        level = np.clip(np.nan_to_num(heat) / top, 0, 1)
        coloured = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
        opacity = 0.85 * np.sqrt(level)[..., None]
        pictures.append((grey * (1 - opacity) + coloured * opacity).astype(np.uint8))
    captions = [f"{name} {float(np.nanmax(heat, initial=0)):.2f}" for name, heat in zip(names, maps)]
    return contact_sheet(pictures, math.ceil(math.sqrt(len(maps) * height / width)), captions, tile)


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, captions: Sequence[str] | None = None, tile: int = 320
) -> np.ndarray:
    """`images`, of any sizes, row by row in `columns` columns, each fitted into `tile` px, with its caption below.

    Truth beside prediction: `contact_sheet([truth, prediction, truth, ...], columns=2)`, of photos that were put
    through `enlarge` before drawing.
    Raises ValueError when there is no image, or not one caption for each.
    """
    if not images or columns < 1:
        raise ValueError(f"{len(images)} images in {columns} columns: give at least one of each")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} images; give one for each")
    pictures = [_fit(image, tile) for image in images]
    gap, strip = max(4, tile // 60), max(14, tile // 14) if captions else 0
    width = max(picture.shape[1] for picture in pictures)
    rows = []
    for start in range(0, len(pictures), columns):
        row = pictures[start : start + columns]
        height = max(picture.shape[0] for picture in row)
        cells = np.full((height + strip + gap, columns * (width + gap) + gap, 3), _PAPER, np.uint8)
        for column, picture in enumerate(row):
            left = gap + column * (width + gap) + (width - picture.shape[1]) // 2
            top = (height - picture.shape[0]) // 2
            cells[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            if captions:
                corner = (gap + column * (width + gap), height + strip)
                _write(cells, captions[start + column], corner, strip, width)
        rows.append(cells)
    return np.concatenate([np.full((gap, rows[0].shape[1], 3), _PAPER, np.uint8), *rows])


def _draw_person(canvas: np.ndarray, points: np.ndarray, shown: np.ndarray, skeleton: Skeleton, colour: Colour) -> None:
    """One person with `points` (K, 2), of which `shown` (K,) are drawn, into `canvas`."""
    limbs = [(a, b) for a, b in skeleton.limbs if shown[a] and shown[b]]
    widths = _half_widths(points, shown, skeleton, canvas.shape)
    dots = _dot_radii(points, widths, limbs, skeleton)
    rims = np.maximum(0.5, 0.4 * widths)
    sides = [_side(joint) for joint in skeleton.joints]
    shades = {LEFT: _mix(colour, (255, 255, 255), 0.5), RIGHT: _mix(colour, (0, 0, 0), 0.32), MIDDLE: colour}

    # All in the part of the canvas that holds the person: half transparent drawing costs time for each pixel.
    margin = float((dots + rims).max()) + 2
    low = np.floor(points[shown].min(0) - margin).astype(int).clip(0)
    high = np.ceil(points[shown].max(0) + margin + 1).astype(int).clip(0)
    area = canvas[low[1] : high[1], low[0] : high[0]]
    if not area.size:
        return
    points = points - low
    joints = np.flatnonzero(shown)
    rim = area.copy()
    for a, b in limbs:
        _capsule(rim, points[a], points[b], _limb_half_width(points, widths, a, b) + rims[b], _RIM)
    for joint in joints:
        _disc(rim, points[joint], dots[joint] + rims[joint], _RIM)
    cv2.addWeighted(rim, 0.75, area, 0.25, 0, dst=area)
    for a, b in limbs:
        side = sides[a] if sides[b] in (sides[a], MIDDLE) else sides[b] if sides[a] == MIDDLE else MIDDLE
        _capsule(area, points[a], points[b], _limb_half_width(points, widths, a, b), shades[side])
    for joint in joints:
        _disc(area, points[joint], dots[joint] + rims[joint] / 2, _RIM)
        _disc(area, points[joint], dots[joint], sides[joint])


def _half_widths(points: np.ndarray, shown: np.ndarray, skeleton: Skeleton, shape: tuple[int, ...]) -> np.ndarray:
    """(K,) half the width of the limbs at each joint, px: by the extent of its body, face or hand."""
    least = max(0.7, 0.0007 * math.sqrt(shape[0] * shape[1]))
    groups = [list(skeleton.parts[part]) for part in ("face", "left_hand", "right_hand") if part in skeleton.parts]
    apart = {joint for group in groups for joint in group}
    groups.append([joint for joint in range(skeleton.num_joints) if joint not in apart])
    widths = np.full(skeleton.num_joints, least)
    for group in groups:
        seen = [joint for joint in group if shown[joint]]
        if seen:
            widths[group] = max(least, 0.0075 * float(np.ptp(points[seen], axis=0).max()))
    return widths


def _limb_half_width(points: np.ndarray, widths: np.ndarray, a: int, b: int) -> float:
    """Half the width of the limb from joint a to b, px: a short one is thinner, which keeps faces visible."""
    width = min(widths[a], widths[b])
    return min(max(0.12 * math.dist(points[a], points[b]), 0.5 * width), width)


def _dot_radii(points: np.ndarray, widths: np.ndarray, limbs: list[tuple[int, int]], skeleton: Skeleton) -> np.ndarray:
    """(K,) radius of each joint's dot, px: small where its limbs are short, or it never has one (points of a face)."""
    longest = np.zeros(len(points))
    of_limbs = sorted({joint for limb in skeleton.limbs for joint in limb})
    longest[np.setdiff1d(of_limbs, [joint for limb in limbs for joint in limb]).astype(int)] = np.inf
    for a, b in limbs:
        length = math.dist(points[a], points[b])
        longest[a], longest[b] = max(longest[a], length), max(longest[b], length)
    return np.clip(0.16 * longest, 0.75 * widths, 1.7 * widths)


def _side(joint: str) -> Colour:
    return LEFT if joint.startswith("left") else RIGHT if joint.startswith("right") else MIDDLE


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (round(x * (1 - share) + y * share) for x, y in zip(colour, other))
    return r, g, b


def _capsule(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float, colour: Colour) -> None:
    """A line with round ends and of any width; `cv2.line` knows whole pixels only."""
    heading = math.atan2(end[1] - start[1], end[0] - start[0])
    turn = heading + np.linspace(math.pi / 2, 3 * math.pi / 2, 10)
    cap = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    _fill(canvas, np.concatenate([start + cap, end - cap]), colour)


def _disc(canvas: np.ndarray, centre: np.ndarray, radius: float, colour: Colour) -> None:
    turn = np.linspace(0, 2 * math.pi, 20, endpoint=False)  # a small `cv2.circle` is a diamond
    outline = centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    _fill(canvas, outline, colour)


def _fill(canvas: np.ndarray, outline: np.ndarray, colour: Colour) -> None:
    corners = np.round(outline * 2**_FRACTION_BITS).astype(np.int32)
    cv2.fillConvexPoly(canvas, corners, colour, cv2.LINE_AA, _FRACTION_BITS)


def _draw_box(canvas: np.ndarray, box: np.ndarray, colour: Colour) -> None:
    if not np.isfinite(box).all():
        return
    thickness = max(1, round(0.003 * math.sqrt(canvas.shape[0] * canvas.shape[1])))
    x0, y0, x1, y1 = (int(value) for value in np.round(np.clip(box, -10000, 100000)))
    cv2.rectangle(canvas, (x0, y0), (x1, y1), _RIM, thickness + 2)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, thickness)


def _fit(image: np.ndarray, side: int) -> np.ndarray:
    """`image` with `side` px as its longer side."""
    scale = side / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _write(canvas: np.ndarray, text: str, corner: tuple[int, int], height: int, width: int) -> None:
    """`text` in a strip of `height` px whose bottom left is `corner`, cut to `width` px."""
    text = text.encode("ascii", "replace").decode()  # the fonts of OpenCV 4 have no others
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, height / 42
    shortened = text
    while len(shortened) > 4 and cv2.getTextSize(shortened, font, scale, 1)[0][0] > width:
        text = text[:-1]
        shortened = text + "..."
    origin = (corner[0], corner[1] - height // 4)
    cv2.putText(canvas, shortened, origin, font, scale, (225, 225, 225), 1, cv2.LINE_AA)
