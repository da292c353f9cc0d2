"""Phase switching by registers of a charger: what to write, and what they show."""

from collections.abc import Mapping
from typing import Literal

from bsp.charger_controls import PhaseSwitching
from bsp.connector_registers import phase_writes, selected_phases
from bsp.device import Device
from bsp.phase_driver import Position
from bsp.phase_terms import Equipment
from bsp.profile import ConnectorProfile
from bsp.registers import Value


class PhaseRegisters:
    """The registers by which a charger switches phases.

    Parameters
    ----------
    device : Device
        The charger.
    profile : ConnectorProfile
        Its profile.
    spec : PhaseSwitching
        The part of it that tells how.
    """

    def __init__(self, device: Device, profile: ConnectorProfile, spec: PhaseSwitching) -> None:
        self._device = device
        self._spec = spec
        confirm = spec.confirm or spec.point
        self._confirm = confirm if profile.points[confirm].readable else None
        self._written: int | None = None
        self.equipment = Equipment(by_itself=spec.sequenced_by == "device", hold_off_s=spec.hold_off)
        self.points = [self._confirm] if self._confirm is not None else []

    async def are_usable(self) -> bool:
        """Ask the charger whether it can switch at all, as it is built and set up."""
        if not self._spec.available_if:
            return True
        sample = await self._device.read(self._spec.available_if)
        return all(sample.values[name] in allowed for name, allowed in self._spec.available_if.items())

    async def select(self, phases: int) -> None:
        """Write what brings the charger to 1 or 3 phases."""
        for write in phase_writes(self._spec, phases):
            await self._device.write(write.point, write.value)
        self._written = phases

    async def move_main(self, order: Literal["open", "closed"]) -> None:
        """Do nothing: the charger's contactor is its own."""

    async def look(self, values: Mapping[str, Value]) -> Position:
        """Tell which number is selected: as the charger shows it or, if it cannot, as it was written."""
        if self._confirm is None:
            return Position(self._written)
        return Position(selected_phases(self._spec, values))
