"""A recorded cloudy day (8 kW on the roof, cumulus, `hil.plant.sun`) and a car on one or three phases.

Second by second in plant and meter, with a decision every ten seconds, from nine to five.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby, pairwise

import pytest

from energy_management.modes import Mode, SolarAttributes, Thresholds
from hil.plant.sun import cloudy_day
from tests.energy_management.sunny_site import SunnyCar, SunnySite

HOUR = 3600
HOUSE_W = 400.0
USUAL = Thresholds()
MOST_PER_HOUR = 4
REACTION_S = 20 + 15
"""Two decisions, and the longest that a car or its contactors take."""

DAY = cloudy_day(8000.0, seed=1)


def spent(mode: Mode, *, hours: tuple[float, float] = (9, 17)) -> SunnySite:
    """The day, or a part of it, with one car."""
    start_s, end_s = (int(hour * HOUR) for hour in hours)
    site = SunnySite(
        {"car": SunnyCar(mode)},
        lambda now_s: HOUSE_W - DAY[now_s],
        solar=SolarAttributes(USUAL, max_switches_per_hour=MOST_PER_HOUR),
        decide_s=10,
        start_s=start_s,
    )
    return site.run(end_s - start_s)


@pytest.fixture(scope="module")
def pv() -> SunnySite:
    return spent("pv")


def most_in_an_hour(times: list[int]) -> int:
    return max((sum(start <= at < start + HOUR for at in times) for start in times), default=0)


def from_grid_W(site: SunnySite) -> list[float]:
    """What the car draws from the grid, second by second; what the house would draw anyway is not its own."""
    return [min(max(0.0, second.grid_W), second.drawn_W["car"]) for second in site.seconds]


def test_no_more_switches_than_an_hour_may_see(pv: SunnySite) -> None:
    switched_at = pv.cars["car"].switched_at
    assert {second.phases["car"] for second in pv.seconds} == {1, 3}, "the day has sun for both"
    assert 2 <= most_in_an_hour(switched_at) <= MOST_PER_HOUR
    assert len(switched_at) <= 8 * MOST_PER_HOUR


def test_contactors_do_not_flap(pv: SunnySite) -> None:
    """Once on, it stays on for the delay at least, and off likewise; and phases stay for minutes."""
    car = pv.cars["car"]
    assert len(car.began_at) >= 5, "the day is cloudy enough to show something"
    moments = sorted([(at, True) for at in car.began_at] + [(at, False) for at in car.ended_at])
    for (at, is_on), (then, _) in pairwise(moments):
        assert then - at >= (USUAL.disable_after_s if is_on else USUAL.enable_after_s)
    assert all(later - earlier >= USUAL.disable_after_s for earlier, later in pairwise(car.switched_at))


def test_starts_are_bounded_by_the_delays(pv: SunnySite) -> None:
    """From one to the next both have passed; on this day with its edge every three minutes it is far less."""
    began_at = pv.cars["car"].began_at
    assert min(later - earlier for earlier, later in pairwise(began_at)) >= (
        USUAL.enable_after_s + USUAL.disable_after_s
    )
    assert most_in_an_hour(began_at) <= 6
    assert len(began_at) <= 24


def test_the_grid_helps_no_longer_than_the_thresholds_allow(pv: SunnySite) -> None:
    """At worst for both delays: until it goes on on one phase, and until it stops."""
    helps = [watts > USUAL.from_grid_W + 150 for watts in from_grid_W(pv)]  # 150 W: flicker of sun and meter
    longest_s = max(sum(1 for _ in group) for is_so, group in groupby(helps) if is_so)
    assert longest_s <= 2 * (USUAL.disable_after_s + REACTION_S)
    drawn_Wh = sum(second.drawn_W["car"] for second in pv.seconds) / HOUR
    assert sum(from_grid_W(pv)) / HOUR < 0.12 * drawn_Wh


def test_most_of_the_surplus_is_used(pv: SunnySite, record_property: Callable[[str, object], None]) -> None:
    surplus_Wh = sum(max(0.0, second.surplus_W) for second in pv.seconds) / HOUR
    exported_Wh = sum(max(0.0, -second.grid_W) for second in pv.seconds) / HOUR
    used = 1 - exported_Wh / surplus_Wh
    record_property("share of the surplus that the car uses", round(used, 3))
    assert used > 0.65


def test_minpv_is_never_below_its_minimum() -> None:
    site = spent("minpv", hours=(11, 13))
    assert min(second.limits_A["car"] for second in site.seconds[10:]) >= 6
    assert max(second.limits_A["car"] for second in site.seconds) > 8
    assert most_in_an_hour(site.cars["car"].switched_at) <= MOST_PER_HOUR


def test_now_does_not_notice_the_clouds() -> None:
    site = spent("now", hours=(11, 11.5))
    assert {second.limits_A["car"] for second in site.seconds[20:]} == {16}
    assert site.cars["car"].switched_at == []
