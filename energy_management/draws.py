"""What each EVSE draws: not a number but bounds, since nobody measures everything at the same moment.

A grid meter's reading is compared with what the EVSEs drew at the time it was taken. Between two samples a
car may have moved, and one that was just given more or less may follow at any time; so for each moment there
is a least and a most that an EVSE can have drawn. What lies between is no news about other loads.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter

from energy_management.measurement import Reading, Vector3
from energy_management.pilot import Pilot

NOTHING: Vector3 = (0.0, 0.0, 0.0)

HIGHEST_A = 1e6
"""Greater currents are no measurement."""

SIMULTANEOUS_S = 1.0
"""Samples this close may be of the same moment: devices average, and stamps are those of the arrival."""

FOLLOWS_WITHIN_S = 6.0
"""A car follows its limit within 5 s (IEC 61851-1), and a charge point enforces it after 6 s."""

STALE_AFTER_S = 10.0
"""From this age on an EVSE counts as unmeasured."""

REMEMBERED_S = STALE_AFTER_S + FOLLOWS_WITHIN_S
"""How long samples and limits are kept."""

FALLEN_WITHIN_A = 0.5
"""So far beside its limit a draw still counts as following it; meters and pilots are not exact."""

KNOWN_AFTER_S = 10.0
"""So long an EVSE that nobody measures rests after a pause in an overload: a meter shows what else draws."""

COMMON_A = 16.0
"""What the onboard chargers of most cars take on each of their phases; few use more than that."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the currents of one EVSE per grid phase, from a moment on or at it; by limits or measured."""

    at_s: float
    least_A: Vector3
    most_A: Vector3
    is_measured: bool = False


@dataclass(frozen=True, slots=True)
class InForce:
    """The highest limit that an EVSE may still go by, as far as it has answered: current and phases."""

    current_A: float
    phases: int


NOTHING_IN_FORCE = InForce(0.0, 0)


