"""A bus for as long as a command needs it, and its errors in words that tell what to check."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from serial.tools.list_ports import comports

from bsp.bus import Bus, Clock
from bsp.transport import (
    GATEWAY_CODES,
    BusError,
    DisconnectedError,
    ModbusTransport,
    RefusedError,
    SerialLink,
    WrongDeviceError,
)
from hil.field.target import Link, Target

BY_ID = Path("/dev/serial/by-id")


@asynccontextmanager
async def open_bus(link: Link, *, clock: Clock = time.monotonic) -> AsyncIterator[Bus]:
    """Own a line or host until the end of the block."""
    bus = Bus(place_of(link), ModbusTransport(link), clock=clock)
    owner = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        owner.cancel()
        await asyncio.gather(owner, return_exceptions=True)


def place_of(link: Link) -> str:
    """Say where a link leads: ``/dev/ttyUSB0`` or ``10.0.0.5:502``."""
    return link.port if isinstance(link, SerialLink) else f"{link.host}:{link.port}"


def line_settings(link: SerialLink) -> str:
    """Say the settings of a line as electricians do: ``9600 8N1``."""
    return f"{link.baudrate} 8{link.parity}{link.stop_bits}"


def explain(error: BusError, target: Target) -> str:
    """Say in one line why a device could not be spoken to, and what to check."""
    where = f"unit {target.unit} on {place_of(target.link)}"
    if isinstance(error, DisconnectedError):
        return cannot_open(target.link)
    if isinstance(error, RefusedError) and error.code in GATEWAY_CODES:
        gateway = place_of(target.link)
        return f"the gateway at {gateway} answers, but nobody as unit {target.unit} behind it: {error}"
    if isinstance(error, RefusedError):
        return (
            f"{where} answers, so line and unit are right, but it {error}: "
            f"is it really a {target.profile.vendor} {target.profile.models[0]}? `hil probe` finds what it is"
        )
    if isinstance(error, WrongDeviceError):
        return f"{where} answers, but is another device: {error}"
    return f"no answer from {where}{_what_to_check(target.link)}"


def cannot_open(link: Link) -> str:
    """Say in one line that a line or host cannot be opened, and what to check."""
    if not isinstance(link, SerialLink):
        return (
            f"cannot connect to {place_of(link)}: check address and port, "
            "and that nothing else holds its only connection"
        )
    if not Path(link.port).exists():
        known = ", ".join(port.device for port in comports()) or "none"
        return f"no serial port {link.port}, ports of this computer: {known}"
    return f"cannot open {link.port}: another program holds it, or you may not use it (group dialout)"


def stable_port(port: str) -> str:
    """Give the name of a serial port that stays when the adapter is plugged in again, if it has one."""
    device = Path(port).resolve()
    links = sorted(BY_ID.iterdir()) if BY_ID.is_dir() else []
    return next((str(link) for link in links if link.resolve() == device), port)


def _what_to_check(link: Link) -> str:
    if isinstance(link, SerialLink):
        return (
            f" at {line_settings(link)}: check power, A and B (exchanged?), baud rate, parity and unit; "
            f"`hil probe --serial {link.port}` tries them"
        )
    return ": check the unit, and that the device speaks Modbus TCP (or needs --rtu-over-tcp)"
