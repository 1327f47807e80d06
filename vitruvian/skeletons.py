"""The joints that each data set labels: names, limbs, mirror pairs, OKS sigmas and parts, as constants.

Joints and limbs are counted from 0. Sigmas are published or customary ones where there are any. A joint
without takes that of the same-named joint of COCO-WholeBody or CrowdPose, and `DEFAULT_SIGMA` = .08 where
those have none: Human3.6M's spine and feet, say, and every point of WFLW, COFW, AFLW and LaPa.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest

from vitruvian.errors import InputError

DEFAULT_SIGMA = 0.08
PARTS = ("body", "foot", "face", "left_hand", "right_hand", "upper", "lower")

Limbs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The joints of one kind of person (or face, hand, animal), K of them.

    `mirror[j]` is the joint that takes the place of joint j in a mirrored photo. `parts` holds the indices
    of body, foot, face, left_hand and right_hand where a skeleton has them, and of the halves of a body,
    upper and lower. Raises ValueError when a field disagrees with another.
    """

    name: str
    joints: tuple[str, ...]  # K names
    limbs: Limbs  # what a drawing connects, and what scale-free losses measure
    mirror: tuple[int, ...]  # K, its own inverse
    oks_sigmas: tuple[float, ...]  # K; a joint's deviation is 2 sigma sqrt(area of the person)
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def num_joints(self) -> int:
        """K."""
        return len(self.joints)

    @property
    def root(self) -> tuple[int, ...]:
        """The joints that depths count from, from the middle of them: the pelvis, else the hips, else none."""
        names = [_plain(joint) for joint in self.joints]
        for wanted in (("root",), ("pelvis",), ("left_hip", "right_hip")):
            if all(name in names for name in wanted):
                return tuple(names.index(name) for name in wanted)
        return ()

    def __post_init__(self) -> None:
        k = self.num_joints
        for what, length in (("mirror", len(self.mirror)), ("oks_sigmas", len(self.oks_sigmas))):
            if length != k:
                self._fail(f"{what} has {length} entries for {k} joints; give one for each joint")
        for index, joint in enumerate(self.joints):
            first = self.joints.index(joint)
            if first != index:
                self._fail(f'joints {first} and {index} are both named "{joint}"; give each joint its own name')
            if not self.oks_sigmas[index] > 0:
                self._fail(
                    f'the OKS sigma of joint "{joint}" is {self.oks_sigmas[index]}; give a positive number, '
                    f"{DEFAULT_SIGMA} where none is known"
                )
        self._check_mirror()
        for limb in self.limbs:
            if len(limb) != 2 or not all(0 <= joint < k for joint in limb) or limb[0] == limb[1]:
                self._fail(
                    f"limb {limb} does not connect two of the joints 0 to {k - 1}; limbs are counted from 0 "
                    "(subtract 1 from those of a COCO file)"
                )
        for part, indices in self.parts.items():
            if part not in PARTS:
                self._fail(f'part "{part}" is not known; name it one of {", ".join(PARTS)}')
            if len(set(indices)) != len(indices) or not all(0 <= joint < k for joint in indices):
                self._fail(f'part "{part}" is {indices}; list different joints out of 0 to {k - 1}')

    def _check_mirror(self) -> None:
        for index, partner in enumerate(self.mirror):
            if not 0 <= partner < self.num_joints:
                self._fail(f'mirror sends joint "{self.joints[index]}" to {partner}; give 0 to {self.num_joints - 1}')
            back = self.mirror[partner]
            if back != index:
                self._fail(
                    f'mirror sends joint "{self.joints[index]}" to "{self.joints[partner]}", '
                    f"but that one to {back}; set mirror[{partner}] = {index}"
                )

    def _fail(self, message: str) -> None:
        raise ValueError(f'Skeleton "{self.name}": {message}')


def joint_difference(there: Skeleton, here: Skeleton) -> str:
    """The first joint in which two skeletons differ, in words; empty where they have the same joints in one order."""
    pairs = enumerate(zip_longest(there.joints, here.joints, fillvalue="none"))
    return next((f"joint {i} is {theirs} there and {ours} here" for i, (theirs, ours) in pairs if theirs != ours), "")


def matching_joints(here: Skeleton, there: Skeleton) -> tuple[int, ...]:
    """For each joint of `there` the joint of `here` with the same name, spelling aside, or -1."""
    index = {_plain(joint): i for i, joint in enumerate(here.joints)}
    return tuple(index.get(_plain(joint), -1) for joint in there.joints)


