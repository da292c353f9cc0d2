"""A simulated power meter."""

import math
from collections.abc import Callable, Iterator, Mapping

from bsp.profile import MeterProfile
from bsp.registers import Value
from bsp.sunspec import END, MARKER
from energy_management.measurement import Reading, Vector3
from hil.devices.registers import RegisterDevice

_PHASES = ("L1", "L2", "L3")
_COMMON_AT = 40002
_COMMON_LENGTH = 66
_MODEL_AT = _COMMON_AT + 2 + _COMMON_LENGTH
_MODEL_LENGTH = 124
_SCALE_FACTORS: Mapping[str, Value] = {
    "scale_factor.current": -2,
    "scale_factor.voltage": -1,
    "scale_factor.frequency": -2,
    "scale_factor.power": 0,
    "scale_factor.energy": 0,
}


class MeterDevice(RegisterDevice):
    """A meter that shows what a plant measures.

    As most meters do, it measures current without direction: the sign of a current is in the power only.

    Parameters
    ----------
    profile : MeterProfile
        Which meter it is.
    read : callable
        Gives the present measurement.
    """

    def __init__(self, profile: MeterProfile, read: Callable[[], Reading]) -> None:
        super().__init__(profile, base=_MODEL_AT if profile.sunspec is not None else 0)
        self._read = read
        self._phases = profile.phases
        self._without_sign = [n for n, p in profile.points.items() if (p.type or "").startswith("uint")]
        if profile.sunspec is not None:
            self.fixed = _sunspec_chain(profile.sunspec.model)

    def values(self) -> Mapping[str, Value]:
        """Give the measurement by point."""
        values = {**_SCALE_FACTORS, **dict(values_of(self._read()))}
        if self._phases == 1:
            values["power_W.total"] = values.get("power_W.L1")
        for name in self._without_sign:
            if isinstance(value := values.get(name), int | float):
                values[name] = abs(value)
        return values


def _sunspec_chain(model: int) -> dict[int, int]:
    """Give the marker, a common model without content, the head of the meter's model, and the end."""
    end = _MODEL_AT + 2 + _MODEL_LENGTH
    return {
        40000: MARKER[0],
        40001: MARKER[1],
        _COMMON_AT: 1,
        _COMMON_AT + 1: _COMMON_LENGTH,
        _MODEL_AT: model,
        _MODEL_AT + 1: _MODEL_LENGTH,
        end: END,
        end + 1: 0,
    }


def values_of(reading: Reading) -> Iterator[tuple[str, Value]]:
    """Yield the values of a measurement by the names that points have in profiles."""
    yield from _phases("voltage_V", reading.voltage_V)
    yield from _phases("power_W", reading.power_W)
    currents = reading.current_A
    yield from _phases(
        "current_A", None if currents is None else (abs(currents[0]), abs(currents[1]), abs(currents[2]))
    )
    if reading.total_power_W is not None:
        yield "power_W.total", reading.total_power_W
        yield "power_W.import", max(reading.total_power_W, 0.0)
        yield "power_W.export", max(-reading.total_power_W, 0.0)
    yield "energy_Wh.import", reading.energy_import_Wh
    yield "energy_Wh.export", reading.energy_export_Wh
    yield "frequency_Hz", reading.frequency_Hz


def _phases(quantity: str, vector: Vector3 | None) -> Iterator[tuple[str, Value]]:
    for phase, value in zip(_PHASES, vector or (), strict=False):
        yield f"{quantity}.{phase}", None if math.isnan(value) else value
