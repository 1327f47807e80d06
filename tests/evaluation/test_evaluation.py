from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vitruvian.data.labels import Labels
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError
from vitruvian.evaluation import check_photos, evaluate, rows_of
from vitruvian.evaluation.scoring import aligned, figures_table, missing_figures, pck_rows, score_results, without_nan
from vitruvian.geometry import Framing
from vitruvian.images import write_image
from vitruvian.metrics.wholebody import split
from vitruvian.sample import People, Photo, Poses
from vitruvian.skeletons import COCO, COCO_WHOLEBODY, COFW, LSP, MPII, skeleton_from_names

CATEGORY = 3
JOINT_SCORES = np.linspace(0.3, 0.9, LSP.num_joints)


def person(number: int, image_id: int, left: float, **more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    points = rng.uniform((left, 10), (left + 60, 110), (LSP.num_joints, 2)).round()
    visibility = np.where(np.arange(LSP.num_joints) == number, 0, 2)
    triples = np.concatenate([points * (visibility > 0)[:, None], visibility[:, None]], 1)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": CATEGORY,
        "bbox": [left, 10, 60, 100],
        "area": 3000.0,
        "iscrowd": 0,
        "num_keypoints": int((visibility > 0).sum()),
        "keypoints": triples.flatten().tolist(),
        **more,
    }


