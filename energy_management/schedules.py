"""Reads the import and export schedules of all nodes: their form, which is mostly known, and amounts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from energy_management.coverage import Bools, Floats, everywhere, exists
from energy_management.fields import (
    ABSENT,
    AMOUNTS,
    CURRENT_A,
    FIELDS,
    HIGHEST,
    MAX_PHASES,
    MIN_CURRENT_A,
    MIN_PHASES,
    POWER_W,
)
from energy_management.form import Form, Outline
from energy_management.tree import MalformedRequestError, Node, Tree

_DEFAULTS = [(field.name, field.absent) for field in FIELDS]

_ALLOWS_ALL: Node = {"timestamp": "", "limits_to_root": {}, "limits_to_leaves": {}}
_ALLOWS_NOTHING: Node = {**_ALLOWS_ALL, "limits_to_root": {"ac_max_current_A": {"value": 0.0}}}


class Schedules(NamedTuple):
    """The schedules of all nodes, entry by entry: of import, of export, and two for nodes without.

    Attributes
    ----------
    form : Form
        What they are beside amounts.
    amounts : ndarray, shape (3, entries)
        Greatest current and power, infinite where there is no such limit, and least current.
    sides : tuple of lists of dict
        The limits of the entries as they were read, to the root and to the leaves.
    from_leaves : ndarray of bool, shape (fields, entries), or None
        Where greatest current, power and number of phases are those of the leaves side; None if nowhere.
    """

    form: Form
    amounts: Floats
    sides: tuple[list[Node], list[Node]]
    from_leaves: Bools | None

    def sources(self, field: int, entries: list[int]) -> list[str]:
        """Who set a limit in some entries; empty where there is no such limit."""
        name = FIELDS[field].name
        root, leaves = self.sides
        from_leaves = None if self.from_leaves is None else self.from_leaves[field]
        found = []
        for entry in entries:
            side = root[entry] if from_leaves is None or not from_leaves[entry] else leaves[entry]
            source = side[name].get("source") if name in side else None
            found.append(source if isinstance(source, str) else "")
        return found


def read_schedules(tree: Tree, known: Form | None) -> Schedules:
    """Read `schedule_import` and `schedule_export` of all nodes.

    Parameters
    ----------
    tree : Tree
    known : Form or None
        Which form they probably have.

    Raises
    ------
    MalformedRequestError, KeyError, TypeError, ValueError, AttributeError, OverflowError
        When anything in them is not what EVerest's types promise.
    """
    directions = ("schedule_import", "schedule_export")
    schedules = [node.get(direction, []) for direction in directions for node in tree.nodes]
    if not {*map(type, schedules)} <= {list}:
        raise MalformedRequestError
    entries = [*chain.from_iterable(schedules), _ALLOWS_ALL, _ALLOWS_NOTHING]
    timestamps, root, leaves, *facts = _read_entries(entries)
    two_sided = [position for position, side in enumerate(leaves) if side]
    limits = _read_limits(root + [leaves[position] for position in two_sided])
    outline = Outline(
        tree.coverage,
        [*map(len, schedules)],
        timestamps,
        two_sided,
        limits[MAX_PHASES],
        limits[MIN_PHASES],
        *facts,
    )
    form = known if known is not None and known.outline == outline else Form(outline, tree)
    amounts = _amounts(limits[AMOUNTS])
    from_leaves = _merge_leaves(amounts, form, len(entries)) if two_sided else None
    amounts = amounts[:, : len(entries)]
    without_current = form.of_evse & (amounts[CURRENT_A] == np.inf)
    if exists(without_current):  # an EVSE that names no power either asks for nothing
        amounts[CURRENT_A][without_current & (amounts[POWER_W] == np.inf)] = 0.0
    return Schedules(form, amounts, (root, leaves), from_leaves)


def _merge_leaves(amounts: Floats, form: Form, entries: int) -> Bools:
    """Merge limits of the leaves side into those of the root side; where they are lower is returned."""
    at = form.outline.two_sided
    others = amounts[:, entries:]
    others[POWER_W] /= form.efficiency[at]
    from_leaves = np.zeros((len(FIELDS), entries), dtype=np.bool_)
    from_leaves[AMOUNTS, at] = others < amounts[:, at]
    from_leaves[MAX_PHASES, at] = form.fewer_to_leaves
    for field, merge in ((MIN_CURRENT_A, np.maximum), (CURRENT_A, np.minimum), (POWER_W, np.minimum)):
        amounts[field, at] = merge(amounts[field, at], others[field])
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
    leaves, active, can_switch, efficiency = [{*map(type, column)} for column in columns[2:]]
    if not (leaves <= {dict} and active <= {int} and can_switch <= {bool} and efficiency <= {int, float}):
        raise MalformedRequestError
    return columns


def _read_limits(sides: list[Node]) -> list[list[float]]:
    """Read the values of each field on all sides."""
    found = [side[name]["value"] if name in side else absent for side in sides for name, absent in _DEFAULTS]
    if not {*map(type, found)} <= {int, float}:
        raise MalformedRequestError
    return [found[field :: len(FIELDS)] for field in range(len(FIELDS))]


def _amounts(found: list[list[float]]) -> Floats:
    """Check currents and powers, shape (3, sides)."""
    amounts = np.array(found, dtype=np.float64)
    absent = amounts == ABSENT
    if not everywhere(amounts >= 0.0) or exists((amounts > HIGHEST) ^ absent):
        raise MalformedRequestError
    amounts[absent] = np.inf
    return amounts
