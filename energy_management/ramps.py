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
from energy_management.constraints import Network
from energy_management.coverage import Bools, Floats, Ints
from energy_management.demand import Demand
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
        takes_part = self.limiter.demand.takes_part[:, slot]
        target_A = np.where(takes_part, target.current_A[:, slot], 0.0)
        held_A = np.minimum(target_A, self.granted_A)
        if not (target_A > held_A + ROUNDING_A).any():
            return Step(target, {})
        may_rise = self._may_rise(target_A, target.network.ceiling_A[:, slot])
        lingering_A = np.array(
            [
                draw.lingering_A(self.monotonic_s, limit)
                for draw, limit in zip(self.draws, held_A.tolist(), strict=True)
            ]
        ).T
        reach_A = lingering_A.max(axis=0)  # what it draws anyway takes nothing from others
        floor_A = np.where(may_rise, np.minimum(target_A, np.maximum(held_A, reach_A)), held_A)
        excess_A = np.maximum(reach_A - floor_A, 0.0)
        phases = np.maximum(target.phases, (lingering_A > ROUNDING_A).sum(axis=0)[:, None])
        reserved = self._load(target, phases, excess_A, slot)
        now_A = self._fill(
            target.network.in_slot(slot, reserved, floor_A[:, None], target_A[:, None]),
            floor_A[:, None],
            may_rise[:, None],
            self.limiter.demand.in_slot(slot),
            order,
        )
        is_part = (now_A < target_A - ROUNDING_A) & (now_A < held_A + WORTH_WAITING_A) & (held_A > 0)
        now_A = np.where(is_part, held_A, now_A)
        current_A = target.current_A.copy()
        current_A[takes_part, slot] = now_A[takes_part]
        waiting = np.flatnonzero(now_A < target_A - ROUNDING_A).tolist()
        reasons = {evse: self._reason(evse, bool(may_rise[evse]), excess_A) for evse in waiting}
        return Step(replace(target, current_A=current_A), reasons)

    def _may_rise(self, target_A: Floats, ceiling_A: Floats) -> Bools:
        """Tell whose last change is long enough ago, and whose next rise is worth it."""
        since_s = np.array([self.monotonic_s - draw.changed_at_s for draw in self.draws])
        worth_it = target_A - self.granted_A >= self.config.deadband_A
        worth_it |= (self.granted_A <= 0) | (target_A >= ceiling_A - ROUNDING_A)
        rises = target_A > self.granted_A + ROUNDING_A
        return np.asarray(rises & worth_it & (since_s >= self.config.rise_interval_s))

    def _load(self, target: Allocation, phases: Floats, current_A: Floats, slot: int) -> Floats:
        """Add up in each row what is drawn on so many phases, shape (families, rows, 1)."""
        network = target.network if (phases == target.phases).all() else self.limiter.network(phases)
        coefficient = np.maximum(network.coefficient[..., slot : slot + 1], 0.0)
        return network.rows.total_below(coefficient * current_A[:, None])

    @staticmethod
    def _fill(network: Network, floor_A: Floats, rising: Bools, demand: Demand, order: Ints) -> Floats:
        """Fill what is left, newcomers' minima first."""
        newcomers = rising & (floor_A < demand.minimum_A)
        served = admit(network, floor_A, demand.minimum_A, newcomers, order).served
        floor_A = np.where(served, demand.minimum_A, floor_A)
        return share(network, demand, rising & (served | ~newcomers), floor_A)[:, 0]

    def _reason(self, evse: int, may_rise: bool, excess_A: Floats) -> str:  # noqa: FBT001 - a fact, no switch
        """Say why an EVSE has less than its target."""
        if self.monotonic_s - self.draws[evse].changed_at_s < self.config.rise_interval_s:
            return f"rises {self.config.rise_interval_s:g} s after its last change"
        if not may_rise:
            return f"rises only by {self.config.deadband_A:g} A or more"
        uuids = self.limiter.tree.evse_uuids
        falling = [uuids[other] for other in np.flatnonzero(excess_A > ROUNDING_A).tolist() if other != evse]
        return f"waits until {' and '.join(falling)} {'have' if len(falling) > 1 else 'has'} fallen"
