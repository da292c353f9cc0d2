"""A charger behind a real socket, and the connector that drives it. Time is the test's own."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from bsp.connector import Connector
from bsp.connector_registers import ConnectorStatus
from bsp.device import Device
from bsp.phase_choice import phase_driver
from bsp.profile import ConnectorProfile, connector_profile
from bsp.transport import TcpLink
from hil.devices import WallboxDevice, serve_tcp
from tests.bsp.plant import Point, VirtualClock, on_bus

# without the silence that it needs between requests, which a clock that stands still would never see end
HEIDELBERG = msgspec.structs.replace(connector_profile("heidelberg_energy_control"), request_gap=0.0)
ALFEN = connector_profile("alfen_eve")


class Bench:
    """A charger behind a socket, the connector that drives it, and the clock of both."""

    def __init__(self, profile: ConnectorProfile, **settings: Any) -> None:
        self.profile = profile
        self.settings = settings
        self.clock = VirtualClock()
        self.point = Point()
        self.device = WallboxDevice(profile, self.point, clock=self.clock)
        self.connector: Connector

    def run(self, work: Callable[["Bench"], Awaitable[Any]]) -> Any:
        async def with_device(device: Device) -> Any:
            self.connector = Connector(
                device, self.profile, self.clock, phases=phase_driver(device, self.profile), **self.settings
            )
            return await work(self)

        with serve_tcp({1: self.device}) as line:
            link = TcpLink(line.host, line.port, timeout_s=0.2)
            return on_bus(link, self.profile, 1, with_device, self.clock)

    async def cycle(self, after_s: float = 0.0) -> ConnectorStatus:
        self.clock.advance(after_s)
        self.device.tick()
        return await self.connector.cycle()


PROFILES = pytest.mark.parametrize("profile", [HEIDELBERG, ALFEN], ids=["heidelberg", "alfen"])
