"""What a person is told about the current of an EVSE."""

from __future__ import annotations

import pytest

from energy_management import EnergyManager, ManagerConfig
from energy_management.measurement import Reading
from tests.energy_management.problem import Json
from tests.energy_management.site_runs import SiteRun
from tests.energy_management.trees import NOW, evse, node


def explained(request: Json, uuid: str, config: Json | None = None, site: Json | None = None) -> str:
    run = SiteRun(config, site)
    run.at(0, request)
    return run.manager.explain(uuid)


def test_a_full_fuse() -> None:
    tree = node("grid", [node("garage", [evse("a"), evse("b")], A=20)], A=63)
    assert explained(tree, "a") == "10.0 A on 3 phases: garage 20 A full (garage/ac_max_current_A)"


def test_one_full_phase() -> None:
    site = {"evses": {name: {"phase_rotation": "L2 L3 L1"} for name in "ab"}}
    tree = node("garage", [evse("a", phases=1), evse("b", phases=1)], A=32)
    assert (
        explained(tree, "a", site=site)
        == "16.0 A on 1 phase: garage 32 A full on L2 (garage/ac_max_current_A)"
    )


def test_its_own_limit() -> None:
    assert (
        explained(node("grid", [evse("a", A=16)], A=63), "a")
        == "16.0 A on 3 phases: a 16 A full (a/ac_max_current_A)"
    )


def test_power() -> None:
    text = explained(node("grid", [evse("a")], A=63, W=6_900), "a")
    assert text == "10.0 A on 3 phases: grid 6900 W full (grid/total_power_W)"


def metered(at_s: float, house_A: float) -> str:
    """Explain a car below a metered fuse, as the meter was last read at a time."""
    run = SiteRun(site={"nodes": {"grid": {"fallback_A": 10}}})
    reading = Reading(NOW.timestamp() + at_s, current_A=(house_A,) * 3)
    run.at(0, node("grid", [evse("a")], A=32), {"grid": reading})
    return run.manager.explain("a")


def test_beside_other_loads_it_names_the_limit_of_which_something_is_left() -> None:
    assert "grid 2 A of 32 A has no room for 6 A (grid/meter, ac_max_current_A)" in metered(0, 30)


def test_a_meter_that_is_not_believed() -> None:
    assert "grid 10 A full (grid/meter, which is not believed)" in metered(-3600, 0)


def test_just_the_minimum() -> None:
    text = explained(node("grid", [evse("a"), evse("b")], A=12), "a")
    assert text == "6.0 A on 3 phases: minimum; grid 12 A full (grid/ac_max_current_A)"


def test_waiting_for_a_turn() -> None:
    text = explained(node("garage", [evse(name) for name in "abc"], A=13), "c")
    waits, limit = text.split("; ")
    assert waits == "0.0 A: waits for its turn, next at 10:15"
    assert limit == "garage 13 A has no room for 6 A (garage/ac_max_current_A)"


@pytest.mark.parametrize(
    ("state", "words"),
    [("PausedEV", "the car does not draw at present"), ("Unplugged", "no car that could draw")],
)
def test_the_state_of_the_car(state: str, words: str) -> None:
    assert words in explained(node("grid", [evse("a", state=state), evse("b")], A=32), "a")


def test_phases_that_were_given_up() -> None:
    config = {"switch_3ph1ph_while_charging_mode": "Both"}
    text = explained(node("grid", [evse("a", can_switch=True)], A=63, W=2_300), "a", config)
    assert text == (
        "10.0 A on 1 phase: switched to 1 as power is short for more; grid 2300 W full (grid/total_power_W)"
    )


def test_phases_that_are_not_allowed() -> None:
    text = explained(node("grid", [evse("a", min_phases=3)], A=16, phases=1), "a")
    assert "needs 3 phases, but only 1 allowed" in text


def test_export() -> None:
    tree = node("grid", [evse("a", A=0, min_A=0, export_A=10)], A=16, export_A=5)
    assert explained(tree, "a") == "5.0 A on 3 phases to the grid: grid 5 A full (grid/ac_max_current_A)"


@pytest.mark.parametrize(("uuid", "slot"), [("b", 0), ("a", 1), ("a", -1), ("grid", 0)])
def test_what_is_not_there_cannot_be_explained(uuid: str, slot: int) -> None:
    manager = EnergyManager(ManagerConfig())
    with pytest.raises(KeyError):
        manager.explain("a")
    manager.optimize(node("grid", [evse("a")], A=16), NOW)
    with pytest.raises(KeyError, match="no EVSE"):
        manager.explain(uuid, slot)


def test_debug_output_describes_a_run() -> None:
    lines: list[str] = []
    manager = EnergyManager(ManagerConfig(debug=True), log=lines.append)
    manager.optimize(node("grid", [evse("a"), evse("b", A=float("nan"))], A=16), NOW)
    for wanted in (
        "rejected: b: ",
        "request: grid",
        "request: a Charging: 32 A",
        "filling: a settled",
        "allocation: a: 16.0 A",
    ):
        assert any(line.startswith(wanted) for line in lines), wanted


def test_without_debug_nothing_is_said() -> None:
    lines: list[str] = []
    EnergyManager(ManagerConfig(), log=lines.append).optimize(node("grid", [evse("a")], A=16), NOW)
    assert lines == []
