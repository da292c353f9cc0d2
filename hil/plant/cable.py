"""Cables: the one between charger and car, which says what it bears, and the one that feeds a charger."""

from energy_management.measurement import Vector3

CODED_A = (13.0, 20.0, 32.0, 63.0)
"""Ampacities that a charging cable can be coded for, by a resistor of 1500, 680, 220 or 100 ohm between
proximity contact and protective earth of its plug (IEC 61851-1, annex B). The charger offers no more.
"""

COPPER = 0.0179
"""Ohm of a metre of one square millimetre at 20 degrees Celsius, a conductivity of 56 m/(ohm mm2)."""


def resistance_ohm(length_m: float, area_mm2: float) -> float:
    """Return the resistance of one conductor of a copper cable."""
    return COPPER * length_m / area_mm2


def far_end_V(near_V: float, current_A: Vector3, conductor_ohm: float) -> Vector3:
    """Voltages to neutral at the end of a cable with four equal conductors.

    Loads are resistive, as those of cars nearly are. The neutral carries the sum of three phasors 120 degrees
    apart, so what a phase loses is R (2 I - (sum of the other two) / 2): one phase alone loses twice what
    each of three does that are loaded alike, and the other two rise a little.

    Parameters
    ----------
    near_V : float
        Phase to neutral where it begins.
    current_A : Vector3
        What flows on each phase.
    conductor_ohm : float
        Resistance of one conductor.
    """
    half_A = sum(current_A) / 2.0
    one, two, three = (near_V - conductor_ohm * (2.5 * current - half_A) for current in current_A)
    return one, two, three
