"""Human3.6M in its three forms, by files written here and by the real samples."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitruvian.cameras import in_space, project
from vitruvian.data.reading import read_labels, read_skeleton
from vitruvian.data.space import with_skeleton
from vitruvian.errors import InputError
from vitruvian.skeletons import COCO, H36M, H36M_18, MESH_24, MPII

NAMES = [f"S1/S1_Eating.{camera}/S1_Eating.{camera}_000{i}01.jpg" for i, camera in enumerate((54138969, 55011271))]
LENS = np.array([1145.0, 1143, 512, 515, -0.2, 0.24, -0.003, -0.0014, -0.0009])


def cameras_file(folder: Path) -> None:
    parts = {"f": LENS[:2, None], "c": LENS[2:4, None], "k": LENS[4:7, None], "p": LENS[7:, None]}
    content = {("S1", str(number)): {**parts, "w": 1000, "h": 1002} for number in (54138969, 55011271)}
    (folder / "cameras.pkl").write_bytes(pickle.dumps(content))


def arrays(count: int = 17, **changes: Any) -> dict[str, Any]:
    """Two people, the second of whom lacks joint 3 in the photo and joint 5 in space."""
    joints = np.random.default_rng(0).uniform(-700, 700, (2, count, 3)) + np.array([0, 0, 5000])
    flags = np.ones((2, count, 1))
    part = np.concatenate([project(joints, np.stack([LENS] * 2)), flags], -1)
    places = np.concatenate([joints / 1000, flags], -1)
    part[1, 3, 2], places[1, 5, 3] = 0, 0
    centre, scale = np.array([[400.0, 500], [300, 200]]), np.array([2.0, 1.5])
    return {"imgname": np.array(NAMES), "center": centre, "scale": scale, "part": part, "S": places, **changes}


def test_arrays_give_depths_and_cameras(tmp_path: Path) -> None:
    content = arrays()
    np.savez(tmp_path / "train.npz", **content)
    cameras_file(tmp_path)
    labels = read_labels(tmp_path / "train.npz")
    assert labels.skeleton is H36M
    assert [photo.image_id for photo in labels.photos] == NAMES
    first, second = (photo.people for photo in labels.photos)
    assert labels.photos[0].size == (0, 0)  # not that of cameras.pkl, which photos differ from
    assert first.boxes.tolist() == [[200, 300, 600, 700]]
    np.testing.assert_allclose(first.cameras, [LENS], rtol=1e-6)
    np.testing.assert_allclose(first.keypoints[0, :, :2], content["part"][0, :, :2], atol=1e-3)
    back = in_space(first.keypoints, first.cameras, first.root_depths)
    np.testing.assert_allclose(back[0], 1000 * content["S"][0, :, :3], atol=0.01)
    assert first.keypoints[0, 0, 2] == 0  # the root's
    assert second.visibility[0, 3] == 0
    assert np.isnan(second.keypoints[0, 3]).all()
    assert np.isnan(second.keypoints[0, 5]).tolist() == [False, False, True]


def test_without_cameras_the_labels_say_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", **arrays())
    labels = read_labels(tmp_path / "train.npz")
    assert labels.photos[0].people.cameras is None
    assert labels.notes == (
        f"{tmp_path / 'train.npz'}: no cameras.pkl beside it; without cameras joints are not measured in space",
    )


def test_a_mesh_has_the_joints_that_body_models_are_scored_on(tmp_path: Path) -> None:
    np.savez(tmp_path / "mesh.npz", pose=np.zeros((2, 72)), shape=np.zeros((2, 10)), **arrays(24))
    cameras_file(tmp_path)
    labels = read_labels(tmp_path / "mesh.npz")
    assert labels.skeleton is MESH_24
    assert read_skeleton(tmp_path / "mesh.npz") is MESH_24
    assert labels.photos[0].people.keypoints[0, 14, 2] == 0  # the pelvis


def test_joints_that_count_from_the_root_have_depths_but_no_distance(tmp_path: Path) -> None:
    content = arrays(24)
    before = content["S"][..., 2].copy()
    content["S"][0, :, 2] -= before[0, 14]
    np.savez(tmp_path / "mesh.npz", pose=np.zeros((2, 72)), shape=np.zeros((2, 10)), **content)
    cameras_file(tmp_path)
    labels = read_labels(tmp_path / "mesh.npz")
    people = [photo.people for photo in labels.photos]
    assert [np.isfinite(one.root_depths).item() for one in people] == [False, True]
    expected = 1000 * (before[0] - before[0, [2, 3]].mean())
    np.testing.assert_allclose(
        people[0].keypoints[0, :, 2] - people[0].keypoints[0, [2, 3], 2].mean(), expected, atol=0.1
    )
    assert "'S' of 1 of 2 people does not lie before the camera" in labels.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": np.ones(3)}, r"its arrays are of 2, 3 people, expected as many in each"),
        ({"part": np.zeros((2, 16, 3))}, r"'part' has shape \(2, 16, 3\), expected N x 17 x 3 or N x 24 x 3"),
        ({"S": np.zeros((2, 17, 3))}, r"'S' is 2 x 17 x 3 of type float64, expected N x 17 x 4 numbers"),
        ({"imgname": np.array(["S9_Eating.54138969_1.jpg"] * 2)}, "cameras.pkl has not camera 54138969 of S9"),
        ({"imgname": np.array(["1.jpg", "2.jpg"])}, "has not a camera by the name of the photo"),
        ({"part": np.full((2, 17, 3), np.inf)}, r"'part' of S1/.*00001.jpg holds NaN or infinity"),
    ],
)
def test_damaged_arrays_are_named(tmp_path: Path, change: dict, message: str) -> None:
    np.savez(tmp_path / "train.npz", **arrays(**change))
    cameras_file(tmp_path)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path / "train.npz")


def test_an_array_that_is_not_there_is_named(tmp_path: Path) -> None:
    content = arrays()
    del content["S"]
    np.savez(tmp_path / "train.npz", **content)
    with pytest.raises(InputError, match=r"; without S it is not Human3.6M's: fetch it again"):
        read_labels(tmp_path / "train.npz")


def test_names_that_are_objects_are_refused(tmp_path: Path) -> None:
    content = arrays()
    names = np.array([{"name": name} for name in NAMES], object)
    np.savez(tmp_path / "train.npz", **(content | {"imgname": names}))
    with pytest.raises(InputError, match=r"'imgname' holds {'name': .*, expected names of photos; save them as texts"):
        read_labels(tmp_path / "train.npz")


def test_other_arrays_and_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", pose=np.zeros(3))
    with pytest.raises(InputError, match=r"other.npz: holds pose, expected imgname, center, scale, part and S"):
        read_labels(tmp_path / "other.npz")
    np.savez(tmp_path / "train.npz", **arrays())
    (tmp_path / "cameras.pkl").write_bytes(pickle.dumps({("S1", "54138969"): Path("x")}))
    with pytest.raises(InputError, match="is not a camera's"):
        read_labels(tmp_path / "train.npz")
    (tmp_path / "cameras.pkl").write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match=r"cameras\.pkl"):
        read_labels(tmp_path / "train.npz")


def json_file(path: Path, **changes: Any) -> tuple[Path, np.ndarray]:
    """One person of the json form."""
    joints = np.random.default_rng(1).uniform(-700, 700, (17, 3)) + np.array([0, 0, 4000])
    image = {"id": 4, "file_name": "s_09_act_05_subact_02_ca_01_000001.jpg", "width": 1000, "height": 1002}
    image["cam_param"] = {"f": [1100.0, 1110], "c": [500.0, 510]}
    record = {"id": 7, "image_id": 4, "bbox": [100.0, 50, 951, 300], "joint_cam": joints.tolist(), **changes}
    path.write_text(json.dumps({"images": [image], "annotations": [record]}))
    return path, joints


def test_the_json_form_has_a_pinhole_and_millimetres(tmp_path: Path) -> None:
    path, joints = json_file(tmp_path / "Sample_64_test.json")
    labels = read_labels(path)
    assert labels.skeleton is H36M
    (photo,) = labels.photos
    people = photo.people
    assert (photo.image_id, photo.annotation_ids, photo.size) == (4, (7,), (1000, 1002))
    assert people.boxes.tolist() == [[100, 50, 999, 349]]  # the last pixels, within the photo
    np.testing.assert_allclose(in_space(people.keypoints, people.cameras, people.root_depths)[0], joints, atol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joint_cam": [[1, 2, 3]] * 16}, "'joint_cam' of annotation 7 has 16 joints, expected 17 or 18"),
        ({"joint_cam": [[1, 2]] * 17}, r"'joint_cam' of annotation 7 holds numbers shaped \(17, 2\)"),
        (
            {"joint_cam": [[1, 2, 3], [4, 5]]},
            r"'joint_cam' of annotation 7 is '\[\[1, 2, 3\], \[4, 5\]\]', expected numbers",
        ),
        (
            {"joint_cam": [[1, 2, -3]] * 17},
            "the nearest joint of 'joint_cam' is -3 mm before it, expected numbers above 0",
        ),
        ({"bbox": [1, 2, 3]}, "'bbox' of annotation 7 holds 3 numbers, expected 4"),
        ({"f": "many"}, "'f' of annotation 7 is 'many', expected numbers"),
    ],
)
def test_damaged_records_are_named(tmp_path: Path, change: dict, message: str) -> None:
    if "f" in change:
        change = {"cam_param": {"f": change["f"], "c": [1, 2]}}
    path, _ = json_file(tmp_path / "test.json", **change)
    with pytest.raises(InputError, match=message):
        read_labels(path)


def test_joints_of_data_sets_are_matched_for_mixing(tmp_path: Path) -> None:
    path, joints = json_file(tmp_path / "test.json")
    mixed = with_skeleton(read_labels(path), H36M_18)
    people = mixed.photos[0].people
    middle = in_space(people.keypoints, people.cameras, people.root_depths)[0, 17]
    np.testing.assert_allclose(middle, joints[[11, 14]].mean(0), atol=0.01)
    record = {"image": "a.jpg", "center": [50, 60], "scale": 1, "joints_vis": [1] * 16}
    record["joints"] = [[10 + j, 20 + j] for j in range(16)]
    (tmp_path / "mpii.json").write_text(json.dumps([record]))
    labels = with_skeleton(read_labels(tmp_path / "mpii.json"), H36M_18)
    of_mpii = labels.photos[0].people
    own = read_labels(tmp_path / "mpii.json").photos[0].people
    for joint, name in {0: "pelvis", 1: "right_hip", 6: "left_ankle", 8: "upper_neck", 10: "head_top"}.items():
        np.testing.assert_array_equal(of_mpii.keypoints[0, joint], own.keypoints[0, MPII.joints.index(name)])
    np.testing.assert_array_equal(of_mpii.keypoints[0, 17], own.keypoints[0, MPII.joints.index("thorax")])
    assert of_mpii.visibility[0, [7, 9]].tolist() == [-1, -1]
    assert np.isnan(of_mpii.keypoints[0, [7, 9]]).all()
    assert with_skeleton(labels, H36M_18) is labels
    with pytest.raises(InputError, match="of which it is not known where they stand among the 17 of 'coco'"):
        with_skeleton(labels, COCO)


def test_the_real_samples(shared_data: Path) -> None:
    samples = shared_data / "samples" / "h36m"
    labels = read_labels(samples / "test_h36m_body3d.npz")
    with np.load(samples / "test_h36m_body3d.npz") as file:
        places, part = file["S"], file["part"]
    for photo, truth, seen in zip(labels.photos, places, part, strict=True):
        assert photo.path.is_file()
        people = photo.people
        found = in_space(people.keypoints, people.cameras, people.root_depths)[0]
        np.testing.assert_allclose(found, 1000 * truth[:, :3], atol=0.01)
        np.testing.assert_allclose(project(found[None], people.cameras)[0], seen[:, :2], atol=1e-3)
        # Whose nose is before the neck has the right hip on the right.
        up, forward = found[0] - found[10], found[9] - (found[8] + found[10]) / 2
        assert (found[1] - found[4]) @ np.cross(up, forward) > 0
    plain = read_labels(samples / "h36m_coco.json")
    assert plain.skeleton is H36M
    assert all(photo.path.is_file() for photo in plain.photos)
    for ours, theirs in zip(plain.photos, labels.photos, strict=True):
        np.testing.assert_allclose(ours.people.keypoints[0], theirs.people.keypoints[0, :, :2], atol=1e-3)
    assert "left_hip, left_knee, left_foot, right_hip" in plain.notes[1]
    assert "named for the wrong side" in plain.notes[1]
