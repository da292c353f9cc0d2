"""Schedules join so that at every moment the tightest limit in force holds."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.clock import parse_timestamp
from control.schedules import combine, from_now, with_prices
from tests.control.sample import ampere_limits, entry


def at(hour: int, minute: int = 0) -> str:
    return f"2026-11-22T{hour:02}:{minute:02}:00.000Z"


def amperes(*steps: tuple[str, float], source: str = "x") -> list[dict[str, Any]]:
    return [entry(when, ampere_limits(value, source)) for when, value in steps]


def steps_of(schedule: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(e["timestamp"], e["limits_to_root"]["ac_max_current_A"]["value"]) for e in schedule]


def test_the_lower_of_two_schedules_holds_in_each_stretch() -> None:
    fuse = amperes((at(9), 32))
    ocpp = amperes((at(9), 20), (at(10), 40), (at(11), 10))
    assert steps_of(combine([fuse, ocpp])) == [(at(9), 20), (at(10), 32), (at(11), 10)]


def test_a_schedule_that_has_not_begun_limits_nothing_yet() -> None:
    assert steps_of(combine([amperes((at(9), 32)), amperes((at(11), 10))])) == [(at(9), 32), (at(11), 10)]


def test_each_value_keeps_the_source_that_set_it() -> None:
    joined = combine([amperes((at(9), 32), source="fuse"), amperes((at(9), 16), source="ocpp")])
    assert joined[0]["limits_to_root"]["ac_max_current_A"] == {"value": 16, "source": "ocpp"}


def test_amperes_of_one_and_watts_of_another_hold_together() -> None:
    watts = [entry(at(9), {"total_power_W": {"value": 5000, "source": "lpc"}})]
    (joined,) = combine([amperes((at(9), 32)), watts])
    assert joined["limits_to_leaves"] == {
        "ac_max_current_A": {"value": 32, "source": "x"},
        "total_power_W": {"value": 5000, "source": "lpc"},
    }


def test_unsorted_entries_and_offsets_are_understood() -> None:
    mixed = amperes(("2026-11-22T12:00:00+01:00", 10), (at(9), 20))
    assert steps_of(combine([mixed])) == [(at(9), 20), (at(11), 10)]


def test_nothing_joined_is_nothing() -> None:
    assert combine([]) == []
    assert combine([[], []]) == []


times = st.integers(0, 23).map(at)
schedules = st.lists(st.tuples(times, st.floats(0, 100)), max_size=6).map(lambda steps: amperes(*steps))


@given(st.lists(schedules, max_size=4), st.integers(0, 23 * 60 + 59))
def test_at_every_moment_it_is_the_minimum(several: list[list[dict[str, Any]]], minute: int) -> None:
    moment = datetime(2026, 11, 22, minute // 60, minute % 60, tzinfo=UTC)
    expected = [value for schedule in several if (value := in_force(schedule, moment)) is not None]
    assert in_force(combine(several), moment) == (min(expected) if expected else None)


def in_force(schedule: list[dict[str, Any]], moment: datetime) -> float | None:
    """Straight from the definition: the last of those with the latest start that is not past the moment."""
    value, best = None, None
    for when, limit in steps_of(schedule):
        start = parse_timestamp(when)
        if start <= moment and (best is None or start >= best):
            value, best = limit, start
    return value


def test_past_entries_go_but_the_one_in_force_stays() -> None:
    schedule = amperes((at(8), 8), (at(9), 9), (at(10), 10))
    assert steps_of(from_now(schedule, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))) == [
        (at(9), 9),
        (at(10), 10),
    ]
    assert steps_of(from_now(schedule, datetime(2026, 11, 22, 7, tzinfo=UTC))) == steps_of(schedule)


def price(when: str, value: float) -> dict[str, Any]:
    return {"timestamp": when, "value": value, "currency": "EUR"}


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param([], [(at(9), None), (at(11), None)], id="none"),
        pytest.param([price(at(9), 0.3)], [(at(9), 0.3), (at(11), 0.3)], id="at the same time as an entry"),
        pytest.param(
            [price(at(8), 0.2), price(at(10), 0.4)],
            [(at(9), 0.2), (at(10), 0.4), (at(11), 0.4)],
            id="between entries",
        ),
        pytest.param([price(at(12), 0.1)], [(at(9), None), (at(11), None), (at(12), 0.1)], id="later"),
    ],
)
def test_prices_are_written_into_the_schedule(
    prices: list[dict[str, Any]], expected: list[tuple[str, float | None]]
) -> None:
    schedule = with_prices(amperes((at(9), 32), (at(11), 16)), prices)
    assert [(e["timestamp"], e.get("price_per_kwh", {}).get("value")) for e in schedule] == expected
    assert [value for _, value in steps_of(schedule)] == [
        16 if e["timestamp"] >= at(11) else 32 for e in schedule
    ]