@dataclass
class Draw:
    """Samples of one EVSE's currents, and what it was allowed to draw, over the last seconds.

    Attributes
    ----------
    samples : list of Bounds
        Measured, each at its time; bounds differ where the wiring is not known.
    allowed : list of Bounds
        What its limits let it draw, each from its time on: its grant, and at least that if it is charging.
    changed_at_s : float
        When its limit last changed, with a car that could notice.
    car_since_s : float
        Since when there is a car that could draw anything; infinite while there is none.
    rests_until_s : float
        It has to stay paused until then.
    pilot : Pilot
        What its limits have come to.
    """

    samples: list[Bounds] = field(default_factory=list)
    allowed: list[Bounds] = field(default_factory=list)
    changed_at_s: float = -math.inf
    car_since_s: float = -math.inf
    rests_until_s: float = -math.inf
    pilot: Pilot = field(default_factory=Pilot)

    def sample(self, bounds: Bounds) -> None:
        """Take a measurement, the newest or one already known."""
        if not self.samples or bounds.at_s > self.samples[-1].at_s:
            self.samples.append(bounds)

    def allow(self, bounds: Bounds) -> None:
        """Take note of what it may draw from now on."""
        last = self.allowed[-1] if self.allowed else None
        if last is None or (last.least_A, last.most_A) != (bounds.least_A, bounds.most_A):
            self.allowed.append(bounds)

    def note_car(self, now_s: float, *, is_there: bool) -> None:
        """Take note of whether there is a car; the next one knows nothing of the limits of the one before."""
        if not is_there:
            self.car_since_s, self.changed_at_s, self.rests_until_s = math.inf, -math.inf, -math.inf
        elif self.car_since_s == math.inf:
            self.car_since_s = now_s

    def forget_before(self, at_s: float) -> None:
        """Drop what is too old to matter; the limit in force at that time is kept."""
        self.samples = [sample for sample in self.samples if sample.at_s >= at_s]
        self.allowed = self._in_force(at_s, math.inf)

    def measured(self, now_s: float) -> Bounds | None:
        """Return the newest sample, if it is not stale."""
        if self.samples and now_s - self.samples[-1].at_s <= STALE_AFTER_S:
            return self.samples[-1]
        return None

    def has_risen(self, at_s: float) -> bool:
        """Tell whether at a time it may have been following a higher limit."""
        return any(
            max(later.most_A) > max(earlier.most_A)
            for earlier, later in pairwise(self._in_force(at_s - FOLLOWS_WITHIN_S, at_s))
        )

    def risen_A(self, start_s: float, end_s: float) -> Vector3:
        """Return by how much its limits have risen in an interval, per grid phase."""
        limits_A = [bounds.most_A for bounds in self._in_force(start_s, end_s)]
        one, two, three = (
            sum(max(0.0, later[phase] - earlier[phase]) for earlier, later in pairwise(limits_A))
            for phase in range(3)
        )
        return one, two, three

    def used_A(self, at_s: float) -> Vector3:
        """Return the least that a car draws at a time which uses what it may, as most cars do.

        It may have followed any of its limits of the last seconds, and take a little less than it is offered.
        """
        one, two, three = (
            max(0.0, min(least, COMMON_A) - FALLEN_WITHIN_A)
            for least in _least([bounds.least_A for bounds in self._in_force(at_s - FOLLOWS_WITHIN_S, at_s)])
        )
        return one, two, three

    def settled_by(self, at_s: float) -> bool:
        """Whether nothing that is still to come could tell more about its draw at a time."""
        return not self.samples or self.samples[-1].at_s >= at_s + SIMULTANEOUS_S

    def at(self, at_s: float, *, fuse_holds: bool) -> Bounds:
        """Return what it may have drawn at a time.

        Parameters
        ----------
        fuse_holds : bool
            No fuse was overloaded at that time. Only then a car may be presumed to have begun to use a grant
            that it left unused until its last sample.
        """
        allowed = self._in_force(at_s - FOLLOWS_WITHIN_S, at_s)
        samples = self._around(at_s)
        if not samples:
            return _hull(at_s, allowed)
        is_newer_known = samples[-1].at_s >= at_s
        if is_newer_known or (len(allowed) == 1 and not fuse_holds):
            return _hull(at_s, samples, is_measured=True)
        return _hull(at_s, [*samples, *allowed], is_measured=True)

    def likely_A(self, at_s: float) -> Vector3 | None:
        """Return what it most likely drew at a time, by the samples around; None if it is not measured."""
        samples = self._around(at_s)
        if not samples:
            return None
        before = max((s for s in samples if s.at_s <= at_s), key=_time, default=samples[0])
        after = min((s for s in samples if s.at_s >= at_s), key=_time, default=before)
        span_s = after.at_s - before.at_s
        share = (at_s - before.at_s) / span_s if span_s else 0.0
        one, two, three = (
            earlier + share * (later - earlier)
            for earlier, later in zip(before.least_A, after.least_A, strict=True)
        )
        return one, two, three

    def lingering_A(self, now_s: float, limit_A: float) -> Vector3:
        """Return what it may still draw until it has followed a limit set not long ago, or just now."""
        if now_s < self.car_since_s:
            return NOTHING
        recent = self._in_force(max(now_s - FOLLOWS_WITHIN_S, self.car_since_s), now_s)
        measured = self.measured(now_s)
        if measured is None:
            return _most([bounds.most_A for bounds in recent])
        if self._follows(limit_A):
            return measured.most_A
        return _most([measured.most_A, *(bounds.most_A for bounds in recent)])

    def pinned_A(self, now_s: float) -> float:
        """Return what it draws while its pilot cannot move: no more than it does, unless it may just rise."""
        measured = self.measured(now_s)
        if measured is None or self.has_risen(now_s):
            return self.pilot.shows_A
        return min(self.pilot.shows_A, max(measured.most_A))

    def lingers_until_s(self, limit_A: float) -> float:
        """Return when it has had its time to follow a limit; infinite while it may still draw more."""
        ends = [math.inf, *(bounds.at_s for bounds in reversed(self.allowed))]
        for end_s, bounds in zip(ends, reversed(self.allowed), strict=False):
            if end_s <= self.car_since_s:
                break
            if max(bounds.most_A) > limit_A:
                return end_s + FOLLOWS_WITHIN_S
        return -math.inf

    def is_above(self, limit_A: float, now_s: float) -> bool:
        """Whether it is measured to draw more."""
        measured = self.measured(now_s)
        return measured is not None and max(measured.most_A) > limit_A + FALLEN_WITHIN_A

    def _follows(self, limit_A: float) -> bool:
        """Tell whether it draws no more than this, and that is no chance.

        Since it last was allowed more it has drawn more, or has had the time to.
        """
        rises = [
            later.at_s for earlier, later in pairwise(self.allowed) if max(later.most_A) > max(earlier.most_A)
        ]
        since = [sample for sample in self.samples if not rises or sample.at_s >= rises[-1]]
        drawn_A = [max(sample.most_A) for sample in since]
        if not since or drawn_A[-1] > limit_A + FALLEN_WITHIN_A:
            return False
        allowed_since_s = rises[-1] if rises else self.allowed[0].at_s
        return (
            since[-1].at_s >= allowed_since_s + FOLLOWS_WITHIN_S or max(drawn_A) > limit_A + FALLEN_WITHIN_A
        )

    def _around(self, at_s: float) -> list[Bounds]:
        """Find the samples that may be of the same moment, with one before and one after; none if stale."""
        samples = self.samples
        start = bisect_left(samples, at_s - SIMULTANEOUS_S, key=_time)
        stop = bisect_right(samples, at_s + SIMULTANEOUS_S, key=_time)
        if start > 0 and (start == stop or samples[start].at_s > at_s):
            start -= 1
        if stop < len(samples) and (start == stop or samples[stop - 1].at_s < at_s):
            stop += 1
        return [s for s in samples[start:stop] if abs(at_s - s.at_s) <= STALE_AFTER_S]

    def _in_force(self, start_s: float, end_s: float) -> list[Bounds]:
        """Find the limits in force at any time in an interval."""
        begun = bisect_right(self.allowed, start_s, key=_time)
        return self.allowed[max(begun - 1, 0) : bisect_right(self.allowed, end_s, key=_time)]


