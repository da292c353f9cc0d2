"""Who is served when the minimum currents do not all fit, and for how long."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.energy_management.problem import Json
from tests.energy_management.site_runs import SiteRun, amps, optimize
from tests.energy_management.trees import evse, node

TURN_S = 900


def site_of(names: str, A: float = 13, **evse_arguments: object) -> Json:
    return node("garage", [evse(name, **evse_arguments) for name in names], A=A)  # type: ignore[arg-type]


def served(limits: dict[str, Json]) -> str:
    return "".join(uuid for uuid, current in amps(limits).items() if current)


def test_as_many_as_fit_are_served_and_share_all_there_is() -> None:
    limits = optimize(site_of("abc"))
    assert amps(limits) == {"a": 6.5, "b": 6.5, "c": 0}


def test_who_waits_is_served_when_a_turn_is_over() -> None:
    run = SiteRun()
    assert served(run.at(0, site_of("abc"))) == "ab"
    assert served(run.at(TURN_S - 1, site_of("abc"))) == "ab"
    assert served(run.at(TURN_S, site_of("abc"))) == "ac"
    assert served(run.at(2 * TURN_S, site_of("abc"))) == "bc"
    assert served(run.at(3 * TURN_S, site_of("abc"))) == "ab"


@pytest.mark.parametrize("names", ["abc", "abcd", "abcde"])
def test_in_the_long_run_everybody_is_served_equally(names: str) -> None:
    run, turns = SiteRun(), Counter[str]()
    for turn in range(10 * len(names)):
        turns.update(served(run.at(turn * TURN_S, site_of(names))))
    assert max(turns.values()) - min(turns.values()) <= 1


def test_the_length_of_a_turn_can_be_set() -> None:
    run = SiteRun({"rotation_interval_s": 60})
    run.at(0, site_of("abc"))
    assert served(run.at(59, site_of("abc"))) == "ab"
    assert served(run.at(60, site_of("abc"))) == "ac"


class Cars:
    """EVSEs whose cars draw or not; each tells what its car makes of its limit, as EVerest's do."""

    def __init__(self, drawing: str) -> None:
        self.run, self.drawing, self.served = SiteRun(), drawing, ""

    def at(self, second: int, names: str = "abc") -> str:
        states = {name: "Charging" if name in self.drawing else "PausedEV" for name in self.served}
        evses = [evse(name, state=states.get(name, "PausedEVSE")) for name in names]
        self.served = served(self.run.at(second, node("garage", evses, A=13)))
        return self.served


@pytest.mark.parametrize("names", ["abc", "abcd", "abcdefg"])
def test_full_cars_do_not_take_each_others_turns_away(names: str) -> None:
    cars = Cars(drawing="")
    seen = [cars.at(second, names) for second in range(TURN_S)]
    changes = sum(one != other for one, other in pairwise(seen))
    assert changes <= len(names), "each is tried once"
    assert set("".join(seen)) == set(names)


def test_full_cars_leave_the_room_to_those_that_draw() -> None:
    cars = Cars(drawing="bc")
    assert {cars.at(second) for second in range(5, 1800, 5)} >= {"bc"}
    assert cars.served == "bc"


def test_who_has_declined_is_asked_again_and_may_draw_then() -> None:
    cars = Cars(drawing="bc")
    for second in range(0, 600, 5):
        cars.at(second)
    cars.drawing = "abc"
    assert any("a" in cars.at(second) for second in range(600, 600 + 1800 + TURN_S, 5))


def test_a_car_that_comes_instead_of_one_that_declined_is_as_good_as_any() -> None:
    cars = Cars(drawing="bc")
    for second in range(0, 600, 5):
        cars.at(second)
    for second in range(600, 605):
        cars.at(second, "bc")  # the other one is gone
    cars.drawing = "abc"
    assert any("a" in cars.at(second) for second in range(605, 605 + TURN_S + 5, 5))


def test_who_leaves_makes_room_at_once() -> None:
    run = SiteRun()
    run.at(0, site_of("abc"))
    gone = node("garage", [evse("a"), evse("b", state="Unplugged"), evse("c")], A=13)
    assert served(run.at(10, gone)) == "ac"


def test_a_newcomer_waits_for_the_turn_of_those_who_charge() -> None:
    run = SiteRun()
    run.at(0, site_of("ab"))
    assert served(run.at(5_000, site_of("abc"))) == "ab"
    assert served(run.at(5_000 + TURN_S, site_of("abc"))) == "ac"


def test_higher_priority_is_served_first_and_has_no_turns() -> None:
    run = SiteRun(site={"evses": {"c": {"priority": 5}}})
    for turn in range(6):
        assert "c" in served(run.at(turn * TURN_S, site_of("abc")))


def test_a_small_minimum_does_not_wait_for_a_large_one() -> None:
    tree = node("garage", [evse("a", min_A=10), evse("b", min_A=10), evse("c", min_A=6)], A=16)
    assert served(optimize(tree)) == "ac"


def test_those_on_other_fuses_are_not_concerned() -> None:
    tree = node("grid", [site_of("abc"), node("roof", [evse("x"), evse("y")], A=40)], A=63)
    limits = amps(optimize(tree))
    assert (limits["x"], limits["y"]) == (20, 20)


@pytest.mark.parametrize("limit_A", [0, 5.9])
def test_nobody_is_served_below_its_minimum(limit_A: float) -> None:
    assert amps(optimize(site_of("ab", A=limit_A))) == {"a": 0, "b": 0}


@pytest.mark.parametrize("state", ["Unplugged", "Finished", "Disabled"])
def test_without_a_car_there_is_nothing_while_others_want_it(state: str) -> None:
    tree = node("grid", [evse("idle", state=state), evse("car")], A=32)
    assert amps(optimize(tree)) == {"idle": 0, "car": 32}


@pytest.mark.parametrize("state", ["Unplugged", "Finished", "Disabled"])
def test_without_a_car_there_is_what_nobody_wants(state: str) -> None:
    tree = node("grid", [evse("idle", state=state), evse("car", A=10)], A=32)
    assert amps(optimize(tree)) == {"idle": 22, "car": 10}


@pytest.mark.parametrize("state", ["WaitForAuth", "PausedEV"])
def test_who_may_resume_at_any_time_keeps_its_minimum(state: str) -> None:
    tree = node("grid", [evse("paused", state=state), evse("car")], A=32)
    assert amps(optimize(tree)) == {"paused": 6, "car": 26}


@pytest.mark.parametrize("state", ["WaitForAuth", "PausedEV"])
def test_who_may_resume_is_not_served_before_one_who_charges(state: str) -> None:
    tree = node("grid", [evse("paused", state=state), evse("car")], A=10)
    assert amps(optimize(tree)) == {"paused": 0, "car": 10}


def test_what_nobody_wants_goes_to_who_may_resume_first() -> None:
    tree = node(
        "grid", [evse("idle", state="Unplugged"), evse("paused", state="PausedEV"), evse("car", A=10)], A=32
    )
    assert amps(optimize(tree)) == {"idle": 0, "paused": 22, "car": 10}


@pytest.mark.parametrize("state", ["Charging", "PrepareCharging", "WaitForEnergy", "PausedEVSE", None])
def test_all_others_want_their_share(state: str | None) -> None:
    tree = node("grid", [evse("a", state=state), evse("b")], A=32)
    assert amps(optimize(tree)) == {"a": 16, "b": 16}
