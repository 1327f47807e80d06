"""All methods, a folder each; and experiments as JSON, which name their method by its key here."""

from __future__ import annotations

import dataclasses
import importlib
import types
from collections.abc import Callable
from typing import Any

from vitruvian.errors import InputError
from vitruvian.experiment import Experiment, Method
from vitruvian.methods.heatmap.method import Heatmap
from vitruvian.methods.heatmap_offset.method import HeatmapOffset
from vitruvian.methods.integral.method import Integral
from vitruvian.methods.regression.method import Regression
from vitruvian.methods.rle.method import RLE
from vitruvian.methods.sar.method import SAR
from vitruvian.typed_values import typed

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
