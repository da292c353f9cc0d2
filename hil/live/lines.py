"""Simulated devices on real sockets and pseudo-terminals."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

from bsp.hub import HubLink
from bsp.transport import SerialLink, TcpLink
from hil.devices import PtyLine, RegisterDevice, TcpLine, serve_rtu_pty, serve_tcp

Link = SerialLink | TcpLink


class ServedLine:
    """A line with simulated devices, that can be cut.

    Parameters
    ----------
    line : PtyLine or TcpLine
        The line.
    """

    def __init__(self, line: PtyLine | TcpLine) -> None:
        self._line = line
        self._is_cut = False

    @property
    def is_cut(self) -> bool:
        """Whether the adapter is pulled, or the host down."""
        return self._is_cut

    @is_cut.setter
    def is_cut(self, is_cut: bool) -> None:
        if is_cut != self._is_cut:
            self._is_cut = is_cut
            (self._line.unplug if is_cut else self._line.plug)()


def serve(
    buses: Mapping[str, Mapping[int, RegisterDevice]],
    links: Mapping[str, SerialLink | TcpLink | HubLink],
    stack: ExitStack,
) -> tuple[dict[str, ServedLine], dict[str, Link]]:
    """Serve each bus that has simulated devices.

    Parameters
    ----------
    buses : mapping of bus to devices
        By Modbus address.
    links : mapping of bus to link
        What is imitated: a line with its speed, a host.
    stack : ExitStack
        Ends it.

    Returns
    -------
    tuple
        The lines, and the links that lead to them.
    """
    lines: dict[str, ServedLine] = {}
    served: dict[str, Link] = {}
    for name, link in links.items():
        devices = buses[name]
        if not devices or isinstance(link, HubLink):
            continue
        if isinstance(link, SerialLink):
            pty = stack.enter_context(serve_rtu_pty(devices, baudrate=link.baudrate))
            lines[name], served[name] = ServedLine(pty), replace(link, port=pty.path)
        else:
            host = stack.enter_context(serve_tcp(devices, framing=link.framing))
            lines[name], served[name] = ServedLine(host), replace(link, host=host.host, port=host.port)
    return lines, served
