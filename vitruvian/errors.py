"""The one exception for what a user can put right: a file, an option, a value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input; the message is one line with what was found, what was expected and what to do.

    The command line prints the message alone and exits with code 2.
    """


def expect(fits: bool, name: str, value: object, expected: str) -> None:
    """Raises ValueError that names a field, what it is and what was expected, unless the value fits."""
    if not fits:
        raise ValueError(f"{name} is {value}, expected {expected}")


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, for messages."""
    known = list(known)
    return max(
        known,
        key=lambda other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio(),
        default="",
    )