def skeleton_from_names(
    name: str,
    joints: Sequence[str],
    limbs: Sequence[Sequence[int]],
    pairs: Sequence[tuple[int, int]] | None = None,
    sigmas: Sequence[float] | None = None,
) -> Skeleton:
    """The skeleton of somebody's own annotation file, from the names of its joints and its 0-based limbs.

    Where a known skeleton has the same joints in the same order (spelling aside: `L_Eye`, `left eye`,
    `leftEye`) this is that constant, with its own limbs. Else the words left and right give the mirror pairs,
    the names give the sigmas, and hips, knees and feet the lower half of the body.

    Args:
        name: of the skeleton.
        joints: K names.
        limbs: pairs of joints that are connected, counted from 0.
        pairs: of joints that change places in a mirror, counted from 0; None: what the names say.
        sigmas: K of OKS; None: what the names say.

    Raises:
        InputError: a left joint has no right one, or whatever else a Skeleton cannot be; the joint is named.
    """
    if not joints:
        raise InputError(
            f'The category "{name}" names no joints (its "keypoints" is empty); '
            f"fill in the names or choose one of the skeletons {', '.join(SKELETONS)}"
        )
    wanted = [_plain(joint) for joint in joints]
    for known in SKELETONS.values():
        if pairs is None and sigmas is None and wanted == [_plain(joint) for joint in known.joints]:
            return known
    try:
        mirror = _mirror(joints) if pairs is None else _paired(joints, pairs)
        own = _sigmas(joints) if sigmas is None else tuple(sigmas)
        return Skeleton(name, tuple(joints), _limbs(limbs), mirror, own, _halves(joints))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


_OTHER_NAMES = {"l": "left", "r": "right"}
_SAME_JOINT = {"top_head": "head_top", "head": "head_top", "root_pelvis": "root"}


def _words(joint: str) -> list[str]:
    """Lower-case words of a name: `L_Eye`, `left eye` and `leftEye` are all [left, eye]."""
    found: list[str] = re.findall(r"[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])\d*|\d+|[^\W_\dA-Za-z]+", joint)
    return [_OTHER_NAMES.get(word.lower(), word.lower()) for word in found]


def _plain(joint: str) -> str:
    plain = "_".join(_words(joint))
    return _SAME_JOINT.get(plain, plain)


def _limbs(limbs: Sequence[Sequence[int]]) -> Limbs:
    for limb in limbs:
        if len(limb) != 2:
            raise InputError(f"Limb {list(limb)} has {len(limb)} entries; give the two joints that it connects")
    return tuple((int(a), int(b)) for a, b in limbs)


def _mirror(joints: Sequence[str]) -> tuple[int, ...]:
    """For each joint the one with left and right exchanged in its name, or itself."""
    index = {" ".join(_sided(joint)): i for i, joint in enumerate(joints)}
    mirror = []
    for place, joint in enumerate(joints):
        words = _sided(joint)
        partner = " ".join(_SIDE.sub(lambda side: _OPPOSITE[side[0]], word) for word in words)
        if partner not in index and _OPPOSITE.keys() & set(words):
            raise InputError(
                f'Joint "{joint}" has no partner "{partner.replace(" ", "_")}", needed in a mirrored photo; add it, '
                "rename the joint without left or right, or give the category the pairs that a mirror exchanges, "
                'counted from 1: "mirror_pairs": [[1, 2], [3, 4]], or [] for none'
            )
        mirror.append(place if partner == " ".join(words) else index.get(partner, place))
    return tuple(mirror)


_OPPOSITE = {"left": "right", "right": "left"}
_SIDE = re.compile("^(left|right)")  # of leftmost, left2 and lefthand too, where there is a partner


def _sided(joint: str) -> list[str]:
    """The words of a name with the sides of numbered ones written out: of `leg_l2` it is [leg, left2]."""
    return [re.sub(r"^[lr](?=\d)", lambda side: _OTHER_NAMES[side[0]], word) for word in _words(joint)]


