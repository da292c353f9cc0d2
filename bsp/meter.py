"""A power meter: readings from registers, each with the time it was taken."""

import math
from collections.abc import Mapping

from bsp.bus import Clock
from bsp.device import Device, Sample
from bsp.profile import MeterProfile
from bsp.registers import Value
from bsp.sunspec import find_model
from bsp.transport import BusError
from energy_management.measurement import Reading, Vector3

SLOW_EVERY_S = 10.0
_FAST = ("current_A", "power_W", "voltage_V")
_SLOW = ("energy_Wh", "frequency_Hz", "reactive_power_VAR")
_EXTRA = (".N", ".L1_L2", ".L2_L3", ".L3_L1")
"""Only read with everything: no limit depends on them, and most register maps have them elsewhere."""
_PHASES = ("L1", "L2", "L3")


class Meter:
    """A meter that is polled: currents, powers and voltages each time, counters and frequency less often.

    Attributes
    ----------
    values : mapping of str to Value
        The newest value of each point that was read, by name.

    Parameters
    ----------
    device : Device
        The meter on its bus.
    profile : MeterProfile
        What its registers mean.
    clock : callable
        Monotonic seconds.
    slow_every_s : float
        How often the slow points are read.
    """

    def __init__(
        self, device: Device, profile: MeterProfile, clock: Clock, *, slow_every_s: float = SLOW_EVERY_S
    ) -> None:
        self.values: dict[str, Value] = {}
        self._device = device
        self._profile = profile
        self._is_found = False
        self._clock = clock
        self._slow_every_s = slow_every_s
        self._slow_at = -math.inf
        self._fast = [name for name in profile.points if name.startswith(_FAST) and not name.endswith(_EXTRA)]
        self._slow = [name for name in profile.points if name.startswith(_SLOW)]

    async def poll(self) -> Reading:
        """Read the meter.

        Raises
        ------
        BusError
            It gave no answer; the caller must not use an older reading in its place.
        """
        await self._find()
        slow_is_due = self._slow and self._clock() - self._slow_at >= self._slow_every_s
        if slow_is_due and not self._fast:
            sample = await self._read_slow()
        else:
            sample = await self._device.read(self._fast)
            self.values.update(sample.values)
            if slow_is_due:
                await self._try_slow()
        return reading(self.values, sample.taken_at)

    async def read_everything(self) -> Sample:
        """Read every point of the profile.

        Raises
        ------
        BusError
            It gave no answer.
        """
        await self._find()
        return await self._device.read(self._profile.points)

    async def _find(self) -> None:
        """Find the registers of a SunSpec meter, once."""
        if self._profile.sunspec is not None and not self._is_found:
            self._device.move(await find_model(self._device, self._profile.sunspec.model))
            self._is_found = True

    async def _read_slow(self) -> Sample:
        sample = await self._device.read(self._slow)
        self.values.update(sample.values)
        self._slow_at = self._clock()
        return sample

    async def _try_slow(self) -> None:
        """Read the slow points; without an answer they are unknown, and the currents count all the same."""
        try:
            await self._read_slow()
        except BusError:
            self.values.update(dict.fromkeys(self._slow))


def reading(values: Mapping[str, Value], taken_at: float) -> Reading:
    """Turn values by point name into a `Reading`.

    Many meters measure the current without its direction. So each phase's current gets the sign of its power,
    which makes export negative as `Reading` promises.
    """
    power_W = _vector(values, "power_W")
    current_A = _vector(values, "current_A")
    if current_A is not None and power_W is not None:
        (i1, i2, i3), (p1, p2, p3) = current_A, power_W
        current_A = (_signed(i1, p1), _signed(i2, p2), _signed(i3, p3))
    return Reading(
        taken_at=taken_at,
        current_A=current_A,
        voltage_V=_vector(values, "voltage_V"),
        power_W=power_W,
        total_power_W=_total_power(values, power_W),
        energy_import_Wh=_number(values.get("energy_Wh.import")),
        energy_export_Wh=_number(values.get("energy_Wh.export")),
        frequency_Hz=_number(values.get("frequency_Hz")),
    )


def _vector(values: Mapping[str, Value], quantity: str) -> Vector3 | None:
    """Put the phases of a quantity into a vector: a missing one is NaN; None if all are missing."""
    phases = [_number(values.get(f"{quantity}.{phase}")) for phase in _PHASES]
    if all(value is None for value in phases):
        return None
    l1, l2, l3 = (math.nan if value is None else value for value in phases)
    return l1, l2, l3


def _total_power(values: Mapping[str, Value], power_W: Vector3 | None) -> float | None:
    """Total as the meter reports it: signed, as import and export, or else the sum of the phases it has."""
    total = _number(values.get("power_W.total"))
    imported = _number(values.get("power_W.import"))
    if total is None and imported is not None:
        total = imported - (_number(values.get("power_W.export")) or 0.0)
    if total is None and power_W is not None:
        total = sum(power for power in power_W if not math.isnan(power))
    return total


def _signed(current_A: float, power_W: float) -> float:
    return current_A if math.isnan(power_W) else math.copysign(current_A, power_W)


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None
