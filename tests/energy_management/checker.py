"""Proves that a result is the weighted max-min fair allocation of its request, however it was found.

`check` reads the request, the configuration and the site, and returns what is wrong with a result as
readable lines: limits exceeded, capacity left that someone could use, shares without a bottleneck or below
a minimum, EVSEs left out though their minimum fits, and results not of the shape that EVerest expects.

A max-min fair point needs no reference solution to be recognised: each EVSE must have a bottleneck, a
full constraint in which no other EVSE of its class has a higher level and none of a later class has more
than is kept for it. An EVSE without a bottleneck could be given more, so this covers Pareto efficiency too.
Where phases must be balanced, a full constraint may be widened by those on its other side, and somebody may
have more for the sake of others: there a linear program tells whether an EVSE without such a bottleneck could
be given more while nobody who has as little or less loses any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.energy_management.linear_program import most_for
from tests.energy_management.problem import (
    DEFAULTS,
    IDLE,
    WAITS,
    Evse,
    Json,
    Row,
    Slot,
    evse_paths,
    format_time,
    read_slot,
    slot_times,
)

RELATIVE = 1e-6
ABSOLUTE = 1e-6
SOLVED_A = 1e-3  # what the linear program may be off by
RESULT_KEYS = {"uuid", "valid_for", "limits_root_side", "schedule"}


@dataclass(frozen=True)
class Grant:
    """What a result gives one EVSE in one slot: signed current per phase, and on how many phases."""

    current_A: float
    phases: int


def within(value: float, limit: float) -> bool:
    return value <= limit + RELATIVE * abs(limit) + ABSOLUTE


def check(
    request: Json,
    config: Mapping[str, Any],
    site: Mapping[str, Any],
    result: Sequence[Json],
    now: datetime,
) -> list[str]:
    """Everything that is wrong with a result, one line each; empty if it is right."""
    settings = {**DEFAULTS, **config}
    faults = _shape_faults(request, settings, result, now)
    if faults:
        return faults
    times = slot_times(request, now, settings)
    active = max(k for k, time in enumerate(times) if time <= now)
    for k, time in enumerate(times):
        if k < active:
            continue  # over already
        slot = read_slot(request, max(time, now), settings, site)
        grants, slot_faults = _read_grants(slot, [entry["schedule"][k]["limits_to_root"] for entry in result])
        slot_faults = slot_faults or check_slot(slot, grants, settings)
        faults += [f"{format_time(time)} {fault}" for fault in slot_faults]
    for entry in result:
        if entry["limits_root_side"] != entry["schedule"][active]["limits_to_root"]:
            faults.append(f"{entry['uuid']}: limits_root_side is not that of the slot that is active now")
    return faults


def check_slot(slot: Slot, grants: Sequence[Grant], settings: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with the allocation of one slot."""
    faults = _phase_faults(slot, grants, settings)
    rows = slot.rows([grant.phases for grant in grants])
    currents = [abs(grant.current_A) for grant in grants]
    for evse, grant in zip(slot.evses, grants, strict=True):
        wrong_way = grant.current_A < 0 if evse.direction == "import" else grant.current_A > 0
        if wrong_way and abs(grant.current_A) > ABSOLUTE:
            faults.append(f"{evse.uuid}: {grant.current_A:.3f} A, but it may only {evse.direction}")
        if abs(grant.current_A) > ABSOLUTE and not within(evse.minimum_A, abs(grant.current_A)):
            faults.append(
                f"{evse.uuid}: {grant.current_A:.3f} A is below its minimum of {evse.minimum_A:g} A"
            )
    for row in rows:
        load = row.load(currents)
        if not within(load, row.capacity):
            faults.append(f"{row.name}: {load:.6f} exceeds {row.capacity:.6f}")
    if faults:
        return faults
    for i in range(len(slot.evses)):
        if currents[i] <= ABSOLUTE and slot.evses[i].minimum_A > 0:
            faults += _left_out_faults(i, slot, currents, [grant.phases for grant in grants], settings)
        elif slot.evses[i].urgency != IDLE or currents[i] > ABSOLUTE:
            faults += _bottleneck_faults(i, slot, currents, rows)
    return faults


