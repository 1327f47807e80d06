"""MATLAB files of both kinds: up to version 7 through scipy, version 7.3, which is HDF5, through h5py (extra `mat`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether a MATLAB file is of version 7.3: HDF5 behind 512 bytes of MATLAB's own, or at once."""
    try:
        with open(path, "rb") as file:
            head = file.read(520)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a MATLAB file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    return HDF5 in (head[:8], head[512:520])


def open_hdf5(path: Path) -> Any:
    """The open h5py.File of a MATLAB file of version 7.3, to be closed by the caller."""
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: reading it needs h5py: pip install 'vitruvian[mat]'") from None
    try:
        return h5py.File(path, "r")
    except Exception as error:  # a damaged file makes HDF5 stumble in any way
        raise InputError(f"{path}: cannot be read as a MATLAB file ({error}); fetch it again") from None


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """The arrays of numbers in a MATLAB file with the axes as MATLAB has them; other things are left out.

    Raises InputError for a file that is missing or damaged, or where the library that reads it is missing.
    """
    if is_hdf5(path):
        with open_hdf5(path) as file:
            try:
                found = {name: file[name] for name in file if not name.startswith("#")}
                # HDF5 counts axes from the other end.
                return {name: one[()].T for name, one in found.items() if getattr(one, "dtype", "O") != "O"}
            except Exception as error:  # cut off or overwritten within an array
                raise InputError(f"{path}: cannot be read as a MATLAB file ({error}); fetch it again") from None
    try:
        from scipy.io import loadmat
    except ImportError:
        raise InputError(f"{path}: reading it needs scipy: pip install 'vitruvian[mat]'") from None
    try:
        content = loadmat(str(path))
    except Exception as error:  # a damaged file makes scipy stumble in any way, over an index or a type too
        raise InputError(f"{path}: cannot be read as a MATLAB file ({error}); fetch it again or take it away") from None
    return {name: one for name, one in content.items() if isinstance(one, np.ndarray)}


def array(path: Path, content: dict[str, np.ndarray], key: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of `read_mat` as float64, or an error that names file, key and shape; 0 in `shape` is any length."""
    if key not in content:
        raise InputError(f"{path}: has no array '{key}' (it has {', '.join(content) or 'none'}); fetch it again")
    value = content[key]
    fits = value.ndim == len(shape) and all(length in (0, found) for length, found in zip(shape, value.shape))
    if value.dtype.kind not in "iufb" or not fits:
        expected = " x ".join("N" if length == 0 else str(length) for length in shape)
        raise InputError(
            f"{path}: '{key}' is {' x '.join(map(str, value.shape))} of type {value.dtype}, expected {expected} numbers"
        )
    return value.astype(np.float64)
