"""Reading checkpoints and arrays that other programs wrote, without running any code of theirs."""

from __future__ import annotations

import io
import math
import mmap
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors.torch import load_file

from vitruvian.checkpoints.pickled_arrays import ARRAYS, Storage, storage_finder
from vitruvian.checkpoints.pickles import CONTAINERS, RestrictedUnpickler
from vitruvian.errors import InputError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

_OTHERS = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
    b"BZh": "is compressed with bzip2: unpack it first",
    b"\xfd7zXZ": "is compressed with xz: unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it and give the file inside",
    b"Rar!": "is a RAR archive: unpack it and give the file inside",
    b"\x89HDF": "is an HDF5 file: only PyTorch, pickle, NumPy and safetensors files can be read",
}


def read_foreign(path: str | Path) -> Any:
    """The content of a checkpoint or array file, by its first bytes and not by its name.

    Reads PyTorch's zip format and the stream of pickles before it, plain pickles (Python 2's too), .npz, .npy and
    safetensors. Gives tensors on the CPU (Parameters as plain tensors), numpy arrays (read-only) and plain
    containers; .npz and safetensors as a dict. Every other object becomes a `pickles.Placeholder`.

    Raises InputError, in one line, when there is no such file or it cannot be read.
    """
    path = Path(path)
    kind = file_kind(path)
    try:
        if kind == "safetensors":
            return load_file(path)
        if kind == "zip":
            return _read_zip(path)
        if kind == "npy":
            return _read_npy(path.read_bytes())
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _read_pickle(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except InputError:
        raise
    except Exception as error:  # damaged or hostile content breaks parsers in any way
        raise InputError(_complaint(path, kind, error)) from error


def file_kind(path: str | Path) -> str:
    """What the first bytes of the file look like: "safetensors", "zip", "npy" or (all else) "pickle".

    Raises InputError for what surely is no checkpoint: nothing there, a folder, empty, a web page, a Git LFS
    pointer, a compressed file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is a folder, not a file" if path.is_dir() else f"{path}: there is no such file")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if head[4:9] == b"\0\0\0\0{":  # the length of the header in eight bytes, and the header, which is JSON
        return "safetensors"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise InputError(f"{path} is empty: download or copy it again")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull`")
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<!--", b"<?xml")):
        raise InputError(f"{path} is a web page, as a failed download leaves it: download the file again")
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise InputError(f"{path} {what}")
    if head[257:262] == b"ustar":
        raise InputError(f"{path} is a tar archive: unpack it and give the file inside")
    if head.startswith(b"PK"):
        return "zip"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    return "pickle"


def _complaint(path: Path, kind: str, error: Exception) -> str:
    """One line on a file whose content could not be read."""
    reason = " ".join(str(error).split())[:200]
    reason = f" ({reason})" if " " in reason else ""  # a mere key or number says nothing
    if kind == "zip" and isinstance(error, zipfile.BadZipFile):
        size = path.stat().st_size
        return f"{path}: a zip archive, damaged or cut short at {size} bytes{reason}: download it again"
    with open(path, "rb") as file:
        head = file.read(60)
    if kind == "pickle" and head[:1] != b"\x80":
        letters = head.decode("utf-8", "ignore")  # the last one may be cut
        if len(letters.encode()) > len(head) - 4 and all(c.isprintable() or c in "\t\r\n" for c in letters):
            shown = " ".join(letters.split())
            return f"{path} is a text, not a checkpoint (it begins with {shown!r}): download the file again"
        return (
            f"{path}: not a checkpoint that can be read (it begins with the bytes {head[:8].hex(' ')}): "
            "expected a PyTorch, pickle, NumPy or safetensors file"
        )
    return f"{path}: a {kind} file that is damaged or cut short{reason}: download or copy it again"


def _read_pickle(content: IO[bytes] | mmap.mmap) -> Any:
    first = _unpickle(content)
    return _read_legacy(content) if first == _LEGACY_MAGIC else first


def _unpickle(content: Any, persistent: Callable[[Any], Any] | None = None) -> Any:
    known = {**CONTAINERS, **ARRAYS, "torch.storage._load_from_bytes": _storage_of_bytes}
    return RestrictedUnpickler(content, known, persistent).load()


def _storage_of_bytes(data: bytes) -> Any:
    """A storage in a plain pickle is a stream of its own; a stream in that one is not looked into."""
    stream = io.BytesIO(data)
    if RestrictedUnpickler(stream).load() != _LEGACY_MAGIC:
        raise ValueError("not a storage")
    return _read_legacy(stream)


def _read_legacy(content: Any) -> Any:
    """PyTorch's format before version 1.6, after the magic number.

    Four pickles (protocol, the machine, the object, the storages' keys), then each storage: its length in elements
    as eight bytes, and its elements.
    """
    storages = _LegacyStorages(content)
    RestrictedUnpickler(content).load()
    machine = RestrictedUnpickler(content).load()
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise pickle.UnpicklingError("written on a big-endian machine")
    result = RestrictedUnpickler(content, {**CONTAINERS, **ARRAYS}, storage_finder(storages.give)).load()
    for key in RestrictedUnpickler(content).load():
        storage = storages.known[key]
        (count,) = struct.unpack("<q", content.read(8))
        data = content.read(storage.data.nbytes())
        if count != storage.count or len(data) != storage.data.nbytes():
            raise EOFError(f"{len(data)} bytes for the {storage.count} elements of storage {key}, said to be {count}")
        _put(storage.data, data)
    return result


class _LegacyStorages:
    """The storages of a stream, which come after the tensors that look into them."""

    def __init__(self, content: Any) -> None:
        here = content.tell()
        self.left = content.seek(0, io.SEEK_END) or content.tell()  # bytes that further storages can have
        content.seek(here)
        self.known: dict[str, Storage] = {}

    def give(self, dtype: torch.dtype | None, key: str, count: int, view: Any) -> Storage:
        if key not in self.known:
            length = count * (dtype.itemsize if dtype else 1)
            if length > self.left:
                raise pickle.UnpicklingError(f"a storage of {length} bytes, more than there are")
            self.left -= length
            self.known[key] = Storage(torch.UntypedStorage(length), dtype, count)
        whole = self.known[key]
        if whole.dtype != dtype:
            raise pickle.UnpicklingError(f"storage {key} is both {whole.dtype} and {dtype}")
        if view is None:
            return whole
        _, first, count = view
        if not 0 <= first <= first + count <= whole.count:
            raise pickle.UnpicklingError(f"a view of {count} elements at {first} of a storage of {whole.count}")
        return Storage(whole.data, dtype, count, first)


def _put(storage: torch.UntypedStorage, data: bytes) -> None:
    torch.empty(0, dtype=torch.uint8).set_(storage).numpy()[:] = np.frombuffer(data, np.uint8)


def _read_zip(path: Path) -> Any:
    """PyTorch's format since version 1.6 (a pickle, and a member for each storage), or .npz."""
    packed = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > max(2**32, 50 * packed):
            raise InputError(f"{path} would unpack from {packed} to {unpacked} bytes: not a checkpoint")
        if names and all(name.endswith(".npy") for name in names):
            return {name.removesuffix(".npy"): _read_npy(archive.read(name)) for name in names}
        pickles = [name for name in names if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(pickles) != 1:
            raise InputError(
                f"{path} is a zip archive without the data.pkl of a checkpoint (it holds {', '.join(names[:3])}): "
                "unpack it and give the file inside"
            )
        prefix = pickles[0].removesuffix("data.pkl")
        if f"{prefix}constants.pkl" in names:
            raise InputError(f"{path} is a TorchScript program: save its state_dict() with torch.save and give that")
        if f"{prefix}byteorder" in names and archive.read(f"{prefix}byteorder") != b"little":
            raise InputError(f"{path} was written on a big-endian machine: save it again on a little-endian one")
        return _unpickle(io.BytesIO(archive.read(pickles[0])), storage_finder(_zip_storages(archive, prefix)))


def _zip_storages(archive: zipfile.ZipFile, prefix: str) -> Callable[..., Storage]:
    known: dict[str, torch.UntypedStorage] = {}

    def give(dtype: torch.dtype | None, key: str, count: int, _view: Any) -> Storage:
        if key not in known:
            data = archive.read(f"{prefix}data/{key}")
            known[key] = torch.UntypedStorage(len(data))
            _put(known[key], data)
        held = known[key].nbytes()
        if held < count * (dtype.itemsize if dtype else 1):
            raise pickle.UnpicklingError(f"storage {key} has {held} bytes, too few for {count} elements of {dtype}")
        return Storage(known[key], dtype, count)

    return give


def _read_npy(data: bytes) -> np.ndarray:
    """An array in NumPy's own format; one of Python objects is read as a restricted pickle."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = read_header[version](stream)
    if dtype.hasobject:
        return _unpickle(stream)
    start = stream.tell()
    if len(data) - start < math.prod(shape) * dtype.itemsize:
        raise EOFError(f"{len(data) - start} bytes for an array of shape {shape} of {dtype}")
    return np.ndarray(shape, dtype, data, offset=start, order="F" if fortran else "C")
