"""A whole instance, stepped by hand on a virtual clock; only EVerest itself is played."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.everest import Outside
from control.settings import Settings, SettingsError
from control.site import EnergySite
from control.store.history import sessions
from control.tree import held
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

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]


class EverestPlayed:
    """Takes what an instance publishes."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, Any]] = []
        self.errors: list[tuple[str, str]] = []

    def publish(self, implementation: str, variable: str, value: object) -> None:
        self.published.append((implementation, variable, value))

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        self.errors.append(("raised", error_type))

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        self.errors.append(("cleared", error_type))


class Instance:
    """An instance called grid with two children."""

    def __init__(self, *, has_trunk: bool = False, has_powermeter: bool = True, **config: Any) -> None:
        self.has_powermeter = has_powermeter
        self.clock = VirtualClock()
        self.log = RecordingLog()
        self.everest = EverestPlayed()
        names = ["trunk"] if has_trunk else ["a", "b"]
        self.children = {name: Child() for name in names}
        self.site = EnergySite(
            Settings.from_config("grid", config),
            None,
            Outside(
                dict(self.children),
                self.everest,
                self.log,
                has_trunk=has_trunk,
                has_powermeter=has_powermeter,
            ),
            self.clock,
        )

    def step(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        self.site.step(self.clock())

    def ask(self, child: str, request: Json) -> None:
        self.site.handlers.request(child, request)

    def measure(self, *amperes: float) -> None:
        powermeter = {
            "timestamp": "2026-11-22T09:30:00.000Z",
            "energy_Wh_import": {"total": 1.0},
            "current_A": dict(zip(("L1", "L2", "L3"), amperes, strict=True)),
        }
        self.site.meters.on_powermeter(powermeter)

    def settle(self) -> None:
        """Wait until all limits that were sent have arrived."""
        dispatcher = self.site._dispatcher
        with dispatcher._changed:
            while dispatcher._queue or any(lane.call_since for lane in dispatcher._lanes.values()):
                dispatcher._changed.wait(0.01)

    def newest(self, child: str, count: int) -> float:
        """Amperes of the limit that came as the so manieth."""
        return self.children[child].wait_received(count)[-1]


@pytest.fixture
def instances() -> Iterator[list[Instance]]:
    started: list[Instance] = []
    yield started
    for instance in started:
        instance.site.stop()


def start(instances: list[Instance], **config: Any) -> Instance:
    """Start an instance, so long ago that it waits for nobody that has not been heard."""
    instance = begin(instances, **config)
    instance.step(0)
    instance.clock.advance(11)
    return instance


def begin(instances: list[Instance], **config: Any) -> Instance:
    instance = Instance(**config)
    instances.append(instance)
    return instance


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


def test_the_share_of_a_dead_child_is_free_only_when_its_limit_has_run_out(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32)
    grid.ask("b", evse("b"))  # and never again
    granted: list[float] = []
    last_sent_to_b = 0
    for second in range(30):
        grid.ask("a", evse("a"))
        grid.measure(0, 0, 0)
        called = grid.children["b"].called
        grid.step()
        grid.settle()
        granted.append(grid.children["a"].amperes[-1])
        if grid.children["b"].called > called:
            last_sent_to_b = second
    assert 5 < last_sent_to_b < 12, "limits go on for the child timeout of 10 s"
    free_from = granted.index(32)
    assert set(granted[:free_from]) == {16}
    assert last_sent_to_b + 10 <= free_from <= last_sent_to_b + 12


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


def test_after_a_start_nobody_gets_what_one_not_heard_yet_may_still_draw(instances: list[Instance]) -> None:
    grid = begin(instances, fuse_limit_A=32)
    grid.ask("a", evse("a"))
    grid.step(0)
    assert grid.site.decision is None, "of b nothing is known"
    grid.step(4)
    assert grid.log.at("warning")[-1] == "no limits yet: b not heard since the start, may still draw"
    grid.ask("b", evse("b"))
    grid.step()
    assert grid.site.decision is not None
    assert "first limits are decided" in grid.log.at("info")


def test_who_is_never_heard_is_waited_for_until_what_it_had_has_run_out(instances: list[Instance]) -> None:
    grid = begin(instances, fuse_limit_A=32)
    grid.step(0)
    for _ in range(10):
        grid.ask("a", evse("a"))
        grid.step()
        assert grid.site.decision is None
    grid.step()
    assert grid.site.decision is not None


def test_an_evse_that_goes_on_with_what_it_has_is_told_its_limit_again(instances: list[Instance]) -> None:
    """As a connector of the bridge does that has a fault: nobody else refreshes its limit."""
    grid = start(instances, fuse_limit_A=32)
    still_in_force = held(evse("a"), {"a": ampere_limits(16, "fault")})
    assert still_in_force is not None
    grid.ask("a", still_in_force)
    grid.measure(0, 0, 0)
    grid.step()
    assert grid.newest("a", 1) == 16


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


def test_a_share_rises_only_when_the_other_has_fallen(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32)
    grid.ask("a", evse("a"))
    grid.measure(0, 0, 0)
    grid.step()
    assert grid.newest("a", 1) == 32
    grid.settle()

    grid.children["a"].answers.clear()  # a is slow: it may go on with 32 A
    grid.ask("b", evse("b"))
    grid.measure(0, 0, 0)
    grid.step()
    grid.children["a"].wait_called(2)
    assert grid.newest("b", 1) == 0, "nothing is free before a has answered"

    grid.children["a"].answers.set()
    assert grid.newest("a", 2) == 16
    grid.settle()
    for second in range(9):
        grid.measure(0, 0, 0)
        grid.step()
        assert second >= 5 or 16 not in grid.children["b"].amperes
    assert grid.children["b"].wait_for(16), (
        "nobody measures a, so its car has the time that IEC 61851 gives it"
    )


def test_a_share_rises_at_once_into_what_is_free(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=48)
    grid.ask("a", evse("a", 40))
    grid.measure(0, 0, 0)
    grid.step()
    assert grid.newest("a", 1) == 40
    grid.settle()
    grid.children["a"].answers.clear()
    grid.ask("b", evse("b"))
    grid.step()
    assert grid.newest("b", 1) == pytest.approx(8), "24 A each later, the 8 A that are free now"
    grid.children["a"].answers.set()


def test_a_dead_evse_withholds_its_share_until_its_limit_has_run_out(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32)
    grid.ask("a", evse("a"))
    grid.measure(0, 0, 0)
    grid.step()
    grid.newest("a", 1)
    grid.settle()
    grid.children["a"].answers.clear()
    for second in range(15):
        grid.ask("a", evse("a", state="Unplugged"))
        grid.ask("b", evse("b"))
        grid.measure(0, 0, 0)
        grid.step()
        assert second > 9 or 32 not in grid.children["b"].amperes
    assert grid.children["b"].wait_for(32)
    grid.children["a"].answers.set()


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
