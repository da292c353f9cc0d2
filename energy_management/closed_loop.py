"""Closes the loop: what measurements of EVSEs change about limits, shares and the way to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from energy_management.admission import Order
from energy_management.allocation import Allocation
from energy_management.config import ManagerConfig
from energy_management.coverage import Bools, Floats
from energy_management.demand import IDLE, WANTS
from energy_management.draws import KNOWN_AFTER_S, NOTHING_IN_FORCE, Draw, currents_of
from energy_management.limits import Limiter
from energy_management.measurement import Reading
from energy_management.memory import Memory
from energy_management.overload import Sharers, relieved
from energy_management.ramps import Ramps
from energy_management.site import ROTATIONS, EvseAttributes, Site
from energy_management.state import EvseState
from energy_management.tree import Tree
from energy_management.usage import Usage
from energy_management.wiring import Learner

ROUNDING_A = 1e-6
CHANGE_A = 0.05
"""Smaller changes move no pilot."""


class ClosedLoop(NamedTuple):
    """One run's view of the past.

    Attributes
    ----------
    config : ManagerConfig
        Settings.
    memory : Memory
        Has observed the EVSEs of this run.
    states : sequence of EvseState
        Of all EVSEs.
    monotonic_s : float
        Present.
    """

    config: ManagerConfig
    memory: Memory
    states: Sequence[EvseState]
    monotonic_s: float

    def idle_phases(self, tree: Tree, site: Site) -> Bools | None:
        """Return the grid phases that cars are measured not to use, shape (3, evses, 1)."""
        if not self.config.closed_loop:
            return None
        idle = np.zeros((3, len(tree.evses), 1), dtype=np.bool_)
        for evse, (uuid, draw) in enumerate(self.memory.draws.items()):
            rotation = self._rotation(site, uuid)
            measured = draw.measured(self.monotonic_s)
            if rotation is None or measured is None:
                continue
            usage = self._usage(uuid)
            wired = ROTATIONS[rotation][: self.states[evse].active_phases or 3]
            offered = [phase in wired for phase in range(3)]
            usage.follow_phases(measured.most_A, offered, self.monotonic_s)
            idle[:, evse, 0] = usage.idle_phases(self.monotonic_s)
        return idle

    def wired(self, site: Site, tree: Tree) -> Site:
        """Complete a site by rotations that were learnt; those that are configured stay."""
        learnt = {
            uuid: replace(site.evses.get(uuid, EvseAttributes()), phase_rotation=state.learnt_rotation)
            for uuid, state in zip(tree.evse_uuids, self.states, strict=True)
            if state.learnt_rotation and not self._rotation(site, uuid)
        }
        return replace(site, evses={**site.evses, **learnt}) if learnt else site

    def learn_wiring(self, tree: Tree, site: Site, readings: Mapping[str, Reading]) -> None:
        """Let what cars and meters show tell how EVSEs are wired of which that is not known."""
        if not self.config.closed_loop:
            return
        nodes_above = tree.coverage.nodes_above
        for evse, (uuid, state) in enumerate(zip(tree.evse_uuids, self.states, strict=True)):
            if self._rotation(site, uuid):
                continue
            car = readings.get(uuid)
            above = [readings.get(tree.uuids[node]) for node in nodes_above(evse)[:-1].tolist()]
            meters = [reading for reading in above if reading is not None and reading.current_A is not None]
            if car is not None and car.current_A is not None and meters:
                learner = self.memory.learners.setdefault(uuid, Learner())
                state.learnt_rotation = learner.take(
                    self.monotonic_s, car.current_A, currents_of(meters[-1], self.config.nominal_ac_voltage)
                )

    def wanted_A(self, limiter: Limiter, slot: int) -> Floats:
        """Return what each EVSE makes use of, infinite where that is not known, shape (evses, slots)."""
        demand = limiter.demand
        wanted_A = np.full_like(demand.minimum_A, np.inf)
        for evse, (uuid, draw) in enumerate(self.memory.draws.items()):
            measured = draw.measured(self.monotonic_s)
            if demand.urgency[evse] != WANTS or demand.exporting[evse, slot]:
                self._usage(uuid).forget_wishes()
            elif measured is not None:
                usage = self._usage(uuid)
                usage.follow(
                    max(measured.most_A),
                    max(self.states[evse].granted_A),
                    float(demand.minimum_A[evse, slot]),
                    self.monotonic_s,
                    self.config,
                )
                wanted_A[evse, slot] = np.inf if usage.wanted_A is None else usage.wanted_A
        return wanted_A

    def step(
        self, limiter: Limiter, target: Allocation, order: Order, wanted_A: Floats, slot: int
    ) -> Allocation:
        """Go toward an allocation as far as is right by now, with the reasons why not all the way."""
        unused = np.flatnonzero(target.current_A[:, slot] <= wanted_A[:, slot] + ROUNDING_A)
        held = {
            evse: f"capped at what it draws + {self.config.unused_margin_A:g} A"
            for evse in unused.tolist()
            if target.current_A[evse, slot] >= wanted_A[evse, slot] - ROUNDING_A
        }
        draws = list(self.memory.draws.values())
        granted_A = np.array([max(0.0, *state.granted_A) for state in self.states])
        in_force = [self.memory.in_force.get(uuid, NOTHING_IN_FORCE) for uuid in self.memory.draws]
        ramps = Ramps(limiter, draws, granted_A, in_force, self.config, self.monotonic_s)
        step = ramps.step(target, order, slot)
        allocation, reliefs = self._relieved(limiter, step.allocation, granted_A, order, slot)
        changes = abs(allocation.current_A[:, slot] - granted_A) > CHANGE_A
        for evse in np.flatnonzero(changes & (limiter.demand.urgency != IDLE)).tolist():
            draws[evse].changed_at_s = self.monotonic_s
        for draw, current_A in zip(draws, allocation.current_A[:, slot].tolist(), strict=True):
            draw.pilot.set(current_A, self.monotonic_s)
        return allocation._replace(held={**held, **step.reasons, **reliefs}, waits=step.waits)

    def _relieved(
        self, limiter: Limiter, allocation: Allocation, granted_A: Floats, order: Order, slot: int
    ) -> tuple[Allocation, dict[int, str]]:
        """End overloads in time; returns also why an EVSE has less for that."""
        overloads = limiter.meters.overloads if limiter.meters is not None else []
        if not overloads:
            return allocation, {}
        takes_part = limiter.demand.takes_part[:, slot] & (limiter.demand.urgency != IDLE)
        wanted_A = np.where(takes_part, allocation.current_A[:, slot], 0.0)
        minimum_A = limiter.demand.minimum_A[:, slot]
        draws = list(self.memory.draws.values())
        pinned_A = [
            self._pinned_A(uuid, draw) if draw.pilot.holds(limit, self.monotonic_s) else 0.0
            for (uuid, draw), limit in zip(self.memory.draws.items(), wanted_A.tolist(), strict=True)
        ]
        unmeasured = [draw.measured(self.monotonic_s) is None for draw in draws]
        evses = Sharers(
            wanted_A,
            granted_A,
            np.where(wanted_A >= minimum_A, minimum_A, 0.0),
            np.array(pinned_A),
            allocation.loaded[:, :, slot],
            np.array(unmeasured),
        )
        now_A = relieved(overloads, evses, order())
        lowered = np.flatnonzero(now_A < wanted_A - ROUNDING_A).tolist()
        for evse in lowered:
            if unmeasured[evse] and not now_A[evse]:
                draws[evse].rests_until_s = self.monotonic_s + KNOWN_AFTER_S
        current_A = allocation.current_A.copy()
        current_A[lowered, slot] = now_A[lowered]
        reasons = {
            evse: "gives room to end an overload" if now_A[evse] else "pauses to end an overload"
            for evse in lowered
        }
        return allocation._replace(current_A=current_A), reasons

    def _pinned_A(self, uuid: str, draw: Draw) -> float:
        """Return what an EVSE draws while its pilot cannot move: what the car leaves unused it still does."""
        measured = draw.measured(self.monotonic_s)
        drawn_A = 0.0 if measured is None else max(measured.most_A)
        most_A = self._usage(uuid).draws_at_most_A(self.config.unused_margin_A)
        return min(draw.pinned_A(self.monotonic_s), max(drawn_A, most_A))

    def _usage(self, uuid: str) -> Usage:
        return self.memory.usages.setdefault(uuid, Usage())

    @staticmethod
    def _rotation(site: Site, uuid: str) -> str | None:
        attributes = site.evses.get(uuid)
        return None if attributes is None else attributes.phase_rotation
