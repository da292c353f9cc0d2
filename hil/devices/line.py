"""Lines with simulated devices on them: Modbus TCP, RTU over TCP, and RTU on a pseudo-terminal."""

import asyncio
import contextlib
import os
import tempfile
import threading
import tty
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsResponse,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

from bsp.registers import Table
from hil.devices.registers import DeviceRefusesError, Faults, RegisterDevice

__all__ = ["Faults", "PtyLine", "TcpLine", "serve_rtu_pty", "serve_tcp"]

_READS: Mapping[int, tuple[Table, type[ModbusPDU]]] = {
    1: ("coil", ReadCoilsResponse),
    2: ("discrete", ReadDiscreteInputsResponse),
    3: ("holding", ReadHoldingRegistersResponse),
    4: ("input", ReadInputRegistersResponse),
}
_WRITES: Mapping[int, tuple[Table, type[ModbusPDU]]] = {
    5: ("coil", WriteSingleCoilResponse),
    6: ("holding", WriteSingleRegisterResponse),
    15: ("coil", WriteMultipleCoilsResponse),
    16: ("holding", WriteMultipleRegistersResponse),
}
_TICK_S = 0.1
_BITS_PER_CHARACTER = 11


class _Writer(Protocol):
    def write(self, data: bytes) -> Any: ...


class _Line:
    """The devices of a line, served in a thread of its own.

    Attributes
    ----------
    devices : mapping of int to RegisterDevice
        By Modbus address.
    carried_s : float
        How long requests and answers were on the line, at its baud rate.
    """

    def __init__(
        self, devices: Mapping[int, RegisterDevice], framer: type[FramerBase], baudrate: int | None
    ) -> None:
        self.devices = dict(devices)
        self._framer_class = framer
        self._baudrate = baudrate
        self._loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated line", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.carried_s = 0.0

    def _start(self) -> None:
        self._thread.start()
        self._call(self._open())
        self._loop.call_soon_threadsafe(self._tick)

    def _stop(self) -> None:
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> Any:
        """Run a coroutine in the line's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=5)

    async def _open(self) -> None:
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError

    async def _shut(self) -> None:
        await self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tick(self) -> None:
        for device in self.devices.values():
            if device.is_powered:
                device.tick()
        self._loop.call_later(_TICK_S, self._tick)

    def _framer(self) -> FramerBase:
        return self._framer_class(DecodePDU(is_server=True))

    def _take(self, framer: FramerBase, buffer: bytes, writer: _Writer) -> bytes:
        """Serve the requests at the start of a buffer; give what is left of it."""
        while buffer:
            used, request = framer.handleFrame(buffer, 0, 0)
            if not used:
                return buffer
            size, buffer = used, buffer[used:]
            if request is not None:
                task = self._loop.create_task(self._answer(framer, request, size, writer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return buffer

    async def _answer(self, framer: FramerBase, request: ModbusPDU, size: int, writer: _Writer) -> None:
        device = self.devices.get(request.dev_id)
        if device is None:
            return
        device.requests += 1
        faults = device.next_faults()
        if faults.silent:
            return
        response = _respond(device, request, faults)
        response.dev_id, response.transaction_id = request.dev_id, request.transaction_id
        if faults.foreign:
            response.dev_id = response.dev_id % 247 + 1
            response.transaction_id = (response.transaction_id + 1) % 0x10000
        frame = framer.buildFrame(response)
        frame = _damaged(frame, faults)
        on_the_line_s = (size + len(frame)) * _BITS_PER_CHARACTER / self._baudrate if self._baudrate else 0.0
        self.carried_s += on_the_line_s
        await asyncio.sleep(faults.delay_s + on_the_line_s)
        writer.write(faults.noise + frame)


def _damaged(frame: bytes, faults: Faults) -> bytes:
    if faults.corrupt:
        frame = frame[:-1] + bytes([frame[-1] ^ 0x01])
    return frame[: len(frame) // 2] if faults.truncated else frame


def _respond(device: RegisterDevice, request: ModbusPDU, faults: Faults) -> ModbusPDU:
    try:
        if faults.exception is not None:
            raise DeviceRefusesError(faults.exception)
        if request.function_code in _READS:
            table, response = _READS[request.function_code]
            values = device.read(table, request.address, request.count)
            if table in ("coil", "discrete"):
                return response(bits=[bool(value) for value in values])
            return response(registers=values)
        table, response = _WRITES[request.function_code]
        values = [int(bit) for bit in request.bits] if table == "coil" else list(request.registers)
        device.write(table, request.address, values)
        return response(address=request.address, registers=values, bits=request.bits, count=len(values))
    except DeviceRefusesError as error:
        return ExceptionResponse(request.function_code, error.code)


class TcpLine(_Line):
    """A TCP host with devices behind it.

    Attributes
    ----------
    host, port : str, int
        Where it listens.
    """

    def __init__(
        self, devices: Mapping[int, RegisterDevice], host: str, port: int, framing: Literal["tcp", "rtu"]
    ) -> None:
        super().__init__(devices, FramerSocket if framing == "tcp" else FramerRTU, None)
        self.host = host
        self.port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    def unplug(self) -> None:
        """Cut every connection and accept none."""
        self._call(self._close())

    def plug(self) -> None:
        """Listen again, on the same port."""
        self._call(self._open())

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        framer, buffer = self._framer(), b""
        try:
            while data := await reader.read(4096):
                buffer = self._take(framer, buffer + data, writer)
        except ConnectionError:
            pass
        finally:
            self._connections.discard(writer)
            writer.close()


class PtyLine(_Line):
    """A serial line with devices on it, as a pseudo-terminal.

    Attributes
    ----------
    path : str
        Its port: a link as below /dev/serial/by-id, which stays when the adapter comes back as another one.
    """

    def __init__(self, devices: Mapping[int, RegisterDevice], directory: Path, baudrate: int | None) -> None:
        super().__init__(devices, FramerRTU, baudrate)
        self._link = directory / "rs485"
        self.path = str(self._link)
        self._master = self._slave = -1
        self._buffer = b""
        self._heard_at = 0.0

    def unplug(self) -> None:
        """Pull the adapter."""
        self._call(self._close())

    def plug(self) -> None:
        """Plug the adapter in again; its device gets another name, the path stays."""
        self._call(self._open())

    async def _open(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._slave))
        self._loop.add_reader(self._master, self._hear)

    async def _close(self) -> None:
        if self._master < 0:
            return
        self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._link.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Put bytes on the line."""
        if self._master >= 0:
            os.write(self._master, data)

    def _hear(self) -> None:
        data = os.read(self._master, 4096)
        if self._loop.time() - self._heard_at > 0.05:  # a pause ends a frame, and whatever noise it was
            self._buffer = b""
        self._heard_at = self._loop.time()
        self._buffer = self._take(self._framer(), self._buffer + data, self)


