"""Skeletons: their own consistency, the published tables, and skeletons made from the names in a file."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitruvian.errors import InputError
from vitruvian.skeletons import (
    COCO,
    COCO_WHOLEBODY,
    CROWDPOSE,
    DEFAULT_SIGMA,
    H36M,
    HAND_21,
    IBUG_68,
    LSP,
    MPII,
    SKELETONS,
    WFLW,
    Skeleton,
    joint_difference,
    matching_joints,
    skeleton_from_names,
)

PARITY = Path(os.environ.get("VITRUVIAN_PARITY", Path(__file__).parents[1] / "../shared/parity"))
META = PARITY / "evaluation" / "dataset_meta" / "meta.json"


def small(**changes) -> Skeleton:
    arm = Skeleton(
        "arm",
        ("left_hand", "right_hand", "chin"),
        ((0, 2), (1, 2)),
        (1, 0, 2),
        (0.1, 0.2, 0.3),
        {"upper": (0, 1)},
    )
    return replace(arm, **changes)


def test_joint_counts():
    counts = {
        "coco": 17,
        "coco_wholebody": 133,
        "crowdpose": 14,
        "ochuman": 17,
        "mpii": 16,
        "lsp": 14,
        "h36m": 17,
    }
    counts |= {"jhmdb": 15, "wflw": 98, "300w": 68, "hand_21": 21, "cofw": 29, "aflw": 19, "halpe": 136}
    assert {name: SKELETONS[name].num_joints for name in counts} == counts


@pytest.mark.parametrize("name", SKELETONS)
def test_left_mirrors_to_right_and_limbs_keep_their_sides(name):
    skeleton = SKELETONS[name]
    mirrored = [skeleton.joints[j] for j in skeleton.mirror]
    for joint, partner in zip(skeleton.joints, mirrored):
        swapped = joint.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
        if not skeleton.parts.get("face") or "left" in joint or "right" in joint:
            assert partner == swapped
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    if skeleton.name not in ("animalpose", "ap10k"):  # whose limbs of the head are not symmetric
        assert {frozenset(skeleton.mirror[j] for j in limb) for limb in limbs} == limbs


@pytest.mark.parametrize("name", SKELETONS)
def test_halves_of_the_body_do_not_overlap_and_mirror_to_themselves(name):
    skeleton = SKELETONS[name]
    upper, lower = set(skeleton.parts.get("upper", ())), set(skeleton.parts.get("lower", ()))
    assert not upper & lower
    for half in (upper, lower):
        assert {skeleton.mirror[j] for j in half} == half


def test_whole_body_is_five_parts_in_order():
    parts = COCO_WHOLEBODY.parts
    order = sum((parts[part] for part in ("body", "foot", "face", "left_hand", "right_hand")), ())
    assert order == tuple(range(133))
    assert parts["upper"] == tuple(range(11))
    assert parts["lower"] == tuple(range(11, 23))
    assert COCO_WHOLEBODY.joints[17:24] == (
        *("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"),
        "face_0",
    )
    assert COCO_WHOLEBODY.oks_sigmas[112:114] == (0.029, 0.022)


def test_sigmas_follow_the_name_where_none_are_published():
    by_name = dict(zip(H36M.joints, H36M.oks_sigmas))
    assert by_name["left_knee"] == 0.087
    assert by_name["head"] == 0.079  # CrowdPose's
    assert by_name["spine"] == DEFAULT_SIGMA
    assert set(WFLW.oks_sigmas) == {DEFAULT_SIGMA}
    assert LSP.oks_sigmas[LSP.joints.index("head_top")] == 0.079
    assert HAND_21.oks_sigmas[0] == 0.029  # of the hand, not of the body's wrist


def test_published_tables():
    if not META.exists():
        pytest.skip(f"{META} is absent")
    for name, published in json.loads(META.read_text()).items():
        skeleton = SKELETONS[name]
        assert list(skeleton.mirror) == published["flip_indices"], name
        assert [list(limb) for limb in skeleton.limbs] == published["skeleton"], name
        if published["sigmas"]:
            np.testing.assert_allclose(skeleton.oks_sigmas, published["sigmas"], rtol=0, atol=1e-12, err_msg=name)
        if name == "ap10k":  # the right front paw belongs with the left one
            published["lower_body"].remove(10)
            published["upper_body"].append(10)
        for half in ("upper", "lower"):
            assert list(skeleton.parts.get(half, ())) == published[f"{half}_body"], name
        if not name.startswith(("300w", "wflw", "lapa", "cofw", "aflw")):  # whose points have numbers alone
            found = skeleton_from_names("x", published["keypoint_names"], []) if "face" not in name else IBUG_68
            assert found.mirror == skeleton.mirror, name


def test_limbs_of_a_leg_and_a_hand():
    assert LSP.limbs[:2] == ((0, 1), (1, 2))
    assert HAND_21.limbs[:5] == ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5))
    assert MPII.mirror == (5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10)


def test_survives_pickling_to_a_worker():
    copy = pickle.loads(pickle.dumps(CROWDPOSE))
    assert copy.joints == CROWDPOSE.joints
    assert copy.parts == CROWDPOSE.parts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mirror": (1, 0)}, 'Skeleton "arm": mirror has 2 entries for 3 joints'),
        ({"oks_sigmas": (0.1,) * 4}, "oks_sigmas has 4 entries for 3 joints"),
        ({"joints": ("a", "chin", "chin")}, 'joints 1 and 2 are both named "chin"'),
        ({"oks_sigmas": (0.1, 0.0, 0.3)}, 'sigma of joint "right_hand" is 0.0; give a positive number'),
        (
            {"mirror": (1, 2, 0)},
            'mirror sends joint "left_hand" to "right_hand", but that one to 2; set mirror[1] = 0',
        ),
        ({"mirror": (1, 0, 3)}, 'mirror sends joint "chin" to 3; give 0 to 2'),
        (
            {"limbs": ((1, 3),)},
            "limb (1, 3) does not connect two of the joints 0 to 2; limbs are counted from 0",
        ),
        ({"limbs": ((1, 1),)}, "limb (1, 1)"),
        ({"parts": {"tail": (1,)}}, 'part "tail" is not known; name it one of body, foot'),
        ({"parts": {"foot": (1, 7)}}, 'part "foot" is (1, 7); list different joints out of 0 to 2'),
    ],
)
def test_construction_names_what_is_wrong(changes, message):
    with pytest.raises(ValueError) as error:
        small(**changes)
    assert message in str(error.value)


def test_the_first_difference_of_two_skeletons_is_said():
    assert joint_difference(LSP, LSP) == joint_difference(COCO, small(**vars(COCO) | {"name": "other"})) == ""
    assert joint_difference(LSP, MPII) == "joint 6 is right_wrist there and pelvis here"
    assert joint_difference(COCO, COCO_WHOLEBODY) == "joint 17 is none there and left_big_toe here"


def test_joints_of_two_skeletons_are_matched_by_name():
    found = matching_joints(LSP, COCO)
    assert found[0] == -1  # the nose
    assert [LSP.joints[i] for i in found[5:]] == list(COCO.joints[5:])
    assert matching_joints(skeleton_from_names("x", ["LHip", "RHip", "snout"], []), LSP)[2:4] == (1, 0)
    assert set(matching_joints(HAND_21, LSP)) == {-1}


def test_names_of_a_known_skeleton_give_the_constant():
    assert skeleton_from_names("person", LSP.joints, [(0, 1)]) is LSP
    assert skeleton_from_names("person", COCO.joints, []) is COCO
    assert skeleton_from_names("person", (*CROWDPOSE.joints[:12], "head", "neck"), []) is CROWDPOSE
    spelled = [
        "Left Shoulder",
        "rightShoulder",
        "L_Elbow",
        "r_elbow",
        "LWrist",
        "RWrist",
        *CROWDPOSE.joints[6:],
    ]
    assert skeleton_from_names("person", spelled, []) is CROWDPOSE


def test_own_names_give_mirror_sigmas_and_halves():
    names = ["角", "L_hip", "knee_left", "R_hip", "knee_right"]
    own = skeleton_from_names("faun", names, [[0, 1], [1, 2]])
    assert (own.name, own.joints, own.limbs) == ("faun", tuple(names), ((0, 1), (1, 2)))
    assert own.mirror == (0, 3, 4, 1, 2)
    assert own.oks_sigmas[:2] == (DEFAULT_SIGMA, 0.107)
    assert own.parts == {"upper": (0,), "lower": (1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("names", "limbs", "message"),
    [
        (["left_hand", "chin"], [], 'Joint "left_hand" has no partner "right_hand"'),
        (["chin", "chin"], [], 'Skeleton "faun": joints 0 and 1 are both named "chin"'),
        (["chin", "nose"], [[1, 2]], "limb (1, 2) does not connect two of the joints 0 to 1"),
        (["chin", "nose"], [[0, 1, 1]], "Limb [0, 1, 1] has 3 entries; give the two joints"),
        ([], [], 'The category "faun" names no joints'),
    ],
)
def test_own_names_that_cannot_be_used(names, limbs, message):
    with pytest.raises(InputError) as error:
        skeleton_from_names("faun", names, limbs)
    assert message in str(error.value)


def test_depths_count_from_the_pelvis_or_the_hips() -> None:
    names = {
        name: [SKELETONS[name].joints[j] for j in SKELETONS[name].root] for name in ("h36m", "mpii", "lsp", "coco")
    }
    assert names == {
        "h36m": ["root"],
        "mpii": ["pelvis"],
        "lsp": ["left_hip", "right_hip"],
        "coco": ["left_hip", "right_hip"],
    }
    assert SKELETONS["wflw"].root == ()
    assert SKELETONS["h36m_18"].joints[:17] == SKELETONS["h36m"].joints
    assert SKELETONS["h36m_18"].mirror[17] == 17
