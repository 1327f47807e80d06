"""The COCO reader: boxes, areas and joints of people, where photos are, who is learnt from, and each complaint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvian.data.coco import read_coco
from vitruvian.data.labels import left_out, trainable, why_nobody
from vitruvian.data.reading import read_skeleton
from vitruvian.errors import InputError
from vitruvian.images import image_size
from vitruvian.skeletons import COCO, COCO_WHOLEBODY

JOINTS = ["nose", "left_eye", "right_eye"]
SIZE = (40, 30)  # width, height


def write(folder: Path, *records: dict, **content) -> Path:
    """A file of one photo with these annotations, or with other `content`."""
    everyone = [{"id": 7 + i, "image_id": 5, "category_id": 1} | record for i, record in enumerate(records)]
    content = {
        "images": [{"id": 5, "file_name": "a.jpg", "width": SIZE[0], "height": SIZE[1]}],
        "categories": [{"id": 1, "name": "person", "keypoints": JOINTS}],
        "annotations": everyone,
    } | content
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


def person(box: list[float], flags: tuple[int, int, int] = (2, 1, 0), **more) -> dict:
    triples = [(10 + i, 20 + i, flag) for i, flag in enumerate(flags)]
    return {"bbox": box, "keypoints": [number for triple in triples for number in triple]} | more


def test_boxes_are_clipped_and_missing_areas_come_from_them(tmp_path: Path) -> None:
    path = write(tmp_path, person([2, 3, 10, 20]), person([-5, 20, 50, 30], area=77), person([50, 3, 4, 5]))
    people = read_coco(path).photos[0].people
    assert people.boxes.tolist() == [[2, 3, 12, 23], [0, 20, 39, 29], [39, 3, 39, 8]]
    np.testing.assert_allclose(people.areas, [0.53 * 200, 77, 1])


def test_unlabelled_joints_have_no_place(tmp_path: Path) -> None:
    photo = read_coco(write(tmp_path, person([2, 3, 10, 20]))).photos[0]
    np.testing.assert_array_equal(photo.people.keypoints[0], [[10, 20], [11, 21], [np.nan, np.nan]])
    assert photo.people.visibility.tolist() == [[2, 1, 0]]
    assert (photo.size, photo.annotation_ids) == (SIZE, (7,))


def test_annotations_may_say_where_joints_are_in_space(tmp_path: Path) -> None:
    box = [2.0, 3.0, 10.0, 20.0]
    space = {"keypoints_depth": [120, -30.5, 0], "root_depth": 4000, "camera": [500, 510, 20, 15]}
    people = read_coco(write(tmp_path, person(box, **space), person(box))).photos[0].people
    nan = np.nan
    expected = [[[10, 20, 120], [11, 21, -30.5], [nan] * 3], [[10, 20, nan], [11, 21, nan], [nan] * 3]]
    np.testing.assert_array_equal(people.keypoints, expected)
    np.testing.assert_array_equal(people.root_depths, [4000, nan])
    np.testing.assert_array_equal(people.cameras, [[500, 510, 20, 15], [nan] * 4])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"keypoints_depth": [1, 2]}, "'keypoints_depth' of annotation 7 holds 2 numbers, expected 3 numbers"),
        ({"root_depth": "near"}, "'root_depth' of annotation 7 is 'near'"),
        ({"camera": None}, "'camera' of annotation 7"),
    ],
)
def test_wrong_places_in_space_are_named(wrong: dict, message: str, tmp_path: Path) -> None:
    space = {"keypoints_depth": [120, -30.5, 0], "root_depth": 4000, "camera": [500, 510, 20, 15]} | wrong
    with pytest.raises(InputError, match=message):
        read_coco(write(tmp_path, person([2.0, 3.0, 10.0, 20.0], **space)))


def test_who_is_learnt_from(tmp_path: Path) -> None:
    box = [2.0, 3.0, 10.0, 20.0]
    crowd, nobody, outside = person(box, iscrowd=1), person(box, (0, 0, 0)), person([50, 3, 4, 5])
    path = write(tmp_path, person(box), crowd, nobody, outside, person(box, area=0))
    assert trainable(read_coco(path).photos[0].people).tolist() == [True, False, False, False, False]


def test_people_who_are_left_out_for_their_boxes_are_told(tmp_path: Path) -> None:
    box = [2.0, 3.0, 10.0, 20.0]
    crowd, nobody, outside = person([0, 0, 0, 0], iscrowd=1), person([0, 0, 0, 0], (0, 0, 0)), person([50, 3, 4, 5])
    path = write(tmp_path, person(box), crowd, nobody, outside, person(box, area=0))
    assert left_out(read_coco(path)) == (
        f"{path}: 2 of 5 people are left out, in training and in scoring by PCK, because their box has no extent "
        "inside the photo or their area is 0: annotation 10 first, box 39 3 39 8 (x0 y0 x1 y1) in 40 x 30 px, area 1; "
        "correct these"
    )
    assert left_out(read_coco(write(tmp_path, person(box), crowd, nobody))) == ""


def test_why_nobody_counts(tmp_path: Path) -> None:
    box = [2.0, 3.0, 10.0, 20.0]
    crowd, nobody, outside = person(box, iscrowd=1), person(box, (0, 0, 0)), person([50, 3, 4, 5])
    assert why_nobody(read_coco(write(tmp_path))) == "no person is annotated"
    assert why_nobody(read_coco(write(tmp_path, crowd, nobody, {"bbox": box}, outside))) == (
        "of 4 people, 1 to be ignored (iscrowd), 2 without a labelled joint ('keypoints' missing, or v 0 in all), "
        "1 with a box or an area of no extent"
    )
    assert why_nobody(read_coco(write(tmp_path, outside, outside))) == (
        "of 2 people, 2 with a box or an area of no extent"
    )


def test_a_person_without_keypoints_has_no_labelled_joint(tmp_path: Path) -> None:
    box = [2.0, 3.0, 10.0, 20.0]
    people = read_coco(write(tmp_path, person(box), {"bbox": box}, {"bbox": box, "keypoints": []})).photos[0].people
    assert people.visibility.tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert np.isnan(people.keypoints[1:]).all()
    assert trainable(people).tolist() == [True, False, False]


def test_annotations_of_other_categories_are_left_out_whatever_they_hold(tmp_path: Path) -> None:
    dog = {"category_id": 2, "bbox": "none", "keypoints": [1]}
    labels = read_coco(write(tmp_path, dog, person([2, 3, 10, 20])))
    assert labels.num_people == 1
    assert labels.photos[0].annotation_ids == (8,)


def test_photos_without_people_or_size_are_kept(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "a.jpg"}, {"id": "b", "file_name": "b.jpg", "width": 40, "height": None}]
    labels = read_coco(write(tmp_path, person([-5, 3, 80, 20]), images=images))
    assert [(photo.image_id, photo.size, len(photo.people)) for photo in labels.photos] == [
        (5, (0, 0), 1),
        ("b", (40, 0), 0),
    ]
    assert labels.photos[0].people.boxes.tolist() == [[-5, 3, 75, 23]]  # of no known size: not clipped


def test_the_skeleton_comes_from_the_first_category_with_keypoints(tmp_path: Path) -> None:
    categories = [
        {"id": 3, "name": "dog"},
        {"id": 1, "name": "face", "keypoints": JOINTS, "skeleton": [[1, 2], [1, 3]]},
        {"id": 4, "name": "hand", "keypoints": ["wrist"]},
    ]
    skeleton = read_coco(write(tmp_path, person([2, 3, 10, 20]), categories=categories)).skeleton
    assert (skeleton.name, skeleton.joints) == ("face", tuple(JOINTS))
    assert skeleton.limbs == ((0, 1), (0, 2))
    assert skeleton.mirror == (0, 2, 1)


@pytest.mark.parametrize(
    "folder",
    [
        "annotations",
        "annotations/images",
        "annotations/train2017",
        "images",
        "train2017",
        "val2017",
        "images/train2017",
    ],
)
def test_photos_are_found_in_the_usual_places(tmp_path: Path, folder: str) -> None:
    (tmp_path / "annotations").mkdir()
    file = write(tmp_path, person([2, 3, 10, 20])).rename(tmp_path / "annotations" / "person_keypoints_train2017.json")
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    photo = tmp_path / folder / "a.jpg"
    photo.write_bytes(b"")
    assert read_coco(file).photos[0].path == photo


def test_whole_body_annotations_find_the_photos_of_coco(tmp_path: Path) -> None:
    (tmp_path / "val2017").mkdir()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017" / "a.jpg").write_bytes(b"")
    path = tmp_path / "annotations" / "coco_wholebody_val_v1.0.json"
    write(tmp_path, person([2, 3, 10, 20])).rename(path)
    assert read_coco(path).photos[0].path.parent == tmp_path / "val2017"


def test_a_given_folder_comes_first_and_a_missing_photo_is_sought_in_images(tmp_path: Path) -> None:
    path = write(tmp_path, person([2, 3, 10, 20]))
    assert read_coco(path, tmp_path / "mine").photos[0].path == tmp_path / "mine" / "a.jpg"
    assert read_coco(path).photos[0].path == tmp_path / "images" / "a.jpg"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 2]}, "'keypoints' of annotation 7 holds 3 numbers, expected 9 numbers"),
        ({"keypoints": [[1, 2, 2]] * 3}, "'keypoints' of annotation 7 holds numbers shaped (3, 3), expected 9 numbers"),
        (
            {"keypoints": ["1", 2, 2] * 3},
            "'keypoints' of annotation 7 is \"['1', 2, 2, '1', 2, 2, '1', 2, 2]\", exp",
        ),
        ({"keypoints": [1, None, 2] * 3}, "'keypoints' of annotation 7 is '[1, None, 2, 1, None, 2, 1, None, 2]', exp"),
        ({"bbox": [1, 2, float("nan"), 4]}, "'bbox' of annotation 7 holds NaN or infinity; correct it"),
        (
            {"keypoints": [1, float("nan"), 2] * 3},
            "'keypoints' of annotation 7 holds NaN or infinity; correct it, or set x, y and v of that keypoint to 0",
        ),
        (
            {"keypoints": [1, 2, 7] * 3},
            "'nose' of annotation 7 has visibility 7, expected 0 (not labelled), 1",
        ),
        ({"keypoints": [1, 2, 2] * 2 + [1, 2, 0.5]}, "'right_eye' of annotation 7 has visibility 0.5, expected 0"),
        ({"bbox": [1, 2, 3]}, "'bbox' of annotation 7 holds 3 numbers, expected 4 numbers"),
        ({"bbox": 3}, "'bbox' of annotation 7 holds numbers shaped (), expected 4 numbers"),
        ({"bbox": {"x": 1}}, "'bbox' of annotation 7 is \"{'x': 1}\", expected numbers"),
        ({"keypoints": 0}, "'keypoints' of annotation 7 holds numbers shaped (), expected 9 numbers; correct it"),
        ({"area": "large"}, "'area' of annotation 7 is 'large', expected a number"),
        ({"iscrowd": "no"}, "'iscrowd' of annotation 7 is 'no', expected a number"),
        (
            {"image_id": 6},
            "annotation 7 belongs to image 6, which is not in the list of images; add the image or",
        ),
        ({"image_id": [5]}, "'image_id' of annotation 7 is [5], expected a whole number or a text"),
    ],
)
def test_what_is_wrong_with_a_person_is_named(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path, person([2, 3, 10, 20]) | change)
    with pytest.raises(InputError) as raised:
        read_coco(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert ("keypoint to 0" in str(raised.value)) == ("keypoint to 0" in message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": None}, "field 'annotations' is no list; expected annotations in COCO format"),
        ({"annotations": [{"image_id": 5}]}, "annotation number 0 has no field 'id'; add it"),
        ({"annotations": ["none"]}, "annotation number 0 is of type str, expected a mapping with a field 'id'"),
        ({"annotations": [{"id": 7}]}, "annotation 7 has no field 'image_id'; add it"),
        ({"annotations": [{"id": 7, "image_id": 5}]}, "annotation 7 has no field 'bbox'; add it"),
        ({"images": [{"id": 5}]}, "image number 0 has no field 'file_name'; add it"),
        ({"images": [3]}, "image number 0 is of type int, expected a mapping with a field 'file_name'"),
        ({"images": [{"file_name": "a.jpg"}]}, "the image a.jpg has no field 'id'; add it"),
        (
            {"images": [{"file_name": "a.jpg", "id": 5, "width": "wide"}]},
            "'width' of image 5 is 'wide', expected a",
        ),
        (
            {"images": [{"file_name": "a.jpg", "id": 5}, {"file_name": "b.jpg", "id": 5}]},
            "two images have the id 5, a.jpg and b.jpg; give each its own",
        ),
        (
            {"categories": [{"name": "person"}], "annotations": []},
            "no category has a field 'keypoints'; expected the joints' names there",
        ),
        ({"categories": []}, "no category has a field 'keypoints'; expected the joints' names there"),
        ({"categories": ["person"]}, "category 0 is of type str, expected a mapping"),
        (
            {"categories": [{"name": "person", "keypoints": ["nose", "left_eye", "chin"]}]},
            "category 'person': ",
        ),
        (
            {"categories": [{"name": "person", "keypoints": JOINTS, "skeleton": [[1, 2, 3]]}]},
            "a limb in 'skeleton' of category 'person' holds 3 numbers, expected 2 numbers",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, content: dict, message: str) -> None:
    path = write(tmp_path, person([2, 3, 10, 20]), **content)
    with pytest.raises(InputError) as raised:
        read_coco(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


def test_a_left_joint_without_a_right_one_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, categories=[{"name": "person", "keypoints": ["nose", "left_eye", "chin"]}])
    with pytest.raises(InputError, match="left_eye"):
        read_coco(path)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    for missing in ("images", "annotations", "categories"):
        path.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
        content = json.loads(path.read_text())
        del content[missing]
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=f"the file has no field '{missing}'; add it"):
            read_coco(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="the file is of type list, expected a mapping with a field 'images'"):
        read_coco(path)


def test_real_annotations_are_read(shared_data: Path) -> None:
    labels = read_coco(shared_data / "coco_mini" / "annotations" / "person_keypoints.json")
    assert (len(labels.photos), labels.num_people) == (36, 172)
    assert labels.skeleton is COCO
    labelled = [(photo.people.visibility > 0).any(1) for photo in labels.photos]
    assert sum(int(mask.sum()) for mask in labelled) == 86
    for photo in labels.photos:
        assert photo.path.is_file()
        assert image_size(photo.path) == photo.size
        people = photo.people
        assert np.array_equal(np.isnan(people.keypoints).any(2), people.visibility == 0)
        assert (people.boxes[:, 2:] <= np.array(photo.size) - 1).all()
    sample = read_coco(shared_data / "samples" / "coco" / "test_coco.json")
    assert (len(sample.photos), sample.num_people) == (4, 14)
    assert all(photo.path.is_file() for photo in sample.photos)
    crowded = read_coco(shared_data / "samples" / "crowdpose" / "test_crowdpose.json")
    assert (crowded.skeleton.num_joints, crowded.num_people) == (14, 5)


# COCO-WholeBody: five fields of keypoints


def whole_person(number: int, **changes) -> dict:
    """A person whose joint j lies at (j, number), seen; `changes` replace fields."""
    triples = [value for joint in range(133) for value in (joint, number, 2)]
    ends = {"keypoints": 17, "foot_kpts": 23, "face_kpts": 91, "lefthand_kpts": 112, "righthand_kpts": 133}
    starts = (0, *list(ends.values())[:-1])
    fields = {name: triples[3 * start : 3 * end] for start, (name, end) in zip(starts, ends.items())}
    flags = {f"{part}_valid": True for part in ("foot", "face", "lefthand", "righthand")}
    return {"bbox": [2, 3, 10, 20], "area": 90, **fields, **flags, **changes}


def write_whole(folder: Path, *people: dict, joints=COCO.joints) -> Path:
    return write(folder, *people, categories=[{"id": 1, "name": "person", "keypoints": list(joints)}])


def test_the_five_fields_of_a_whole_body_are_133_joints(tmp_path: Path) -> None:
    path = write_whole(tmp_path, whole_person(4), whole_person(6))
    labels = read_coco(path)
    assert labels.skeleton is COCO_WHOLEBODY
    assert read_skeleton(path) is COCO_WHOLEBODY
    people = labels.photos[0].people
    expected = np.stack([np.stack([np.arange(133), np.full(133, row)], 1) for row in (4, 6)])
    np.testing.assert_array_equal(people.keypoints, expected)
    assert (people.visibility == 2).all()


def test_parts_that_are_not_valid_or_not_there_are_not_labelled(tmp_path: Path) -> None:
    crowd = {"bbox": [2, 3, 10, 20], "iscrowd": 1}
    path = write_whole(tmp_path, whole_person(4, face_valid=False), whole_person(6, foot_kpts=None), crowd)
    visibility = read_coco(path).photos[0].people.visibility
    assert np.flatnonzero(visibility[0] == 0).tolist() == list(range(23, 91))
    assert np.flatnonzero(visibility[1] == 0).tolist() == list(range(17, 23))
    assert (visibility[2] == 0).all()


def test_a_hand_found_by_a_program_is_labelled_however_unsure_it_was(tmp_path: Path) -> None:
    values = [number for joint in range(21) for number in (5, 6, (0.0, 0.04, 0.9)[joint] if joint < 3 else 1.0)]
    people = read_coco(write_whole(tmp_path, whole_person(4, righthand_kpts=values))).photos[0].people
    assert people.visibility[0, 112:117].tolist() == [0, 1, 1, 1, 1]
    assert np.isnan(people.keypoints[0, 112]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"foot_kpts": [1, 2, 2] * 5}, "'foot_kpts' of annotation 7 holds 15 numbers, expected 18 numbers"),
        ({"keypoints": [1, 2, 2] * 3}, "'keypoints' of annotation 7 holds 9 numbers, expected 51 numbers"),
        ({"righthand_kpts": [1, 2, 3] * 21}, "'right_hand_root' of annotation 7 has visibility 3, expected 0"),
        ({"righthand_kpts": [1, 2, -0.5] * 21}, "'right_hand_root' of annotation 7 has visibility -0.5, expected 0"),
    ],
)
def test_what_is_wrong_with_a_part_is_named(tmp_path: Path, change: dict, message: str) -> None:
    path = write_whole(tmp_path, whole_person(4, **change))
    with pytest.raises(InputError) as raised:
        read_coco(path)
    assert str(raised.value).startswith(f"{path}: {message}")


def test_parts_beside_other_joints_are_not_left_out_silently(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"has fields of COCO-WholeBody \(foot_kpts, .*\), but category 1 names 3 join"
    ):
        read_coco(write_whole(tmp_path, whole_person(4), joints=JOINTS))


def test_a_real_file_of_whole_bodies_is_read(shared_data: Path) -> None:
    labels = read_coco(shared_data / "samples" / "coco" / "test_coco_wholebody.json")
    assert labels.skeleton is COCO_WHOLEBODY
    labelled = sum((photo.people.visibility > 0).sum(0) for photo in labels.photos)
    by_part = {part: int(labelled[list(COCO_WHOLEBODY.parts[part])].sum()) for part in ("body", "foot", "face")}
    assert by_part == {"body": 181, "foot": 38, "face": 272}
    assert (labelled[91:112].sum(), labelled[112:].sum()) == (105, 105)
    body = read_coco(shared_data / "samples" / "coco" / "test_coco.json")
    for whole, photo in zip(labels.photos, body.photos):
        np.testing.assert_array_equal(whole.people.keypoints[:, :17], photo.people.keypoints)


def test_two_annotations_of_one_id_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, person([2, 3, 10, 20]), person([2, 3, 10, 20], id=7))
    with pytest.raises(InputError, match=r"two annotations have the id 7, the second is annotation number 1; give"):
        read_coco(path)
    assert read_coco(write(tmp_path, person([2, 3, 10, 20]), {"category_id": 2, "id": 7})).num_people == 1
