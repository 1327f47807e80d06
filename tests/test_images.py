"""Photos: every kind of file gives the same upright RGB, bad ones say what is wrong, and pixels stay where they are."""

import errno
import json
import os
import re
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vitruvian.errors import InputError
from vitruvian.image_headers import read_header
from vitruvian.images import image_size, list_images, normalise, read_image, warp, write_image

PARITY = Path(os.environ.get("VITRUVIAN_PARITY", Path(__file__).parents[1] / "../shared/parity"))


def picture(width: int = 101, height: int = 67) -> np.ndarray:
    """Smooth RGB: red grows to the right, green downwards, blue waves."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / (width - 1), y * 255 / (height - 1), 128 + 100 * np.sin(x / 9)], -1).astype(np.uint8)


def bgr(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., ::-1])


def exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def turned_jpeg(image: np.ndarray, orientation: int, order: str = "<") -> bytes:
    data = cv2.imencode(".jpg", bgr(image), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    segment = b"Exif\0\0" + exif(orientation, order)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def turned_png(image: np.ndarray, orientation: int) -> bytes:
    data = cv2.imencode(".png", bgr(image))[1].tobytes()
    return data[:33] + chunk(b"eXIf", exif(orientation)) + data[33:]


def turned_webp(image: np.ndarray, orientation: int) -> bytes:
    height, width = image.shape[:2]
    plain = cv2.imencode(".webp", bgr(image), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    wide = b"VP8X" + struct.pack("<II", 10, 8) + sizes
    data = exif(orientation)
    body = b"WEBP" + wide + plain[12:] + b"EXIF" + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


UPRIGHT = {  # what each orientation asks for, by EXIF 2.3: row 0 and column 0 of the stored pixels are the photo's ...
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: np.rot90(a, -1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: np.rot90(a),  # left, bottom
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("make", [turned_jpeg, turned_png, turned_webp])
def test_exif_rotation(tmp_path, make, orientation):
    (tmp_path / "a").write_bytes(make(picture(), orientation))
    expected = UPRIGHT[orientation](picture())
    image = read_image(tmp_path / "a")
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected).max() <= (8 if make is turned_jpeg else 0)
    assert image_size(tmp_path / "a") == (expected.shape[1], expected.shape[0])


def test_exif_of_either_byte_order_and_of_no_sense(tmp_path):
    for order, orientation, size in (
        (">", 6, (67, 101)),
        ("<", 6, (67, 101)),
        ("<", 9, (101, 67)),
        ("<", 0, (101, 67)),
    ):
        (tmp_path / "a.jpg").write_bytes(turned_jpeg(picture(), orientation, order))
        assert image_size(tmp_path / "a.jpg") == size
        assert read_image(tmp_path / "a.jpg").shape[1::-1] == size
    data = turned_jpeg(picture(), 6)
    (tmp_path / "a.jpg").write_bytes(data.replace(struct.pack("<IH", 8, 1), struct.pack("<IH", 999, 1)))
    assert image_size(tmp_path / "a.jpg") == (101, 67)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".ppm", ".jp2", ".jpg", ".gif", ".avif"])
def test_formats(tmp_path, suffix):
    parameters = {".webp": [cv2.IMWRITE_WEBP_QUALITY, 101], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 98]}
    try:
        done, data = cv2.imencode(suffix, bgr(picture()), parameters.get(suffix, []))
    except cv2.error:
        pytest.skip(f"this OpenCV writes no {suffix}")
    assert done
    (tmp_path / f"a{suffix}").write_bytes(data.tobytes())
    image = read_image(tmp_path / f"a{suffix}")
    assert (image.shape, image.dtype) == ((67, 101, 3), np.uint8)
    tolerance = {".jpg": 8, ".jp2": 6, ".gif": 90, ".avif": 16}.get(suffix, 0)
    assert np.abs(image.astype(int) - picture()).max() <= tolerance
    assert image_size(tmp_path / f"a{suffix}") == (101, 67)


def test_lossy_webp_size_is_read_from_its_head(tmp_path):
    (tmp_path / "a.webp").write_bytes(
        cv2.imencode(".webp", bgr(picture()), [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()
    )
    assert read_header((tmp_path / "a.webp").read_bytes()).size == (101, 67)
    assert read_image(tmp_path / "a.webp").shape == (67, 101, 3)


def test_grey_and_16_bits(tmp_path):
    grey = picture()[..., 0]
    for name, stored in {"a.png": grey, "b.png": grey.astype(np.uint16) * 257, "c.jpg": grey}.items():
        cv2.imwrite(str(tmp_path / name), stored)
        image = read_image(tmp_path / name)
        assert image.shape == (67, 101, 3)
        assert np.abs(image.astype(int) - grey[..., None]).max() <= (3 if name == "c.jpg" else 0)
    cv2.imwrite(str(tmp_path / "d.png"), bgr(picture()).astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "d.png"), picture())


def test_transparent_pixels_are_white(tmp_path):
    stored = np.dstack([bgr(picture()), np.full((67, 101), 255, np.uint8)])
    stored[:20, :, 3] = 0
    stored[20:40, :, 3] = 128
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    image = read_image(tmp_path / "a.png")
    assert (image[:20] == 255).all()
    np.testing.assert_allclose(image[20:40], picture()[20:40] * (128 / 255) + 127, atol=0.51)
    np.testing.assert_array_equal(image[40:], picture()[40:])
    stored[..., 3] = 0  # a fourth channel that nobody filled
    cv2.imwrite(str(tmp_path / "b.png"), stored)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), picture())


def palette_png(transparent: bool) -> bytes:
    """4 x 2 pixels of the palette red, blue, of which red is transparent where asked."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0)) + chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255]))
    tail = chunk(b"IDAT", zlib.compress(bytes([0, 0, 0, 1, 1, 0, 1, 1, 0, 0]))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + (chunk(b"tRNS", b"\0\xff") if transparent else b"") + tail


def test_palette(tmp_path):
    (tmp_path / "a.png").write_bytes(palette_png(transparent=False))
    (tmp_path / "b.png").write_bytes(palette_png(transparent=True))
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 255]]
    assert read_image(tmp_path / "b.png")[1].tolist() == [[0, 0, 255], [0, 0, 255], [255] * 3, [255] * 3]


