"""What the last decision came to, in the words of the interface ``energy_manager_control``."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from control.clock import Instant, parse_timestamp, timestamp
from control.manager import Decision
from control.schedules import JsonObject
from control.tree import walk
from energy_management.measurement import Reading, Vector3

Sink = Callable[[str, JsonObject], None]
"""Takes a state by its name."""

SHORTEST_S = 1.0
_VOLATILE = ("timestamp", "last_run", "duration_s")


class Reporter:
    """Hands states on when they have changed, at most once a second.

    Parameters
    ----------
    sinks : sequence of Sink
        EVerest, MQTT.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._shown: dict[str, JsonObject] = {}
        self._shown_at = -math.inf

    def show(self, now: Instant, states: Callable[[], Mapping[str, JsonObject]]) -> None:
        """Show the states, which are only computed when somebody is to see them."""
        if not self._sinks or now.monotonic_s - self._shown_at < SHORTEST_S:
            return
        self._shown_at = now.monotonic_s
        for name, state in states().items():
            lasting = {key: value for key, value in state.items() if key not in _VOLATILE}
            if self._shown.get(name) == lasting:
                continue
            self._shown[name] = lasting
            for sink in self._sinks:
                sink(name, state)


def allocation(decision: Decision) -> JsonObject:
    """Write an ``Allocation``: what every EVSE has now."""
    return {
        "timestamp": timestamp(decision.at.utc),
        "evses": [_of_evse(limits, decision.readings.get(limits["uuid"])) for limits in decision.limits],
    }


def node_states(decision: Decision) -> JsonObject:
    """Write ``NodeStates``: limit and measured load of every node."""
    return {
        "timestamp": timestamp(decision.at.utc),
        "nodes": [
            _of_node(node, decision.readings.get(node["uuid"]), decision.at)
            for node in walk(decision.request)
            if node.get("node_type") != "Evse"
        ],
    }


def status(decision: Decision | None, degraded: Iterable[str], now: Instant) -> JsonObject:
    """Write a ``Status``; before the first decision it says so."""
    if decision is None:
        nothing: JsonObject = dict.fromkeys(("duration_s", "evses", "slots"), 0)
        return {
            "last_run": timestamp(now.utc),
            **nothing,
            "violations": [],
            "rejected": [],
            "degraded": ["nothing decided yet", *degraded],
        }
    return {
        "last_run": timestamp(decision.at.utc),
        "duration_s": round(decision.seconds, 4),
        "evses": len(decision.limits),
        "slots": max((len(limits["schedule"]) for limits in decision.limits), default=0),
        "violations": decision.violations,
        "rejected": decision.rejected,
        "degraded": list(degraded),
    }


def _of_evse(limits: JsonObject, reading: Reading | None) -> JsonObject:
    root = limits["limits_root_side"]
    binding = root.get("ac_max_current_A") or root.get("total_power_W") or {"source": ""}
    return {
        "uuid": limits["uuid"],
        **{name: root[key]["value"] for name, key in _LIMITS.items() if key in root},
        **_measured(reading),
        "source": binding["source"],
    }


_LIMITS = {"current_A": "ac_max_current_A", "power_W": "total_power_W", "phase_count": "ac_max_phase_count"}


def _of_node(node: JsonObject, reading: Reading | None, now: Instant) -> JsonObject:
    state: JsonObject = {"uuid": node["uuid"], **_measured(reading)}
    in_force = _in_force(node.get("schedule_import"), now)
    for name, key in (("limit_A", "ac_max_current_A"), ("limit_W", "total_power_W")):
        limits = [side[key] for side in in_force if key in side]
        if limits:
            lowest = min(limits, key=lambda limit: limit["value"])
            state[name] = lowest["value"]
            state.setdefault("source", lowest["source"])
    return state


def _in_force(schedule: Any, now: Instant) -> list[JsonObject]:
    """Both sides of the entry in force; none where the schedule cannot be read, which the engine reports."""
    try:
        begun = [entry for entry in schedule if parse_timestamp(entry["timestamp"]) <= now.utc]
        entry = max(begun, key=lambda entry: parse_timestamp(entry["timestamp"]))
        return [entry["limits_to_root"], entry["limits_to_leaves"]]
    except (KeyError, TypeError, ValueError):
        return []


def _measured(reading: Reading | None) -> JsonObject:
    current: Vector3 | None = reading.current_A if reading else None
    if current is None:
        return {}
    known = zip(("L1", "L2", "L3"), current, strict=True)
    return {"measured_A": {phase: round(value, 1) for phase, value in known if not math.isnan(value)}}
