"""Learns which grid phase a connector's first phase is wired to, from cars that charge on one phase.

When such a car moves and nothing else does, the phase of the grid meter that moves as much is the one. Three
such moments in agreement settle it. Wiring in the usual direction of rotation is presumed, so that the first
phase tells the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from energy_management.measurement import Vector3

ROTATION_BY_FIRST = ("L1 L2 L3", "L2 L3 L1", "L3 L1 L2")
"""Clockwise rotations by the grid phase of the first conductor."""

AGREEING = 3
APART_S = 8.0
"""A car has followed its pilot by then (5 s in IEC 61851-1), and meters have seen it."""

STEADY_S = 2.0
"""So long it must have stood still, before and after."""

STEADY_A = 0.5
MOVES_A = 4.0
"""Smaller moves are lost among those of a house."""

IDLE_A = 0.5
ALIKE = 0.2
"""Share of a move by which meters may disagree about it."""

Sample = tuple[float, Vector3, Vector3]
"""Time, currents of the connector's own phases, currents of the grid meter."""


@dataclass
class Learner:
    """Watches one EVSE of unknown wiring.

    Attributes
    ----------
    samples : list
        Of the last seconds.
    votes : list of int
        Grid phases that moved with the car, one for each move; all the same.
    """

    samples: list[Sample] = field(default_factory=list)
    votes: list[int] = field(default_factory=list)

    def take(self, at_s: float, car_A: Vector3, grid_A: Vector3) -> str | None:
        """Take what car and grid meter show at a time; return the rotation once it is known."""
        self.samples = [s for s in self.samples if s[0] > at_s - APART_S - STEADY_S]
        self.samples.append((at_s, car_A, grid_A))
        before = [s for s in self.samples if s[0] <= at_s - APART_S]
        after = [s for s in self.samples if s[0] >= at_s - STEADY_S]
        if len(before) < 2 or not (_stands_still(before) and _stands_still(after)):
            return None
        phase = _phase_that_moved(before[-1], after[-1])
        if phase is not None:
            self.samples = after[-1:]
            self.votes = [*self.votes, phase] if set(self.votes) <= {phase} else [phase]
        return ROTATION_BY_FIRST[self.votes[0]] if len(self.votes) >= AGREEING else None


def _stands_still(samples: list[Sample]) -> bool:
    currents = [car[0] for _, car, _ in samples]
    return max(currents) - min(currents) <= STEADY_A and all(
        max(abs(car[1]), abs(car[2])) <= IDLE_A for _, car, _ in samples
    )


def _phase_that_moved(before: Sample, after: Sample) -> int | None:
    """Find the grid phase that moved as the car did while the others did not."""
    move_A = after[1][0] - before[1][0]
    tolerance_A = max(1.0, ALIKE * abs(move_A))
    if abs(move_A) < MOVES_A:
        return None
    moves_A = [later - earlier for earlier, later in zip(before[2], after[2], strict=True)]
    moved = [phase for phase, move in enumerate(moves_A) if abs(move - move_A) <= tolerance_A]
    still = [phase for phase, move in enumerate(moves_A) if abs(move) <= tolerance_A]
    return moved[0] if len(moved) == 1 and len(still) == 2 else None
