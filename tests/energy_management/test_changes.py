"""Whatever of a request is another than a second ago: what is kept of the last one is not used for it."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from energy_management import EnergyManager, ManagerConfig
from tests.energy_management.trees import NOW, dc_evse, entry, evse, limits, node


def of_everything() -> Any:
    """A site with schedules, limits on both sides of a node, a setpoint and phases to switch."""
    setpoint = {"ac_current_A": 25.0, "priority": 5, "source": "operator"}
    group = node("group", [evse("a"), dc_evse("b")], A=40.0, leaves_A=30.0, efficiency=0.9, setpoint=setpoint)
    later = entry(limits("later", ac_max_current_A=20.0), time=NOW + timedelta(minutes=20))
    group["schedule_import"].append(later)
    return node("grid", [group, evse("c", active=1, can_switch=True)], A=24.0, W=20_000.0)


GROUP = ("children", 0)
FIRST, LAST = (*GROUP, "children", 0), ("children", 1)
ROOT_SIDE = ("schedule_import", 0, "limits_to_root")
ACTIVE, CAN_SWITCH = "ac_number_of_active_phases", "ac_supports_changing_phases_during_charging"

CHANGES: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "uuid": ((*LAST, "uuid"), "d"),
    "kind of a node": ((*GROUP, "node_type"), "Undefined"),
    "state": ((*FIRST, "evse_state"), "Unplugged"),
    "current": ((*ROOT_SIDE, "ac_max_current_A", "value"), 20.0),
    "no current": ((*ROOT_SIDE, "ac_max_current_A"), {"value": float("nan")}),
    "minimum": ((*FIRST, *ROOT_SIDE, "ac_min_current_A", "value"), 7.0),
    "phases": ((*FIRST, *ROOT_SIDE, ACTIVE), 1),
    "one phase that is no number": ((*LAST, *ROOT_SIDE, ACTIVE), True),
    "phases that are no whole number": ((*FIRST, *ROOT_SIDE, ACTIVE), 3.0),
    "switching": ((*FIRST, *ROOT_SIDE, CAN_SWITCH), True),
    "switching that is a number": ((*LAST, *ROOT_SIDE, CAN_SWITCH), 1),
    "most phases": ((*GROUP, *ROOT_SIDE, "ac_max_phase_count", "value"), 1),
    "fewest phases": ((*LAST, *ROOT_SIDE, "ac_min_phase_count", "value"), 3),
    "most phases of the other side": (
        (*GROUP, "schedule_import", 0, "limits_to_leaves", "ac_max_phase_count"),
        {"value": 1},
    ),
    "efficiency": ((*GROUP, "schedule_import", 0, "conversion_efficiency"), 0.5),
    "efficiency of an EVSE": ((*GROUP, "children", 1, "schedule_import", 0, "conversion_efficiency"), True),
    "source": ((*ROOT_SIDE, "ac_max_current_A", "source"), "fuse"),
    "source of phases": ((*FIRST, *ROOT_SIDE, "ac_max_phase_count", "source"), "cable"),
    "time": ((*GROUP, "schedule_import", 1, "timestamp"), "2026-03-01T10:40:00.000Z"),
    "time that is none": ((*GROUP, "schedule_import", 1, "timestamp"), "later"),
    "time of a setpoint": ((*GROUP, "schedule_setpoints", 0, "timestamp"), "2026-03-01T10:10:00.000Z"),
    "setpoint": ((*GROUP, "schedule_setpoints", 0, "setpoint", "ac_current_A"), 12.0),
    "no export": ((*FIRST, "schedule_export"), []),
    "no limits to the leaves": ((*GROUP, "schedule_import", 0, "limits_to_leaves"), {}),
    "a group that is an EVSE beside those below it": (
        ("children",),
        [evse("group"), evse("a"), dc_evse("b"), evse("c", active=1, can_switch=True)],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("later_s", [0, 1, 1250])
def test_a_manager_that_knew_another_request_answers_as_one_that_did_not(name: str, later_s: float) -> None:
    request, (path, value) = of_everything(), CHANGES[name]
    changed = copy.deepcopy(request)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    config = ManagerConfig(switch_3ph1ph_while_charging_mode="Both")
    manager = EnergyManager(config)
    manager.optimize(request, NOW)
    new = EnergyManager(config, state=copy.deepcopy(manager.state))
    now = NOW + timedelta(seconds=later_s)
    answer = manager.optimize(changed, now)
    assert answer == new.optimize(changed, now)
    assert manager.report.rejected == new.report.rejected