@contextlib.contextmanager
def serve_tcp(
    devices: Mapping[int, RegisterDevice],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    framing: Literal["tcp", "rtu"] = "tcp",
) -> Iterator[TcpLine]:
    """Serve devices over TCP.

    Parameters
    ----------
    devices : mapping of int to RegisterDevice
        By Modbus address.
    host, port
        Where to listen; port 0 takes a free one.
    framing : str
        "tcp" for Modbus TCP, "rtu" as a serial device server has it.
    """
    line = TcpLine(devices, host, port, framing)
    line._start()  # noqa: SLF001 (lines are started here only)
    try:
        yield line
    finally:
        line._stop()  # noqa: SLF001


@contextlib.contextmanager
def serve_rtu_pty(devices: Mapping[int, RegisterDevice], *, baudrate: int | None = None) -> Iterator[PtyLine]:
    """Serve devices on a pseudo-terminal.

    Parameters
    ----------
    devices : mapping of int to RegisterDevice
        By Modbus address.
    baudrate : int, optional
        Take as long for each request and answer as a line of this speed; by default no time at all.
    """
    with tempfile.TemporaryDirectory(prefix="simulated-line-") as directory:
        line = PtyLine(devices, Path(directory), baudrate)
        line._start()  # noqa: SLF001
        try:
            yield line
        finally:
            line._stop()  # noqa: SLF001
