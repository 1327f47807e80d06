"""Scenes of synthetic people as samples: pixels, and a truth that is exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from vitruvian.augment import Augmentation, change_pixels, draw_view
from vitruvian.data.synthetic.appearance import draw_light
from vitruvian.data.synthetic.backgrounds import draw_background
from vitruvian.data.synthetic.camera import Camera, draw_camera, draw_crowd_camera
from vitruvian.data.synthetic.effects import add_occluder, as_photographed
from vitruvian.data.synthetic.joints import indices, point_names
from vitruvian.data.synthetic.poses import read_poses
from vitruvian.data.synthetic.rendering import (
    COVERED,
    FINE,
    Person,
    Rendered,
    View,
    draw_person,
    moved,
    project,
    render,
    visibility,
)
from vitruvian.geometry import Framing, box_matrix, invert, transform_points
from vitruvian.sample import HIDDEN, NOT_LABELLED, People, Sample
from vitruvian.skeletons import Skeleton

MOST = 30
"""People in a scene, at most."""
LEAST_SHOWN = 24
"""px^2 of a person that must be seen for the person to be among the truth."""
OTHERS = (0.62, 0.25, 0.13)
"""Chances of 0, 1, 2 other people beside the one whom a crop is of."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A whole photo of N people."""

    sample: Sample
    masks: np.ndarray  # (N, H, W) bool: where each is seen