def write_labels(path: Path, people: list[dict[str, Any]]) -> Labels:
    """Photo 1 with people 1 and 2, photo 2 with person 3 and a crowd, photo 3 with nobody."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 300, "height": 200} for i in (1, 2, 3)]
    for image in images:
        path.with_name(image["file_name"]).touch()  # nobody looks into it
    category = {"id": CATEGORY, "name": "person", "keypoints": list(LSP.joints), "skeleton": []}
    other = {"id": 1, "name": "dog"}
    path.write_text(json.dumps({"images": images, "categories": [other, category], "annotations": people}))
    return read_labels(path)


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    dog = {"id": 9, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25.0}
    crowd = person(4, 2, 200, iscrowd=1, num_keypoints=0, keypoints=[0] * (3 * LSP.num_joints))
    people = [person(1, 1, 10), dog, person(2, 1, 150), crowd, person(3, 2, 20)]
    return write_labels(tmp_path / "people.json", people)


class Oracle:
    """Finds in each annotated box what the annotation says, moved; which pose comes first is a matter of chance."""

    def __init__(self, labels: Labels, moved: dict[int, Any] | None = None, skeleton: Any = LSP) -> None:
        self.skeleton, self.framing = skeleton, Framing(size=(96, 128))
        self.score, self.flip = "keypoint", True
        self.labels, self.moved = labels, moved or {}
        self.looked_at: list[tuple[str, np.ndarray, bool, int | None]] = []

    def predict_stream(self, images: Any, boxes: Any, flip: bool, batch_size: int | None) -> Iterator[Any]:
        for path, of_photo in zip(images, boxes):
            self.looked_at.append((path.name, of_photo, flip, batch_size))
            photo = next(photo for photo in self.labels.photos if photo.path == path)
            order = np.random.default_rng(5).permutation(len(of_photo))
            yield SimpleNamespace(name=str(path), poses=self.poses(photo, of_photo[order]), error=None)

    def poses(self, photo: Photo, boxes: np.ndarray) -> Poses:
        points = []
        for box in boxes:
            index = int(np.abs(photo.people.boxes - box).sum(1).argmin())
            number = photo.annotation_ids[index]
            own = np.nan_to_num(photo.people.keypoints[index])
            points.append(np.asarray(self.moved.get(number, 0)) + own)
        scores = np.repeat(JOINT_SCORES[None], len(boxes), 0).astype(np.float32)
        return Poses(np.array(points), scores, scores.mean(1), boxes)


def test_exact_predictions_from_annotated_boxes(labels: Labels, tmp_path: Path) -> None:
    oracle = Oracle(labels)
    figures = evaluate(oracle, labels, tmp_path / "results.json", flip=False, batch_size=5)
    assert [(name, flip, size) for name, _, flip, size in oracle.looked_at] == [
        ("1.jpg", False, 5),
        ("2.jpg", False, 5),
    ]
    assert {name: figures[name] for name in ("boxes", "flip", "score", "people", "poses")} == {
        "boxes": "annotated",
        "flip": False,
        "score": "keypoint",
        "people": 3,
        "poses": 3,
    }
    assert figures["AP"] == figures["AR"] == 1
    assert figures["AP_L"] == -1  # nobody has 96^2 px^2
    assert figures["torso_pck@0.2"] == figures["torso_pck@0.1"] == 100
    assert figures["torso_pck"]["neck"] == {"@0.2": 100, "@0.1": 100}
    assert figures["torso_lengths"] == pytest.approx({"torso": 200 / 3, "other torso": 100 / 3, "box": 0})
    assert "PCKh@0.5" not in figures


def test_the_results_file_is_coco_and_says_whose_box_each_pose_is_from(labels: Labels, tmp_path: Path) -> None:
    evaluate(Oracle(labels, {2: (4.0, 0.0)}), labels, tmp_path / "results.json")
    records = {record["annotation_id"]: record for record in json.loads((tmp_path / "results.json").read_text())}
    assert {number: record["image_id"] for number, record in records.items()} == {1: 1, 2: 1, 3: 2}
    assert {record["category_id"] for record in records.values()} == {CATEGORY}
    for number, left in ((1, 10), (2, 150), (3, 20)):
        triples = np.array(records[number]["keypoints"]).reshape(-1, 3)
        truth = np.array(person(number, 0, left)["keypoints"]).reshape(-1, 3)
        seen = truth[:, 2] > 0
        np.testing.assert_allclose(triples[seen, 0], truth[seen, 0] + 4 * (number == 2))
        np.testing.assert_allclose(triples[:, 2], JOINT_SCORES, atol=1e-6)
        assert records[number]["score"] == pytest.approx(JOINT_SCORES.mean())


def test_the_file_alone_gives_the_same_figures(labels: Labels, tmp_path: Path) -> None:
    figures = evaluate(Oracle(labels, {1: (6.0, -2.0), 3: (0.0, 30.0)}), labels, tmp_path / "results.json")
    again = score_results(tmp_path / "results.json", labels)
    assert 0 < again["AP"] < 1
    assert 0 < again["torso_pck@0.1"] < 100
    assert again == {name: figures[name] for name in again}


def test_duplicates_are_no_results_but_count_for_pck(labels: Labels, tmp_path: Path) -> None:
    first, second = (np.nan_to_num(labels.photos[0].people.keypoints[i]) for i in (0, 1))
    oracle = Oracle(labels, {2: first - second + 0.25})  # in both boxes the first person is found
    figures = evaluate(oracle, labels, tmp_path / "results.json")
    records = json.loads((tmp_path / "results.json").read_text())
    assert len(records) == figures["poses"] == 2
    (kept,) = [record for record in records if record["image_id"] == 1]
    (duplicate,) = kept["duplicates"]
    assert {kept["annotation_id"], duplicate["annotation_id"]} == {1, 2}
    assert figures["AR50"] == pytest.approx(2 / 3)  # one of three people was not found
    assert figures["torso_pck@0.2"] == pytest.approx(200 / 3, abs=2)


def test_detected_boxes_have_scores_and_no_pck(labels: Labels, tmp_path: Path) -> None:
    boxes = labels.photos[0].people.boxes[[1, 0, 1]].astype(np.float64) + np.arange(3)[:, None]
    detected = {1: (boxes, np.array([0.9, 0.5, 0.8]))}
    oracle = Oracle(labels)
    figures = evaluate(oracle, labels, tmp_path / "results.json", detected, score="box_keypoint")
    np.testing.assert_array_equal(oracle.looked_at[0][1], boxes)
    assert [name for name, *_ in oracle.looked_at] == ["1.jpg"]
    assert (figures["boxes"], figures["score"]) == ("detected", "box_keypoint")
    assert not [name for name in figures if "pck" in name.lower()]
    assert figures["AR50"] == pytest.approx(2 / 3)
    records = json.loads((tmp_path / "results.json").read_text())
    scores = [record["score"] for record in records]
    assert scores == pytest.approx([0.9 * JOINT_SCORES.mean(), 0.5 * JOINT_SCORES.mean()])  # the third is a duplicate
    assert set(records[0]) == {"image_id", "category_id", "keypoints", "score"}


def test_rows_are_found_again_in_any_order() -> None:
    rows = np.array([[3.0, 1, 2, 0], [3, 1, 2, 0], [0, 5, 1, 1], [3, 1, 1, 0]])
    found = rows[[2, 1, 3, 0]]
    np.testing.assert_array_equal(found[rows_of(rows, found)], rows)
    assert sorted(rows_of(rows, found)) == [0, 1, 2, 3]


def test_networks_of_no_joint_of_the_labels_are_refused(labels: Labels, tmp_path: Path) -> None:
    message = (
        r"people\.json labels the 14 joints of 'lsp', but the network finds the 29 of 'cofw', and no joint has the "
        r"same name in both; choose data or a network with the same joints"
    )
    with pytest.raises(InputError, match=message):
        evaluate(Oracle(labels, skeleton=COFW), labels, tmp_path / "results.json")


class Turned(Oracle):
    """Knows the joints of the labels in another order, and two of them not at all, but another one."""

    ORDER = (13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)

    def __init__(self, labels: Labels, moved: dict[int, Any] | None = None) -> None:
        names = [*(LSP.joints[i] for i in self.ORDER), "tail"]
        super().__init__(labels, moved, skeleton_from_names("faun", names[1:] + names[:1], [], pairs=()))

    def poses(self, photo: Photo, boxes: np.ndarray) -> Poses:
        own = super().poses(photo, boxes)
        tail = np.full((len(own), 1, 2), 1000.0)
        keypoints = np.concatenate([own.keypoints[:, self.ORDER[1:]], tail, own.keypoints[:, self.ORDER[:1]]], 1)
        return Poses(keypoints, own.joint_scores[:, :13], own.scores, own.boxes)


def test_joints_of_the_same_names_are_scored_alone(labels: Labels, tmp_path: Path) -> None:
    figures = evaluate(Turned(labels), labels, tmp_path / "results.json")
    assert figures["joints"] == [joint for joint in LSP.joints if joint not in ("right_ankle", "neck")]
    assert (figures["AP"], figures["torso_pck@0.2"]) == (1, 100)
    assert np.isnan(figures["torso_pck"]["neck"]["@0.2"])
    assert {"AP", "joints"} <= score_results(tmp_path / "results.json", labels).keys()
    records = json.loads((tmp_path / "results.json").read_text())
    triples = np.array([record["keypoints"] for record in records]).reshape(-1, LSP.num_joints, 3)
    assert (triples[:, [0, 12]] == [0, 0, -1]).all()
    assert triples[:, [5, 13]].all()
    moved = evaluate(Turned(labels, {1: 500}), labels, tmp_path / "moved.json")  # one of three people
    assert moved["torso_pck@0.2"] == pytest.approx(200 / 3, abs=2)
    assert moved["AP"] < 0.7


def test_a_body_alone_is_scored_on_whole_bodies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 150, (2, 133, 2)).round()
    people = []
    for number in (1, 2):
        triples = np.concatenate([points[number - 1], np.full((133, 1), 2)], 1).flatten().tolist()
        record = {"id": number, "image_id": 1, "category_id": 1, "bbox": [10, 10, 140, 140], "area": 9000.0}
        people.append({**record, "iscrowd": 0, "num_keypoints": 17, **split(triples)})
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": []}
    images = [{"id": 1, "file_name": "1.jpg", "width": 160, "height": 160}]
    (tmp_path / "whole.json").write_text(
        json.dumps({"images": images, "annotations": people, "categories": [category]})
    )
    labels = read_labels(tmp_path / "whole.json")
    zeros = [0.0, 0.0, -1.0] * 116
    records = [
        {
            "image_id": 1,
            "category_id": 1,
            "score": 0.5,
            **split([*np.insert(points[i, :17], 2, 1, 1).flatten(), *zeros]),
        }
        for i in (0, 1)
    ]
    figures = score_results(results_file(tmp_path, records), labels)
    assert (len(figures["joints"]), figures["AP"], figures["parts"]["body"]["AP"]) == (17, 1, 1)
    assert figures["parts"]["face"]["AP"] == -1


def test_nobody_to_look_at(labels: Labels, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is nothing to evaluate: the detections have no box in any"):
        evaluate(Oracle(labels), labels, tmp_path / "results.json", boxes={})
    crowds = write_labels(tmp_path / "crowds.json", [person(1, 1, 10, iscrowd=1)])
    with pytest.raises(InputError, match=r"crowds\.json: nobody in it has a box.*of 1 people, 1 to be ignored"):
        evaluate(Oracle(crowds), crowds, tmp_path / "results.json")


def test_missing_photos_are_told_before_the_first_is_looked_at(labels: Labels, tmp_path: Path) -> None:
    (tmp_path / "2.jpg").unlink()
    (tmp_path / "3.jpg").unlink()  # has nobody
    oracle = Oracle(labels)
    with pytest.raises(InputError) as raised:
        evaluate(oracle, labels, tmp_path / "results.json")
    assert str(raised.value) == (
        f"{labels.path}: 1 of 2 photos are missing ({tmp_path}/2.jpg); add them, or give the folder of the photos "
        "(--images)"
    )
    assert not oracle.looked_at
    photos = [Photo(tmp_path / f"{i}.png", i, (60, 50), labels.photos[0].people) for i in range(5)]
    with pytest.raises(InputError, match=r"5 of 5 photos are missing \(.*0\.png, .*1\.png, .*2\.png and 2 more\)"):
        check_photos(labels, photos)


def test_photos_of_another_size_than_annotated_are_told_first(labels: Labels, tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        write_image(tmp_path / name, np.zeros((5, 7, 3), np.uint8))
    oracle = Oracle(labels)
    with pytest.raises(InputError) as raised:
        evaluate(oracle, labels, tmp_path / "results.json")
    assert str(raised.value).startswith(f"{tmp_path}/1.jpg is 7 x 5 px, but its annotations say ")
    assert str(raised.value).endswith(f"; 2 such photos: vitruvian data {labels.path} names all")
    assert not oracle.looked_at


def test_a_photo_that_cannot_be_read_stops_the_evaluation_and_leaves_no_file(labels: Labels, tmp_path: Path) -> None:
    class Blind(Oracle):
        def predict_stream(self, *args: Any) -> Iterator[Any]:
            yield SimpleNamespace(name="1.jpg", poses=None, error=InputError("1.jpg is empty"))

    with pytest.raises(InputError, match=r"1\.jpg is empty"):
        evaluate(Blind(labels), labels, tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


def results_file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "given.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def result(**changes: Any) -> dict[str, Any]:
    values = {"image_id": 1, "category_id": CATEGORY, "score": 0.5, "annotation_id": 1}
    return {**values, "keypoints": person(1, 1, 10)["keypoints"], **changes}


def test_nobody_found_is_nothing_right(labels: Labels, tmp_path: Path) -> None:
    figures = score_results(results_file(tmp_path, []), labels)
    assert (figures["AP"], figures["people"], figures["poses"]) == (0, 3, 0)


def test_results_of_other_programs_have_ap_alone(labels: Labels, tmp_path: Path) -> None:
    record = result()
    del record["annotation_id"]
    figures = score_results(results_file(tmp_path, [record]), labels)
    assert figures["AR"] == pytest.approx(1 / 3)
    assert "torso_pck@0.2" not in figures


def test_people_without_a_prediction_are_wrong(labels: Labels, tmp_path: Path) -> None:
    assert score_results(results_file(tmp_path, [result()]), labels)["torso_pck@0.2"] == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", "given.json: not valid JSON at line 1"),
        ({"annotations": []}, "given.json: expected COCO keypoint results, a list of records"),
        ([3], "given.json: expected COCO keypoint results"),
        ([result(image_id=77)], "given.json: result 0 is of image 77, which the truth does not list"),
        ([result(keypoints=[1, 2, 3])], "result 0 has 3 values in 'keypoints', expected 3 for each of 14 joints"),
        ([result(keypoints=[float("nan")] * 42)], "result 0, of image 1, holds NaN or infinity"),
        ([result(), result(score=float("inf"))], "result 1, of image 1, holds NaN or infinity"),
        ([result(annotation_id=3)], r"result 0 is of annotation 3 in image 1, which .*people\.json does not have"),
        ([result(), result()], "result 1 is the second one of annotation 1; keep one of them"),
        ([result(duplicates=[{"keypoints": []}])], "a duplicate of result 0 has no field 'annotation_id'"),
    ],
)
def test_bad_results_are_answered_with_file_and_record(
    labels: Labels, tmp_path: Path, content: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score_results(results_file(tmp_path, content), labels)


def test_mpii_has_pckh_and_no_ap(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(20, 180, (2, MPII.num_joints, 2)).round().astype(np.float32)
    people = People(
        keypoints=points,
        visibility=np.full((2, MPII.num_joints), 2, np.int8),
        boxes=np.array([[10, 10, 190, 190], [15, 10, 195, 190]], np.float32),
        areas=np.full(2, 9000, np.float32),
        ignored=np.zeros(2, bool),
        head_sizes=np.array([20, 40], np.float32),
    )
    photo = Photo(tmp_path / "a.jpg", "a.jpg", (200, 200), people, (0, 1))
    labels = Labels(tmp_path / "valid.json", MPII, (photo,), content=[])
    records = []
    for index, off in ((0, 2.5), (1, 0.0)):  # an eighth of the first head
        triples = np.concatenate([points[index] + [off, 0], np.ones((MPII.num_joints, 1))], 1)
        record = {"image_id": "a.jpg", "category_id": 1, "score": 1.0, "annotation_id": index}
        records.append({**record, "keypoints": triples.flatten().tolist()})
    figures = score_results(results_file(tmp_path, records), labels)
    assert "AP" not in figures
    assert {name: figures[name] for name in ("PCKh@0.5", "PCKh@0.1", "PCKh@0.11")} == {
        "PCKh@0.5": 100,
        "PCKh@0.1": 50,
        "PCKh@0.11": 50,
    }
    assert figures["PCKh"]["Wrist"] == 100
    assert "Mean@0.11" in figures_table(figures)
    assert "PCKh@0.5, inclusive" in figures_table(figures)
    assert score_results(results_file(tmp_path, records), labels, "mmpose")["PCKh@0.5"] == 100
    for index in range(0, 3 * MPII.num_joints, 3):
        records[0]["keypoints"][index] += 7.5  # 10 px: half the first head
    assert score_results(results_file(tmp_path, records), labels)["PCKh@0.5"] == 100
    strict = score_results(results_file(tmp_path, records), labels, "mmpose")
    assert (strict["PCKh@0.5"], strict["PCKh_way"]) == (50, "mmpose")
    assert "PCKh@0.5, mmpose" in figures_table(strict)


def test_files_without_areas_go_by_the_box(labels: Labels, tmp_path: Path) -> None:
    people = [person(1, 1, 10), person(2, 1, 150)]
    for one in people:
        del one["area"]
    figures = evaluate(Oracle(labels), write_labels(labels.path, people), tmp_path / "results.json")
    assert figures["AP"] == 1


def test_kept_content_is_not_read_again(labels: Labels, tmp_path: Path) -> None:
    kept = read_labels(labels.path, keep_content=True)
    labels.path.unlink()
    assert evaluate(Oracle(kept), kept, tmp_path / "results.json")["AP"] == 1


def test_crowded_photos_have_figures_of_their_own(labels: Labels, tmp_path: Path) -> None:
    content = json.loads(labels.path.read_text())
    for image, crowded in zip(content["images"], (0.1, 0.5, 0.9)):
        image["crowdIndex"] = crowded
    for record in content["annotations"]:
        del record["area"]
    labels.path.write_text(json.dumps(content))
    crowded = read_labels(labels.path)
    figures = evaluate(Oracle(crowded, {3: (0.0, 90.0)}), crowded, tmp_path / "results.json")
    assert (figures["AP_easy"], figures["AP_medium"], figures["AP_hard"]) == (1, 0, -1)
    assert figures_table(figures).splitlines()[3:5] == [
        "CrowdPose, per cent        AP_easy  AP_medium  AP_hard",
        "by how crowded a photo is   100.00       0.00        -",
    ]


def test_faces_have_an_nme(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(20, 180, (3, COFW.num_joints, 2)).round().astype(np.float32)
    points[:, 9] = points[:, 8] + [30, 40]  # the eyes: 50 px
    visibility = np.full((3, COFW.num_joints), 2, np.int8)
    visibility[2, 8], points[2, 8] = 0, np.nan  # a face of no known size
    people = People(
        keypoints=points,
        visibility=visibility,
        boxes=np.array([[10, 10, 190, 190]] * 3, np.float32),
        areas=np.full(3, 9000, np.float32),
        ignored=np.zeros(3, bool),
    )
    photo = Photo(tmp_path / "a.jpg", "a.jpg", (200, 200), people, (0, 1, 2))
    labels = Labels(tmp_path / "faces.json", COFW, (photo,), content=[])
    records = []
    for index, off in ((0, 2.0), (1, 8.0)):
        triples = np.concatenate([points[index] + [off, 0], np.ones((COFW.num_joints, 1))], 1)
        record = {"image_id": "a.jpg", "category_id": 1, "score": 1.0, "annotation_id": index}
        records.append({**record, "keypoints": triples.flatten().tolist()})
    figures = score_results(results_file(tmp_path, records), labels)
    assert (figures["NME"], figures["FR@0.1"]) == pytest.approx((0.1, 0.5))
    assert "faces, per cent" in figures_table(figures)
    assert missing_figures(figures, labels) == []
    one = score_results(results_file(tmp_path, records[:1]), labels)
    assert (one["NME"], one["FR@0.1"], without_nan(one)["NME"]) == (float("inf"), 0.5, None)


def test_what_is_no_body_is_measured_by_its_box(tmp_path: Path) -> None:
    fish = skeleton_from_names("fish", ("mouth", "tail", "fin"), [(0, 1)], sigmas=(0.1, 0.2, 0.3))
    people = People(
        keypoints=np.array([[[20, 20], [60, 20], [40, 30]], [[20, 80], [60, 80], [np.nan, np.nan]]], np.float32),
        visibility=np.array([[2, 2, 1], [2, 2, 0]], np.int8),
        boxes=np.array([[10, 10, 110, 40], [10, 70, 110, 90]], np.float32),  # 100 px long
        areas=np.full(2, 1500, np.float32),
        ignored=np.zeros(2, bool),
    )
    photo = Photo(tmp_path / "a.jpg", "a.jpg", (200, 200), people, (0, 1))
    labels = Labels(tmp_path / "fish.json", fish, (photo,), content=[])
    record = {"image_id": "a.jpg", "category_id": 1, "score": 1.0, "annotation_id": 0}
    record["keypoints"] = [24, 20, 1, 60, 29, 1, 40, 51, 1]  # 4, 9 and 21 px off; nothing of the second fish
    figures = score_results(results_file(tmp_path, [record]), labels)
    assert figures["box_pck"] == {
        "mouth": {"@0.05": 50, "@0.1": 50, "@0.2": 50},
        "tail": {"@0.05": 0, "@0.1": 50, "@0.2": 50},
        "fin": {"@0.05": 0, "@0.1": 0, "@0.2": 0},
    }
    assert [figures[f"box_pck@{at}"] for at in (0.05, 0.1, 0.2)] == pytest.approx([50 / 3, 100 / 3, 100 / 3])
    assert not any(name.startswith("torso") for name in figures)
    assert figures_table(figures).splitlines()[:2] == [
        "PCK by the box's longer side, per cent  @0.05   @0.1   @0.2",
        "all joints                              16.67  33.33  33.33",
    ]
    assert missing_figures(figures, labels) == []


def test_a_part_of_the_photos(labels: Labels, tmp_path: Path) -> None:
    part = replace(labels, photos=labels.photos[1:])
    figures = evaluate(Oracle(part), part, tmp_path / "results.json")
    assert (figures["people"], figures["AP"], figures["torso_pck@0.2"]) == (1, 1, 100)


def test_the_table_is_aligned() -> None:
    assert aligned([["", "AP", "AR50"], ["all", "100.0", "-"], ["longer", "3", "55"]]) == (
        "           AP  AR50\nall     100.0     -\nlonger      3    55"
    )
    figures = {
        **dict.fromkeys(("AP", "AP50", "AP75", "AP_M", "AR", "AR50", "AR75", "AR_M"), 0.70449),
        **{"AP_L": -1.0, "AR_L": -1.0, "torso_pck@0.2": 81.256, "torso_pck@0.1": 5.0},
        "torso_pck": {"neck": {"@0.2": 90.0, "@0.1": float("nan")}},
        "torso_lengths": {"torso": 75.0, "other torso": 20.0, "box": 5.0},
    }
    assert figures_table(figures).splitlines() == [
        "COCO, per cent        AP  AP50  AP75  AP_M  AP_L    AR  AR50  AR75  AR_M  AR_L",
        "all joints, by OKS  70.4  70.4  70.4  70.4     -  70.4  70.4  70.4  70.4     -",
        "",
        "PCK by the torso, per cent   @0.2  @0.1",
        "all joints                  81.26  5.00",
        "  neck                      90.00     -",
        "",
        "torso measured as, per cent of people",
        "  left shoulder to right hip           75.00",
        "  right shoulder to left hip           20.00",
        "  half the box's longer side            5.00",
    ]


def test_what_is_missing_is_explained() -> None:
    mpii, lsp = Labels(Path("a/valid.json"), MPII, ()), Labels(Path("a/val.json"), LSP, ())
    assert missing_figures({"AP": 0.5}, lsp) == ["no PCK: it is of people whose own boxes were looked into"]
    assert missing_figures({"torso_pck": {}}, lsp) == []
    assert missing_figures({"torso_pck": {}}, mpii) == [
        "no PCKh: the sizes of the heads are missing; put gt_valid.mat beside a/valid.json"
    ]
    assert missing_figures({"torso_pck": {}, "PCKh": {}}, mpii) == []


def test_json_has_no_nan() -> None:
    assert without_nan({"a": float("nan"), "b": {"c": 1.5, "d": "x"}}) == {"a": None, "b": {"c": 1.5, "d": "x"}}


def test_a_whole_body_is_five_fields_and_has_figures_by_part(tmp_path: Path) -> None:
    path = tmp_path / "whole.json"
    rng = np.random.default_rng(0)
    people = []
    for number, image_id, left in ((1, 1, 10), (2, 1, 150), (3, 2, 20)):
        triples = np.concatenate([rng.uniform((left, 10), (left + 60, 110), (133, 2)), np.full((133, 1), 2)], 1)
        own = {"bbox": [left, 10, 60, 100], "area": 3000.0, "iscrowd": 0, **split(triples.ravel().tolist())}
        people.append({"id": number, "image_id": image_id, "category_id": 1, **own})
    people[2] |= {"face_valid": False, "face_kpts": [0] * 204}
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 300, "height": 200} for i in (1, 2)]
    for image in images:
        path.with_name(image["file_name"]).touch()
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joints)}
    path.write_text(json.dumps({"images": images, "categories": [category], "annotations": people}))
    labels = read_labels(path)

    class Whole(Oracle):
        def poses(self, photo: Photo, boxes: np.ndarray) -> Poses:
            indices = [int(np.abs(photo.people.boxes - box).sum(1).argmin()) for box in boxes]
            points = np.nan_to_num(photo.people.keypoints[indices])
            off = np.array([photo.annotation_ids[index] == 2 for index in indices])
            points[off, 91:112] += 200  # one left hand is elsewhere
            scores = np.full((len(boxes), 133), 0.5, np.float32)
            return Poses(points, scores, scores.mean(1), boxes)

    figures = evaluate(Whole(labels, skeleton=COCO_WHOLEBODY), labels, tmp_path / "results.json")
    assert {part: own["AR"] for part, own in figures["parts"].items()} == pytest.approx(
        {"body": 1, "foot": 1, "face": 1, "left_hand": 2 / 3, "right_hand": 1, "hand": 5 / 6}
    )
    assert 2 / 3 < figures["AR"] < 1
    assert figures["torso_pck@0.2"] == pytest.approx(100 * (1 - 21 / (3 * 133 - 68)))
    (record, *_) = json.loads((tmp_path / "results.json").read_text())
    assert {name: len(own) for name, own in record.items() if isinstance(own, list)} == {
        **{"keypoints": 51, "foot_kpts": 18, "face_kpts": 204, "lefthand_kpts": 63, "righthand_kpts": 63}
    }
    table = figures_table(figures).splitlines()
    assert [line.split("  ")[0].strip() or line.split("  ")[1] for line in table[1:8]] == [
        "all joints, by OKS",
        *("body", "foot", "face", "left hand", "right hand", "hand"),
    ]


def test_what_files_lack_is_said(labels: Labels, tmp_path: Path) -> None:
    records = [
        {
            "image_id": 1,
            "category_id": labels.category_id,
            "score": 0.5,
            "keypoints": [9.0, 9.0, 0.0] * len(labels.skeleton.joints),
        }
    ]
    path = results_file(tmp_path, records)
    content = json.loads(labels.path.read_text())
    for record in content["annotations"]:
        record.pop("area")
    labels.path.write_text(json.dumps(content))
    notes = score_results(path, read_labels(labels.path))["notes"]
    assert (
        notes[0]
        == f"{labels.path}: no annotation has an 'area'; a person is as large as .53 of the box, as in CrowdPose"
    )
    assert notes[-1] == f"{path}: 1 result whose joints all have the score 0; kept, as COCO's own evaluation does"


def test_joints_that_do_not_count_have_no_line() -> None:
    nothing = float("nan")
    by_joint = {"neck": {"@0.2": 50.0}, "nose": {"@0.2": nothing}}
    assert pck_rows("PCK", "p", {"p": by_joint, "p@0.2": 50.0}) == [
        ["PCK", "@0.2"],
        ["all joints", "50.00"],
        ["  neck", "50.00"],
    ]
    many = {f"joint_{index}": {"@0.2": 50.0} for index in range(31)}
    assert len(pck_rows("PCK", "p", {"p": many, "p@0.2": 50.0})) == 2
