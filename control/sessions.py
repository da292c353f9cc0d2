"""Charging sessions, recognised from the states of EVSEs and what is measured at them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from control.clock import Instant
from control.inbox import Snapshot
from control.schedules import JsonObject
from control.store import Sample, Session, Store
from control.tree import walk
from energy_management.measurement import Reading

WITH_CAR = {"WaitForAuth", "PrepareCharging", "WaitForEnergy", "Charging", "PausedEV", "PausedEVSE"}
"""In these a session begins. It ends when the car has left: Finished may go on, Disabled tells nothing."""

WITHOUT_CAR = "Unplugged"

DRAWS_A = 1.0
"""From this current on a phase is in use."""

MOST_W = 500_000.0
"""A counter that grows faster is another one than before, or was set."""

STEP_Wh = 1000.0
"""Coarsest step of a counter."""

GAP_S = 60.0
"""Power is not held to be what it was for longer than this."""

RESTART_S = 86_400.0
"""How long a restart can have taken."""

GONE_S = 86_400.0
"""Of an EVSE that was not heard of for so long nobody knows: its session ended when it was last seen."""

WRITE_EVERY_S = 60.0
PRUNE_EVERY_S = 3600.0


@dataclass
class _Running:
    """A session under way. Times are those of the monotonic clock: the wall clock may be set meanwhile."""

    id: int
    evse: str
    began_s: float
    seen_s: float
    energy_Wh: float | None = None
    is_estimated: bool = False
    max_current_A: float | None = None
    phases: int | None = None
    mode: str | None = None
    meter_Wh: float | None = None
    reading: Reading | None = None

    def take(self, reading: Reading | None) -> None:
        """Take the newest reading, or one already known."""
        before = self.reading
        if reading is None or (before is not None and reading.taken_at <= before.taken_at):
            return
        self.reading = reading
        seconds = reading.taken_at - before.taken_at if before else RESTART_S
        counted_Wh = _counted_Wh(self.meter_Wh, reading.energy_import_Wh, seconds)
        self.meter_Wh = reading.energy_import_Wh if reading.energy_import_Wh is not None else self.meter_Wh
        if counted_Wh is not None:
            self.energy_Wh = (self.energy_Wh or 0.0) + counted_Wh
        elif before is not None and (power_W := power_of(before)) is not None:
            self.energy_Wh = (self.energy_Wh or 0.0) + max(0.0, power_W) * min(seconds, GAP_S) / 3600.0
            self.is_estimated = True
        if currents := _currents_of(reading):
            self.max_current_A = max(self.max_current_A or 0.0, *currents)
            in_use = sum(current >= DRAWS_A for current in currents)
            self.phases = max(self.phases or 0, in_use) or None

    def record(self, now: Instant, *, is_over: bool = False) -> Session:
        """Write it down."""
        return Session(
            self.id,
            self.evse,
            now.utc_of(self.began_s),
            now.utc_of(self.seen_s),
            is_over,
            self.energy_Wh,
            self.is_estimated,
            self.max_current_A,
            self.phases,
            self.mode,
            self.meter_Wh,
        )

    def sample(self, now: Instant, granted_A: float | None) -> Sample:
        """Write down this moment."""
        reading = self.reading
        return Sample(
            now.utc,
            self.evse,
            granted_A,
            max(_currents_of(reading), default=None) if reading else None,
            power_of(reading) if reading else None,
            self.energy_Wh,
        )


class Sessions:
    """Follows all EVSEs and keeps their sessions in the store.

    Parameters
    ----------
    store : Store
        Where they are kept; those that it knows to be under way go on.
    """

    def __init__(self, store: Store, now: Instant) -> None:
        self._store = store
        self._last = store.last_session
        self._running = {session.evse: _resumed(session, now) for session in store.open_sessions}
        self._now = now
        self._written_s = now.monotonic_s
        self._pruned_s = -math.inf

    def follow(
        self,
        snapshot: Snapshot,
        now: Instant,
        *,
        granted_A: Mapping[str, float] | None = None,
        modes: Mapping[str, str] | None = None,
    ) -> None:
        """Take note of what is known of the EVSEs now.

        Parameters
        ----------
        granted_A, modes : mapping by uuid, optional
            Limits in force, and how EVSEs are told to charge.
        """
        self._now = now
        for evse, state in _states(heard.request for heard in snapshot.children.values()):
            running = self._running.get(evse)
            if running is None and state in WITH_CAR:
                running = self._begin(evse, now)
            if running is not None:
                running.take(snapshot.measured.get(evse))
                running.mode = (modes or {}).get(evse, running.mode)
                if state == WITHOUT_CAR:
                    self._end(running, now)
                else:
                    running.seen_s = now.monotonic_s
        if now.monotonic_s - self._written_s >= WRITE_EVERY_S:
            self._written_s = now.monotonic_s
            self._write(now, granted_A or {})
        if now.monotonic_s - self._pruned_s >= PRUNE_EVERY_S:
            self._pruned_s = now.monotonic_s
            self._store.prune(now.utc)

    def close(self) -> None:
        """Have what is under way written as it was last seen."""
        self._store.put_sessions([running.record(self._now) for running in self._running.values()])

    def _begin(self, evse: str, now: Instant) -> _Running:
        self._last += 1
        running = self._running[evse] = _Running(self._last, evse, now.monotonic_s, now.monotonic_s)
        self._store.put_sessions([running.record(now)])
        return running

    def _end(self, running: _Running, now: Instant) -> None:
        del self._running[running.evse]
        self._store.put_sessions([running.record(now, is_over=True)])

    def _write(self, now: Instant, granted_A: Mapping[str, float]) -> None:
        for session in [each for each in self._running.values() if now.monotonic_s - each.seen_s >= GONE_S]:
            self._end(session, now)
        running = self._running.values()
        # What a power cut takes back of these, the meter tells again afterwards.
        self._store.put_sessions([session.record(now) for session in running], must_last=False)
        self._store.put_samples([session.sample(now, granted_A.get(session.evse)) for session in running])


def power_of(reading: Reading) -> float | None:
    """Power of all phases; None if it is not measured."""
    if reading.total_power_W is not None:
        return reading.total_power_W
    known = [power for power in reading.power_W or () if not math.isnan(power)]
    return sum(known) if known else None


def granted_A(limits: Iterable[JsonObject]) -> dict[str, float]:
    """Amperes per phase that ``EnforcedLimits`` give, by uuid."""
    sides = {each["uuid"]: each["limits_root_side"] for each in limits}
    return {
        uuid: side["ac_max_current_A"]["value"] for uuid, side in sides.items() if "ac_max_current_A" in side
    }


def _resumed(session: Session, now: Instant) -> _Running:
    def then_s(moment: datetime) -> float:
        return now.monotonic_s - max(timedelta(), now.utc - moment).total_seconds()

    return _Running(
        session.id,
        session.evse,
        then_s(session.started),
        then_s(session.seen),
        session.energy_Wh,
        session.is_estimated,
        session.max_current_A,
        session.phases,
        session.mode,
        session.meter_Wh,
    )


def _states(requests: Iterable[JsonObject]) -> Iterable[tuple[str, str]]:
    """Find the EVSEs of energy trees, and their states."""
    for request in requests:
        for node in walk(request):
            state = node.get("evse_state")
            if node.get("node_type") == "Evse" and isinstance(state, str):
                yield node["uuid"], state


def _currents_of(reading: Reading) -> list[float]:
    return [abs(current) for current in reading.current_A or () if not math.isnan(current)]


def _counted_Wh(before_Wh: float | None, after_Wh: float | None, seconds: float) -> float | None:
    """Energy by the meter's counter; None if that does not tell."""
    if before_Wh is None or after_Wh is None or not math.isfinite(after_Wh):
        return None
    grown_Wh = after_Wh - before_Wh
    return grown_Wh if 0.0 <= grown_Wh <= STEP_Wh + MOST_W * seconds / 3600.0 else None