_time = attrgetter("at_s")


def on_grid(current_A: Vector3, rotation: Sequence[int] | None, at_s: float) -> Bounds:
    """Currents of an EVSE's own phases as the grid sees them.

    Parameters
    ----------
    rotation : sequence of int or None
        Grid phase of each of its phases; unknown is None, and then each current may be on any.
    """
    if rotation is None:
        least, most = min(current_A), max(current_A)
        return Bounds(at_s, (least, least, least), (most, most, most))
    grid = [0.0, 0.0, 0.0]
    for phase, value in zip(rotation, current_A, strict=True):
        grid[phase] = value
    currents = (grid[0], grid[1], grid[2])
    return Bounds(at_s, currents, currents)


def currents_of(reading: Reading, nominal_voltage_V: float) -> Vector3:
    """Currents of a reading with their signs; NaN on phases that it does not tell.

    Many meters report magnitudes of currents, and signs only of powers. Without currents they follow from the
    powers.
    """
    unknown = (math.nan, math.nan, math.nan)
    powers = reading.power_W or unknown
    voltages = reading.voltage_V or unknown
    if reading.current_A is not None:
        values = [
            -abs(current) if power < 0 else current
            for current, power in zip(reading.current_A, powers, strict=True)
        ]
    else:
        values = [
            power / (voltage if voltage > 0 else nominal_voltage_V)
            for power, voltage in zip(powers, voltages, strict=True)
        ]
    one, two, three = (value if abs(value) <= HIGHEST_A else math.nan for value in values)
    return one, two, three


def measured_A(draws: Sequence[Draw], at_s: float) -> Vector3:
    """Add up what EVSEs most likely drew at a time, as far as they are measured."""
    known = [current_A for draw in draws if (current_A := draw.likely_A(at_s)) is not None]
    one, two, three = map(sum, zip(*known, strict=True)) if known else NOTHING
    return one, two, three


def _hull(at_s: float, bounds: Sequence[Bounds], *, is_measured: bool = False) -> Bounds:
    if len(bounds) == 1:
        return Bounds(at_s, bounds[0].least_A, bounds[0].most_A, is_measured)
    least_A, most_A = _least([each.least_A for each in bounds]), _most([each.most_A for each in bounds])
    return Bounds(at_s, least_A, most_A, is_measured)


def _least(vectors: Sequence[Vector3]) -> Vector3:
    if len(vectors) == 1:
        return vectors[0]
    one, two, three = map(min, zip(*vectors, strict=True)) if vectors else NOTHING
    return one, two, three


def _most(vectors: Sequence[Vector3]) -> Vector3:
    if len(vectors) == 1:
        return vectors[0]
    one, two, three = map(max, zip(*vectors, strict=True)) if vectors else NOTHING
    return one, two, three
