"""Reads the import and export schedules of all nodes into arrays over (node, slot)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from energy_management.coverage import Bools, Floats, Ints, everywhere, exists
from energy_management.timeline import Timeline, parse_timestamp
from energy_management.tree import MalformedRequestError, Node

HIGHEST = 1e9
"""No current [A] or power [W] above this is believed."""

_ABSENT = 1e300
"""Stands for a limit that is absent until it becomes infinite."""


class _Field(NamedTuple):
    """A limit of EVerest's `LimitsReq`: its name, what it is where it is absent, and its range."""

    name: str
    absent: float
    lowest: float
    highest: float


CURRENT_A, POWER_W, MAX_PHASES, MIN_CURRENT_A, MIN_PHASES, ACTIVE_PHASES, CAN_SWITCH, EFFICIENCY = range(8)
"""Rows of `Limits.values`."""

_FIELDS = (
    _Field("ac_max_current_A", _ABSENT, 0, HIGHEST),
    _Field("total_power_W", _ABSENT, 0, HIGHEST),
    _Field("ac_max_phase_count", _ABSENT, 1, HIGHEST),
    _Field("ac_min_current_A", 0, 0, HIGHEST),
    _Field("ac_min_phase_count", 1, 0, HIGHEST),
)
LIMIT_NAMES = tuple(field.name for field in _FIELDS)
_UPPER = slice(CURRENT_A, MAX_PHASES + 1)
_LOWER = slice(MIN_CURRENT_A, MIN_PHASES + 1)
_LOWEST = np.array([[field.lowest] for field in _FIELDS])
_HIGHEST = np.array([[field.highest] for field in _FIELDS])

_DEFAULTS = [(field.name, field.absent) for field in _FIELDS]

_ALLOWS_ALL: Node = {"timestamp": "", "limits_to_root": {}, "limits_to_leaves": {}}


class Limits(NamedTuple):
    """What nodes allow, or what EVSEs ask for, in one direction; both sides merged, as of the root side.

    Attributes
    ----------
    values : ndarray, shape (8, nodes, slots)
        Greatest current per phase and power, and greatest number of phases, infinite where there is no such
        limit; least current and number of phases; for EVSEs, phases offered at present and whether these may
        change while charging; power on the leaves side for 1 W on the root side.
    entry : ndarray of int, shape (nodes, slots)
        The entry of `Schedules` that is in force.
    """

    values: Floats
    entry: Ints

    def beside(self, others: Limits) -> Limits:
        """Put the slots of others after these."""
        return Limits(
            np.concatenate([self.values, others.values], axis=2),
            np.concatenate([self.entry, others.entry], axis=1),
        )


class Stamps:
    """The timestamps of schedules; schedules with the same ones share them."""

    def __init__(self) -> None:
        self.ladders: list[list[int]] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        self._parsed: dict[str, int] = {}

    def read(self, texts: Sequence[str]) -> int:
        """Read which ladder of timestamps a schedule has."""
        found = tuple(texts)
        number = self._numbers.get(found)
        if number is None:
            number = self._numbers[found] = len(self.ladders)
            self.ladders.append([self._parse(text) for text in found])
        return number

    def _parse(self, text: str) -> int:
        found = self._parsed.get(text)
        if found is None:
            found = self._parsed[text] = parse_timestamp(text)
        return found

    def all(self) -> list[int]:
        """Every timestamp once, in milliseconds."""
        return list(self._parsed.values())


class Schedules(NamedTuple):
    """The schedules of all nodes, entry by entry: of import, of export, and two for nodes without.

    Attributes
    ----------
    values : ndarray, shape (8, entries)
        As in `Limits`. The last but one entry allows everything, the last one nothing.
    sides : tuple of lists of dict
        The limits of the entries as they were read, to the root and to the leaves.
    from_leaves : ndarray of bool, shape (3, entries)
        Where greatest current, power and number of phases are those of the leaves side.
    ladders : ndarray of int, shape (nodes of import and of export,)
        Which timestamps each schedule has.
    begins : ndarray of int, shape (nodes of import and of export, 1)
        The first entry of each schedule.
    """

    values: Floats
    sides: tuple[list[Node], list[Node]]
    from_leaves: Bools
    ladders: Ints
    begins: Ints

    def in_force(self, timeline: Timeline, ladders: Sequence[Sequence[int]]) -> tuple[Limits, Limits]:
        """Find the limits of all nodes in all slots, for import and for export."""
        chosen = np.array(
            [timeline.entries_in_force(ladder) if ladder else timeline.first_entry for ladder in ladders]
        )
        entry = chosen[self.ladders] + self.begins
        values = self.values.take(entry, axis=1)
        nodes = len(entry) // 2
        return Limits(values[:, :nodes], entry[:nodes]), Limits(values[:, nodes:], entry[nodes:])

    def sources(self, field: int, entries: list[int]) -> list[str]:
        """Who set a limit in some entries; empty where there is no such limit."""
        name = _FIELDS[field].name
        root, leaves = self.sides
        if exists(self.from_leaves):
            from_leaves = self.from_leaves[field].tolist()
            sides = [leaves[entry] if from_leaves[entry] else root[entry] for entry in entries]
        else:
            sides = [root[entry] for entry in entries]
        sources = [side[name].get("source", "") if name in side else "" for side in sides]
        if {*map(type, sources)} <= {str}:
            return sources
        return [source if isinstance(source, str) else "" for source in sources]


