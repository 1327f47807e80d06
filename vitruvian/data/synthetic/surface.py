"""The surface of a synthetic person: tubes round the bones, a head with a face, hands, feet, clothes, as triangles.

Every point carries three numbers that its colour is found by, metres: on the body how far it lies round the part, how
far along it, and towards the front (1) or the back (-1); on the head left, up from the chin and forward, the head's
height being 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vitruvian.data.synthetic.body import (
    FOREARM,
    HAND,
    HEAD,
    SHANK,
    SHOULDER_WIDTH,
    THIGH,
    UPPER_ARM,
    Body,
)
from vitruvian.data.synthetic.poses import J, across, cross, unit
from vitruvian.data.synthetic.tubes import Mesh, Tube, circle, limb, limb_line, topology, tube

(
    TORSO,
    LEFT_ARM,
    RIGHT_ARM,
    LEFT_LEG,
    RIGHT_LEG,
    LEFT_HAND,
    RIGHT_HAND,
    LEFT_FOOT,
    RIGHT_FOOT,
    HEAD_PART,
    HAIR,
    SKIRT,
) = range(12)
NUM_PARTS = 12


class Garments(NamedTuple):
    """What clothes change of a body's surface."""

    sleeve: float  # length in shares of the arm, 0 to 1
    sleeve_ease: float  # factor on radii under cloth
    trouser: float  # length in shares of the leg, 0 to 1
    trouser_ease: float
    shirt_ease: float
    skirt: float  # length in shares of the leg; 0: none
    flare: float  # how much wider a skirt becomes
    hair: float  # how far hair falls below the chin's height, in head heights; negative: above it
    volume: float  # hair's thickness in head heights
    shoe: float  # factor on a foot's size


# Rings of the trunk from the neck down: place on the spine from hips (0) to neck (1); half width, depth of the front
# and of the back, shares of the height.
TRUNK = np.array(
    [
        [1.12, 0.031, 0.031, 0.034],
        [1.02, 0.035, 0.033, 0.038],
        [0.97, 0.062, 0.038, 0.044],
        [0.91, 0.100, 0.046, 0.050],
        [0.82, 0.106, 0.060, 0.058],
        [0.69, 0.096, 0.068, 0.058],
        [0.56, 0.086, 0.062, 0.052],
        [0.44, 0.080, 0.058, 0.047],
        [0.30, 0.083, 0.058, 0.050],
        [0.16, 0.091, 0.058, 0.060],
        [0.03, 0.097, 0.056, 0.070],
        [-0.09, 0.088, 0.050, 0.066],
        [-0.17, 0.040, 0.036, 0.046],
        [-0.18, 0.003, 0.003, 0.003],
    ]
)
# Place along the limb (1: elbow or knee, 2: wrist or ankle) and radius in shares of the height.
ARM = np.array(
    [
        [-0.16, 0.004],
        [-0.14, 0.018],
        [-0.06, 0.029],
        [0.08, 0.032],
        [0.25, 0.030],
        [0.45, 0.0285],
        [0.7, 0.0255],
        [0.9, 0.0225],
        [1.0, 0.022],
        [1.12, 0.0235],
        [1.3, 0.0240],
        [1.55, 0.0205],
        [1.8, 0.0160],
        [1.95, 0.0145],
        [2.02, 0.0145],
    ]
)
LEG = np.array(
    [
        [-0.14, 0.006],
        [-0.1, 0.036],
        [0.0, 0.050],
        [0.12, 0.0525],
        [0.3, 0.049],
        [0.55, 0.043],
        [0.8, 0.0355],
        [0.94, 0.0325],
        [1.02, 0.0315],
        [1.12, 0.031],
        [1.28, 0.0335],
        [1.45, 0.0315],
        [1.65, 0.0255],
        [1.85, 0.0200],
        [1.98, 0.0190],
        [2.06, 0.0185],
    ]
)
# From the top down: height above the chin, half width, depth of the front and of the back; the head's height is 1.
SKULL = np.array(
    [
        [1.0, 0.02, 0.02, 0.02],
        [0.975, 0.15, 0.15, 0.19],
        [0.92, 0.25, 0.26, 0.33],
        [0.82, 0.32, 0.345, 0.42],
        [0.70, 0.345, 0.385, 0.44],
        [0.58, 0.35, 0.395, 0.43],
        [0.48, 0.345, 0.375, 0.40],
        [0.40, 0.335, 0.385, 0.36],
        [0.33, 0.325, 0.385, 0.30],
        [0.24, 0.305, 0.375, 0.20],
        [0.15, 0.27, 0.37, 0.10],
        [0.06, 0.20, 0.36, 0.02],
        [0.0, 0.12, 0.335, -0.08],
        [-0.015, 0.02, 0.27, -0.18],
    ]
)
NOSE = np.array([0, 0, 0, 0, 0, 0.0, 0.03, 0.09, 0.13, 0.0, 0, 0, 0, 0])
EAR_HEIGHT = 0.46


