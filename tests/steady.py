"""Event loops that do not count the time in which the machine stood still.

Simulated devices and those who ask them live in one process. When all of it is stopped for a second, by a
loaded machine or a debugger, nobody has been silent for a second: the short timeouts of buses must go on from
where they were.
"""

import asyncio
import selectors
import time
from collections.abc import Mapping
from typing import Any

_LATE_S = 0.03
"""Who is woken later than this has not been running."""


class SteadyPolicy(asyncio.DefaultEventLoopPolicy):
    """Makes steady loops."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Make one."""
        return SteadyLoop()


class SteadyLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while it is not given any."""

    def __init__(self) -> None:
        self._lost_s = 0.0
        super().__init__(_Watched(self))

    def time(self) -> float:
        """Monotonic seconds, less those lost."""
        return time.monotonic() - self._lost_s

    def lose(self, seconds: float) -> None:
        """Do not count these."""
        self._lost_s += seconds


class _Watched(selectors.BaseSelector):
    """Notices what is lost: waits and work that take much longer than they should.

    A wait that does so does not count at all, since nobody else may have run in it; but the next one does, so
    that time goes on however slow the machine is.
    """

    def __init__(self, loop: SteadyLoop) -> None:
        self._loop = loop
        self._selector = selectors.DefaultSelector()
        self._woken_at = time.monotonic()
        self._starts_again = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        asked_at = time.monotonic()
        if asked_at - self._woken_at > _LATE_S:
            self._loop.lose(asked_at - self._woken_at)
        events = self._selector.select(timeout)
        self._woken_at = time.monotonic()
        if timeout is not None:
            self._note(self._woken_at - asked_at, max(timeout, 0.0))
        return events

    def _note(self, took_s: float, should_s: float) -> None:
        is_late = took_s > should_s + _LATE_S
        if is_late:
            counts_s = should_s if self._starts_again else 0.0
            self._loop.lose(took_s - counts_s)
        self._starts_again = is_late and not self._starts_again

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()

    def close(self) -> None:
        self._selector.close()
