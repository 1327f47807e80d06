"""Command line options: a parser with answers in one line, and for an experiment one typed option a field.

The dataclasses say all there is to say: an option's name is the field's place in the tree, its type the field's, its
help the field's line under "Attributes:" in the docstring, its default what the recipe has.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import math
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from vitruvian.errors import InputError, nearest_name

if TYPE_CHECKING:
    from vitruvian.detection import Detector

DEFAULT_WEIGHTS = "person"
"""The shipped network that is used when none is named."""

SHORT = {
    "dataset.path": "--data",
    "dataset.images": "--images",
    "dataset.category": "--category",
    "dataset.split": "--split",
}
"""Short options for fields."""

SPLIT_HELP = "of OCHuman val or test, of LSP train or test, which one file holds (default: all of the file)"
"""What --split is for."""

NOT_OPTIONS = ("skeleton",)
"""Fields that no option sets: the recipe or the data say which joints there are."""


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, whose complaints are one line each and name the nearest option.

    Options may be written with - or _ between words. `usage` is what stands behind the command in the usage line.
    """

    def __init__(self, command: str, description: str, usage: str = "[options]", add_help: bool = True) -> None:
        super().__init__(
            prog=f"vitruvian {command}".rstrip(),
            usage=f"vitruvian {command} {usage}",
            description=description,
            add_help=add_help,
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=100),
        )

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options' values; raises InputError for an option that there is not, even where it stands for a value.

        What stands behind `--` is no option whatever it looks like.
        """
        if "--" not in arguments:
            return self.parse_intermixed_args([self._checked(argument) for argument in arguments])
        end = arguments.index("--")
        return self.parse_args([*map(self._checked, arguments[:end]), *arguments[end:]])

    def long_options(self) -> list[str]:
        """All options with two strokes."""
        return [option for option in self._option_string_actions if option.startswith("--")]

    def _checked(self, argument: str) -> str:
        """The argument with the option in it, if it is one, as it was declared."""
        if not argument.startswith("--"):
            return argument
        name, equals, value = argument.partition("=")
        name, known = name.replace("_", "-"), self.long_options()
        if name not in known:
            raise InputError(f"{self.prog} has no option {name}; the nearest is {nearest_name(name, known)}")
        return name + equals + value


class Field(NamedTuple):
    """One field of an experiment that an option sets."""

    group: str  # dotted name of the dataclass that holds it, empty for the experiment itself
    name: str  # dotted
    kind: Any  # its type
    default: Any
    description: str


def fields_of(instance: Any, group: str = "") -> Iterator[Field]:
    """The fields of a tree of dataclasses, in their order, those of branches in the place of the branch."""
    hints, texts = typing.get_type_hints(type(instance)), descriptions(type(instance))
    for one in dataclasses.fields(instance):
        value, name = getattr(instance, one.name), f"{group}.{one.name}".lstrip(".")
        if name in NOT_OPTIONS:
            continue
        if dataclasses.is_dataclass(value):
            yield from fields_of(value, name)
        else:
            yield Field(group, name, hints[one.name], value, texts.get(one.name, ""))


def method_fields(experiment: Any) -> list[Field]:
    """The fields of an experiment's method alone: what a network is, not how it was trained."""
    return [one for one in fields_of(experiment) if one.name.startswith("method.")]


def descriptions(kind: type) -> dict[str, str]:
    """What the "Attributes:" of a dataclass's docstring say about each field, as one line."""
    lines = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if entry := re.match(r"    (\w+): (.*)", line):
            name, found[entry[1]] = entry[1], entry[2]
        elif not line.startswith(" "):
            break
        else:
            found[name] += " " + line.strip()
    return found


def add_fields(parser: argparse.ArgumentParser, fields: Iterable[Field]) -> None:
    """Gives `parser` an option for each field; those that are not given stay out of the namespace."""
    groups: dict[str, Any] = {}
    for one in fields:
        if one.group not in groups:
            groups[one.group] = parser.add_argument_group(f"{one.group or 'experiment'} options")
        groups[one.group].add_argument(
            *option_names(one.name),
            dest=one.name,
            nargs="+" if typing.get_origin(one.kind) is tuple else None,
            default=argparse.SUPPRESS,
            metavar=metavar(one.kind),
            help=f"{one.description} (default: {shown(one.default)})".replace("%", "%%"),
        )


