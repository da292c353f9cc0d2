"""A connector whose phases are switched by a board that another EVerest module drives."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from bsp.board import Board
from bsp.bridge import Bridge, ConnectorConfig
from bsp.connector import Connector, ConnectorLimit
from bsp.device import Device
from bsp.leaf import Capabilities
from bsp.phase_choice import phase_driver
from bsp.profile import connector_profile
from bsp.transport import NoAnswerError, TcpLink
from energy_management.measurement import Reading
from hil.devices import WallboxDevice, serve_tcp
from tests.bsp.plant import Heard, Point, VirtualClock, on_bus

EVSE = msgspec.structs.replace(connector_profile("evse_din_wb"), request_gap=0.0)
CAPABILITIES = {
    "max_current_A_import": 25,
    "min_current_A_import": 6,
    "max_phase_count_import": 3,
    "min_phase_count_import": 1,
    "max_current_A_export": 0,
    "supports_changing_phases_during_charging": True,
}
OWN = Capabilities(max_current_A=32.0, min_phase_count=1, supports_changing_phases=True)


class Everest:
    """The other module: its board switches at once, or refuses."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.refuses = False

    def __call__(self, command: str, args: Mapping[str, Any]) -> None:
        assert not self.point.limit_A, "switched while the car was offered current"
        if self.refuses:
            raise RuntimeError("HandlerException")
        self.calls.append((command, args))
        self.point.phases = 3 if args["value"] else 1


class Garage:
    """A charger on TCP, and its board."""

    def __init__(self) -> None:
        self.clock, self.point = VirtualClock(), Point()
        self.everest = Everest(self.point)
        self.board = Board(self.everest)

    def run(self, work: Any) -> None:
        async def with_device(device: Device) -> None:
            def measure() -> Reading:
                return Reading(self.clock.now_s, current_A=self.point.current_A, total_power_W=0.0)

            self.connector = Connector(
                device, EVSE, self.clock, measure=measure, phases=phase_driver(device, EVSE, self.board)
            )
            await work()

        with serve_tcp({1: WallboxDevice(EVSE, self.point, clock=self.clock)}) as line:
            on_bus(TcpLink(line.host, line.port), EVSE, 1, with_device, self.clock)

    async def seconds(self, count: int, limit: ConnectorLimit) -> Any:
        for _ in range(count):
            self.connector.enforce(limit)
            self.clock.advance(1.0)
            self.point.state = "C" if self.point.limit_A else "B"
            status = await self.connector.cycle()
        return status


def test_the_board_is_told_while_the_car_is_paused() -> None:
    garage = Garage()

    async def work() -> None:
        await garage.seconds(20, ConnectorLimit(16.0, phases=1))
        assert garage.everest.calls == [], "it has not said what it can"
        garage.board.note_capabilities(CAPABILITIES)
        status = await garage.seconds(20, ConnectorLimit(16.0, phases=1))
        assert garage.everest.calls == [("ac_switch_three_phases_while_charging", {"value": False})]
        assert garage.point.current_A == (16.0, 0.0, 0.0)
        assert (status.active_phases, status.fault) == (1, None)

    garage.run(work)


def test_a_board_that_refuses_ends_in_a_fault_with_the_car_paused() -> None:
    garage = Garage()
    garage.everest.refuses = True
    garage.board.note_capabilities(CAPABILITIES)

    async def work() -> None:
        errors: list[str] = []
        for _ in range(30):
            try:
                status = await garage.seconds(1, ConnectorLimit(16.0, phases=1))
            except NoAnswerError as error:
                errors.append(str(error))
        assert set(errors) == {"the board did not switch phases: RuntimeError('HandlerException')"}
        assert status.fault == "the contact for 1 phases does not move: stuck or welded"
        assert garage.point.limit_A == 0.0

    garage.run(work)


@pytest.mark.parametrize(
    ("published", "available", "expected"),
    [
        (None, None, Capabilities(32.0, 6.0, 3, 3, supports_changing_phases=False)),
        (CAPABILITIES, None, Capabilities(25.0, 6.0, 3, 1, supports_changing_phases=True)),
        (CAPABILITIES, 1, Capabilities(25.0, 6.0, 1, 1, supports_changing_phases=True)),
        ("nonsense", 7, Capabilities(32.0, 6.0, 3, 3, supports_changing_phases=False)),
        ({"max_phase_count_import": 1}, None, Capabilities(32.0, 6.0, 1, 1, supports_changing_phases=False)),
    ],
)  # fmt: skip
def test_what_both_can_do(published: Any, available: Any, expected: Capabilities) -> None:
    board = Board(Everest(Point()))
    board.note_capabilities(published)
    board.note_phases_available(available)
    assert board.narrow(OWN) == expected


@pytest.mark.parametrize(
    ("published", "expected_A"),
    [
        ({"ampacity": "A_13"}, 13.0),
        ({"ampacity": "A_63_3ph_70_1ph"}, 63.0),
        ({"ampacity": "None"}, math.inf),
        ("nonsense", math.inf),
    ],
)
def test_what_the_cable_carries(published: Any, expected_A: float) -> None:
    board = Board(Everest(Point()))
    board.note_cable({"ampacity": "A_20"})
    assert board.narrow(OWN).cable_A == 20.0
    board.note_cable(published)
    assert board.narrow(OWN).cable_A == expected_A
    assert board.narrow(replace(OWN, cable_A=10.0)).cable_A == 10.0


def test_a_board_that_is_not_connected_is_told() -> None:
    config = ConnectorConfig("lan", 1, EVSE, board="yeti")
    link = TcpLink("127.0.0.1", 1)
    with pytest.raises(ValueError, match="connector 'carport': no module 'yeti' is connected as requirement"):
        Bridge({"lan": link}, {}, {"carport": config}, on_reading=Heard(), on_status=Heard())
    assert config.capabilities.supports_changing_phases
