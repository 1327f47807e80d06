"""Run files: an experiment as YAML that a person can read, change and run again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from vitruvian.errors import InputError
from vitruvian.experiment import Experiment
from vitruvian.files import write_atomically
from vitruvian.methods import experiment_from_dict, experiment_to_dict

RUN = "run.yaml"
"""The run file in the folder of a run."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but for numbers such as 5e-4, which that takes for text, and for dates, which no field is."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError) as error:  # of Python's own int() and so on
            problem = f"{str(node.value)[:40]!r} is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


class _Dumper(yaml.SafeDumper):
    """Mappings over lines, lists in one."""


_Dumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)


def write_run(path: str | Path, experiment: Experiment) -> None:
    """Writes an experiment as YAML, whole or not at all; raises InputError when the disk does not take it."""
    values = json.loads(json.dumps(experiment_to_dict(experiment)))  # tuples as lists
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=110)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_run(path: str | Path, base: Experiment | None = None) -> Experiment:
    """The experiment of a run file.

    Args:
        path: YAML as `write_run` writes it; with a `base` a part of that will do.
        base: what the file does not say.

    Raises:
        InputError: there is no such file, it is no YAML, it is of another method than `base`, or a field is unknown or
            has a value of another type; the message names file and field.
    """
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected the {RUN} of a run") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); expected the {RUN} of a run") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())}); correct it") from None
    except RecursionError:
        raise InputError(f"{path}: not valid YAML (hundreds of brackets in each other); correct it") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds a {type(values).__name__}, expected the fields of an experiment")
    if base is None:
        return experiment_from_dict(values, str(path))
    name = experiment_to_dict(base)["name"]
    if values.setdefault("name", name) != name:
        raise InputError(f"{path}: name is {values['name']!r}, but the recipe is of {name!r}; choose another recipe")
    return changed(base, values, str(path))


def changed(experiment: Experiment, changes: dict[str, Any], source: str) -> Experiment:
    """An experiment with some of its fields set anew.

    Args:
        experiment: what is left as it is.
        changes: fields as nested dicts; a skeleton is given as a whole.
        source: where the changes come from, for messages.

    Raises:
        InputError: a field is unknown or has a value of another type; the message names it.
    """
    return experiment_from_dict(_merged(experiment_to_dict(experiment), changes), source)


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for key, change in changes.items():
        old = values.get(key)
        if isinstance(old, dict) and isinstance(change, dict) and key != "skeleton":
            change = _merged(old, change)
        result[key] = change
    return result
