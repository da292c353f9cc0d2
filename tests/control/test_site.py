"""A whole instance: what it measures, is limited by, keeps and tells."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from control.everest import Outside
from control.settings import Settings, SettingsError
from control.site import EnergySite
from control.store.history import sessions
from tests.control.instance import EverestPlayed, Instance, begin, start
from tests.control.sample import (
    Child,
    RecordingLog,
    VirtualClock,
    ampere_limits,
    entry,
    evse,
    node,
    watt_limits,
)

ROOT = Path(__file__).parents[2]


def test_what_a_site_does_not_need_is_not_loaded() -> None:
    """Each of them costs memory, of which a charge point has little."""
    heavy = ["asyncio", "bsp.bridge", "paho", "prometheus_client", "pymodbus", "serial", "yaml"]
    code = f"import sys, control.site; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"


def test_house_load_is_taken_from_the_fuse(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=35)
    grid.ask("a", evse("a", 32))
    grid.measure(5, 3, 1)
    grid.step()
    assert grid.newest("a", 1) == pytest.approx(30)


def test_what_a_node_measures_itself_is_taken_from_its_fuse(instances: list[Instance]) -> None:
    """An EVerest node below tells what its meter shows in its request."""
    grid = start(instances, fuse_limit_A=35)
    grid.measure(8, 8, 8)
    measured = {
        "timestamp": "2026-11-22T09:30:00.000Z",
        "energy_Wh_import": {"total": 1.0},
        "current_A": dict.fromkeys(("L1", "L2", "L3"), 8.0),
    }
    grid.ask("a", {**node("sub", [evse("car")], fuse_A=20), "energy_usage_root": measured})
    grid.step()
    assert grid.newest("a", 1) == pytest.approx(12)


def test_without_a_reading_of_a_meter_that_is_there_nothing_is_given(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=35)
    grid.ask("a", evse("a", 32))
    grid.step()
    assert grid.newest("a", 1) == 0


def test_a_meter_that_is_not_believed_is_a_warning_until_it_is(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=35)
    grid.ask("a", evse("a", 32))
    for _ in range(3):
        grid.measure(5000, 3, 1)
        grid.step()
    assert ("raised", "powermeter/VendorWarning") in grid.everest.errors
    for _ in range(15):
        grid.ask("a", evse("a", 32))
        grid.measure(5, 3, 1)
        grid.step()
    assert grid.everest.errors[-1] == ("cleared", "powermeter/VendorWarning")


def test_the_meter_is_shown_under_the_own_name(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=35)
    grid.measure(5, 3, 1)
    (implementation, variable, value) = grid.everest.published[-1]
    assert (implementation, variable, value["current_A"]["L1"]) == ("powermeter", "powermeter", 5)


def test_the_tree_of_a_trunk_is_taken_as_it_is(instances: list[Instance]) -> None:
    grid = start(instances, has_trunk=True)
    grid.ask("trunk", node("trunk", [evse("x"), evse("y")], fuse_A=40))
    grid.measure(0, 0, 0)
    grid.step()
    assert sorted(grid.children["trunk"].wait_received(2)) == [20, 20]


def test_a_trunk_and_children_beside_it_are_refused() -> None:
    children: dict[str, Any] = {"trunk": Child(), "a": Child()}
    outside = Outside(children, EverestPlayed(), RecordingLog(), has_trunk=True)
    with pytest.raises(SettingsError, match="energy_trunk is connected and so are children"):
        EnergySite(Settings.from_config("grid", {"fuse_limit_A": 32}), None, outside, VirtualClock())


def test_an_external_limit_holds_above_a_trunk_too(instances: list[Instance]) -> None:
    grid = start(instances, has_trunk=True)
    grid.ask("trunk", node("trunk", [evse("x"), evse("y")], fuse_A=40))
    grid.measure(0, 0, 0)
    limits = [entry("2026-11-22T09:00:00Z", ampere_limits(24, "ocpp"))]
    grid.site.handlers.external_limits(
        {"schedule_import": limits, "schedule_export": [], "schedule_setpoints": []}
    )
    grid.step()
    assert sorted(grid.children["trunk"].wait_received(2)) == [12, 12]


@pytest.mark.parametrize("enhance", [False, True])
def test_a_dimmed_evse_has_its_floor_whatever_the_house_draws_as_long_as_the_fuse_holds(
    enhance: bool, instances: list[Instance]
) -> None:
    dims = {"dimming_floor_W": 4200, "external_limits_dim": True, "enhance_external_schedule": enhance}
    grid = start(instances, fuse_limit_A=35, **dims)
    grid.site.handlers.external_limits(
        {
            "schedule_import": [entry("2026-11-22T09:00:00Z", watt_limits(0, "lpc"))],
            "schedule_export": [],
            "schedule_setpoints": [],
        }
    )
    for house_A, expected_A in ((10, 4200 / (3 * 230)), (30, 0)):  # 5 A are left, less than its minimum
        grid.ask("a", evse("a"))
        grid.measure(house_A, house_A, house_A)
        grid.step()
        grid.settle()
        assert grid.children["a"].amperes[-1] == pytest.approx(expected_A, abs=0.01)


def test_what_cannot_be_understood_is_told_and_changes_nothing(instances: list[Instance]) -> None:
    grid = begin(instances, fuse_limit_A=32)
    grid.site.handlers.request("a", "nonsense")
    grid.site.handlers.prices(None)
    grid.site.meters.on_powermeter([])
    grid.site.handlers.external_limits({"schedule_import": 5})
    grid.site.handlers.enforce_limits({})
    grid.step()
    assert len(grid.log.at("warning")) == 4
    assert len(grid.log.at("error")) == 1


def test_a_fallback_does_not_wait_for_the_next_regular_decision(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32, update_interval=3600)
    order = {"node": "grid", "source": "lpc", "limits": {"current_A": 20}}
    grid.site.commands.call("set_limit", {**order, "valid_for_s": 60, "fallback": {"current_A": 8}})
    grid.ask("a", evse("a"))
    grid.ask("b", evse("b", state="Unplugged"))
    grid.measure(0, 0, 0)
    at_s = grid.clock.monotonic()
    assert grid.site.step(grid.clock()) <= at_s + 60
    grid.clock.advance(60)
    grid.ask("a", evse("a"))
    grid.ask("b", evse("b", state="Unplugged"))
    grid.measure(0, 0, 0)
    assert grid.site.step(grid.clock()) > grid.clock.monotonic()
    grid.settle()
    assert grid.children["a"].amperes[-1] == 8


def test_the_status_tells_what_was_decided(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32)
    assert grid.site.status()["degraded"] == ["nothing decided yet"]
    grid.ask("a", evse("a"))
    grid.ask("b", {**evse("b"), "schedule_import": "nonsense"})
    grid.measure(0, 0, 0)
    grid.step()
    status = grid.site.status()
    assert status["evses"] == 2
    assert status["rejected"][0].startswith("b: ")
    assert status["degraded"][0].startswith("b: request left out: ")


def test_orders_survive_a_restart_of_the_process(instances: list[Instance], tmp_path: Path) -> None:
    config = {"fuse_limit_A": 32, "state_file": str(tmp_path / "state.json")}
    first = start([], **config)
    first.ask("a", evse("a"))
    first.measure(0, 0, 0)
    first.step()
    assert first.site.commands.call("pause", {"uuid": "a"})["status"] == "Accepted"
    first.site.stop()

    second = start(instances, **config)
    second.ask("a", evse("a"))
    second.measure(0, 0, 0)
    second.step()
    assert second.newest("a", 1) == 0


def test_charging_sessions_are_in_the_state_file(tmp_path: Path) -> None:
    grid = start([], fuse_limit_A=32, state_file=str(tmp_path / "state.db"))
    for count_Wh, state in (
        (100.0, "Charging"),
        (350.0, "Charging"),
        (600.0, "Finished"),
        (600.0, "Unplugged"),
    ):
        usage = {"timestamp": "2026-11-22T09:00:00.000Z", "energy_Wh_import": {"total": count_Wh}}
        grid.ask("a", {**evse("a", state=state), "energy_usage_root": usage})
        grid.measure(0, 0, 0)
        grid.step()
    grid.site.stop()
    (session,) = sessions(tmp_path / "state.db")
    assert (session.evse, session.energy_Wh, session.is_estimated, session.mode) == ("a", 500.0, False, None)
    assert session.end is not None


def test_the_wiring_that_a_car_shows_is_said_once_and_stands_in_the_status(instances: list[Instance]) -> None:
    """One car on one phase, which moves by 8 A now and then; the meter shows it on the second phase."""
    grid = start(instances, fuse_limit_A=35)
    for second in range(150):
        drawn_A = 16.0 if second // 15 % 2 else 8.0
        usage = {
            "energy_Wh_import": {"total": 1.0 + second},
            "current_A": {"L1": drawn_A, "L2": 0.0, "L3": 0.0},
        }
        grid.ask("a", {**evse("a"), "energy_usage_root": usage})
        grid.measure(2 + second / 1e3, 3 + drawn_A, 1)
        grid.step()
    line = "a: draws on L2 L3 L1; write phase_rotation: L2 L3 L1 into evses.a of the site file"
    assert grid.site.status()["suggestions"] == [line]
    assert grid.log.at("info").count(line) == 1
