"""From one allocation to the next: who gives up goes first, who gains waits until that has happened.

An allocation is a target. What may be granted now on the way to it is a second, smaller problem of the same
kind: everybody keeps what it has as far as the target lets it, what those who give up may still draw is
reserved, and what is left is filled fairly up to the targets. An EVSE may still draw what it is measured to,
what its limits of the last seconds allow, and what a limit allows whose successor it has not answered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energy_management.admission import Order, admit
from energy_management.allocation import Allocation, share
from energy_management.config import ManagerConfig
from energy_management.constraints import Network
from energy_management.coverage import Bools, Floats
from energy_management.demand import Demand
from energy_management.draws import Draw, InForce
from energy_management.limits import Limiter
from energy_management.waits import NO_WAITS, Waits

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
    waits : Waits
        What those wait for.
    """

    allocation: Allocation
    reasons: dict[int, str]
    waits: Waits


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
        Grants of the last run per phase.
    in_force : sequence of InForce
        The highest limit that each EVSE may still go by.
    config : ManagerConfig
        Settings.
    monotonic_s : float
        Present.
    """

    limiter: Limiter
    draws: Sequence[Draw]
    granted_A: Floats
    in_force: Sequence[InForce]
    config: ManagerConfig
    monotonic_s: float

    def step(self, target: Allocation, order: Order, slot: int) -> Step:
        """Return what may be granted now in a slot of import."""
        takes_part = self.limiter.demand.takes_part[:, slot]
        target_A = np.where(takes_part, target.current_A[:, slot], 0.0)
        held_A = np.minimum(target_A, self.granted_A)
        in_force_A = np.array([limit.current_A for limit in self.in_force])
        in_force_phases = np.array([limit.phases if limit.current_A > 0 else 0 for limit in self.in_force])
        adds_phases = (in_force_phases > 0) & (target.phases[:, slot] > in_force_phases) & takes_part
        if not ((target_A > held_A + ROUNDING_A) | adds_phases).any():
            return Step(target, {}, NO_WAITS)
        may_rise = self._may_rise(target_A, slot)
        lingering_A = np.array(
            [
                draw.lingering_A(self.monotonic_s, limit)
                for draw, limit in zip(self.draws, held_A.tolist(), strict=True)
            ]
        ).T
        reach_A = np.maximum(lingering_A.max(axis=0), in_force_A)
        # What it draws anyway takes nothing from others.
        floor_A = np.where(may_rise, np.minimum(target_A, np.maximum(held_A, reach_A)), held_A)
        excess_A = np.maximum(reach_A - floor_A, 0.0)
        drawing = np.maximum((lingering_A > ROUNDING_A).sum(axis=0), in_force_phases)
        phases = np.maximum(target.phases, drawing[:, None])
        reserved = self._load(target, phases, excess_A, slot)
        now_A = self._fill(
            target.network.in_slot(slot, reserved, floor_A[:, None], target_A[:, None]),
            floor_A[:, None],
            may_rise[:, None],
            self.limiter.demand.in_slot(slot),
            order,
        )
        may_draw_more = excess_A > ROUNDING_A
        keeps_phases = adds_phases & may_draw_more.any()
        is_part = (now_A < target_A - ROUNDING_A) & (now_A < held_A + WORTH_WAITING_A) & (held_A > 0)
        now_A = np.where(is_part, held_A, now_A)
        current_A = target.current_A.copy()
        current_A[takes_part, slot] = now_A[takes_part]
        allocation = target._replace(current_A=current_A)
        if keeps_phases.any():
            phases = target.phases.copy()
            phases[keeps_phases, slot] = in_force_phases[keeps_phases]
            allocation = allocation._replace(phases=phases, loaded=self.limiter.loaded(phases))
        waiting = np.flatnonzero((now_A < target_A - ROUNDING_A) | keeps_phases).tolist()
        falling = np.flatnonzero(may_draw_more).tolist()
        reasons = {
            evse: self._reason(evse, falling, may_rise=bool(may_rise[evse] | keeps_phases[evse]))
            for evse in waiting
        }
        return Step(allocation, reasons, self._waits(waiting, falling, floor_A) if waiting else NO_WAITS)

    def _may_rise(self, target_A: Floats, slot: int) -> Bools:
        """Tell whose last change is long enough ago, and whose next rise is worth it."""
        rested = np.array([self.monotonic_s >= self._rises_at_s(evse) for evse in range(len(self.draws))])
        own_A = self.limiter.limits.current_A[self.limiter.tree.evses, slot]
        worth_it = target_A - self.granted_A >= self.config.deadband_A
        worth_it |= (self.granted_A <= 0) | (target_A >= own_A - ROUNDING_A)
        rises = target_A > self.granted_A + ROUNDING_A
        return np.asarray(rises & worth_it & rested)

    def _load(self, target: Allocation, phases: Floats, current_A: Floats, slot: int) -> Floats:
        """Add up in each row what is drawn on so many phases, shape (families, rows, 1)."""
        network = target.network if (phases == target.phases).all() else self.limiter.network(phases)
        coefficient = np.maximum(network.coefficient[..., slot : slot + 1], 0.0)
        return network.rows.total_below(coefficient * current_A[:, None])

    @staticmethod
    def _fill(network: Network, floor_A: Floats, rising: Bools, demand: Demand, order: Order) -> Floats:
        """Fill what is left, newcomers' minima first."""
        newcomers = rising & (floor_A < demand.minimum_A)
        served = admit(network, floor_A, demand.minimum_A, newcomers, order).served
        floor_A = np.where(served, demand.minimum_A, floor_A)
        return share(network, demand, rising & (served | ~newcomers), floor_A)[:, 0]

    def _reason(self, evse: int, falling: Sequence[int], *, may_rise: bool) -> str:
        """Say why an EVSE has less than its target."""
        if self.monotonic_s < self.draws[evse].rests_until_s:
            return "waits until the meter has shown what else draws"
        if self.monotonic_s < self._rises_at_s(evse):
            return f"rises {self.config.rise_interval_s:g} s after its last change"
        if not may_rise:
            return f"rises only by {self.config.deadband_A:g} A or more"
        uuids = self.limiter.tree.evse_uuids
        names = [uuids[other] for other in falling if other != evse or len(falling) == 1]
        return f"waits until {' and '.join(names)} {'have' if len(names) > 1 else 'has'} fallen"

    def _waits(self, waiting: Sequence[int], falling: Sequence[int], limits_A: Floats) -> Waits:
        """Collect what those who wait are waiting for."""
        ends_s = [self._rises_at_s(evse) for evse in waiting]
        ends_s += [self.draws[evse].lingers_until_s(limits_A[evse]) for evse in falling]
        uuids = self.limiter.tree.evse_uuids
        return Waits(
            min((end_s for end_s in ends_s if end_s > self.monotonic_s), default=math.inf),
            {
                uuids[evse]: float(limits_A[evse])
                for evse in falling
                if self.in_force[evse].current_A > limits_A[evse]
                or self.draws[evse].is_above(limits_A[evse], self.monotonic_s)
            },
        )

    def _rises_at_s(self, evse: int) -> float:
        draw = self.draws[evse]
        return max(draw.changed_at_s + self.config.rise_interval_s, draw.rests_until_s)
