"""A port that may refuse some of the settings that are tried."""

import termios

import serial

from bsp.transport import ModbusTransport, SerialLink, TcpLink


class FussyPort(ModbusTransport):
    """A transport whose port is first asked whether it takes the settings.

    Some adapters, and pseudo-terminals, take no parity, and say so late: then pymodbus leaves the port open,
    and locked for whatever is tried next.
    """

    def __init__(self, link: SerialLink | TcpLink) -> None:
        super().__init__(link)
        self._place = link

    async def connect(self) -> bool:
        """Open the line; False if that fails, or if the port does not take its settings."""
        self.close()
        return _takes(self._place) and await super().connect()


def _takes(link: SerialLink | TcpLink) -> bool:
    if isinstance(link, TcpLink):
        return True
    try:
        with serial.Serial(
            link.port, link.baudrate, parity=link.parity, stopbits=link.stop_bits, exclusive=True
        ) as port:
            port.timeout = 0.0  # sets all of them once more, which is when some ports refuse
    except (OSError, ValueError, termios.error):
        return False
    return True
