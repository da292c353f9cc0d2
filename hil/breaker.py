"""A miniature circuit breaker of characteristic B, as the judge of a fuse, and as what opens.

IEC 60898-1 gives points between which every breaker's tripping times must lie, at a reference temperature of
30 degrees Celsius (its table of time-current operating characteristics):

=============  ====================  ================================================
current        starting from         result
=============  ====================  ================================================
1.13 x rated   cold                  no tripping within 1 h (2 h above 63 A)
1.45 x rated   right after the last  tripping within 1 h (2 h above 63 A)
2.55 x rated   cold                  tripping after 1 s to 60 s (120 s above 32 A)
3 x rated      cold                  type B: not instantaneous, 0.1 s or more
5 x rated      cold                  type B: within 0.1 s
=============  ====================  ================================================

The judge is the most sensitive breaker that meets these points: its thermal trip is a straight line in
logarithmic scales between the earliest times at 1.13 and at 2.55 times its rating, and its magnetic trip
takes 0.1 s from 3 times on. What such a breaker bears, every breaker bears.
"""

import math

from energy_management.measurement import Vector3

NON_TRIPPING = 1.13
"""Share of the rating that a breaker must carry for the conventional time (IEC 60898-1)."""

CONVENTIONAL_TIME_S = 3600.0
"""Up to a rating of 63 A (IEC 60898-1)."""

THERMAL = 2.55
EARLIEST_THERMAL_S = 1.0
"""At 2.55 times the rating no breaker may trip sooner (IEC 60898-1)."""

MAGNETIC = 3.0
EARLIEST_MAGNETIC_S = 0.1
"""From 3 times the rating on a breaker of type B may trip after this time (IEC 60898-1)."""

COOLING_S = 300.0
"""Time constant of cooling. Not from the standard: bimetals of small breakers cool within minutes."""

_STEEPNESS = math.log(CONVENTIONAL_TIME_S / EARLIEST_THERMAL_S) / math.log(THERMAL / NON_TRIPPING)


def earliest_trip_s(share: float) -> float:
    """Return the least time after which a breaker may trip, from cold.

    Parameters
    ----------
    share : float
        Current relative to the rating.
    """
    if share <= NON_TRIPPING:
        return math.inf
    if share >= MAGNETIC:
        return EARLIEST_MAGNETIC_S
    return EARLIEST_THERMAL_S * math.pow(THERMAL / share, _STEEPNESS)


class Breaker:
    """One three-pole breaker.

    Currents that change add up: each stretch uses the share of the time to tripping that it lasts. Below the
    current that never trips the breaker cools.

    Parameters
    ----------
    rated_A : float
        Rating, up to 63 A.

    Attributes
    ----------
    hottest : float
        How near it ever came to tripping on any pole; from 1 on it may have tripped.
    is_open : bool
        It carries nothing. It is opened by whoever has a plant behind it; a mere judge never opens.
    """

    def __init__(self, rated_A: float) -> None:
        self.rated_A = rated_A
        self.hottest = 0.0
        self.is_open = False
        self._heat = [0.0, 0.0, 0.0]

    def carry(self, current_A: Vector3, dt_s: float) -> None:
        """Let a current flow for a while."""
        for pole, current in enumerate(current_A):
            limit_s = earliest_trip_s(abs(current) / self.rated_A)
            if math.isinf(limit_s):
                self._heat[pole] *= math.exp(-dt_s / COOLING_S)
            else:
                self._heat[pole] += dt_s / limit_s
        self.hottest = max(self.hottest, *self._heat)

    def open(self) -> None:
        """Break the circuit: nothing heats it any more."""
        self.is_open = True
        self._heat = [min(heat, 1.0) for heat in self._heat]

    def reset(self) -> None:
        """Close it again, as warm as it still is."""
        self.is_open = False

    @property
    def must_open(self) -> bool:
        """Whether it is closed, and as hot as when the most sensitive one trips."""
        return not self.is_open and max(self._heat) >= 1.0

    @property
    def is_warm(self) -> bool:
        """Whether it remembers an overload."""
        return max(self._heat) > 1e-4

    @property
    def may_have_tripped(self) -> bool:
        """Whether a breaker within the standard's limits can have opened."""
        return self.hottest >= 1.0
