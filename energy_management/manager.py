"""The energy manager: from a request to the limits of every EVSE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from energy_management.allocation import allocate
from energy_management.closed_loop import ClosedLoop
from energy_management.config import ManagerConfig
from energy_management.coverage import Floats, exists
from energy_management.demand import export_asked, read_demand
from energy_management.draws import InForce
from energy_management.explain import describe, explain
from energy_management.form import Form, Slots
from energy_management.hardening import SIGNS_OF_MALFORMED
from energy_management.limits import Limiter
from energy_management.load import MeterBudgets, read_meters
from energy_management.measurement import Reading
from energy_management.phases import decide
from energy_management.reasons import Joiner
from energy_management.report import Report
from energy_management.request import Request, flatten_if_tree, read_request
from energy_management.result import enforced_limits, grants
from energy_management.rotation import ASKED_AGAIN_S, Queue, take_turns
from energy_management.run import Run
from energy_management.setpoints import place_setpoints
from energy_management.site import Site
from energy_management.solar import shine
from energy_management.state import EvseState, ManagerState
from energy_management.tree import Tree
from energy_management.tree_attributes import TreeAttributes

NO_READINGS: Mapping[str, Reading] = {}
NOTHING_KNOWN: Mapping[str, InForce] = {}


class EnergyManager:
    """Shares the power of a site among its EVSEs: exactly, fairly and per phase.

    Parameters
    ----------
    config : ManagerConfig
        The settings of EVerest's EnergyManager.
    site : Site, optional
        Wiring, priorities and reserves.
    state : ManagerState, optional
        What a manager before this one remembered.
    log : callable, optional
        Takes the lines that describe each run if `config.debug` is set.

    Attributes
    ----------
    state : ManagerState
        What has to be saved for the next manager.
    report : Report
        What the last run did.
    """

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
        self.report = Report()
        self._log = log if config.debug else None
        self._last: _Answer | None = None
        self._form: Form | None = None
        self._attributes: TreeAttributes | None = None
        self._joiners = Joiner(), Joiner()

    def optimize(
        self,
        request: dict[str, Any],
        now: datetime,
        readings: Mapping[str, Reading] = NO_READINGS,
        *,
        monotonic_s: float | None = None,
        in_force: Mapping[str, InForce] = NOTHING_KNOWN,
    ) -> list[dict[str, Any]]:
        """Find the limits of all EVSEs of a request.

        Parameters
        ----------
        request : dict
            An EVerest `EnergyFlowRequest`. Malformed parts allow nothing and are named in `report.rejected`;
            nothing in it raises an exception.
        now : datetime
            The present, with its offset to UTC. It decides which entries of schedules are in force.
        readings : mapping of str to Reading, optional
            What meters measured, by uuid of the node or EVSE that they are at.
        monotonic_s : float, optional
            The present on a clock that is never set [s], for hysteresis, turns and the age of readings;
            `now` if left out.
        in_force : mapping of str to InForce, optional
            The highest limit that an EVSE may still go by, by uuid. With `closed_loop`, what is above its new
            limit is given to nobody else as long as that is so.

        Returns
        -------
        list of dict
            One EVerest `EnforcedLimits` per EVSE, depth first. To be read, not changed: slots with the same
            limits share them, and the same list is returned again while nothing changes.
        """
        monotonic_s = now.timestamp() if monotonic_s is None else monotonic_s
        self.state.advance_to(monotonic_s)
        self.state.memory.in_force = in_force
        flat = flatten_if_tree(request)
        stands_for_itself = not readings and not self.config.closed_loop
        fingerprint = _fingerprint(request) if flat is not None and stands_for_itself else None
        if self._last is not None and self._last.holds(fingerprint, now, monotonic_s):
            self._last.keep(monotonic_s)
            return self._last.result
        self._last = None
        read = read_request(request, flat, self._form)
        self._form = read.schedules.form
        if not read.tree.uuids:
            self.report = Report(read.rejected)
            return []
        run = self._run(read, now, readings, monotonic_s)
        result = enforced_limits(
            read.tree.evse_uuids,
            run.grants,
            run.timeline.texts,
            run.timeline.active,
            10 * self.config.update_interval,
        )
        self.report = Report(read.rejected, run)
        has_memory = run.limiter.meters is not None or run.limiter.sun is not None
        if fingerprint is not None and run.repeats and not has_memory:
            self._last = _Answer(fingerprint, result, run)
        if self._log is not None:
            describe(self.report, self._log)
        return result

    def explain(self, uuid: str, slot: int = 0) -> str:
        """Say in words what limits an EVSE in a slot of its schedule, as of the last run.

        Raises
        ------
        KeyError
            If the last run had no such EVSE or slot.
        """
        run = self.report.run
        if run is None or uuid not in run.limiter.tree.evse_uuids or not 0 <= slot < len(run.timeline):
            raise KeyError(f"no EVSE {uuid} with a slot {slot} in the last run")
        return explain(run, run.limiter.tree.evse_uuids.index(uuid), slot)

    @np.errstate(divide="ignore", invalid="ignore")  # what is divided by nothing is no limit
    def _run(self, read: Request, now: datetime, readings: Mapping[str, Reading], monotonic_s: float) -> Run:
        config = self.config
        slots = read.slots(now, config.schedule_interval_duration, config.schedule_total_duration)
        timeline = slots.timeline
        states = self._remembered(read.tree.evse_uuids, monotonic_s)
        loop = ClosedLoop(config, self.state.memory, states, monotonic_s)
        limiter = self._limiter(read, slots, readings, loop)
        sun = shine(limiter, self.state, readings, config, slot=timeline.active, monotonic_s=monotonic_s)
        if sun is not None:
            limiter = limiter._replace(sun=sun)
        decision = decide(limiter, states, timeline.active, config, monotonic_s)
        queue = Queue(limiter.demand, states, monotonic_s)
        wanted_A = loop.wanted_A(limiter, timeline.active) if config.closed_loop else None
        allocation = allocate(
            limiter,
            decision.phases,
            decision.fewer,
            queue,
            wanted_A,
            worth_W=config.switch_3ph1ph_power_hysteresis_W,
        )
        if wanted_A is not None:
            allocation = loop.step(limiter, allocation, queue, wanted_A, timeline.active)
        if sun is not None:
            allocation = allocation._replace(held={**allocation.held, **sun.held})
        run = Run(
            now,
            monotonic_s,
            timeline,
            limiter,
            allocation,
            grants(limiter, allocation, timeline.active, *self._joiners),
            states,
            decision,
        )
        self._remember(run)
        return replace(run, repeats=False) if queue.has_moved() else run

    def _limiter(
        self,
        read: Request,
        slots: Slots,
        readings: Mapping[str, Reading],
        loop: ClosedLoop,
    ) -> Limiter:
        """Collect all limits of the request in the slots of a timeline, and what its EVSEs ask for."""
        tree, timeline, amounts = read.tree, slots.timeline, read.schedules.amounts
        setpoints, unusable = place_setpoints(tree, read.setpoints, timeline, readings)
        read.rejected.extend(unusable)
        exporting = export_asked(tree, slots, amounts, setpoints)
        limits = slots.imports.limits(amounts)
        if exists(exporting):
            limits = limits.beside(slots.exports.limits(amounts))
        site = loop.wired(self.site, tree)
        meters = None
        if readings or self.site.nodes or self.config.closed_loop:
            present_A = limits.current_A[:, timeline.active]
            meters = self._meters(tree, site, readings, loop, present_A)
        loop.learn_wiring(tree, site, readings)
        if self._attributes is None or not self._attributes.is_of(site, tree):
            self._attributes = TreeAttributes(site, tree)
        return Limiter(
            tree,
            read.schedules,
            limits,
            read_demand(tree, limits, exporting, self._attributes),
            self._attributes,
            setpoints,
            meters,
            self.config.nominal_ac_voltage,
            loop.idle_phases(tree, site),
        )

    def _meters(
        self, tree: Tree, site: Site, readings: Mapping[str, Reading], loop: ClosedLoop, limits_A: Floats
    ) -> MeterBudgets | None:
        """Find what meters leave for EVSEs; what they and the EVSEs themselves tell is remembered."""
        memory, voltage_V, monotonic_s = self.state.memory, self.config.nominal_ac_voltage, loop.monotonic_s
        granted_A = [state.granted_A for state in loop.states]
        own_A = limits_A[tree.evses].tolist()
        memory.observe(tree, site, readings, granted_A, own_A, monotonic_s=monotonic_s, voltage_V=voltage_V)
        return read_meters(
            tree,
            site,
            readings,
            memory,
            limits_A=limits_A,
            monotonic_s=monotonic_s,
            voltage_V=voltage_V,
        )

    def _remembered(self, uuids: list[str], monotonic_s: float) -> list[EvseState]:
        """Look up what is remembered of each EVSE; others are forgotten."""
        known = self.state.evses
        if [*known] != uuids:
            self.state.evses = {
                uuid: known.get(uuid) or EvseState(one_phase_best_at=monotonic_s) for uuid in uuids
            }
        return [*self.state.evses.values()]

    def _remember(self, run: Run) -> None:
        """Keep what the next run needs to know of this one."""
        demand, allocation = run.limiter.demand, run.allocation
        columns = demand.minimum_A, allocation.network.ceiling_A, allocation.served, allocation.dropped
        minimum_A, ceiling_A, admitted, dropped = [each.tolist() for each in run.at_present(*columns)]
        asks = [
            0.0 < least_A <= most_A and has_car
            for least_A, most_A, has_car in zip(minimum_A, ceiling_A, demand.has_car.tolist(), strict=True)
        ]
        served = [asked and has for asked, has in zip(asks, admitted, strict=True)]
        told, interval_s = run.limiter.tree.evse_states, self.config.rotation_interval_s
        take_turns(run.states, asks, served, told, monotonic_s=run.monotonic_s, interval_s=interval_s)
        if run.limiter.sun is not None:
            on_phases = run.grants.phases[:, run.timeline.active] * self.config.nominal_ac_voltage
            granted_W = (run.grants.current_A[:, run.timeline.active] * on_phases).tolist()
            self.state.surplus.granted_W = dict(zip(self.state.evses, granted_W, strict=True))
        for state, is_dropped, (one, two, three) in zip(run.states, dropped, run.granted_A, strict=True):
            state.granted_A = one, two, three
            if is_dropped:
                state.one_phase_best_at = run.monotonic_s
                run.decision.short.append(state)


def _fingerprint(request: Any) -> bytes | None:
    """Two requests with the same bytes are equal; None for one that is not even JSON.

    The request must be a tree: one that contains a node twice, or itself, would take for ever to encode.
    """
    try:
        return msgspec.msgpack.encode(request)
    except (*SIGNS_OF_MALFORMED, RecursionError):
        return None


class _Answer(NamedTuple):
    """The last answer, which holds until its request, time or somebody's turn makes another."""

    fingerprint: bytes
    result: list[dict[str, Any]]
    run: Run

    def holds(self, fingerprint: bytes | None, now: datetime, monotonic_s: float) -> bool:
        """Whether the answer to this would be the same."""
        run = self.run
        if fingerprint != self.fingerprint or not run.timeline.holds(now):
            return False
        turn_ends = [state.turn_ends for state in run.states if state.turn_ends is not None]
        asked_again = [
            state.declined_at + ASKED_AGAIN_S for state in run.states if state.declined_at is not None
        ]
        ends = [end for end in (*turn_ends, *asked_again) if end > run.monotonic_s]
        return run.monotonic_s <= monotonic_s < min([run.decision.may_change_at, *ends])

    def keep(self, monotonic_s: float) -> None:
        """Note that what was so at the time of the run still is."""
        for state in self.run.decision.short:
            state.one_phase_best_at = monotonic_s