def build_surface(body: Body, garments: Garments) -> Mesh:
    """The triangles of one person."""
    tubes = [trunk(body, garments)]
    for side in ("left", "right"):
        tubes += [arm(body, garments, side), leg(body, garments, side), *hand(body, side), foot(body, garments, side)]
    tubes += head(body, garments)
    if garments.skirt:
        tubes.append(skirt(body, garments))
    shapes = tuple((tube.points.shape[0], tube.points.shape[1], tube.part) for tube in tubes)
    triangles, parts, around = topology(shapes)
    points = np.concatenate([tube.points.reshape(-1, 3) for tube in tubes])
    places = np.concatenate([tube.places.reshape(-1, 3) for tube in tubes])
    return Mesh(points, triangles, parts, places, around)


def trunk(body: Body, garments: Garments) -> Tube:
    """From the neck to the crotch, turned from the frame of the chest to that of the pelvis."""
    shape, joints, height = body.shape, body.joints, body.shape.height
    hips = (joints[J["left_hip"]] + joints[J["right_hip"]]) / 2
    line = np.stack([hips - 0.2 * (joints[J["neck"]] - hips), hips, joints[0], *joints[J["spine"] : J["head_top"]]])
    line[0] = hips - 0.06 * height * body.pelvis[1]
    top = joints[J["neck"]] + 0.3 * (joints[J["head_top"]] - joints[J["neck"]])
    line = np.concatenate([line, top[None]])
    knots = np.array([-0.2, 0, 0.2, 0.465, 0.735, 1.0, 1.17])
    share, half, front, back = TRUNK.T
    centres = np.stack([np.interp(share, knots, line[:, axis]) for axis in range(3)], -1)
    turn = np.clip((share - 0.05) / 0.75, 0, 1)[:, None]
    up = unit(np.gradient(-centres, axis=0))
    left = (1 - turn) * body.pelvis[0] + turn * body.chest[0]
    left = unit(left - (left * up).sum(1, keepdims=True) * up)
    forward = cross(left, up)
    apart = body.joints[J["left_shoulder"]] - body.joints[J["right_shoulder"]]
    apart = np.sqrt(apart @ apart) / (2 * SHOULDER_WIDTH * height)
    wide = np.interp(
        share, [0.1, 0.4, 0.7, 0.85, 1.0], [shape.hips, shape.belly, (shape.shoulders + shape.chest) / 2, apart, 1.0]
    )
    wide = wide * np.interp(share, [-0.1, 0.0, 0.85, 0.95], [1, garments.trouser_ease**0.3, garments.shirt_ease, 1])
    deep = np.interp(share, [0.1, 0.35, 0.5, 0.68, 0.95], [shape.hips, shape.belly, shape.belly, shape.chest, 1.0])
    a = height * (half * wide)[:, None] * left
    front, back = height * front * deep, height * back * (1 + deep) / 2
    cosine, sine = circle(16, 0.75)
    depth = np.where(sine > 0, front[:, None], back[:, None]) * sine
    points = centres[:, None] + cosine[:, None] * a[:, None] + depth[..., None] * forward[:, None]
    # The shoulders' slopes follow the shoulders.
    middle = (joints[J["left_shoulder"]] + joints[J["right_shoulder"]]) / 2
    raised = (middle - joints[J["neck"]]) @ body.chest[1] + 0.02 * height
    points += (np.interp(share, [0.7, 0.9, 1.0], [0, 1, 0]) * raised)[:, None, None] * body.chest[1]
    places = np.empty_like(points)
    places[..., 0] = cosine * height * half[:, None]
    places[..., 1] = (share * 0.304 * height * shape.trunk)[:, None]
    places[..., 2] = sine
    return Tube(points, places, TORSO)


def arm(body: Body, garments: Garments, side: str) -> Tube:
    """From the shoulder to the wrist, with its sleeve."""
    height, shape = body.shape.height, body.shape
    joints = [body.joints[J[f"{side}_{name}"]] for name in ("shoulder", "elbow", "wrist")]
    outwards = body.chest[0] if side == "left" else -body.chest[0]
    share, radius = ARM.T
    upper, lower = joints[1] - joints[0], joints[2] - joints[1]
    axis = cross(unit(upper), unit(lower))
    axis = unit(axis + 0.12 * across(-body.chest[0] + 1e-3 * body.chest[2], unit(upper)))
    line = limb_line((joints[0], joints[1], joints[2]), share, 0.5 * upper + outwards * np.linalg.norm(upper) * 0.5)
    ease = covered(share, 2 * garments.sleeve, garments.sleeve_ease)
    along = np.where(share < 1, share * UPPER_ARM, UPPER_ARM + (share - 1) * FOREARM) * height * shape.arms
    part = LEFT_ARM if side == "left" else RIGHT_ARM
    return limb(line, radius * height * shape.limbs * ease, axis, part, along, np.zeros(len(share)))


