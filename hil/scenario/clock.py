"""Virtual time: an event loop in which nothing ever waits, and clocks that can leap.

There are two monotonic clocks. *Loop time* is that of all that runs at short intervals by itself: buses,
polls, devices with their watchdogs. *Site time* is what decisions, readings and durations go by. Both run
together, except in a leap: then site time goes on while loop time, and with it everything that waits for its
turn, stands still.
"""

import asyncio
import selectors
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control.clock import Instant


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing is left to do."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Jumps(self))

    def time(self) -> float:
        """Loop time."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds


class SiteClock:
    """The clocks of a simulated site.

    Parameters
    ----------
    loop : AbstractEventLoop
        Makes time pass: a virtual one, or a real one, which never leaps.
    start : datetime
        Wall clock at the start, aware.

    Attributes
    ----------
    wall_jumps_s : float
        How far the wall clock has been put forward.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start: datetime) -> None:
        self._loop = loop
        self._began_s = loop.time()
        self._start = start
        self._leapt_s = self._held_s = 0.0
        self.wall_jumps_s = self._told_jumps_s = 0.0
        self._told = Instant(0.0, start)

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return self._loop.time() - self._began_s + self._leapt_s

    @property
    def script_s(self) -> float:
        """How far the script has come: seconds since the start in which it was not held."""
        return self.now_s - self._held_s

    def hold(self, seconds: float) -> None:
        """Take these seconds off the script, which has waited for somebody."""
        self._held_s += seconds

    def loop_s(self) -> float:
        """Loop time."""
        return self._loop.time()

    def __call__(self) -> Instant:
        """Tell both times, as `control` wants to know them."""
        now_s = self.now_s
        if now_s != self._told.monotonic_s or self.wall_jumps_s != self._told_jumps_s:
            self._told_jumps_s = self.wall_jumps_s
            self._told = Instant(now_s, self._start + timedelta(seconds=now_s + self.wall_jumps_s))
        return self._told

    def leap(self, seconds: float) -> None:
        """Let site time go on."""
        self._leapt_s += seconds


class _Jumps(selectors.BaseSelector):
    """Instead of waiting for files, lets the loop's time jump."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, 0, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else, and nobody for a time")
        if timeout > 0:
            self._loop.jump(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys
