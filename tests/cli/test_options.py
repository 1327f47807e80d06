from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from vitruvian.cli.options import Parser, add_fields, descriptions, fields_of, first_value, given_values, wants_help
from vitruvian.errors import InputError
from vitruvian.methods import recipes


@dataclass(frozen=True)
class Branch:
    """What hangs on it.

    Attributes:
        size: width and height, px,
            on two lines.
        style: how.
        share: a part of the whole, 50 % say.

    What is written here is of no field.
    """

    size: tuple[int, int] = (3, 5)
    style: Literal["plain", "fancy"] = "plain"
    share: float = 0.5


@dataclass(frozen=True)
class Tree:
    """A tree of fields.

    Attributes:
        branch: a dataclass.
        steps: any number of them.
        switch: on or off.
        name_of_it: a text.
    """

    branch: Branch = field(default_factory=Branch)
    skeleton: str = "not an option"
    steps: tuple[int, ...] = (170, 200)
    switch: bool = True
    name_of_it: str = ""


def read(*arguments: str) -> dict:
    parser, fields = Parser("try", "Tries."), list(fields_of(Tree()))
    add_fields(parser, fields)
    return given_values(fields, parser.read(arguments))


def test_only_what_is_given_in_its_place_and_type() -> None:
    assert read() == {}
    assert read("--branch.size", "7", "9", "--switch", "false", "--branch.share=1e-3", "--name-of-it", "x y") == {
        "branch": {"size": (7, 9), "share": 0.001},
        "switch": False,
        "name_of_it": "x y",
    }
    assert read("--branch.style", "fancy") == {"branch": {"style": "fancy"}}


@pytest.mark.parametrize("written", [("3", "5"), ("3,5",), ("[3, 5]",), ("[3,5]",), ("(3,", "5)"), ("[3", "5]")])
def test_tuples_in_every_usual_way(written: tuple[str, ...]) -> None:
    assert read("--steps", *written) == {"steps": (3, 5)}


def test_empty_tuples_and_negative_numbers() -> None:
    assert read("--steps", "[]") == {"steps": ()}
    assert read("--steps", "-3", "4", "--branch.share", "-0.5") == {"steps": (-3, 4), "branch": {"share": -0.5}}


def test_words_may_be_joined_by_either_stroke() -> None:
    assert read("--name_of_it=a_b-c") == read("--name-of-it", "a_b-c") == {"name_of_it": "a_b-c"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--branch.sise", "3"], "vitruvian try has no option --branch.sise; the nearest is --branch.size"),
        (["--branch.siz", "3", "5"], "no option --branch.siz; the nearest is --branch.size"),
        (["--stepz=3"], "no option --stepz; the nearest is --steps"),
        (["--steps", "3", "--switsh", "true"], "no option --switsh; the nearest is --switch"),
        (["--skeleton", "coco"], "no option --skeleton"),
        (["--branch", "x"], "no option --branch;"),
        (["--branch.size", "3"], "--branch.size has 1 values, expected 2"),
        (["--branch.size", "[]"], "--branch.size has 0 values, expected 2"),
        (["--branch.size", "3", "five"], "--branch.size is 'five', expected a whole number"),
        (["--branch.size", "3", "5.5"], "--branch.size is '5.5', expected a whole number"),
        (
            ["--branch.style", "fanzy"],
            "--branch.style is 'fanzy', expected one of plain, fancy; the nearest is 'fancy'",
        ),
        (["--switch", "no"], "--switch is 'no', expected true or false"),
        (["--switch"], "argument --switch: expected one argument"),
        (["--branch.share", "nan"], "--branch.share is 'nan', expected a finite number"),
        (["--branch.share=-inf"], "--branch.share is '-inf', expected a finite number"),
        (["--branch.share", "a half"], "--branch.share is 'a half', expected a number"),
        (["surplus"], "unrecognized arguments: surplus"),
        (["-x"], "unrecognized arguments: -x"),
    ],
)
def test_mistakes_are_answered_in_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        read(*arguments)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_arguments_may_stand_on_both_sides_of_an_option() -> None:
    parser = Parser("try", "Tries.")
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--batch-size", type=int)
    options = parser.read(["a.jpg", "--batch-size", "3", "b.jpg", "c.jpg"])
    assert (options.photos, options.batch_size) == (["a.jpg", "b.jpg", "c.jpg"], 3)


def test_what_stands_behind_two_strokes_is_no_option() -> None:
    parser = Parser("try", "Tries.")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--name-of-it")
    options = parser.read(["--name_of_it", "x", "--", "--odd_name", "-y", "--name_of_it=z"])
    assert (options.names, options.name_of_it) == (["--odd_name", "-y", "--name_of_it=z"], "x")
    with pytest.raises(InputError, match="no option --odd-name"):
        parser.read(["--odd_name", "--", "a"])


def test_help_has_every_field_with_its_description_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        read("--help")
    assert left.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--branch.size INTEGER [INTEGER ...] width and height, px, on two lines. (default: 3 5)" in text
    assert "--branch.style {plain,fancy} how. (default: plain)" in text
    assert "a part of the whole, 50 % say. (default: 0.5)" in text
    assert "--switch {true,false} on or off. (default: true)" in text
    assert "a text. (default: empty)" in text
    assert "skeleton" not in text


def test_descriptions_are_those_under_attributes() -> None:
    assert descriptions(Branch) == {
        "size": "width and height, px, on two lines.",
        "style": "how.",
        "share": "a part of the whole, 50 % say.",
    }
    assert descriptions(int) == {}


def test_options_that_are_needed_before_the_others() -> None:
    arguments = ["--unknown", "3", "--config", "run.yaml", "--steps", "3", "5"]
    assert first_value(arguments, "--config", "train") == "run.yaml"
    assert first_value(["--config=run.yaml", "--help"], "--config", "train") == "run.yaml"
    assert first_value(["--conf", "run.yaml"], "--config", "train") == ""
    with pytest.raises(InputError, match=r"^argument --config: expected one argument \(see vitruvian train --help\)$"):
        first_value(["--config"], "--config", "train")
    assert wants_help(["--steps", "3", "-h"])
    assert not wants_help(arguments)


@pytest.mark.parametrize("name", list(recipes()))
def test_every_field_of_every_recipe_is_described_and_reads_back(name: str) -> None:
    fields = list(fields_of(recipes()[name]()))
    assert not [one.name for one in fields if not one.description.endswith(".")]
    parser = Parser("try", "")
    add_fields(parser, fields)
    written = []
    for one in fields:
        values = one.default if isinstance(one.default, tuple) else [one.default]
        written += [f"--{one.name}", *([str(value) for value in values] or ["[]"])]
    values = given_values(fields, parser.read(written))
    for one in fields:
        place = values
        for part in one.name.split("."):
            place = place[part]
        assert place == one.default
        assert type(place) is type(one.default)
