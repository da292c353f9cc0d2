"""A simulated charger with several connectors behind one Modbus address."""

from collections.abc import Sequence

from bsp.registers import Table
from hil.devices.registers import ILLEGAL_ADDRESS, DeviceRefusesError, RegisterDevice
from hil.devices.wallbox import WallboxDevice


class ChargerDevice(RegisterDevice):
    """A charger whose connectors have a block of registers each; what fails, fails for all of them.

    Parameters
    ----------
    connectors : sequence of WallboxDevice
        Of the same profile, each with the base of its block.
    """

    def __init__(self, connectors: Sequence[WallboxDevice]) -> None:
        super().__init__(connectors[0].profile)
        self._connectors = connectors
        for connector in connectors:
            connector.lies = self.lies

    def power_cycle(self) -> None:
        """Start anew with the factory settings."""
        for connector in self._connectors:
            connector.power_cycle()

    def obey(self) -> None:
        """Follow the settings it holds, after it did not for a while."""
        for connector in self._connectors:
            connector.obey()

    def tick(self) -> None:
        """Let time pass."""
        for connector in self._connectors:
            connector.tick()

    def read(self, table: Table, address: int, count: int) -> list[int]:
        """Answer a read as the connector does whose registers these are; all hear it, for their watchdogs.

        Raises
        ------
        DeviceRefusesError
            It is nobody's.
        """
        answer, code = None, ILLEGAL_ADDRESS
        for connector in self._connectors:
            try:
                values = connector.read(table, address, count)
            except DeviceRefusesError as error:
                code = max(code, error.code)
            else:
                answer = answer or values
        if answer is None:
            raise DeviceRefusesError(code)
        return answer

    def write(self, table: Table, address: int, values: list[int]) -> None:
        """Take a write for the connector whose registers these are; what they share goes to all of them.

        Raises
        ------
        DeviceRefusesError
            Nobody has these, or takes that value.
        """
        is_taken, code = False, ILLEGAL_ADDRESS
        for connector in self._connectors:
            try:
                connector.write(table, address, values)
            except DeviceRefusesError as error:
                code = max(code, error.code)
            else:
                is_taken = True
        if not is_taken:
            raise DeviceRefusesError(code)
