"""Requests to measure with: AC on three phases, 6 to 32 A, and 16 A for each EVSE at every node."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
FAN_OUT = 20
SHARE_A = 16.0


def hours(count: int) -> list[datetime]:
    """List the base grid of the schedule."""
    return [START + timedelta(hours=k) for k in range(count)]


def flat(evses: int, slots: int) -> Json:
    """Put all EVSEs directly below the grid connection."""
    return _node("grid", [_evse(k, hours(slots)) for k in range(evses)], evses, hours(slots))


def levels(evses: int, slots: int) -> Json:
    """Put EVSEs in groups of 20, these in groups of 20, these below the grid connection."""
    times = hours(slots)
    layer = [(_evse(k, times), 1) for k in range(evses)]
    for level in ("group", "floor"):
        groups = [layer[k : k + FAN_OUT] for k in range(0, len(layer), FAN_OUT)]
        layer = [
            (_node(f"{level}{n}", [child for child, _ in group], _served(group), times), _served(group))
            for n, group in enumerate(groups)
        ]
    return _node("grid", [child for child, _ in layer], evses, times)


def scattered(evses: int, entries: int) -> Json:
    """Give each EVSE timestamps of its own: nearly as many slots as entries."""
    step = timedelta(hours=entries) / (evses * entries + 1)
    children = [
        _evse(k, [time + (k + 1) * step for time in hours(entries)], export=[START]) for k in range(evses)
    ]
    return _node("grid", children, evses, [START])


def changed(request: Json, factor: float) -> Json:
    """Copy a request with other values of all currents."""
    if "value" in request:
        value = request["value"]
        return {**request, "value": value * factor if isinstance(value, float) else value}
    return {
        name: [changed(each, factor) for each in found]
        if isinstance(found, list)
        else changed(found, factor)
        if isinstance(found, dict)
        else found
        for name, found in request.items()
    }


def _served(group: Sequence[tuple[Json, int]]) -> int:
    return sum(evses for _, evses in group)


def _node(uuid: str, children: Sequence[Json], evses: int, times: Sequence[datetime]) -> Json:
    limits = {
        "ac_max_current_A": {"value": SHARE_A * evses, "source": f"{uuid}/fuse"},
        "ac_max_phase_count": {"value": 3, "source": f"{uuid}/phases"},
    }
    return _flow(uuid, "Generic", children, [_entry(time, limits) for time in times], [_entry(START, limits)])


def _evse(number: int, times: Sequence[datetime], export: Sequence[datetime] | None = None) -> Json:
    uuid = f"evse{number}"

    def limits(max_A: float, min_A: float) -> Json:
        return {
            "ac_max_current_A": {"value": max_A, "source": f"{uuid}/max"},
            "ac_min_current_A": {"value": min_A, "source": f"{uuid}/min"},
            "ac_max_phase_count": {"value": 3, "source": f"{uuid}/phases"},
            "ac_min_phase_count": {"value": 1, "source": f"{uuid}/phases"},
            "ac_number_of_active_phases": 3,
            "ac_supports_changing_phases_during_charging": False,
        }

    imports = [_entry(time, limits(32.0, 6.0)) for time in times]
    exports = [_entry(time, limits(0.0, 0.0)) for time in (times if export is None else export)]
    return {**_flow(uuid, "Evse", [], imports, exports), "evse_state": "Charging"}


def _flow(
    uuid: str, node_type: str, children: Sequence[Json], imports: Sequence[Json], exports: Sequence[Json]
) -> Json:
    return {
        "uuid": uuid,
        "node_type": node_type,
        "children": list(children),
        "schedule_import": list(imports),
        "schedule_export": list(exports),
        "schedule_setpoints": [],
    }


def _entry(time: datetime, limits: Json) -> Json:
    """One entry of a schedule; its limits are objects of its own, as they are when read from JSON."""
    own = {name: dict(value) if isinstance(value, dict) else value for name, value in limits.items()}
    timestamp = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
    return {"timestamp": timestamp, "limits_to_root": own, "limits_to_leaves": {}}
