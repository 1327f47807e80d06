"""Signals that something else happens on, for a while."""

from __future__ import annotations

import os
import signal
import threading

from vitruvian.signals import handled


def test_a_handler_for_a_while() -> None:
    came = []
    before = signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)
    with handled((signal.SIGHUP, signal.SIGTERM), lambda number, _: came.append(number)):
        os.kill(os.getpid(), signal.SIGTERM)
        with handled([signal.SIGHUP], lambda number, _: came.append(-number)):
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
    assert came == [signal.SIGTERM, -signal.SIGHUP, signal.SIGHUP]
    assert (signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)) == before


def test_other_threads_change_nothing() -> None:
    seen = []

    def look() -> None:
        with handled([signal.SIGTERM], lambda *_: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
