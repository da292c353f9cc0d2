"""The owner of one serial line or TCP host: every request of every device on it goes through its queue.

Setpoints go before polls. Noise and silence are tried again once, refusals are not: the device has
understood. A device that stays silent is asked less and less often, so that it costs the others at most one
timeout per cycle. The line is reopened with a growing delay when it is gone.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from bsp.transport import (
    GATEWAY_CODES,
    BusError,
    DisconnectedError,
    NoAnswerError,
    RefusedError,
    Request,
    Transport,
)

Clock = Callable[[], float]
"""Monotonic seconds."""

_RECONNECT_MAX_S = 30.0
_SILENT_AFTER = 3
_SILENT_MAX_S = 10.0


class Priority(IntEnum):
    """Order in which waiting requests are sent."""

    SETPOINT = 0
    POLL = 1
    BACKGROUND = 2


@dataclass(slots=True)
class DeviceStatistics:
    """What happened to the requests of one device.

    Attributes
    ----------
    requests, retries, timeouts, refusals : int
        Counts since the start. A destroyed answer counts as timeout.
    failed_in_a_row : int
        Requests without an answer since the last one with.
    answer_s : float
        How long the last answer took.
    """

    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    refusals: int = 0
    failed_in_a_row: int = 0
    answer_s: float = 0.0
    silent_until: float = field(default=-math.inf, repr=False)
    last_at: float = field(default=-math.inf, repr=False)
    late_until: float = field(default=-math.inf, repr=False)


@dataclass(slots=True)
class BusStatistics:
    """What happened on a line as a whole."""

    connects: int = 0
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Values read, and the moment in which they were asked for."""

    values: Sequence[int]
    taken_at: float


@dataclass(order=True, slots=True)
class _Job:
    priority: Priority
    number: int
    unit: int = field(compare=False)
    request: Request = field(compare=False)
    answer: asyncio.Future[Answer] = field(compare=False)


class Bus:
    """One line and its queue. Made, run and used in one event loop.

    Parameters
    ----------
    name : str
        Its name in the site file, for errors.
    transport : Transport
        The line.
    clock : callable
        Monotonic seconds.
    retries : int
        How often a request without answer is sent again.
    """

    def __init__(
        self, name: str, transport: Transport, *, clock: Clock = time.monotonic, retries: int = 1
    ) -> None:
        self.name = name
        self.devices: dict[int, DeviceStatistics] = {}
        self.statistics = BusStatistics()
        self._transport = transport
        self._clock = clock
        self._retries = retries
        self._queue: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._idle_since = -math.inf
        self._reconnect_at = -math.inf
        self._reconnect_delay_s = 0.0
        self._is_stopped = False

    @property
    def connected(self) -> bool:
        """Whether the line is open."""
        return self._transport.connected

    async def request(
        self, unit: int, request: Request, *, priority: Priority = Priority.POLL, gap_s: float = 0.0
    ) -> Answer:
        """Send a request when its turn comes, and wait for the answer.

        Parameters
        ----------
        unit : int
            Modbus address of the device.
        request : Request
            What to read or write.
        priority : Priority
            Its place in the queue.
        gap_s : float
            Rest that the device needs since its last request; others may use the line meanwhile.

        Raises
        ------
        BusError
            `NoAnswerError`, `RefusedError` or `DisconnectedError`.
        """
        device = self.devices.setdefault(unit, DeviceStatistics())
        rest_s = max(device.last_at + gap_s, device.late_until) - self._clock()
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        if self._is_stopped:
            raise DisconnectedError("the bus was stopped")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Job(priority, next(self._numbers), unit, request, answer))
        return await answer

    async def run(self) -> None:
        """Own the line until cancelled."""
        try:
            while True:
                job = await self._queue.get()
                if not job.answer.done():  # its asker may have given up
                    await self._serve(job)
        finally:
            self._is_stopped = True
            self._transport.close()
            while not self._queue.empty():
                _fail(self._queue.get_nowait(), DisconnectedError("the bus was stopped"))

    async def _serve(self, job: _Job) -> None:
        device = self.devices[job.unit]
        try:
            if job.priority is not Priority.SETPOINT and self._clock() < device.silent_until:
                raise NoAnswerError(f"silent for {device.failed_in_a_row} requests, tried again soon")
            await self._connect()
            answer = await self._transact(job, device)
        except BusError as error:
            _fail(job, error)
        except BaseException:  # its asker must not wait for ever
            _fail(job, DisconnectedError("the bus was stopped"))
            raise
        else:
            if not job.answer.done():
                job.answer.set_result(answer)

    async def _connect(self) -> None:
        """Open the line if it is not, at most as often as the growing delay allows."""
        if self._transport.connected:
            return
        if self._clock() < self._reconnect_at:
            raise DisconnectedError(f"bus '{self.name}' is not connected")
        if not await self._transport.connect():
            self._reconnect_delay_s = min(max(2 * self._reconnect_delay_s, 0.5), _RECONNECT_MAX_S)
            self._reconnect_at = self._clock() + self._reconnect_delay_s
            raise DisconnectedError(
                f"bus '{self.name}' cannot be opened, tried again in {self._reconnect_delay_s:g} s"
            )
        self._reconnect_delay_s = 0.0
        self.statistics.connects += 1

    async def _transact(self, job: _Job, device: DeviceStatistics) -> Answer:
        # A device that was silent the last time gets one try: the others are waiting.
        tries = 1 + (self._retries if device.failed_in_a_row == 0 else 0)
        for attempt in range(tries):
            await self._silence()
            device.requests += 1
            device.retries += attempt > 0
            asked_at = self._clock()
            try:
                values = await self._transport.transact(job.unit, job.request)
            except RefusedError as error:
                device.refusals += 1
                if error.code in GATEWAY_CODES:
                    self._count_silence(device)
                else:
                    device.failed_in_a_row = 0
                raise
            except NoAnswerError:
                device.timeouts += 1
                device.late_until = self._clock() + 2 * self._transport.late_answer_s
                if attempt + 1 == tries:
                    self._count_silence(device)
                    self._hang_up_if_all_silent()
                    raise
            else:
                device.answer_s = self._clock() - asked_at
                device.failed_in_a_row = 0
                device.silent_until = -math.inf
                return Answer(values, asked_at)
            finally:
                self._idle_since = device.last_at = self._clock()
                self.statistics.busy_s += self._idle_since - asked_at
        raise AssertionError("unreachable: the last try returns or raises")

    async def _silence(self) -> None:
        wait_s = self._idle_since + self._transport.frame_gap_s - self._clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _count_silence(self, device: DeviceStatistics) -> None:
        device.failed_in_a_row += 1
        excess = device.failed_in_a_row - _SILENT_AFTER
        if excess >= 0:
            device.silent_until = self._clock() + min(0.5 * 2.0 ** min(excess, 10), _SILENT_MAX_S)

    def _hang_up_if_all_silent(self) -> None:
        """Reopen a line on which nobody answers any more: adapters and TCP stacks hang, too."""
        if all(device.failed_in_a_row >= _SILENT_AFTER for device in self.devices.values()):
            self._transport.close()


def _fail(job: _Job, error: BusError) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)
