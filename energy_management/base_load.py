"""What draws at a node beside its EVSEs: the difference between two things that move, filtered.

The base load is estimated from each reading of the node's meter and what the EVSEs can have drawn when it was
taken. The estimate moves only as far as the bounds of that make it move: a reading that the EVSEs can explain
is no news about the house. It counts at once when it rises, and for a while after it has fallen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from energy_management.draws import STALE_AFTER_S, Draw
from energy_management.measurement import Vector3

UNKNOWN: Vector3 = (math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Measured:
    """Currents of a node at a time; NaN on phases that are not measured or not trusted."""

    at_s: float
    current_A: Vector3

    def is_known(self, phase: int) -> bool:
        """Tell whether there is a value for a phase."""
        return not math.isnan(self.current_A[phase])


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
    """

    settled_A: Vector3 = UNKNOWN
    pending: list[Measured] = field(default_factory=list)
    estimates: list[Measured] = field(default_factory=list)
    counting_A: Vector3 = UNKNOWN

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
        estimate = self.settled_A
        unsettled: list[Measured] = []
        for measured in self.pending:
            estimate = _moved(estimate, measured, draws, fuse_A)
            explained = Measured(measured.at_s, estimate)
            is_final = measured.at_s < now_s - STALE_AFTER_S or all(
                draw.settled_by(measured.at_s) for draw in draws
            )
            if is_final and not unsettled:
                self.settled_A = estimate
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


def _moved(estimate_A: Vector3, measured: Measured, draws: Sequence[Draw], fuse_A: float) -> Vector3:
    """Move an estimate as little as makes it fit a reading; the first is on the safe side."""
    fuse_holds = not any(current > fuse_A for current in measured.current_A)
    drawn = [draw.at(measured.at_s, fuse_holds=fuse_holds) for draw in draws]
    moved = list(estimate_A)
    for phase in range(3):
        if measured.is_known(phase):
            least_A = measured.current_A[phase] - sum(bounds.most_A[phase] for bounds in drawn)
            most_A = measured.current_A[phase] - sum(bounds.least_A[phase] for bounds in drawn)
            before = estimate_A[phase]
            moved[phase] = most_A if math.isnan(before) else min(max(before, least_A), most_A)
    return moved[0], moved[1], moved[2]
