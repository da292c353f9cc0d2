"""Turns the limits of nodes, meters and setpoints into the constraints of a network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import permutations
from typing import NamedTuple

import numpy as np

from energy_management.constraints import Kind, Network
from energy_management.coverage import Bools, Floats, exists
from energy_management.demand import WANTS, Demand
from energy_management.fields import CURRENT_A, POWER_W
from energy_management.form import Limits
from energy_management.load import MeterBudgets
from energy_management.schedules import Schedules
from energy_management.setpoints import NO_PRIORITY, Setpoints
from energy_management.sources import Sources
from energy_management.sunlight import Sunlight
from energy_management.tree import Tree
from energy_management.tree_attributes import TreeAttributes

PHASES = ("L1", "L2", "L3")
ALL_PHASES = ("",)


class Limiter(NamedTuple):
    """Everything that limits the EVSEs of a tree, whatever numbers of phases they charge on.

    Attributes
    ----------
    tree, schedules, limits, demand, attributes
        As read from the request and the site.
    setpoints : Setpoints or None
        For the slots of the timeline.
    meters : MeterBudgets or None
        What meters leave for EVSEs.
    nominal_voltage_V : float
        Between current and power.
    idle_phases : ndarray of bool, shape (3, evses, 1), or None
        Grid phases that cars do not use though they could; None if nobody measures that.
    sun : Sunlight or None
        What modes other than `now` change.
    """

    tree: Tree
    schedules: Schedules
    limits: Limits
    demand: Demand
    attributes: TreeAttributes
    setpoints: Setpoints | None
    meters: MeterBudgets | None
    nominal_voltage_V: float
    idle_phases: Bools | None
    sun: Sunlight | None = None

    def network(self, phases: Floats, *, with_surplus: bool = True, given_A: Floats | None = None) -> Network:
        """Build the constraints when each EVSE charges on so many phases, an array over (EVSE, slot).

        Parameters
        ----------
        with_surplus : bool
            The surplus counts for those that charge from it.
        given_A : ndarray, shape (evses, slots), optional
            What they have even if that is less.
        """
        kinds = [kind for kind in self._kinds(phases) if kind.limits_anything()]
        if self.sun is None:
            return Network(self.tree, kinds)
        if with_surplus and exists(self.sun.shares):
            watts = self.demand.takes_part * self.watts_per_ampere(self.drawn_on(phases))
            kinds.append(self.sun.kind(self.tree, watts, self.demand.slots, given_A))
        return Network(self.tree, kinds).capped(self.sun.most_A)

    def _kinds(self, phases: Floats) -> Iterator[Kind]:
        takes_part = self.demand.takes_part.astype(np.float64)
        labels: tuple[str, ...] = ALL_PHASES
        loads = [takes_part]
        if self.attributes.knows_rotations:
            loaded = self.loaded(phases)
            labels, loads = PHASES, list(takes_part * loaded)
            phases = self.drawn_on(phases)
        current_A, power_W = self.limits.current_A, self.limits.power_W
        room_A = [current_A] * len(labels)
        if self.meters is not None and (self.meters.taken_A < 0).any():
            room_A = self._room_beside_generation(self.meters, labels)
        yield Kind("A", labels, loads, room_A, self.sources_of(CURRENT_A))
        if exists(np.isfinite(power_W)):
            watts = takes_part * self.watts_per_ampere(phases)
            yield Kind("W", ("power",), [watts], [power_W / self.limits.watt_scale], self.sources_of(POWER_W))
        if self.meters is not None:
            yield self._meter_kind(self.meters, labels, loads)
        if self.attributes.max_unbalance_A is not None:
            most_A = self.attributes.max_unbalance_A
            yield self._unbalance_kind(most_A, phases, takes_part * self.loaded(phases))
        if self.setpoints is not None:
            watts = takes_part * self.watts_per_ampere(phases)
            yield from self._setpoint_kinds(self.setpoints, labels, loads, watts)

    def watts_per_ampere(self, phases: Floats) -> Floats:
        """Power at the root of the tree for 1 A per phase of each EVSE."""
        watts: Floats = phases * (self.nominal_voltage_V / self.limits.watt_scale[self.tree.evses])
        return watts

    def drawn_on(self, phases: Floats) -> Floats:
        """On how many phases EVSEs draw that charge on so many, since not every car uses all of them."""
        if not self.attributes.knows_rotations:
            return phases
        drawn_on: Floats = np.minimum(phases, self.loaded(phases).sum(axis=0))
        return drawn_on

    def loaded(self, phases: Floats) -> Bools:
        """Which grid phases each EVSE loads, shape (3, evses, slots); all if it is not known which."""
        loaded = self.attributes.loaded(phases)
        return loaded if self.idle_phases is None else loaded & ~self.idle_phases

    def sources_of(self, field: int) -> Sources:
        """Who set a limit, by the entries of schedules that are in force."""
        entries = self.schedules.amounts.shape[1]
        return Sources(self.limits.entry, entries, partial(self.schedules.sources, field))

    def _named(self, what: str) -> Sources:
        return Sources.named(what, self.tree.uuids, self.limits.entry.shape[1])

    def _room_beside_generation(self, meters: MeterBudgets, labels: tuple[str, ...]) -> list[Floats]:
        """Widen fuses by generation: what flows from there to EVSEs does not pass the fuse."""
        room_A = self.limits.current_A - np.minimum(meters.taken_A, 0.0)[:, :, None]
        room_A[..., self.demand.slots :] = self.limits.current_A[:, self.demand.slots :]
        return list(room_A) if labels == PHASES else [room_A.min(axis=0)]

    def _meter_kind(self, meters: MeterBudgets, labels: tuple[str, ...], loads: list[Floats]) -> Kind:
        """Other loads leave less to import; what is exported is not netted against them."""
        left_A = np.maximum(self.limits.current_A - meters.taken_A[:, :, None], 0.0)
        left_A = np.minimum(left_A, meters.at_most_A[:, :, None])
        left_A[:, ~meters.metered] = np.inf
        left_A[..., self.demand.slots :] = np.inf
        capacities = list(left_A) if labels == PHASES else [left_A.min(axis=0)]
        return Kind("A", labels, loads, capacities, self._named("meter"), is_of_meter=True)

    def _unbalance_kind(self, most_A: Floats, phases: Floats, loaded: Floats) -> Kind:
        """Limit the difference between phases; an EVSE of unknown rotation counts as on the higher one.

        So does one that does not draw at present: it may load a phase at any moment, but balances none.
        """
        capacity = np.broadcast_to(most_A, self.limits.current_A.shape)
        uncertain = (loaded.sum(axis=0) > phases) & (phases < 3)
        least = np.where(self.demand.urgency == WANTS, -1.0, 0.0)[:, None]
        pairs = list(permutations(range(3), 2))
        differences = [np.where(uncertain, loaded[high], loaded[high] - loaded[low]) for high, low in pairs]
        return Kind(
            "A",
            tuple(f"{PHASES[high]} over {PHASES[low]}" for high, low in pairs),
            [np.maximum(difference, least) for difference in differences],
            [capacity] * len(pairs),
            self._named("max_unbalance_A"),
            opposing=True,
        )

    def _setpoint_kinds(
        self, setpoints: Setpoints, labels: tuple[str, ...], loads: list[Floats], watts: Floats
    ) -> Iterator[Kind]:
        """Apply each setpoint to the EVSEs below it that obey none of a better priority."""
        slots = self.demand.slots
        directions = self.demand.takes_part.shape[1] // slots

        names = setpoints.source.ravel().tolist()
        numbers = np.tile(np.arange(len(names)).reshape(-1, slots), directions)
        sources = Sources(numbers, len(names), lambda chosen: [names[number] for number in chosen])
        for priority in np.unique(setpoints.priority[setpoints.priority < NO_PRIORITY]).tolist():
            obeys = np.tile(setpoints.governing(self.tree) == priority, directions)
            current_A, power_W = (
                np.concatenate([_up_to(values), _up_to(-values)][:directions], axis=1)
                for values in (
                    np.where(setpoints.priority == priority, values, np.nan)
                    for values in (setpoints.current_A, setpoints.power_W)
                )
            )
            yield Kind("A", labels, [load * obeys for load in loads], [current_A] * len(labels), sources)
            yield Kind("W", ("power",), [watts * obeys], [power_W / self.limits.watt_scale], sources)


def _up_to(setpoint: Floats) -> Floats:
    """Turn a setpoint into a limit in its direction; NaN is no setpoint."""
    return np.where(np.isnan(setpoint), np.inf, np.maximum(setpoint, 0.0))
