"""A simulated power meter."""

import math
from collections.abc import Callable, Iterator, Mapping

from bsp.profile import MeterProfile
from bsp.registers import Value
from energy_management.measurement import Reading, Vector3
from hil.devices.registers import RegisterDevice

_PHASES = ("L1", "L2", "L3")


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
        super().__init__(profile)
        self._read = read

    def values(self) -> Mapping[str, Value]:
        """Give the measurement by point."""
        return dict(values_of(self._read()))


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
