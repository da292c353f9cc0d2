"""Where our answers differ from EVerest's by more than a slice, and whether known mistakes explain that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.conformance.trade import Traded
from tests.conformance.trader import Trader
from tests.conformance.vectors import Run, value
from tests.energy_management.problem import DEFAULTS, Json, parse_time

SLICES = {"slice_ampere": 0.5, "slice_watt": 500.0}
ROUNDING_A, ROUNDING_W = 1e-3, 0.5  # EVerest computes in 32 bit


@dataclass(frozen=True)
class Moment:
    """What both answers say of one slot: by uuid."""

    step: int
    time: datetime
    ours: Mapping[str, Traded]
    theirs: Mapping[str, Traded]


def read_limits(limits: Json) -> Traded:
    amps, watts = value(limits, "ac_max_current_A"), value(limits, "total_power_W")
    return Traded(
        amps or 0.0, watts or 0.0, value(limits, "ac_max_phase_count") or 0, has_amps=amps is not None
    )


def active_limits(result: Sequence[Json]) -> dict[str, Traded]:
    return {entry["uuid"]: read_limits(entry["limits_root_side"]) for entry in result}


def slots_of(result: Sequence[Json]) -> dict[datetime, dict[str, Traded]]:
    slots: dict[datetime, dict[str, Traded]] = {}
    for entry in result:
        for slot in entry["schedule"]:
            by_uuid = slots.setdefault(parse_time(slot["timestamp"]), {})
            by_uuid[entry["uuid"]] = read_limits(slot["limits_to_root"])
    return slots


def moments(runs: Sequence[Run]) -> list[Moment]:
    """The slots that can be compared: the active one, and those to come that both answers have."""
    found = []
    for step, run in enumerate(runs):
        assert run.theirs is not None
        ours, theirs = slots_of(run.ours), slots_of(run.theirs)
        active = active_time(theirs, run.now)
        found.append(Moment(step, active, active_limits(run.ours), active_limits(run.theirs)))
        found += [
            Moment(step, time, ours[time], theirs[time])
            for time in sorted(ours.keys() & theirs.keys())
            if time > max(run.now, active)
        ]
    return found


def active_time(slots: Mapping[datetime, Any], now: datetime) -> datetime:
    return max((time for time in slots if time <= now), default=min(slots))


def differ(config: Mapping[str, Any], one: Traded, other: Traded) -> bool:
    """More than a slice apart, or on another number of phases."""
    slices = {**SLICES, **config}
    if one.has_amps and other.has_amps:
        both_charge = one.amps != 0 and other.amps != 0
        apart = abs(one.amps - other.amps) > slices["slice_ampere"] + ROUNDING_A
        return bool(apart or (both_charge and one.phases != other.phases))
    return bool(abs(one.watts - other.watts) > slices["slice_watt"] + ROUNDING_W)


def deviations(config: Mapping[str, Any], found: Sequence[Moment]) -> list[str]:
    """Where ours and theirs differ, one line each."""
    return [
        f"step {moment.step} at {moment.time:%H:%M:%S}: {uuid} has {moment.ours[uuid]}, EVerest {theirs}"
        for moment in found
        for uuid, theirs in moment.theirs.items()
        if differ(config, moment.ours[uuid], theirs)
    ]


def with_mistakes(case: Json, runs: Sequence[Run], mistakes: Set[str]) -> list[dict[str, Traded]]:
    """What the trader gives in each of the moments, making some mistakes."""
    trader = Trader({**DEFAULTS, **SLICES, **case["config"]}, mistakes)
    found = []
    for run in runs:
        assert run.theirs is not None
        times = sorted(slots_of(run.theirs))
        given, now_given = slots_of(run.ours), active_limits(run.ours)
        active = active_time(dict.fromkeys(times), run.now)
        ours = [now_given if time <= active else given.get(time, now_given) for time in times]
        traded = dict(zip(times, trader.optimize(run.request, run.now, times, ours), strict=True))
        found.append(traded[active])
        found += [traded[time] for time in times if time in given and time > max(run.now, active)]
    return found


def unexplained(case: Json, runs: Sequence[Run], mistakes: Set[str]) -> list[str]:
    """Where EVerest's answer differs from that of the trader who makes these mistakes."""
    compared = zip(moments(runs), with_mistakes(case, runs, mistakes), strict=True)
    return deviations(case["config"], [Moment(m.step, m.time, traded, m.theirs) for m, traded in compared])


def not_ours(case: Json, runs: Sequence[Run]) -> list[str]:
    """Where the trader without mistakes differs from us."""
    compared = zip(moments(runs), with_mistakes(case, runs, frozenset()), strict=True)
    return deviations(case["config"], [Moment(m.step, m.time, traded, m.ours) for m, traded in compared])
