"""When EVSEs discharge, and what setpoints ask for."""

from __future__ import annotations

import pytest

from tests.energy_management.problem import Json
from tests.energy_management.site_runs import SiteRun, amps, optimize, phases, watts
from tests.energy_management.trees import NOW, dc_evse, entry, evse, limits, node


def setpoint(priority: int = 0, **values: object) -> Json:
    return {"priority": priority, "source": "somebody", **values}


def test_an_evse_exports_when_it_wants_no_import() -> None:
    assert amps(optimize(node("grid", [evse("a", A=0, min_A=0, export_A=10)], A=32, export_A=16))) == {
        "a": -10
    }


def test_no_import_left_is_no_reason_to_export() -> None:
    tree = node("grid", [evse("a"), evse("b", export_A=16)], A=6, export_A=16)
    assert amps(optimize(tree)) == {"a": 6, "b": 0}


def test_export_is_not_netted_against_import() -> None:
    tree = node("grid", [evse("giver", A=0, min_A=0, export_A=16), evse("taker", A=32)], A=20, export_A=16)
    assert amps(optimize(tree)) == {"giver": -16, "taker": 20}


def test_export_is_shared_below_the_limits_of_export() -> None:
    tree = node("grid", [evse(name, A=0, min_A=0, export_A=16) for name in "ab"], A=32, export_A=10)
    assert amps(optimize(tree)) == {"a": -5, "b": -5}


def test_a_single_phase_exports_on_one() -> None:
    found = optimize(
        node("grid", [evse("a", A=0, min_A=0, export_A=16, phases=1)], A=32, export_A=32, export_W=2_300)
    )
    assert (amps(found), phases(found), watts(found)) == ({"a": -10}, {"a": 1}, {"a": -2_300})


def test_losses_of_export_lower_what_arrives() -> None:
    car = dc_evse("dc", W=0, efficiency=0.9, export_W=10_000)
    assert watts(optimize(node("grid", [car], export_A=63))) == {"dc": -9_000}


def test_a_node_without_export_schedule_lets_nothing_out() -> None:
    tree = node("grid", [evse("a", A=0, min_A=0, export_A=16)], A=32)
    tree["schedule_export"] = []
    assert amps(optimize(tree)) == {"a": 0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"ac_current_A": 12.0}, 12),
        ({"ac_current_A": 0.0}, 0),
        ({"ac_current_A": -3.0}, -3),
        ({"total_power_W": 6_900.0}, 10),
        ({"total_power_W": -6_900.0}, -10),
        ({"ac_current_A": 12.0, "total_power_W": -1.0}, 12),  # current counts before power
        ({}, 32),
        ({"frequency_table": []}, 32),
    ],
)
def test_a_setpoint_is_followed(values: Json, expected: float) -> None:
    tree = node("grid", [evse("a", export_A=16)], A=63, export_A=63, setpoint=setpoint(**values))
    assert amps(optimize(tree)) == {"a": expected}


def test_a_setpoint_is_shared_by_all_below() -> None:
    tree = node(
        "grid",
        [evse("a", export_A=16), evse("b", export_A=2)],
        A=63,
        export_A=63,
        setpoint=setpoint(ac_current_A=-8.0),
    )
    assert amps(optimize(tree)) == {"a": -6, "b": -2}


@pytest.mark.parametrize(("outer", "inner", "expected"), [(0, 5, -10), (5, 0, 8), (0, 0, 0)])
def test_the_setpoint_of_the_better_priority_counts(outer: int, inner: int, expected: float) -> None:
    """The lower number is the better priority; equal ones that contradict each other allow nothing."""
    below = node(
        "inner", [evse("a", export_A=16)], A=63, export_A=63, setpoint=setpoint(inner, ac_current_A=8.0)
    )
    tree = node("grid", [below], A=63, export_A=63, setpoint=setpoint(outer, ac_current_A=-10.0))
    assert amps(optimize(tree)) == {"a": expected}


TABLE = [
    {"frequency_Hz": 50.2, "total_power_W": -6_900.0},
    {"frequency_Hz": 49.8, "total_power_W": 6_900.0},
    {"frequency_Hz": 50.0, "total_power_W": 0.0},
]


def with_frequency(tree: Json, hertz: float) -> Json:
    return {
        **tree,
        "energy_usage_root": {"timestamp": "2026-03-01T10:00:00.000Z", "frequency_Hz": {"L1": hertz}},
    }


@pytest.mark.parametrize(
    ("hertz", "expected"),
    [(49.0, 6_900), (49.8, 6_900), (49.9, 3_450), (50.0, 0), (50.15, -5_175), (51.0, -6_900)],
)
def test_a_frequency_table_is_interpolated(hertz: float, expected: float) -> None:
    car = evse("a", min_A=0, export_A=16)
    tree = node("grid", [car], A=63, export_A=63, setpoint=setpoint(frequency_table=TABLE))
    assert watts(optimize(with_frequency(tree, hertz)))["a"] == pytest.approx(expected)


def test_a_frequency_table_uses_the_nearest_meter_toward_the_root() -> None:
    inner = node("inner", [evse("a", min_A=0)], A=63, setpoint=setpoint(frequency_table=TABLE))
    assert watts(optimize(with_frequency(node("grid", [inner], A=63), 49.9)))["a"] == pytest.approx(3_450)


def test_a_frequency_table_without_any_frequency_is_reported() -> None:
    run = SiteRun()
    tree = node("grid", [evse("a")], A=20, setpoint=setpoint(frequency_table=TABLE))
    assert amps(run.at(0, tree)) == {"a": 20}
    assert run.manager.report.rejected == [("grid", "frequency setpoint without any frequency measured")]


def test_an_export_minimum_is_kept() -> None:
    giver = evse("a", A=0, min_A=0)
    giver["schedule_export"] = [entry(limits("a", ac_max_current_A=16, ac_min_current_A=6), time=NOW)]
    assert amps(optimize(node("grid", [giver], export_A=5))) == {"a": 0}
    assert amps(optimize(node("grid", [giver], export_A=7))) == {"a": -7}
