"""Setpoints: targets that a node sets for all EVSEs below it, charging or discharging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from energy_management.coverage import Bools, Floats, Ints, Objects
from energy_management.fields import HIGHEST
from energy_management.measurement import Reading
from energy_management.timeline import Timeline, parse_timestamp
from energy_management.tree import MalformedRequestError, Node, Tree

NO_PRIORITY = 1001
"""Above the lowest priority of EVerest's types, which is 1000; the highest is 0."""


@dataclass(frozen=True)
class Setpoints:
    """The setpoint of each node in each slot, shape (nodes, slots); positive is charging.

    Attributes
    ----------
    current_A, power_W : ndarray of float
        NaN where the setpoint is of the other kind or absent.
    priority : ndarray of int
        `NO_PRIORITY` where there is none.
    source : ndarray of str
        Who set it.
    """

    current_A: Floats
    power_W: Floats
    priority: Ints
    source: Objects

    def governing(self, tree: Tree) -> Ints:
        """Find the priority that each EVSE obeys: the best, so the lowest number, of the nodes above it."""
        return tree.coverage.above(np.minimum, self.priority)

    def discharging(self, tree: Tree) -> Bools:
        """Which EVSEs are told to discharge in which slot, by a setpoint of the priority that they obey."""
        pairs = tree.coverage
        negative = (self.current_A < 0) | (self.power_W < 0)
        obeyed = self.priority[pairs.pair_node] == self.governing(tree)[pairs.pair_evse]
        told = negative[pairs.pair_node] & obeyed
        return pairs.over_pairs(np.logical_or, told)


def read_setpoints(tree: Tree) -> list[tuple[int, list[Node], list[int]]]:
    """Find the nodes that have setpoints, with these and their timestamps.

    Raises
    ------
    MalformedRequestError, KeyError, TypeError, ValueError, AttributeError
        When anything in them is not what EVerest's types promise.
    """
    found = []
    for position, node in enumerate(tree.nodes):
        schedule = node.get("schedule_setpoints", [])
        if not isinstance(schedule, list):
            raise MalformedRequestError
        if schedule:
            for entry in schedule:
                check_setpoint(entry.get("setpoint"))
            found.append((position, schedule, [parse_timestamp(entry["timestamp"]) for entry in schedule]))
    return found


def place_setpoints(
    tree: Tree,
    schedules: Sequence[tuple[int, list[Node], list[int]]],
    timeline: Timeline,
    readings: Mapping[str, Reading],
) -> tuple[Setpoints | None, list[tuple[str, str]]]:
    """Put setpoints into slots, and say which of them cannot be followed.

    A frequency-watt table uses the frequency that is measured at its own node, in `readings` or in the
    request, or else at the nearest one toward the root.
    """
    if not schedules:
        return None, []
    shape = (len(tree.nodes), len(timeline))
    placed = Setpoints(
        np.full(shape, np.nan),
        np.full(shape, np.nan),
        np.full(shape, NO_PRIORITY),
        np.full(shape, "", dtype=object),
    )
    rejected = []
    for position, schedule, stamps in schedules:
        chosen = timeline.entries_in_force(stamps)
        for entry in np.unique(chosen).tolist():
            setpoint = schedule[entry].get("setpoint")
            if setpoint is None:
                continue
            slots = chosen == entry
            table = setpoint.get("frequency_table")
            if "ac_current_A" in setpoint:
                placed.current_A[position, slots] = setpoint["ac_current_A"]
            elif "total_power_W" in setpoint:
                placed.power_W[position, slots] = setpoint["total_power_W"]
            elif table:
                frequency_Hz = _nearest_frequency(tree, position, readings)
                if frequency_Hz is None:
                    rejected.append(
                        (tree.uuids[position], "frequency setpoint without any frequency measured")
                    )
                    continue
                placed.power_W[position, slots] = power_at(table, frequency_Hz)
            else:
                continue
            placed.priority[position, slots] = setpoint["priority"]
            placed.source[position, slots] = setpoint["source"]
    return placed, rejected


def power_at(table: Sequence[Node], frequency_Hz: float) -> float:
    """Power [W] of a frequency-watt table: linear between its points, constant beyond them."""
    points = sorted((point["frequency_Hz"], point["total_power_W"]) for point in table)
    frequencies, powers = zip(*points, strict=True)
    return float(np.interp(frequency_Hz, frequencies, powers))


def frequency_in(node: Node) -> float | None:
    """Find the grid frequency [Hz] that the meter of a node reports, if it does."""
    for side in ("energy_usage_root", "energy_usage_leaves"):
        usage = node.get(side)
        frequency = usage.get("frequency_Hz") if isinstance(usage, dict) else None
        value = frequency.get("L1") if isinstance(frequency, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1000:
            return float(value)
    return None


def _nearest_frequency(tree: Tree, position: int, readings: Mapping[str, Reading]) -> float | None:
    while position >= 0:
        reading = readings.get(tree.uuids[position])
        found = reading.frequency_Hz if reading is not None else None
        if found is None:
            found = frequency_in(tree.nodes[position])
        if found is not None:
            return found
        position = tree.parents[position]
    return None


def check_setpoint(setpoint: Any) -> None:
    """Make sure that a setpoint is what EVerest's types promise; None is no setpoint.

    Raises
    ------
    MalformedRequestError
        Says what about it is malformed.
    """
    if setpoint is None:
        return
    if not isinstance(setpoint, dict):
        raise MalformedRequestError("setpoint is not an object")
    for name in ("ac_current_A", "total_power_W"):
        if name in setpoint and not _is_power_or_current(setpoint[name]):
            raise MalformedRequestError(f"setpoint {name} is no possible value")
    table = setpoint.get("frequency_table", [])
    if not isinstance(table, list) or not all(_is_point(point) for point in table):
        raise MalformedRequestError("setpoint frequency_table is not a list of frequencies and powers")
    priority = setpoint.get("priority")
    if type(priority) is not int or not 0 <= priority < NO_PRIORITY:
        raise MalformedRequestError("setpoint priority is not a whole number from 0 to 1000")
    if not isinstance(setpoint.get("source"), str):
        raise MalformedRequestError("setpoint source is not a text")


def _is_point(point: Any) -> bool:
    return isinstance(point, dict) and all(
        _is_power_or_current(point.get(name)) for name in ("frequency_Hz", "total_power_W")
    )


def _is_power_or_current(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= HIGHEST
