"""Poses for synthetic people: motion capture, mixed, bent at random, and positions of sports that no sequence holds.

A pose is 19 points (19, 3), y up, facing +z, its left towards +x, as in CMU's motion capture. Its bones' directions are
what is used of it: `vitruvian.data.synthetic.body` gives each person bones of lengths of their own.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vitruvian.errors import InputError

JOINTS = (
    *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("spine", "thorax", "neck", "head_top", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist", "left_toe", "right_toe"),
)
"""The points of a pose, in the order of the file."""

J = {name: index for index, name in enumerate(JOINTS)}
MIRROR = [J[n.replace("left", "?").replace("right", "left").replace("?", "right")] for n in JOINTS]
PARENTS = {
    **{"right_hip": "pelvis", "right_knee": "right_hip", "right_ankle": "right_knee", "right_toe": "right_ankle"},
    **{"left_hip": "pelvis", "left_knee": "left_hip", "left_ankle": "left_knee", "left_toe": "left_ankle"},
    **{"spine": "pelvis", "thorax": "spine", "neck": "thorax", "head_top": "neck"},
    **{"left_shoulder": "neck", "left_elbow": "left_shoulder", "left_wrist": "left_elbow"},
    **{"right_shoulder": "neck", "right_elbow": "right_shoulder", "right_wrist": "right_elbow"},
}
"""The bones, each by its far joint, from the pelvis outwards."""

BENT = {  # standard deviation of the random bend at a joint, degrees
    **{"spine": 9, "thorax": 7, "neck": 8},
    **dict.fromkeys(("left_hip", "right_hip"), 12),
    **dict.fromkeys(("left_shoulder", "right_shoulder"), 16),
    **dict.fromkeys(("left_elbow", "right_elbow"), 14),
    **dict.fromkeys(("left_ankle", "right_ankle"), 12),
}
JUMP = 0.3
"""Metres that a joint moves between two frames where another sequence begins."""
ALONE = 12
"""Frames to the next jump on both sides of one that parts two sequences."""
HELD_BACK = 6
"""One sequence in so many is held back."""
COMMITTED = Path(__file__).with_name("poses.npz")


def descendants(joint: str) -> list[int]:
    """The points that move when the bone that ends in `joint`'s children turns about `joint`."""
    found = [joint]
    for child, parent in PARENTS.items():
        if parent in found:
            found.append(child)
    return [J[name] for name in found[1:]]


BELOW = {joint: descendants(joint) for joint in BENT}
UPPER = [J["spine"], *descendants("spine")]


