"""The command line: `vitruvian COMMAND`."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from io import TextIOWrapper

from vitruvian.cli.data import data_command
from vitruvian.cli.evaluate import evaluate_command
from vitruvian.cli.export import export_command
from vitruvian.cli.listing import list_command
from vitruvian.cli.predict import predict_command
from vitruvian.cli.train import train_command
from vitruvian.cli.weights import import_command, shrink_command
from vitruvian.errors import InputError, nearest_name
from vitruvian.signals import handled


class Stopped(KeyboardInterrupt):
    """A signal that asks the program to end: it does as after Ctrl-C, and leaves nothing half written."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code.

    0 done, 2 bad input, 130 interrupted, 141 nobody reads the output, 143 terminated (128 + the signal).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text
    try:
        with stopped_by_signals():
            return complaining(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt as interrupt:
        print("vitruvian:", str(interrupt) or "interrupted", file=sys.stderr)
        return 128 + interrupt.number if isinstance(interrupt, Stopped) else 130


def complaining(arguments: list[str]) -> int:
    """Runs a command; what its user can put right is said in one line."""
    try:
        try:
            code = run(arguments)
        except SystemExit as left:  # argparse has printed help
            code = int(left.code or 0)
        sys.stdout.flush()
        return code
    except InputError as error:
        print("vitruvian:", " ".join(str(error).splitlines()), file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is not None:
            name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
            print(f"vitruvian: {name}: {error.strerror}; check the path and its permissions", file=sys.stderr)
            return 2
        if error.errno not in (errno.EPIPE, errno.ENOSPC) or not output_is_broken():
            raise
        if error.errno == errno.EPIPE:
            return 141
        print(f"vitruvian: the output cannot be written ({error.strerror}); free some space", file=sys.stderr)
        return 2


def stopped_by_signals() -> AbstractContextManager[None]:
    """Meanwhile the signals that would end the program at once raise Stopped, unless somebody else takes them."""

    def stop(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one would disturb the tidying
        raise Stopped(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return handled([number for number in numbers if signal.getsignal(number) is signal.SIG_DFL], stop)


def output_is_broken() -> bool:
    """Whether standard output takes nothing any more; if so what is left of it is dropped, or Python would complain."""
    try:
        print(flush=True)
        return False
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True


def run(arguments: list[str]) -> int:
    """The command that `arguments` begin with."""
    name = arguments[0] if arguments else ""
    if name in ("", "-h", "--help"):
        print(overview())
        return 0 if name else 2
    if name == "--version":
        from importlib.metadata import version

        print(f"vitruvian {version('vitruvian')}")
        return 0
    if name not in COMMANDS:
        raise InputError(
            f"there is no command {name!r}; the nearest is {nearest_name(name, COMMANDS)!r} (see vitruvian --help)"
        )
    return COMMANDS[name][0](arguments[1:])


def overview() -> str:
    """What `vitruvian --help` says."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name.ljust(width)}  {text}" for name, (_, text) in COMMANDS.items())
    return (
        "usage: vitruvian COMMAND ...\n\nFinds the joints of people in photos.\n\n"
        f"commands:\n{commands}\n\noptions:\n  --help     of this, or of a command: vitruvian COMMAND --help\n"
        "  --version"
    )


COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "predict": (predict_command, "finds the joints of people in photos"),
    "evaluate": (evaluate_command, "predicts a data set and scores the predictions"),
    "data": (data_command, "says what annotations hold and what is wrong with them"),
    "train": (train_command, "trains a network"),
    "import-weights": (import_command, "makes a checkpoint of another program's weights"),
    "export": (export_command, "writes a network as ONNX, which runs without PyTorch"),
    "shrink": (shrink_command, "makes a small file of a checkpoint, to hand on"),
    "list": (list_command, "names the shipped networks, the methods and the recipes"),
}