def leg(body: Body, garments: Garments, side: str) -> Tube:
    """From the hip to the ankle, with its trouser."""
    height, shape = body.shape.height, body.shape
    joints = [body.joints[J[f"{side}_{name}"]] for name in ("hip", "knee", "ankle")]
    share, radius = LEG.T
    thigh, shank = joints[1] - joints[0], joints[2] - joints[1]
    axis = cross(unit(thigh), unit(shank)) + 0.15 * across(body.pelvis[0] + 1e-3 * body.pelvis[2], unit(thigh))
    line = limb_line(
        (joints[0], joints[1], joints[2]), share, 0.5 * thigh - body.pelvis[1] * np.linalg.norm(thigh) * 0.5
    )
    ease = covered(share, 2 * garments.trouser, garments.trouser_ease)
    along = np.where(share < 1, share * THIGH, THIGH + (share - 1) * SHANK) * height * shape.legs
    back = height * np.interp(share, [1.0, 1.3, 1.7, 2.0], [0.0, 0.010, 0.004, 0.0])  # the calf
    thick = np.interp(share, [0, 0.5, 1], [(shape.hips + shape.limbs) / 2, shape.limbs, shape.limbs])
    part = LEFT_LEG if side == "left" else RIGHT_LEG
    return limb(line, radius * height * thick * ease, unit(axis), part, along, back)


def covered(share: np.ndarray, length: float, ease: float) -> np.ndarray:
    """Factors on radii: cloth up to `length`, wider towards its end, skin behind it."""
    return np.where(share < length, 1 + (ease - 1) * np.clip(0.6 + 0.5 * share, 0, 1.4), 1.0)


def hand(body: Body, side: str) -> list[Tube]:
    """The palm and five fingers."""
    frame, fingers, wrist = body.hands[side], body.fingers[side], body.joints[J[f"{side}_wrist"]]
    length = HAND * body.shape.height * body.shape.arms
    thick = length * body.shape.limbs**0.5
    part = LEFT_HAND if side == "left" else RIGHT_HAND
    along, thumb, palm = frame
    b_sign = 1.0 if cross(thumb, palm) @ along > 0 else -1.0
    share = np.array([-0.06, 0.0, 0.18, 0.36, 0.5, 0.52])
    half = np.array([0.12, 0.13, 0.17, 0.2, 0.195, 0.1])
    deep = np.array([0.09, 0.09, 0.09, 0.075, 0.055, 0.02])
    centres = wrist + length * share[:, None] * along + length * 0.01 * thumb
    a, b = thick * half[:, None] * thumb, thick * deep[:, None] * palm * b_sign
    tubes = [tube(centres, a, b, part, share * length, 8)]
    # All fingers at once: the same four rings each, with a round tip.
    lines = np.concatenate([fingers, fingers[:, 3:] + 0.25 * (fingers[:, 3:] - fingers[:, 2:3])], 1)
    tangents = unit(np.gradient(lines, axis=1))
    sides = unit(thumb - (tangents @ thumb)[..., None] * tangents + 1e-3 * palm)
    radius = thick * np.array([0.058, 0.052, 0.048, 0.04, 0.012]) * np.array([1.2, 1, 1, 0.95, 0.8])[:, None]
    for line, tangent, sideways, r in zip(lines, tangents, sides, radius):
        tubes.append(
            tube(line, r[:, None] * sideways, r[:, None] * cross(tangent, sideways), part, length * share[:5], 5)
        )
    return tubes


def foot(body: Body, garments: Garments, side: str) -> Tube:
    """A foot or a shoe, from the heel to the toes."""
    left, up, forward = body.feet[side]
    size = body.shape.height * garments.shoe * (body.shape.legs + 1) / 2
    ankle = body.joints[J[f"{side}_ankle"]]
    inwards = -left if side == "left" else left
    share = np.array([-0.044, -0.04, -0.025, 0.0, 0.03, 0.065, 0.09, 0.108, 0.117, 0.119])
    half = np.array([0.004, 0.014, 0.019, 0.0195, 0.0205, 0.025, 0.0265, 0.022, 0.012, 0.004])
    top = np.array([-0.02, -0.008, 0.012, 0.018, 0.004, -0.012, -0.02, -0.025, -0.03, -0.034])
    bottom = np.array([-0.03, -0.041, -0.043, -0.043, -0.041, -0.043, -0.043, -0.042, -0.04, -0.036])
    centres = ankle + size * (
        share[:, None] * forward
        + ((top + bottom) / 2)[:, None] * up
        + 0.004 * np.clip(share * 12, 0, 1)[:, None] * inwards
    )
    a, b = size * half[:, None] * left, size * ((top - bottom) / 2)[:, None] * up
    part = LEFT_FOOT if side == "left" else RIGHT_FOOT
    return tube(centres, a, b, part, share * body.shape.height, 10)


