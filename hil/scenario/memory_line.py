"""A line with simulated devices on it, without any wire: answers come from memory, in virtual time."""

import asyncio
from collections.abc import Mapping, Sequence

from bsp.transport import (
    DisconnectedError,
    NoAnswerError,
    Read,
    RefusedError,
    Request,
    SerialLink,
    TcpLink,
)
from hil.devices.registers import DeviceRefusesError, RegisterDevice

_BITS_PER_CHARACTER = 11
_OVERHEAD_CHARACTERS = 16
"""Of a request and its answer together, besides the values."""


class MemoryLine:
    """Stands in for a serial line or a TCP host; see `bsp.transport.Transport`.

    Parameters
    ----------
    devices : mapping of int to RegisterDevice
        By Modbus address; may grow.
    link : SerialLink or TcpLink
        What it stands in for: its speed and timeout.

    Attributes
    ----------
    is_cut : bool
        The adapter is pulled, or the host is down.
    """

    def __init__(self, devices: Mapping[int, RegisterDevice], link: SerialLink | TcpLink) -> None:
        self.is_cut = False
        self.late_answer_s = 0.0 if isinstance(link, TcpLink) and link.framing == "tcp" else link.timeout_s
        baudrate = link.baudrate if isinstance(link, SerialLink) else 0
        self.frame_gap_s = max(3.5 * _BITS_PER_CHARACTER / baudrate, 0.00175) if baudrate else 0.0
        self._character_s = _BITS_PER_CHARACTER / baudrate if baudrate else 0.0
        self._devices = devices
        self._timeout_s = link.timeout_s
        self._is_open = False

    @property
    def connected(self) -> bool:
        """Whether the line is open."""
        return self._is_open and not self.is_cut

    async def connect(self) -> bool:
        """Open the line."""
        self._is_open = not self.is_cut
        return self._is_open

    def close(self) -> None:
        """Close the line."""
        self._is_open = False

    async def transact(self, unit: int, request: Request) -> Sequence[int]:
        """Have a device answer a request."""
        if not self.connected:
            raise DisconnectedError("connection lost")
        device = self._devices.get(unit)
        if device is None:
            await self._nothing()
        assert device is not None
        device.requests += 1
        faults = device.next_faults()
        count = request.count if isinstance(request, Read) else len(request.values)
        on_the_line_s = (_OVERHEAD_CHARACTERS + 2 * count) * self._character_s + faults.delay_s
        if faults.silent or faults.has_bad_frames or on_the_line_s > self._timeout_s:
            await self._nothing()
        if on_the_line_s:
            await asyncio.sleep(on_the_line_s)
        if faults.exception is not None:
            raise RefusedError(faults.exception)
        try:
            if isinstance(request, Read):
                return device.read(request.table, request.address, request.count)
            device.write(request.table, request.address, list(request.values))
        except DeviceRefusesError as error:
            raise RefusedError(error.code) from error
        return ()

    async def _nothing(self) -> None:
        """Wait in vain."""
        await asyncio.sleep(self._timeout_s)
        raise NoAnswerError(f"no answer within {self._timeout_s:g} s")
