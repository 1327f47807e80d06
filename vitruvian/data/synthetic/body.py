"""A synthetic person's measures, and a pose laid out with them: joints, and the frames of head, hands and feet.

Lengths are metres, y up; a body that looks towards +z has its left towards +x. A frame is three unit vectors, a row
each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vitruvian.data.synthetic.poses import (
    PARENTS,
    J,
    across,
    chest_frame,
    cross,
    pelvis_frame,
    rotation,
    unit,
)

# Shares of a person's height, after Drillis and Contini (Body segment parameters, 1966).
THIGH, SHANK, FOOT = 0.245, 0.24, 0.11
TRUNK, HIP_DROP, HEAD_TOP, HEAD = 0.245, 0.059, 0.165, 0.13
UPPER_ARM, FOREARM, HAND = 0.172, 0.15, 0.105
HIP_WIDTH, SHOULDER_WIDTH = 0.053, 0.107  # of one side
SOLE = math.radians(38)
"""Angle between the sole and the line from ankle to toes."""

SPINE_LENGTHS = {"spine": TRUNK / 3, "thorax": TRUNK / 3, "neck": TRUNK / 3}
LENGTHS = {
    **SPINE_LENGTHS,
    "head_top": HEAD_TOP,
    **{f"{side}_{name}": share for side in ("left", "right") for name, share in (
        ("knee", THIGH), ("ankle", SHANK), ("toe", FOOT), ("elbow", UPPER_ARM), ("wrist", FOREARM)
    )},
}  # fmt: skip

FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
KNUCKLES = np.array([[0.12, 0.13, 0.03], [0.48, 0.14, 0], [0.5, 0.045, 0], [0.47, -0.05, 0], [0.42, -0.135, 0]])
"""Where the fingers begin, (5, 3): along the hand, towards the thumb, out of the palm; the hand's length is 1."""
PHALANGES = np.array([[0.2, 0.15, 0.12], [0.22, 0.14, 0.11], [0.24, 0.15, 0.11], [0.22, 0.14, 0.11], [0.17, 0.1, 0.09]])
FANNED = np.array([0.75, 0.12, 0.02, -0.08, -0.2])
"""Radians by which fingers lean towards the thumb's side."""


@dataclass(frozen=True)
class Shape:
    """A body's measures; factors are 1 for an average adult."""

    height: float  # m
    trunk: float  # factor on lengths
    legs: float
    arms: float
    head: float
    shoulders: float  # factors on widths
    hips: float
    limbs: float  # factor on limbs' thickness
    belly: float  # factor on the trunk's thickness
    chest: float


def draw_shape(rng: np.random.Generator) -> Shape:
    """A random person: one in eight is a child."""
    child = rng.random() < 0.12
    fat = float(np.clip(rng.normal(0.02, 0.11), -0.2, 0.32))
    female = rng.random() < 0.5
    height = rng.uniform(0.95, 1.5) if child else rng.normal(1.66 if female else 1.78, 0.07)
    young = max(0.0, (1.5 - height) / 0.5) if child else 0.0

    def about(mean: float, deviation: float) -> float:
        return float(rng.normal(mean, deviation))

    return Shape(
        height=float(height),
        trunk=about(1.0, 0.03),
        legs=about(1.0 - 0.08 * young, 0.03),
        arms=about(1.0 - 0.05 * young, 0.035),
        head=about(1.0 + 0.4 * young, 0.04),
        shoulders=about(0.95 if female else 1.06, 0.05) * (1 + 0.15 * fat),
        hips=about(1.06 if female else 0.97, 0.05) * (1 + 0.4 * fat),
        limbs=about(1.0, 0.07) * (1 + 0.75 * fat),
        belly=about(0.97, 0.05) * (1 + 1.1 * fat),
        chest=about(1.12 if female else 1.0, 0.06) * (1 + 0.5 * fat),
    )


@dataclass(frozen=True, eq=False)
class Body:
    """A person in a pose."""

    shape: Shape
    joints: np.ndarray  # (19, 3) m, as `poses.JOINTS`
    pelvis: np.ndarray  # (3, 3) frames: left, up, forward
    chest: np.ndarray
    head: np.ndarray
    hands: dict[str, np.ndarray]  # by side: along the hand, towards the thumb, out of the palm
    fingers: dict[str, np.ndarray]  # by side: (5, 4, 3) m, from the knuckles to the tips
    feet: dict[str, np.ndarray]  # by side: left, up, forward of the foot


def make_body(rng: np.random.Generator, pose: np.ndarray, shape: Shape) -> Body:
    """A person of this shape in a pose (19, 3); what the pose does not say, face, hands and toes, is drawn."""
    joints = laid_out(pose, shape)
    pelvis, chest = pelvis_frame(joints), chest_frame(joints)
    hands = {side: hand_frame(rng, joints, chest, side) for side in ("left", "right")}
    length = HAND * shape.height * shape.arms
    fingers = {side: draw_fingers(rng, joints[J[f"{side}_wrist"]], frame, length) for side, frame in hands.items()}
    feet = {side: foot_frame(joints, pelvis, side) for side in ("left", "right")}
    return Body(shape, joints, pelvis, chest, head_frame(rng, joints, chest), hands, fingers, feet)


