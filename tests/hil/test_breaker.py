"""The breaker that judges fuses, against the points of IEC 60898-1."""

import math

import pytest

from hil.breaker import Breaker, earliest_trip_s


@pytest.mark.parametrize(
    ("share", "at_least_s", "at_most_s"),
    [
        (1.0, math.inf, math.inf),
        (1.13, 3600.0, math.inf),
        (1.45, 60.0, 3600.0),
        (2.55, 1.0, 60.0),
        (2.99, 0.1, 45.0),
        (3.0, 0.1, 0.1),
        (5.0, 0.0, 0.1),
        (10.0, 0.0, 0.1),
    ],
)
def test_it_may_trip_from_when_the_standard_allows_it(
    share: float, at_least_s: float, at_most_s: float
) -> None:
    assert at_least_s <= earliest_trip_s(share) <= at_most_s


def carried(breaker: Breaker, amperes: float, seconds: float) -> bool:
    for _ in range(round(seconds * 10)):
        breaker.carry((0.0, amperes, 0.0), 0.1)
    return breaker.may_have_tripped


def test_it_carries_its_rating_for_ever() -> None:
    assert not carried(Breaker(35), 35, 7200)


def test_it_may_trip_after_long_enough_an_overload_on_one_pole() -> None:
    assert not carried(Breaker(35), 1.45 * 35, 60)
    assert carried(Breaker(35), 1.45 * 35, 3600)


def test_a_short_circuit_trips_it_at_once() -> None:
    assert carried(Breaker(35), 5 * 35, 0.1)


def test_overloads_add_up_unless_it_cools_in_between() -> None:
    hurried, patient = Breaker(35), Breaker(35)
    for _ in range(12):
        carried(hurried, 1.6 * 35, 10)
        carried(patient, 1.6 * 35, 10)
        carried(patient, 30, 600)
    assert hurried.may_have_tripped
    assert not patient.may_have_tripped


def test_one_that_has_tripped_is_still_hot_when_it_is_reset() -> None:
    breaker = Breaker(35)
    while not breaker.must_open:
        breaker.carry((70.0, 0.0, 0.0), 0.1)
    breaker.open()
    assert not breaker.must_open
    breaker.carry((0.0, 0.0, 0.0), 10.0)
    breaker.reset()
    assert not breaker.must_open
    again_s = 0.0
    while not breaker.must_open:
        breaker.carry((70.0, 0.0, 0.0), 0.1)
        again_s += 0.1
    assert again_s < 0.1 * earliest_trip_s(2.0)
