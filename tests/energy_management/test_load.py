"""What a meter leaves for EVSEs: base loads, generation, and meters that lie or fall silent."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_management import EvseAttributes
from energy_management.measurement import Reading, Vector3
from tests.energy_management.one_grid import FUSE_A, NO_LOAD, STRAIGHT, Grid, flat


class TestBaseLoad:
    def test_is_what_is_measured_less_what_cars_draw(self) -> None:
        grid = Grid()
        assert grid.run(3, flat(9), {"a": NO_LOAD})["a"] == pytest.approx(26)
        grid = Grid()
        assert grid.run(3, flat(19), {"a": flat(10)})["a"] == pytest.approx(26)

    def test_counts_per_phase(self) -> None:
        assert Grid().run(2, (2, 20, 5), {"a": NO_LOAD})["a"] == pytest.approx(15)

    def test_counts_beside_the_reserve(self) -> None:
        assert Grid(reserve_A=3).run(2, flat(9), {"a": NO_LOAD})["a"] == pytest.approx(23)

    def test_currents_of_an_evse_are_those_of_its_own_phases(self) -> None:
        """A car on the first phase of a connector that is wired to L2 is not drawing on L1."""
        grid = Grid({"a": EvseAttributes("L2 L3 L1")})
        grid.active = 1
        assert grid.run(3, (3, 19, 3), {"a": (16, 0, 0)})["a"] == pytest.approx(32)
        assert grid.run(3, (30, 19, 3), {"a": (16, 0, 0)})["a"] == pytest.approx(32), "L1 is not its business"
        assert grid.run(3, (3, 29, 3), {"a": (16, 0, 0)})["a"] == pytest.approx(22)

    def test_a_grant_counts_as_draw_where_nobody_measures_it(self) -> None:
        grid = Grid()
        grid.run(2, flat(25))
        assert grid.run(8, flat(20))["a"] == pytest.approx(10), "25 A of house, as the car cannot have begun"
        assert grid.run(30, flat(20))["a"] > 20, "10 A of 20 A are the car's"

    def test_the_grant_of_an_evse_without_a_car_does_not_count_as_draw(self) -> None:
        grid = Grid()
        grid.states["a"] = "Unplugged"
        assert grid.run(30, flat(10))["a"] == pytest.approx(25)

    def test_rises_at_once(self) -> None:
        grid = Grid()
        grid.run(30, flat(15), {"a": flat(10)})
        assert grid.run(1, flat(31), {"a": flat(10)})["a"] == pytest.approx(14)

    def test_falls_after_a_while(self) -> None:
        grid = Grid()
        grid.run(30, flat(31), {"a": flat(10)})
        assert grid.run(15, flat(15), {"a": flat(10)})["a"] == pytest.approx(14)
        assert grid.run(10, flat(15), {"a": flat(10)})["a"] == pytest.approx(30)

    def test_a_kettle_every_ten_seconds_does_not_make_grants_swing(self) -> None:
        grid = Grid()
        grid.run(30, flat(15), {"a": flat(10)})
        grants = [
            grid.run(1, flat(15 + 9 * (second // 10 % 2)), {"a": flat(10)})["a"] for second in range(20, 100)
        ]
        assert len(set(grants)) <= 2, "down once, and not up again in between"


class TestTheSameMoment:
    def test_a_car_that_has_just_begun_is_no_load_of_the_house(self) -> None:
        """The grid meter shows the car already, its own meter was read before."""
        grid = Grid()
        grid.run(10, flat(5), {"a": NO_LOAD})
        before = Reading(grid.now_s, NO_LOAD)
        grid.now_s += 1
        assert grid.step(flat(21), {"a": before})["a"] == pytest.approx(30)

    def test_a_car_that_has_just_stopped_leaves_no_load_behind(self) -> None:
        """The car's own meter shows it already, the grid meter was read before."""
        grid = Grid()
        grid.run(10, flat(21), {"a": flat(16)})
        earlier = Reading(grid.now_s + 0.3, flat(21))
        grid.now_s += 1
        assert grid.step(earlier, {"a": NO_LOAD})["a"] == pytest.approx(30)

    def test_what_no_car_can_explain_counts_at_once(self) -> None:
        """Its own meter was read before, but the car cannot draw more than its grant of 30 A."""
        grid = Grid()
        grid.run(30, flat(35), {"a": flat(30)})
        before = Reading(grid.now_s, flat(30))
        grid.now_s += 1
        assert grid.step(flat(45), {"a": before})["a"] == pytest.approx(20)

    def test_at_an_overload_no_car_is_presumed_to_use_what_it_left_unused(self) -> None:
        grid = Grid()
        grid.run(30, flat(15), {"a": flat(10)})
        before = Reading(grid.now_s, flat(10))
        grid.now_s += 1
        assert grid.step(flat(36), {"a": before})["a"] == pytest.approx(9)

    def test_a_later_sample_of_the_car_settles_it(self) -> None:
        grid = Grid()
        grid.run(30, flat(15), {"a": flat(10)})
        before = Reading(grid.now_s, flat(10))
        grid.now_s += 1
        reading = Reading(grid.now_s, flat(25))
        assert grid.step(reading, {"a": before})["a"] == pytest.approx(30), (
            "the car may have begun to draw 20 A"
        )
        grid.now_s += 0.5
        assert grid.step(reading, {"a": flat(10)})["a"] == pytest.approx(20), "it was the house"

    @given(
        house=st.lists(st.floats(0, 25), min_size=3, max_size=6),
        draws=st.lists(st.floats(6, 32), min_size=3, max_size=6),
        age_s=st.floats(0, 0.9),
    )
    @settings(max_examples=25, deadline=None)
    def test_a_car_that_moves_never_makes_more_room_than_the_house_leaves(
        self, house: list[float], draws: list[float], age_s: float
    ) -> None:
        """Whatever house and car do from second to second, and however old the car's samples are."""
        grid = Grid()
        drawn = 0.0
        for house_A, wish_A in zip(house, draws, strict=False):
            for _ in range(12):  # settled: any load held for so long is known exactly
                grid.now_s += 1
                sample = Reading(grid.now_s - age_s, flat(drawn))
                granted = grid.step(Reading(grid.now_s, flat(house_A + drawn)), {"a": sample})["a"]
                drawn = min(wish_A, granted) if granted >= 6 else 0.0
            assert granted + house_A <= FUSE_A + 1e-6


