"""The MPII reader: from the file's count from 1 to the library's from 0, boxes, head sizes and each complaint."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from vitruvian.data.labels import trainable
from vitruvian.data.mpii import HEAD_SHARE, read_mpii, square_box
from vitruvian.errors import InputError
from vitruvian.images import image_size
from vitruvian.skeletons import MPII

JOINTS = MPII.num_joints


def record(image: str = "a.jpg", **more) -> dict:
    """One person: joint j at (10 + j, 40 + 2 j), counted from 1; the last one is not labelled."""
    joints = [[10.0 + j, 40.0 + 2 * j] for j in range(JOINTS)]
    flags = [1] * (JOINTS - 1) + [0]
    return {"image": image, "center": [60.0, 80.0], "scale": 0.5, "joints": joints, "joints_vis": flags} | more


def write(folder: Path, *records: dict, name: str = "valid.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(records))
    return path


def test_one_is_taken_off_joints_and_centres_once(tmp_path: Path) -> None:
    people = read_mpii(write(tmp_path, record())).photos[0].people
    expected = np.array([[9 + j, 39 + 2 * j] for j in range(JOINTS)], np.float32)
    np.testing.assert_array_equal(people.keypoints[0, :-1], expected[:-1])
    assert np.isnan(people.keypoints[0, -1]).all()
    assert people.visibility.tolist() == [[2] * (JOINTS - 1) + [0]]
    # Centre (60, 80 + 15 * 0.5), less 1, and 100 * 0.5 px to each side.
    assert people.boxes.tolist() == [[9, 36.5, 109, 136.5]]
    np.testing.assert_allclose(people.areas, [0.53 * 100 * 100])
    assert people.head_sizes is None
    assert trainable(people).tolist() == [True]


def test_a_centre_that_is_not_known_is_not_moved_down() -> None:
    np.testing.assert_array_equal(square_box(np.array([-1.0, -1.0]), 0.5), [-52, -52, 48, 48])
    np.testing.assert_array_equal(square_box(np.array([60.0, 80.0]), 2.0), [-141, -91, 259, 309])


def test_people_of_one_photo_come_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    labels = read_mpii(write(tmp_path, record("a.jpg"), record("b.jpg"), record("a.jpg", scale=1.5)))
    assert [(photo.image_id, photo.annotation_ids) for photo in labels.photos] == [("a.jpg", (0, 2)), ("b.jpg", (1,))]
    assert [photo.size for photo in labels.photos] == [(0, 0), (0, 0)]  # the file does not say
    sides = labels.photos[0].people.boxes[:, 2] - labels.photos[0].people.boxes[:, 0]
    assert sides.tolist() == [100, 300]
    assert (labels.skeleton, labels.num_people) == (MPII, 3)


def test_the_test_set_has_no_joints(tmp_path: Path) -> None:
    bare = {"image": "a.jpg", "center": [60.0, 80.0], "scale": 0.5}
    people = read_mpii(write(tmp_path, bare)).photos[0].people
    assert not people.visibility.any()
    assert np.isnan(people.keypoints).all()
    assert trainable(people).tolist() == [False]


@pytest.mark.parametrize("folder", ["annotations", "annotations/images", "images"])
def test_photos_are_found_in_the_usual_places(tmp_path: Path, folder: str) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "a.jpg").write_bytes(b"")
    assert read_mpii(write(tmp_path / "annotations", record())).photos[0].path == tmp_path / folder / "a.jpg"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"center": [1, 2, 3]}, "'center' of record 1 holds 3 numbers, expected 2 numbers"),
        ({"center": ["1", "2"]}, "'center' of record 1 is \"['1', '2']\", expected numbers"),
        ({"scale": "2.5"}, "'scale' of record 1 is '2.5', expected a number"),
        ({"scale": float("nan")}, "'scale' of record 1 is nan, expected a number"),
        ({"joints": [[1, 2]] * 3}, "'joints' of record 1 holds numbers shaped (3, 2), expected numbers shaped (16, 2)"),
        ({"joints": [[1, 2]] * 15 + [[1]]}, "'joints' of record 1 is '[[1, 2], [1, 2]"),
        ({"joints": [[1, float("inf")]] * 16}, "'joints' of record 1 holds NaN or infinity; correct it"),
        ({"joints_vis": [1] * 3}, "'joints_vis' of record 1 holds 3 numbers, expected 16 numbers"),
    ],
)
def test_what_is_wrong_with_a_person_is_named(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path, record(), record(**change))
    with pytest.raises(InputError) as raised:
        read_mpii(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("missing", ["image", "center", "scale", "joints_vis"])
def test_a_missing_field_is_named(tmp_path: Path, missing: str) -> None:
    bad = record()
    del bad[missing]
    with pytest.raises(InputError, match=f"valid.json: record 1 has no field '{missing}'; add it"):
        read_mpii(write(tmp_path, record(), bad))


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "valid.json"
    for text in ("{}", "[]"):
        path.write_text(text)
        with pytest.raises(InputError, match="expected a list of MPII records with image, center, scale and joints"):
            read_mpii(path)
    path.write_text("[3]")
    with pytest.raises(InputError, match="record 0 is of type int, expected a mapping with a field 'image'"):
        read_mpii(path)


def write_heads(path: Path, corners: np.ndarray, name: str = "headboxes_src") -> None:
    pytest.importorskip("scipy.io").savemat(str(path), {name: corners})


def test_head_sizes_come_from_the_ground_truth_beside_the_file(tmp_path: Path) -> None:
    corners = np.zeros((2, 2, 3), np.uint8)  # (corner, x or y, person); the smaller corner second in one of them
    corners[:, :, 0] = [[10, 20], [40, 60]]
    corners[:, :, 1] = [[5, 5], [10, 17]]
    corners[:, :, 2] = [[200, 4], [194, 12]]
    write_heads(tmp_path / "gt_valid.mat", corners)
    photos = read_mpii(write(tmp_path, record("a.jpg"), record("b.jpg"), record("a.jpg"))).photos
    assert HEAD_SHARE == 0.6
    np.testing.assert_allclose(photos[0].people.head_sizes, [0.6 * 50, 0.6 * 10], rtol=1e-6)
    np.testing.assert_allclose(photos[1].people.head_sizes, [0.6 * 13], rtol=1e-6)
    other = read_mpii(write(tmp_path, record(), name="train.json"))  # its own would be gt_train.mat
    assert other.photos[0].people.head_sizes is None


def test_head_sizes_of_other_people_are_refused(tmp_path: Path) -> None:
    write_heads(tmp_path / "gt_valid.mat", np.zeros((2, 2, 3)))
    with pytest.raises(InputError, match=r"gt_valid.mat: holds 3 head boxes for the 2 people of valid.json"):
        read_mpii(write(tmp_path, record(), record()))
    write_heads(tmp_path / "gt_valid.mat", np.zeros((2, 2, 3)), "headboxes")
    with pytest.raises(InputError, match=r"gt_valid.mat: has no array 'headboxes_src' \(it has headboxes\)"):
        read_mpii(write(tmp_path, record(), record()))


@pytest.mark.parametrize("kept", [0, 40, 200])
def test_a_damaged_ground_truth_is_named(tmp_path: Path, kept: int) -> None:
    mat = tmp_path / "gt_valid.mat"
    write_heads(mat, np.zeros((2, 2, 3)))
    mat.write_bytes(mat.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"gt_valid.mat: (cannot be read as a MATLAB file|has no array)"):
        read_mpii(write(tmp_path, record()))


def test_without_scipy_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gt_valid.mat").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(InputError, match=r"gt_valid.mat: reading it needs scipy: pip install 'vitruvian\[mat\]'"):
        read_mpii(write(tmp_path, record()))


def test_real_annotations_are_read(shared_data: Path) -> None:
    labels = read_mpii(shared_data / "samples" / "mpii" / "test_mpii.json")
    assert (len(labels.photos), labels.num_people) == (5, 5)
    for photo in labels.photos:
        assert photo.path.is_file()
        points, (width, height) = photo.people.keypoints, image_size(photo.path)
        assert (np.isnan(points) | ((points >= -1) & (points <= (width, height)))).all()
