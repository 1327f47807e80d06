"""Tensors and arrays as pickles describe them: views into torch's storages, numpy's bytes and dtypes."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vitruvian.checkpoints.pickles import Pending, Placeholder


@dataclass(frozen=True, eq=False)
class Storage:
    """`count` elements of a torch storage, from element `first`."""

    data: torch.UntypedStorage
    dtype: torch.dtype | None  # None: bytes without a type
    count: int
    first: int = 0


STORAGE_DTYPES: dict[str, torch.dtype | None] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": None,
}


def storage_finder(give: Callable[[torch.dtype | None, str, int, Any], Storage]) -> Callable[[Any], Any]:
    """What torch's persistent ids stand for: `give(dtype, key, count, view)` has the storage of a key."""

    def find(pid: Any) -> Any:
        match pid:
            case ("storage", Placeholder(name=name), str(key), _, int(count), *view) if count >= 0:
                kind = name.rpartition(".")[2]
                if kind in STORAGE_DTYPES:
                    return give(STORAGE_DTYPES[kind], key, count, view[0] if view else None)
            case ("module", content, *_):  # a network's class with its source code
                return content
        raise ValueError("not a storage")

    return find


_SAFE_DTYPE = re.compile(r"[<>=|]?(?:b1|i[1248]|u[1248]|f[248]|c8|c16|O8?|[SU]\d{1,9})")


def _tensor(storage, offset, size, stride, _grad=False, _hooks=None, metadata=None) -> torch.Tensor:
    return _strided(storage, storage.dtype, offset, size, stride, metadata)


def _tensor_v3(storage, offset, size, stride, _grad, _hooks, dtype, metadata=None) -> torch.Tensor:
    return _strided(storage, dtype, offset, size, stride, metadata)


def _strided(storage: Storage, dtype: torch.dtype, offset: int, size: Any, stride: Any, metadata: Any) -> torch.Tensor:
    """A view into `storage`, whose bounds torch itself would not hold: it enlarges the storage."""
    if not isinstance(dtype, torch.dtype) or metadata:
        raise TypeError("a tensor of an unknown kind")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise pickle.UnpicklingError(f"a tensor of size {tuple(size)} and stride {tuple(stride)}")
    here = storage.count if storage.dtype else storage.count // dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    elements = math.prod(size)
    if elements and (last >= here or elements > max(here, 2**28)):
        raise pickle.UnpicklingError(f"a tensor of size {tuple(size)} in a storage of {here} elements")
    return torch.empty(0, dtype=dtype).set_(storage.data, storage.first + offset, tuple(size), tuple(stride))


def _parameter(data: torch.Tensor, *_state: Any) -> torch.Tensor:
    return data


def _of_type(function: Any, _kind: Any, args: tuple, _state: Any) -> Any:
    """A tensor with attributes or of a class of its own, without either."""
    return ARRAYS[function.name](*args)


def _size(numbers: tuple[int, ...] | list[int] = ()) -> torch.Size:
    if not isinstance(numbers, (tuple, list)):
        raise TypeError(f"the numbers of a {type(numbers).__name__}")
    return torch.Size(numbers)


def _dtype(code: str, *_flags: Any) -> Pending:
    if not _SAFE_DTYPE.fullmatch(code):  # records and dates could carry more than a name
        raise ValueError(f"dtype {code}")
    plain = np.dtype(code)

    def finish(state: Any) -> np.dtype:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "|"
        return plain.newbyteorder(order) if order in ("<", ">") else plain

    return Pending(finish)


def _array(_kind: Any = None, _shape: Any = None, _code: Any = None) -> Pending:
    def finish(state: tuple) -> Any:
        shape, dtype, fortran, content = state[-4:]
        if not isinstance(dtype, np.dtype):  # of records or dates
            return Placeholder("numpy.ndarray", state)
        if dtype.hasobject:
            flat = np.empty(len(content), dtype=object)
            for index, value in enumerate(content):  # a slice would look into sequences
                flat[index] = value
            return flat.reshape(shape, order="F" if fortran else "C")
        return _array_of_buffer(content, dtype, shape, "F" if fortran else "C")

    return Pending(finish)


def _array_of_buffer(content: Any, dtype: np.dtype, shape: tuple[int, ...], order: str = "C") -> np.ndarray:
    """A read-only array over the bytes of the file."""
    if isinstance(content, str):
        content = content.encode("latin1")
    if dtype.hasobject:
        raise ValueError("Python objects as bytes")
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise pickle.UnpicklingError(f"an array of shape {shape} with {len(content)} bytes of {dtype}")
    array = np.ndarray(shape, dtype, content, order="F" if order == "F" else "C")
    array.flags.writeable = False
    return array


def _array_from_buffer(content: Any, dtype: np.dtype, shape: tuple, order: str, axes: Any = None) -> np.ndarray:
    """What protocol 5 writes; with order "K" the axes were permuted to lie in a row."""
    array = _array_of_buffer(content, dtype, shape, order)
    return array if axes is None else array.transpose(axes)


def _scalar(dtype: np.dtype, content: bytes | str) -> Any:
    return _array_of_buffer(content, dtype, (1,))[0]


ARRAYS: dict[str, Any] = {
    **{f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)},
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch.Size": _size,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _array_from_buffer,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _array_from_buffer,
}
"""What a call of these names gives, and torch's dtypes."""
