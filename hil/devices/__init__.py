"""Simulated Modbus devices: the registers of a profile, filled and obeyed by a simulated plant.

`MeterDevice` and `WallboxDevice` are devices, `serve_tcp` and `serve_rtu_pty` put them on a line.
"""

from hil.devices.charger import ChargerDevice
from hil.devices.line import Faults, PtyLine, TcpLine, serve_rtu_pty, serve_tcp
from hil.devices.meter import MeterDevice
from hil.devices.registers import RegisterDevice
from hil.devices.relay_board import RelayBoardDevice
from hil.devices.wallbox import ChargingPoint, WallboxDevice

__all__ = [
    "ChargerDevice",
    "ChargingPoint",
    "Faults",
    "MeterDevice",
    "PtyLine",
    "RegisterDevice",
    "RelayBoardDevice",
    "TcpLine",
    "WallboxDevice",
    "serve_rtu_pty",
    "serve_tcp",
]
