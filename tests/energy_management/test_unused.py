"""What a car leaves unused is shared, kept for it with a margin, and given back when it wants more."""

from __future__ import annotations

from itertools import pairwise

import pytest

from energy_management import EvseAttributes
from tests.energy_management.one_grid import STRAIGHT, Grid, flat

IDLE_A = (0.0, 0.0, 0.0)


def pair() -> Grid:
    """Two EVSEs on 35 A: 17.5 A each while both use it."""
    return Grid({"a": STRAIGHT, "b": STRAIGHT}, fallback_A=None, closed_loop=True)


class TestShare:
    def test_is_that_of_all_at_first(self) -> None:
        assert pair().run(25, None, {"a": flat(9), "b": flat(17.5)}) == pytest.approx({"a": 17.5, "b": 17.5})

    def test_goes_to_the_others_when_it_stays_unused(self) -> None:
        grants = pair().run(60, None, {"a": flat(9), "b": flat(17.5)})
        assert grants == pytest.approx({"a": 11, "b": 24})

    def test_what_it_draws_on_its_way_down_it_does_not_want(self) -> None:
        grid = pair()
        grid.run(20, None, {"a": flat(17.5), "b": flat(17.5)})
        grid.run(3, None, {"a": flat(13), "b": flat(17.5)})
        assert grid.run(40, None, {"a": flat(9), "b": flat(17.5)}) == pytest.approx({"a": 11, "b": 24})

    def test_what_it_draws_now_and_then_it_wants(self) -> None:
        grid = pair()
        for _ in range(5):
            grants = grid.run(10, None, {"a": flat(9), "b": flat(17.5)})
            grants = grid.run(3, None, {"a": flat(13), "b": flat(17.5)})
        assert grants["a"] == pytest.approx(15)

    def test_it_says_so(self) -> None:
        grid = pair()
        grid.run(60, None, {"a": flat(9), "b": flat(17.5)})
        assert "capped at what it draws + 2 A" in grid.manager.explain("a")

    def test_comes_back_when_the_car_draws_up_to_its_cap(self) -> None:
        grid = pair()
        grid.run(60, None, {"a": flat(9), "b": flat(24)})
        grants = grid.run(1, None, {"a": flat(10.8), "b": flat(24)})
        assert grants["b"] == pytest.approx(17.5), "b gives up at once"
        grants = grid.run(1, None, {"a": flat(10.8), "b": flat(17.5)})
        assert grants["a"] == pytest.approx(17.5), "and a has it when b has"

    def test_what_nobody_wants_is_offered_back(self) -> None:
        """A lone car that draws 9 A keeps its full pilot."""
        grid = Grid(fallback_A=None, closed_loop=True)
        assert grid.run(90, None, {"a": flat(9)})["a"] == pytest.approx(32)

    def test_what_two_do_not_want_is_offered_back_to_both(self) -> None:
        assert pair().run(90, None, {"a": flat(9), "b": flat(9)}) == pytest.approx({"a": 17.5, "b": 17.5})

    def test_a_lone_car_that_pauses_by_itself_keeps_its_full_pilot(self) -> None:
        grid = Grid(fallback_A=None, closed_loop=True)
        grid.run(60, None, {"a": flat(9)})
        grid.states["a"] = "PausedEV"
        assert grid.run(120, None, {"a": flat(0)})["a"] == pytest.approx(32)

    def test_a_car_that_pauses_by_itself_is_offered_what_the_others_leave(self) -> None:
        grid = pair()
        grid.states["a"] = "PausedEV"
        assert grid.run(60, None, {"a": flat(0), "b": flat(29)}) == pytest.approx({"a": 6, "b": 29})
        assert grid.run(60, None, {"a": flat(0), "b": flat(9)}) == pytest.approx({"a": 24, "b": 11})
        grid.states["b"] = "PausedEV"
        assert grid.run(60, None, {"a": flat(0), "b": flat(0)}) == pytest.approx({"a": 17.5, "b": 17.5})

    def test_a_car_that_resumes_has_its_share_at_once_or_when_the_other_has_fallen(self) -> None:
        grid = pair()
        grid.states["a"] = "PausedEV"
        grid.run(60, None, {"a": flat(0), "b": flat(29)})
        grid.states["a"] = "Charging"
        assert grid.run(1, None, {"a": flat(0), "b": flat(29)})["b"] == pytest.approx(17.5)
        assert grid.run(1, None, {"a": flat(6), "b": flat(17.5)})["a"] == pytest.approx(17.5)

    def test_an_evse_is_never_capped_below_its_minimum(self) -> None:
        grants = pair().run(60, None, {"a": flat(0), "b": flat(17.5)})
        assert grants == pytest.approx({"a": 6, "b": 29})

    def test_a_car_that_tapers_leaves_more_and_more(self) -> None:
        grid = pair()
        grants: dict[str, float] = {}
        for second in range(600):
            drawn = max(6.0, 17.5 - second / 50)
            grants = grid.run(1, None, {"a": flat(drawn), "b": flat(32)})
        assert grants["a"] < 10
        assert grants["b"] > 25

    def test_a_new_session_begins_with_a_full_share(self) -> None:
        grid = pair()
        grid.run(60, None, {"a": flat(9), "b": flat(24)})
        grid.states["a"] = "Unplugged"
        grid.run(10, None, {"a": flat(0), "b": flat(24)})
        grid.states["a"] = "Charging"
        assert grid.run(20, None, {"a": flat(17.5), "b": flat(17.5)})["a"] == pytest.approx(17.5)

    def test_nothing_is_shared_of_a_car_that_nobody_measures(self) -> None:
        assert pair().run(90, None) == pytest.approx({"a": 17.5, "b": 17.5})


