"""How a simulated car and charge point follow a limit."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant import Car, CarModel, ChargePoint

STEP_S = 0.1


def run(point: ChargePoint, seconds: float) -> None:
    for _ in range(round(seconds / STEP_S)):
        point.advance(STEP_S)


def charging(car: Car, limit_A: float = 16.0, **point: float) -> ChargePoint:
    charge_point = ChargePoint(**point, car=car)  # type: ignore[arg-type]
    charge_point.set_limit(limit_A)
    run(charge_point, 10)
    return charge_point


@pytest.mark.parametrize(
    ("phases", "limit_A", "expected_A"),
    [
        (3, 16.0, (16.0, 16.0, 16.0)),
        (2, 16.0, (16.0, 16.0, 0.0)),
        (1, 16.0, (16.0, 0.0, 0.0)),
        (3, 10.5, (10.5, 10.5, 10.5)),
        (3, 32.0, (16.0, 16.0, 16.0)),  # the onboard charger is the limit
        (3, 5.9, (0.0, 0.0, 0.0)),  # EVerest's threshold
        (3, 5.95, (6.0, 6.0, 6.0)),  # the least a pilot can say
        (3, 0.0, (0.0, 0.0, 0.0)),
    ],
)
def test_a_car_draws_what_pilot_and_onboard_charger_allow(
    phases: int, limit_A: float, expected_A: tuple[float, float, float]
) -> None:
    point = charging(Car(CarModel(phases=phases)), limit_A)
    assert point.current_A == pytest.approx(expected_A)
    assert point.contactor_closed == (limit_A > 5.9)


def test_a_one_phase_charge_point_feeds_one_phase_of_a_three_phase_car() -> None:
    assert charging(Car(), phases=1).current_A == pytest.approx((16.0, 0.0, 0.0))


def test_a_car_that_needs_more_than_the_offer_draws_nothing_but_stays_ready() -> None:
    point = charging(Car(CarModel(min_current_A=8.0)), 7.0)
    assert point.current_A == (0.0, 0.0, 0.0)
    assert point.state == "C"


def test_states_of_a_session() -> None:
    point = ChargePoint()
    run(point, 1)
    assert point.state == "A"
    point.plug_in(Car())
    run(point, 1)
    assert point.state == "B"
    point.set_limit(16)
    run(point, 2)
    assert point.state == "C"
    point.set_limit(0)
    run(point, 4)
    assert point.state == "B"
    assert not point.contactor_closed
    assert point.opened_under_load == 0
    point.unplug()
    assert point.state == "A"


def test_a_lower_pilot_is_followed_within_the_five_seconds_of_the_standard() -> None:
    point = charging(Car(CarModel(max_current_A=32)), 32)
    point.set_limit(6)
    run(point, 5)
    assert max(point.current_A) == pytest.approx(6)


def test_the_pilot_changes_at_most_every_five_seconds_while_charging() -> None:
    point = charging(Car(), 16)
    offers = []
    for limit in [15, 14, 13, 12, 11, 10] * 10:
        point.set_limit(limit)
        run(point, 0.5)
        offers.append(point.offer_A)
    changes = sum(a != b for a, b in pairwise(offers))
    assert 4 <= changes <= 6  # 30 seconds


def test_the_end_of_the_pilot_does_not_wait() -> None:
    point = charging(Car(), 16)
    point.set_limit(15)
    run(point, 0.2)
    point.set_limit(0)
    run(point, 0.2)
    assert point.offer_A == 0


def test_a_car_that_ignores_the_pilot_is_cut_off_after_six_seconds() -> None:
    point = charging(Car(CarModel(reaction_s=60, ramp_A_per_s=100)), 16)
    run(point, 60)
    assert max(point.current_A) == pytest.approx(16)
    point.set_limit(0)
    run(point, 5.5)
    assert max(point.current_A) == pytest.approx(16)
    run(point, 1)
    assert point.current_A == (0, 0, 0)
    assert point.opened_under_load == 1


def test_a_full_battery_ends_the_charge_and_a_nearly_full_one_slows_it() -> None:
    nearly_full = charging(Car(soc=0.9), 16)
    assert 7.5 < max(nearly_full.current_A) < 8.5  # half way down the taper
    content = charging(Car(soc=0.5, target_soc=0.5 + 0.01 / 60), 16)  # asks for 10 Wh
    assert content.state == "B"
    assert content.energy_Wh == pytest.approx(10, abs=4)


def test_energy_is_power_times_time() -> None:
    point = charging(Car(), 16)
    before = point.energy_Wh
    run(point, 36)
    assert point.energy_Wh - before == pytest.approx(3 * 16 * 230 * 36 / 3600, rel=1e-6)


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0.1, 8)), min_size=1, max_size=30))
def test_never_more_than_the_highest_limit_in_reach(history: list[tuple[float, float]]) -> None:
    """Whatever the limits, the car draws no more than was allowed at some time in the last ten seconds."""
    point = ChargePoint(car=Car(CarModel(max_current_A=32)))
    allowed: list[tuple[float, float]] = []
    now = 0.0
    for limit, seconds in history:
        point.set_limit(limit)
        for _ in range(round(seconds / STEP_S)):
            allowed.append((now, 0.0 if limit <= 5.9 else max(6.0, limit)))
            point.advance(STEP_S)
            now += STEP_S
            recent = max(value for at, value in allowed if at >= now - 10.5)
            assert max(point.current_A) <= recent + 1e-9


def test_a_car_that_wakes_slowly_asks_for_current_after_each_pause_only_then() -> None:
    point = ChargePoint(car=Car(CarModel(wakes_after_s=8.0)))
    for _ in range(2):
        point.set_limit(16.0)
        run(point, 7.0)
        assert (point.state, point.is_settled, point.current_A[0]) == ("B", False, 0.0)
        run(point, 8.0)
        assert (point.state, point.current_A[0]) == ("C", 16.0)
        point.set_limit(0.0)
        run(point, 10.0)
        assert (point.state, point.is_settled) == ("B", True)
