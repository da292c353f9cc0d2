"""A connector's request is one that an EvseManager could have published."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bsp.connector_registers import ConnectorStatus
from bsp.leaf import Capabilities, energy_flow_request, evse_state

NOW = datetime(2026, 11, 22, 8, 57, 24, 78_000, tzinfo=UTC)
CHARGING = ConnectorStatus(
    taken_at=0.0,
    state="C",
    current_A=(16.0, 16.0, 16.0),
    power_W=10749.0,
    energy_Wh=58.0,
    active_phases=3,
    limit_A=16.0,
)
EVSE = Capabilities(max_current_A=32.0, min_phase_count=1, supports_changing_phases=True)


def recorded() -> dict[str, Any]:
    """Give the request of a real EvseManager, charging with 16 A on three phases."""
    path = Path(__file__).parent / "data" / "evse_manager_request.json"
    request: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return request


def test_it_says_what_a_recorded_evse_manager_said() -> None:
    expected = recorded()
    request = energy_flow_request("evse_manager_1", EVSE, CHARGING, NOW)
    assert request["schedule_import"] == expected["schedule_import"]
    for key in ("uuid", "node_type", "evse_state", "children", "schedule_setpoints", "priority_request"):
        assert request[key] == expected[key], key
    assert set(request) == set(expected)
    export = request["schedule_export"][0]
    assert export["limits_to_leaves"] == expected["schedule_export"][0]["limits_to_leaves"]
    assert (
        export["limits_to_root"]["ac_max_current_A"]["value"] == 0.0
    )  # this board could discharge, we cannot


@pytest.mark.parametrize(
    ("of_board_A", "of_charger_A", "expected_A", "source"),
    [
        (math.inf, None, 32.0, "carport/evse_board_support_caps"),
        (63.0, 32.0, 32.0, "carport/evse_board_support_caps"),
        (20.0, None, 20.0, "carport/pp_ampacity"),
        (20.0, 13.0, 13.0, "carport/pp_ampacity"),
    ],
)
def test_the_cable_limits_what_the_tree_may_give(
    of_board_A: float, of_charger_A: float | None, expected_A: float, source: str
) -> None:
    status = replace(CHARGING, cable_A=of_charger_A)
    request = energy_flow_request("carport", replace(EVSE, cable_A=of_board_A), status, NOW)
    limit = request["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]
    assert limit == {"value": expected_A, "source": source}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ConnectorStatus(0.0, "A"), "Unplugged"),
        (ConnectorStatus(0.0, "B", limit_A=0.0), "PrepareCharging"),
        (ConnectorStatus(0.0, "B", limit_A=None), "PrepareCharging"),
        (ConnectorStatus(0.0, "B", limit_A=10.0), "PausedEV"),
        (ConnectorStatus(0.0, "B", limit_A=10.0, is_waking=True), "PrepareCharging"),
        (ConnectorStatus(0.0, "C", limit_A=10.0), "Charging"),
        (ConnectorStatus(0.0, "D", limit_A=10.0), "Charging"),
        (ConnectorStatus(0.0, "E"), "Disabled"),
        (ConnectorStatus(0.0, "F", fault="no answer"), "Disabled"),
        (ConnectorStatus(0.0, "C", limit_A=10.0, fault="does not take its limit"), "Disabled"),
    ],
)
def test_evse_state(status: ConnectorStatus, expected: str) -> None:
    assert evse_state(status) == expected


def test_a_measurement_keeps_the_time_at_which_it_was_taken() -> None:
    request = energy_flow_request("x", EVSE, CHARGING, NOW, age_s=2.5)
    assert request["energy_usage_root"]["timestamp"] == "2026-11-22T08:57:21.578Z"
    assert request["schedule_import"][0]["timestamp"] == "2026-11-22T08:57:24.078Z"


def test_what_is_not_measured_is_left_out() -> None:
    nan = float("nan")
    one_phase = ConnectorStatus(0.0, "C", current_A=(16.0, nan, nan), energy_Wh=1.0)
    assert energy_flow_request("x", EVSE, one_phase, NOW)["energy_usage_root"]["current_A"] == {"L1": 16.0}
    assert "energy_usage_root" not in energy_flow_request("x", EVSE, ConnectorStatus(0.0, "A"), NOW)


def test_times_of_other_zones_are_told_in_utc() -> None:
    berlin = NOW.astimezone(timezone(timedelta(hours=1)))
    assert energy_flow_request("x", EVSE, CHARGING, berlin) == energy_flow_request("x", EVSE, CHARGING, NOW)