class TestOverloadByCarsThatNobodyMeasures:
    @staticmethod
    def relieved_A(house_A: Vector3, step_A: float, *, most_A: float, phases: int = 3) -> float:
        """Let a car begin and draw up to so much; what it has once the house draws more on L1."""
        grid = Grid(closed_loop=True)
        one, two, three = house_A
        drawn = granted = 0.0
        for _ in range(60):
            cars = [drawn if phase < phases else 0.0 for phase in range(3)]
            granted = grid.run(1, (one + cars[0], two + cars[1], three + cars[2]))["a"]
            drawn = min(most_A, granted)
        assert granted > 12
        return grid.run(1, (one + step_A + cars[0], two + cars[1], three + cars[2]))["a"]

    def test_one_that_uses_its_grant_gives_what_is_needed_and_a_little_more(self) -> None:
        assert self.relieved_A(flat(20), 4.0, most_A=32.0) == pytest.approx(10.5)

    def test_one_that_shows_on_all_phases_alike_does_too_whatever_it_leaves_unused(self) -> None:
        assert self.relieved_A((5.0, 1.0, 1.0), 15.0, most_A=16.0) == pytest.approx(14.5, abs=0.5)

    def test_one_that_may_draw_nothing_there_is_paused(self) -> None:
        """On one phase of three, house and car look the same."""
        assert self.relieved_A((5.0, 1.0, 1.0), 21.0, most_A=10.0, phases=1) == 0.0


class TestGeneration:
    def test_makes_no_room_unless_that_is_configured(self) -> None:
        assert Grid().run(30, flat(-10), {"a": NO_LOAD})["a"] == pytest.approx(32)
        two = {"a": STRAIGHT, "b": STRAIGHT}
        assert sum(Grid(two).run(30, flat(-10)).values()) == pytest.approx(35)

    def test_makes_room_beyond_the_fuse_where_it_is(self) -> None:
        grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, counts_generation=True)
        grants = grid.run(40, flat(-10), {"a": NO_LOAD, "b": NO_LOAD})
        assert sum(grants.values()) == pytest.approx(45)

    def test_is_withdrawn_at_once(self) -> None:
        grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, counts_generation=True)
        cars = {"a": flat(20), "b": flat(20)}
        grid.run(40, flat(30), cars)
        assert sum(grid.run(1, flat(36), cars).values()) == pytest.approx(39)

    def test_does_not_count_while_the_meter_is_silent(self) -> None:
        grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, counts_generation=True, fallback_A=40)
        grid.run(40, flat(-10), {"a": NO_LOAD, "b": NO_LOAD})
        assert sum(grid.run(12, None, {"a": NO_LOAD, "b": NO_LOAD}).values()) <= 35 + 1e-6

    def test_signs_of_power_count_where_currents_have_none(self) -> None:
        grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, counts_generation=True)
        unsigned = Reading(0, flat(10), power_W=flat(-2300))
        grants = grid.run(40, unsigned, {"a": NO_LOAD, "b": NO_LOAD})
        assert sum(grants.values()) == pytest.approx(45)


