"""What each EVSE asks for: how urgently, in which direction, how much at least and on which phases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energy_management.coverage import Bools, Floats, Ints, exists
from energy_management.form import Limits, Slots
from energy_management.setpoints import NO_PRIORITY, Setpoints
from energy_management.tree import Tree
from energy_management.tree_attributes import TreeAttributes

WANTS, WAITS, IDLE = 0, 1, 2
"""Urgency: draws or wants to; may resume at any moment, so its minimum is kept; no car that could draw."""

URGENCY = {
    "Charging": WANTS,
    "PrepareCharging": WANTS,
    "WaitForEnergy": WANTS,
    "PausedEVSE": WANTS,
    "WaitForAuth": WAITS,
    "PausedEV": WAITS,
    "Unplugged": IDLE,
    "Finished": IDLE,
    "Disabled": IDLE,
}
"""Urgency by `evse_state` of EVerest; a request without a state wants."""


class Demand(NamedTuple):
    """What the EVSEs ask for. Arrays are over (EVSE, slot).

    Where any EVSE exports, the slots of export follow those of import, so that each appears twice.

    Attributes
    ----------
    urgency, priority : ndarray of int, shape (evses,)
    has_car : ndarray of bool, shape (evses,)
        There may be a car that draws, now or at any moment.
    rank : ndarray of float, shape (evses, 1)
        Which class each EVSE is of. Classes are filled one after the other: EVSEs that want by priority, then
        those that wait, then those without a car.
    classes : list of ndarray of bool, each of shape (evses, 1)
        The members of each class in that order.
    weight : ndarray of float, shape (evses, 1)
    exporting : ndarray of bool, shape (evses, slots of the timeline)
        Who is asked to export.
    takes_part : ndarray of bool
        Import or export, whatever this slot is about, is what the EVSE is asked to do.
    minimum_A : ndarray of float
        It draws at least this, or nothing.
    fewest_phases, most_phases, present_phases : ndarray of float
        Allowed numbers of phases, and on how many it is now; whole numbers.
    can_switch : ndarray of bool
        Its hardware can change phases while charging.
    """

    urgency: Ints
    priority: Ints
    has_car: Bools
    rank: Floats
    classes: list[Bools]
    weight: Floats
    exporting: Bools
    takes_part: Bools
    minimum_A: Floats
    fewest_phases: Floats
    most_phases: Floats
    present_phases: Floats
    can_switch: Bools

    @property
    def with_car(self) -> Bools:
        """Who takes part and may draw, now or at any moment."""
        with_car: Bools = self.takes_part & self.has_car[:, None]
        return with_car

    @property
    def without_car(self) -> Bools:
        """Who takes part, but only in what nobody else wants."""
        without_car: Bools = self.takes_part & ~self.has_car[:, None]
        return without_car

    def asked_for(self, *arrays: NDArray[Any]) -> Sequence[NDArray[Any]]:
        """Take arrays over (..., EVSE, slot), export after import, in the direction asked of each EVSE."""
        slots = self.slots
        if arrays[0].shape[-1] == slots:
            return arrays
        return [np.where(self.exporting, values[..., slots:], values[..., :slots]) for values in arrays]

    @property
    def slots(self) -> int:
        """The number of slots of the timeline."""
        return int(self.exporting.shape[1])

    def in_slot(self, slot: int) -> Demand:
        """Narrow it to one slot."""
        only = slice(slot, slot + 1)
        return self._replace(
            exporting=self.exporting[:, only],
            takes_part=self.takes_part[:, only],
            minimum_A=self.minimum_A[:, only],
            fewest_phases=self.fewest_phases[:, only],
            most_phases=self.most_phases[:, only],
            present_phases=self.present_phases[:, only],
            can_switch=self.can_switch[:, only],
        )


class Standing(NamedTuple):
    """How EVSEs stand to each other; the fields are those of `Demand`."""

    urgency: Ints
    priority: Ints
    has_car: Bools
    rank: Floats
    classes: list[Bools]
    weight: Floats


@lru_cache(maxsize=8)
def standing_of(states: tuple[str, ...], ranking: tuple[tuple[int, float], ...]) -> Standing:
    """Find it from the states of EVSEs, their priorities and weights; it hardly changes from run to run."""
    urgency = [URGENCY[state] for state in states]
    priority, weight = zip(*ranking, strict=True)
    classes = [
        (urgent, -found if urgent == WANTS else 0) for urgent, found in zip(urgency, priority, strict=True)
    ]
    numbers = {each: number for number, each in enumerate(sorted({*classes}))}
    rank = np.array([float(numbers[each]) for each in classes])[:, None]
    return Standing(
        np.array(urgency),
        np.array(priority),
        np.array(urgency) != IDLE,
        rank,
        [rank == number for number in range(len(numbers))],
        np.array(weight)[:, None],
    )


def export_asked(tree: Tree, slots: Slots, amounts: Floats, setpoints: Setpoints | None) -> Bools:
    """Who is to export: where a setpoint says so, or the EVSE itself wants no import but offers export.

    An import limit of zero that somebody above sets never makes an EVSE export.
    """
    asked = slots.exports.offers(amounts) > 0.0
    if exists(asked):
        asked &= slots.imports.offers(amounts) <= 0.0
    if setpoints is None:
        return asked
    governed = setpoints.governing(tree) < NO_PRIORITY
    return np.where(governed, setpoints.discharging(tree), asked)


def read_demand(tree: Tree, limits: Limits, exporting: Bools, attributes: TreeAttributes) -> Demand:
    """Read the demand of all EVSEs from the limits on their way to the root."""
    standing = standing_of(tuple(tree.evse_states), attributes.ranking)
    imports_only = limits.entry.shape[1] == exporting.shape[1]
    return Demand(
        urgency=standing.urgency,
        priority=standing.priority,
        has_car=standing.has_car,
        rank=standing.rank,
        classes=standing.classes,
        weight=standing.weight,
        exporting=exporting,
        takes_part=~exporting if imports_only else np.concatenate([~exporting, exporting], axis=1),
        minimum_A=tree.coverage.above(np.maximum, limits.minimum_A),
        fewest_phases=limits.phases.fewest,
        most_phases=limits.phases.most,
        present_phases=limits.phases.present,
        can_switch=limits.phases.can_switch,
    )
