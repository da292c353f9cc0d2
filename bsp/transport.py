"""One Modbus line or host: opens it, sends one request, gives the answer or says why there is none."""

import asyncio
import logging
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from bsp.registers import Table

# What pymodbus has to say of a bad line is in the statistics and errors of the bus already.
_log = logging.getLogger(__name__)
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

_READS: Mapping[Table, type[ModbusPDU]] = {
    "coil": ReadCoilsRequest,
    "discrete": ReadDiscreteInputsRequest,
    "holding": ReadHoldingRegistersRequest,
    "input": ReadInputRegistersRequest,
}
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}
ILLEGAL_ADDRESS = 2
GATEWAY_CODES = (10, 11)
"""Exception codes by which a gateway, not the device, says that there is no answer."""


class BusError(Exception):
    """A request to a device has failed."""


class NoAnswerError(BusError):
    """The device did not answer in time, or noise destroyed the answer."""


class DisconnectedError(BusError):
    """The line or host cannot be opened."""


class RefusedError(BusError):
    """The device understood and refused (a Modbus exception reply)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"refused with exception {code} ({_EXCEPTIONS.get(code, 'unknown')})")
        self.code = code


class WrongDeviceError(BusError):
    """Who answers is not the device that the profile describes."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read `count` registers or bits from `address` on."""

    table: Table
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Write:
    """Write `values` from `address` on, with the function for single or for multiple ones."""

    table: Table
    address: int
    values: tuple[int, ...]
    multiple: bool = False


Request = Read | Write


class Transport(Protocol):
    """What a bus needs of a line; requests never overlap."""

    late_answer_s: float
    """How long after its time is up an answer may still come and be taken for that of the next request to the
    same device; 0 where answers carry the number of their request."""
    frame_gap_s: float
    """Silence between two frames."""

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""
        ...

    async def connect(self) -> bool:
        """Open the line; False if that fails."""
        ...

    async def transact(self, unit: int, request: Request) -> Sequence[int]:
        """Send a request; give the values read, or none for a write.

        Raises
        ------
        BusError
            There was no usable answer.
        """
        ...

    def close(self) -> None:
        """Close the line."""
        ...


@dataclass(frozen=True, slots=True)
class SerialLink:
    """An RS-485 adapter. `port` is best given as ``/dev/serial/by-id/...``, which survives replugging."""

    port: str
    baudrate: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    timeout_s: float = 0.5


@dataclass(frozen=True, slots=True)
class TcpLink:
    """A Modbus TCP host, or with ``framing="rtu"`` a serial device server that passes RTU frames."""

    host: str
    port: int = 502
    framing: Literal["tcp", "rtu"] = "tcp"
    timeout_s: float = 1.0


class ModbusTransport:
    """A serial line or TCP host, spoken to with pymodbus.

    pymodbus frames, checks and decodes; reconnecting and retrying are the bus's, which knows the others.
    """

    def __init__(self, link: SerialLink | TcpLink) -> None:
        self._link = link
        self._client: AsyncModbusSerialClient | AsyncModbusTcpClient | None = None
        numbered = isinstance(link, TcpLink) and link.framing == "tcp"
        self.late_answer_s = 0.0 if numbered else link.timeout_s
        # 3.5 characters of 11 bits, above 19200 baud 1.75 ms: Modbus over Serial Line 1.02, section 2.5.1.1
        baudrate = link.baudrate if isinstance(link, SerialLink) else 0
        self.frame_gap_s = max(3.5 * 11 / baudrate, 0.00175) if baudrate else 0.0

    @property
    def connected(self) -> bool:
        """Whether the line is open."""
        return self._client is not None and self._client.connected

    async def connect(self) -> bool:
        """Open the line anew; False if that fails or takes longer than the timeout."""
        self.close()
        try:
            self._client = _client(self._link)
            # pymodbus would hang up after some silent requests, and with it on every device of the line.
            self._client.set_max_no_responses(1 << 30)
            return await self._client.connect()
        except (OSError, ValueError, termios.error) as error:  # pyserial: the port refuses a setting
            _log.warning("%s: %s", self._link, error)
            self.close()
            return False

    def close(self) -> None:
        """Close the line."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def transact(self, unit: int, request: Request) -> Sequence[int]:
        """Send one request and wait for its answer; see `Transport`."""
        if self._client is None or not self._client.connected:
            raise DisconnectedError("not connected")
        pdu = _pdu(unit, request)
        try:
            answer = await self._client.execute(False, pdu)  # noqa: FBT003 (pymodbus's: an answer is expected)
        except ModbusException as error:
            raise NoAnswerError(f"no answer within {self._link.timeout_s:g} s") from error
        except (OSError, AttributeError, asyncio.InvalidStateError) as error:
            # AttributeError: pymodbus's serial transport, written to in the moment in which it is unplugged
            self.close()
            raise DisconnectedError("connection lost") from error
        return _values(request, pdu, answer)


def _client(link: SerialLink | TcpLink) -> AsyncModbusSerialClient | AsyncModbusTcpClient:
    if isinstance(link, SerialLink):
        return AsyncModbusSerialClient(
            link.port,
            baudrate=link.baudrate,
            parity=link.parity,
            stopbits=link.stop_bits,
            timeout=link.timeout_s,
            retries=0,
            reconnect_delay=0,
        )
    framer = FramerType.SOCKET if link.framing == "tcp" else FramerType.RTU
    return AsyncModbusTcpClient(
        link.host, port=link.port, framer=framer, timeout=link.timeout_s, retries=0, reconnect_delay=0
    )


def _pdu(unit: int, request: Request) -> ModbusPDU:
    if isinstance(request, Read):
        return _READS[request.table](address=request.address, count=request.count, dev_id=unit)
    if request.table == "coil":
        bits = [bool(value) for value in request.values]
        coils = WriteMultipleCoilsRequest if request.multiple else WriteSingleCoilRequest
        return coils(address=request.address, bits=bits, dev_id=unit)
    registers = WriteMultipleRegistersRequest if request.multiple else WriteSingleRegisterRequest
    return registers(address=request.address, registers=list(request.values), dev_id=unit)


def _values(request: Request, pdu: ModbusPDU, answer: ModbusPDU) -> Sequence[int]:
    """Take the values out of an answer, after making sure that it answers this request."""
    if answer.function_code & 0x7F != pdu.function_code:
        raise NoAnswerError("an answer to another request")
    if answer.isError():
        raise RefusedError(answer.exception_code)
    if isinstance(request, Write):
        if answer.address != request.address:
            raise NoAnswerError("an answer to another request")
        return ()
    values = (
        [int(bit) for bit in answer.bits] if request.table in ("coil", "discrete") else list(answer.registers)
    )
    if len(values) < request.count or (
        request.table in ("holding", "input") and len(values) != request.count
    ):
        raise NoAnswerError(f"an answer with {len(values)} values instead of {request.count}")
    return values[: request.count]
