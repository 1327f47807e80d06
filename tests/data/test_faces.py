"""The readers of faces: lists, tables, points and unnamed COCO files; their squares, visibility and each complaint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvian.data.faces import square_of
from vitruvian.data.reading import read_labels, read_skeleton
from vitruvian.errors import InputError
from vitruvian.skeletons import AFLW, IBUG_68, WFLW


def landmarks(count: int, shift: float = 0) -> np.ndarray:
    """(count, 2) px from (10.2, 20.6) to (90.8, 60.3), the corners among them, moved by `shift`."""
    points = np.random.default_rng(count).uniform((11, 21), (90, 60), (count, 2)).round(3)
    points[[3, 7]] = (10.2, 60.3), (90.8, 20.6)
    return points + shift


SQUARE = [10, 0, 91, 81]  # about (50.5, 40.5): x from 10 to 91, y from 20 to 61


def wflw_line(shift: float = 0, name: str = "7--Cheering/a.jpg") -> str:
    numbers = [*landmarks(98, shift).ravel().tolist(), 1, 2, 3, 4, 0, 1, 0, 0, 1, 0]
    return " ".join([*map(str, numbers), name])


def table(path: Path, count: int, *rows: tuple[str, float], box_size: bool = False) -> Path:
    titles = ["image", "scale", *(["box_size"] if box_size else []), "center_w", "center_h"]
    titles += [f"original_{i}_{axis}" for i in range(count) for axis in "xy"]
    lines = [",".join(titles)]
    for name, shift in rows:
        numbers = [0.405, *([77.5] if box_size else []), 50.5 + shift, 40.5 + shift]
        lines.append(",".join(map(str, [name, *numbers, *landmarks(count, shift).ravel()])))
    path.write_text("\n".join(lines) + "\n")
    return path


def coco_face(count: int, flag: int = 1, **more) -> dict:
    triples = np.concatenate([landmarks(count), np.full((count, 1), flag)], 1)
    record = {"id": 7, "image_id": 5, "category_id": 1, "bbox": [8, 18, 84, 44], "area": 3696}
    return {
        "images": [{"id": 5, "file_name": "a.jpg", "width": 80, "height": 70}],
        "categories": [{"id": 1, "name": "face", "keypoints": [], "skeleton": []}],
        "annotations": [record | {"keypoints": triples.ravel().tolist()} | more],
    }


def write(folder: Path, content: dict) -> Path:
    path = folder / "faces.json"
    path.write_text(json.dumps(content))
    return path


def test_a_square_is_of_whole_pixels_round_the_landmarks() -> None:
    points = landmarks(19)
    points[0] = np.nan
    assert square_of(points).tolist() == SQUARE


def test_squares_are_those_of_published_files(shared_data: Path) -> None:
    for name in ("wflw/test_wflw.json", "300w/test_300w.json"):
        path = shared_data / "samples" / name
        for record in json.loads(path.read_text())["annotations"]:
            points = np.array(record["keypoints"]).reshape(-1, 3)[:, :2]
            middle, half = np.array(record["center"]), 100 * record["scale"]
            np.testing.assert_allclose(square_of(points), [*(middle - half), *(middle + half)])


def test_a_list_of_wflw(tmp_path: Path) -> None:
    path = tmp_path / "lists" / "list_98pt_rect_attr_test.txt"
    path.parent.mkdir()
    path.write_text("\n".join([wflw_line(), wflw_line(3, "b/c.jpg"), "", wflw_line(5)]) + "\n")
    photo = tmp_path / "WFLW_images" / "7--Cheering" / "a.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"")
    labels = read_labels(path)
    assert labels.skeleton is WFLW is read_skeleton(path)
    assert [(p.path, p.annotation_ids) for p in labels.photos] == [
        (photo, (0, 2)),
        (tmp_path / "WFLW_images" / "b" / "c.jpg", (1,)),
    ]
    people = labels.photos[0].people
    np.testing.assert_allclose(people.keypoints, [landmarks(98), landmarks(98, 5)], rtol=1e-6)
    assert people.boxes.tolist() == [SQUARE, [x + 5 for x in SQUARE]]
    assert (people.visibility == 2).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3 a.jpg", "line 2 has 4 columns, expected 207: 98 times x and y, a box, six attributes and the photo"),
        ("x " + wflw_line().partition(" ")[2], "line 2 has 'x' among its numbers; correct it"),
        ("nan " + wflw_line().partition(" ")[2], "line 2 holds NaN or infinity; correct it"),
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(wflw_line() + "\n" + line + "\n")
    with pytest.raises(InputError) as raised:
        read_labels(path)
    assert str(raised.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(("count", "box_size"), [(98, False), (68, False), (19, True)])
def test_a_table_of_faces(tmp_path: Path, count: int, box_size: bool) -> None:
    path = table(tmp_path / "faces.csv", count, ("x/a.jpg", 0), ("b.jpg", 2), ("x/a.jpg", 4), box_size=box_size)
    labels = read_labels(path)
    assert labels.skeleton.num_joints == count == read_skeleton(path).num_joints
    assert [(p.path, p.annotation_ids) for p in labels.photos] == [
        (tmp_path / "images" / "x" / "a.jpg", (0, 2)),
        (tmp_path / "images" / "b.jpg", (1,)),
    ]
    people = labels.photos[0].people
    np.testing.assert_allclose(people.keypoints, [landmarks(count), landmarks(count, 4)], rtol=1e-6)
    np.testing.assert_allclose(people.boxes, [SQUARE, [x + 4 for x in SQUARE]], rtol=1e-6)
    assert (people.head_sizes is not None) == box_size
    if people.head_sizes is not None:
        assert people.head_sizes.tolist() == [77.5, 77.5]


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    path = table(tmp_path / "faces.csv", 19, ("a.jpg", 0), box_size=True)
    path.write_text(path.read_text() + "b.jpg,1,2\n")
    with pytest.raises(InputError, match=r"faces.csv: line 3 has 3 columns, expected 43 as in the first line"):
        read_labels(path)
    table(path, 18, ("a.jpg", 0))
    with pytest.raises(InputError, match=r"first line has 40 columns; expected image, scale, center_w, center_h"):
        read_labels(path)
    path.write_text("")
    with pytest.raises(InputError, match=r"first line has 0 columns"):
        read_skeleton(path)


def test_unnamed_faces_in_coco_format(tmp_path: Path) -> None:
    path = write(tmp_path, coco_face(68, center=[50.5, 40.5], scale=0.405))
    labels = read_labels(path)
    people = labels.photos[0].people
    assert labels.skeleton is IBUG_68 is read_skeleton(path)
    np.testing.assert_allclose(people.boxes, [SQUARE], rtol=1e-6)  # not clipped to the photo of 80 x 70 px
    assert people.areas.tolist() == [3696]
    assert (people.visibility == 2).all()
    assert people.head_sizes is None


def test_hidden_landmarks_and_sizes_of_faces(tmp_path: Path) -> None:
    content = coco_face(19, flag=2, center=[50.5, 40.5], scale=0.405, box_size=60)
    content["annotations"][0]["keypoints"][2] = 1
    labels = read_labels(write(tmp_path, content))
    people = labels.photos[0].people
    assert labels.skeleton is AFLW
    assert people.head_sizes is not None
    assert people.head_sizes.tolist() == [60]
    assert people.visibility[0].tolist() == [1] + [2] * 18  # where 2 occurs, 1 is hidden


def test_unnamed_joints_of_other_things_are_no_face(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, coco_face(19)))
    assert labels.skeleton.joints[:2] == ("joint_1", "joint_2")
    assert labels.photos[0].people.boxes.tolist() == [[8, 18, 79, 62]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"center": [1]}, "'center' of annotation 7 holds 1 numbers, expected 2 numbers"),
        ({"scale": "1"}, "'scale' of annotation 7 is '1', expected a number"),
    ],
)
def test_damaged_faces_are_named(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path, coco_face(68, **({"center": [50.5, 40.5], "scale": 0.405} | change)))
    with pytest.raises(InputError) as raised:
        read_labels(path)
    assert str(raised.value).startswith(f"{path}: {message}")


def points_file(path: Path, count: int, stated: int | None = None) -> None:
    lines = "\n".join(f"{x} {y}" for x, y in landmarks(count))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"version: 1\nn_points:  {count if stated is None else stated}\n{{\n{lines}\n}}\n")


def test_a_folder_of_points(tmp_path: Path) -> None:
    points_file(tmp_path / "ibug" / "b.pts", 68)
    points_file(tmp_path / "a.pts", 68)
    (tmp_path / "ibug" / "b.jpg").write_bytes(b"")
    labels = read_labels(tmp_path)
    assert labels.skeleton is IBUG_68 is read_skeleton(tmp_path)
    assert [(photo.path, photo.image_id) for photo in labels.photos] == [
        (tmp_path / "a.png", "a"),
        (tmp_path / "ibug" / "b.jpg", "ibug/b"),
    ]
    people = labels.photos[1].people
    np.testing.assert_allclose(people.keypoints, [landmarks(68)], rtol=1e-6)
    assert people.boxes.tolist() == [SQUARE]


def test_damaged_points_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.pts"
    points_file(file, 68, stated=67)
    with pytest.raises(InputError, match=r"a.pts: holds 136 numbers, expected 67 points, as n_points says; fetch it"):
        read_labels(tmp_path)
    points_file(file, 9)
    with pytest.raises(InputError, match=r"a.pts: holds 9 points, expected a face of 19, 29, 68, 98, 106; take it"):
        read_labels(tmp_path)
    file.write_text(file.read_text()[:-2])
    with pytest.raises(InputError, match=r"a.pts: has no { and } round its points; fetch it again, perhaps it is cut"):
        read_labels(tmp_path)
    with pytest.raises(InputError, match=r"a.pts: the points of one photo; give the folder"):
        read_labels(file)


@pytest.mark.parametrize(("name", "people"), [("wflw", 4), ("300w", 2)])
def test_real_faces(shared_data: Path, name: str, people: int) -> None:
    labels = read_labels(shared_data / "samples" / name / f"test_{name}.json")
    assert (labels.skeleton.name, labels.num_people) == (name, people)
    assert all(photo.path.is_file() for photo in labels.photos)
