"""The control pilot between an EVSE and its car: a limit that has been set is not always in force at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

PAUSE_S = 5.0
"""Least time between two duty cycles (IEC 61851-1); a pilot is switched on and off at once."""

CHANGE_A = 0.001
"""Smaller changes of a limit are none."""


@dataclass
class Pilot:
    """What the pilot of one EVSE shows, as far as that follows from the limits that it was given.

    Attributes
    ----------
    shows_A : float
        Current that it offers.
    moved_at_s : float
        When that last changed.
    """

    shows_A: float = 0.0
    moved_at_s: float = -math.inf

    def set(self, limit_A: float, now_s: float) -> None:
        """Take the limit in force, a new one or once more."""
        if abs(limit_A - self.shows_A) > CHANGE_A and not self.holds(limit_A, now_s):
            self.shows_A, self.moved_at_s = limit_A, now_s

    def holds(self, limit_A: float, now_s: float) -> bool:
        """Whether it still shows what it did, though the limit is another."""
        is_duty_cycle = limit_A > 0.0 and self.shows_A > 0.0
        return is_duty_cycle and now_s - self.moved_at_s < PAUSE_S
