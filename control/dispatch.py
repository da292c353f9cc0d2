"""Limits on their way to the EVSEs.

Calling a child blocks until it answers: tens of milliseconds on a broker with default settings, minutes when
nobody is there. So every EVSE has a lane of its own, served by a small crowd of workers. The newest limit of
a lane wins, at most one call of a lane is under way, and a call that hangs holds up nobody else.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from control.caution import allows_more, loosest
from control.schedules import JsonObject

Send = Callable[[JsonObject], object]
"""Brings one ``EnforcedLimits`` to its EVSE; returns once it is answered, raises when it failed."""

CONCURRENT_CALLS = 32
"""Calls that are answered in reasonable time and under way at once; more only get in each other's way."""

MAX_WORKERS = 256
"""Threads at most, those in hanging calls included."""

HANGING_AFTER_S = 1.0
"""A call under way for longer no longer counts as one of ``CONCURRENT_CALLS``."""

NOTICED_LATE_S = 1.0
"""A charge point notices the end of a limit up to a second late."""


@dataclass(frozen=True, slots=True)
class Deadband:
    """Rises not worth a message before the next refresh. A fall is always sent."""

    current_A: float = 0.2
    power_W: float = 100.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call ended."""

    uuid: str
    seconds: float
    error: Exception | None


@dataclass(slots=True)
class _Attempt:
    limits: JsonObject
    sent_at: float
    ends_at: float
    answered: bool = False

    def is_in_force(self, now: float) -> bool:
        return now < self.ends_at


@dataclass(frozen=True, slots=True)
class _Pending:
    limits: JsonObject
    send: Send
    ends_at: float


@dataclass(slots=True)
class _Lane:
    pending: _Pending | None = None
    is_queued: bool = False
    call_since: float | None = None
    calls: int = 0
    attempts: list[_Attempt] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        return self.pending is not None or self.call_since is not None

    def waiting(self, now: float) -> _Pending | None:
        """Return what is to be sent next; what has waited for longer than its time is not sent any more."""
        return self.pending if self.pending is not None and now < self.pending.ends_at else None

    def in_force(self, now: float) -> JsonObject | None:
        possible = [
            attempt.limits["limits_root_side"] for attempt in self.attempts if attempt.is_in_force(now)
        ]
        if waiting := self.waiting(now):  # may be on its way in this very moment
            possible.append(waiting.limits["limits_root_side"])
        return reduce(loosest, possible) if possible else None


@dataclass(frozen=True, slots=True)
class _Job:
    """One call: of which lane, the how manieth, what, and how."""

    uuid: str
    lane: _Lane
    call: int
    attempt: _Attempt
    send: Send


class Dispatcher:
    """Sends limits to EVSEs, each on its own lane.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    deadband : Deadband
        What is too small a rise.
    on_outcome : callable, optional
        Told of every call that ended, from the worker's thread.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        deadband: Deadband = Deadband(),
        on_outcome: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._deadband = deadband
        self._on_outcome = on_outcome
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._finished = threading.Condition(lock)
        self._lanes: dict[str, _Lane] = {}
        self._queue: deque[str] = deque()
        self._workers = 0
        self._idle = 0
        self._is_stopping = False

    def offer(self, limits: Iterable[JsonObject], routes: Mapping[str, Send]) -> int:
        """Send those limits that changed, falls before rises, and then those that are due for a refresh.

        Parameters
        ----------
        limits : iterable of EnforcedLimits
            The newest decision.
        routes : mapping of uuid to Send
            Way to each EVSE; what has no way is left out.

        Returns
        -------
        int
            How many are on their way.
        """
        now = self._clock()
        with self._changed:
            known = [(limit, self._lane(limit["uuid"])) for limit in limits if limit["uuid"] in routes]
            news = [limit for limit, lane in known if self._is_due(lane, limit, now)]
            quiet = [(limit, lane) for limit, lane in known if not self._is_due(lane, limit, now)]
            due = [*sorted(news, key=self._rank), *self._refreshes(quiet, now)]
            for limit in due:
                self._enqueue(limit, routes[limit["uuid"]], now)
            self._staff(now)
        return len(due)

    def forward(self, limit: JsonObject, send: Send, wait_s: float = 0.0) -> bool:
        """Send a limit whatever it is: who made it has already decided that it should be sent.

        Parameters
        ----------
        wait_s : float
            Longest time to wait for the answer of the EVSE that had more before.

        Returns
        -------
        bool
            Whether it goes by nothing above this any more.
        """
        now = self._clock()
        with self._changed:
            self._lane(limit["uuid"])
            self._enqueue(limit, send, now)
            self._staff(now)
        return self.has_taken(limit["uuid"], wait_s)

    def has_taken(self, uuid: str, wait_s: float = 0.0) -> bool:
        """Whether the EVSE goes by nothing above its newest limit any more, as far as its answers tell.

        Parameters
        ----------
        wait_s : float
            Longest time to wait for its answer.
        """
        with self._changed:
            if uuid not in self._lanes:
                return True
            lane = self._lanes[uuid]
            self._finished.wait_for(lambda: self._has_taken(lane) or not lane.is_busy, wait_s)
            return self._has_taken(lane)

    def in_force(self, uuid: str) -> JsonObject | None:
        """Highest ``LimitsRes`` that the EVSE may still go by, as far as its answers tell; None if none."""
        now = self._clock()
        with self._changed:
            return self._lanes[uuid].in_force(now) if uuid in self._lanes else None

    def all_in_force(self) -> dict[str, JsonObject]:
        """Return the same of every EVSE that has any, by uuid."""
        now = self._clock()
        with self._changed:
            found = {uuid: lane.in_force(now) for uuid, lane in self._lanes.items()}
        return {uuid: limits for uuid, limits in found.items() if limits is not None}

    def next_end(self, uuids: Iterable[str]) -> float:
        """When the next limit runs out that one of these EVSEs may go by; infinite if there is none."""
        now = self._clock()
        with self._changed:
            lanes = [self._lanes[uuid] for uuid in uuids if uuid in self._lanes]
            ends = [attempt.ends_at for lane in lanes for attempt in lane.attempts]
            ends += [lane.pending.ends_at for lane in lanes if lane.pending]
        return min((end for end in ends if end > now), default=math.inf)

    def stop(self, timeout_s: float = 1.0) -> bool:
        """Send nothing more; wait for the calls under way. Returns whether all were answered in time."""
        with self._changed:
            self._is_stopping = True
            self._queue.clear()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._workers == 0, timeout_s)

    def _has_taken(self, lane: _Lane) -> bool:
        now = self._clock()
        possible = [attempt for attempt in lane.attempts if attempt.is_in_force(now)]
        waiting = lane.waiting(now)
        if not any(attempt.answered for attempt in lane.attempts):
            return not possible and not waiting  # what it had before is not known
        newest = waiting.limits if waiting else lane.attempts[-1].limits
        side = newest["limits_root_side"]
        return not any(allows_more(attempt.limits["limits_root_side"], side) for attempt in possible)

    def _lane(self, uuid: str) -> _Lane:
        return self._lanes.setdefault(uuid, _Lane())

    def _is_due(self, lane: _Lane, limit: JsonObject, now: float) -> bool:
        if lane.pending or not lane.attempts:
            return True
        last = lane.attempts[-1]
        if not last.answered:
            # Under way: only news may overtake it. Failed: again.
            is_under_way = lane.call_since is not None and not self._is_given_up(lane, now)
            return not is_under_way or self._is_news(limit, last.limits)
        return self._is_news(limit, last.limits)

    def _refreshes(self, known: Iterable[tuple[JsonObject, _Lane]], now: float) -> list[JsonObject]:
        """Return what is to be sent again unchanged, the oldest first, few at a time to let news through.

        A limit is due after a third of its time, and overdue, however many there are, after half of it.
        """
        ages = [
            ((now - lane.attempts[-1].sent_at) / lane.attempts[-1].limits["valid_for"], limit)
            for limit, lane in known
            if lane.attempts[-1].answered
        ]
        due = sorted((pair for pair in ages if pair[0] >= 1 / 3), key=lambda pair: -pair[0])
        return [limit for at, (age, limit) in enumerate(due) if at < CONCURRENT_CALLS or age >= 1 / 2]

    def _is_news(self, limit: JsonObject, last: JsonObject) -> bool:
        new, old = limit["limits_root_side"], last["limits_root_side"]
        if _value(new, "ac_max_phase_count") != _value(old, "ac_max_phase_count"):
            return True
        return any(
            _has_changed(_value(new, name), _value(old, name), deadband)
            for name, deadband in (
                ("ac_max_current_A", self._deadband.current_A),
                ("total_power_W", self._deadband.power_W),
            )
        )

    def _rank(self, limit: JsonObject) -> tuple[bool, bool]:
        """Those that answered last time first, and of these the falls first."""
        attempts = self._lanes[limit["uuid"]].attempts
        if not attempts:
            return False, True
        before = attempts[-1].limits["limits_root_side"]
        return not attempts[-1].answered, _magnitude(limit["limits_root_side"]) > _magnitude(before)

    def _is_given_up(self, lane: _Lane, now: float) -> bool:
        """Whether the limit of a call without answer has run out anyway, so that the lane may try again."""
        return lane.call_since is not None and not lane.attempts[-1].is_in_force(now)

    def _enqueue(self, limit: JsonObject, send: Send, now: float) -> None:
        lane = self._lanes[limit["uuid"]]
        lane.pending = _Pending(limit, send, _ends_at(limit, now))
        if not lane.is_queued and (lane.call_since is None or self._is_given_up(lane, now)):
            self._put(limit["uuid"], lane)

    def _put(self, uuid: str, lane: _Lane) -> None:
        if self._is_stopping:
            return
        lane.is_queued = True
        self._queue.append(uuid)
        self._changed.notify()

    def _staff(self, now: float) -> None:
        """Start as many workers as there is work for, within bounds."""
        wanted = min(len(self._queue) - self._idle, self._room(now))
        for _ in range(wanted):
            self._workers += 1
            threading.Thread(target=self._work, name="dispatch", daemon=True).start()

    def _room(self, now: float) -> int:
        calls = [lane.call_since for lane in self._lanes.values() if lane.call_since is not None]
        hanging = sum(now - since > HANGING_AFTER_S for since in calls)
        return min(CONCURRENT_CALLS + hanging, MAX_WORKERS) - self._workers

    def _work(self) -> None:
        while (job := self._next()) is not None:
            error: Exception | None = None
            try:
                job.send(job.attempt.limits)
            except Exception as failure:  # noqa: BLE001 - whatever it was: reported, and the limit runs out by itself
                error = failure
            self._finish(job, error)

    def _next(self) -> _Job | None:
        """Wait for a lane with something to send; None when this worker is no longer needed."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._queue or self._is_stopping)
            self._idle -= 1
            now = self._clock()
            if self._is_stopping or self._room(now) < 0:
                self._workers -= 1
                self._changed.notify_all()
                return None
            return self._take(now)

    def _take(self, now: float) -> _Job:
        """Begin the next call."""
        uuid = self._queue.popleft()
        lane = self._lanes[uuid]
        lane.is_queued = False
        assert lane.pending is not None
        limits, send = lane.pending.limits, lane.pending.send
        lane.pending = None
        lane.call_since = now
        lane.calls += 1
        attempt = _Attempt(limits, now, _ends_at(limits, now))
        lane.attempts = [a for a in lane.attempts if a.is_in_force(now)] + [attempt]
        return _Job(uuid, lane, lane.calls, attempt, send)

    def _finish(self, job: _Job, error: Exception | None) -> None:
        """End a call, and tell how it went."""
        lane = job.lane
        with self._changed:
            now = self._clock()
            if error is None:
                job.attempt.answered = True
                _replace_before(lane, job.attempt)
            if job.call == lane.calls:
                lane.call_since = None
                if not lane.is_queued:
                    lane.pending = lane.waiting(now)
                    if lane.pending:
                        self._put(job.uuid, lane)
            self._finished.notify_all()
        self._on_outcome(Outcome(job.uuid, now - job.attempt.sent_at, error))


def _ends_at(limits: JsonObject, sent_at: float) -> float:
    return sent_at + float(limits["valid_for"]) + NOTICED_LATE_S


def _replace_before(lane: _Lane, answered: _Attempt) -> None:
    """End what was sent before: calls of one lane are answered in order."""
    if answered in lane.attempts:
        lane.attempts = lane.attempts[lane.attempts.index(answered) :]


def _value(limits: Mapping[str, Any], name: str) -> float | None:
    return limits[name]["value"] if name in limits else None


def _has_changed(new: float | None, old: float | None, deadband: float) -> bool:
    if new is None or old is None:
        return new != old
    if (new > 0) != (old > 0) or abs(new) < abs(old) - 1e-6:
        return True
    return abs(new) - abs(old) > deadband


def _magnitude(limits: Mapping[str, Any]) -> float:
    """Order of the limits of one EVSE: by amperes, or by watts where it has only those."""
    current, power = _value(limits, "ac_max_current_A"), _value(limits, "total_power_W")
    return abs(current if current is not None else power or 0.0)
