"""Tubes: rings of points about a line, which the parts of a synthetic person are made of, and their triangles.

A ring's point at an angle stands at centre + a cos + b sin, where a x b points along the line, so that triangles are
wound alike everywhere.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from vitruvian.data.synthetic.poses import cross, unit


class Mesh(NamedTuple):
    """Triangles with what their colours are found by."""

    points: np.ndarray  # (V, 3) m
    triangles: np.ndarray  # (T, 3)
    parts: np.ndarray  # (T,)
    places: np.ndarray  # (V, 3)
    around: np.ndarray  # (V, M) the triangles at each point, padded with T


class Tube(NamedTuple):
    """One part: R rings of S + 1 points, the first point of a ring twice."""

    points: np.ndarray  # (R, S + 1, 3)
    places: np.ndarray  # (R, S + 1, 3)
    part: int


@cache
def topology(shapes: tuple[tuple[int, int, int], ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles (T, 3), their parts (T,) and the triangles at each point (V, M) of tubes (rings, points, part)."""
    triangles, parts, twins, first = [], [], [], 0
    for rings, count, part in shapes:
        grid = first + np.arange(rings * count).reshape(rings, count)
        a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]
        triangles.append(np.stack([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3))
        parts.append(np.full(len(triangles[-1]), part))
        same = grid.copy()
        same[:, -1] = grid[:, 0]
        twins.append(same.reshape(-1))
        first += rings * count
    faces, of_point = np.concatenate(triangles), np.concatenate(twins)
    at: list[list[int]] = [[] for _ in of_point]
    for index, face in enumerate(of_point[faces].tolist()):
        for point in face:
            at[point].append(index)
    most = max(map(len, at))
    around = np.full((len(of_point), most), len(faces))
    for point, twin in enumerate(of_point.tolist()):
        around[point, : len(at[twin])] = at[twin]
    return faces, np.concatenate(parts), around


@cache
def circle(count: int, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine (count + 1,) once round, from an angle in turns."""
    angles = 2 * np.pi * (start + np.arange(count + 1) / count)
    return np.cos(angles), np.sin(angles)


def tube(
    centres: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    part: int,
    along: np.ndarray,
    count: int = 10,
    start: float = 0.75,
) -> Tube:
    """A tube whose rings are ellipses.

    Args:
        centres: (R, 3) m.
        a: (R, 3) m, half axis towards angle 0.
        b: (R, 3) m, half axis towards a quarter turn, the front.
        part: which part of the body.
        along: (R,) m, the rings' places along the part.
        count: points of a ring.
        start: where a ring starts and ends, in turns; 0.75 is the back.
    """
    cosine, sine = circle(count, start)
    points = centres[:, None] + cosine[:, None] * a[:, None] + sine[:, None] * b[:, None]
    places = np.empty_like(points)
    radius = np.sqrt((a * a).sum(1)).max()
    places[..., 0] = 2 * np.pi * radius * (np.arange(count + 1) / count - 0.5)
    places[..., 1] = along[:, None]
    places[..., 2] = sine
    return Tube(points, places, part)


def limb_line(points: tuple[np.ndarray, np.ndarray, np.ndarray], share: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Points (R, 3) along two bones, rounded where they meet; `beyond` is the direction before the first joint."""
    start, middle, end = points
    first, second = middle - start, end - middle
    line = start + np.minimum(share, 1)[:, None] * first + np.maximum(share - 1, 0)[:, None] * second
    near = np.maximum(0.22 - np.abs(share - 1), 0) ** 2 / (4 * 0.22)
    line = line + near[:, None] * (second - first)
    return line + np.minimum(share, 0)[:, None] * (beyond - first) * 0.5


def limb(
    line: np.ndarray, radius: np.ndarray, axis: np.ndarray, part: int, along: np.ndarray, back: np.ndarray
) -> Tube:
    """A round tube along a line (R, 3) whose bends are about `axis` (3,); `back` (R,) m shifts rings backwards."""
    tangent = unit(np.gradient(line, axis=0))
    a = unit(axis - (tangent @ axis)[:, None] * tangent)
    b = cross(tangent, a)
    centres = line - back[:, None] * b
    return tube(centres, radius[:, None] * a, radius[:, None] * b, part, along)
