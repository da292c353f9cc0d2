"""The energy manager: from a request to the limits of every EVSE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from energy_management.allocation import Allocation, allocate, share
from energy_management.config import ManagerConfig
from energy_management.coverage import Floats
from energy_management.demand import IDLE, export_asked, read_demand
from energy_management.limits import Limiter
from energy_management.load import MeterBudgets, read_meters
from energy_management.measurement import Reading
from energy_management.phases import Choice, Switching, choices, choose, power_on_most_phases
from energy_management.request import Request, read_request
from energy_management.result import enforced_limits, grants
from energy_management.rotation import order_of_admission, take_turns
from energy_management.schedules import ACTIVE_PHASES, CURRENT_A
from energy_management.setpoints import place_setpoints
from energy_management.site import Site
from energy_management.state import EvseState, ManagerState
from energy_management.timeline import Timeline
from energy_management.tree import Tree

NO_READINGS: Mapping[str, Reading] = {}
NEW = EvseState()


class EnergyManager:
    def __init__(
        self,
        config: ManagerConfig,
        site: Site | None = None,
        state: ManagerState | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        self.site = Site() if site is None else site
        self.state = ManagerState() if state is None else state
        self._log = log

    def optimize(
        self,
        request: dict[str, Any],
        now: datetime,
        readings: Mapping[str, Reading] = NO_READINGS,
        *,
        monotonic_s: float | None = None,
    ) -> list[dict[str, Any]]:
        config = self.config
        monotonic_s = now.timestamp() if monotonic_s is None else monotonic_s
        self.state.advance_to(monotonic_s)
        read = read_request(request)
        tree = read.tree
        if not len(tree.evses):
            return []
        timeline = Timeline.build(
            now, config.schedule_interval_duration, config.schedule_total_duration, read.stamps.all()
        )
        limiter = self._limiter(read, timeline, readings, monotonic_s)
        demand = limiter.demand
        states = self._states(tree.evse_uuids, monotonic_s)
        choice = choices(demand, config.switch_3ph1ph_while_charging_mode)
        phases, fewer = self._choose_phases(limiter, choice, states, timeline.active, monotonic_s)
        order = order_of_admission(demand, states, monotonic_s)
        allocation = allocate(limiter, phases, fewer, order)
        self._remember(limiter, allocation, states, timeline.active, monotonic_s)
        return enforced_limits(
            tree.evse_uuids,
            grants(limiter, allocation),
            timeline.texts(),
            timeline.active,
            10 * config.update_interval,
        )

    def _limiter(
        self, read: Request, timeline: Timeline, readings: Mapping[str, Reading], monotonic_s: float
    ) -> Limiter:
        """All limits of the request in the slots of a timeline, and what its EVSEs ask for."""
        tree = read.tree
        imports, exports = read.schedules.in_force(timeline, read.stamps.ladders, tree.is_evse)
        frequencies_Hz = {
            uuid: reading.frequency_Hz
            for uuid, reading in readings.items()
            if reading.frequency_Hz is not None
        }
        setpoints, unusable = place_setpoints(tree, read.setpoints, timeline, frequencies_Hz)
        read.rejected.extend(unusable)
        exporting = export_asked(tree, imports, exports, setpoints)
        limits = imports.beside(exports) if exporting.any() else imports
        voltage_V = self.config.nominal_ac_voltage
        return Limiter(
            tree,
            read.schedules,
            limits,
            read_demand(tree, limits, exporting, self.site),
            self.site,
            setpoints,
            self._meters(tree, limits.values[CURRENT_A, :, timeline.active], readings, monotonic_s),
            voltage_V,
        )

    def _meters(
        self, tree: Tree, limits_A: Floats, readings: Mapping[str, Reading], monotonic_s: float
    ) -> MeterBudgets | None:
        """What meters leave for EVSEs; what they and the EVSEs themselves tell is remembered."""
        if not readings and not self.site.nodes:
            return None
        memory, voltage_V = self.state.memory, self.config.nominal_ac_voltage
        granted_A = [self._remembered(uuid).granted_A for uuid in tree.evse_uuids]
        memory.observe(tree, self.site, readings, granted_A, monotonic_s=monotonic_s, voltage_V=voltage_V)
        return read_meters(
            tree,
            self.site,
            readings,
            memory,
            limits_A=limits_A,
            monotonic_s=monotonic_s,
            voltage_V=voltage_V,
        )

    def _remembered(self, uuid: str) -> EvseState:
        return self.state.evses.get(uuid, NEW)

    def _states(self, uuids: list[str], monotonic_s: float) -> list[EvseState]:
        """What is remembered of each EVSE; others are forgotten."""
        known = self.state.evses
        self.state.evses = {
            uuid: known.get(uuid) or EvseState(one_phase_best_at=monotonic_s) for uuid in uuids
        }
        return list(self.state.evses.values())

    def _choose_phases(
        self, limiter: Limiter, choice: Choice, states: list[EvseState], active: int, monotonic_s: float
    ) -> tuple[Floats, Floats]:
        """On how many phases each EVSE is to charge, and on how many it would rather than wait."""
        config, demand = self.config, limiter.demand
        switching = Switching(config, monotonic_s)
        reported = limiter.limits.values[ACTIVE_PHASES, limiter.tree.evses, active].tolist()
        for state, urgency, phases in zip(states, demand.urgency.tolist(), reported, strict=True):
            switching.observe(state, urgency, int(phases))
        if not choice.exists:
            return choice.present, choice.present
        network = limiter.network(choice.high)
        present = demand.takes_part & (demand.urgency != IDLE)[:, None]
        share_A = share(network, demand, present, np.zeros_like(demand.minimum_A))
        power_W = power_on_most_phases(network, choice, share_A, config.nominal_ac_voltage)
        best = choose(choice, demand, power_W, config)
        fewer = choice.low.copy()
        for evse in np.flatnonzero((choice.low != choice.high).any(axis=1)).tolist():
            now_on, low, high = (
                int(each[evse, active]) for each in (choice.present, choice.low, choice.high)
            )
            if switching.is_used_up(states[evse]):
                best[evse] = switching.sticky(now_on, low, high)
                fewer[evse] = best[evse]
            else:
                best[evse, active] = switching.settle(states[evse], int(best[evse, active]), now_on, low)
        return best, np.minimum(fewer, best)

    def _remember(
        self,
        limiter: Limiter,
        allocation: Allocation,
        states: list[EvseState],
        active: int,
        monotonic_s: float,
    ) -> None:
        """Keep what the next run needs to know of this one."""
        demand = limiter.demand
        column = np.where(demand.exporting[:, active], active + demand.slots, active)
        at = (np.arange(len(states)), np.minimum(column, demand.takes_part.shape[1] - 1))
        needs = (demand.minimum_A[at] > 0) & (demand.urgency != IDLE)
        asks = needs & (demand.minimum_A[at] <= allocation.network.ceiling_A[at])
        take_turns(states, asks, allocation.served[at] & asks, monotonic_s, self.config.rotation_interval_s)
        granted_A = np.where(allocation.loaded[(slice(None), *at)], allocation.current_A[at], 0.0)
        for state, dropped, currents in zip(
            states, allocation.dropped[at].tolist(), granted_A.T.tolist(), strict=True
        ):
            state.granted_A = (currents[0], currents[1], currents[2])
            if dropped:
                state.one_phase_best_at = monotonic_s
