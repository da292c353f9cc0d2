"""What the last decision came to, in the words of the interface ``energy_manager_control``."""

from collections.abc import Callable, Iterable, Mapping

from control.clock import Instant, timestamp
from control.manager import Decision
from control.messages import is_number
from control.powermeter import phases_of
from control.schedules import JsonObject
from control.tree import limits_now, walk
from energy_management.measurement import Reading, Vector3
from energy_management.report import NodeLoad

_GRANTED = {"current_A": "ac_max_current_A", "power_W": "total_power_W", "phase_count": "ac_max_phase_count"}
_ASKED = {"requested_A": "ac_max_current_A", "requested_W": "total_power_W", "minimum_A": "ac_min_current_A"}
_LIMITED = {"limit_A": "ac_max_current_A", "limit_W": "total_power_W"}


def allocation(decision: Decision, explain: Callable[[str], str]) -> JsonObject:
    """Write an ``Allocation``: what every EVSE has now.

    Parameters
    ----------
    explain : callable
        Tells why an EVSE has what it has.
    """
    nodes = {node["uuid"]: node for node in walk(decision.request)}
    return {
        "timestamp": timestamp(decision.at.utc),
        "evses": [
            {
                **_of_evse(limits, nodes.get(limits["uuid"], {}), decision.at),
                **_measured(decision.readings.get(limits["uuid"])),
                "mode": decision.modes.get(limits["uuid"], "now"),
                "reason": explain(limits["uuid"]),
            }
            for limits in decision.limits
        ],
    }


def node_states(decision: Decision) -> JsonObject:
    """Write ``NodeStates``: limit, budget, planned and measured load of every node."""
    report = decision.report
    surplus = {} if report.surplus_W is None else {decision.request["uuid"]: report.surplus_W}
    loads = {uuid: load for uuid, load in report.nodes.items() if uuid not in report.grants}
    return {
        "timestamp": timestamp(decision.at.utc),
        "nodes": [
            {
                **_of_node(node, loads[node["uuid"]], decision.at),
                **_measured(decision.readings.get(node["uuid"])),
                **({"surplus_W": round(surplus[node["uuid"]])} if node["uuid"] in surplus else {}),
            }
            for node in walk(decision.request)
            if node["uuid"] in loads
        ],
    }


def status(
    decision: Decision | None, degraded: Iterable[str], suggestions: Iterable[str], now: Instant
) -> JsonObject:
    """Write a ``Status``; of an instance that has decided nothing, with the present as the last run."""
    said = {"degraded": list(degraded), "suggestions": list(suggestions)}
    if decision is None:
        nothing: JsonObject = dict.fromkeys(("duration_s", "evses", "slots"), 0)
        return {
            "last_run": timestamp(now.utc),
            **nothing,
            "violations": [],
            "rejected": [],
            **said,
        }
    return {
        "last_run": timestamp(decision.at.utc),
        "duration_s": round(decision.seconds, 4),
        "evses": len(decision.limits),
        "slots": decision.report.slots,
        "violations": decision.report.violations,
        "rejected": [f"{uuid}: {reason}" for uuid, reason in decision.report.rejected],
        **said,
    }


def _of_evse(limits: JsonObject, request: JsonObject, now: Instant) -> JsonObject:
    root = limits["limits_root_side"]
    binding = root.get("ac_max_current_A") or root.get("total_power_W") or {"source": ""}
    state = request.get("evse_state")
    return {
        "uuid": limits["uuid"],
        **({"state": state} if isinstance(state, str) else {}),
        **_values(_ASKED, limits_now(request, now)),
        **_values(_GRANTED, root),
        "source": binding["source"],
    }


def _of_node(node: JsonObject, load: NodeLoad, now: Instant) -> JsonObject:
    limits = limits_now(node, now)
    sources = [_part(limits, key, "source") for key in _LIMITED.values()]
    written: JsonObject = {
        "uuid": node["uuid"],
        **_values(_LIMITED, limits),
        "limit_sources": list(dict.fromkeys(source for source in sources if isinstance(source, str))),
        "granted_A": phases_of(load.import_A, 1),
        "granted_W": round(load.import_W),
        "sources": list(load.sources),
    }
    if load.limit_A is not None:
        written["budget_A"] = phases_of(load.limit_A, 1)
        written["headroom_A"] = phases_of(_less(load.limit_A, load.import_A), 1)
    if load.limit_W is not None:
        written["budget_W"] = round(load.limit_W)
    return written


def _values(names: Mapping[str, str], limits: JsonObject) -> JsonObject:
    values = {name: _part(limits, key, "value") for name, key in names.items()}
    return {name: value for name, value in values.items() if is_number(value)}


def _part(limits: JsonObject, key: str, part: str) -> object:
    """Take a value or its source; None where it is malformed."""
    limit = limits.get(key)
    return limit.get(part) if isinstance(limit, Mapping) else None


def _measured(reading: Reading | None) -> JsonObject:
    if reading is None:
        return {}
    current = {} if reading.current_A is None else {"measured_A": phases_of(reading.current_A, 1)}
    power = {} if reading.total_power_W is None else {"measured_W": round(reading.total_power_W)}
    return {**current, **power}


def _less(one: Vector3, other: Vector3) -> Vector3:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]
