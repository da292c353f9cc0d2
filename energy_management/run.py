"""One run of the manager, kept to be reported and explained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from energy_management.allocation import Allocation
from energy_management.coverage import Bools, Ints
from energy_management.limits import Limiter
from energy_management.phases import Decision
from energy_management.reasons import binding
from energy_management.result import Grants
from energy_management.state import EvseState
from energy_management.timeline import Timeline


@dataclass(frozen=True)
class Run:
    """What went into a run and what came out.

    Attributes
    ----------
    now, monotonic_s
        When it was.
    timeline : Timeline
    limiter : Limiter
    allocation : Allocation
    grants : Grants
    states : list of EvseState
        What is remembered of each EVSE.
    decision : Decision
        On how many phases.
    """

    now: datetime
    monotonic_s: float
    timeline: Timeline
    limiter: Limiter
    allocation: Allocation
    grants: Grants
    states: list[EvseState]
    decision: Decision

    def columns(self, slot: int) -> Ints:
        """Where arrays of the allocation hold a slot of the timeline in the direction asked of each EVSE."""
        demand = self.limiter.demand
        return np.where(demand.exporting[:, slot], slot + demand.slots, slot)

    @cached_property
    def binding(self) -> Bools:
        """Which limits keep which EVSE from having more, shape (families, pairs, slots)."""
        limiter, allocation = self.limiter, self.allocation
        return binding(allocation.network, limiter.tree.coverage, limiter.demand, allocation.target_A)
