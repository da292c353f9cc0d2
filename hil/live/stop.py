"""What ends a run before its time: a key, a signal, a time limit, whatever should not be."""

import asyncio
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

KEYS = b"qQ \x1b"
"""q, space, escape."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BY_PERSON = ("stopped by a key", *(f"stopped by {number.name}" for number in _SIGNALS))
"""Reasons after which nothing else is to be run."""


class Stop:
    """Ends a run, once.

    Attributes
    ----------
    reason : str or None
        Why it ends before its time; None while it does not.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def now(self, reason: str) -> None:
        """End it; only the first reason counts."""
        self.reason = self.reason or reason


@contextmanager
def listening(stop: Stop, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have keys and signals end a run, as often as they come, until the end of the block."""
    is_main = threading.current_thread() is threading.main_thread()
    numbers = _SIGNALS if is_main else ()
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, stop.now, f"stopped by {number.name}")
    try:
        with _keys(stop, loop):
            yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


@contextmanager
def _keys(stop: Stop, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Listen to the keyboard, if there is one."""
    if not _has_keyboard():
        yield
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def pressed() -> None:
        if set(os.read(keyboard, 64)) & set(KEYS):
            stop.now(BY_PERSON[0])

    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, pressed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _has_keyboard() -> bool:
    try:
        return sys.stdin.isatty() and sys.stdin.fileno() >= 0
    except (AttributeError, OSError, ValueError):  # no stdin at all, or one that is no file
        return False
