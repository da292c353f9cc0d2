"""Sums per grid phase, the house that moves, and what counts as an overload."""

import pytest

from hil.plant import Appliance, Car, CarModel, ChargePoint, FuseWatch, House, Site

QUIET = House([], base_A=(1.0, 2.0, 3.0))


def charging_one_phase() -> ChargePoint:
    point = ChargePoint(car=Car(CarModel(phases=1)))
    point.set_limit(16)
    for _ in range(100):
        point.advance(0.1)
    return point


@pytest.mark.parametrize(
    ("rotation", "expected_A"),
    [((0, 1, 2), (17.0, 2.0, 3.0)), ((1, 2, 0), (1.0, 18.0, 3.0)), ((2, 0, 1), (1.0, 2.0, 19.0))],
)
def test_a_one_phase_car_loads_the_grid_phase_behind_its_connector(
    rotation: tuple[int, int, int], expected_A: tuple[float, float, float]
) -> None:
    site = Site(QUIET, {"carport": charging_one_phase()}, rotations={"carport": rotation})
    assert site.current_A == pytest.approx(expected_A)


def test_evses_of_another_process_count_with_their_last_known_current() -> None:
    site = Site(QUIET, {}, elsewhere={"far": lambda: (5.0, 6.0, 7.0)})
    assert site.current_A == (6.0, 8.0, 10.0)


def test_the_meter_reads_what_flows() -> None:
    site = Site(QUIET, {})
    for _ in range(360):
        site.advance(0.1)
    reading = site.reading(taken_at=12.5)
    assert reading.taken_at == 12.5
    assert reading.current_A == (1.0, 2.0, 3.0)
    assert reading.total_power_W == pytest.approx(6 * 230)
    assert reading.energy_import_Wh == pytest.approx(6 * 230 / 100)
    assert reading.energy_export_Wh == 0


def test_generation_is_negative_and_counts_as_export() -> None:
    site = Site(House([], base_A=(-10.0, 0.0, 0.0)), {})
    site.advance(3600)
    reading = site.reading(0)
    assert reading.total_power_W == -2300
    assert reading.energy_export_Wh == pytest.approx(2300)
    assert reading.energy_import_Wh == 0


def history(seed: int, step_s: float) -> list[tuple[float, float, float]]:
    house = House(seed=seed)
    seen = []
    for _ in range(60):
        for _ in range(round(1 / step_s)):
            house.advance(step_s)
        seen.append(house.current_A)
    return seen


def test_the_house_moves_and_a_seed_repeats_it() -> None:
    assert history(1, 0.5) == history(1, 0.25)
    assert history(1, 0.5) != history(2, 0.5)
    for phase in range(3):
        assert len({current[phase] for current in history(1, 0.5)}) >= 2


def test_appliances_are_on_for_their_share_of_the_time() -> None:
    house = House([Appliance("heater", (10.0, 0.0, 0.0), on_s=30, off_s=90)], base_A=(0, 0, 0), seed=3)
    on = 0
    for _ in range(40_000):
        house.advance(1.0)
        on += house.running == ["heater"]
    assert on / 40_000 == pytest.approx(0.25, abs=0.02)


def test_an_overload_is_recorded_and_a_long_one_is_a_violation() -> None:
    watch = FuseWatch(35, grace_s=5)
    for tick in range(200):
        now = tick * 0.1
        short = 40.0 if 2.0 <= now < 4.0 else 30.0
        long = 36.0 if 6.0 <= now < 13.0 else 30.0
        watch.observe(now, (short, long, 35.0))
    assert [(o.phase, o.peak_A) for o in watch.overloads] == [(0, 40.0), (1, 36.0)]
    assert watch.overloads[0].duration_s == pytest.approx(2.0)
    assert watch.violations == [watch.overloads[1]]


def test_an_overload_that_has_not_ended_counts_too() -> None:
    watch = FuseWatch(35, grace_s=5)
    for tick in range(70):
        watch.observe(tick * 0.1, (36.0, 0.0, 0.0))
    assert len(watch.violations) == 1


def test_two_short_overloads_are_not_one_long_one() -> None:
    watch = FuseWatch(35, grace_s=5)
    for tick in range(80):
        watch.observe(tick * 0.1, (30.0 if tick == 40 else 36.0, 0.0, 0.0))
    assert len(watch.overloads) == 2
    assert watch.violations == []
