"""People to pixels: what a camera sees of them, whose each pixel is, and which joints are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from vitruvian.data.synthetic.appearance import Light, Outfit, blend, draw_outfit, shade
from vitruvian.data.synthetic.body import draw_shape, make_body
from vitruvian.data.synthetic.camera import Camera
from vitruvian.data.synthetic.joints import all_points, seen_on
from vitruvian.data.synthetic.poses import cross, draw_pose, length_of
from vitruvian.data.synthetic.rasteriser import EMPTY, Raster, interpolate, rasterise
from vitruvian.data.synthetic.surface import HAIR, SKIRT, build_surface
from vitruvian.data.synthetic.tubes import Mesh
from vitruvian.geometry import transform_points
from vitruvian.sample import HIDDEN, NOT_LABELLED, SEEN

FINE = 2
"""Pixels are drawn in so many rows and columns each, and averaged: smooth outlines."""
COVERED = -2
"""Whose a pixel is that a thing in front covers."""


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in the world, drawn at random."""

    mesh: Mesh  # points in metres of the world
    outfit: Outfit
    points: np.ndarray  # (P, 3) m of the world, as `joints.point_names`
    height: float  # m


class View(NamedTuple):
    """A camera, and where of its photo is looked at."""

    camera: Camera
    matrix: np.ndarray  # (3, 3) from the photo's pixels to those of the image
    size: tuple[int, int]  # width, height px of the image


class Rendered(NamedTuple):
    """People of an image, N of them."""

    image: np.ndarray  # (H, W, 3) uint8
    owners: np.ndarray  # (FINE H, FINE W) int16: whose a pixel is; EMPTY, COVERED
    parts: np.ndarray  # (FINE H, FINE W) int8: the part of the body
    depth: np.ndarray  # (FINE H, FINE W) float32 m


def draw_person(rng: np.random.Generator, poses: np.ndarray) -> Person:
    """A random person in a random pose, the pelvis at the world's origin."""
    shape = draw_shape(rng)
    body = make_body(rng, draw_pose(rng, poses), shape)
    outfit = draw_outfit(rng, shape)
    return Person(build_surface(body, outfit.garments), outfit, all_points(body), shape.height)


def moved(person: Person, offset: np.ndarray) -> Person:
    """The person elsewhere in the world: `offset` (3,) m."""
    mesh = person.mesh._replace(points=person.mesh.points + offset)
    return Person(mesh, person.outfit, person.points + offset, person.height)


def project(points: np.ndarray, view: View) -> np.ndarray:
    """Points (N, 3) m of the world -> x px, y px of the image, depth m."""
    return transform_points(view.camera.project(view.camera.view(points)), view.matrix)


def fine(points: np.ndarray) -> np.ndarray:
    """Points (N, 3), their x and y in pixels of the image -> in the finer pixels that are drawn."""
    return np.concatenate([(points[:, :2] + 0.5) * FINE - 0.5, points[:, 2:]], -1)


