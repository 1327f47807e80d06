"""Places for results: folders that are made, files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vitruvian.errors import InputError


def make_folder(path: str | Path) -> Path:
    """The folder `path`, made with those that it is in if it is not there; raises InputError where it cannot be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: no folder can be made there ({error.strerror}); choose another") from error
    return Path(path)


def check_place(path: str | Path) -> None:
    """Raises the InputError that `write_atomically` raises where no file can be: ask before long work."""
    write_or_undo(Path(path), None)


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a file and gives it the name `path` once all of it is on the disk.

    `write` gets the path of an empty temporary file in the same folder, with the same suffix. Whatever fails, a
    file that was at `path` is as it was before and no temporary file stays. A device or a pipe is written to
    directly.

    Raises InputError when the folder or the disk does not take the file (missing, forbidden, full); what else
    `write` raises passes through.
    """
    write_or_undo(Path(path), write)


def write_or_undo(path: Path, write: Callable[[Path], object] | None) -> None:
    """`write_atomically`; without `write` the temporary file is made and taken away again."""
    with complaints(path) as own:
        if path.is_dir():
            raise InputError(f"{path} is a folder: give the name of the file to write")
        if path.exists() and not path.is_file():
            if write is not None:
                write(path)
            return
        target = Path(os.path.realpath(path))  # a link goes on pointing to the new file
        temporary = target.with_name(f".{target.stem[:32]}.{secrets.token_hex(4)}{target.suffix}")
        own |= {str(target), str(temporary)}
        try:
            temporary.touch(exist_ok=False)
            if write is not None:
                mode = temporary.stat().st_mode
                write(temporary)
                temporary.chmod(mode)  # some writers make a file that nobody else may read
                with open(temporary, "r+b") as file:
                    os.fsync(file.fileno())
                os.replace(temporary, target)
        finally:  # an interrupt too
            temporary.unlink(missing_ok=True)


@contextmanager
def complaints(path: Path) -> Iterator[set[str]]:
    """Errors of the system about `path`, and about names added to the set that it gives, become InputError."""
    own = {str(path)}
    try:
        yield own
    except OSError as error:
        if error.filename is not None and os.fsdecode(error.filename) not in own:
            raise  # about another file, which `write` has to do with
        if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}; make it or choose another") from error
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}); free some space or choose another folder") from error
