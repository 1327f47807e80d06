"""Crops of people: boxes of any kind, photos of any kind, one decoding, and the way back to the photo."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vitruvian import crops
from vitruvian.crops import as_rgb, check_boxes, crop_people, in_order, points_in_photo
from vitruvian.errors import InputError
from vitruvian.geometry import Framing, box_matrix, transform_points
from vitruvian.images import warp, write_image

FRAMING = Framing(size=(24, 40))


def photo(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The reduction of each decoding."""
    seen = []

    def read(path: Path, reduction: int) -> np.ndarray:
        seen.append(reduction)
        return whole(path, reduction)

    whole = crops.read_image
    monkeypatch.setattr(crops, "read_image", read)
    return seen


def test_crops_are_warps_of_the_boxes() -> None:
    image, boxes = photo(50, 70), np.array([[3.0, 5, 20, 60], [30, -9, 66, 18.5]])
    found = crop_people(image, boxes, FRAMING, "it")
    assert found.photo_size == (50, 70)
    assert found.pixels.shape == (2, 40, 24, 3)
    for person in range(2):
        matrix = box_matrix(boxes[person], FRAMING)
        np.testing.assert_array_equal(found.pixels[person], warp(image, matrix, (24, 40)))
        np.testing.assert_allclose(found.to_photo[person] @ matrix, np.eye(3), atol=1e-9)
    np.testing.assert_array_equal(found.boxes, boxes)
    np.testing.assert_array_equal(found.box_scores, [1, 1])


def test_a_file_gives_the_crops_of_its_pixels(tmp_path: Path, readings: list[int]) -> None:
    image, boxes = photo(50, 70), np.array([[3.0, 5, 20, 60], [30, -9, 66, 18.5]])
    write_image(tmp_path / "a.png", image)
    found = crop_people(tmp_path / "a.png", boxes, FRAMING, "it")
    np.testing.assert_array_equal(found.pixels, crop_people(image, boxes, FRAMING, "it").pixels)
    assert readings == [1], "one decoding for all boxes"


def test_decodes_at_the_scale_that_the_most_detailed_box_needs(tmp_path: Path, readings: list[int]) -> None:
    large, small = [10, 10, 300, 600], [10, 10, 120, 200]
    write_image(tmp_path / "a.jpg", np.full((640, 320, 3), 90, np.uint8))
    sizes = [crop_people(tmp_path / "a.jpg", boxes, FRAMING, "it").photo_size for boxes in ([large], [large, small])]
    assert readings == [8, 4]
    assert sizes == [(320, 640), (320, 640)], "of the photo, whatever was decoded"


def test_reduced_photos_give_the_same_places(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:640, :400]
    image = np.repeat((127 + 60 * np.sin(rows / 40) + 60 * np.cos(columns / 30)).astype(np.uint8)[..., None], 3, 2)
    write_image(tmp_path / "a.png", image)
    box = np.array([20.0, 10, 380, 600])
    matrix = box_matrix(box, FRAMING)
    full = warp(image, matrix, FRAMING.size)
    for given in (tmp_path / "a.png", image):
        found = crop_people(given, [box], FRAMING, "it")
        assert np.abs(found.pixels[0].astype(int) - full)[2:-2, 2:-2].max() <= 4
        np.testing.assert_allclose(found.to_photo[0] @ matrix, np.eye(3), atol=1e-9)


def test_people_who_are_much_larger_than_the_crop_look_the_same_in_files_and_arrays(tmp_path: Path) -> None:
    image = photo(400, 640)
    write_image(tmp_path / "a.png", image)
    for boxes in ([[20, 10, 380, 600]], [[20, 10, 380, 600], [30, 40, 130, 290]], None):
        from_file, from_array = (crop_people(given, boxes, FRAMING, "it") for given in (tmp_path / "a.png", image))
        np.testing.assert_array_equal(from_file.pixels, from_array.pixels)
        assert from_file.photo_size == from_array.photo_size == (400, 640)
    middle = crop_people(image, [[20, 10, 380, 600]], FRAMING, "it").pixels[0, 8:-8, 8:-8]
    assert middle.std() < 20, "noise is averaged, not picked from"


@pytest.mark.parametrize("size", [(1, 5), (1, 1), (200, 3)])
def test_the_whole_photo_is_one_person_between_its_outer_edges(size: tuple[int, int], tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((size[1], size[0], 3), 200, np.uint8))
    for image in (tmp_path / "a.png", np.full((size[1], size[0], 3), 200, np.uint8)):
        found = crop_people(image, None, FRAMING, "it")
        np.testing.assert_array_equal(found.boxes, [[-0.5, -0.5, size[0] - 0.5, size[1] - 0.5]])
        assert found.photo_size == size
        assert found.pixels.max() > 100
        centre = points_in_photo(np.array([[[12.0, 20.0]]]), found.to_photo)[0, 0]
        np.testing.assert_allclose(centre, [(size[0] - 1) / 2, (size[1] - 1) / 2], atol=1e-9)


