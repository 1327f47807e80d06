"""The one exception for what a user can put right: a file, an option, a value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input; the message is one line with what was found, what was expected and what to do.

    The command line prints the message alone and exits with code 2.
    """


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, for messages."""
    known = list(known)
    return max(
        known,
        key=lambda other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio(),
        default="",
    )
