"""All methods, a folder each; and experiments as JSON, which name their method by its key here."""

from __future__ import annotations

import dataclasses
import importlib
import math
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, cast

from vitruvian.errors import InputError, nearest_name
from vitruvian.experiment import Experiment, Method
from vitruvian.methods.heatmap.method import Heatmap
from vitruvian.methods.heatmap_offset.method import HeatmapOffset
from vitruvian.methods.integral.method import Integral
from vitruvian.methods.regression.method import Regression
from vitruvian.methods.rle.method import RLE
from vitruvian.methods.sar.method import SAR

METHODS: dict[str, type[Method]] = {
    "sar": SAR,
    "regression": Regression,
    "rle": RLE,
    "heatmap": Heatmap,
    "heatmap_offset": HeatmapOffset,
    "integral": Integral,
}


def build(experiment: Experiment) -> Method:
    """The network of an experiment, freshly initialised.

    Raises InputError when fields that are each in order do not fit together.
    """
    name = method_name(experiment)
    try:
        return METHODS[name](experiment.method, experiment.skeleton)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{name} cannot be built: {error}") from None


def build_empty(experiment: Experiment) -> Method:
    """The network of an experiment whose weights are about to be loaded: it fetches no starting weights of its own."""
    method: Any = experiment.method
    backbone = dataclasses.replace(method.backbone, weights="")
    return build(dataclasses.replace(experiment, method=dataclasses.replace(method, backbone=backbone)))


def method_name(experiment: Experiment) -> str:
    """The key of the experiment's method in METHODS."""
    return next(name for name, method in METHODS.items() if method.Config is type(experiment.method))


def recipes() -> dict[str, Callable[[], Experiment]]:
    """All recipes by the name that `vitruvian train` takes: METHOD/FUNCTION."""
    found = {}
    for method in METHODS:
        module = importlib.import_module(f"vitruvian.methods.{method}.recipes")
        functions = {name: value for name, value in vars(module).items() if isinstance(value, types.FunctionType)}
        for name, function in functions.items():
            if function.__module__ == module.__name__ and not name.startswith("_"):
                found[f"{method}/{name}"] = function
    return found


def experiment_to_dict(experiment: Experiment) -> dict[str, Any]:
    """Plain values that `experiment_from_dict` turns back."""
    values = dataclasses.asdict(experiment)
    return {"name": method_name(experiment), **values}


def experiment_from_dict(values: dict[str, Any], source: str) -> Experiment:
    """The experiment that plain values stand for.

    Args:
        values: as `experiment_to_dict` gives them, perhaps by way of JSON.
        source: where they come from, for messages.

    Raises:
        InputError: a field is unknown or has a value of another type; the message names it.
    """
    values = dict(values)
    name = values.pop("name", None)
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"{source}: method {name!r} is unknown; there are {', '.join(METHODS)}")
    config = typed(METHODS[name].Config, values.pop("method", {}), f"{source}: method")
    return typed(Experiment, {**values, "method": config}, f"{source}:")


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