@cache
def read_poses(path: str = "", held_back: bool = False) -> np.ndarray:
    """Poses (N, 19, 3) float32, metres.

    Args:
        path: a file like `cmu_poses.npz`; empty: the few hundred poses that come with the package.
        held_back: the sequences that are kept for scoring, instead of those to train on.

    Raises:
        InputError: the file is missing, or has no such poses.
    """
    place = Path(path) if path else COMMITTED
    try:
        with open(place, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as content:
            poses, names = content["poses"].astype(np.float32), tuple(content["names"].ravel().tolist())
            sequence = content.get("sequence")
    except FileNotFoundError:
        raise InputError(f"{place}: no such file; expected poses of motion capture (.npz)") from None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{place}: cannot be read as poses ({error}); expected arrays 'poses' and 'names'") from None
    if names != JOINTS or poses.ndim != 3 or poses.shape[1:] != (len(JOINTS), 3) or not np.isfinite(poses).all():
        raise InputError(
            f"{place}: 'poses' is {poses.shape} of {', '.join(map(str, names))}; expected finite numbers "
            f"(N, {len(JOINTS)}, 3) of {', '.join(JOINTS)}"
        )
    sequence = sequences(poses) if sequence is None else sequence
    if sequence.shape != poses.shape[:1] or sequence.dtype.kind not in "iu":
        raise InputError(
            f"{place}: 'sequence' is {sequence.shape} of type {sequence.dtype}, expected a whole number for each of "
            f"the {len(poses)} poses; without it sequences are told by their jumps"
        )
    chosen = poses[(sequence % HELD_BACK == HELD_BACK - 1) == held_back]
    if not len(chosen):
        purpose = "to score on" if held_back else "to train on"
        raise InputError(
            f"{place}: its {len(poses)} poses are of {len(np.unique(sequence))} sequences, none of them {purpose} (one "
            f"in {HELD_BACK} is held back); give a file of more"
        )
    return chosen


def sequences(poses: np.ndarray) -> np.ndarray:
    """The number (N,) of the sequence that each pose (N, 19, 3) belongs to: another begins where a joint jumps.

    Jumps close to each other are a sequence's own, errors of its capture, and cut nothing.
    """
    jumps = np.flatnonzero(np.abs(np.diff(poses, axis=0)).max((1, 2), initial=0) > JUMP) + 1
    gaps = np.diff(np.concatenate([[-ALONE], jumps, [len(poses) + ALONE]]))
    starts = jumps[(gaps[:-1] >= ALONE) & (gaps[1:] >= ALONE)]
    return np.searchsorted(starts, np.arange(len(poses)), side="right")


def draw_pose(rng: np.random.Generator, poses: np.ndarray) -> np.ndarray:
    """A random pose (19, 3), turned in all ways that people are seen in; the pelvis is at the origin."""
    pose = poses[rng.integers(len(poses))].astype(np.float64)
    if rng.random() < 0.3:
        pose = with_upper_half(pose, poses[rng.integers(len(poses))].astype(np.float64))
    if rng.random() < 0.5:
        pose = pose[MIRROR] * (-1, 1, 1)
    pose = bent(rng, pose, rng.uniform(0.3, 1.2))
    if rng.random() < 0.45:
        pose = as_in_sports(rng, pose)
    pose = pose @ rotation(np.array([0, 1.0, 0]), rng.uniform(0, 2 * math.pi)).T
    if rng.random() < 0.35:  # a somersault, a handstand, somebody on the floor
        axis = rng.standard_normal(3)
        angle = math.pi if rng.random() < 0.2 else rng.uniform(0, math.pi)
        pose = pose @ rotation(axis / np.linalg.norm(axis), angle).T
    return pose


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """The matrix (3, 3) that turns columns about a unit axis (3,) by an angle in radians (Rodrigues)."""
    x, y, z = axis.tolist()
    c, s = math.cos(angle), math.sin(angle)
    d = 1 - c
    return np.array(
        [
            [c + d * x * x, d * x * y - s * z, d * x * z + s * y],
            [d * x * y + s * z, c + d * y * y, d * y * z - s * x],
            [d * x * z - s * y, d * y * z + s * x, c + d * z * z],
        ]
    )


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1."""
    return vector / np.maximum(length_of(vector), 1e-9)


def length_of(vector: np.ndarray) -> np.ndarray:
    """Lengths (..., 1) of vectors (..., 3): numpy's own sums take three times as long over so few."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    return np.sqrt(x * x + y * y + z * z)[..., None]


def across(vector: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The unit vector (3,) across a unit axis (3,) that is nearest to `vector`."""
    return unit(vector - (vector @ axis) * axis)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a x b of (..., 3): numpy's own takes six times as long on single vectors."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], -1)


def pelvis_frame(pose: np.ndarray) -> np.ndarray:
    """Unit vectors (3, 3), a row each, to a body's left, up and forward at the pelvis."""
    up = unit(pose[J["spine"]] - (pose[J["left_hip"]] + pose[J["right_hip"]]) / 2)
    left = across(pose[J["left_hip"]] - pose[J["right_hip"]], up)
    return np.stack([left, up, cross(left, up)])


def chest_frame(pose: np.ndarray) -> np.ndarray:
    """Unit vectors (3, 3), a row each, to a body's left, up and forward at the chest."""
    up = unit(pose[J["neck"]] - pose[J["spine"]])
    left = across(pose[J["left_shoulder"]] - pose[J["right_shoulder"]], up)
    return np.stack([left, up, cross(left, up)])


def with_upper_half(pose: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The legs of one pose under the upper body of another."""
    pose = pose.copy()
    pose[UPPER] = (other[UPPER] - other[0]) @ pelvis_frame(other).T @ pelvis_frame(pose) + pose[0]
    return pose


def bent(rng: np.random.Generator, pose: np.ndarray, strength: float) -> np.ndarray:
    """The pose with its joints turned a little at random; bones keep their lengths."""
    pose = pose.copy()
    turns = rng.standard_normal((len(BENT), 3))
    for (joint, degrees), turn in zip(BENT.items(), turns):
        angle = float(np.linalg.norm(turn))
        matrix = rotation(turn / angle, math.radians(degrees) * strength * angle / math.sqrt(3))
        pose[BELOW[joint]] = (pose[BELOW[joint]] - pose[J[joint]]) @ matrix.T + pose[J[joint]]
    return pose


def as_in_sports(rng: np.random.Generator, pose: np.ndarray) -> np.ndarray:
    """The pose with trunk, legs or arms somewhere else in the range that joints have: tucked, stretched, split."""
    pose = pose.copy()
    if rng.random() < 0.6:
        bow_trunk(pose, rng.normal(15, 28), rng.normal(0, 12), rng.normal(0, 15))
    frame = pelvis_frame(pose)
    if rng.random() < 0.7:
        for side, angles in of_sides(rng, draw_leg, 6):
            place_leg(pose, frame, side, angles)
    frame = chest_frame(pose)
    if rng.random() < 0.8:
        for side, arm in of_sides(rng, draw_arm, 0.12):
            place_arm(pose, frame, side, arm)
    return pose


def of_sides(
    rng: np.random.Generator, draw: Callable[[np.random.Generator], np.ndarray], spread: float
) -> Iterator[tuple[str, np.ndarray]]:
    """How the left and the right limb are placed, both much alike or each by itself; a side may be left out."""
    both = draw(rng)
    alike = rng.random() < 0.45
    for side in ("left", "right"):
        drawn = both + rng.normal(0, spread, 5) if alike else draw(rng)
        if rng.random() < 0.85:
            yield side, drawn


def bow_trunk(pose: np.ndarray, forward: float, sideways: float, twist: float) -> None:
    """Bends the trunk in place: degrees forward, to the left and about its axis, spread over spine and thorax."""
    frame = pelvis_frame(pose)
    angles = np.radians([np.clip(forward, -50, 85), np.clip(twist, -40, 40), -np.clip(sideways, -30, 30)])
    for joint, share in (("spine", 0.5), ("thorax", 0.35), ("neck", 0.15)):
        for axis, angle in zip(frame, angles):
            matrix = rotation(axis, share * angle)
            points = BELOW[joint]
            pose[points] = (pose[points] - pose[J[joint]]) @ matrix.T + pose[J[joint]]


def draw_leg(rng: np.random.Generator) -> np.ndarray:
    """Degrees (5,) of a leg: flexion and abduction of the hip, flexion of the knee, twist of the thigh, toes down."""
    flexion = rng.uniform(-35, 130) if rng.random() < 0.7 else rng.normal(0, 10)
    abduction = abs(rng.normal(0, 22)) - 6
    knee = rng.uniform(0, 145) if rng.random() < 0.6 else abs(rng.normal(0, 12))
    toes = rng.uniform(15, 100)  # 38 is a foot flat on the floor
    return np.array([flexion, abduction, knee, rng.normal(0, 18), toes])


def place_leg(pose: np.ndarray, frame: np.ndarray, side: str, degrees: np.ndarray) -> None:
    """Gives a leg the angles of `draw_leg` in place; `frame` is that of the pelvis."""
    left, up, forward = frame
    outwards = left if side == "left" else -left
    flexion, abduction, knee, twist, toes = np.radians(degrees).tolist()
    thigh = -up * math.cos(flexion) + forward * math.sin(flexion)
    thigh = thigh * math.cos(abduction) + outwards * math.sin(abduction)
    axis = rotation(thigh, twist) @ across(left, thigh)
    shank = thigh * math.cos(max(knee, 0)) + cross(axis, thigh) * math.sin(max(knee, 0))
    foot = cross(shank, axis) * math.cos(toes) + shank * math.sin(toes)
    points = [J[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "toe")]
    put_chain(pose, points, (thigh, shank, foot))


def draw_arm(rng: np.random.Generator) -> np.ndarray:
    """An arm (5,): the upper arm's direction (outwards, up, forward), the elbow's flexion and turn, rad."""
    while True:
        direction = unit(rng.standard_normal(3))
        if direction[0] > -0.35 and direction[2] > -0.65 - 0.3 * min(direction[1], 0):
            break
    elbow = rng.uniform(0, 2.5) if rng.random() < 0.55 else abs(rng.normal(0, 0.2))
    return np.array([*direction, elbow, rng.normal(0, 0.8)])


def place_arm(pose: np.ndarray, frame: np.ndarray, side: str, arm: np.ndarray) -> None:
    """Gives an arm what `draw_arm` says in place; `frame` is that of the chest."""
    left, up, forward = frame
    outwards = left if side == "left" else -left
    upper = unit(arm[0] * outwards + arm[1] * up + arm[2] * forward)
    bend = rotation(upper, arm[4]) @ across(forward + 0.5 * up - 0.5 * outwards + 1e-3 * left, upper)
    elbow = max(arm[3], 0.0)
    points = [J[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist")]
    put_chain(pose, points, (upper, upper * math.cos(elbow) + bend * math.sin(elbow)))


def put_chain(pose: np.ndarray, points: list[int], directions: tuple[np.ndarray, ...]) -> None:
    """Lays a chain of joints along unit directions in place; its bones keep their lengths."""
    bones = list(pairwise(points))
    lengths = [float(np.linalg.norm(pose[b] - pose[a])) for a, b in bones]
    for (a, b), length, direction in zip(bones, lengths, directions):
        pose[b] = pose[a] + length * direction
