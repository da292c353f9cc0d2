"""When EVSEs are switched between one and three phases. Three phases need 3 x 6 A x 230 V = 4140 W."""

from __future__ import annotations

import pytest

from tests.energy_management.problem import Json
from tests.energy_management.site_runs import SiteRun, amps, optimize, phases, watts
from tests.energy_management.trees import evse, node

HYSTERESIS_S = 600


def mode(name: str, **more: object) -> Json:
    return {
        "switch_3ph1ph_while_charging_mode": name,
        **{f"switch_3ph1ph_{key}": v for key, v in more.items()},
    }


def one(W: float | None, active: int, *, state: str = "Charging", **more: object) -> Json:
    return node("grid", [evse("e", active=active, can_switch=True, state=state, **more)], A=32, W=W)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "W", "active", "expected"),
    [
        ("Never", 2_000, 3, None),  # not enough for three, and no switching: nothing
        ("Never", 22_000, 1, 1),
        ("Oneway", 2_000, 3, 1),
        ("Oneway", 22_000, 1, 1),
        ("Both", 2_000, 3, 1),
        ("Both", 4_139, 3, 1),
        ("Both", 4_140, 3, 3),
        ("Both", 4_340, 1, 1),  # within the hysteresis of 200 W: as it is
        ("Both", 4_341, 1, 3),
        ("Both", None, 1, 3),
        ("Both", None, 3, 3),
    ],
)
def test_power_and_mode_decide(name: str, W: float | None, active: int, expected: int | None) -> None:
    config = mode(name, time_hysteresis_s=0)
    assert phases(optimize(one(W, active), config))["e"] == expected


@pytest.mark.parametrize("limitation", [{"can_switch": False}, {"min_phases": 3}])
def test_hardware_that_cannot_do_it_is_not_switched(limitation: Json) -> None:
    settings: Json = {"can_switch": True, **limitation}
    tree = node("grid", [evse("e", active=3, **settings)], A=32, W=2_000)
    assert amps(optimize(tree, mode("Both"))) == {"e": 0}


@pytest.mark.parametrize(
    ("others_A", "expected"),
    [
        (0.0, (32.0, 3)),  # room on all phases
        (32.0, (32.0, 1)),  # L1 is full: nothing on three phases
        (30.0, (32.0, 1)),  # 2 A on three phases, or 32 A on one
        (12.0, (20.0, 3)),
    ],
)
def test_who_would_have_less_on_three_phases_is_on_one(others_A: float, expected: tuple[float, int]) -> None:
    site: Json = {
        "evses": {
            "e": {"phase_rotation": "L3 L1 L2"},
            "other": {"phase_rotation": "L1 L2 L3", "priority": 1},
        }
    }
    other = evse("other", phases=1, A=others_A, min_A=0.0)
    tree = node("grid", [other, evse("e", active=1, can_switch=True, min_A=0.0)], A=32)
    found = optimize(tree, mode("Both", time_hysteresis_s=0), site=site)
    assert (amps(found)["e"], phases(found)["e"]) == expected


def test_a_phase_limit_above_bounds_the_phases() -> None:
    tree = node("grid", [evse("e", active=3, can_switch=True)], A=32, phases=1)
    assert phases(optimize(tree, mode("Both"))) == {"e": 1}
    assert phases(optimize(tree, mode("Never"))) == {"e": 1}


def test_more_phases_wait_for_stable_power_fewer_do_not() -> None:
    run = SiteRun(mode("Both"))
    assert phases(run.at(0, one(3_000, 3)))["e"] == 1
    assert phases(run.at(1, one(9_000, 1)))["e"] == 1
    assert phases(run.at(300, one(3_000, 1)))["e"] == 1  # the clock starts anew
    assert phases(run.at(899, one(9_000, 1)))["e"] == 1
    assert phases(run.at(900, one(9_000, 1)))["e"] == 3
    assert phases(run.at(901, one(3_000, 3)))["e"] == 1


def test_power_within_the_hysteresis_is_not_stable_for_three_phases() -> None:
    run = SiteRun(mode("Both"))
    run.at(0, one(3_000, 1))
    run.at(500, one(4_300, 1))
    assert phases(run.at(700, one(9_000, 1)))["e"] == 1
    assert phases(run.at(1_100, one(9_000, 1)))["e"] == 3


def test_an_unchanged_request_while_power_is_short_keeps_the_clock_at_zero() -> None:
    run = SiteRun(mode("Both"))
    for second in range(0, 1_000, 100):
        run.at(second, one(3_000, 1))
    assert phases(run.at(1_001, one(9_000, 1)))["e"] == 1
    assert phases(run.at(900 + HYSTERESIS_S, one(9_000, 1)))["e"] == 3


