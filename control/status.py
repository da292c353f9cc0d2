"""What the last decision came to, in the words of the interface ``energy_manager_control``."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from control.clock import Instant, timestamp
from control.manager import Decision
from control.schedules import JsonObject
from energy_management.measurement import Reading, Vector3
from energy_management.report import NodeLoad

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
    """Write ``NodeStates``: limit, planned and measured load of every node."""
    report = decision.report
    return {
        "timestamp": timestamp(decision.at.utc),
        "nodes": [
            _of_node(uuid, load, decision.readings.get(uuid))
            for uuid, load in report.nodes.items()
            if uuid not in report.grants
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
        "slots": decision.report.slots,
        "violations": decision.report.violations,
        "rejected": [f"{uuid}: {reason}" for uuid, reason in decision.report.rejected],
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


def _of_node(uuid: str, load: NodeLoad, reading: Reading | None) -> JsonObject:
    limits = {"limit_A": load.limit_A and _phases(load.limit_A), "limit_W": load.limit_W}
    return {
        "uuid": uuid,
        **{name: limit for name, limit in limits.items() if limit is not None},
        "granted_A": _phases(load.import_A),
        "granted_W": round(load.import_W),
        **_measured(reading),
        "sources": list(load.sources),
    }


def _measured(reading: Reading | None) -> JsonObject:
    current = reading.current_A if reading else None
    return {} if current is None else {"measured_A": _phases(current)}


def _phases(vector: Vector3) -> JsonObject:
    known = zip(("L1", "L2", "L3"), vector, strict=True)
    return {phase: round(value, 1) for phase, value in known if math.isfinite(value)}