@dataclass(frozen=True, eq=False)
class SyntheticPeople:
    """An endless source of people: scene i of a seed is always the same, whoever makes it.

    Attributes:
        skeleton: the joints of the truth.
        seed: of everything that is drawn.
        poses: a file of motion capture; empty: the poses that come with the package.
        photos: what stands behind people; empty: drawn backgrounds.
        held_back: pose people as the sequences that are kept for scoring do.
    """

    skeleton: Skeleton
    seed: int = 0
    poses: str = ""
    photos: tuple[Path, ...] = ()
    held_back: bool = False

    def __post_init__(self) -> None:
        indices(self.skeleton)  # says now what joints are lacking
        read_poses(self.poses, self.held_back)

    def crop(self, place: tuple[int, ...], framing: Framing, augmentation: Augmentation | None = None) -> Sample:
        """One person as a top-down network sees people, a function of (seed, place) alone.

        Depths are millimetres from the middle of the hips. The photo round the crop is never drawn: `to_original` and
        `photo_size` are those that it would have.
        """
        rng = np.random.default_rng((self.seed, *place))
        poses = read_poses(self.poses, self.held_back)
        person = draw_person(rng, poses)
        camera = draw_camera(rng, (person.mesh.points.max(0) + person.mesh.points.min(0)) / 2, person.height)
        flat = camera.project(camera.view(person.mesh.points))
        corner, photo_size = draw_window(rng, flat)
        camera = replace(camera, centre=(-corner[0], -corner[1]))
        flat[:, :2] -= corner
        whole = self.whole_person(person, View(camera, np.eye(3), photo_size), flat)
        if augmentation is None:
            matrix = box_matrix(whole.boxes[0], framing)
        else:  # a mirrored person is as likely as the other without a mirror
            unmirrored = replace(augmentation, flip=0.0)
            matrix = draw_view(rng, whole, photo_size, framing, self.skeleton, unmirrored)
        view = View(camera, matrix, framing.size)
        people = [person, *(self.neighbour(rng, poses, person, view) for _ in range(rng.choice(3, p=OTHERS)))]
        background = draw_background(rng, framing.size, self.photos)
        rendered = render(people, view, draw_light(rng, camera.turn @ (0, 1.0, 0)), background)
        rendered = with_occluders(rng, rendered, 0, 0.35)
        inside = photo_mask(view, photo_size)
        rendered = cut_off(rendered, inside)
        image = cv2.bitwise_and(*[as_photographed(rng, rendered.image)] * 2, mask=inside)
        if augmentation is not None:
            image = change_pixels(rng, image, augmentation)
        truth = self.truth(people[:1], view, rendered, photo_size)
        return Sample(image, truth, invert(matrix), photo_size, "-".join(map(str, ("synthetic", *place))))

    def scene(self, place: tuple[int, ...], size: tuple[int, int] = (512, 512), most: int = MOST) -> Scene:
        """A photo of 1 to `most` people who hide one another, a function of (seed, place) alone.

        Whoever is hidden altogether is not among the truth. A joint that something hides is labelled HIDDEN, one that
        lies outside of the photo NOT_LABELLED.

        Args:
            place: numbers, such as (epoch, index).
            size: width and height, px.
            most: how many people there are at most; few are likelier than many.
        """
        rng = np.random.default_rng((self.seed, *place, 1))
        poses = read_poses(self.poses, self.held_back)
        camera = draw_crowd_camera(rng, size)
        count = round(math.exp(rng.uniform(0, math.log(most + 0.49))))
        places = draw_places(rng, camera, size, count)
        people = [moved(person, to - (0, lowest(person), 0)) for person, to in
                  ((draw_person(rng, poses), to) for to in places)]  # fmt: skip
        view = View(camera, np.eye(3), size)
        background = draw_background(rng, size, self.photos)
        rendered = render(people, view, draw_light(rng, camera.turn @ (0, 1.0, 0)), background)
        rendered = with_occluders(rng, rendered, int(rng.integers(count)), 0.4)
        image = as_photographed(rng, rendered.image)
        truth = self.truth(people, view, rendered, size)
        shown = np.flatnonzero(truth.areas >= LEAST_SHOWN)
        masks = rendered.owners[None, ::FINE, ::FINE] == shown[:, None, None]
        name = "-".join(map(str, ("scene", *place)))
        return Scene(Sample(image, truth.select(shown), np.eye(3), size, name), masks)

    def neighbour(self, rng: np.random.Generator, poses: np.ndarray, person: Person, view: View) -> Person:
        """Somebody beside the one whom a crop is of, mostly behind."""
        offset = np.array([rng.choice([-1, 1]) * rng.uniform(0.35, 1.6), rng.normal(0, 0.15), rng.uniform(-0.35, 2.5)])
        other = draw_person(rng, poses)
        return moved(other, view.camera.turn.T @ (offset * person.height))

    def whole_person(self, person: Person, view: View, flat: np.ndarray) -> People:
        """The one person of a photo before it is drawn: joints in the photo, and the box of the body's points."""
        points = project(person.points[indices(self.skeleton)], view)
        limit = np.array(view.size, np.float64) - 1
        inside = ((points[:, :2] >= 0) & (points[:, :2] <= limit)).all(1)
        low, high = flat[:, :2].min(0).clip(0, limit), flat[:, :2].max(0).clip(0, limit)
        return People(
            keypoints=points[None].astype(np.float32),
            visibility=np.where(inside, HIDDEN, NOT_LABELLED)[None].astype(np.int8),
            boxes=np.concatenate([low, np.maximum(high, low + 1)])[None],
            areas=np.ones(1, np.float32),
            ignored=np.zeros(1, bool),
        )

    def truth(self, people: Sequence[Person], view: View, rendered: Rendered, photo_size: tuple[int, int]) -> People:
        """The truth of the first people of an image, in its pixels."""
        flat = [project(person.points, view) for person in people]
        chosen = indices(self.skeleton)
        seen = visibility(people, flat, rendered, chosen)
        points = np.stack(flat)
        root_depths = 1000 * points[:, point_names().index("pelvis"), 2]
        points = points[:, chosen]
        in_photo = transform_points(points, invert(view.matrix))[..., :2]
        inside = ((in_photo >= -0.5) & (in_photo <= np.array(photo_size) - 0.5)).all(-1)
        points[..., 2] = 1000 * points[..., 2] - root_depths[:, None]
        camera = (view.camera.focal, view.camera.focal, *view.camera.centre)
        boxes, areas = boxes_of(rendered.owners, len(people))
        return People(
            keypoints=points.astype(np.float32),
            visibility=np.where(inside, np.maximum(seen, HIDDEN), NOT_LABELLED).astype(np.int8),
            boxes=boxes,
            areas=areas,
            ignored=areas == 0,
            cameras=np.tile(np.array(camera, np.float32), (len(people), 1)),
            root_depths=root_depths.astype(np.float32),
        )