class TestLoss:
    def test_a_silent_meter_leaves_the_fallback(self) -> None:
        grid = Grid()
        grid.run(10, flat(5), {"a": NO_LOAD})
        assert grid.run(9, None)["a"] == pytest.approx(30), "not stale yet"
        assert grid.run(2, None)["a"] == pytest.approx(8)
        assert grid.manager.report.complaints == [("grid", "meter missing")]

    def test_without_a_fallback_nothing_is_left(self) -> None:
        grid = Grid(fallback_A=None)
        reading = Reading(grid.now_s, flat(5))
        assert grid.step(reading)["a"] == pytest.approx(30)
        grid.now_s += 11
        assert grid.step(reading)["a"] == 0
        assert grid.manager.report.complaints == [("grid", "meter silent for 10 s")]

    def test_loss_never_raises_a_limit(self) -> None:
        grid = Grid(fallback_A=20)
        before = grid.run(30, flat(25), {"a": NO_LOAD})["a"]
        assert before == pytest.approx(10)
        assert max(grid.run(1, None, {"a": NO_LOAD})["a"] for _ in range(100)) <= before + 1e-6

    def test_the_fallback_is_left_only_after_stable_readings(self) -> None:
        grid = Grid()
        grid.run(10, flat(5), {"a": NO_LOAD})
        grid.run(20, None)
        assert grid.run(9, flat(5), {"a": NO_LOAD})["a"] == pytest.approx(8)
        grid.run(11, None)
        assert grid.run(9, flat(5), {"a": NO_LOAD})["a"] == pytest.approx(8), "the gap began it anew"
        assert grid.run(2, flat(5), {"a": NO_LOAD})["a"] == pytest.approx(30)
        assert grid.manager.report.complaints == []

    def test_one_missing_phase_is_not_three(self) -> None:
        grid = Grid({"a": EvseAttributes("L1 L2 L3"), "b": EvseAttributes("L3 L1 L2")})
        grid.active = 1
        grid.run(10, flat(5), {"a": NO_LOAD, "b": NO_LOAD})
        grants = grid.run(12, (5, 5, math.nan), {"a": NO_LOAD, "b": NO_LOAD})
        assert grants == {"a": pytest.approx(30), "b": pytest.approx(8)}
        assert grid.manager.report.complaints == [("grid", "meter L3 not measured")]

    def test_the_same_reading_again_and_again_under_load_is_frozen(self) -> None:
        grid = Grid()
        grid.run(10, flat(5), {"a": NO_LOAD})
        for _ in range(65):
            grid.now_s += 1
            frozen = grid.step(Reading(grid.now_s, flat(5), voltage_V=flat(230)), {"a": NO_LOAD})["a"]
        assert frozen == pytest.approx(30), "a minute, and the time that any meter has to recover"
        for _ in range(10):
            grid.now_s += 1
            frozen = grid.step(Reading(grid.now_s, flat(5), voltage_V=flat(230)), {"a": NO_LOAD})["a"]
        assert frozen == pytest.approx(8)
        assert grid.manager.report.complaints == [("grid", "meter frozen for 60 s")]

    def test_a_quiet_house_is_not_frozen(self) -> None:
        grid = Grid()
        for _ in range(200):
            grid.now_s += 1
            grants = grid.step(Reading(grid.now_s, flat(0.2)), {"a": NO_LOAD})
        assert grants["a"] == pytest.approx(32)

    @pytest.mark.parametrize(
        ("lie", "complaint"),
        [
            (Reading(0, flat(5), voltage_V=(230, 230, 3)), "meter L3 of an impossible voltage"),
            (Reading(0, (5, 5, 700)), "meter L3 of an impossible current"),
        ],
    )
    def test_what_cannot_be_is_not_believed(self, lie: Reading, complaint: str) -> None:
        grid = Grid()
        grid.run(10, flat(5), {"a": NO_LOAD})
        assert grid.run(1, lie, {"a": NO_LOAD})["a"] == pytest.approx(30), "once is a glitch"
        assert grid.run(11, lie, {"a": NO_LOAD})["a"] == pytest.approx(8)
        assert grid.manager.report.complaints == [("grid", complaint)]

    @pytest.mark.parametrize(
        ("before", "after", "complaint"),
        [
            (20.0, -20.0, "as export, though it left as import"),
            (-20.0, 20.0, "as import, though it left as export"),
        ],
    )
    def test_a_meter_that_comes_back_with_other_signs_is_not_trusted(
        self, before: float, after: float, complaint: str
    ) -> None:
        grid = Grid()
        grid.run(10, flat(before), {"a": NO_LOAD})
        grid.run(20, None)
        assert grid.run(100, flat(after), {"a": NO_LOAD})["a"] == pytest.approx(8)
        ((_, found),) = grid.manager.report.complaints
        assert complaint in found
        house_A = max(before, 0.0)
        left_A = grid.run(35, flat(before), {"a": NO_LOAD})["a"]
        assert left_A == pytest.approx(min(32, FUSE_A - house_A)), "clamps are right again"

    def test_a_meter_that_moves_with_a_car_has_the_right_sign(self) -> None:
        """It exported when it fell silent, and the sun had set when it came back."""
        grid = Grid()
        grid.run(10, flat(-20), {"a": NO_LOAD})
        grid.run(20, None, {"a": NO_LOAD})
        assert grid.run(60, flat(10), {"a": NO_LOAD})["a"] == pytest.approx(8)
        grid.run(3, flat(18), {"a": flat(8)})
        assert grid.run(30, flat(18), {"a": flat(8)})["a"] == pytest.approx(25)
        assert grid.manager.report.complaints == []

    def test_a_meter_that_moves_against_a_car_stays_doubted(self) -> None:
        """Its clamps were turned round while it was silent."""
        grid = Grid()
        grid.run(10, flat(20), {"a": NO_LOAD})
        grid.run(20, None, {"a": NO_LOAD})
        grid.run(60, flat(-20), {"a": NO_LOAD})
        assert grid.run(60, flat(-28), {"a": flat(8)})["a"] == pytest.approx(8)

    def test_a_sign_of_next_to_nothing_is_none(self) -> None:
        grid = Grid()
        grid.run(10, flat(0.3), {"a": NO_LOAD})
        grid.run(20, None)
        assert grid.run(40, flat(-5), {"a": NO_LOAD})["a"] == pytest.approx(32)

    def test_one_phase_with_other_signs_is_not_three(self) -> None:
        grid = Grid({"a": EvseAttributes("L1 L2 L3"), "b": EvseAttributes("L3 L1 L2")})
        grid.active = 1
        grid.run(10, flat(5), {"a": NO_LOAD, "b": NO_LOAD})
        grid.run(20, None)
        grants = grid.run(40, (5, 5, -5), {"a": NO_LOAD, "b": NO_LOAD})
        assert grants == {"a": pytest.approx(30), "b": pytest.approx(8)}

    def test_what_was_drawn_before_the_loss_still_counts_beside_the_fallback(self) -> None:
        """The fallback is no more than it says, and the loss gives nobody more than there was before."""
        grid = Grid(fallback_A=20)
        grid.run(30, flat(25), {"a": NO_LOAD})
        assert grid.run(600, None, {"a": NO_LOAD})["a"] == pytest.approx(FUSE_A - 25)
        grid = Grid(fallback_A=20)
        grid.run(30, flat(2), {"a": NO_LOAD})
        assert grid.run(600, None, {"a": NO_LOAD})["a"] == pytest.approx(20)

    def test_an_unused_grant_is_no_generation(self) -> None:
        """Nobody measures a car that may draw 30 A and draws 16 A."""
        grid = Grid({"a": STRAIGHT, "b": STRAIGHT}, counts_generation=True)
        assert sum(grid.run(60, flat(18)).values()) <= FUSE_A + 1e-6

    @pytest.mark.parametrize("hours", [-5, 7])
    def test_a_jump_of_the_wall_clock_changes_nothing(self, hours: int) -> None:
        grid = Grid()
        before = grid.run(30, flat(12), {"a": flat(6)})
        grid.wall_clock += timedelta(hours=hours)
        assert grid.run(30, flat(12), {"a": flat(6)}) == before
        assert grid.manager.report.complaints == []
