"""What an overloaded fuse cannot wait for.

A car has 5 s to follow its pilot, and that is all the time an overload may last. Pilots that have moved a
moment ago cannot move again so soon: for as long, the other EVSEs give what those cannot, down to their
minimum. Where that is not enough, pilots are switched off, which is possible at any time.

What the house draws is known only as well as what the cars draw. As far as it is not certain, it lowers
shares, but pauses nobody whose draw is measured. The others are paused where their cars may draw so little of
what they may that lower shares would change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energy_management.coverage import Bools, Floats, Ints
from energy_management.draws import FALLEN_WITHIN_A
from energy_management.measurement import Vector3

TOLERATED = 0.02
"""For a smaller share of the limit above it nobody is paused: meters are not that exact."""


@dataclass(frozen=True, slots=True)
class Overload:
    """One node whose meter shows more than its limit.

    Attributes
    ----------
    first, last : int
        The EVSEs below it: `first` to `last` - 1.
    room_A : Vector3
        What it has for EVSEs, per phase.
    least_room_A : Vector3
        The same, if other loads draw the most that the newest reading can be of.
    tolerated_A : float
        For less above its limit nobody is paused.
    is_over : sequence of bool
        On which phases more than its limit is measured: nobody gets more there until that is over.
    doubts_unmeasured : sequence of bool
        On which phases that is enough to pause EVSEs that nobody measures, for what they may not draw.
    """

    first: int
    last: int
    room_A: Vector3
    least_room_A: Vector3
    tolerated_A: float
    is_over: Sequence[bool] = (True, True, True)
    doubts_unmeasured: Sequence[bool] = (True, True, True)


@dataclass(frozen=True)
class Sharers:
    """The EVSEs of a site at one moment; arrays over EVSEs.

    Attributes
    ----------
    current_A : ndarray
        What they shall have.
    granted_A : ndarray
        What they have had until now.
    least_A : ndarray
        Their minimum, for those who have as much.
    pinned_A : ndarray
        What pilots show that cannot move yet; 0 for those that can.
    loaded : ndarray of bool, shape (3, evses)
        On which grid phases they draw.
    unmeasured : ndarray of bool
        Of whom nobody measures what they draw.
    """

    current_A: Floats
    granted_A: Floats
    least_A: Floats
    pinned_A: Floats
    loaded: Bools
    unmeasured: Bools


def relieved(overloads: Sequence[Overload], evses: Sharers, order: Ints) -> Floats:
    """Return currents that end the overloads within the time of the cars, shape (evses,).

    Parameters
    ----------
    order : ndarray of int
        Who comes last is paused first.
    """
    current_A = evses.current_A.copy()
    pinned_A = np.where(evses.pinned_A > current_A, evses.pinned_A, 0.0)
    for overload in overloads:
        below = np.zeros(len(current_A), dtype=np.bool_)
        below[overload.first : overload.last] = True
        for phase in range(3):
            here = below & evses.loaded[phase]
            if overload.is_over[phase]:
                current_A[here] = _not_raised(current_A, evses)[here]
            moving = here & (pinned_A == 0.0)
            excess_A = _drawn_A(here, current_A, pinned_A) - overload.least_room_A[phase]
            current_A[moving] = _lowered(current_A[moving], evses.least_A[moving], excess_A)
            doubted = here & evses.unmeasured & bool(overload.doubts_unmeasured[phase])
            doubt_A = FALLEN_WITHIN_A * float(doubted.sum())
            least_room_A, room_A = overload.least_room_A[phase] + doubt_A, overload.room_A[phase]
            for paused, left_A in ((doubted, least_room_A), (here, room_A)):
                for evse in _last_first(order, pinned_A):
                    if _drawn_A(here, current_A, pinned_A) - left_A <= overload.tolerated_A:
                        break
                    if paused[evse]:
                        current_A[evse] = pinned_A[evse] = 0.0
    return current_A


def _last_first(order: Ints, pinned_A: Floats) -> list[int]:
    """Put those first who cannot give in another way."""
    backward = order[::-1].tolist()
    return sorted(backward, key=lambda evse: pinned_A[evse] == 0.0)


def _not_raised(current_A: Floats, evses: Sharers) -> Floats:
    """Leave what they have had to those who shall have more; nothing, if that is below their minimum."""
    had_A = np.where(evses.granted_A < evses.least_A, 0.0, evses.granted_A)
    return np.asarray(np.minimum(current_A, had_A))


def _drawn_A(here: Bools, current_A: Floats, pinned_A: Floats) -> float:
    return float(np.maximum(current_A, pinned_A)[here].sum())


def _lowered(current_A: Floats, least_A: Floats, by_A: float) -> Floats:
    """Bring the highest down to one level until together they have given so much, or have their least."""
    if by_A <= 0.0 or not len(current_A):
        return current_A
    least_A = np.minimum(least_A, current_A)
    levels_A = np.unique([current_A, least_A])
    given_A = [float((current_A - np.clip(level, least_A, current_A)).sum()) for level in levels_A]
    level_A = float(np.interp(by_A, given_A[::-1], levels_A[::-1]))
    return np.minimum(np.maximum(level_A, least_A), current_A)
