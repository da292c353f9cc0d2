"""The form of a request: what its schedules are beside currents and powers.

A site asks every second with other amounts, but hardly ever in another form. So what follows from the form
and from the entries that are in force is found once, and kept until one of them is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from energy_management.coverage import Bools, Coverage, Floats, Ints, everywhere
from energy_management.fields import ABSENT, CURRENT_A, HIGHEST, POWER_W
from energy_management.timeline import Timeline, parse_timestamp
from energy_management.tree import MalformedRequestError, Tree


class Outline(NamedTuple):
    """What makes the form of a request, as it was read. Two that are equal are of the same form.

    Attributes
    ----------
    coverage : Coverage
        Stands for the shape of the tree.
    lengths : list of int
        How many entries each schedule has: of import of all nodes, then of export. Two entries follow for
        nodes without: the first allows everything, the second nothing.
    timestamps : list of str
        Of all entries, as everything below.
    two_sided : list of int
        Which of them have limits to the leaves.
    most_phases, fewest_phases : list of float
        To the root, and then those to the leaves.
    active_phases : list of int
    can_switch : list of bool
    efficiency : list of float
    """

    coverage: Coverage
    lengths: list[int]
    timestamps: list[str]
    two_sided: list[int]
    most_phases: list[float]
    fewest_phases: list[float]
    active_phases: list[int]
    can_switch: list[bool]
    efficiency: list[float]


class Phases(NamedTuple):
    """On how many phases EVSEs may charge and do; arrays over (EVSE, slot), never changed.

    Attributes
    ----------
    fewest, most, present : ndarray of float
        Allowed numbers, by all nodes on the way to the root, and on how many it is now; whole numbers.
    can_switch : ndarray of bool
        Its hardware can change phases while charging.
    reported : ndarray of float
        On how many it says to be.
    most_by : ndarray of bool, shape (pairs, slots)
        Which nodes on the way allow no more phases than the EVSE has at most.
    most_at_root : ndarray of float, shape (1, slots)
        What the root itself allows, infinite without such a limit.
    """

    fewest: Floats
    most: Floats
    present: Floats
    can_switch: Bools
    reported: Floats
    most_by: Bools
    most_at_root: Floats


class Limits(NamedTuple):
    """What nodes allow, and what EVSEs ask for; both sides merged, as of the root side.

    Attributes
    ----------
    current_A, power_W : ndarray, shape (nodes, slots)
        Greatest current per phase and power, infinite where there is no such limit.
    minimum_A : ndarray, shape (nodes, slots)
        Least current.
    entry : ndarray of int, shape (nodes, slots)
        The entry of `Schedules` that is in force.
    watt_scale : ndarray, shape (nodes, slots)
        Power at the root side of a node for 1 W at the root of the tree.
    phases : Phases
        Those of EVSEs that follow.
    """

    current_A: Floats
    power_W: Floats
    minimum_A: Floats
    entry: Ints
    watt_scale: Floats
    phases: Phases

    def beside(self, others: Limits) -> Limits:
        """Put the slots of others after these."""
        return Limits(
            _side_by_side(self.current_A, others.current_A),
            _side_by_side(self.power_W, others.power_W),
            _side_by_side(self.minimum_A, others.minimum_A),
            _side_by_side(self.entry, others.entry),
            _side_by_side(self.watt_scale, others.watt_scale),
            Phases(*map(_side_by_side, self.phases, others.phases)),
        )


def _side_by_side(slots: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate((slots, more), axis=1)


class Form:
    """What follows from an outline.

    Parameters
    ----------
    outline : Outline
    tree : Tree
        Of that shape.

    Attributes
    ----------
    of_evse : ndarray of bool, shape (entries,)
        Which entries are those of EVSEs.
    facts : ndarray, shape (5, entries)
        Greatest and least number of phases; for EVSEs, phases offered at present and whether these may change
        while charging; power on the leaves side for 1 W on the root side.
    efficiency : ndarray, shape (entries,)
        The last of these.
    fewer_to_leaves : ndarray of bool, shape (two-sided entries,)
        Where the limits to the leaves allow fewer phases than those to the root.

    Raises
    ------
    MalformedRequestError, TypeError, ValueError, OverflowError
        When anything is not what EVerest's types promise.
    """

    def __init__(self, outline: Outline, tree: Tree) -> None:
        self.outline = outline
        self._tree = tree
        is_evse = np.zeros(len(tree.nodes), dtype=np.bool_)
        is_evse[tree.evses] = True
        self.of_evse = np.append(np.tile(is_evse, 2).repeat(outline.lengths), (False, False))
        begins = list(accumulate(outline.lengths, initial=0))
        self.facts, self.fewer_to_leaves = _facts(outline, exports=begins[len(is_evse)])
        self.efficiency = self.facts[-1]
        self._ladders: list[list[int]] = []
        self._numbers = np.array(self._read_ladders(begins))
        self._first_entries = _first_entries(begins, is_evse)[:, None]
        self._slots: Slots | None = None

    def _read_ladders(self, begins: list[int]) -> list[int]:
        """Read the timestamps of all schedules; those with the same ones share a ladder."""
        numbers: dict[tuple[str, ...], int] = {}
        found = []
        for begin, end in pairwise(begins):
            texts = tuple(self.outline.timestamps[begin:end])
            if texts not in numbers:
                numbers[texts] = len(numbers)
                self._ladders.append([parse_timestamp(text) for text in texts])
            found.append(numbers[texts])
        return found

    def in_slots(self, now: datetime, interval_min: int, total_h: int, others: list[int]) -> Slots:
        """Find it in the slots that there are now, by its timestamps and others."""
        if self._slots is None or not self._slots.hold(now, others):
            stamps = set(others).union(*self._ladders)
            timeline = Timeline.build(now, interval_min, total_h, stamps)
            chosen = np.array([timeline.entries_in_force(ladder) for ladder in self._ladders])
            entry = chosen[self._numbers] + self._first_entries
            self._slots = Slots(self, self._tree, timeline, others, entry)
        return self._slots


class Direction(NamedTuple):
    """What is kept for import or export: all of `Limits` but the amounts.

    Attributes
    ----------
    entry, watt_scale, phases
        As there.
    own : ndarray of int, shape (evses, slots)
        The entries of the EVSEs themselves.
    """

    entry: Ints
    watt_scale: Floats
    phases: Phases
    own: Ints

    @classmethod
    def build(cls, form: Form, tree: Tree, entry: Ints) -> Self:
        """Find it from the entries that are in force, shape (nodes, slots)."""
        *facts, efficiency = form.facts.take(entry, axis=1)
        phases = _phases(facts, tree)
        return cls(entry, _watt_scale(efficiency, tree.parents), phases, entry.take(tree.evses, 0))

    def offers(self, amounts: Floats) -> Floats:
        """Find the lesser of the current and power that each EVSE names; only its sign means anything."""
        least: Floats = np.minimum(amounts[CURRENT_A], amounts[POWER_W]).take(self.own)
        return least

    def limits(self, amounts: Floats) -> Limits:
        """Find the limits of all nodes in all slots from the amounts of all entries."""
        current_A, power_W, minimum_A = amounts.take(self.entry, axis=1)
        return Limits(current_A, power_W, minimum_A, self.entry, self.watt_scale, self.phases)


class Slots:
    """A form in the slots of a timeline.

    Parameters
    ----------
    form : Form
    tree : Tree
        Of that form.
    timeline : Timeline
    others : list of int
        Timestamps that made slots beside those of the form.
    entry : ndarray of int, shape (nodes of import and of export, slots)
        Which entry is in force.

    Attributes
    ----------
    imports, exports : Direction
    """

    def __init__(self, form: Form, tree: Tree, timeline: Timeline, others: list[int], entry: Ints) -> None:
        self.timeline = timeline
        self._others = others
        imports, exports = entry.reshape(2, -1, entry.shape[1])
        self.imports, self.exports = (Direction.build(form, tree, each) for each in (imports, exports))

    def hold(self, now: datetime, others: list[int]) -> bool:
        """Whether these are the slots at a time, and everything is in force that was when they were made."""
        return others == self._others and self.timeline.holds(now)


def _first_entries(begins: list[int], is_evse: Bools) -> Ints:
    """Find the first entry of each schedule; one that has none has that which allows all, or nothing.

    A node lets everything pass that has a schedule in neither direction.
    """
    first, end = np.array(begins[:-1]), begins[-1]
    import_is_empty, export_is_empty = (first == begins[1:]).reshape(2, -1)
    passes = np.tile(import_is_empty & export_is_empty & ~is_evse, 2)
    return np.where(first == begins[1:], np.where(passes, end, end + 1), first)


def _watt_scale(efficiency: Floats, parents: list[int]) -> Floats:
    """Find the power at the root side of each node for 1 W at the root of the tree."""
    scale = np.ones(efficiency.shape)
    if (efficiency[parents[1:]] != 1).any():
        for position in range(1, len(parents)):
            scale[position] = scale[parents[position]] * efficiency[parents[position]]
    scale.flags.writeable = False  # other runs will see it
    return scale


def _phases(facts: Sequence[Floats], tree: Tree) -> Phases:
    """Collect the limits of phases on the way of each EVSE to the root."""
    coverage = tree.coverage
    most, fewest, active, can_switch = facts
    reported = active.take(tree.evses, 0)
    most_phases = np.minimum(coverage.above(np.minimum, most), 3.0)
    phases = Phases(
        np.maximum(coverage.above(np.maximum, fewest), 1),
        most_phases,
        np.minimum(reported, most_phases),
        can_switch.take(tree.evses, 0) > 0,
        reported,
        most.take(coverage.pair_node, 0) == most_phases.take(coverage.pair_evse, 0),
        most[:1],
    )
    for each in phases:
        each.flags.writeable = False
    return phases


def _facts(outline: Outline, exports: int) -> tuple[Floats, Bools]:
    """Merge both sides; entries from `exports` on are of export. Says also where the leaves allow less."""
    entries, at = len(outline.timestamps), outline.two_sided
    facts = np.empty((5, entries))
    most, fewest, active, can_switch, efficiency = facts
    limits = _checked_phases(outline)
    most[:], fewest[:] = limits[:, :entries]
    most_to_leaves, fewest_to_leaves = limits[:, entries:]
    fewer_to_leaves = most_to_leaves < most[at]
    most[at] = np.minimum(most[at], most_to_leaves)
    fewest[at] = np.maximum(fewest[at], fewest_to_leaves)
    if not {*outline.active_phases} <= {0, 1, 2, 3}:
        raise MalformedRequestError
    active[:] = [number or 3 for number in outline.active_phases]
    can_switch[:] = outline.can_switch
    if not all(0 < each <= 1 for each in {*outline.efficiency}):
        raise MalformedRequestError
    efficiency[:] = outline.efficiency
    efficiency[exports:] = 1 / efficiency[exports:]
    return facts, fewer_to_leaves


def _checked_phases(outline: Outline) -> Floats:
    """Limits of numbers of phases, the greatest and the least."""
    limits = np.array([outline.most_phases, outline.fewest_phases], dtype=np.float64)
    absent = limits == ABSENT
    is_possible = (limits >= [[1], [0]]) & (limits <= HIGHEST) & (limits == np.floor(limits))
    if not everywhere(is_possible | absent):
        raise MalformedRequestError
    limits[absent] = np.inf
    return limits