def _bottleneck_faults(i: int, slot: Slot, currents: Sequence[float], rows: Sequence[Row]) -> list[str]:
    """An EVSE without a bottleneck: what is free, or who has more than it should."""
    full = [
        row
        for row in rows
        if row.coefficients.get(i, 0.0) > 0
        and within(row.capacity, row.load(currents) + RELATIVE * row.capacity)
    ]
    name, current = slot.evses[i].uuid, currents[i]
    if not full:
        return [f"{name}: {current:.6f} A, and nothing on its way is full"]
    if any(factor < 0 for row in rows for factor in row.coefficients.values()):
        return _balance_faults(i, slot, currents, rows, full)
    rivals = [_rivals(i, slot, currents, row) for row in full]
    if all(rivals):
        where = "; ".join(f"{row.name}: {', '.join(who)}" for row, who in zip(full, rivals, strict=True))
        return [f"{name}: {current:.6f} A, less than its share ({where})"]
    return []


def _balance_faults(
    i: int, slot: Slot, currents: Sequence[float], rows: Sequence[Row], full: Sequence[Row]
) -> list[str]:
    """An EVSE that could have more where others could make room for it."""
    for row in full:
        if min(row.coefficients.values()) >= 0 and not _rivals(i, slot, currents, row):
            return []
    evse, level = slot.evses[i], currents[i] / slot.evses[i].weight
    members, floors = [], []
    for j, other in enumerate(slot.evses):
        if currents[j] <= ABSOLUTE and other.minimum_A > 0:
            continue
        is_lower = currents[j] / other.weight <= level * (1 + RELATIVE) + ABSOLUTE
        keeps_all = other.rank < evse.rank or (other.rank == evse.rank and is_lower)
        members.append(j)
        floors.append(currents[j] if keeps_all else min(_kept(other, evse), currents[j]))
    most = most_for(members.index(i), [row.only(members) for row in rows], floors)
    if most > currents[i] + SOLVED_A * (1 + currents[i]):
        return [f"{evse.uuid}: {currents[i]:.6f} A, less than its share, which may be up to {most:.6f} A"]
    return []


def _kept(other: Evse, evse: Evse) -> float:
    """What one EVSE keeps whatever another one could have."""
    return 0.0 if other.urgency == IDLE and evse.urgency != IDLE else other.minimum_A


def _rivals(i: int, slot: Slot, currents: Sequence[float], row: Row) -> list[str]:
    """The EVSEs of a full constraint that hold what EVSE i should have."""
    evse = slot.evses[i]
    level = currents[i] / evse.weight
    found = []
    for j, factor in row.coefficients.items():
        other = slot.evses[j]
        if j == i or factor <= 0 or other.rank < evse.rank:
            continue
        above_what_is_kept = currents[j] > _kept(other, evse) * (1 + RELATIVE) + ABSOLUTE
        higher = other.rank > evse.rank or currents[j] / other.weight > level * (1 + RELATIVE) + ABSOLUTE
        if above_what_is_kept and higher:
            found.append(f"{other.uuid} has {currents[j]:.6f} A")
    return found


def _left_out_faults(
    i: int, slot: Slot, currents: Sequence[float], phases: Sequence[int], settings: Mapping[str, Any]
) -> list[str]:
    """An EVSE with nothing although its minimum fits beside those of all that come before it."""
    evse = slot.evses[i]
    if evse.urgency == IDLE or evse.min_phases > evse.max_phases:
        return []
    counts = list(phases)
    counts[i] = _fewest_phases(slot, i, settings)
    minima = [
        other.minimum_A if currents[j] > ABSOLUTE and _comes_before(slot, j, i) else 0.0
        for j, other in enumerate(slot.evses)
    ]
    minima[i] = evse.minimum_A
    for row in slot.rows(counts):
        if row.coefficients.get(i, 0.0) > 0 and row.load(minima) > row.capacity * (1 + 1e-9):
            return []
    return [f"{evse.uuid}: gets nothing, though its minimum of {evse.minimum_A:g} A fits"]


def _comes_before(slot: Slot, j: int, i: int) -> bool:
    """Whether an admitted EVSE j may stand in the way of EVSE i."""
    other, evse = slot.evses[j], slot.evses[i]
    if other.urgency == IDLE:
        return False
    return evse.urgency == WAITS or other.priority >= evse.priority


