"""What is done about an overloaded fuse at once: who gives, and who is paused because nothing else helps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from energy_management.measurement import Vector3
from energy_management.overload import Overload, Sharers, relieved
from energy_management.pilot import Pilot
from tests.energy_management.one_grid import flat


class TestPilot:
    def test_moves_at_once_and_then_not_for_five_seconds(self) -> None:
        pilot = Pilot()
        pilot.set(16.0, 100.0)
        assert pilot.shows_A == 16.0
        for now_s in (101.0, 104.9):
            pilot.set(10.0, now_s)
            assert pilot.shows_A == 16.0
            assert pilot.holds(10.0, now_s)
        pilot.set(8.0, 105.0)
        assert pilot.shows_A == 8.0, "the newest of what has waited"

    def test_goes_off_and_on_at_any_time(self) -> None:
        pilot = Pilot()
        for now_s, limit_A in ((100.0, 16.0), (101.0, 0.0), (102.0, 6.0)):
            pilot.set(limit_A, now_s)
            assert pilot.shows_A == limit_A

    def test_the_same_limit_again_is_no_move(self) -> None:
        pilot = Pilot()
        pilot.set(16.0, 100.0)
        for now_s in range(101, 110):
            pilot.set(16.0, float(now_s))
        pilot.set(10.0, 110.0)
        assert pilot.shows_A == 10.0


def given(
    *wanted_A: float,
    room_A: float,
    least_room_A: float | None = None,
    pinned_A: Sequence[float] | None = None,
    phases: Sequence[Vector3] | None = None,
    had_A: Sequence[float] | None = None,
    unmeasured: Sequence[bool] | None = None,
) -> list[float]:
    """Currents of EVSEs with a minimum of 6 A on an overloaded fuse, the first of them served first."""
    count = len(wanted_A)
    overload = Overload(0, count, flat(room_A), flat(least_room_A or room_A), tolerated_A=0.7)
    evses = Sharers(
        np.array(wanted_A, dtype=np.float64),
        np.array(had_A or [32.0] * count, dtype=np.float64),
        np.full(count, 6.0),
        np.array(pinned_A or [0.0] * count, dtype=np.float64),
        np.array(phases or [(1, 1, 1)] * count, dtype=np.bool_).T,
        np.array(unmeasured or [False] * count, dtype=np.bool_),
    )
    return list(relieved([overload], evses, np.arange(count)))


def test_where_all_can_follow_nothing_more_is_needed() -> None:
    assert given(10, 10, room_A=20) == [10, 10]


def test_others_give_for_one_whose_pilot_cannot_move() -> None:
    assert given(10, 10, 10, room_A=30, pinned_A=[16, 0, 0]) == [10, 7, 7]


def test_the_highest_gives_first() -> None:
    assert given(10, 14, 8, room_A=32, pinned_A=[12, 0, 0]) == [10, 12, 8]


def test_nobody_gives_below_the_minimum() -> None:
    assert given(10, 6.5, room_A=16.5, pinned_A=[10.8, 0]) == [10, 6]


def test_if_that_is_not_enough_who_comes_last_is_paused() -> None:
    assert given(8, 8, 8, room_A=24, pinned_A=[16, 16, 0]) == [8, 0, 6]


def test_no_more_than_needed_are_paused() -> None:
    assert given(8, 8, room_A=16, pinned_A=[16, 16]) == [8, 0]
    assert given(6, 6, room_A=12, pinned_A=[16, 16]) == [0, 0]


def test_if_the_minima_do_not_fit_others_are_paused_too() -> None:
    assert given(8, 8, 8, room_A=8, pinned_A=[0, 16, 0]) == [6, 0, 0]


def test_what_a_meter_cannot_tell_pauses_nobody() -> None:
    assert given(8, 8, room_A=16, pinned_A=[8.6, 0]) == [8, pytest.approx(7.4)]
    assert given(6, 6, room_A=12, pinned_A=[6.6, 0]) == [6, 6]


def test_what_is_not_certain_of_the_house_lowers_but_pauses_nobody() -> None:
    assert given(10, 10, room_A=20, least_room_A=14) == [7, 7]
    assert given(10, 10, room_A=20, least_room_A=2) == [6, 6]


def test_what_cars_may_leave_unused_that_nobody_measures_pauses_them_and_no_others() -> None:
    assert given(10, 10, room_A=20, least_room_A=2, unmeasured=[True, False]) == [0, 6]
    assert given(10, 10, 10, room_A=30, least_room_A=12, unmeasured=[True] * 3) == [6, 6, 0]


def test_but_not_where_lower_shares_are_enough() -> None:
    assert given(10, 10, room_A=20, least_room_A=14, unmeasured=[True, True]) == [7, 7]


def test_nobody_gets_more_until_it_is_over() -> None:
    assert given(16, 8, room_A=30, had_A=[10, 8]) == [10, 8]
    assert given(16, 8, room_A=30, had_A=[0, 8]) == [0, 8]


def test_who_has_had_less_than_its_new_minimum_is_not_raised_to_it() -> None:
    assert given(6, 8, room_A=30, had_A=[5, 8]) == [0, 8]


def test_who_is_on_another_phase_is_left_alone() -> None:
    phases: list[Vector3] = [(1, 0, 0), (0, 1, 0)]
    assert given(10, 20, room_A=20, pinned_A=[26, 0], phases=phases) == [0, 20]
