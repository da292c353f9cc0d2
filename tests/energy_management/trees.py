"""Builders of requests for tests: a few words per node instead of a page of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.energy_management.problem import Json, format_time

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def limits(source: str = "", **values: Any) -> Json:
    """Limits with a source; those that are None are left out."""
    bare = ("ac_number_of_active_phases", "ac_supports_changing_phases_during_charging")
    return {
        name: value if name in bare else {"value": value, "source": f"{source}/{name}"}
        for name, value in values.items()
        if value is not None
    }


def entry(
    root: Json, leaves: Json | None = None, time: datetime = NOW, efficiency: float | None = None
) -> Json:
    found = {"timestamp": format_time(time), "limits_to_root": root, "limits_to_leaves": leaves or {}}
    return found if efficiency is None else {**found, "conversion_efficiency": efficiency}


def node(
    uuid: str,
    children: Sequence[Json] = (),
    *,
    A: float | None = None,
    W: float | None = None,
    leaves_A: float | None = None,
    leaves_W: float | None = None,
    export_A: float | None = 0.0,
    export_W: float | None = None,
    phases: int | None = 3,
    efficiency: float | None = None,
    setpoint: Json | None = None,
) -> Json:
    """A node with a fuse of A amperes and a contract of W watts; leaves_* are on the side of its children."""
    root = limits(uuid, ac_max_current_A=A, total_power_W=W, ac_max_phase_count=phases)
    leaves = limits(f"{uuid}/leaves", ac_max_current_A=leaves_A, total_power_W=leaves_W)
    export = limits(uuid, ac_max_current_A=export_A, total_power_W=export_W)
    setpoints = [] if setpoint is None else [{"timestamp": format_time(NOW), "setpoint": setpoint}]
    return {
        "uuid": uuid,
        "node_type": "Generic",
        "children": list(children),
        "schedule_import": [entry(root, leaves, efficiency=efficiency)],
        "schedule_export": [entry(export, efficiency=efficiency)],
        "schedule_setpoints": setpoints,
    }


def evse(
    uuid: str,
    *,
    A: float | None = 32.0,
    min_A: float | None = 6.0,
    W: float | None = None,
    phases: int = 3,
    min_phases: int = 1,
    active: int | None = None,
    can_switch: bool = False,
    export_A: float = 0.0,
    state: str | None = "Charging",
) -> Json:
    """An AC EVSE: it can draw min_A to A on `active` of its phases."""
    common = {
        "ac_max_phase_count": phases,
        "ac_min_phase_count": min_phases,
        "ac_number_of_active_phases": phases if active is None else active,
        "ac_supports_changing_phases_during_charging": can_switch,
    }
    root = limits(uuid, ac_max_current_A=A, ac_min_current_A=min_A, total_power_W=W, **common)
    export = limits(uuid, ac_max_current_A=export_A, ac_min_current_A=0.0, **common)
    found = {
        "uuid": uuid,
        "node_type": "Evse",
        "children": [],
        "schedule_import": [entry(root)],
        "schedule_export": [entry(export)],
        "schedule_setpoints": [],
    }
    return found if state is None else {**found, "evse_state": state}


def dc_evse(
    uuid: str,
    *,
    W: float = 50_000.0,
    A: float | None = None,
    efficiency: float | None = None,
    export_W: float = 0.0,
) -> Json:
    """A DC EVSE: its power is limited on the side of the car."""
    return {
        "uuid": uuid,
        "node_type": "Evse",
        "children": [],
        "evse_state": "Charging",
        "schedule_import": [
            entry(limits(uuid, ac_max_current_A=A), limits(uuid, total_power_W=W), efficiency=efficiency)
        ],
        "schedule_export": [entry({}, limits(uuid, total_power_W=export_W), efficiency=efficiency)],
        "schedule_setpoints": [],
    }