def head_base(body: Body) -> tuple[np.ndarray, float]:
    """The chin's height on the axis of the skull (3,) m, and the head's height in metres."""
    size = HEAD * body.shape.height * body.shape.head
    return body.joints[J["head_top"]] - size * body.head[1], size


def head(body: Body, garments: Garments) -> list[Tube]:
    """The skull with a face, two ears, and the hair."""
    left, up, forward = body.head
    base, size = head_base(body)
    rise, half, front, back = SKULL.T
    cosine, sine = circle(16, 0.75)
    local = np.empty((len(rise), len(sine), 3))
    local[..., 0] = half[:, None] * cosine
    local[..., 1] = rise[:, None]
    local[..., 2] = np.where(sine > 0, front[:, None], back[:, None]) * sine
    local[:, 8, 2] += NOSE
    tubes = [Tube(base + size * local @ body.head, local, HEAD_PART)]
    share = np.array([-0.085, -0.08, 0.0, 0.08, 0.085])
    for sign in (1.0, -1.0):
        centre = base + size * (sign * 0.345 * left + (EAR_HEIGHT + share[:, None]) * up - 0.02 * forward)
        a = np.array([0.005, 0.02, 0.03, 0.035, 0.01])[:, None] * size * left
        b = -np.array([0.01, 0.04, 0.055, 0.07, 0.01])[:, None] * size * forward
        ear = tube(centre, a, b, HEAD_PART, share, 6)
        ear.places[:] = (0, -1, 0)  # skin, wherever the face's colours would be
        tubes.append(ear)
    if garments.volume:
        tubes.append(hair(body, garments, base, size))
    return tubes


def hair(body: Body, garments: Garments, base: np.ndarray, size: float) -> Tube:
    """A shell behind and above the face that falls to a length."""
    rise, half, front, back = SKULL[:9].T
    low = min(garments.hair, 0.3)
    rise = np.concatenate([rise, np.linspace(0.27, low, 4)])
    half, front, back = (np.concatenate([v, np.full(4, last)]) for v, last in ((half, 0.3), (front, 0.0), (back, 0.33)))
    v = garments.volume
    cosine, sine = circle(16, 0.75)
    shell = np.where(rise > 0.72, 1.0, 0.0)  # above the forehead it goes all round
    local = np.empty((len(rise), len(sine), 3))
    local[..., 0] = (half + v)[:, None] * cosine
    local[..., 1] = rise[:, None] + v * (rise > 0.9)[:, None]
    behind = np.minimum(sine, 0.1)
    full = np.where(sine > 0, (front + v * 0.8)[:, None], (back + v)[:, None]) * sine
    local[..., 2] = np.where(shell[:, None] > 0, full, (back + v)[:, None] * behind)
    return Tube(base + size * local @ body.head, local, HAIR)


def skirt(body: Body, garments: Garments) -> Tube:
    """From the waist round both thighs."""
    height, shape, joints = body.shape.height, body.shape, body.joints
    share = np.linspace(0, 2 * garments.skirt, 9)
    lines = [
        limb_line(tuple(joints[J[f"{side}_{name}"]] for name in ("hip", "knee", "ankle")), share, np.zeros(3))  # type: ignore[arg-type]
        for side in ("left", "right")
    ]
    centres, half = (lines[0] + lines[1]) / 2, (lines[0] - lines[1]) / 2
    tangent = unit(np.gradient(centres, axis=0))
    wide = np.sqrt((half * half).sum(1))
    a = unit(half - (half * tangent).sum(1, keepdims=True) * tangent)
    b = -cross(a, tangent)
    radius = height * (0.052 * shape.hips * (1 + garments.flare * share))
    waist = np.array([0.42, 0.25, 0.08])[:, None] * 0.304 * height
    hips = (joints[J["left_hip"]] + joints[J["right_hip"]]) / 2
    above = hips + waist * body.pelvis[1]
    size = np.array([[0.084, 0.062], [0.095, 0.068], [0.102, 0.073]]) * height
    size *= np.array([shape.belly, (shape.belly + shape.hips) / 2, shape.hips])[:, None] * 1.06
    centres = np.concatenate([above, centres])
    a = np.concatenate([size[:, :1] * body.pelvis[0], (wide + radius)[:, None] * a])
    b = np.concatenate([size[:, 1:] * body.pelvis[2], (1.25 * radius)[:, None] * b])
    along = np.concatenate([-waist[:, 0], share * THIGH * height])
    return tube(centres, a, b, SKIRT, along, 16)
