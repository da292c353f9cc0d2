"""What is on a serial line when nobody answers: nothing at all, or something that nobody understands."""

import time

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadInputRegistersRequest
from serial import Serial, SerialException

from bsp.transport import SerialLink


def listen(link: SerialLink, unit: int, seconds: float = 1.0) -> bytes:
    """Ask a unit for two registers, and give whatever bytes are heard then, frame or not.

    Reads only. An empty result also means that the port cannot be opened.
    """
    request = ReadInputRegistersRequest(address=0, count=2, dev_id=unit)
    frame = FramerRTU(DecodePDU(is_server=False)).buildFrame(request)
    try:
        with Serial(
            link.port, link.baudrate, parity=link.parity, stopbits=link.stop_bits, timeout=seconds / 4
        ) as port:
            port.reset_input_buffer()
            port.write(frame)
            until_s, heard = time.monotonic() + seconds, b""
            while time.monotonic() < until_s and len(heard) < 256:
                heard += port.read(64)
    except (SerialException, OSError):
        return b""
    return heard


def hint(link: SerialLink, unit: int, seconds: float = 1.0) -> str:
    """Say what to check on a line on which nobody answers."""
    heard = listen(link, unit, seconds)
    if not heard:
        return (
            "nothing is heard on the line: check power of the device, that A, B and ground are connected, "
            "and the unit"
        )
    return (
        f"{len(heard)} bytes are heard on the line, but no Modbus ({heard[:8].hex(' ')}): "
        "A and B are exchanged, baud rate or parity is another one, or a second master is on the line"
    )