class TestNothing:
    """A car that draws nothing of what it is offered wants nothing, or needs more: it is asked again."""

    @staticmethod
    def offers_A(grid: Grid, seconds: int, drawn_A: float = 0.0) -> list[float]:
        """Run beside a car that draws all it may; what a has, second by second."""
        offers, others = [], 17.5
        for _ in range(seconds):
            grants = grid.run(1, None, {"a": flat(drawn_A), "b": flat(others)})
            others = grants["b"]
            offers.append(grants["a"])
        return offers

    def test_is_asked_again_and_again_less_and_less_often(self) -> None:
        offers = self.offers_A(pair(), 1150)
        asked_at = [at for at, (before, now) in enumerate(pairwise(offers)) if before < 17 <= now]
        pauses_s = [later - earlier for earlier, later in pairwise(asked_at)]
        assert pauses_s == [pytest.approx(seconds, abs=20) for seconds in (150, 270, 510)]

    def test_has_its_share_from_when_it_begins_to_draw(self) -> None:
        grid = pair()
        offers = self.offers_A(grid, 120)
        assert offers[50] == pytest.approx(6)
        assert offers[-1] == pytest.approx(17.5), "it is being asked"
        assert min(self.offers_A(grid, 300, 17.5)) == pytest.approx(17.5)

    def test_is_asked_as_soon_as_at_first_once_it_has_drawn(self) -> None:
        grid = pair()
        self.offers_A(grid, 400)
        self.offers_A(grid, 60, 17.5)
        offers = self.offers_A(grid, 120)
        assert offers[50] == pytest.approx(6)
        assert offers[-1] == pytest.approx(17.5)


class TestPhases:
    def three(self) -> Grid:
        """Three one-phase cars on EVSEs with three phases, wired to L1, L2, L3."""
        rotations = {"a": "L1 L2 L3", "b": "L2 L3 L1", "c": "L3 L1 L2"}
        return Grid(
            {name: EvseAttributes(rotation) for name, rotation in rotations.items()},
            fallback_A=None,
            closed_loop=True,
        )

    def test_phases_that_a_car_does_not_use_are_free_for_others(self) -> None:
        one_phase = dict.fromkeys("abc", (11.0, 0.0, 0.0))
        grid = self.three()
        assert grid.run(10, None, one_phase) == pytest.approx(dict.fromkeys("abc", 35 / 3))
        assert grid.run(30, None, one_phase) == pytest.approx(dict.fromkeys("abc", 32))

    def test_a_phase_that_comes_into_use_counts_again_at_once(self) -> None:
        grid = self.three()
        one_phase = dict.fromkeys("abc", (11.0, 0.0, 0.0))
        grid.run(40, None, one_phase)
        grants = grid.run(1, None, {**one_phase, "a": (11.0, 11.0, 11.0)})
        assert grants["a"] + grants["b"] <= 35 + 1e-6

    def test_a_car_that_does_not_draw_shows_nothing_of_its_phases(self) -> None:
        assert self.three().run(40, None, dict.fromkeys("abc", IDLE_A)) == pytest.approx(
            dict.fromkeys("abc", 35 / 3)
        )

    def test_a_switch_of_phases_forgets_what_was_seen_before(self) -> None:
        grid = self.three()
        grid.active = 1
        one_phase = dict.fromkeys("abc", (11.0, 0.0, 0.0))
        grid.run(40, None, one_phase)
        grid.active = 3
        assert grid.run(1, None, one_phase) == pytest.approx(dict.fromkeys("abc", 35 / 3))
