"""A bus whose line belongs to EVerest's serial hub. The hub is played: it is another module's command."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from bsp.bridge import Bridge, MeterConfig
from bsp.bus import Bus
from bsp.connector import Connector, ConnectorLimit
from bsp.device import Device
from bsp.hub import HubLink, HubTransport
from bsp.meter import Meter
from bsp.profile import connector_profile, meter_profile
from bsp.transport import BusError, DisconnectedError, NoAnswerError, Read
from hil.devices import MeterDevice, RegisterDevice, WallboxDevice
from tests.bsp.plant import Heard, House, Point, VirtualClock, run
from tests.patience import WITHIN_S

SDM630 = meter_profile("eastron_sdm630")
PHOENIX = connector_profile("phoenix_ev_cc_ac1_m_ser")


class Hub:
    """Answers commands as the interface describes them, for devices by their address."""

    def __init__(self, devices: Mapping[int, RegisterDevice]) -> None:
        self.devices = devices
        self.commands: list[str] = []

    def __call__(self, command: str, arguments: Mapping[str, Any]) -> Any:
        self.commands.append(command)
        device = self.devices.get(arguments["target_device_id"])
        if device is None:
            return {"status_code": "Timeout"} if "read" in command else "Timeout"
        if command == "modbus_read_coils":
            bits = device.read("coil", arguments["first_coil_address"], arguments["num_coils_to_read"])
            return {"status_code": "Success", "value": [bool(bit) for bit in bits]}
        if "read" in command:
            table: Any = command.removeprefix("modbus_read_").removesuffix("_registers")
            address, count = arguments["first_register_address"], arguments["num_registers_to_read"]
            return {"status_code": "Success", "value": device.read(table, address, count)}
        if command == "modbus_write_single_coil":
            device.write("coil", arguments["coil_address"], [int(arguments["data"])])
        elif command == "modbus_write_single_register":
            device.write("holding", arguments["register_address"], [arguments["data"]])
        else:
            device.write("holding", arguments["first_register_address"], arguments["data_raw"]["data"])
        return "Success"


def on_hub(call: Any, work: Any, *, answer_within_s: float = 5.0) -> Any:
    async def main() -> Any:
        bus = Bus("hub", HubTransport(call, answer_within_s=answer_within_s), retries=0)
        owner = asyncio.create_task(bus.run())
        try:
            return await work(bus)
        finally:
            owner.cancel()
            await asyncio.gather(owner, return_exceptions=True)

    return run(main())


def test_a_meter_is_read_through_the_hub() -> None:
    async def work(bus: Bus) -> Any:
        return await Meter(Device(bus, 1, SDM630), SDM630, VirtualClock()).poll()

    hub = Hub({1: MeterDevice(SDM630, House())})
    assert on_hub(hub, work).current_A == (10.5, -2.25, 4.0)
    assert set(hub.commands) == {"modbus_read_input_registers"}


def test_a_charger_is_limited_and_paused_through_the_hub() -> None:
    point = Point()

    async def work(bus: Bus) -> Any:
        connector = Connector(Device(bus, 2, PHOENIX), PHOENIX, VirtualClock())
        await connector.cycle()
        assert point.limit_A == 0.0
        connector.enforce(ConnectorLimit(13.0))
        return await connector.cycle()

    status = on_hub(Hub({2: WallboxDevice(PHOENIX, point)}), work)
    assert (point.limit_A, status.limit_A, status.fault) == (13.0, 13.0, None)


def test_what_the_hub_reports_is_told() -> None:
    async def work(bus: Bus) -> None:
        with pytest.raises(NoAnswerError, match="the serial hub reports Timeout"):
            await bus.request(7, Read("input", 0, 2))

    on_hub(Hub({}), work)


def test_a_hub_that_hangs_is_not_asked_again_before_it_has_answered() -> None:
    free, calls = threading.Event(), []

    def hang(command: str, arguments: Mapping[str, Any]) -> Any:
        calls.append(command)
        free.wait(WITHIN_S)
        return {"status_code": "Success", "value": [1, 2]}

    async def work(bus: Bus) -> None:
        with pytest.raises(DisconnectedError, match=r"does not answer within 0\.1 s"):
            await bus.request(1, Read("input", 0, 2))
        with pytest.raises(DisconnectedError):
            await bus.request(1, Read("input", 0, 2))
        assert len(calls) == 1
        free.set()

    on_hub(hang, work, answer_within_s=0.1)


def test_a_bridge_has_its_line_through_the_hub() -> None:
    readings = Heard()
    bridge = Bridge(
        {"rs485": HubLink()},
        {"house": MeterConfig("rs485", 1, SDM630)},
        {},
        on_reading=readings,
        on_status=Heard(),
        hub=Hub({1: MeterDevice(SDM630, House())}),
    )
    bridge.start()
    assert readings.wait_for(lambda name, _: name == "house").current_A == (10.5, -2.25, 4.0)
    bridge.stop()


def test_a_bridge_without_the_hub_that_it_needs_says_so() -> None:
    with pytest.raises(
        ValueError, match=r"bus 'rs485' is EVerest's serial hub.*'serial_hub' is not connected"
    ):
        Bridge({"rs485": HubLink()}, {}, {}, on_reading=Heard(), on_status=Heard())


def test_what_the_hub_cannot_do_is_told() -> None:
    async def work(bus: Bus) -> None:
        with pytest.raises(BusError, match="cannot read discrete inputs"):
            await bus.request(1, Read("discrete", 0, 2))

    on_hub(Hub({}), work)
