"""Turns the limits of nodes, meters and setpoints into the constraints of a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from energy_management.constraints import Family, Network
from energy_management.coverage import Floats, Ints
from energy_management.demand import Demand
from energy_management.load import MeterBudgets
from energy_management.schedules import Limits, Texts
from energy_management.setpoints import NO_PRIORITY, Setpoints
from energy_management.site import ROTATIONS, Site
from energy_management.tree import Tree

PHASES = ("L1", "L2", "L3")


@dataclass(frozen=True)
class Limiter:
    """Everything that limits the EVSEs of a tree, whatever numbers of phases they charge on.

    Attributes
    ----------
    tree, limits, demand, site
        As read from the request and the site file.
    setpoints : Setpoints or None
        For the slots of the timeline.
    meters : MeterBudgets or None
        What meters leave for EVSEs.
    nominal_voltage_V : float
        Between current and power.
    """

    tree: Tree
    limits: Limits
    demand: Demand
    site: Site
    setpoints: Setpoints | None
    meters: MeterBudgets | None
    nominal_voltage_V: float

    def network(self, phases: Ints) -> Network:
        """The constraints when each EVSE charges on so many phases, an array over (EVSE, slot)."""
        return Network(self.tree, list(self._families(phases)))

    def _families(self, phases: Ints) -> Iterator[Family]:
        limits, takes_part = self.limits, self.demand.takes_part
        loaded = np.where(takes_part, phases_loaded(self.tree, self.site, phases), False).astype(np.float64)
        scale = self._watt_scale()
        watts = takes_part * phases * self.nominal_voltage_V / scale[self.tree.evses]
        for name, load in zip(PHASES, loaded, strict=True):
            yield Family("A", name, load, limits.current_A, limits.current_source)
        yield Family("W", "power", watts, limits.power_W / scale, limits.power_source)
        if self.meters is not None:
            yield from self._meter_families(self.meters, loaded)
        if any(found.max_unbalance_A is not None for found in self.site.nodes.values()):
            yield from self._unbalance_families(phases, loaded)
        if self.setpoints is not None:
            yield from self._setpoint_families(self.setpoints, loaded, watts, scale)

    def _watt_scale(self) -> Floats:
        """Power at the root side of a node for 1 W at the root of the tree, shape (nodes, slots)."""
        efficiency, parents = self.limits.efficiency, self.tree.parents
        scale = np.ones_like(efficiency)
        if not (efficiency[parents[1:]] == 1).all():
            for position in range(1, len(parents)):
                scale[position] = scale[parents[position]] * efficiency[parents[position]]
        return scale

    def _meter_families(self, meters: MeterBudgets, loaded: Floats) -> Iterator[Family]:
        """Other loads leave less to import; what is exported is not netted against them."""
        source = self._named("meter")
        for name, load, taken_A, at_most_A in zip(
            PHASES, loaded, meters.taken_A, meters.at_most_A, strict=True
        ):
            left_A = np.maximum(self.limits.current_A - taken_A[:, None], 0.0)
            capacity = np.where(meters.metered[:, None], np.minimum(left_A, at_most_A[:, None]), np.inf)
            capacity[:, self.demand.exporting.shape[1] :] = np.inf
            yield Family("A", name, load, capacity, source)

    def _unbalance_families(self, phases: Ints, loaded: Floats) -> Iterator[Family]:
        """An EVSE of unknown rotation may be on the higher of any two phases, and never relieves the lower."""
        limited = [self.site.nodes.get(uuid) for uuid in self.tree.uuids]
        most = [
            np.inf if found is None or found.max_unbalance_A is None else found.max_unbalance_A
            for found in limited
        ]
        source = self._named("max_unbalance_A")
        capacity = np.broadcast_to(np.array(most)[:, None], source.shape)
        uncertain = (loaded.sum(axis=0) > phases) & (phases < 3)
        for high in range(3):
            for low in {0, 1, 2} - {high}:
                difference = np.where(uncertain, loaded[high], loaded[high] - loaded[low])
                yield Family("A", f"{PHASES[high]} over {PHASES[low]}", difference, capacity, source)

    def _setpoint_families(
        self, setpoints: Setpoints, loaded: Floats, watts: Floats, scale: Floats
    ) -> Iterator[Family]:
        """A setpoint concerns the EVSEs below it that obey none of a better priority."""
        imports = self.demand.exporting.shape[1]
        both = imports < self.demand.takes_part.shape[1]
        governing = setpoints.governing(self.tree)
        for priority in np.unique(setpoints.priority[setpoints.priority < NO_PRIORITY]).tolist():
            obeys = np.tile(governing == priority, 2 if both else 1)
            current_A, power_W = (
                np.where((setpoints.priority == priority) & ~np.isnan(values), values, np.inf)
                for values in (setpoints.current_A, setpoints.power_W)
            )
            if both:
                current_A, power_W = (
                    np.concatenate([values, np.where(np.isinf(values), np.inf, -values)], axis=1)
                    for values in (current_A, power_W)
                )
            source = np.tile(setpoints.source, 2 if both else 1)
            for name, load in zip(PHASES, loaded, strict=True):
                yield Family("A", name, load * obeys, np.maximum(current_A, 0), source)
            yield Family("W", "power", watts * obeys, np.maximum(power_W, 0) / scale, source)

    def _named(self, what: str) -> Texts:
        names = np.array([f"{uuid}/{what}" for uuid in self.tree.uuids], dtype=np.object_)
        return np.broadcast_to(names[:, None], self.limits.current_A.shape)


def phases_loaded(tree: Tree, site: Site, phases: Ints) -> Floats:
    """Which grid phases each EVSE loads, shape (3, evses, slots); all if it is not known which."""
    loaded = np.broadcast_to(phases > 0, (3, *phases.shape))
    if not site.evses:
        return loaded
    loaded = loaded.copy()
    for position, uuid in enumerate(tree.evse_uuids):
        found = site.evses.get(uuid)
        if found is not None and found.phase_rotation is not None:
            for conductor, phase in enumerate(ROTATIONS[found.phase_rotation]):
                loaded[phase, position] = phases[position] > conductor
    return loaded
