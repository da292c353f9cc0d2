"""Readings survive the way through EVerest's Powermeter."""

import math
from typing import Any

import pytest

from control.powermeter import MeterError, powermeter_of, reading_of
from energy_management.measurement import Reading
from tests.control.sample import VirtualClock

WHOLE = Reading(
    taken_at=1000.0,
    current_A=(10.0, -2.0, 0.5),
    voltage_V=(230.0, 231.0, 229.0),
    power_W=(2300.0, -462.0, 114.5),
    total_power_W=1952.5,
    energy_import_Wh=123456.0,
    energy_export_Wh=7.0,
    frequency_Hz=49.98,
)


def test_there_and_back_is_the_same() -> None:
    powermeter = powermeter_of(WHOLE, "grid", VirtualClock()())
    assert reading_of(powermeter, 1000.0) == WHOLE


def test_the_timestamp_is_of_the_measurement_not_of_the_message() -> None:
    clock = VirtualClock()
    clock.advance(2.5)
    powermeter = powermeter_of(WHOLE, "grid", clock())
    assert powermeter is not None
    assert powermeter["timestamp"] == "2026-11-22T09:30:00.000Z"


def test_a_missing_phase_is_unknown_not_zero() -> None:
    reading = reading_of({"current_A": {"L1": 10.0}, "energy_Wh_import": {"total": 0}}, 0.0)
    assert reading.current_A is not None
    assert reading.current_A[0] == 10
    assert all(math.isnan(current) for current in reading.current_A[1:])
    powermeter = powermeter_of(reading, "grid", VirtualClock()())
    assert powermeter is not None
    assert powermeter["current_A"] == {"L1": 10.0}


@pytest.mark.parametrize("odd", [math.nan, math.inf, 10**400])
def test_what_nobody_can_reckon_with_is_not_measured(odd: float) -> None:
    reading = reading_of({"current_A": {"L1": odd, "L2": 1, "L3": 2}, "power_W": {"total": odd}}, 0.0)
    assert reading.current_A is not None
    assert math.isnan(reading.current_A[0])
    assert reading.total_power_W is None


def test_what_is_not_measured_is_not_there() -> None:
    reading = reading_of({"energy_Wh_import": {"total": 5}}, 0.0)
    assert (reading.current_A, reading.total_power_W, reading.frequency_Hz) == (None, None, None)


def test_no_energy_is_made_up() -> None:
    assert powermeter_of(Reading(taken_at=0.0, current_A=(1.0, 1.0, 1.0)), "grid", VirtualClock()()) is None


@pytest.mark.parametrize("odd", [None, [], {"current_A": 5}, {"power_W": {"total": "much"}}])
def test_what_is_no_powermeter_is_refused(odd: Any) -> None:
    with pytest.raises(MeterError):
        reading_of(odd, 0.0)