def render(people: Sequence[Person], view: View, light: Light, background: np.ndarray) -> Rendered:
    """People over a background (H, W, 3) uint8, the nearest in front."""
    width, height = FINE * view.size[0], FINE * view.size[1]
    flat, seen, triangles, parts, owner, normals, places = gathered(people, view)
    raster = rasterise(flat, triangles[seen], (width, height))
    raster = Raster(raster.pixels, seen[raster.triangles], raster.depth)
    owners, found = np.full(height * width, EMPTY, np.int16), np.zeros(height * width, np.int8)
    owners[raster.pixels], found[raster.pixels] = owner[raster.triangles], parts[raster.triangles]
    # Two of a pixel's four finer ones, across from each other, are coloured: outlines are smooth at half the time.
    row, column = np.divmod(raster.pixels, width)
    across = ((row ^ column) & 1) == 0
    raster = Raster(raster.pixels[across], raster.triangles[across], raster.depth)
    row, column = row[across], column[across]
    values = interpolate(raster, flat, triangles, np.concatenate([normals, places], 1), width)
    normal = values[:, :3]
    inner = normal[:, 2] > 0.15  # of a skirt, or of hair
    normal[inner] = -normal[inner]
    normal /= length_of(normal) + 1e-6
    colours = np.empty((len(raster.pixels), 3), np.float32)
    whose, of_part = owner[raster.triangles], parts[raster.triangles]
    for number, person in enumerate(people):
        own = slice(None) if len(people) == 1 else np.flatnonzero(whose == number)
        colours[own] = shade(person.outfit, light, of_part[own], values[own, 3:], normal[own])
    np.clip(colours, 0, 255, out=colours)
    halves = np.zeros((2, view.size[0] * view.size[1], 4), np.uint8)
    place = (row // FINE) * view.size[0] + column // FINE
    halves[row & 1, place, :3] = colours
    halves[row & 1, place, 3] = 255
    mean = cv2.addWeighted(halves[0], 0.5, halves[1], 0.5, 0).reshape(*view.size[::-1], 4)
    blended = blend(background, np.ascontiguousarray(mean[..., :3]), np.ascontiguousarray(mean[..., 3]))
    return Rendered(blended, owners.reshape(height, width), found.reshape(height, width), raster.depth)


def gathered(people: Sequence[Person], view: View) -> tuple[np.ndarray, ...]:
    """The meshes of all people in one, V points and T triangles.

    Returns points (V, 3) in fine pixels, the triangles that can be seen (S,), triangles (T, 3), their parts (T,) and
    owners (T,), normals (V, 3) in the camera's frame, and places (V, 3).
    """
    flat, seen, triangles, parts, owners, normals, places = [], [], [], [], [], [], []
    points, faces = 0, 0
    for number, person in enumerate(people):
        mesh = person.mesh
        in_view = view.camera.view(mesh.points)
        corners = in_view[mesh.triangles]
        across = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        towards = (across * corners[:, 0]).sum(1) < 0
        open_parts = (mesh.parts == SKIRT) | (mesh.parts == HAIR)
        near = (corners[..., 2] > 0.1).all(1)
        seen.append(faces + np.flatnonzero((towards | open_parts) & near))
        padded = np.concatenate([across, np.zeros((1, 3))])
        normals.append(padded[mesh.around].sum(1))
        flat.append(fine(transform_points(view.camera.project(in_view), view.matrix)))
        triangles.append(mesh.triangles + points)
        parts.append(mesh.parts)
        owners.append(np.full(len(mesh.triangles), number))
        places.append(mesh.places)
        points, faces = points + len(mesh.points), faces + len(mesh.triangles)
    normal = np.concatenate(normals)
    normal /= length_of(normal) + 1e-12
    return (
        np.concatenate(flat),
        np.concatenate(seen),
        np.concatenate(triangles),
        np.concatenate(parts),
        np.concatenate(owners),
        normal,
        np.concatenate(places),
    )


def visibility(
    people: Sequence[Person], flat: Sequence[np.ndarray], rendered: Rendered, indices: np.ndarray
) -> np.ndarray:
    """Whether joints are seen or hidden, (N, K) int8; NOT_LABELLED outside of the image.

    A joint lies within the body: it is seen where the surface that the camera sees in its place is one of its own
    parts, and no further away from it than the body is thick there.

    Args:
        people: N.
        flat: of each all points (P, 3), x and y px of the image, depth m.
        rendered: the image.
        indices: (K,) of the points.
    """
    parts, below = seen_on()
    found = np.zeros((len(people), len(indices)), np.int8)
    height, width = rendered.owners.shape
    for number, (person, points) in enumerate(zip(people, flat)):
        points = fine(points[indices])
        column, row = np.round(points[:, :2]).astype(int).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row = column.clip(0, width - 1), row.clip(0, height - 1)
        whose, depth = rendered.owners[row, column], rendered.depth[row, column]
        own_part = (whose == number) & parts[indices, rendered.parts[row, column]]
        near = points[:, 2] - depth < 1.3 * below[indices] * person.height
        nothing = (whose == EMPTY) | ((whose != COVERED) & (depth > points[:, 2]))
        found[number] = np.where(inside, np.where((own_part & near) | nothing, SEEN, HIDDEN), NOT_LABELLED)
    return found