def test_an_unchanged_request_does_not_delay_the_switch() -> None:
    run = SiteRun(mode("Both"))
    run.at(0, one(3_000, 1))
    found = {second: phases(run.at(second, one(9_000, 1)))["e"] for second in range(1, 700, 1)}
    assert min(second for second, count in found.items() if count == 3) == HYSTERESIS_S


def test_an_evse_that_charges_on_three_phases_stays_there_at_the_first_run() -> None:
    assert phases(optimize(one(22_000, 3), mode("Both"))) == {"e": 3}


def test_an_evse_first_seen_on_one_phase_waits() -> None:
    run = SiteRun(mode("Both"))
    assert phases(run.at(0, one(22_000, 1)))["e"] == 1
    assert phases(run.at(HYSTERESIS_S, one(22_000, 1)))["e"] == 3


def test_a_new_session_starts_with_the_best_number_of_phases() -> None:
    run = SiteRun(mode("Both"))
    run.at(0, one(3_000, 1))
    run.at(10, one(22_000, 1, state="Unplugged"))
    assert phases(run.at(20, one(22_000, 1)))["e"] == 3


def switched_once(stickyness: str, allowed: int = 1) -> SiteRun:
    config = mode(
        "Both",
        time_hysteresis_s=60,
        max_nr_of_switches_per_session=allowed,
        switch_limit_stickyness=stickyness,
    )
    run = SiteRun(config)
    run.at(0, one(9_000, 3))
    run.at(1, one(3_000, 3))
    run.at(2, one(3_000, 1))  # the switch has happened
    return run


@pytest.mark.parametrize(
    ("stickyness", "W", "expected"),
    [
        ("DontChange", 9_000, 1),
        ("SinglePhase", 9_000, 1),
        ("ThreePhase", 9_000, 3),  # at once: the hysteresis is no reason any more
        ("ThreePhase", 3_000, None),
    ],
)
def test_after_the_last_switch_the_stickyness_decides(
    stickyness: str, W: float, expected: int | None
) -> None:
    assert phases(switched_once(stickyness).at(3, one(W, 1)))["e"] == expected


def test_switches_are_counted_once_each_however_many_slots_there_are() -> None:
    config = mode("Both", time_hysteresis_s=0, max_nr_of_switches_per_session=2)
    run = SiteRun({**config, "schedule_interval_duration": 5, "schedule_total_duration": 2})
    run.at(0, one(9_000, 3))
    run.at(1, one(3_000, 3))
    run.at(2, one(3_000, 1))
    assert phases(run.at(3, one(9_000, 1)))["e"] == 3  # the second switch is still allowed
    run.at(4, one(9_000, 3))
    assert amps(run.at(5, one(3_000, 3)))["e"] == 0  # the third one is not


def test_a_new_session_may_switch_again() -> None:
    run = switched_once("DontChange")
    run.at(10, one(9_000, 1, state="Finished"))
    assert phases(run.at(20, one(9_000, 1)))["e"] == 3


def test_the_fair_share_decides_not_the_order_of_children() -> None:
    tree = node("grid", [evse(name, active=1, can_switch=True) for name in "abc"], A=63, W=9_000)
    limits = optimize(tree, mode("Both", time_hysteresis_s=0))
    assert phases(limits) == {"a": 1, "b": 1, "c": 1}
    assert watts(limits) == {"a": 3_000, "b": 3_000, "c": 3_000}


def test_who_cannot_switch_is_not_asked_to() -> None:
    tree = node("grid", [evse("fixed"), evse("free", can_switch=True)], A=63, W=6_000)
    limits = optimize(tree, mode("Both"))
    assert phases(limits) == {"fixed": 3, "free": 1}
    assert sum(watts(limits).values()) == pytest.approx(6_000)


def test_one_phase_never_carries_more_than_its_fuse() -> None:
    tree = node("grid", [evse("e", A=32, active=3, can_switch=True)], A=16, W=4_000)
    limits = optimize(tree, mode("Both"))
    assert (amps(limits), phases(limits), watts(limits)) == ({"e": 16}, {"e": 1}, {"e": 3_680})


def test_a_free_phase_is_used_when_three_do_not_fit() -> None:
    site = {"evses": {"busy": {"phase_rotation": "L1 L2 L3"}, "e": {"phase_rotation": "L2 L3 L1"}}}
    tree = node("grid", [evse("busy", phases=1), evse("e", active=3, can_switch=True)], A=10)
    limits = optimize(tree, mode("Both"), site)
    assert (amps(limits), phases(limits)) == ({"busy": 10, "e": 10}, {"busy": 1, "e": 1})
