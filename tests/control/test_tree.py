"""The tree that this instance shows: as EnergyNode's where EnergyNode is right, safe where it is not."""

from typing import Any

import pytest

from control.external_limits import ExternalLimits
from control.tree import OwnNode, evse_uuids, held, is_urgent, without_priority
from tests.control.sample import VirtualClock, ampere_limits, entry, evse, node, watt_limits

NOW = VirtualClock()()
NINE = "2026-11-22T09:00:00.000Z"
OWN = OwnNode("grid", 40.0)


def limits_at(request: dict[str, Any], side: str, index: int = 0) -> dict[str, Any]:
    limits: dict[str, Any] = request["schedule_import"][index][side]
    return {name: limit["value"] for name, limit in limits.items()}


def test_a_node_without_anything_else_shows_its_fuse_as_energynode_does() -> None:
    """Field by field what an EnergyNode published (recorded traffic, module `grid`)."""
    fuse = {
        "ac_max_current_A": {"source": "grid/module_config", "value": 40.0},
        "ac_max_phase_count": {"source": "grid/module_config", "value": 3},
    }
    schedule = [{"limits_to_leaves": fuse, "limits_to_root": fuse, "timestamp": NINE}]
    assert OWN.request([], NOW) == {
        "children": [],
        "node_type": "Generic",
        "schedule_export": schedule,
        "schedule_import": schedule,
        "schedule_setpoints": [],
        "uuid": "grid",
    }


def test_capabilities_as_energynode_publishes_them() -> None:
    assert OWN.capabilities() == {
        "max_current_A": 40.0,
        "max_phase_count": 3,
        "nominal_voltage_V": 230.0,
        "total_power_W": 27600.0,
    }
    assert OwnNode("grid").capabilities() is None


@pytest.mark.parametrize("side", ["limits_to_root", "limits_to_leaves"])
@pytest.mark.parametrize(("external", "effective"), [(16.0, 16.0), (63.0, 40.0)])
def test_fuse_and_external_limit_hold_together(side: str, external: float, effective: float) -> None:
    limits = ExternalLimits(schedule_import=[entry(NINE, ampere_limits(external, "ocpp"))])
    request = OWN.request([], NOW, external=limits)
    assert limits_at(request, side)["ac_max_current_A"] == effective


def test_the_fuse_holds_before_an_external_schedule_begins() -> None:
    limits = ExternalLimits(schedule_import=[entry("2026-11-22T10:00:00Z", ampere_limits(16, "ocpp"))])
    request = OWN.request([], NOW, external=limits)
    assert [limits_at(request, "limits_to_root", i)["ac_max_current_A"] for i in (0, 1)] == [40, 16]


def test_setpoints_go_up_as_they_came() -> None:
    setpoint = {"timestamp": NINE, "setpoint": {"priority": 1, "source": "grid", "total_power_W": 2000}}
    assert OWN.request([], NOW, external=ExternalLimits(schedule_setpoints=[setpoint]))[
        "schedule_setpoints"
    ] == [setpoint]


@pytest.mark.parametrize(
    ("limits", "amperes"),
    [
        pytest.param(watt_limits(6900, "ocpp"), 10.0, id="watts over the phases of the node"),
        pytest.param(
            {**watt_limits(2300, "ocpp"), "ac_max_phase_count": {"value": 1, "source": "ocpp"}},
            10.0,
            id="one phase",
        ),
        pytest.param(watt_limits(0, "ocpp"), 0.0, id="no power at all"),
        pytest.param({**watt_limits(6900, "ocpp"), **ampere_limits(7, "ocpp")}, 7.0, id="amperes are given"),
        pytest.param(watt_limits(69000, "ocpp"), 40.0, id="never above the fuse"),
    ],
)
def test_amperes_are_derived_from_watts_when_asked_to(limits: dict[str, Any], amperes: float) -> None:
    enhancing = OwnNode("grid", 40.0, enhance_external_schedule=True)
    external = ExternalLimits(schedule_import=[entry(NINE, limits)])
    request = enhancing.request([], NOW, external=external)
    assert limits_at(request, "limits_to_root")["ac_max_current_A"] == pytest.approx(amperes)
    assert limits_at(request, "limits_to_root")["total_power_W"] == limits["total_power_W"]["value"]


def test_import_prices_go_into_import_and_export_prices_into_export() -> None:
    def price(value: float) -> dict[str, Any]:
        return {"timestamp": NINE, "value": value, "currency": "EUR"}

    prices = {"schedule_import": [price(0.35)], "schedule_export": [price(0.08)]}
    request = OWN.request([], NOW, prices=prices)
    assert request["schedule_import"][0]["price_per_kwh"]["value"] == 0.35
    assert request["schedule_export"][0]["price_per_kwh"]["value"] == 0.08


def test_the_meter_is_attached() -> None:
    usage = {"timestamp": NINE, "energy_Wh_import": {"total": 5.0}}
    assert OWN.request([], NOW, usage=usage)["energy_usage_root"] == usage


def test_a_silent_branch_asks_for_what_its_evses_may_still_draw() -> None:
    branch = node("sub", [evse("drawing"), evse("idle"), evse("expired")])
    grants = {"drawing": ampere_limits(12, "x"), "idle": ampere_limits(0, "x")}
    kept = held(branch, grants)
    assert kept is not None
    assert list(evse_uuids(kept)) == ["drawing"]
    root = kept["children"][0]["schedule_import"][0]["limits_to_root"]
    assert [root[name]["value"] for name in ("ac_min_current_A", "ac_max_current_A")] == [12, 12]
    assert held(branch, {}) is None


def test_a_priority_request_is_taken_out_and_nothing_else() -> None:
    branch = node("sub", [evse("a", priority=True), evse("b")])
    calm = without_priority(branch)
    assert [child["priority_request"] for child in calm["children"]] == [False, False]
    assert calm["children"][1] is branch["children"][1]
    assert without_priority(calm) is calm


class TestUrgency:
    def test_a_priority_request_is_urgent(self) -> None:
        assert is_urgent(evse("a", priority=True), evse("a", state="Unplugged"))
        assert is_urgent(evse("a", priority=True), None)

    def test_so_is_one_deep_in_a_tree(self) -> None:
        before = node("grid", [node("sub", [evse("a", state="WaitForAuth")])])
        assert is_urgent(node("grid", [node("sub", [evse("a", priority=True)])]), before)

    def test_a_node_that_repeats_it_wakes_nobody(self) -> None:
        tree = node("grid", [evse("a", priority=True), evse("b")])
        again = node("grid", [evse("a", priority=True), evse("b", state="PausedEV")])
        assert not is_urgent(again, tree)

    def test_a_lower_limit_is_urgent_a_higher_one_is_not(self) -> None:
        assert is_urgent(evse("a", 16), evse("a", 32))
        assert not is_urgent(evse("a", 32), evse("a", 16))
        assert is_urgent(node("grid", [], 25), node("grid", [], 63))

    @pytest.mark.parametrize(
        "odd",
        [
            {"uuid": "a", "children": 5},
            {"uuid": "a", "children": [None]},
            {"uuid": "a", "schedule_import": [7]},
        ],
    )
    def test_oddities_are_not_urgent(self, odd: dict[str, Any]) -> None:
        assert not is_urgent(odd, evse("a"))
