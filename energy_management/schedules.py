"""Reads the import or export schedules of all nodes into arrays over (node, slot)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy_management.coverage import Bools, Floats, Ints
from energy_management.timeline import Timeline, parse_timestamp
from energy_management.tree import MalformedRequestError, Node

Texts = NDArray[np.object_]

HIGHEST = 1e9
"""No current [A] or power [W] above this is believed."""

_NO_LIMIT = 1e300
_EMPTY: Node = {"timestamp": "", "limits_to_root": {}, "limits_to_leaves": {}}


@dataclass(frozen=True)
class Limits:
    """What nodes allow in one direction, or what EVSEs ask for. All arrays have one shape.

    Both sides of a node are merged, converted to its root side. Where there is no limit it is infinite.

    Attributes
    ----------
    current_A, current_source
        Greatest current per phase.
    power_W, power_source
        Greatest power.
    efficiency
        Power on the leaves side for 1 W on the root side.
    min_current_A
        Least current with which an EVSE works; 0 where there is none.
    max_phases, max_phases_source, min_phases
        Allowed numbers of phases. `max_phases` is 4 where it is not limited.
    active_phases, can_switch
        Phases that an EVSE offers at present, and whether it may change that while charging.
    """

    current_A: Floats
    current_source: Texts
    power_W: Floats
    power_source: Texts
    efficiency: Floats
    min_current_A: Floats
    max_phases: Ints
    max_phases_source: Texts
    min_phases: Ints
    active_phases: Ints
    can_switch: Bools

    def at(self, index: Ints) -> Limits:
        """Those at the positions of an index of any shape."""
        return Limits(*(getattr(self, field.name)[index] for field in fields(self)))

    def beside(self, others: Limits) -> Limits:
        """These slots and after them those of others."""
        return Limits(
            *(
                np.concatenate([getattr(self, field.name), getattr(others, field.name)], axis=1)
                for field in fields(self)
            )
        )


class Stamps:
    """Timestamps of a request as milliseconds; each text is parsed once."""

    def __init__(self) -> None:
        self._parsed: dict[str, int] = {}

    def read(self, schedule: Sequence[Node]) -> tuple[int, ...]:
        """The timestamps of a schedule."""
        parsed = self._parsed
        stamps = []
        for entry in schedule:
            text = entry["timestamp"]
            found = parsed.get(text)
            if found is None:
                found = parsed[text] = parse_timestamp(text)
            stamps.append(found)
        return tuple(stamps)

    def all(self) -> list[int]:
        """All that were read."""
        return list(self._parsed.values())


@dataclass(frozen=True)
class Schedules:
    """The schedules of one direction, entry by entry.

    Attributes
    ----------
    limits : Limits
        One per entry of all nodes, and after them one that allows everything and one that allows nothing.
    stamps : list of tuple of int
        Timestamps of the entries of each node.
    """

    limits: Limits
    stamps: list[tuple[int, ...]]

    def in_force(self, timeline: Timeline, passes: Bools) -> Limits:
        """The limits of each node in each slot, shape (nodes, slots).

        `passes` tells for each node whether it allows everything when it has no schedule, or nothing.
        """
        entries = len(self.limits.current_A) - 2
        index = np.empty((len(self.stamps), len(timeline)), dtype=np.int64)
        known: dict[tuple[int, ...], Ints] = {}
        offset = 0
        for position, stamps in enumerate(self.stamps):
            if not stamps:
                index[position] = entries if passes[position] else entries + 1
                continue
            found = known.get(stamps)
            if found is None:
                found = known[stamps] = timeline.entries_in_force(stamps)
            np.add(found, offset, out=index[position])
            offset += len(stamps)
        return self.limits.at(index)


def read_schedules(nodes: Sequence[Node], direction: str, stamps: Stamps) -> Schedules:
    """Read `schedule_import` or `schedule_export` of all nodes; `direction` is "import" or "export".

    Raises
    ------
    MalformedRequestError, KeyError, TypeError, ValueError, AttributeError, OverflowError
        When anything in them is not what EVerest's types promise.
    """
    name = f"schedule_{direction}"
    schedules = [node.get(name, []) for node in nodes]
    if not {*map(type, schedules)} <= {list}:
        raise MalformedRequestError
    entries = [entry for schedule in schedules for entry in schedule]
    entries += [_EMPTY, _EMPTY]
    limits = _merge_sides(
        [entry["limits_to_root"] for entry in entries],
        [entry["limits_to_leaves"] for entry in entries],
        _numbers([entry.get("conversion_efficiency", 1.0) for entry in entries]),
        direction,
    )
    limits.current_A[-1] = 0.0
    return Schedules(limits, [stamps.read(schedule) for schedule in schedules])


def _merge_sides(root: list[Node], leaves: list[Node], efficiency: Floats, direction: str) -> Limits:
    if not ((efficiency > 0) & (efficiency <= 1)).all():
        raise MalformedRequestError
    merged = _read_side(root, efficiency if direction == "import" else 1 / efficiency)
    present = np.flatnonzero(np.array([bool(limits) for limits in leaves]))
    if len(present):
        other = _read_side([leaves[k] for k in present.tolist()], merged.efficiency[present])
        _take_lower(merged.current_A, merged.current_source, other.current_A, other.current_source, present)
        power_W = other.power_W / other.efficiency
        _take_lower(merged.power_W, merged.power_source, power_W, other.power_source, present)
        _take_lower(
            merged.max_phases, merged.max_phases_source, other.max_phases, other.max_phases_source, present
        )
        merged.min_current_A[present] = np.maximum(merged.min_current_A[present], other.min_current_A)
        merged.min_phases[present] = np.maximum(merged.min_phases[present], other.min_phases)
    return merged


def _take_lower(
    values: NDArray[Any], sources: Texts, others: NDArray[Any], other_sources: Texts, at: Ints
) -> None:
    lower = others < values[at]
    values[at[lower]] = others[lower]
    sources[at[lower]] = other_sources[lower]


def _read_side(limits: list[Node], efficiency: Floats) -> Limits:
    current_A, current_source = _limits(limits, "ac_max_current_A")
    power_W, power_source = _limits(limits, "total_power_W")
    max_phases, max_phases_source = _phases(limits, "ac_max_phase_count", 4, least=1)
    min_phases, _ = _phases(limits, "ac_min_phase_count", 1, least=0)
    min_current_A, _ = _limits(limits, "ac_min_current_A")
    active = [found.get("ac_number_of_active_phases", 0) for found in limits]
    can_switch = [found.get("ac_supports_changing_phases_during_charging", False) for found in limits]
    if (
        not {*active} <= {0, 1, 2, 3}
        or not {*map(type, active)} <= {int}
        or not {*map(type, can_switch)} <= {bool}
    ):
        raise MalformedRequestError
    active_phases = np.array(active, dtype=np.int64)
    return Limits(
        current_A=current_A,
        current_source=current_source,
        power_W=power_W,
        power_source=power_source,
        efficiency=efficiency,
        min_current_A=np.where(np.isinf(min_current_A), 0.0, min_current_A),
        max_phases=max_phases,
        max_phases_source=max_phases_source,
        min_phases=min_phases,
        active_phases=np.where(active_phases == 0, 3, active_phases),
        can_switch=np.array(can_switch, dtype=np.bool_),
    )


def _limits(limits: list[Node], name: str) -> tuple[Floats, Texts]:
    """Values and sources of a limit; infinite where it is absent."""
    values = _numbers([found[name]["value"] if name in found else _NO_LIMIT for found in limits])
    absent = values == _NO_LIMIT
    if not ((values >= 0) & ((values <= HIGHEST) | absent)).all():
        raise MalformedRequestError
    values[absent] = np.inf
    return values, _sources(limits, name)


def _phases(limits: list[Node], name: str, absent: int, least: int) -> tuple[Ints, Texts]:
    values = _numbers([found[name]["value"] if name in found else absent for found in limits])
    with np.errstate(invalid="ignore"):
        counts = values.astype(np.int64)
    if not ((counts == values) & (counts >= least)).all():
        raise MalformedRequestError
    return counts, _sources(limits, name)


def _numbers(values: list[Any]) -> Floats:
    if not {*map(type, values)} <= {int, float}:
        raise MalformedRequestError
    return np.array(values, dtype=np.float64)


def _sources(limits: list[Node], name: str) -> Texts:
    sources = [found[name]["source"] if name in found else "" for found in limits]
    if not {*map(type, sources)} <= {str}:
        raise MalformedRequestError
    return np.array(sources, dtype=np.object_)