def laid_out(pose: np.ndarray, shape: Shape) -> np.ndarray:
    """The pose (19, 3) with the bones of a person, the pelvis at the origin."""
    height = shape.height
    joints = np.zeros((19, 3))
    pelvis = pelvis_frame(pose)
    neck_frame = chest_frame(pose)
    for name, parent in PARENTS.items():
        bone = pose[J[name]] - pose[J[parent]]
        side = 1 if name.startswith("left") else -1
        if name.endswith("hip"):
            bone = (side * HIP_WIDTH * shape.hips * pelvis[0] - HIP_DROP * pelvis[1]) * height
        elif name.endswith("shoulder"):
            # Shrugged and drawn forward as captured, as wide as the person is.
            captured = neck_frame @ bone / 0.19
            captured[0] = side * np.clip(side * captured[0], 0.8, 1.1)
            captured[1:] = np.clip(captured[1:], (-0.45, -0.4), (0.35, 0.5))
            bone = SHOULDER_WIDTH * shape.shoulders * height * captured @ neck_frame
        else:
            factor = shape.trunk if name in SPINE_LENGTHS else shape.legs
            factor = shape.arms if name.endswith(("elbow", "wrist")) else factor
            factor = (1 + 2 * shape.head) / 3 if name == "head_top" else factor
            bone = unit(bone) * LENGTHS[name] * height * factor
        joints[J[name]] = joints[J[parent]] + bone
    return joints


def head_frame(rng: np.random.Generator, joints: np.ndarray, chest: np.ndarray) -> np.ndarray:
    """Left, up and forward of the head: it looks where the chest does, turned a little."""
    up = unit(joints[J["head_top"]] - joints[J["neck"]])
    forward = across(chest[2] + 0.05 * chest[1], up)
    turn = float(np.clip(rng.normal(0, 28), -75, 75))
    forward = rotation(up, math.radians(turn)) @ forward
    return np.stack([cross(up, forward), up, forward])


def hand_frame(rng: np.random.Generator, joints: np.ndarray, chest: np.ndarray, side: str) -> np.ndarray:
    """Along the hand, towards the thumb, out of the palm: turned with the forearm and bent at the wrist, at random."""
    shoulder, elbow, wrist = (joints[J[f"{side}_{name}"]] for name in ("shoulder", "elbow", "wrist"))
    along = unit(wrist - elbow)
    thumb = across(0.35 * chest[2] - unit(elbow - shoulder) + 1e-3 * chest[1], along)
    turn = math.radians(float(np.clip(rng.normal(0, 45), -85, 85)))
    thumb = rotation(along, turn) @ thumb
    palm = cross(along, thumb) if side == "left" else cross(thumb, along)
    for axis, deviation in ((thumb, 22), (palm, 9)):
        matrix = rotation(axis, math.radians(rng.normal(0, deviation)))
        along, thumb, palm = matrix @ along, matrix @ thumb, matrix @ palm
    return np.stack([along, thumb, palm])


def draw_fingers(rng: np.random.Generator, wrist: np.ndarray, hand: np.ndarray, length: float) -> np.ndarray:
    """Fingers (5, 4, 3) m of a hand at `wrist` (3,): flat, at ease, or a fist."""
    curl = rng.choice([0.08, 0.35, 1.2], p=[0.4, 0.4, 0.2]) + rng.normal(0, 0.08, 5)
    curl[0] *= 0.45
    lean = FANNED * rng.uniform(0.5, 1.8) if curl[1] < 0.6 else FANNED * 0.4
    lean[0] = 0.65
    bends = np.cumsum(np.maximum(curl, 0)[:, None] * (0.8, 1.1, 0.8), 1)  # (5, 3) rad, of the phalanges
    straight = np.cos(bends)
    steps = np.stack([straight * np.cos(lean)[:, None], straight * np.sin(lean)[:, None], np.sin(bends)], -1)
    steps = steps * PHALANGES[..., None]
    local = KNUCKLES[:, None] + np.concatenate([np.zeros((5, 1, 3)), np.cumsum(steps, 1)], 1)
    return wrist + length * local @ hand


def foot_frame(joints: np.ndarray, pelvis: np.ndarray, side: str) -> np.ndarray:
    """Left, up and forward of a foot; up is away from the sole."""
    knee, ankle, toe = (joints[J[f"{side}_{name}"]] for name in ("knee", "ankle", "toe"))
    shank, to_toe = unit(ankle - knee), unit(toe - ankle)
    left = across(cross(to_toe, shank) + 0.3 * pelvis[0] + 1e-3 * pelvis[1], to_toe)
    forward = to_toe * math.cos(SOLE) + cross(to_toe, left) * math.sin(SOLE)
    return np.stack([left, cross(forward, left), forward])
