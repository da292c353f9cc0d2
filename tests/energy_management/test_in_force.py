"""No share rises on account of a limit that has not arrived: on a fuse of 35 A, EVSEs ask for 32 A each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_management import EnergyManager, InForce, ManagerConfig
from tests.energy_management.one_grid import FUSE_A, STRAIGHT, Grid, flat
from tests.energy_management.trees import NOW, evse, node


def two(*, a: str, b: str) -> Grid:
    grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, fallback_A=None, closed_loop=True)
    grid.states = {"a": a, "b": b}
    return grid


def cars(**draws_A: float) -> dict[str, tuple[float, float, float]]:
    return {name: flat(current) for name, current in draws_A.items()}


class TestACarComesToBWhileAHasAllThereIs:
    def arrange(self, a: str) -> Grid:
        grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, fallback_A=None, closed_loop=True)
        grid.states = {"a": a}
        grid.run(30, None)
        grid.in_force = {"a": InForce(32, 3)}
        grid.states["b"] = "Charging"
        return grid

    @pytest.mark.parametrize("a", ["Unplugged", "Charging"])
    def test_it_waits_for_the_answer_though_nothing_is_drawn(self, a: str) -> None:
        grid = self.arrange(a)
        grants = grid.run(1, None, cars(a=0, b=0))
        assert grants["a"] <= 17.5, "the fall goes out at once"
        assert grants["b"] <= 3

    def test_as_soon_as_a_without_a_car_has_answered_b_has_its_share(self) -> None:
        grid = self.arrange("Unplugged")
        grid.run(1, None)
        grid.in_force = {"a": InForce(3, 3)}
        grid.now_s -= 0.95  # 50 ms later
        assert grid.run(1, None)["b"] == 32

    def test_it_waits_as_long_as_it_takes(self) -> None:
        grid = self.arrange("Unplugged")
        assert grid.run(60, None)["b"] <= 3
        grid.in_force = {}
        assert grid.run(1, None)["b"] == 32

    def test_a_car_has_its_time_to_follow_from_the_answer_on(self) -> None:
        grid = self.arrange("Charging")
        assert grid.run(20, None)["b"] <= 3
        grid.in_force = {"a": InForce(17.5, 3)}
        grants = [grid.run(1, None)["b"] for _ in range(7)]
        assert grants[5] <= 3
        assert grants[6] == pytest.approx(17.5)


def test_who_stays_keeps_what_it_has_whoever_is_late() -> None:
    grid = two(a="Charging", b="Charging")
    grid.run(30, None, cars(a=17.5, b=17.5))
    grid.in_force = {"a": InForce(32, 3), "b": InForce(17.5, 3)}
    assert grid.run(1, None, cars(a=17.5, b=17.5)) == {"a": pytest.approx(17.5), "b": pytest.approx(17.5)}


def test_who_is_late_with_a_fall_may_rise_to_what_it_has_anyway() -> None:
    grid = two(a="Charging", b="Unplugged")
    grid.run(30, flat(15), cars(a=20, b=0))
    grid.in_force = {"a": InForce(30, 3)}
    assert grid.run(60, flat(5), cars(a=20, b=0))["a"] >= 30


def test_a_second_phase_waits_as_amperes_do() -> None:
    """b may charge on three phases once a, which has no car any more, has given up its 16 A."""
    manager = EnergyManager(ManagerConfig(closed_loop=True))

    def decide(second: int, a: str, in_force: dict[str, InForce]) -> int:
        children = [evse("a", A=16, state=a), evse("b", A=16, active=1 if second < 10 else 3)]
        found = manager.optimize(
            node("grid", children, A=16), NOW, monotonic_s=1000.0 + second, in_force=in_force
        )
        phases: int = found[1]["limits_root_side"]["ac_max_phase_count"]["value"]
        return phases

    for second in range(10):
        decide(second, "Charging", {"a": InForce(8, 3), "b": InForce(8, 1)})
    assert decide(10, "Unplugged", {"a": InForce(8, 3), "b": InForce(8, 1)}) == 1
    assert decide(11, "Unplugged", {"a": InForce(0, 0), "b": InForce(8, 1)}) == 3


def test_it_says_what_is_waited_for_and_until_when() -> None:
    grid = two(a="Charging", b="Unplugged")
    grid.run(30, None)
    assert not grid.manager.report.waits.falls_A
    grid.in_force = {"a": InForce(32, 3)}
    grid.states["b"] = "Charging"
    grid.run(1, None)
    waits = grid.manager.report.waits
    assert waits.falls_A == {"a": pytest.approx(17.5)}
    grid.in_force = {"a": InForce(17.5, 3)}
    fell_at = grid.now_s + 1.0
    assert grid.run(1, None)["b"] <= 3
    waits = grid.manager.report.waits
    assert waits.until_s == fell_at + 6.0
    assert not waits.falls_A, "it has fallen, as far as anybody can tell"
    grid.now_s = waits.until_s - 1.0
    assert grid.run(1, None)["b"] == pytest.approx(17.5)


@settings(max_examples=40, deadline=None)
@given(
    story=st.lists(
        st.tuples(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.integers(1, 8)),
        min_size=2,
        max_size=6,
    )
)
def test_limits_in_force_never_exceed_the_fuse(story: list[tuple[set[str], set[str], int]]) -> None:
    """Cars come and go, and EVSEs answer for a while, or do not."""
    grid = Grid(dict.fromkeys("abcd", STRAIGHT), fallback_A=None, closed_loop=True)
    in_force = dict.fromkeys("abcd", 0.0)
    for here, deaf, seconds in story:
        grid.states = {name: "Charging" if name in here else "Unplugged" for name in "abcd"}
        for _ in range(seconds):
            grid.in_force = {name: InForce(current, 3) for name, current in in_force.items()}
            grants = grid.run(1, None)
            possible = {name: max(in_force[name], granted) for name, granted in grants.items()}
            assert sum(possible.values()) <= FUSE_A + 1e-6
            in_force = {name: possible[name] if name in deaf else grants[name] for name in "abcd"}
