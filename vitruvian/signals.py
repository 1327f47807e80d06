"""Signals: something else than the usual happens when they come, for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def handled(numbers: Iterable[int], handler: Callable[[int, object], None]) -> Iterator[None]:
    """Meanwhile signals call `handler`, and later again what they called before.

    Nothing changes outside of the main thread, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        numbers = ()
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