def may_switch(slot: Slot, i: int, settings: Mapping[str, Any]) -> bool:
    return slot.evses[i].can_switch and settings["switch_3ph1ph_while_charging_mode"] != "Never"


def kept_phases(slot: Slot, i: int) -> int:
    """The phase count of an EVSE that does not switch."""
    return min(slot.evses[i].active_phases, slot.evses[i].max_phases)


def _fewest_phases(slot: Slot, i: int, settings: Mapping[str, Any]) -> int:
    """The phase count with which an EVSE is easiest to serve; the present one where switches are counted."""
    if (
        slot.evses[i].direction == "import"
        and may_switch(slot, i, settings)
        and not settings["switch_3ph1ph_max_nr_of_switches_per_session"]
    ):
        return min(max(slot.evses[i].min_phases, 1), kept_phases(slot, i))
    return kept_phases(slot, i)


def _phase_faults(slot: Slot, grants: Sequence[Grant], settings: Mapping[str, Any]) -> list[str]:
    faults = []
    for i, (evse, grant) in enumerate(zip(slot.evses, grants, strict=True)):
        if abs(grant.current_A) <= ABSOLUTE:
            continue
        if grant.phases > evse.max_phases:
            faults.append(f"{evse.uuid}: {grant.phases} phases, but at most {evse.max_phases} are allowed")
        if evse.direction == "export":
            continue
        kept = kept_phases(slot, i)
        if not may_switch(slot, i, settings) and grant.phases != kept:
            faults.append(f"{evse.uuid}: {grant.phases} phases, but it may not switch from {kept}")
        elif grant.phases != kept and grant.phases < evse.min_phases:
            faults.append(f"{evse.uuid}: {grant.phases} phases, but it needs at least {evse.min_phases}")
        elif settings["switch_3ph1ph_while_charging_mode"] == "Oneway" and grant.phases > kept:
            faults.append(f"{evse.uuid}: switched up to {grant.phases} phases in mode Oneway")
    return faults


def _shape_faults(
    request: Json, settings: Mapping[str, Any], result: Sequence[Json], now: datetime
) -> list[str]:
    """What EVerest would stumble over: wrong keys, EVSEs missing or out of order, wrong slots."""
    wanted = [path[-1]["uuid"] for path in evse_paths(request)]
    found = [entry.get("uuid") for entry in result]
    if found != wanted:
        return [f"results are for {found}, wanted {wanted}"]
    slots = [format_time(time) for time in slot_times(request, now, settings)]
    faults = []
    for entry in result:
        if set(entry) != RESULT_KEYS:
            faults.append(f"{entry['uuid']}: keys are {sorted(entry)}")
        elif entry["valid_for"] != 10 * settings["update_interval"]:
            faults.append(f"{entry['uuid']}: valid_for is {entry['valid_for']}")
        elif [slot["timestamp"] for slot in entry["schedule"]] != slots:
            faults.append(
                f"{entry['uuid']}: slots are {[s['timestamp'] for s in entry['schedule']]}, wanted {slots}"
            )
    return faults


def _read_grants(slot: Slot, limits: Sequence[Json]) -> tuple[list[Grant], list[str]]:
    """What the result gives each EVSE, and where amps, watts and phases contradict each other."""
    grants, faults = [], []
    for evse, entry in zip(slot.evses, limits, strict=True):
        values = {name: entry[name]["value"] for name in entry}
        if not values or not all(math.isfinite(value) for value in values.values()):
            faults.append(f"{evse.uuid}: limits are {entry}")
            grants.append(Grant(0.0, 3))
            continue
        phases = values.get("ac_max_phase_count", min(evse.active_phases, max(evse.max_phases, 1)))
        watts_per_ampere = slot.voltage_V * phases
        current = values.get("ac_max_current_A", values.get("total_power_W", 0.0) / watts_per_ampere)
        power = values.get("total_power_W", current * watts_per_ampere)
        if not math.isclose(power, current * watts_per_ampere, rel_tol=RELATIVE, abs_tol=1e-3):
            faults.append(f"{evse.uuid}: {current} A on {phases} phases are not {power} W")
        grants.append(Grant(current, phases))
    return grants, faults
