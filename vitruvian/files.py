"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from vitruvian.errors import InputError


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a file and gives it the name `path` once all of it is on the disk.

    `write` gets the path of an empty temporary file in the same folder, with the same suffix. Whatever fails, a
    file that was at `path` is as it was before and no temporary file stays. A device or a pipe is written to
    directly.

    Raises InputError when the folder or the disk does not take the file (missing, forbidden, full); what else
    `write` raises passes through.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of the file to write")
    try:
        if path.exists() and not path.is_file():
            write(path)
            return
        target = Path(os.path.realpath(path))  # a link goes on pointing to the new file
        temporary = target.with_name(f".{target.stem[:32]}.{secrets.token_hex(4)}{target.suffix}")
        try:
            temporary.touch(exist_ok=False)
            mode = temporary.stat().st_mode
            write(temporary)
            temporary.chmod(mode)  # some writers make a file that nobody else may read
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:  # an interrupt too
            temporary.unlink(missing_ok=True)
            raise
    except FileNotFoundError as error:
        if path.parent.is_dir():
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error
        raise InputError(f"{path}: there is no folder {path.parent}; make it or choose another") from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}); free some space or choose another folder") from error
