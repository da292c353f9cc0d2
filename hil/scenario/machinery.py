"""What runs beside the decisions, on virtual time and in one thread: nothing waits, all has its order."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from bsp.bridge import Bridge
from bsp.connector import Connector, ConnectorLimit
from control.clock import Clock
from control.dispatch import Dispatcher
from control.loop import SHORTEST_GAP_S, ControlLoop, Step


class HangsError(Exception):
    """A call that nobody answers until a timeout ends it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds


class UnconfirmedError(Exception):
    """A charger that has not confirmed its limit yet."""

    def __init__(self, taken: Future[None]) -> None:
        super().__init__("not confirmed yet")
        self.taken = taken


class Confirmation(Future[None]):
    """That of a charger, for which nobody can wait in one thread."""

    def __init__(self, taken: Future[None]) -> None:
        super().__init__()
        self._taken = taken

    def result(self, timeout: float | None = None) -> None:
        """Say that it is not there yet, if it is not."""
        if not self._taken.done():
            raise UnconfirmedError(self._taken)
        self._taken.result(timeout)


class VirtualDispatcher(Dispatcher):
    """Makes every call at once; one that hangs ends when its time is up."""

    def leap(self, seconds: float) -> None:
        """Take all limits as refreshed while time leapt."""
        for lane in self._lanes.values():
            for attempt in lane.attempts:
                attempt.sent_at += seconds
                attempt.ends_at += seconds

    def _staff(self, now: float) -> None:
        while self._queue and not self._is_stopping:
            job = self._take(now)
            try:
                job.send(job.attempt.limits)
            except HangsError as hang:
                asyncio.get_running_loop().call_later(hang.seconds, self._end, job, hang)
            except UnconfirmedError as unconfirmed:
                unconfirmed.taken.add_done_callback(partial(self._is_confirmed, job))
            except Exception as error:  # noqa: BLE001 - as the dispatcher does
                self._finish(job, error)
            else:
                self._finish(job, None)

    def _is_confirmed(self, job: Any, taken: Future[None]) -> None:
        error = taken.exception()
        self._end(job, error if isinstance(error, Exception) else None)

    def _end(self, job: Any, error: Exception | None) -> None:
        """End a call that was not answered at once, and begin those that have waited for it."""
        self._finish(job, error)
        self._staff(self._clock())


class VirtualControlLoop(ControlLoop):
    """Runs the step at its interval, and at once when woken.

    Attributes
    ----------
    is_failing : bool
        Every step fails.
    """

    def __init__(
        self,
        step: Step,
        interval_s: float,
        clock: Clock,
        on_failure: Callable[[Exception], None],
        name: str = "",
    ) -> None:
        super().__init__(step, interval_s, clock, on_failure, name)
        self.is_failing = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_woken = False
        self._quiet_until_s = 0.0

    def start(self) -> None:
        """Begin."""
        self._plan(0.0)

    def wake(self) -> None:
        """Run the next step at once."""
        if self._timer is not None and not self._is_woken:
            self._is_woken = True
            self._plan(SHORTEST_GAP_S)

    def stop(self, timeout_s: float = 0.0) -> bool:
        """End."""
        del timeout_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def put_off(self, seconds: float) -> None:
        """Let everybody be heard before the next step."""
        if self._timer is not None:
            self._quiet_until_s = asyncio.get_running_loop().time() + seconds
            self._plan(seconds)

    def _plan(self, in_s: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(max(loop.time() + in_s, self._quiet_until_s), self._decide)

    def _decide(self) -> None:
        self._is_woken = False
        self._plan(self._interval_s)
        try:
            if self.is_failing:
                raise RuntimeError("a defect, put in by the scenario")
            due_s = self._step(self._clock())
        except Exception as error:  # noqa: BLE001 - as the control loop does
            self._on_failure(error)
        else:
            left_s = math.inf if due_s is None else due_s - self._clock().monotonic_s
            if left_s < self._interval_s and not self._is_woken:
                self._plan(max(left_s, SHORTEST_GAP_S))


class VirtualBridge(Bridge):
    """The bridge without a thread of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._work_of_all: asyncio.Task[None] | None = None
        self._newest: dict[str, tuple[ConnectorLimit, float]] = {}

    def start(self) -> None:
        """Open the buses and start reading."""
        self._work_of_all = asyncio.get_running_loop().create_task(self._main(), name="bridge")

    def stop(self) -> None:
        """Bring the connectors to their fallback, soon."""
        if self._stopping is not None:
            self._stopping.set()

    async def ended(self) -> None:
        """Wait until it has stopped."""
        if self._work_of_all is not None:
            await self._work_of_all

    def kill(self) -> None:
        """End as a killed process does: no connector is told anything."""
        self._driven.clear()  # whoever is no more releases nobody
        self.stop()

    def check(self) -> None:
        """Raise what has ended the bridge, if anything has."""
        if self._work_of_all is not None and self._work_of_all.done() and not self._work_of_all.cancelled():
            self._work_of_all.result()

    def leap(self) -> None:
        """Take the limits that hold as renewed while time leapt; call it before the leap."""
        self._newest = {name: kept for name, kept in self._newest.items() if self._clock() < kept[1]}

    def renew(self) -> None:
        """Renew them, after the leap."""
        for name, (limit, _) in list(self._newest.items()):
            self.enforce(name, limit)

    def enforce(self, name: str, limit: ConnectorLimit) -> Future[None]:
        """Limit a connector."""
        self._newest[name] = (limit, self._clock() + limit.valid_for_s)
        return Confirmation(super().enforce(name, limit))

    def _tell(self, name: str, order: Callable[[Connector], None]) -> bool:
        if name not in self._driven or self._stopping is None or self._stopping.is_set():
            return False
        connector, wake = self._driven[name]
        order(connector)
        wake.set()
        return True
