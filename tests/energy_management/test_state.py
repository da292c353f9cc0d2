"""What survives a restart."""

from __future__ import annotations

import json

import pytest

from energy_management import EnergyManager, ManagerConfig, ManagerState
from tests.energy_management.problem import Json
from tests.energy_management.site_runs import SiteRun, amps, phases
from tests.energy_management.trees import NOW, evse, node

THREE_CARS = node("garage", [evse(name) for name in "abc"], A=13)


def power(W: float, active: int) -> Json:
    return node("grid", [evse("e", active=active, can_switch=True)], A=32, W=W)


def test_a_restart_does_not_forget_whose_turn_it_is() -> None:
    run = SiteRun()
    run.at(0, THREE_CARS)
    run.restart()
    run.at(0, THREE_CARS)
    assert amps(run.at(899, THREE_CARS)) == {"a": 6.5, "b": 6.5, "c": 0}
    run.restart()
    run.at(899, THREE_CARS)
    assert amps(run.at(900, THREE_CARS)) == {"a": 6.5, "b": 0, "c": 6.5}


def test_a_restart_does_not_reset_the_hysteresis() -> None:
    run = SiteRun({"switch_3ph1ph_while_charging_mode": "Both"})
    run.at(0, power(3_000, 1))
    run.at(500, power(9_000, 1))
    run.restart()
    run.at(500, power(9_000, 1))
    assert phases(run.at(599, power(9_000, 1)))["e"] == 1
    run.restart()
    run.at(599, power(9_000, 1))
    assert phases(run.at(600, power(9_000, 1)))["e"] == 3


def test_a_restart_does_not_forget_the_switches_of_a_session() -> None:
    run = SiteRun(
        {
            "switch_3ph1ph_while_charging_mode": "Both",
            "switch_3ph1ph_time_hysteresis_s": 0,
            "switch_3ph1ph_max_nr_of_switches_per_session": 1,
        }
    )
    run.at(0, power(9_000, 3))
    run.at(1, power(3_000, 1))
    run.restart()
    assert phases(run.at(2, power(9_000, 1)))["e"] == 1


def test_ages_count_not_the_clock_of_the_process() -> None:
    """The new process has another monotonic clock, and 100 s of 900 s of the turns are over."""
    before = EnergyManager(ManagerConfig())
    before.optimize(THREE_CARS, NOW, monotonic_s=5_000_000.0)
    before.optimize(THREE_CARS, NOW, monotonic_s=5_000_100.0)
    after = EnergyManager(ManagerConfig(), state=ManagerState.from_json(before.state.to_json()))

    def served(monotonic_s: float) -> str:
        results = after.optimize(THREE_CARS, NOW, monotonic_s=monotonic_s)
        return "".join(r["uuid"] for r in results if r["limits_root_side"]["ac_max_current_A"]["value"])

    assert served(3.0) == "ab"
    assert served(3.0 + 799) == "ab"
    assert served(3.0 + 800) == "ac"


def test_the_wall_clock_may_jump() -> None:
    manager = EnergyManager(ManagerConfig())
    manager.optimize(THREE_CARS, NOW, monotonic_s=0.0)
    for hours in (-5, 5):
        results = manager.optimize(THREE_CARS, NOW.replace(hour=NOW.hour + hours), monotonic_s=10.0)
        assert [r["uuid"] for r in results if r["limits_root_side"]["ac_max_current_A"]["value"]] == [
            "a",
            "b",
        ]


def test_an_empty_state_is_written_and_read() -> None:
    assert ManagerState.from_json(ManagerState().to_json()) == ManagerState()


def written(**of_evse: object) -> str:
    return json.dumps({"version": 1, "evses": {"e": of_evse}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "state: not JSON"),
        ('{"version": 1, "evses": {"e"', "state: not JSON"),
        ("[]", "not written by this version"),
        ('{"version": 99, "evses": {}}', "not written by this version"),
        ('{"version": 1}', "not written by this version"),
        ('{"version": 1, "evses": {"e": 7}}', "evses.e: unknown contents"),
        (written(mood="good"), "evses.e: unknown contents"),
        (written(switches=-1), "evses.e.switches: -1"),
        (written(switches=True), "evses.e.switches: True"),
        (written(active_phases=4), "evses.e.active_phases: 4"),
        (written(turn_ends="soon"), "evses.e.turn_ends: 'soon'"),
        (written(turn_ends=float("nan")), "evses.e.turn_ends: nan"),
        (written(granted_A=[1, 2]), "evses.e.granted_A"),
        (written(granted_A=[1, 2, None]), "evses.e.granted_A"),
    ],
)
def test_a_damaged_state_says_what_is_wrong_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        ManagerState.from_json(text)
    assert "\n" not in str(raised.value)