def first_value(arguments: Sequence[str], option: str, command: str, *others: str) -> str:
    """The value of an option of `command` that must be known before the others can be; empty where it is not given.

    `others` are further names of the option.
    """
    parser = Parser(command, "", add_help=False)
    parser.add_argument(option, *others, dest="value", default="")
    parts = [argument.partition("=") if argument.startswith("--") else ("", "", argument) for argument in arguments]
    spelled = [name.replace("_", "-") + equals + value for name, equals, value in parts]
    return parser.parse_known_args(spelled)[0].value


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether help is asked for."""
    return "--help" in arguments or "-h" in arguments


def option_names(name: str) -> list[str]:
    """The options that set a field: its own, and the short one that other commands have for the data too."""
    own = f"--{name.replace('_', '-')}"
    return [SHORT[name], own] if name in SHORT else [own]


def metavar(kind: Any) -> str:
    """How the help calls a value of a type."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return "{" + ",".join(map(str, arguments)) + "}"
    if typing.get_origin(kind) is tuple:
        return metavar(arguments[0])
    return {int: "INTEGER", float: "NUMBER", bool: "{true,false}"}.get(kind, "TEXT")


def shown(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(map(shown, value)) or "[]"
    return "empty" if value == "" else str(value)


def given_values(fields: Iterable[Field], options: argparse.Namespace) -> dict[str, Any]:
    """The fields that were given on the command line, as nested dicts of values of their types.

    Raises InputError that names option, value and what is expected.
    """
    values: dict[str, Any] = {}
    for one in fields:
        if not hasattr(options, one.name):
            continue
        given = getattr(options, one.name)
        place = values
        *branches, leaf = one.name.split(".")
        for branch in branches:
            place = place.setdefault(branch, {})
        option = option_names(one.name)[-1]
        place[leaf] = (
            parse_tuple(given, one.kind, option) if isinstance(given, list) else parse(given, one.kind, option)
        )
    return values


def parse_tuple(texts: Sequence[str], kind: Any, option: str) -> tuple:
    """`3 5`, `3,5` and `[3, 5]` as a tuple of the kind; `[]` is the empty one."""
    parts = [part for part in re.split(r"[\s,]+", " ".join(texts).strip().strip("[]()")) if part]
    kinds = typing.get_args(kind)
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(parts)
    if len(kinds) != len(parts):
        raise InputError(f"{option} has {len(parts)} values, expected {len(kinds)}")
    return tuple(parse(part, item, option) for part, item in zip(parts, kinds))


def parse(text: str, kind: Any, option: str) -> Any:
    """One value of an option as an instance of a plain type."""
    if typing.get_origin(kind) is typing.Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        if text not in choices:
            near = nearest_name(text, choices)
            raise InputError(f"{option} is {text!r}, expected one of {', '.join(choices)}; the nearest is {near!r}")
        return choices[text]
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"{option} is {text!r}, expected true or false")
        return text.lower() == "true"
    if kind not in (int, float):
        return text
    try:
        value = kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise InputError(f"{option} is {text!r}, expected {expected}") from None
    if not math.isfinite(value):
        raise InputError(f"{option} is {text!r}, expected a finite number")
    return value


def add_prediction(parser: Parser) -> None:
    """The options for how photos are looked at."""
    flip = "look at the mirrored crops too: more accurate, twice the time (default: --flip)"
    parser.add_argument("--flip", action="store_true", default=None, help=flip)
    parser.add_argument("--no-flip", dest="flip", action="store_false", help="only look at the crops as they are")
    size = "people at a time (default: what suits the device)"
    parser.add_argument("--batch-size", metavar="N", type=whole_number, help=size)
    add_device(parser)


def add_detector(parser: Parser, threshold: float) -> None:
    """The options for what finds the people in photos without boxes, with the score that they need by default."""
    from vitruvian.detection import SHORT_NAMES

    known = f"{', '.join(SHORT_NAMES)}, another of torchvision, OWNER/NAME of the Hugging Face hub"
    finds = f"what finds the people: {known}, a folder of transformers or a file of torchvision"
    parser.add_argument("--detector", metavar="NAME|PATH", default="", help=finds)
    floor = f"leave out people to whom the detector gives a score below this (default: {threshold})"
    parser.add_argument("--detector-threshold", metavar="SCORE", help=floor)
    parser.set_defaults(usual_detector_threshold=threshold)


def chosen_detector(options: argparse.Namespace) -> Detector | None:
    """The detector that the options ask for; raises InputError where they contradict themselves."""
    given = options.detector_threshold
    if not options.detector:
        if given is not None:
            raise InputError(
                "--detector-threshold is for the scores of a detector; give --detector NAME, or leave it out"
            )
        return None
    threshold = options.usual_detector_threshold if given is None else parse(given, float, "--detector-threshold")

    from vitruvian.detection import load_detector

    return load_detector(options.detector, options.device, threshold)


def add_device(parser: Parser) -> None:
    """The option for where to compute."""
    parser.add_argument(
        "--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)"
    )


def whole_number(text: str) -> int:
    """A whole number from 1, for options."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)
