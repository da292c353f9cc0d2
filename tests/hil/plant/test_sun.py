"""The model of a cloudy day: physics that a person can check, and the same day for the same seed."""

from itertools import pairwise

import pytest

from hil.plant.sun import CUMULUS, DAY_S, NOON_S, Roof, Sky, clear_sky_W, cloudy_day

PEAK_W = 8000.0
HOUR = 3600


def test_the_same_seed_gives_the_same_day_and_another_one_another() -> None:
    assert cloudy_day(PEAK_W, seed=3) == cloudy_day(PEAK_W, seed=3)
    assert cloudy_day(PEAK_W, seed=3) != cloudy_day(PEAK_W, seed=4)


def test_midsummer_under_a_clear_sky() -> None:
    """At 51 degrees north the sun rises just before four (solar time), and stands 62.5 degrees high at noon.

    Haurwitz: 1098 W/m2 x 0.887 x exp(-0.057 / 0.887) = 913 W/m2.
    """
    assert clear_sky_W(NOON_S, PEAK_W) == pytest.approx(PEAK_W * 0.86 * 0.913, rel=0.005)
    assert clear_sky_W(3.5 * HOUR, PEAK_W) == 0
    assert clear_sky_W(4.5 * HOUR, PEAK_W) > 0
    assert clear_sky_W(9 * HOUR, PEAK_W) == pytest.approx(clear_sky_W(15 * HOUR, PEAK_W))


def test_winter_has_a_fifth_of_the_energy() -> None:
    """Global irradiation of a clear day there: about 8 kWh/m2 in June, 1 to 1.5 in December."""
    june, december = (
        sum(clear_sky_W(second, PEAK_W, day_of_year=day) for second in range(0, DAY_S, 60))
        for day in (172, 355)
    )
    assert 0.08 < december / june < 0.22


def test_clouds_come_and_go_with_edges() -> None:
    day = cloudy_day(PEAK_W, seed=1)
    through = [
        power / clear_sky_W(second, PEAK_W)
        for second, power in enumerate(day)
        if 8 * HOUR <= second < 16 * HOUR
    ]
    assert min(day) >= 0
    for sky in CUMULUS:
        share = sum(abs(value - sky.lets_through) < 0.1 for value in through) / len(through)
        assert 0.1 < share < 0.7, sky.name
    steepest = max(abs(later - earlier) for earlier, later in pairwise(through))
    assert 0.02 < steepest < 0.8 / 3 + 0.06, "an edge takes three seconds at least"


def test_a_single_sky_stays() -> None:
    day = cloudy_day(PEAK_W, skies=(Sky("clear", 1.0, 60.0),))
    assert day[NOON_S] == pytest.approx(clear_sky_W(NOON_S, PEAK_W), rel=0.1)


def test_a_roof_is_a_load_that_feeds_in() -> None:
    day = cloudy_day(PEAK_W, seed=5)
    roof = Roof(PEAK_W, start_s=NOON_S, seed=5, phases=(1,))
    for second in range(5):
        assert roof.power_W == day[NOON_S + second]
        assert roof.current_A == pytest.approx((0.0, -day[NOON_S + second] / 230, 0.0))
        roof.advance(1.0)


def test_it_stays_as_it_is_for_as_long_as_it_says() -> None:
    roof = Roof(PEAK_W, start_s=NOON_S, seed=5)
    moved = 0
    for _ in range(600):
        steady_s, before = roof.steady_for_s, roof.current_A
        roof.advance(0.5)
        stays = roof.current_A == pytest.approx(before, abs=Roof.STEADY_A)
        assert stays or steady_s <= 0.5
        moved += not stays
    assert moved > 10, "clouds pass"
    assert Roof(PEAK_W, start_s=0.0).steady_for_s >= 60, "at night"


def test_the_next_day_has_clouds_of_its_own() -> None:
    roof = Roof(PEAK_W, start_s=NOON_S, seed=5)
    noon = roof.power_W
    roof.advance(DAY_S)
    assert roof.power_W not in (0.0, noon)