def lowest(person: Person) -> float:
    """How low a person reaches, m."""
    return float(person.mesh.points[:, 1].min())


def draw_places(rng: np.random.Generator, camera: Camera, size: tuple[int, int], count: int) -> np.ndarray:
    """Places (N, 3) m on the ground, some above it, that a camera sees, many close to another."""
    near = 0.6 + 1.3 * camera.focal / size[1]  # from there on the photo holds most of a person
    reach = near + rng.uniform(1, 6) + 0.3 * count
    places = np.zeros((count, 3))
    ahead = camera.turn[2] * (1, 0, 1) / np.linalg.norm(camera.turn[2, [0, 2]])
    for number in range(count):
        if number and rng.random() < 0.45:  # beside somebody
            places[number] = places[rng.integers(number)] + rng.normal(0, 0.55, 3) * (1, 0, 1)
        else:
            depth = rng.uniform(near, reach)
            share = 0.48 if number else 0.3  # the first one is in the photo for sure
            sideways = rng.uniform(-share, share) * size[0] / camera.focal * depth
            places[number] = camera.place * (1, 0, 1) + ahead * depth + camera.turn[0] * (1, 0, 1) * sideways
        if number and rng.random() < 0.12:
            places[number, 1] = rng.uniform(0, 0.9)  # in a jump
    return places


def draw_window(rng: np.random.Generator, flat: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of the camera's plane that is the photo: its corner (2,) px and its size; it may cut the person off."""
    low, high = flat[:, :2].min(0), flat[:, :2].max(0)
    side = (high - low).max()
    margins = rng.uniform(0.05, 0.5, 4) * side
    if rng.random() < 0.2:
        cut = rng.integers(4)
        margins[cut] = -rng.uniform(0, 0.35) * (high - low)[cut % 2]
    corner = np.floor(low - margins[:2])
    size = np.maximum(np.ceil(high + margins[2:]) - corner, 16).astype(int)
    return corner, (int(size[0]), int(size[1]))


def with_occluders(rng: np.random.Generator, rendered: Rendered, person: int, chance: float) -> Rendered:
    """The image with things in front of a person, at a chance for each of up to two."""
    image, owners = rendered.image.copy(), rendered.owners.copy()
    while rng.random() < chance:
        box = boxes_of(rendered.owners, person + 1)[0][person]
        covered = add_occluder(rng, image, box)
        owners[np.repeat(np.repeat(covered, FINE, 0), FINE, 1)] = COVERED
        chance /= 3
    return rendered._replace(image=image, owners=owners)


def boxes_of(owners: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Tight boxes (N, 4) px and areas (N,) px^2 of the first people, of what is seen of them; 0 where nothing is."""
    boxes, areas = np.zeros((count, 4), np.float32), np.zeros(count, np.float32)
    for number in range(count):
        mask = owners == number
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        if len(rows):
            edges = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            boxes[number] = edges / FINE - 0.5
            areas[number] = mask.sum() / FINE**2
    return boxes, areas


def photo_mask(view: View, photo_size: tuple[int, int]) -> np.ndarray:
    """Where in the image (H, W) uint8 the photo of a size (W, H) is, 255 there."""
    width, height = photo_size
    edges = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    corners = np.round(transform_points(edges, view.matrix) * 16).astype(np.int32)
    mask = np.zeros(view.size[::-1], np.uint8)
    return cv2.fillConvexPoly(mask, corners, (255,), cv2.LINE_8, 4)


def cut_off(rendered: Rendered, inside: np.ndarray) -> Rendered:
    """The image with nobody outside of the photo, a mask (H, W)."""
    outside = cv2.resize(inside, rendered.owners.shape[::-1], interpolation=cv2.INTER_NEAREST) == 0
    return rendered._replace(owners=np.where(outside, np.int16(COVERED), rendered.owners))
