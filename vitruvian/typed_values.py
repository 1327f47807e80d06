"""Plain values, such as JSON holds, as instances of dataclasses and other types, with answers that name the place."""

from __future__ import annotations

import dataclasses
import math
import reprlib
import typing
from collections.abc import Mapping
from typing import Any, cast

from vitruvian.errors import InputError, nearest_name


def typed(kind: Any, value: Any, where: str) -> Any:
    """`value` as an instance of `kind`: dataclasses from dicts, tuples from lists, literals and types checked.

    `where` is what messages call the value: a source with a colon, followed by dotted names.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return typed_fields(cast(type, kind), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        if len(kinds) != len(value):
            raise InputError(f"{where}: {len(value)} values, expected {len(kinds)}")
        return tuple(typed(item_kind, item, where) for item_kind, item in zip(kinds, value))
    if origin is Mapping and isinstance(value, dict):
        return {key: typed(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin in (tuple, Mapping):
        raise InputError(f"{where}: {value!r} is no {'list' if origin is tuple else 'mapping'}")
    if origin is typing.Literal and value not in arguments:
        raise InputError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000:
        return float(value)
    if isinstance(kind, type) and kind in (int, float, str, bool) and type(value) is not kind:
        raise InputError(f"{where}: {reprlib.repr(value)} is not of type {kind.__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: {value!r} is not a finite number")
    return value


def typed_fields(kind: type, values: Any, where: str) -> Any:
    """The dataclass `kind` from a dict of its fields."""
    hints = typing.get_type_hints(kind)
    if not isinstance(values, dict):
        raise InputError(f"{where}: {values!r} is no mapping; expected the fields {', '.join(hints)}")
    inside = where + (" " if where.endswith(":") else ".")
    for key in values:
        if key not in hints:
            raise InputError(f"{inside}{key}: no such field; the nearest is {nearest_name(str(key), hints)!r}")
    for one in dataclasses.fields(kind):
        required = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if required and one.name not in values:
            raise InputError(f"{inside}{one.name} is missing; add it")
    typed_values = {key: typed(hints[key], value, f"{inside}{key}") for key, value in values.items()}
    try:
        return kind(**typed_values)
    except InputError:
        raise
    except ValueError as error:  # a constructor's own check
        raise InputError(f"{where.removesuffix(':')}: {error}") from None
