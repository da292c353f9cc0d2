"""Who gives up goes first, who gains waits: on a fuse of 35 A with EVSEs that ask for 32 A each."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_management import EnergyManager, ManagerConfig
from energy_management.measurement import Reading
from tests.energy_management.one_grid import FUSE_A, STRAIGHT, Grid, flat
from tests.energy_management.trees import NOW, evse, node


def cars(**draws_A: float) -> dict[str, Reading | tuple[float, float, float]]:
    return {name: flat(current) for name, current in draws_A.items()}


def two(*, b: str) -> Grid:
    grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, fallback_A=None, closed_loop=True)
    grid.states["b"] = b
    return grid


class TestSharing:
    def arrange(self) -> Grid:
        """a charges with all there is; b has come."""
        grid = two(b="Unplugged")
        grid.run(30, None, cars(a=32, b=0))
        grid.states["b"] = "Charging"
        return grid

    def test_a_fall_is_never_delayed(self) -> None:
        grid = self.arrange()
        assert grid.run(1, None, cars(a=32, b=0))["a"] == pytest.approx(17.5)

    def test_who_gains_waits_while_the_other_still_draws(self) -> None:
        grid = self.arrange()
        for _ in range(20):
            assert grid.run(1, None, cars(a=32, b=0))["b"] <= FUSE_A - 32, "a car that ignores its limit"

    def test_who_gains_gets_it_as_soon_as_the_fall_is_measured(self) -> None:
        grid = self.arrange()
        grid.run(1, None, cars(a=32, b=0))
        assert grid.run(1, None, cars(a=17.5, b=0))["b"] == pytest.approx(17.5)

    def test_who_gains_waits_six_seconds_where_nobody_measures(self) -> None:
        grid = two(b="Unplugged")
        grid.run(30, None)
        grid.states["b"] = "Charging"
        grants = [grid.run(1, None)["b"] for _ in range(8)]
        assert grants[5] == 0
        assert grants[7] == pytest.approx(17.5)

    def test_it_says_why_it_waits(self) -> None:
        grid = self.arrange()
        grid.run(1, None, cars(a=32, b=0))
        assert "waits until a has fallen" in grid.manager.explain("b")
        assert "full" in grid.manager.explain("a")

    def test_a_car_that_has_just_been_given_more_may_still_begin_to_use_it(self) -> None:
        """It draws 10 A of 32 A: less than its new limit, but not because it has heard of that."""
        grid = two(b="Unplugged")
        grid.run(3, None, cars(a=10, b=0))
        grid.states["b"] = "Charging"
        grants = [grid.run(1, None, cars(a=10, b=0))["b"] for _ in range(8)]
        assert grants[0] == 0
        assert grants[-1] == pytest.approx(17.5)

    def test_nobody_waits_for_a_car_that_has_long_drawn_less(self) -> None:
        grid = two(b="Unplugged")
        grid.run(8, None, cars(a=10, b=0))
        grid.states["b"] = "Charging"
        assert grid.run(1, None, cars(a=10, b=0))["b"] == pytest.approx(17.5)

    def test_nobody_falls_below_its_minimum_by_waiting(self) -> None:
        grid = Grid({"a": STRAIGHT, "b": STRAIGHT, "c": STRAIGHT}, fallback_A=None, closed_loop=True)
        grid.states["c"] = "Unplugged"
        grid.run(30, None, cars(a=17.5, b=17.5, c=0))
        grid.states["c"] = "Charging"
        for _ in range(10):
            grants = grid.run(1, None, cars(a=17.5, b=17.5, c=0))
            assert min(grants["a"], grants["b"]) >= 6


class TestRises:
    def test_at_most_every_five_seconds(self) -> None:
        grid = two(b="Unplugged")
        rises = []
        before = grid.run(30, flat(25), cars(a=10, b=0))["a"]
        for house in range(25, 0, -1):
            for _ in range(2):
                granted = grid.run(1, flat(house + before), cars(a=before, b=0))["a"]
                if granted > before:
                    rises.append(grid.now_s)
                before = granted
        assert len(rises) > 3
        assert min(later - earlier for earlier, later in pairwise(rises)) >= 5

    def test_small_ones_wait(self) -> None:
        grid = two(b="Unplugged")
        grid.run(30, flat(35), cars(a=10, b=0))
        assert grid.run(40, flat(34.7), cars(a=10, b=0))["a"] == pytest.approx(10)
        assert "rises only by 0.5 A or more" in grid.manager.explain("a")
        assert grid.run(40, flat(34.4), cars(a=10, b=0))["a"] == pytest.approx(10.6)

    def test_the_last_bit_up_to_what_it_asks_for_is_no_small_one(self) -> None:
        grid = two(b="Unplugged")
        grid.run(30, flat(3.3), cars(a=0, b=0))
        assert grid.run(40, flat(2.9), cars(a=0, b=0))["a"] == pytest.approx(32)


def test_a_fresh_manager_has_nobody_to_wait_for() -> None:
    request = node("grid", [evse("a"), evse("b"), evse("c")], A=FUSE_A)
    plain = EnergyManager(ManagerConfig()).optimize(request, NOW)
    assert EnergyManager(ManagerConfig(closed_loop=True)).optimize(request, NOW) == plain


@settings(max_examples=25, deadline=None)
@given(stays=st.lists(st.tuples(st.sets(st.sampled_from("abcd")), st.integers(1, 8)), min_size=2, max_size=6))
def test_grants_and_what_lingers_never_exceed_the_fuse(stays: list[tuple[set[str], int]]) -> None:
    """Cars come and go; each may draw the greatest limit that it had within its last six seconds there."""
    grid = Grid(dict.fromkeys("abcd", STRAIGHT), fallback_A=None, closed_loop=True)
    came_at = dict.fromkeys("abcd", 0)
    history = [dict.fromkeys("abcd", 0.0)]
    for here, seconds in stays:
        came_at = {name: came_at[name] if name in here else len(history) + seconds for name in "abcd"}
        grid.states = {name: "Charging" if name in here else "Unplugged" for name in "abcd"}
        for _ in range(seconds):
            history.append(grid.run(1, None))
            before, now = history[-2:]
            if any(now[name] > before[name] + 1e-6 for name in here):
                first = {name: max(came_at[name], len(history) - 6) for name in here}
                possible_A = sum(max(grants[name] for grants in history[first[name] :]) for name in here)
                assert possible_A <= FUSE_A + 1e-6