def test_a_large_photo(tmp_path: Path, readings: list[int]) -> None:
    write_image(tmp_path / "a.jpg", np.zeros((3000, 4000, 3), np.uint8))
    assert crop_people(tmp_path / "a.jpg", None, FRAMING, "it").photo_size == (4000, 3000)
    assert readings == [8]


def test_photos_without_boxes_are_not_read(readings: list[int]) -> None:
    for boxes in ([], np.zeros((0, 4)), np.zeros((0, 5))):
        found = crop_people("nowhere.jpg", boxes, FRAMING, "it")
        assert len(found) == 0
        assert found.pixels.shape == (0, 40, 24, 3)
        assert found.to_photo.shape == (0, 3, 3)
    assert not readings


BAD_BOXES = [
    ([[0, 0, 9, 9], [1, 2, np.nan, 9]], "photo 7: box 1 (1 2 nan 9) holds NaN or infinity"),
    ([[0, 0, 9, np.inf]], "photo 7: box 0 (0 0 9 inf) holds NaN or infinity"),
    ([[5, 5, 5, 9]], "photo 7: box 0 (5 5 5 9) has no area; give x1 > x0 and y1 > y0"),
    (
        [[0, 0, 9, 9], [20, 5, 10, 9]],
        "photo 7: box 1 (20 5 10 9) ends before it begins; boxes are x0 y0 x1 y1, not x",
    ),
    ([[0, 0, 9, 9], [70, 5, 90, 9]], "photo 7: box 1 (70 5 90 9) lies outside of the photo of 50 x 60 px"),
    ([[-9, -9, -1, -2]], "photo 7: box 0 (-9 -9 -1 -2) lies outside of the photo"),
    ([["1", "2", "3", "4"]], "photo 7: box 0 is \"['1' '2' '3' '4']\", expected (N, 4) numbers x0 y0 x1 y1"),
    ("boxes", "photo 7: box 0 is 'boxes', expected (N, 4) numbers"),
    ([[0, 0, 9, 9], [1, 2, 3]], "photo 7: its boxes are no array"),
    ([[1, 2, 3]], "photo 7: its boxes have shape (1, 3), expected (N, 4) numbers"),
    ([1, 2, 3, 4], "photo 7: its boxes have shape (4,), expected (N, 4) numbers"),
    ([[0, 0, 9, None]], "photo 7: box 0 is "),
]


@pytest.mark.parametrize(("boxes", "message"), BAD_BOXES, ids=[message[9:40] for _, message in BAD_BOXES])
def test_bad_boxes_are_named(boxes, message: str) -> None:
    with pytest.raises(InputError) as error:
        crop_people(photo(50, 60), boxes, FRAMING, "photo 7")
    assert message in str(error.value)


def test_boxes_may_have_scores() -> None:
    corners, scores = check_boxes([[0, 1, 2, 3, 0.25], [4, 5, 6, 7, 0.5]], "it")
    np.testing.assert_array_equal(corners, [[0, 1, 2, 3], [4, 5, 6, 7]])
    np.testing.assert_array_equal(scores, [0.25, 0.5])


def test_huge_and_tiny_boxes_do_no_harm() -> None:
    found = crop_people(photo(50, 60), [[-1e12, -1e12, 1e12, 1e12], [10, 10, 10 + 1e-9, 10 + 1e-9]], FRAMING, "it")
    assert np.isfinite(found.to_photo).all()


def test_arrays_of_other_kinds_become_rgb() -> None:
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for image in (grey, grey[..., None]):
        np.testing.assert_array_equal(as_rgb(image, "it"), np.stack([grey, grey, grey], -1))
    clear = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8)
    np.testing.assert_array_equal(as_rgb(clear, "it"), [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]])


@pytest.mark.parametrize("image", [np.zeros((4, 5, 3)), np.zeros((4, 5, 2), np.uint8), np.zeros((0, 5, 3), np.uint8)])
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"images\[2\] is an array of .*, expected uint8 \(H, W, 3\)"):
        as_rgb(image, "images[2]")


def test_other_things_are_no_photos() -> None:
    with pytest.raises(InputError, match=r"images\[0\] is a dict, expected a path or a numpy array"):
        crop_people({}, None, FRAMING, "images[0]")  # type: ignore[arg-type]


def test_points_in_photo_is_a_transform_per_person() -> None:
    rng = np.random.default_rng(0)
    points, matrices = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 3, 3))
    expected = np.stack([transform_points(p, m) for p, m in zip(points, matrices)])
    np.testing.assert_allclose(points_in_photo(points, matrices), expected)
    assert points_in_photo(np.zeros((0, 5, 2)), np.zeros((0, 3, 3))).shape == (0, 5, 2)


def test_in_order_keeps_the_order_and_takes_few_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(50):
            taken.append(item)
            yield item

    results = in_order(lambda item: item * item, items(), threads=3)
    assert next(results) == 0
    assert len(taken) == 7
    assert list(results) == [item * item for item in range(1, 50)]


def test_in_order_passes_errors_on_and_leaves_no_threads() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // item, [1, 0, 1], threads=2))
    results = in_order(str, range(9), threads=2)
    next(results)
    results.close()
    assert threading.active_count() == before