def read_schedules(nodes: Sequence[Node], stamps: Stamps) -> Schedules:
    """Read `schedule_import` and `schedule_export` of all nodes.

    Raises
    ------
    MalformedRequestError, KeyError, TypeError, ValueError, AttributeError, OverflowError
        When anything in them is not what EVerest's types promise.
    """
    schedules = [node.get("schedule_import", []) for node in nodes]
    schedules += [node.get("schedule_export", []) for node in nodes]
    if not {*map(type, schedules)} <= {list}:
        raise MalformedRequestError
    begins = list(accumulate(map(len, schedules), initial=0))
    entries = [*chain.from_iterable(schedules), _ALLOWS_ALL, _ALLOWS_ALL]
    texts, root, leaves, *facts = _read_entries(entries)
    two_sided = [position for position, side in enumerate(leaves) if side]
    limits = _read_limits(root + [leaves[position] for position in two_sided])
    values = np.empty((8, len(entries)))
    values[: len(_FIELDS)] = limits[:, : len(entries)]
    values[len(_FIELDS) :] = _check_facts(*facts, exports=begins[len(nodes)])
    from_leaves = _merge_leaves(values, limits[:, len(entries) :], two_sided)
    values[CURRENT_A, -1] = 0.0
    _ask_for_something(values, nodes, begins)
    ladders = [stamps.read(texts[begin:end]) for begin, end in pairwise(begins)]
    for number, schedule in enumerate(schedules):
        if not schedule:
            begins[number] = begins[-1] + (not _passes(nodes[number % len(nodes)]))
    return Schedules(values, (root, leaves), from_leaves, np.array(ladders), np.array(begins[:-1])[:, None])


def _passes(node: Node) -> bool:
    """Whether a node lets everything pass in a direction for which it has no schedule."""
    return node["node_type"] != "Evse" and not (node.get("schedule_import") or node.get("schedule_export"))


def _ask_for_something(values: Floats, nodes: Sequence[Node], begins: list[int]) -> None:
    """Let entries of EVSEs that name neither current nor power ask for nothing."""
    names_none = np.minimum(values[CURRENT_A, :-2], values[POWER_W, :-2]) == np.inf
    for position in names_none.nonzero()[0].tolist():
        schedule = bisect_right(begins, position) - 1
        if nodes[schedule % len(nodes)]["node_type"] == "Evse":
            values[CURRENT_A, position] = 0.0


def _merge_leaves(values: Floats, others: Floats, at: list[int]) -> Bools:
    """Merge limits of the leaves side into those of the root side; where they are lower is returned."""
    from_leaves = np.zeros((3, values.shape[1]), dtype=np.bool_)
    if at:
        others[POWER_W] /= values[EFFICIENCY, at]
        upper = values[_UPPER, at]
        from_leaves[:, at] = others[_UPPER] < upper
        values[_UPPER, at] = np.minimum(upper, others[_UPPER])
        values[_LOWER, at] = np.maximum(values[_LOWER, at], others[_LOWER])
    return from_leaves


def _read_entries(entries: Sequence[Node]) -> list[list[Any]]:
    """Read all of entries but their limits, each visited only once, as they are more than caches hold.

    Timestamps, limits to the root and to the leaves, phases at present, whether they may change, and
    efficiency. An EVSE that does not tell is on three phases.
    """
    found = [
        each
        for entry in entries
        for root in [entry["limits_to_root"]]
        for each in (
            entry["timestamp"],
            root,
            entry["limits_to_leaves"],
            root.get("ac_number_of_active_phases", 3),
            root.get("ac_supports_changing_phases_during_charging", False),
            entry.get("conversion_efficiency", 1.0),
        )
    ]
    columns = [found[column::6] for column in range(6)]
    if not {*map(type, columns[2])} <= {dict}:
        raise MalformedRequestError
    return columns


def _read_limits(sides: list[Node]) -> Floats:
    """Read the values of all fields, shape (fields, sides)."""
    found = [side[name]["value"] if name in side else absent for side in sides for name, absent in _DEFAULTS]
    phases = {*found[MAX_PHASES :: len(_FIELDS)], *found[MIN_PHASES :: len(_FIELDS)]}
    if not {*map(type, found)} <= {int, float} or not all(float(each).is_integer() for each in phases):
        raise MalformedRequestError
    values = np.array(found, dtype=np.float64).reshape(-1, len(_FIELDS)).T.copy()
    absent = values == _ABSENT
    if not everywhere((values >= _LOWEST) & ((values <= _HIGHEST) | absent)):
        raise MalformedRequestError
    values[absent] = np.inf
    return values


def _check_facts(
    active: list[int], can_switch: list[bool], efficiency: list[float], *, exports: int
) -> Sequence[Sequence[float]]:
    """Phases at present, whether they may change, and the power on the leaves side for 1 W on the root side.

    Entries from `exports` on are of export.
    """
    phases, different = {*active}, {*efficiency}
    if not (phases <= {0, 1, 2, 3} and {*map(type, active)} <= {int}):
        raise MalformedRequestError
    if not {*map(type, can_switch)} <= {bool}:
        raise MalformedRequestError
    if not ({*map(type, efficiency)} <= {int, float} and all(0 < each <= 1 for each in different)):
        raise MalformedRequestError
    if 0 in phases:
        active = [number or 3 for number in active]
    if len(different) > 1:
        efficiency[exports:] = [1 / each for each in efficiency[exports:]]
    return active, can_switch, efficiency


def is_limit(name: str, value: Any) -> bool:
    """Whether a value is possible for a limit of this name."""
    field = next(field for field in _FIELDS if field.name == name)
    if type(value) not in (int, float) or not field.lowest <= value <= field.highest:
        return False
    return "phase" not in name or value == int(value)
