"""One run of the manager, kept to be reported and explained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy_management.allocation import Allocation
from energy_management.coverage import Bools
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
    repeats : bool
        The same again would give the same: it has not changed who comes first.
    """

    now: datetime
    monotonic_s: float
    timeline: Timeline
    limiter: Limiter
    allocation: Allocation
    grants: Grants
    states: list[EvseState]
    decision: Decision
    repeats: bool = True

    def column(self, evse: int, slot: int) -> int:
        """Where arrays of the allocation hold a slot of the timeline in the direction asked of an EVSE."""
        exporting = bool(self.limiter.demand.exporting[evse, slot])
        return slot + len(self.timeline) if exporting else slot

    def at_present(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """Pick from arrays of the allocation what they hold of each EVSE in the slot that is active now."""
        active = self.timeline.active
        return [values[..., active] for values in self.limiter.demand.asked_for(*arrays)]

    @property
    def loaded_at_present(self) -> Bools:
        """Which grid phases each EVSE loads in the active slot, shape (3, evses)."""
        return self.at_present(self.allocation.loaded)[0]

    @property
    def granted_A(self) -> list[list[float]]:
        """Current of each EVSE on each grid phase in the active slot; export is negative."""
        present_A = self.grants.current_A[:, self.timeline.active]
        granted_A: list[list[float]] = np.where(self.loaded_at_present, present_A, 0.0).T.tolist()
        return granted_A

    @cached_property
    def binding(self) -> Bools:
        """Which limits keep which EVSE from having more, shape (families, pairs, slots)."""
        limiter, allocation = self.limiter, self.allocation
        return binding(allocation.network, limiter.tree.coverage, limiter.demand, allocation.target_A)
