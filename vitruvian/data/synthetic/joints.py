"""The points of a synthetic body that skeletons are made of, by name: joints, hands of 21, faces of 68, toes, heels."""

from __future__ import annotations

from functools import cache

import numpy as np

from vitruvian.data.synthetic.body import FINGERS, Body
from vitruvian.data.synthetic.poses import J
from vitruvian.data.synthetic.surface import (
    HAIR,
    HEAD_PART,
    LEFT_ARM,
    LEFT_FOOT,
    LEFT_HAND,
    LEFT_LEG,
    RIGHT_ARM,
    RIGHT_FOOT,
    RIGHT_HAND,
    RIGHT_LEG,
    SKIRT,
    SKULL,
    TORSO,
    head_base,
)
from vitruvian.errors import InputError
from vitruvian.skeletons import Skeleton

SIDES = ("left", "right")
PARTS_OF = {  # on which parts of the surface a joint of the left side is seen
    "shoulder": (TORSO, LEFT_ARM),
    "elbow": (LEFT_ARM,),
    "wrist": (LEFT_ARM, LEFT_HAND),
    "hip": (TORSO, LEFT_LEG, SKIRT),
    "knee": (LEFT_LEG, SKIRT),
    "ankle": (LEFT_LEG, LEFT_FOOT),
    "toe": (LEFT_FOOT,),
    "heel": (LEFT_FOOT,),
    "eye": (HEAD_PART,),
    "ear": (HEAD_PART, HAIR),
}
OTHER_SIDE = {LEFT_ARM: RIGHT_ARM, LEFT_HAND: RIGHT_HAND, LEFT_LEG: RIGHT_LEG, LEFT_FOOT: RIGHT_FOOT}
DEPTHS = {  # how far below the surface a joint may lie, shares of the height
    **{"shoulder": 0.045, "elbow": 0.034, "wrist": 0.028, "hip": 0.09, "knee": 0.045, "ankle": 0.036},
    **{"toe": 0.025, "heel": 0.03, "eye": 0.015, "ear": 0.035},
}
TRUNK = (TORSO, LEFT_LEG, RIGHT_LEG, SKIRT)


@cache
def point_names() -> tuple[str, ...]:
    """The names of all points, in the order of `all_points`."""
    sided = [f"{side}_{name}" for side in SIDES for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]
    feet = [f"{side}_{name}" for side in SIDES for name in ("big_toe", "small_toe", "heel")]
    trunk = ["pelvis", "spine", "thorax", "neck", "upper_neck", "neck_base", "head_top"]
    face = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", *(f"face_{i}" for i in range(68))]
    hands = [
        f"{side}_{name}" for side in SIDES for name in ("hand_root", *(f"{f}{i}" for f in FINGERS for i in range(1, 5)))
    ]
    return (*sided, *feet, *trunk, *face, *hands)


ALIASES = {  # what skeletons call the same points
    **{"root": "pelvis", "hip": "pelvis", "head": "head_top", "top_head": "head_top"},
    **{"left_foot": "left_ankle", "right_foot": "right_ankle"},
}


@cache
def indices(skeleton: Skeleton) -> np.ndarray:
    """Where the joints (K,) of a skeleton stand among `point_names`.

    Raises InputError naming the joints that a synthetic body lacks.
    """
    names = {name: index for index, name in enumerate(point_names())}
    found = [names.get(joint, names.get(ALIASES.get(joint, ""), -1)) for joint in skeleton.joints]
    lacking = [joint for joint, index in zip(skeleton.joints, found) if index < 0]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise InputError(
            f"synthetic people have no joint {', '.join(lacking[:3])}{more}, which skeleton {skeleton.name!r} wants; "
            "learn those of lsp, coco, mpii, h36m or coco_wholebody, or from photos alone"
        )
    return np.array(found)


def all_points(body: Body) -> np.ndarray:
    """All points (P, 3) m of a body, as `point_names` names them."""
    joints, height = body.joints, body.shape.height
    sided = [
        joints[J[f"{side}_{name}"]] for side in SIDES for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    ]
    feet = np.concatenate([foot_points(body, side) for side in SIDES])
    hips = (joints[J["left_hip"]] + joints[J["right_hip"]]) / 2
    neck, top = joints[J["neck"]], joints[J["head_top"]]
    shoulders = (joints[J["left_shoulder"]] + joints[J["right_shoulder"]]) / 2
    thorax = 0.6 * shoulders + 0.4 * neck
    upper_neck = neck + 0.3 * (top - neck)
    neck_base = neck + 0.45 * (top - neck) + 0.045 * height * body.head[2]
    trunk = [hips, (hips + thorax) / 2, thorax, neck, upper_neck, neck_base, top]
    base, size = head_base(body)
    face = base + size * face_template() @ body.head
    hands = [np.concatenate([joints[J[f"{side}_wrist"]][None], body.fingers[side].reshape(20, 3)]) for side in SIDES]
    return np.concatenate([np.array(sided), feet, np.array(trunk), face, *hands])


def foot_points(body: Body, side: str) -> np.ndarray:
    """Big toe, small toe and heel (3, 3) m."""
    left, up, forward = body.feet[side]
    inwards = -left if side == "left" else left
    size = body.shape.height * (body.shape.legs + 1) / 2
    places = np.array([[0.016, -0.03, 0.108], [-0.02, -0.032, 0.085], [0, -0.025, -0.038]])
    return body.joints[J[f"{side}_ankle"]] + size * places @ np.stack([inwards, up, forward])


def on_face(across: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Points (N, 3) on the front of the head at places to its left and above the chin, head heights."""
    order = np.argsort(SKULL[:, 0])
    half, front = (np.interp(rise, SKULL[order, 0], SKULL[order, column]) for column in (1, 2))
    forward = front * np.sqrt(np.clip(1 - (across / half) ** 2, 0, 1))
    return np.stack([across, rise, forward], -1)


@cache
def face_template() -> np.ndarray:
    """Nose, eyes, ears and the 68 points of the face (73, 3): left, up from the chin, forward; head heights.

    The 68 are counted as in 300W: the right half of the face comes first.
    """
    jaw = np.linspace(-1, 1, 17)
    jaw_rise = 0.5 * np.abs(jaw) ** 1.7
    order = np.argsort(SKULL[:, 0])
    jaw_half = np.interp(jaw_rise, SKULL[order, 0], SKULL[order, 1])
    chin = np.stack([np.sign(jaw) * jaw_half * np.minimum(1, np.abs(jaw) * 1.15), jaw_rise], -1)
    brow = np.array([[0.25, 0.585], [0.205, 0.61], [0.155, 0.615], [0.105, 0.605], [0.06, 0.59]])
    bridge = np.array([[0, 0.52], [0, 0.46], [0, 0.40], [0, 0.34]])
    nostrils = np.array([[-0.07, 0.31], [-0.035, 0.3], [0, 0.295], [0.035, 0.3], [0.07, 0.31]])
    eye = np.array([[0.205, 0.5], [0.165, 0.527], [0.115, 0.527], [0.075, 0.5], [0.115, 0.478], [0.165, 0.478]])
    lips = [[-0.11, 0.195], [-0.07, 0.222], [-0.025, 0.232], [0, 0.226], [0.025, 0.232], [0.07, 0.222], [0.11, 0.195]]
    below = [[0.07, 0.165], [0.03, 0.155], [0, 0.152], [-0.03, 0.155], [-0.07, 0.165]]
    inner = [[-0.09, 0.195], [-0.03, 0.205], [0, 0.203], [0.03, 0.205], [0.09, 0.195], [0.03, 0.186], [0, 0.184]]
    flip = np.array([-1, 1])
    left_eye = eye[[3, 2, 1, 0, 5, 4]]  # each eye is counted from its own right corner
    flat = np.concatenate(
        [chin, brow * flip, brow[::-1], bridge, nostrils, eye * flip, left_eye, lips, below, inner, [[-0.03, 0.186]]]
    )
    points = on_face(flat[:, 0], flat[:, 1])
    points[:17, 2] = np.where(np.abs(jaw) > 0.4, np.minimum(points[:17, 2], 0.32 * (1 - np.abs(jaw))), points[:17, 2])
    points[28:31, 2] += (0.03, 0.08, 0.11)  # the nose's ridge
    nose = points[30]
    eyes = on_face(np.array([0.14, -0.14]), np.array([0.5, 0.5]))
    ears = np.array([[0.37, 0.46, -0.02], [-0.37, 0.46, -0.02]])
    return np.concatenate([nose[None], eyes, ears, points])


@cache
def seen_on() -> tuple[np.ndarray, np.ndarray]:
    """For each point the parts (P, parts + 1) that it is seen on, and how deep below them it may lie (P,)."""
    names = point_names()
    parts = np.zeros((len(names), 12), bool)
    depth = np.full(len(names), 0.012)
    for index, name in enumerate(names):
        side, _, rest = name.partition("_")
        kind = next((kind for kind in PARTS_OF if rest.endswith(kind)), "")
        if name in ("pelvis", "spine", "thorax"):
            chosen, depth[index] = TRUNK, 0.085
        elif name in ("neck", "upper_neck"):
            chosen, depth[index] = (TORSO, HEAD_PART), 0.055
        elif name in ("head_top", "neck_base"):
            chosen, depth[index] = (HEAD_PART, HAIR, TORSO), 0.06
        elif side not in SIDES:
            chosen = (HEAD_PART,)
        elif kind:
            chosen, depth[index] = PARTS_OF[kind], DEPTHS[kind]
        else:
            chosen = (LEFT_HAND, LEFT_ARM) if rest == "hand_root" else (LEFT_HAND,)
            depth[index] = 0.028 if rest == "hand_root" else 0.013
        if side == "right":
            chosen = [OTHER_SIDE.get(part, part) for part in chosen]
        parts[index, list(chosen)] = True
    return parts, depth
