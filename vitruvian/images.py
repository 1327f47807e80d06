"""Photos: find them, read them as uint8 RGB the right way up, warp, write and normalise them.

Pixel coordinates follow the convention drawn in `vitruvian.geometry`.
"""

from __future__ import annotations

import difflib
import glob
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vitruvian.errors import InputError
from vitruvian.files import write_atomically
from vitruvian.geometry import invert, reach
from vitruvian.image_headers import Header, damage, read_header, with_rows

if TYPE_CHECKING:
    import torch

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".jp2", ".avif", ".heic", ".heif"),
    *(".ppm", ".pgm", ".pbm"),
)
"""What `list_images` takes for a photo in a folder."""

WRITABLE = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""What `write_image` writes."""

_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
# With _RGB these names mean colour too; those of colour stand for BGR.
_REDUCED = {
    1: _RGB,
    2: _RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: _RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: _RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_MOST_PIXELS = 50_000_000  # Pillow warns of larger ones
_MOST_NEIGHBOURS = 2000  # names that are compared with a missing one
_FOUR_CHANNELS = 16  # up to so many times the output's pixels a fourth channel for them all is soon paid for


def read_image(path: str | Path, reduction: int = 1, rows: int | None = None) -> np.ndarray:
    """The photo at `path` as (H, W, 3) uint8 RGB, rotated as its EXIF orientation asks.

    Grey and palette images become RGB, 16 bits become 8, the first frame stands for an animation, and what is
    transparent is laid over white, as a viewer shows it.

    `reduction` 2, 4 or 8 gives an image of ceil(W / reduction) x ceil(H / reduction); a JPEG is decoded at that scale
    in a fraction of the time. A pixel is the mean of a square block of the photo (or its low frequencies), counted
    from the top left corner, so that

        x_reduced = (x - (reduction - 1) / 2) / reduction,    x = reduction * x_reduced + (reduction - 1) / 2

    `rows` says that only so many from the top are wanted: the image may end soon after them, which saves decoding the
    rest. Rows after them are not to be used.

    Raises InputError for a file that is missing, empty, cut off, damaged, or no image that can be decoded.
    """
    if reduction not in (1, 2, 4, 8):
        raise ValueError(f"reduction is {reduction}; give 1, 2, 4 or 8")
    path = Path(path)
    data = _read_bytes(path)
    header = read_header(data)
    problem = damage(data, header.format)
    if problem:
        raise _damaged(path, problem, len(data))
    # A JPEG is reduced from the stored top left corner: after a rotation that is still the photo's corner only where
    # the blocks fill the photo.
    fits = header.orientation == 1 or not any(side % reduction for side in header.size)
    if header.format == "JPEG":
        image = None if rows is None or reduction > 1 else _upper_rows(data, rows, header)
        if image is not None:
            return image
        image = _upright(_decode(data, _REDUCED[reduction if fits else 1], path, header), header)
        return image if fits else reduced(image, reduction)
    return reduced(_upright(_to_rgb(_decode(data, cv2.IMREAD_UNCHANGED, path, header)), header), reduction)


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height in px of the photo that `read_image` gives, from the file's head where the format allows.

    Raises InputError as `read_image` does, but for damage behind the head.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            width, height = read_header(data).upright_size
    except (
        OSError,
        ValueError,
    ):  # ValueError: an empty file cannot be mapped; read_image names what is wrong
        width, height = 0, 0
    if width and height:
        return width, height
    height, width = read_image(path).shape[:2]
    return width, height


def check_image(path: str | Path) -> tuple[int, int]:
    """`image_size` of a photo that is whole, as far as that shows without decoding.

    Raises InputError as `read_image` does.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            header = read_header(data)
            problem, length = damage(data, header.format), len(data)
    except (OSError, ValueError):  # as in image_size
        header, problem, length = Header(""), "", 0
    if problem:
        raise _damaged(path, problem, length)
    if all(header.size):
        return header.upright_size
    height, width = read_image(path).shape[:2]
    return width, height