def _paired(joints: Sequence[str], pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """For each joint its partner of a pair, or itself."""
    mirror = list(range(len(joints)))
    for pair in pairs:
        for joint, partner in (pair, pair[::-1]):
            if not (0 <= joint < len(joints) and 0 <= partner < len(joints)) or joint == partner:
                raise InputError(
                    f"the mirror pair [{pair[0] + 1}, {pair[1] + 1}] does not name two of the joints 1 to {len(joints)}"
                )
            if mirror[joint] != joint:
                raise InputError(f'joint {joint + 1}, "{joints[joint]}", is in two mirror pairs; leave it in one')
            mirror[joint] = partner
    return tuple(mirror)


def _sigmas(joints: Sequence[str]) -> tuple[float, ...]:
    def sigma(joint: str) -> float:
        plain = _plain(joint)
        sideless = plain.removeprefix("left_").removeprefix("right_")
        return _SIGMAS.get(plain, _SIGMAS.get(sideless, DEFAULT_SIGMA))

    return tuple(sigma(joint) for joint in joints)


def _halves(joints: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The halves of a body: all below the belly is lower; empty for a face or a hand."""
    lower = tuple(i for i, joint in enumerate(joints) if set(_words(joint)[-2:]) & _LOWER or joint == "root")
    upper = tuple(i for i in range(len(joints)) if i not in lower)
    return {"upper": upper, "lower": lower} if lower and upper else {}


_LOWER = {"hip", "pelvis", "knee", "ankle", "foot", "toe", "heel"}


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))


_HAND_NAMES = " ".join(
    f"{finger}{i}"
    for finger in ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
    for i in range(1, 5)
)
_HAND_SIGMAS = _numbers(
    ".029 .022 .035 .037 .047 .026 .025 .024 .035 .018 .024 .022 .026 .017 .021 .021 .032 .02 .019 .022 .031"
)
_FACE_SIGMAS = _numbers(
    ".042 .043 .044 .043 .04 .035 .031 .025 .02 .023 .029 .032 .037 .038 .043 .041 .045 .013 .012 .011 .011 "
    ".012 .012 .011 .011 .013 .015 .009 .007 .007 .007 .012 .009 .008 .016 .01 .017 .011 .009 .011 .009 "
    ".007 .013 .008 .011 .012 .01 .034 .008 .008 .009 .008 .008 .007 .01 .008 .009 .009 .009 .007 .007 .008 "
    ".011 .008 .008 .008 .01 .008"
)
_SIGMAS: dict[str, float] = {  # of COCO-WholeBody and CrowdPose; a name without a side is that of both sides
    **{"nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062},
    **{"hip": 0.107, "knee": 0.087, "ankle": 0.089, "head_top": 0.079, "neck": 0.079},
    **{"left_big_toe": 0.068, "left_small_toe": 0.066, "left_heel": 0.066},
    **{"right_big_toe": 0.092, "right_small_toe": 0.094, "right_heel": 0.094},
    **dict(zip(["hand_root", *_HAND_NAMES.split()], _HAND_SIGMAS)),
    **{f"face_{i}": sigma for i, sigma in enumerate(_FACE_SIGMAS)},
}


def _build(
    name: str,
    joints: str,
    limbs: str = "",
    sigmas: str = "",
    mirror: tuple[int, ...] | None = None,
    parts: dict[str, tuple[int, ...]] | None = None,
) -> Skeleton:
    """A constant below, written shortly: limbs as `0-1 1-2`; what is left out follows from the names."""
    names = tuple(joints.split())
    pairs: list[tuple[int, int]] = []
    for limb in limbs.split():
        a, b = limb.split("-")
        pairs.append((int(a), int(b)))
    if parts is None:
        parts = {"body": tuple(range(len(names))), **_halves(names)}
    values = _numbers(sigmas) if sigmas else _sigmas(names)
    return Skeleton(name, names, tuple(pairs), _mirror(names) if mirror is None else mirror, values, parts)


def _reflect(count: int, *runs: tuple[int, int, int]) -> tuple[int, ...]:
    """Mirror of numbered points: a run (a, b, n) swaps a with b, a + 1 with b - 1, ..., n pairs."""
    mirror = list(range(count))
    for first, last, pairs in runs:
        for i in range(pairs):
            mirror[first + i], mirror[last - i] = mirror[last - i], mirror[first + i]
    return tuple(mirror)


def _face(name: str, count: int, *runs: tuple[int, int, int], joint: str = "point") -> Skeleton:
    names = " ".join(f"{joint}_{i}" for i in range(count))
    return _build(name, names, mirror=_reflect(count, *runs), parts={"face": tuple(range(count))})


def _hand_limbs(root: int) -> str:
    """Each finger from the palm (`root`) to its tip, five times four limbs."""
    fingers = [(root, *range(root + 1 + 4 * f, root + 5 + 4 * f)) for f in range(5)]
    return " ".join(f"{a}-{b}" for finger in fingers for a, b in pairwise(finger))


def _hand_names(side: str) -> str:
    return f"{side}_hand_root " + " ".join(f"{side}_{name}" for name in _HAND_NAMES.split())


COCO = _build(
    "coco",
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow "
    "left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    "15-13 13-11 16-14 14-12 11-12 5-11 6-12 5-6 5-7 6-8 7-9 8-10 1-2 0-1 0-2 1-3 2-4 3-5 4-6",
)
OCHUMAN = replace(COCO, name="ochuman")  # in its COCO form, without head and neck

CROWDPOSE = _build(
    "crowdpose",
    "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip "
    "left_knee right_knee left_ankle right_ankle top_head neck",
    "10-8 8-6 11-9 9-7 6-7 0-6 1-7 0-1 0-2 1-3 2-4 3-5 12-13 1-13 0-13",
)
EXLPOSE = replace(
    CROWDPOSE,
    name="exlpose",
    joints=(*CROWDPOSE.joints[:12], "head", "neck"),
    limbs=_build("", " ".join(CROWDPOSE.joints), "12-13 13-0 13-1 0-2 2-4 1-3 3-5 13-7 13-6 7-9 9-11 6-8 8-10").limbs,
)

MPII = _build(
    "mpii",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck head_top "
    "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist",
    "0-1 1-2 2-6 6-3 3-4 4-5 6-7 7-8 8-9 8-12 12-11 11-10 8-13 13-14 14-15",
    sigmas=".089 .083 .107 .107 .083 .089 .026 .026 .026 .026 .062 .072 .179 .179 .072 .062",
)
LSP = _build(  # and LSP-extended
    "lsp",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder "
    "left_shoulder left_elbow left_wrist neck head_top",
    "0-1 1-2 2-3 3-4 4-5 6-7 7-8 9-10 10-11 12-13 8-12 9-12 2-8 3-9",
)
H36M = _build(
    "h36m",
    "root right_hip right_knee right_foot left_hip left_knee left_foot spine thorax neck_base head "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist",
    "0-4 4-5 5-6 0-1 1-2 2-3 0-7 7-8 8-9 9-10 8-11 11-12 12-13 8-14 14-15 15-16",
)
H36M_18 = _build(  # as the regression methods learn it: the middle of the shoulders is a joint of its own
    "h36m_18",
    " ".join((*H36M.joints, "mid_shoulder")),
    "0-4 4-5 5-6 0-1 1-2 2-3 0-7 7-8 8-9 9-10 8-17 17-11 11-12 12-13 17-14 14-15 15-16",
)
MESH_24 = _build(  # what body models are scored on: LSP's joints, those of other data sets, a face
    "mesh_24",
    " ".join(LSP.joints) + " pelvis thorax spine jaw head nose left_eye right_eye left_ear right_ear",
    "0-1 1-2 2-14 14-3 3-4 4-5 14-16 16-15 15-12 12-13 15-8 8-7 7-6 15-9 9-10 10-11 12-17 19-20 19-21 20-22 21-23",
)
SMPL_24 = _build(
    "smpl_24",
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_hand right_hand",
    "0-1 0-2 0-3 1-4 2-5 3-6 4-7 5-8 6-9 7-10 8-11 9-12 9-13 9-14 12-15 13-16 14-17 16-18 17-19 18-20 19-21 20-22 "
    "21-23",
)
MPI_INF_3DHP = _build(
    "mpi_inf_3dhp",
    "head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip "
    "right_knee right_ankle left_hip left_knee left_ankle root spine head",
    "1-2 2-3 3-4 1-5 5-6 6-7 14-8 8-9 9-10 14-11 11-12 12-13 0-16 16-1 1-15 15-14",
)
JHMDB = _build(
    "jhmdb",
    "neck belly head right_shoulder left_shoulder right_hip left_hip right_elbow left_elbow right_knee "
    "left_knee right_wrist left_wrist right_ankle left_ankle",
    "13-9 9-5 5-1 1-6 6-10 10-14 1-0 0-2 0-3 3-7 7-11 0-4 4-8 8-12",
    sigmas=".025 .107 .025 .079 .079 .107 .107 .072 .072 .087 .087 .062 .062 .089 .089",
)
AIC = _build(
    "aic",
    "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
    "right_ankle left_hip left_knee left_ankle head_top neck",
    "2-1 1-0 0-13 13-3 3-4 4-5 8-7 7-6 6-9 9-10 10-11 12-13 0-6 3-9",
    sigmas=".01388152 .01515228 .01057665 .01417709 .01497891 .01402144 .03909642 .03686941 .01981803 "
    ".03843971 .03412318 .02415081 .01291456 .01236173",
)
POSETRACK18 = _build(
    "posetrack18",
    " ".join(("nose", "head_bottom", "head_top", *COCO.joints[3:])),
    "15-13 13-11 16-14 14-12 11-12 5-11 6-12 5-6 5-7 6-8 7-9 8-10 0-1 0-2 1-5 1-6",
    sigmas=".026 .025 .025 .035 .035 .079 .079 .072 .072 .062 .062 .107 .107 .087 .087 .089 .089",
)

IBUG_68 = _face(  # 300W, and the face of COCO-WholeBody
    "300w",
    68,
    *((0, 16, 8), (17, 26, 5), (31, 35, 2), (36, 45, 4), (40, 47, 2)),
    *((48, 54, 3), (55, 59, 2), (60, 64, 2), (65, 67, 1)),
    joint="face",
)
WFLW = _face(
    "wflw",
    98,
    *((0, 32, 16), (33, 46, 5), (38, 50, 4), (55, 59, 2), (60, 72, 5), (65, 75, 3)),
    *((76, 82, 3), (83, 87, 2), (88, 92, 2), (93, 95, 1), (96, 97, 1)),
)
LAPA = _face(
    "lapa",
    106,
    *((0, 32, 16), (33, 46, 5), (38, 50, 4), (55, 65, 5), (66, 79, 5), (71, 82, 3), (74, 83, 1)),
    *((84, 90, 3), (91, 95, 2), (96, 100, 2), (101, 103, 1), (104, 105, 1)),
)
COFW = _face(
    "cofw",
    29,
    *((0, 1, 1), (2, 3, 1), (4, 6, 1), (5, 7, 1), (8, 9, 1), (10, 11, 1)),
    *((12, 14, 1), (13, 15, 1), (16, 17, 1), (18, 19, 1), (22, 23, 1)),
)
AFLW = _face("aflw", 19, (0, 5, 3), (6, 11, 3), (12, 14, 1), (15, 17, 1))

HAND_21 = replace(  # one hand of either side, so that a mirror image changes no joint: FreiHAND, OneHand10K
    _build("hand_21", f"wrist {_HAND_NAMES}", _hand_limbs(0), parts={}), oks_sigmas=_HAND_SIGMAS
)
INTERHAND = replace(  # the same joints, each finger from its tip, the wrist last
    _build(
        "interhand2d",
        " ".join(HAND_21.joints[4 * f + 4 - i] for f in range(5) for i in range(4)) + " wrist",
        " ".join(f"{20 if i == 3 else 4 * f + i + 1}-{4 * f + i}" for f in range(5) for i in (3, 2, 1, 0)),
        parts={},
    ),
    oks_sigmas=tuple(_HAND_SIGMAS[4 * f + 4 - i] for f in range(5) for i in range(4)) + _HAND_SIGMAS[:1],
)


def _whole_body(name: str, body: Skeleton, feet: range, limbs: str) -> Skeleton:
    """`body` (feet included) with the 68 points of a face and two hands after it."""
    face = body.num_joints
    left, right, end = face + 68, face + 89, face + 110
    mirror = (
        *body.mirror,
        *(face + i for i in IBUG_68.mirror),
        *range(right, end),
        *range(left, right),
    )
    joints = " ".join((*body.joints, *IBUG_68.joints, _hand_names("left"), _hand_names("right")))
    parts = {
        "body": tuple(i for i in range(face) if i not in feet),
        "foot": tuple(feet),
        "face": tuple(range(face, left)),
        "left_hand": tuple(range(left, right)),
        "right_hand": tuple(range(right, end)),
        "upper": body.parts["upper"],
        "lower": body.parts["lower"],
    }
    built = _build(name, joints, limbs, mirror=mirror, parts=parts)
    return replace(built, limbs=body.limbs + built.limbs)


COCO_WHOLEBODY = _whole_body(
    "coco_wholebody",
    _build(
        "coco_feet",
        " ".join(COCO.joints) + " left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel",
        " ".join(f"{a}-{b}" for a, b in COCO.limbs) + " 15-17 15-18 15-19 16-20 16-21 16-22",
    ),
    range(17, 23),
    f"{_hand_limbs(91)} {_hand_limbs(112)}",
)
H3WB = replace(COCO_WHOLEBODY, name="h3wb", parts={**COCO_WHOLEBODY.parts, "upper": (*range(11), *range(23, 91))})
HALPE26 = _build(
    "halpe26",
    " ".join(COCO.joints)
    + " head neck hip left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel",
    "15-13 13-11 11-19 16-14 14-12 12-19 17-18 18-19 18-5 5-7 7-9 18-6 6-8 8-10 1-2 0-1 0-2 1-3 2-4 3-5 4-6 "
    "15-20 15-22 15-24 16-21 16-23 16-25",
    sigmas=".026 .025 .025 .035 .035 .079 .079 .072 .072 .062 .062 .107 .107 .087 .087 .089 .089 .026 .026 "
    ".066 .079 .079 .079 .079 .079 .079",
)
HALPE = replace(  # its fingers start at the wrist of the body
    _whole_body(
        "halpe",
        HALPE26,
        range(20, 26),
        _hand_limbs(94).replace("94-", "9-") + " " + _hand_limbs(115).replace("115-", "10-"),
    ),
    oks_sigmas=COCO.oks_sigmas + (0.08,) * 3 + (0.089,) * 6 + (0.015,) * 110,
)

AP10K = _build(  # the customary upper half forgets the right front paw
    "ap10k",
    "left_eye right_eye nose neck root_of_tail left_shoulder left_elbow left_front_paw right_shoulder "
    "right_elbow right_front_paw left_hip left_knee left_back_paw right_hip right_knee right_back_paw",
    "0-1 0-2 1-2 2-3 3-4 3-5 5-6 6-7 3-8 8-9 9-10 4-11 11-12 12-13 4-14 14-15 15-16",
    sigmas=".025 .025 .026 .035 .035 .079 .072 .062 .079 .072 .062 .107 .087 .089 .107 .087 .089",
    parts={
        "body": tuple(range(17)),
        "upper": (0, 1, 2, 3, 5, 6, 7, 8, 9, 10),
        "lower": (4, *range(11, 17)),
    },
)
ANIMALPOSE = _build(
    "animalpose",
    "left_eye right_eye left_ear_base right_ear_base nose throat tail_base withers left_front_elbow "
    "right_front_elbow left_back_elbow right_back_elbow left_front_knee right_front_knee left_back_knee "
    "right_back_knee left_front_paw right_front_paw left_back_paw right_back_paw",
    "0-1 0-2 1-3 0-4 1-4 4-5 5-7 6-7 5-8 8-12 12-16 5-9 9-13 13-17 6-10 10-14 14-18 6-11 11-15 15-19",
    sigmas=".025 .025 .026 .035 .035 .1 .1 .1 .107 .107 .107 .107 .087 .087 .087 .087 .089 .089 .089 .089",
    parts={
        "body": tuple(range(20)),
        "upper": (0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17),
        "lower": (6, 10, 11, 14, 15, 18, 19),
    },
)

SKELETONS: dict[str, Skeleton] = {
    "coco": COCO,
    "coco_wholebody": COCO_WHOLEBODY,
    "crowdpose": CROWDPOSE,
    "ochuman": OCHUMAN,
    "humanart": COCO,
    "mpii": MPII,
    "lsp": LSP,
    "lspet": LSP,
    "h36m": H36M,
    "h36m_18": H36M_18,
    "mesh_24": MESH_24,
    "smpl_24": SMPL_24,
    "mpi_inf_3dhp": MPI_INF_3DHP,
    "jhmdb": JHMDB,
    "aic": AIC,
    "posetrack18": POSETRACK18,
    "exlpose": EXLPOSE,
    "halpe26": HALPE26,
    "halpe": HALPE,
    "h3wb": H3WB,
    "300w": IBUG_68,
    "coco_wholebody_face": IBUG_68,
    "wflw": WFLW,
    "lapa": LAPA,
    "cofw": COFW,
    "aflw": AFLW,
    "hand_21": HAND_21,
    "coco_wholebody_hand": HAND_21,
    "freihand2d": HAND_21,
    "onehand10k": HAND_21,
    "interhand2d": INTERHAND,
    "ap10k": AP10K,
    "animalpose": ANIMALPOSE,
}
"""The skeleton of each data set; several data sets share one."""
