"""Measurements as every part of the project passes them on."""

from dataclasses import dataclass

Vector3 = tuple[float, float, float]
"""One value per grid phase: L1, L2, L3."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter measured at one moment. Import from the grid is positive, export negative.

    Attributes
    ----------
    taken_at : float
        When it was measured, in seconds of the monotonic clock of the process.
    current_A, voltage_V, power_W : Vector3 or None
        Per phase. None is "not measured"; a phase that the meter lacks is NaN, never 0.
    total_power_W : float or None
        Sum over the phases, as the meter itself reports it.
    energy_import_Wh, energy_export_Wh : float or None
        Counters of the meter.
    frequency_Hz : float or None
        Grid frequency.
    """

    taken_at: float
    current_A: Vector3 | None = None
    voltage_V: Vector3 | None = None
    power_W: Vector3 | None = None
    total_power_W: float | None = None
    energy_import_Wh: float | None = None
    energy_export_Wh: float | None = None
    frequency_Hz: float | None = None