def list_images(paths: Sequence[str | Path]) -> tuple[list[Path], list[str]]:
    """The photos that `paths` name, in order and each once, and for each name without a photo a line that says why.

    Each is a photo, a folder (the photos in it, by name, hidden ones left out), a pattern such as
    `photos/**/*.jpg`, or a text file (.txt, UTF-8) with a photo per line, relative to the folder of that text file.
    Raises InputError for a text file that cannot be read, and where there is no photo at all.
    """
    if not paths:
        raise InputError("No photo was given; name a photo, a folder, a pattern or a .txt file with a photo per line")
    found: dict[Path, None] = {}
    problems: list[str] = []
    for entry in paths:
        for photo in _photos_of(entry):
            if isinstance(photo, InputError):
                problems.append(str(photo))
            else:
                found[photo] = None
    if not found:
        more = f" (and {len(problems) - 1} more names without a photo)" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
    return list(found), problems


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` (H, W, 3) moved by `matrix` (3, 3), from its pixels to those of the output, of `size` (width, height).

    Bilinear, black where the output lies outside of the image; one warp whatever the matrix is composed of.
    """
    if matrix.shape != (3, 3):
        raise ValueError(f"matrix has shape {matrix.shape}, expected (3, 3)")
    affine = np.asarray(matrix[:2], np.float64)
    columns, rows = reach(invert(matrix), size)
    image = image[:rows, :columns]
    if image.shape[0] * image.shape[1] > _FOUR_CHANNELS * size[0] * size[1]:
        return cv2.warpAffine(image, affine, size, flags=cv2.INTER_LINEAR)
    # OpenCV warps four channels in less than half the time of three, to the same values.
    four = cv2.warpAffine(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), affine, size, flags=cv2.INTER_LINEAR)
    return cv2.cvtColor(four, cv2.COLOR_RGBA2RGB)


def reduced(image: np.ndarray, reduction: int) -> np.ndarray:
    """`image` (H, W, 3) at 1 / `reduction` of its size, as `read_image` gives it.

    Means of blocks, the last ones filled up with the edge: what a JPEG decoder does.
    """
    if reduction == 1:
        return image
    bottom, right = (-side % reduction for side in image.shape[:2])
    image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    size = (image.shape[1] // reduction, image.shape[0] // reduction)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write `image` (H, W, 3) uint8 RGB in the format of the suffix of `path`: all of it, or nothing.

    Raises InputError for a suffix that is not an image's, ValueError for another kind of array.
    """
    path = Path(path)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"the image for {path} is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    if path.suffix.lower() not in WRITABLE:
        raise InputError(f'Cannot write "{path}": end its name in one of {", ".join(WRITABLE)}')
    done, encoded = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise InputError(f"OpenCV could not encode {path} ({image.shape[1]} x {image.shape[0]} px); try .png")
    write_atomically(path, lambda part: part.write_bytes(encoded.tobytes()))


def normalise(
    inputs: torch.Tensor, mean: Sequence[float] | torch.Tensor, std: Sequence[float] | torch.Tensor
) -> torch.Tensor:
    """(inputs - mean) / std as float32, from `inputs` (B, 3, H, W) uint8 RGB and three numbers each, 0 to 255.

    One multiply-add on the device of `inputs`; the order in memory (channels last or not) stays.
    """
    import torch

    if inputs.ndim != 4 or inputs.shape[1] != 3 or inputs.dtype != torch.uint8:
        raise ValueError(f"inputs are {inputs.dtype} {tuple(inputs.shape)}, expected uint8 (B, 3, H, W)")
    scale = 1 / torch.as_tensor(std, dtype=torch.float32, device=inputs.device).view(1, 3, 1, 1)
    shift = -torch.as_tensor(mean, dtype=torch.float32, device=inputs.device).view(1, 3, 1, 1) * scale
    return torch.addcmul(shift, inputs.float(), scale)


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _missing(path) from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a photo; list its photos with list_images") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check its permissions and its disk") from error
    if not data:
        raise InputError(f"{path} is empty (0 bytes); fetch or save it again")
    return data


def _damaged(path: Path, problem: str, length: int) -> InputError:
    return InputError(f"{path} is cut off or damaged: {problem} ({length} bytes); fetch or save it again")


def _decode(data: bytes, flag: int, path: Path, header: Header) -> np.ndarray:
    """The pixels as OpenCV gives them: (H, W) or (H, W, 2 to 4), BGR but where `flag` says otherwise."""
    try:
        with _quiet():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise InputError(f"{path} cannot be decoded ({error.err}); save it again as JPEG or PNG") from error
    if image is None and header.format:
        raise InputError(f"{path} is a {header.format} file that OpenCV cannot decode; save it again as JPEG or PNG")
    if image is None:
        raise InputError(f"{path} is not an image: it begins with {data[:8]!r}; name a JPEG or PNG file")
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} has {image.dtype} pixels, expected 8 or 16 bits; save it again as JPEG or PNG")
    return image


def _upper_rows(data: bytes, rows: int, header: Header) -> np.ndarray | None:
    """The first `rows` rows of a JPEG as the whole has them, and a few rough ones; None where that is not simple.

    By Pillow, where it is installed (torchvision needs it): OpenCV writes a warning to stderr about what it leaves.
    """
    rows += 8  # the smoothing of colours looks into rows below
    shorter = with_rows(data, rows) if header.orientation == 1 else None
    if shorter is None or header.size[0] * rows > _MOST_PIXELS:
        return None
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return None
    try:
        with Image.open(BytesIO(shorter)) as image:
            return np.asarray(image) if image.mode == "RGB" else None
    except (OSError, ValueError):  # OpenCV says what is wrong with it, or takes it
        return None


def _to_rgb(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB of what `_decode` gives in BGR."""
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    alpha = image[..., -1:].astype(np.uint16)
    if not alpha.any():  # a BMP with an unused fourth channel
        alpha = alpha + 255
    colour = image[..., 2::-1] if image.shape[2] == 4 else image[..., :1].repeat(3, axis=2)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _upright(image: np.ndarray, header: Header) -> np.ndarray:
    """`image` turned as the EXIF orientation asks; OpenCV itself turns a TIFF, whatever it is told."""
    if header.format == "TIFF" or header.orientation == 1:
        return image
    if header.orientation >= 5:  # stored by columns: 5 as it is, 6 clockwise, 7 both ways, 8 counter-clockwise
        image = cv2.transpose(image)
    axis = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(header.orientation)
    return image if axis is None else cv2.flip(image, axis)


def _photos_of(entry: str | Path) -> Iterator[Path | InputError]:
    """What one name stands for: photos, and in the place of each that is not there the reason."""
    path = Path(entry)
    try:
        if path.is_dir():
            yield from _photos_in(path)
        elif path.suffix.lower() == ".txt" and path.exists():
            yield from _photos_listed(path)
        elif path.is_file():
            yield path
        elif glob.has_magic(str(entry)):
            yield from _photos_matching(str(entry))
        else:
            yield _missing(path)
    except OSError as error:  # a folder that may not be looked into, a name that is too long
        yield InputError(f"{path} cannot be read: {error.strerror}; check the path and its permissions")


def _chosen(paths: Iterable[Path]) -> list[Path | InputError]:
    """The photos among what a folder or a pattern gives, by name; links to nothing are missing photos."""
    chosen: list[Path | InputError] = []
    for path in sorted(paths):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if os.path.isfile(path):  # unlike Path's, no error where a link leads into a forbidden folder
            chosen.append(path)
        elif not os.path.exists(path):
            chosen.append(_missing(path))
    return chosen


def _photos_in(folder: Path) -> list[Path | InputError]:
    photos = _chosen(folder.iterdir())
    if not photos:
        below = any(path.is_dir() for path in folder.iterdir())
        remedy = f'for its subfolders give the pattern "{folder}/**/*.jpg"' if below else "name another folder"
        return [InputError(f"The folder {folder} has no photos ({' '.join(IMAGE_SUFFIXES)}); {remedy}")]
    return photos


def _photos_matching(pattern: str) -> list[Path | InputError]:
    photos = _chosen(map(Path, glob.glob(pattern, recursive=True)))
    return photos or [InputError(f'No photo matches "{pattern}"; check the pattern (`**` stands for any folders)')]


def _photos_listed(file: Path) -> Iterator[Path | InputError]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}; check its permissions") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{file} is no list of photos in UTF-8: byte {error.start} is 0x{byte:02x}; save it as UTF-8"
        ) from None
    names = {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}
    if not names:
        raise InputError(f"{file} lists no photos; write one path per line")
    for number, name in names.items():
        photo = file.parent / name
        if os.path.isfile(photo):
            yield photo
        else:
            yield InputError(
                f"{file}, line {number}: there is no photo {photo}; write paths relative to {file.parent}, or absolute"
            )


def _missing(path: Path) -> InputError:
    if path.is_symlink():
        return InputError(f"There is no photo {path}: it is a link to {os.readlink(path)}, which is not there")
    if not path.parent.is_dir():
        return InputError(f"There is no photo {path}: the folder {path.parent} does not exist; check the path")
    try:
        neighbours = [entry.name for entry in islice(path.parent.iterdir(), _MOST_NEIGHBOURS)]
    except OSError:  # a folder that may be used but not listed
        neighbours = []
    nearest = difflib.get_close_matches(path.name, neighbours, n=1)
    hint = f"did you mean {path.parent / nearest[0]}?" if nearest else "check the path"
    return InputError(f"There is no photo {path}; {hint}")


_quiet_lock = threading.Lock()
_quiet_state = [0, 0]  # decodings under way, and the level to go back to


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV prints no warnings meanwhile, in any thread: what fails is said in one InputError."""
    logging = cv2.utils.logging
    with _quiet_lock:
        if not _quiet_state[0]:
            _quiet_state[1] = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        _quiet_state[0] += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_state[0] -= 1
            if not _quiet_state[0]:
                logging.setLogLevel(_quiet_state[1])
