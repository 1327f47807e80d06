"""Where things are: THE pixel convention, boxes, affine matrices and mirroring.

The convention, for every coordinate of the library: x to the right, y down, an integer is the CENTRE of a pixel, (0, 0)
the centre of the first one. A photo of W = 4 pixels covers [-0.5, 3.5]:

        -0.5     0.5     1.5     2.5     3.5
          |-------|-------|-------|-------|
          |   0   |   1   |   2   |   3   |        x of the pixel centres
          |-------|-------|-------|-------|
    mirror:   3       2       1       0            x -> W - 1 - x

A map with one cell for s x s pixels may lie over the photo in two ways, and a network learns one of them:

    "pixel" (MSRA, DARK, SAR, regression): cell = pixel / s                    cell 0 is pixel 0, cell 1 is pixel s
    "udp": cell = pixel * (w - 1) / (W - 1), first and last cell on the        cell 0 is pixel 0, cell w-1 is W-1
           first and last pixel

The same two families exist for the crop (`crop_matrix`): "pixel" maps the box's extent to the W pixels, "udp" to the
W - 1 steps between the first and the last pixel centre.

Boxes are x0 y0 x1 y1, sizes (width, height). Matrices are (3, 3) float64 and act on columns (x, y, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vitruvian.errors import expect
from vitruvian.sample import People

Affine = Literal["pixel", "udp"]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

BOX_SHARE = 0.53
"""Area of a person as a share of the box, where a data set does not say it (as in CrowdPose's evaluation)."""


@dataclass(frozen=True)
class Framing:
    """How a photo reaches a network.

    Attributes:
        size: width and height of the network's input, px.
        kind: "crop", one person's box at a time; or "photo", the whole photo with everybody in it.
        padding: what a person's box is enlarged by, as a factor of its sides (crop).
        affine: the family of the crop's matrix, see the module's docstring.
        multiple: width and height are padded to a multiple of this, px (photo).
        mean: taken off the R, G and B of a pixel, 0 to 255.
        std: what R, G and B are divided by after that.
    """

    size: tuple[int, int] = (192, 256)
    kind: Literal["crop", "photo"] = "crop"
    padding: float = 1.25
    affine: Affine = "pixel"
    multiple: int = 32
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        expect(min(self.size) >= 2, "size", self.size, "a width and a height of 2 px or more")
        expect(self.padding > 0, "padding", self.padding, "a factor above 0")
        expect(self.multiple >= 1, "multiple", self.multiple, "1 px or more")
        expect(min(self.std) > 0, "std", self.std, "numbers above 0: pixels are divided by them")


def boxes_from_xywh(boxes: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) x y w h -> x0 y0 x1 y1."""
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], -1)


def clip_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Corners of boxes (..., 4) moved into [0, W - 1] x [0, H - 1] of a photo of `size` (W, H)."""
    limit = np.array([size[0] - 1, size[1] - 1, size[0] - 1, size[1] - 1], np.float64)
    return np.minimum(np.maximum(boxes, 0), limit)


def centre_and_scale(boxes: np.ndarray, padding: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres (..., 2) px and padded sizes (..., 2) px (width, height) of boxes (..., 4)."""
    boxes = np.asarray(boxes, np.float64)
    return (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) * padding


def fix_aspect(scale: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop sizes (..., 2) px with the shorter side grown to the aspect ratio of `size` (W, H)."""
    aspect = size[0] / size[1]
    return np.maximum(scale, scale[..., ::-1] * (aspect, 1 / aspect))


def crop_matrix(
    centre: np.ndarray,
    scale: np.ndarray,
    size: tuple[int, int],
    rotation: float = 0.0,
    affine: Affine = "pixel",
) -> np.ndarray:
    """The matrix (3, 3) from photo pixels to pixels of a crop.

    Args:
        centre: (2,) px, what the crop looks at.
        scale: (2,) px, width and height of the crop in the photo, of the aspect ratio of `size` (`fix_aspect`).
        size: (W, H) of the crop.
        rotation: degrees; the crop's frame is turned by it, clockwise on the screen for "pixel". The two families turn
            in opposite senses, as in the code whose weights they serve.
        affine: the family, see the module's docstring.
    """
    # Plain numbers: for a few of them numpy takes longer to be called than to compute.
    (x, y), (width, height) = centre.tolist(), scale.tolist()
    cosine, sine = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    if affine == "pixel":
        factor_x = factor_y = size[0] / width
        sine = -sine
        target_x, target_y = size[0] / 2, size[1] / 2
    else:
        factor_x, factor_y = (size[0] - 1) / width, (size[1] - 1) / height
        target_x, target_y = (size[0] - 1) / 2, (size[1] - 1) / 2
    xx, xy = factor_x * cosine, -factor_x * sine
    yx, yy = factor_y * sine, factor_y * cosine
    return np.array([[xx, xy, target_x - xx * x - xy * y], [yx, yy, target_y - yx * x - yy * y], [0, 0, 1]])


def box_matrix(box: np.ndarray, framing: Framing) -> np.ndarray:
    """The matrix (3, 3) from photo pixels to the plain crop of a box (4,) px."""
    centre, scale = centre_and_scale(box, framing.padding)
    return crop_matrix(centre, fix_aspect(scale, framing.size), framing.size, 0.0, framing.affine)


def reduction_for(matrix: np.ndarray) -> int:
    """The largest of 1, 2, 4, 8 by which a photo may be shrunk in reading before `matrix` enlarges it again."""
    factor = math.sqrt(abs(determinant(matrix)))
    return next((reduction for reduction in (8, 4, 2) if factor * reduction <= 1), 1)


def reach(to_photo: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """How many columns and rows of a photo, from its top left corner, are all that a crop can show.

    Args:
        to_photo: (3, 3), pixels of the crop to pixels of the photo.
        size: (W, H) of the crop.
    """
    right, bottom = (
        offset + max(0.0, x * (size[0] - 1)) + max(0.0, y * (size[1] - 1)) for x, y, offset in to_photo[:2].tolist()
    )
    return max(1, math.ceil(right) + 2), max(1, math.ceil(bottom) + 2)


def from_reduced(reduction: int) -> np.ndarray:
    """The matrix (3, 3) from pixels of a photo read at 1 / reduction to its full pixels."""
    offset = (reduction - 1) / 2
    return np.array([[reduction, 0, offset], [0, reduction, offset], [0, 0, 1.0]])


def determinant(matrix: np.ndarray) -> float:
    """By what an affine (3, 3) multiplies areas; negative where it mirrors."""
    (a, b, _), (c, d, _) = matrix[:2].tolist()
    return a * d - b * c


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse (3, 3) of an affine (3, 3)."""
    (a, b, x), (c, d, y) = matrix[:2].tolist()
    area = a * d - b * c
    a, b, c, d = d / area, -b / area, -c / area, a / area
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y], [0, 0, 1]])


def mirror_matrix(width: int) -> np.ndarray:
    """The matrix (3, 3) of the mirror of an image `width` pixels wide: x -> width - 1 - x."""
    return np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2 or more) with their first two coordinates sent through an affine (3, 3); further ones stay."""
    moved = points[..., :2] @ matrix[:2, :2].T + matrix[:2, 2]
    if points.shape[-1] == 2:
        return moved
    return np.concatenate([moved, points[..., 2:]], -1)


def transform_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The upright boxes (N, 4) round the transformed corners of `boxes` (N, 4)."""
    boxes = np.asarray(boxes, np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:2, :2].T + matrix[:2, 2]
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 @ np.abs(matrix[:2, :2].T)
    return np.concatenate([centres - halves, centres + halves], -1)


def transform_people(people: People, matrix: np.ndarray, mirror: tuple[int, ...]) -> People:
    """People seen through an affine (3, 3); where it mirrors, left and right joints change places.

    Depths stay, and so do cameras, which are the photo's.

    Args:
        people: of numpy arrays, in the frame that `matrix` starts from.
        matrix: (3, 3); its determinant says whether it mirrors.
        mirror: K indices, the joint that each joint becomes in a mirror.
    """
    area = determinant(matrix)
    keypoints = transform_points(people.keypoints, matrix).astype(np.float32)
    visibility = people.visibility
    if area < 0:
        order = list(mirror)
        keypoints, visibility = keypoints[:, order], visibility[:, order]
    factor = abs(area)
    return replace(
        people,
        keypoints=keypoints,
        visibility=visibility,
        boxes=transform_boxes(people.boxes, matrix).astype(np.float32),
        areas=(people.areas * factor).astype(np.float32),
        head_sizes=None if people.head_sizes is None else people.head_sizes * np.float32(math.sqrt(factor)),
    )
