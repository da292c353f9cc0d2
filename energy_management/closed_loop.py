"""Closes the loop: what measurements of EVSEs change about limits, shares and the way to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from energy_management.allocation import Allocation
from energy_management.config import ManagerConfig
from energy_management.coverage import Bools, Floats, Ints
from energy_management.demand import WANTS
from energy_management.limits import Limiter
from energy_management.memory import Memory
from energy_management.ramps import Ramps
from energy_management.site import ROTATIONS, Site
from energy_management.state import EvseState
from energy_management.tree import Tree
from energy_management.usage import Usage

ROUNDING_A = 1e-6


@dataclass(frozen=True)
class ClosedLoop:
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

    def idle_phases(self, tree: Tree, site: Site) -> Bools:
        """Return the grid phases that cars are measured not to use, shape (3, evses)."""
        idle = np.zeros((3, len(tree.evses)), dtype=np.bool_)
        for evse, (uuid, draw) in enumerate(self.memory.draws.items()):
            attributes = site.evses.get(uuid)
            measured = draw.measured(self.monotonic_s)
            usage = self._usage(uuid)
            if attributes is None or attributes.phase_rotation is None or measured is None:
                continue
            wired = ROTATIONS[attributes.phase_rotation][: self.states[evse].active_phases or 3]
            offered = [phase in wired for phase in range(3)]
            usage.follow_phases(measured.most_A, offered, self.monotonic_s)
            idle[:, evse] = usage.idle_phases(self.monotonic_s)
        return idle

    def wanted_A(self, limiter: Limiter, slot: int) -> Floats:
        """Return what each EVSE makes use of, infinite where that is not known, shape (evses, slots)."""
        demand = limiter.demand
        wanted_A = np.full_like(demand.minimum_A, np.inf)
        for evse, (uuid, draw) in enumerate(self.memory.draws.items()):
            measured = draw.measured(self.monotonic_s)
            if demand.urgency[evse] != WANTS or demand.exporting[evse, slot]:
                self.memory.usages[uuid] = Usage()
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
        self, limiter: Limiter, target: Allocation, order: Ints, wanted_A: Floats, slot: int
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
        ramps = Ramps(limiter, draws, granted_A, self.config, self.monotonic_s)
        step = ramps.step(target, order, slot)
        for draw, now_A, before_A in zip(
            draws, step.allocation.current_A[:, slot].tolist(), granted_A.tolist(), strict=True
        ):
            if now_A > before_A + ROUNDING_A:
                draw.rose_at_s = self.monotonic_s
        return replace(step.allocation, held={**held, **step.reasons})

    def _usage(self, uuid: str) -> Usage:
        return self.memory.usages.setdefault(uuid, Usage())
