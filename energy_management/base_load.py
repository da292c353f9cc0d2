"""What draws at a node beside its EVSEs: the difference between two things that move, filtered.

The base load is estimated from each reading of the node's meter and what the EVSEs can have drawn when it was
taken. The estimate moves only as far as the bounds of that make it move: a reading that the EVSEs can explain
is no news about the house. It counts at once when it rises, and for a while after it has fallen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import sub

from energy_management.draws import (
    COMMON_A,
    FALLEN_WITHIN_A,
    FOLLOWS_WITHIN_S,
    NOTHING,
    STALE_AFTER_S,
    Draw,
    measured_A,
)
from energy_management.measurement import Vector3

UNKNOWN: Vector3 = (math.nan, math.nan, math.nan)
COMMON: Vector3 = (COMMON_A, COMMON_A, COMMON_A)
UNBOUNDED: Vector3 = (math.inf, math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Measured:
    """Currents of a node at a time; NaN on phases that are not measured or not trusted."""

    at_s: float
    current_A: Vector3

    def is_known(self, phase: int) -> bool:
        """Tell whether there is a value for a phase."""
        return not math.isnan(self.current_A[phase])


@dataclass(frozen=True, slots=True)
class Beside:
    """What other loads draw during an overload, by a reading of that time.

    Attributes
    ----------
    measured : Measured
        The reading.
    least_A : Vector3
        As far as no car has begun to use more than it did without having just been given it.
    most_A : Vector3
        Beside what EVSEs most likely drew, and those that nobody measures at the least.
    """

    measured: Measured
    least_A: Vector3
    most_A: Vector3


@dataclass
class BaseLoad:
    """The filter of one node.

    Attributes
    ----------
    settled_A : Vector3
        Estimate from all readings but the pending ones; NaN before the first.
    pending : list of Measured
        Readings on which samples of EVSEs that are still to come may throw light.
    estimates : list of Measured
        Estimates that still count, oldest first.
    counting_A : Vector3
        What counted in the last run.
    unmeasured : Measured
        The most that EVSEs which nobody measures drew at the last reading.
    overload : Beside or None
        What the newest reading says of other loads, if it is one of an overload.
    settled_overload : Beside or None
        The same of the last reading that is not pending.
    """

    settled_A: Vector3 = UNKNOWN
    pending: list[Measured] = field(default_factory=list)
    estimates: list[Measured] = field(default_factory=list)
    counting_A: Vector3 = UNKNOWN
    unmeasured: Measured = Measured(-math.inf, UNBOUNDED)
    overload: Beside | None = None
    settled_overload: Beside | None = None

    def take(self, measured: Measured) -> None:
        """Take a reading, the newest or one already known."""
        known = self.pending or self.estimates
        if not known or measured.at_s > known[-1].at_s:
            self.pending.append(measured)

    def current_A(
        self, draws: Sequence[Draw], now_s: float, *, falls_after_s: float, fuse_A: float
    ) -> Vector3:
        """Return the base load that counts now, less than 0 for generation; NaN on phases never measured.

        Parameters
        ----------
        draws : sequence of Draw
            Of the EVSEs below the node.
        falls_after_s : float
            How long an estimate counts after the load has fallen.
        fuse_A : float
            A reading above it is of an overload.
        """
        estimate, unmeasured, beside = self.settled_A, self.unmeasured, self.settled_overload
        unsettled: list[Measured] = []
        for measured in self.pending:
            fuse_holds = not any(current > fuse_A for current in measured.current_A)
            drawn = _Drawn.at(measured.at_s, draws, unmeasured, fuse_holds=fuse_holds)
            estimate = _moved(estimate, measured, drawn)
            unmeasured = drawn.unmeasured(measured, estimate)
            beside = None if fuse_holds else drawn.beside(measured, draws, beside)
            self.overload = beside
            explained = Measured(measured.at_s, estimate)
            is_final = measured.at_s < now_s - STALE_AFTER_S or all(
                draw.settled_by(measured.at_s) for draw in draws
            )
            if is_final and not unsettled:
                self.settled_A, self.unmeasured, self.settled_overload = estimate, unmeasured, beside
                self.estimates.append(explained)
            else:
                unsettled.append(explained)
        self.pending = self.pending[len(self.pending) - len(unsettled) :]
        all_of_them = [*self.estimates, *unsettled]
        counting = [each for each in all_of_them if each.at_s > now_s - falls_after_s] or all_of_them[-1:]
        self.estimates = [each for each in counting if each not in unsettled] or self.estimates[-1:]
        one, two, three = (
            max((each.current_A[phase] for each in counting if each.is_known(phase)), default=math.nan)
            for phase in range(3)
        )
        self.counting_A = (one, two, three)
        return self.counting_A


@dataclass(frozen=True)
class _Drawn:
    """What EVSEs can have drawn at the time of a reading, in sum.

    Attributes
    ----------
    least_A, most_A : Vector3
        Of those that are measured.
    granted_A, reach_A : Vector3
        The same of the others, by their limits: they count with their grants while they charge, as far as
        most cars can use them.
    before_A : Vector3
        What those drew before they were given more, during an overload.
    used_A : Vector3
        What those drew at the least, during an overload: their grants, or nothing if they left some unused.
    """

    least_A: Vector3
    most_A: Vector3
    granted_A: Vector3
    reach_A: Vector3
    before_A: Vector3
    used_A: Vector3

    @classmethod
    def at(cls, at_s: float, draws: Sequence[Draw], unmeasured: Measured, *, fuse_holds: bool) -> _Drawn:
        """Collect it.

        Parameters
        ----------
        unmeasured : Measured
            The most that those which nobody measures drew before. During an overload nobody is presumed to
            have begun to use what was left unused, unless it has just been given more.
        """
        bounds = [draw.at(at_s, fuse_holds=fuse_holds) for draw in draws]
        measured = [each for each in bounds if each.is_measured]
        others = [each for each in bounds if not each.is_measured]
        reach_A = before_A = _sum([each.most_A for each in others])
        used_A = NOTHING
        if not fuse_holds:
            unseen = [draw for draw, each in zip(draws, bounds, strict=True) if not each.is_measured]
            given_A = _risen(unseen, unmeasured.at_s - FOLLOWS_WITHIN_S, at_s)
            reach_A = _each(min, reach_A, _sum([unmeasured.current_A, given_A]))
            given_before_A = _risen(unseen, at_s - FOLLOWS_WITHIN_S, unmeasured.at_s)
            before_A = _each(min, reach_A, _each(_beside, unmeasured.current_A, given_before_A))
            used_A = _used(unseen, at_s, before_A)
        granted_A = _each(min, _sum([_each(min, each.least_A, COMMON) for each in others]), reach_A)
        return cls(
            _sum([each.least_A for each in measured]),
            _sum([each.most_A for each in measured]),
            granted_A,
            reach_A,
            before_A,
            used_A,
        )

    def unmeasured(self, measured: Measured, base_A: Vector3) -> Measured:
        """Return the most that those which nobody measures can have drawn beside a base load."""
        one, two, three = (
            min(reach, max(0.0, total - base - least)) if not math.isnan(total) else reach
            for total, base, least, reach in zip(
                measured.current_A, base_A, self.least_A, self.reach_A, strict=True
            )
        )
        return Measured(measured.at_s, (one, two, three))

    def beside(self, measured: Measured, draws: Sequence[Draw], before: Beside | None) -> Beside:
        """Return what is left of a reading of an overload beside what EVSEs drew.

        Parameters
        ----------
        before : Beside or None
            The same of the reading before, if that was one of an overload, too: what those that nobody
            measures draw less since then is no load of the house.
        """
        drawn_A = _sum([self.most_A, self.before_A])
        likely_A = _sum([measured_A(draws, measured.at_s), self.used_A])
        total_A = measured.current_A
        least_A, most_A = _each(sub, total_A, drawn_A), _each(sub, total_A, likely_A)
        if before is not None and any(self.reach_A):
            most_A = _each(min, most_A, _each(max, least_A, before.most_A))
        return Beside(measured, least_A, most_A)


def _moved(estimate_A: Vector3, measured: Measured, drawn: _Drawn) -> Vector3:
    """Move an estimate as little as makes it fit a reading; the first is on the safe side."""
    moved = list(estimate_A)
    for phase in range(3):
        if measured.is_known(phase):
            beside_A = measured.current_A[phase] - drawn.least_A[phase]
            least_A = measured.current_A[phase] - drawn.most_A[phase] - drawn.reach_A[phase]
            # A grant that is not used would look like generation, which is seen only in what is measured.
            most_A = max(beside_A - drawn.granted_A[phase], min(beside_A, 0.0))
            before = estimate_A[phase]
            moved[phase] = most_A if math.isnan(before) else min(max(before, least_A), most_A)
    return moved[0], moved[1], moved[2]


def _sum(vectors: Sequence[Vector3]) -> Vector3:
    one, two, three = map(sum, zip(*vectors, strict=True)) if vectors else (0.0, 0.0, 0.0)
    return one, two, three


def _risen(draws: Sequence[Draw], start_s: float, end_s: float) -> Vector3:
    return _sum([draw.risen_A(start_s, end_s) for draw in draws])


def _beside(total_A: float, part_A: float) -> float:
    return max(0.0, total_A - part_A)


def _used(unseen: Sequence[Draw], at_s: float, most_A: Vector3) -> Vector3:
    """Return the least that EVSEs draw which nobody measures; they are not above a most.

    Where their grants are, on any phase, somebody leaves some unused, and nobody knows who. Only of a single
    EVSE something is known even so: on which phase that is, and that what has shown on all phases alike is no
    load of the house.
    """
    granted_A = _sum([draw.used_A(at_s) for draw in unseen])
    is_possible = [granted <= most for granted, most in zip(granted_A, most_A, strict=True)]
    if len(unseen) > 1:
        return granted_A if all(is_possible) else NOTHING
    even_A = max(0.0, min(most_A) - 2.0 * FALLEN_WITHIN_A)
    one, two, three = (
        max(granted, even_A) if possible else even_A
        for granted, possible in zip(granted_A, is_possible, strict=True)
    )
    return one, two, three


def _each(pick: Callable[[float, float], float], one: Vector3, other: Vector3) -> Vector3:
    return pick(one[0], other[0]), pick(one[1], other[1]), pick(one[2], other[2])
