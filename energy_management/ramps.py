"""From one allocation to the next: who gives up goes first, who gains waits until that has happened.

An allocation is a target. What may be granted now on the way to it is a second, smaller problem of the same
kind: everybody keeps what it has as far as the target lets it, what those who give up may still draw is
reserved, and what is left is filled fairly up to the targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from energy_management.admission import admit
from energy_management.allocation import Allocation, share
from energy_management.config import ManagerConfig
from energy_management.coverage import Bools, Floats, Ints
from energy_management.draws import Draw
from energy_management.limits import Limiter

ROUNDING_A = 1e-6

WORTH_WAITING_A = 1.0
"""A part of a rise that is smaller than this waits for the rest of it."""


@dataclass(frozen=True)
class Step:
    """What is granted now on the way to an allocation.

    Attributes
    ----------
    allocation : Allocation
        The target, but with the currents of now in the active slot.
    reasons : dict of int to str
        Why an EVSE, by its position, does not have its target yet.
    """

    allocation: Allocation
    reasons: dict[int, str]


@dataclass(frozen=True)
class Ramps:
    """The rules of rising at one moment.

    Attributes
    ----------
    limiter : Limiter
        The site.
    draws : sequence of Draw
        Of all EVSEs, with the limits in force.
    granted_A : ndarray, shape (evses,)
        Grants in force per phase.
    config : ManagerConfig
        Settings.
    monotonic_s : float
        Present.
    """

    limiter: Limiter
    draws: Sequence[Draw]
    granted_A: Floats
    config: ManagerConfig
    monotonic_s: float

    def step(self, target: Allocation, order: Ints, slot: int) -> Step:
        """Return what may be granted now in a slot of import."""
        demand = self.limiter.demand
        target_A = np.where(demand.takes_part[:, slot], target.current_A[:, slot], 0.0)
        held_A = np.minimum(target_A, self.granted_A)
        wants_more = target_A > held_A + ROUNDING_A
        if not wants_more.any():
            return Step(target, {})
        may_rise = wants_more & self._is_due(target_A, target.network.ceiling_A[:, slot])
        excess_A = self._excess_A(held_A)
        now_A = held_A
        if may_rise.any():
            now_A = self._fill(target, held_A, target_A, may_rise, order, excess_A, slot)
        current_A = target.current_A.copy()
        current_A[:, slot] = np.where(demand.takes_part[:, slot], now_A, current_A[:, slot])
        waiting = np.flatnonzero(now_A < target_A - ROUNDING_A).tolist()
        return Step(
            replace(target, current_A=current_A),
            {evse: self._reason(evse, excess_A) for evse in waiting},
        )

    def _is_due(self, target_A: Floats, ceiling_A: Floats) -> Bools:
        """Whose last rise is long enough ago, and whose next one is worth it."""
        since_s = np.array([self.monotonic_s - draw.rose_at_s for draw in self.draws])
        worth_it = target_A - self.granted_A >= self.config.deadband_A
        worth_it |= (self.granted_A <= 0) | (target_A >= ceiling_A - ROUNDING_A)
        return worth_it & (since_s >= self.config.rise_interval_s)

    def _excess_A(self, held_A: Floats) -> Floats:
        """Find what each EVSE may still draw beyond what it holds, shape (evses,)."""
        lingering_A = [
            max(draw.lingering_A(self.monotonic_s, limit))
            for draw, limit in zip(self.draws, held_A.tolist(), strict=True)
        ]
        return np.maximum(np.array(lingering_A) - held_A, 0.0)

    def _fill(
        self,
        target: Allocation,
        held_A: Floats,
        target_A: Floats,
        may_rise: Bools,
        order: Ints,
        excess_A: Floats,
        slot: int,
    ) -> Floats:
        """Fill what is left beside what is held and lingers, newcomers' minima first."""
        demand = self.limiter.demand.in_slot(slot)
        floor_A, ceiling_A, rising = held_A[:, None], target_A[:, None], may_rise[:, None]
        network = target.network.in_slot(slot, self._reserved(target, excess_A, slot), floor_A, ceiling_A)
        newcomers = rising & (floor_A < demand.minimum_A)
        served = admit(network, floor_A, demand.minimum_A, newcomers, order).served
        floor_A = np.where(served, demand.minimum_A, floor_A)
        now_A = share(network, demand, rising & (served | ~newcomers), floor_A)[:, 0]
        is_part = (now_A < target_A - ROUNDING_A) & (held_A > 0) & (now_A < held_A + WORTH_WAITING_A)
        return np.where(is_part, held_A, now_A)

    def _reserved(self, target: Allocation, excess_A: Floats, slot: int) -> Floats:
        """Find what lingers in each row of the network, shape (families, rows, 1)."""
        lingering_phases = [
            sum(value > ROUNDING_A for value in draw.lingering_A(self.monotonic_s, 0.0))
            for draw in self.draws
        ]
        phases = np.maximum(target.phases, np.array(lingering_phases, dtype=np.float64)[:, None])
        network = target.network if (phases == target.phases).all() else self.limiter.network(phases)
        coefficient = np.maximum(network.coefficient[..., slot : slot + 1], 0.0)
        return network.rows.total_below(coefficient * excess_A[:, None])

    def _reason(self, evse: int, excess_A: Floats) -> str:
        uuids = self.limiter.tree.evse_uuids
        falling = [uuids[other] for other in np.flatnonzero(excess_A > ROUNDING_A).tolist() if other != evse]
        if self.monotonic_s - self.draws[evse].rose_at_s < self.config.rise_interval_s:
            return f"rises at most every {self.config.rise_interval_s:g} s"
        if falling:
            return f"waits until {' and '.join(falling)} {'have' if len(falling) > 1 else 'has'} fallen"
        return f"rises only by {self.config.deadband_A:g} A or more"
