"""What an image file says of itself before its pixels are decoded: format, size, EXIF orientation, missing ends."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

Data = bytes | mmap

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_NO_SIZE = (0, 0)
_NO_ORIENTATION = 1


@dataclass(frozen=True)
class Header:
    """What stands at the head of an image file."""

    format: str  # "JPEG", "PNG", "GIF", "WebP", "TIFF", "BMP", "AVIF", "HEIC", or "" for another
    size: tuple[int, int] = _NO_SIZE  # width, height px as stored, before rotation; (0, 0) where only decoding tells
    orientation: int = _NO_ORIENTATION  # 1 to 8 of EXIF: what has to be done to the stored pixels

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after the rotation that the EXIF orientation asks for."""
        width, height = self.size
        return (height, width) if self.orientation >= 5 else (width, height)


def read_header(data: Data) -> Header:
    """The header of an image file from its bytes; a damaged one has no size, or not the orientation."""
    kind = _format(data)
    readers = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp, "TIFF": _tiff, "GIF": _gif}
    if kind not in readers:
        return Header(kind)
    try:
        size, orientation = readers[kind](data)
    except (struct.error, IndexError):  # ends within its header
        return Header(kind)
    return Header(kind, size, orientation if 1 <= orientation <= 8 else _NO_ORIENTATION)


def damage(data: Data, kind: str) -> str:
    """Why the file of format `kind` cannot be whole, or "": decoders fill what is missing with grey, in silence.

    Bytes that were overwritten within a JPEG's scan are not found: it has no checksums, long runs of zeros, as a bad
    disk leaves them, also stand for the flat parts of good photos, and decoders complain, if at all, on the standard
    error of the whole process and not to whoever reads the photo.
    """
    if kind == "JPEG" and data[-2:] != b"\xff\xd9":
        # The end may be followed by anything; a thumbnail before the scan has an end of its own.
        scan = next((start for marker, start, _ in _jpeg_segments(data) if marker == 0xDA), len(data))
        if data.find(b"\xff\xd9", scan) < 0:
            return "its JPEG data has no end"
    if kind == "PNG":
        for name, start, end in _chunks(data, 8, ">I4s", 4):
            if end + 4 > len(data):
                break
            if zlib.crc32(data[start - 4 : end]) != struct.unpack_from(">I", data, end)[0]:
                return f"the checksum of its PNG chunk {name.decode('latin-1')} is wrong"
            if name == b"IEND":
                return ""
        return "its PNG data has no end"
    if kind == "WebP" and struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        return "its WebP data has no end"
    return ""


def with_rows(data: bytes, rows: int) -> bytearray | None:
    """A JPEG file that says of itself to have only the first `rows` rows of `data`, so that its decoder stops there.

    None for what is not a sequential one of three colours, or has no more rows.
    """
    for marker, start, _ in _jpeg_segments(data):
        if marker in (0xC0, 0xC1) and data[start + 5] == 3 and struct.unpack_from(">H", data, start + 1)[0] > rows:
            shorter = bytearray(data)
            struct.pack_into(">H", shorter, start + 1, rows)
            return shorter
    return None


def _format(data: Data) -> str:
    head = data[:32]
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        brands = head[8:32]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return "HEIC" if b"hei" in brands or b"mif1" in brands else ""
    return ""


def _jpeg_segments(data: Data) -> Iterator[tuple[int, int, int]]:
    """(marker, first byte, end) of the segments of a JPEG file up to its first scan, without marker and length."""
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        length = struct.unpack_from(">H", data, place + 2)[0]
        yield marker, place + 4, place + 2 + length
        if marker == 0xDA:
            return
        place += 2 + length


def _jpeg(data: Data) -> tuple[tuple[int, int], int]:
    orientation, size = _NO_ORIENTATION, _NO_SIZE
    for marker, start, end in _jpeg_segments(data):
        if marker == 0xE1 and data[start : start + 6] == b"Exif\x00\x00":
            orientation = _exif_tags(data[start + 6 : end]).get(0x112, orientation)
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame, of any coding
            height, width = struct.unpack_from(">HH", data, start + 1)
            size = (width, height)
    return size, orientation


def _chunks(data: Data, place: int, layout: str, checksum: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, end) of the chunks of a PNG (length, name) or WebP file (name, length)."""
    while place + 8 <= len(data):
        first, second = struct.unpack_from(layout, data, place)
        name, length = (second, first) if isinstance(second, bytes) else (first, second)
        yield name, place + 8, place + 8 + length
        place += 8 + length + (checksum if checksum else length % 2)


def _png(data: Data) -> tuple[tuple[int, int], int]:
    width, height = struct.unpack_from(">II", data, 16)
    for name, start, end in _chunks(data, 8, ">I4s", 4):
        if name == b"eXIf":
            return (width, height), _exif_tags(data[start:end]).get(0x112, _NO_ORIENTATION)
    return (width, height), _NO_ORIENTATION


def _webp(data: Data) -> tuple[tuple[int, int], int]:
    size, orientation = _NO_SIZE, _NO_ORIENTATION
    for name, start, end in _chunks(data, 12, "<4sI", 0):
        if name == b"VP8X":  # two numbers of 24 bits, each one less than the size
            width, width_top, height, height_top = struct.unpack_from("<HBHB", data, start + 4)
            size = (width + (width_top << 16) + 1, height + (height_top << 16) + 1)
        elif name == b"VP8L" and size == _NO_SIZE:  # two numbers of 14 bits, each one less than the size
            bits = struct.unpack_from("<I", data, start + 1)[0]
            size = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif name == b"VP8 " and size == _NO_SIZE:  # two numbers of 14 bits and 2 of scaling
            width, height = struct.unpack_from("<HH", data, start + 6)
            size = (width & 0x3FFF, height & 0x3FFF)
        elif name == b"EXIF":
            exif = data[start:end]
            orientation = _exif_tags(exif.removeprefix(b"Exif\x00\x00")).get(0x112, orientation)
    return size, orientation


def _tiff(data: Data) -> tuple[tuple[int, int], int]:
    tags = _exif_tags(data)
    return (tags.get(0x100, 0), tags.get(0x101, 0)), tags.get(0x112, _NO_ORIENTATION)


def _gif(data: Data) -> tuple[tuple[int, int], int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return (width, height), _NO_ORIENTATION


def _exif_tags(data: Data) -> dict[int, int]:
    """The single numbers of the first directory of a TIFF file, which is what EXIF is; fewer where it ends early."""
    tags: dict[int, int] = {}
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return tags
    try:
        place = struct.unpack_from(order + "I", data, 4)[0]
        for i in range(struct.unpack_from(order + "H", data, place)[0]):
            entry = place + 2 + 12 * i
            tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
            if count == 1 and kind in (3, 4):  # 16 and 32 bits
                tags[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0]
    except struct.error:
        pass  # what was read before the end still holds
    return tags