def test_cmyk_jpeg_and_first_frame_of_an_animation(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    first = pillow.fromarray(picture())
    first.convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - picture()).max() <= 8
    assert read_image(tmp_path / "a.jpg", 4).shape == (17, 26, 3)
    second = pillow.fromarray(255 - picture())
    first.save(tmp_path / "a.webp", save_all=True, append_images=[second], lossless=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.webp"), picture())
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    expected = np.asarray(pillow.open(tmp_path / "a.gif").convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif"), expected)


def centroid(image: np.ndarray) -> np.ndarray:
    """(x, y) of the bright spot of a dark image."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image.mean(-1)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("size", [(160, 128), (157, 121)])
def test_reduction_says_where_the_pixels_are(tmp_path, reduction, name, orientation, size):
    y, x = np.mgrid[: size[1], : size[0]]
    spot = 250 * np.exp(-((x - 70.3) ** 2 + (y - 52.8) ** 2) / (2 * 12**2))
    image = np.repeat(spot[..., None], 3, -1).astype(np.uint8)
    make = turned_jpeg if name == "a.jpg" else turned_png
    (tmp_path / name).write_bytes(make(image, orientation))
    full, reduced = read_image(tmp_path / name), read_image(tmp_path / name, reduction)
    assert reduced.shape == (-(-full.shape[0] // reduction), -(-full.shape[1] // reduction), 3)
    expected = (centroid(full) - (reduction - 1) / 2) / reduction
    np.testing.assert_allclose(centroid(reduced), expected, atol=0.02)


def test_reduction_of_something_else(tmp_path):
    with pytest.raises(ValueError, match="reduction is 3; give 1, 2, 4 or 8"):
        read_image(tmp_path / "a.jpg", 3)


def jpeg() -> bytes:
    return cv2.imencode(".jpg", bgr(picture()))[1].tobytes()


def png() -> bytes:
    return cv2.imencode(".png", bgr(picture()))[1].tobytes()


def webp() -> bytes:
    return cv2.imencode(".webp", bgr(picture()), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()


def with_thumbnail(data: bytes) -> bytes:
    """A JPEG with another, whole, JPEG in its metadata."""
    small = cv2.imencode(".jpg", bgr(picture(16, 8)))[1].tobytes()
    return data[:2] + b"\xff\xe2" + struct.pack(">H", len(small) + 2) + small + data[2:]


BAD = {
    "empty": (b"", "is empty (0 bytes); fetch or save it again"),
    "text": (b"hello, world", "is not an image: it begins with b'hello, w'; name a JPEG or PNG file"),
    "cut.jpg": (jpeg()[:-500], "is cut off or damaged: its JPEG data has no end"),
    "filled.jpg": (jpeg()[:-500] + bytes(500), "its JPEG data has no end"),
    "thumbnail.jpg": (with_thumbnail(jpeg())[:-500], "its JPEG data has no end"),
    "head.jpg": (jpeg()[:30], "its JPEG data has no end"),
    "cut.png": (png()[:-300], "its PNG data has no end"),
    "end.png": (png()[:-12], "its PNG data has no end"),
    "damaged.png": (png()[:200] + bytes(20) + png()[220:], "the checksum of its PNG chunk IDAT is wrong"),
    "cut.webp": (webp()[:-100], "its WebP data has no end"),
    "cut.gif": (b"GIF89a" + bytes(3), "is a GIF file that OpenCV cannot decode; save it again as JPEG or PNG"),
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC file that OpenCV cannot decode"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_what_is_wrong_and_only_that(tmp_path, name, capfd):
    data, message = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as error:
        read_image(tmp_path / name)
    assert message in str(error.value)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_what_follows_the_end_of_a_jpeg_does_no_harm(tmp_path):
    (tmp_path / "a.jpg").write_bytes(with_thumbnail(jpeg()) + b"maker's notes")
    assert read_image(tmp_path / "a.jpg").shape == (67, 101, 3)


def test_missing_files_and_folders(tmp_path):
    (tmp_path / "photo_12.jpg").write_bytes(jpeg())
    with pytest.raises(InputError, match=r"There is no photo .*photo_13.jpg; did you mean .*photo_12.jpg\?"):
        read_image(tmp_path / "photo_13.jpg")
    with pytest.raises(InputError, match=r"There is no photo .*; check the path"):
        image_size(tmp_path / "xyz")
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist"):
        read_image(tmp_path / "nowhere" / "a.jpg")
    with pytest.raises(InputError, match="is a folder, expected a photo"):
        image_size(tmp_path)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(InputError, match="is empty"):
        image_size(tmp_path / "empty.jpg")


def test_float_images_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), np.zeros((5, 7), np.float32))
    with pytest.raises(InputError, match="has float32 pixels, expected 8 or 16 bits"):
        read_image(tmp_path / "a.tif")


def test_opencv_speaks_again_afterwards(tmp_path):
    level = cv2.utils.logging.getLogLevel()
    (tmp_path / "a.jpg").write_bytes(jpeg())
    read_image(tmp_path / "a.jpg")
    assert cv2.utils.logging.getLogLevel() == level


def test_list_images(tmp_path, monkeypatch):
    for name in ("b.jpg", "a.PNG", ".hidden.jpg", "notes.md", "sub/c.webp", "sub/b[1].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("sub/c.webp\n\n" + str(tmp_path / "b.jpg") + "\n")

    def listed(*paths):
        return [path.relative_to(tmp_path).as_posix() for path in list_images(paths)[0]]

    assert listed(str(tmp_path)) == ["a.PNG", "b.jpg"]
    assert listed(tmp_path / "notes.md") == ["notes.md"]  # asked for by name: reading it says what it is
    assert listed(f"{tmp_path}/**/*") == ["a.PNG", "b.jpg", "sub/b[1].jpg", "sub/c.webp"]
    assert listed(tmp_path / "sub" / "b[1].jpg", str(tmp_path / "b.*"), str(tmp_path)) == [
        "sub/b[1].jpg",
        "b.jpg",
        "a.PNG",
    ]
    assert listed(tmp_path / "list.txt") == ["sub/c.webp", "b.jpg"]
    monkeypatch.chdir(tmp_path)
    assert list_images(["b.jpg", "sub"]) == ([Path("b.jpg"), Path("sub/b[1].jpg"), Path("sub/c.webp")], [])


def test_list_images_of_nothing(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "list.txt").write_text("c.jpg\n\nb.jpg\n")
    (tmp_path / "a.jpg").touch()
    for paths, message in (
        ([], "No photo was given; name a photo, a folder"),
        ([tmp_path], None),
        ([tmp_path / "sub"], r"The folder .*sub has no photos \(.jpg .jpeg .*\); name another folder"),
        ([tmp_path / "*.webp"], r"No photo matches \".*\*.webp\"; check the pattern"),
        (
            [tmp_path / "list.txt"],
            r"list.txt, line 1: there is no photo .*c.jpg; write .* \(and 1 more names without a photo\)$",
        ),
        ([tmp_path / "c.jpg"], r"There is no photo .*c.jpg; did you mean .*a.jpg\?"),
    ):
        if message:
            with pytest.raises(InputError, match=message):
                list_images(paths)
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(InputError, match=r"list\.txt lists no photos; write one path per line"):
        list_images([tmp_path / "list.txt"])
    (tmp_path / "a.jpg").rename(tmp_path / "sub" / "a.jpg")
    with pytest.raises(InputError, match=r"for its subfolders give the pattern \".*/\*\*/\*.jpg\""):
        list_images([tmp_path])


def test_names_without_a_photo_do_not_stop_the_others(tmp_path):
    (tmp_path / "in" / "empty").mkdir(parents=True)
    (tmp_path / "in" / "folder.jpg").mkdir()
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / "in" / name).touch()
    (tmp_path / "in" / "b.jpg").symlink_to("gone.jpg")
    (tmp_path / "in" / ".hidden.jpg").symlink_to("gone.jpg")
    (tmp_path / "list.txt").write_text("\ufeffin/a.jpg\nin/no.jpg\nin/b.jpg\n", encoding="utf-8")
    names = ["no.jpg", "in", "in/empty", "in/*.webp", "list.txt", "x" * 300 + ".jpg", "in/*.jpg"]
    photos, problems = list_images([tmp_path / name for name in names])
    assert [photo.name for photo in photos] == ["a.jpg", "c.jpg"]
    expected = [
        r"^There is no photo .*/no\.jpg; check the path$",
        r"^There is no photo .*/in/b\.jpg: it is a link to gone\.jpg, which is not there$",
        r"^The folder .*/in/empty has no photos",
        r'^No photo matches ".*\.webp"',
        r"list\.txt, line 2: there is no photo .*/in/no\.jpg; write paths relative to",
        r"list\.txt, line 3: there is no photo .*/in/b\.jpg",
        r"xxx\.jpg cannot be read: File name too long; check the path",
        r"^There is no photo .*/in/b\.jpg: it is a link",
    ]
    assert len(problems) == len(expected)
    for problem, pattern in zip(problems, expected):
        assert re.search(pattern, problem), problem


def test_forbidden_folders_are_named(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").touch()

    def forbidden(_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "it")

    monkeypatch.setattr(Path, "iterdir", forbidden)
    photos, problems = list_images([tmp_path, tmp_path / "a.jpg", tmp_path / "no.jpg"])
    assert photos == [tmp_path / "a.jpg"]
    assert problems[0] == f"{tmp_path} cannot be read: Permission denied; check the path and its permissions"
    assert problems[1] == f"There is no photo {tmp_path}/no.jpg; check the path"


def test_a_list_in_another_encoding_is_named(tmp_path):
    (tmp_path / "list.txt").write_bytes("a.jpg\nm\u00fcller.jpg\n".encode("latin-1"))
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=r"list\.txt is no list of photos in UTF-8: byte 7 is 0xfc; save it as UTF-8$"):
        list_images([tmp_path / "list.txt"])


def test_warp_moves_pixels_by_the_matrix():
    image = np.zeros((5, 7, 3), np.uint8)
    image[1, 2] = (200, 100, 40)
    shifted = warp(image, np.array([[1, 0, 1], [0, 1, 2], [0, 0, 1.0]]), (6, 4))
    assert shifted.shape == (4, 6, 3)
    assert shifted[3, 3].tolist() == [200, 100, 40]
    assert shifted.sum() == 340
    half = warp(image, np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1.0]]), (7, 5))
    assert half[1, 2:4].tolist() == [[100, 50, 20], [100, 50, 20]]
    mirrored = warp(picture(7, 5), np.array([[-1, 0, 6], [0, 1, 0], [0, 0, 1.0]]), (7, 5))
    np.testing.assert_array_equal(mirrored, picture(7, 5)[:, ::-1])
    with pytest.raises(ValueError, match=r"matrix has shape \(2, 3\), expected \(3, 3\)"):
        warp(image, np.eye(3)[:2], (7, 5))


@pytest.mark.parametrize("size", [(90, 70), (9, 300), (400, 500)])
def test_warp_equals_the_plain_warp_whatever_part_of_the_image_it_looks_at(size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    for _ in range(40):
        matrix = np.eye(3)
        matrix[:2] = rng.normal(size=(2, 3)) * (1, 1, 30)
        plain = cv2.warpAffine(image, matrix[:2], (24, 32), flags=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(warp(image, matrix, (24, 32)), plain)


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("orientation", [1, 3])
def test_the_upper_rows_of_a_jpeg_are_those_of_the_whole(tmp_path, capfd, sampling, orientation):
    factor = {"4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420}[sampling]
    noisy = np.random.default_rng(0).integers(0, 256, (150, 101, 3), np.uint8)
    data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])[1].tobytes()
    segment = b"Exif\0\0" + exif(orientation)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    (tmp_path / "a.jpg").write_bytes(data)
    whole = read_image(tmp_path / "a.jpg")
    for rows in (1, 15, 16, 40, 149, 150, 1000):
        upper = read_image(tmp_path / "a.jpg", rows=rows)
        assert min(rows, 150) <= len(upper) <= 150
        assert (len(upper) < 150) == (orientation == 1 and rows < 140)
        np.testing.assert_array_equal(upper[:rows], whole[:rows])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["grey", "progressive", "png"])
def test_other_files_are_decoded_in_full_whatever_rows_are_wanted(tmp_path, kind):
    path = tmp_path / ("a.png" if kind == "png" else "a.jpg")
    image = picture()[..., 0] if kind == "grey" else picture()
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if kind == "progressive" else [])
    np.testing.assert_array_equal(read_image(path, rows=5), read_image(path))


def test_warp_gives_the_published_crops():
    folder = PARITY / "sar" / "topdown_geometry"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    arrays = np.load(folder / "arrays.npz")
    size = tuple(json.loads((folder / "case.json").read_text())["config"]["input_size"])
    for matrices, crops in (("out.warp", "out.crop"), ("out.warp_udp", "out.crop_udp")):
        for matrix, crop in zip(arrays[matrices], arrays[crops]):
            found = warp(arrays["in.image"], np.vstack([matrix, [0, 0, 1]]), size)[::4, ::4]
            np.testing.assert_allclose(found, crop, atol=2)


def test_write_image(tmp_path):
    write_image(tmp_path / "a.png", picture())
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), picture())
    write_image(str(tmp_path / "a.JPG"), picture())
    assert np.abs(read_image(tmp_path / "a.JPG").astype(int) - picture()).max() < 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.JPG", "a.png"]
    with pytest.raises(InputError, match=r'Cannot write ".*a.xyz": end its name in one of .jpg, .jpeg, .png'):
        write_image(tmp_path / "a.xyz", picture())
    with pytest.raises(ValueError, match=r"float32 \(5, 7, 3\), expected uint8"):
        write_image(tmp_path / "a.png", np.zeros((5, 7, 3), np.float32))


def test_normalise():
    inputs = torch.arange(2 * 3 * 5 * 7, dtype=torch.int32).remainder(256).to(torch.uint8).view(2, 3, 5, 7)
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    for given in (inputs, inputs.contiguous(memory_format=torch.channels_last)):
        found = normalise(given, mean, std)
        plain = (inputs.double() - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        assert found.dtype == torch.float32
        assert found.stride() == given.stride()
        torch.testing.assert_close(found.double(), plain, atol=1e-6, rtol=0)
    torch.testing.assert_close(normalise(inputs, torch.tensor(mean), torch.tensor(std)), normalise(inputs, mean, std))
    with pytest.raises(ValueError, match=r"torch.float32 \(2, 3, 5, 7\), expected uint8 \(B, 3, H, W\)"):
        normalise(inputs.float(), mean, std)
