"""Cables: what they are coded for, and what they lose."""

import cmath
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant import Car, CarModel, ChargePoint
from hil.plant.cable import CODED_A, far_end_V, resistance_ohm

BIG = CarModel(phases=3, max_current_A=32.0)


def charging(point: ChargePoint, seconds: float = 60.0) -> ChargePoint:
    for _ in range(round(seconds / 0.2)):
        point.advance(0.2)
    return point


@pytest.mark.parametrize("cable_A", CODED_A)
def test_no_more_is_offered_than_the_cable_bears(cable_A: float) -> None:
    point = ChargePoint(max_current_A=32.0)
    point.plug_in(Car(BIG), cable_A)
    point.set_limit(32.0)
    assert charging(point).current_A[0] == pytest.approx(min(cable_A, 32.0))


def test_the_cable_leaves_with_the_car() -> None:
    point = ChargePoint(max_current_A=32.0)
    point.set_limit(32.0)
    point.plug_in(Car(BIG), 13.0)
    charging(point)
    point.unplug()
    point.plug_in(Car(BIG))
    assert charging(point).offer_A == 32.0


def test_fifty_metres_of_a_thin_cable() -> None:
    assert resistance_ohm(50.0, 2.5) == pytest.approx(0.358)


currents = st.floats(0.0, 63.0)


@given(currents, currents, currents, st.floats(0.0, 0.5))
def test_what_is_lost_is_what_phasors_lose(one: float, two: float, three: float, ohm: float) -> None:
    turns = [cmath.rect(1.0, -2.0 * math.pi * phase / 3.0) for phase in range(3)]
    flows = [current * turn for current, turn in zip((one, two, three), turns, strict=True)]
    lost = [ohm * (flow + sum(flows)) for flow in flows]
    expected_V = [230.0 - (loss / turn).real for loss, turn in zip(lost, turns, strict=True)]
    assert far_end_V(230.0, (one, two, three), ohm) == pytest.approx(expected_V, abs=1e-6)


@pytest.mark.parametrize(("phases", "lost_V"), [(1, 6.4), (3, 3.2)])
def test_a_charger_far_away_sees_less_voltage_and_counts_less(phases: int, lost_V: float) -> None:
    near, far = (
        ChargePoint(car=Car(CarModel(phases=phases, max_current_A=16.0)), feed_ohm=ohm) for ohm in (0.0, 0.2)
    )
    for point in (near, far):
        point.set_limit(16.0)
        charging(point, 600.0)
    assert near.voltage_V[0] == 230.0
    assert far.voltage_V[0] == pytest.approx(230.0 - lost_V)
    assert far.energy_Wh == pytest.approx(near.energy_Wh * (1 - lost_V / 230.0), rel=1e-3)
    assert far.car is not None
    assert far.car.energy_Wh == pytest.approx(far.energy_Wh, rel=1e-3)
