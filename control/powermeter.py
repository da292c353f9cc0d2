"""EVerest's ``Powermeter`` and our ``Reading``, one into the other."""

import math
from collections.abc import Mapping
from typing import Any

from control.clock import Instant, timestamp
from control.messages import is_number
from control.schedules import JsonObject
from energy_management.measurement import Reading, Vector3

_PHASES = ("L1", "L2", "L3")


class MeterError(ValueError):
    """A value that a meter published is no ``Powermeter``."""


def reading_of(powermeter: object, taken_at: float) -> Reading:
    """Read EVerest's ``Powermeter``; a phase it does not report is NaN, and so is what is not finite.

    Raises
    ------
    MeterError
        It is no object, or holds something else where a number must be.
    """
    if not isinstance(powermeter, Mapping):
        raise MeterError("powermeter: expected an object")
    power = _part(powermeter, "power_W")
    frequency = _part(powermeter, "frequency_Hz")
    return Reading(
        taken_at=taken_at,
        current_A=_phases(powermeter, "current_A"),
        voltage_V=_phases(powermeter, "voltage_V"),
        power_W=_phases(powermeter, "power_W"),
        total_power_W=_number(power, "total"),
        energy_import_Wh=_number(_part(powermeter, "energy_Wh_import"), "total"),
        energy_export_Wh=_number(_part(powermeter, "energy_Wh_export"), "total"),
        frequency_Hz=_number(frequency, "L1"),
    )


def powermeter_of(reading: Reading, meter_id: str, now: Instant) -> JsonObject | None:
    """Write a reading as EVerest's ``Powermeter``, with the time it was taken at.

    None when the meter counts no energy: EVerest demands a count, and one that is made up would be billed.
    """
    if reading.energy_import_Wh is None:
        return None
    powermeter: JsonObject = {
        "timestamp": timestamp(now.utc_of(reading.taken_at)),
        "meter_id": meter_id,
        "energy_Wh_import": {"total": reading.energy_import_Wh},
    }
    if reading.energy_export_Wh is not None:
        powermeter["energy_Wh_export"] = {"total": reading.energy_export_Wh}
    for name, vector in (("current_A", reading.current_A), ("voltage_V", reading.voltage_V)):
        if phases := _known(vector):
            powermeter[name] = phases
    if reading.total_power_W is not None:
        powermeter["power_W"] = {"total": reading.total_power_W, **_known(reading.power_W)}
    if reading.frequency_Hz is not None:
        powermeter["frequency_Hz"] = {"L1": reading.frequency_Hz}
    return powermeter


def phases_of(vector: Vector3, digits: int) -> JsonObject:
    """Write a vector by phase, rounded; unknown phases are left out."""
    known = zip(_PHASES, vector, strict=True)
    return {phase: round(value, digits) for phase, value in known if math.isfinite(value)}


def _part(powermeter: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = powermeter.get(name, {})
    if not isinstance(part, Mapping):
        raise MeterError(f"powermeter: {name} must be an object")
    return part


def _number(part: Mapping[str, Any], name: str) -> float | None:
    value = part.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MeterError(f"powermeter: {name} must be a number")
    return float(value) if is_number(value) else None


def _phases(powermeter: Mapping[str, Any], name: str) -> Vector3 | None:
    part = _part(powermeter, name)
    values = [_number(part, phase) for phase in _PHASES]
    if all(value is None for value in values):
        return None
    one, two, three = (math.nan if value is None else value for value in values)
    return one, two, three


def _known(vector: Vector3 | None) -> dict[str, float]:
    if vector is None:
        return {}
    return {phase: value for phase, value in zip(_PHASES, vector, strict=True) if not math.isnan(value)}
