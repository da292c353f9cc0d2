"""Relay boards, and contactors on them that switch a connector's phases."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from bsp.bus import Bus
from bsp.connector import Connector, ConnectorLimit
from bsp.connector_registers import ConnectorStatus
from bsp.device import Device
from bsp.phase_choice import phase_driver
from bsp.profile import connector_profile, profile_names
from bsp.relay_profile import relay_profile
from bsp.relays import Contactor, PhaseContactors, RelayBoard
from bsp.transport import BusError, ModbusTransport, TcpLink
from energy_management.measurement import Reading, Vector3
from hil.devices import Faults, RelayBoardDevice, WallboxDevice, serve_tcp
from tests.bsp.plant import Point, VirtualClock, on_bus, run

BOARD = relay_profile("waveshare_modbus_rtu_relay_d_8ch")
NO_BOARD = "cannot switch phases: relay board (unit 2): no answer within 0.5 s"
EVSE = msgspec.structs.replace(connector_profile("evse_din_wb"), request_gap=0.0)


@pytest.mark.parametrize("name", profile_names("relays"))
def test_every_relay_of_a_board_is_closed_and_opened(name: str) -> None:
    profile = relay_profile(name)
    served = RelayBoardDevice(profile)

    async def work(device: Device) -> None:
        board = RelayBoard(device, profile)
        for relay in profile.relays:
            await board.switch(relay, closed=True)
            assert [n for n, closed in served.relays.items() if closed] == [relay]
            assert (await board.read())[f"relay.{relay}"]
            await board.switch(relay, closed=False)
            assert not any(served.relays.values())

    with serve_tcp({1: served}) as line:
        on_bus(TcpLink(line.host, line.port), profile, 1, work)


def test_inputs_show_the_contactors_and_not_the_commands() -> None:
    served = RelayBoardDevice(BOARD)
    served.stuck.add(3)

    async def work(device: Device) -> dict[str, bool]:
        board = RelayBoard(device, BOARD)
        await board.switch(2, closed=True)
        await board.switch(3, closed=True)
        return await board.read()

    with serve_tcp({1: served}) as line:
        seen = on_bus(TcpLink(line.host, line.port), BOARD, 1, work)
    assert (seen["relay.2"], seen["input.2"]) == (True, True)
    assert (seen["relay.3"], seen["input.3"]) == (True, False)


def test_inputs_are_taken_off_the_relays_before_anything_else() -> None:
    """As delivered each input of this board acts on its relay."""
    served = RelayBoardDevice(BOARD)

    async def work(device: Device) -> None:
        await RelayBoard(device, BOARD).read()

    with serve_tcp({1: served}) as line:
        on_bus(TcpLink(line.host, line.port), BOARD, 1, work)
    assert all(served.values()[f"setup.mode_{number}"] == 0 for number in range(1, 9))


class Greedy(Point):
    """A car that may draw something whatever it is offered, and its charger lets it."""

    greed_A = 0.0

    @property
    def current_A(self) -> Vector3:
        return (self.greed_A,) * 3 if self.greed_A else super().current_A


class Cabinet:
    """A charger and a board with two contactors before it: 1 cuts everything, 2 joins L2 and L3."""

    def __init__(self, *and_then: Callable[[Connector], None]) -> None:
        self.and_then = list(and_then)
        self.is_locked = False
        self.timeout_s = 0.5
        self.clock = VirtualClock()
        self.point = Greedy()
        self.charger = WallboxDevice(EVSE, self.point, clock=self.clock)
        self.moves: list[str] = []
        self.board = RelayBoardDevice(BOARD, self._moved)
        self.board.relays.update({1: True, 2: True})
        self.board.contacts.update({1: True, 2: True})

    def _moved(self, number: int, closed: bool) -> None:
        is_heard = not self.charger.faults.silent
        assert not (self.point.limit_A and is_heard), "a contactor moved while the car was offered current"
        if not closed and number == 1:
            self.point.greed_A = 0.0
        self.moves.append(f"{'main' if number == 1 else 'phases'} {'closes' if closed else 'opens'}")
        self.point.phases = 3 if self.board.contacts[2] else 1

    def run(self, limits: list[ConnectorLimit], seconds: int) -> list[ConnectorStatus]:
        async def work(host: str, port: int) -> list[ConnectorStatus]:
            link = TcpLink(host, port, timeout_s=self.timeout_s)
            bus = Bus("cabinet", ModbusTransport(link), clock=self.clock)
            owner = asyncio.create_task(bus.run())
            contactors = PhaseContactors(
                RelayBoard(Device(bus, 2, BOARD), BOARD), Contactor(2, feedback=2), Contactor(1, feedback=1)
            )
            charger = Device(bus, 1, EVSE)
            connector = Connector(
                charger,
                EVSE,
                self.clock,
                phases=phase_driver(charger, EVSE, contactors, locked=self.is_locked),
                measure=self.measure,
            )
            statuses = []
            for limit in limits:
                for _ in range(seconds):
                    connector.enforce(limit)
                    self.clock.advance(1.0)
                    draws = self.point.greed_A or (self.point.limit_A and self.board.contacts[1])
                    self.point.state = "C" if draws else "B"
                    try:
                        statuses.append(await connector.cycle())
                    except BusError as error:
                        statuses.append(connector.unheard(error))
                if self.and_then:
                    self.and_then.pop(0)(connector)
            owner.cancel()
            await asyncio.gather(owner, return_exceptions=True)
            return statuses

        with serve_tcp({1: self.charger, 2: self.board}) as line:
            return run(work(line.host, line.port))

    def measure(self) -> Reading:
        return Reading(self.clock.now_s, current_A=self.point.current_A, total_power_W=0.0)


def test_contactors_move_in_order_and_only_while_the_car_is_paused() -> None:
    cabinet = Cabinet()
    statuses = cabinet.run([ConnectorLimit(16.0, phases=3), ConnectorLimit(16.0, phases=1)], seconds=25)
    assert cabinet.moves == ["main opens", "phases opens", "main closes"]
    assert statuses[20].active_phases == 3
    assert statuses[-1].active_phases == 1
    assert statuses[-1].fault is None
    assert cabinet.point.limit_A == 16.0


def test_a_welded_contactor_latches_a_fault_and_the_car_stays_paused() -> None:
    cabinet = Cabinet()
    cabinet.board.stuck.add(1)
    statuses = cabinet.run([ConnectorLimit(16.0, phases=3), ConnectorLimit(16.0, phases=1)], seconds=25)
    assert cabinet.moves == []
    assert statuses[-1].fault == "the main contactor does not open: stuck or welded"
    assert not statuses[-1].can_switch_phases
    assert cabinet.point.limit_A == 0.0


def test_a_car_that_goes_on_after_its_pause_is_cut_off_by_the_main_contactor() -> None:
    """Too much for 15 s, then paused; still drawing 10 s later, then cut off for good."""
    cabinet = Cabinet()
    cabinet.point.greed_A = 20.0
    statuses = cabinet.run([ConnectorLimit(10.0, phases=3)], seconds=40)
    first_fault = next(n for n, status in enumerate(statuses) if status.fault is not None)
    first_zero = next(n for n, status in enumerate(statuses) if status.limit_A == 0.0)
    cut_off = next(n for n, status in enumerate(statuses) if status.current_A == (0.0, 0.0, 0.0))
    assert statuses[first_fault].fault == "draws 20.0 A, 10 A are allowed"
    assert statuses[first_fault].fault_kind == "overcurrent"
    assert 15 <= first_fault <= first_zero <= 18
    assert 10 <= cut_off - first_zero <= 14
    assert cabinet.moves == ["main opens"]
    assert statuses[-1].fault == "draws 20.0 A though it is paused"


def test_a_car_that_draws_too_much_is_cut_off_while_its_charger_is_silent() -> None:
    """Seen by the connector's own meter; no pause reaches the charger."""

    def silence(_: Connector) -> None:
        cabinet.charger.faults = Faults(silent=True)
        cabinet.point.greed_A = 20.0

    cabinet = Cabinet(silence)
    cabinet.timeout_s = 0.1
    statuses = cabinet.run([ConnectorLimit(10.0, phases=3, valid_for_s=900.0)] * 2, seconds=35)
    assert statuses[34].fault is None
    told = [status for status in statuses[35:] if status.fault_kind == "overcurrent"]
    assert (told[0].fault or "").startswith("draws 20.0 A, 10 A are allowed; ")
    assert (told[0].state, told[0].limit_A) == ("C", 20.0), "what it draws stays reserved"
    assert cabinet.moves == ["main opens"]
    assert cabinet.point.limit_A == 10.0, "the charger has heard nothing"
    assert cabinet.point.current_A == (0.0, 0.0, 0.0)


def test_a_car_that_was_cut_off_charges_again_only_after_a_person_has_looked() -> None:
    cabinet = Cabinet()
    cabinet.point.greed_A = 20.0
    statuses = cabinet.run([ConnectorLimit(10.0, phases=3)] * 2, seconds=40)
    assert statuses[-1].fault is not None
    cabinet = Cabinet(Connector.reset_fault)
    cabinet.point.greed_A = 20.0
    statuses = cabinet.run([ConnectorLimit(10.0, phases=1)] * 2, seconds=40)
    assert cabinet.moves == ["main opens", "phases opens", "main closes"]
    assert statuses[-1].fault is None
    assert cabinet.point.current_A == (10.0, 0.0, 0.0)


def test_a_new_board_comes_to_three_phases_though_nobody_orders_them() -> None:
    """Its relays rest on one phase; in mode Never the number of phases that are in use is kept."""
    cabinet = Cabinet()
    cabinet.board.relays.update({1: False, 2: False})
    cabinet.board.contacts.update({1: False, 2: False})
    cabinet.point.phases = 1
    statuses = cabinet.run([ConnectorLimit(10.0, phases=1)], seconds=60)
    assert cabinet.moves == ["main closes"]
    assert statuses[-1].active_phases == 1
    said = [status.active_phases for status in cabinet.run([ConnectorLimit(10.0, phases=1)], seconds=10)]
    assert said[-1] == 3, "what to reckon with, the car being paused"
    assert cabinet.point.limit_A == 0.0
    statuses = cabinet.run([ConnectorLimit(10.0, phases=3)], seconds=40)
    assert cabinet.moves == ["main closes", "main opens", "phases closes", "main closes"]
    assert (statuses[-1].active_phases, cabinet.point.current_A) == (3, (10.0, 10.0, 10.0))


def test_locked_phases_stay_as_they_are() -> None:
    def unlock(connector: Connector) -> None:
        assert cabinet.moves == []
        connector.lock_phases(locked=False)

    cabinet = Cabinet(unlock)
    cabinet.is_locked = True
    statuses = cabinet.run([ConnectorLimit(16.0, phases=1)] * 2, seconds=30)
    assert not statuses[29].can_switch_phases
    assert statuses[29].active_phases == 3
    assert cabinet.moves == ["main opens", "phases opens", "main closes"]


def test_a_silent_board_takes_nothing_from_the_car_but_the_switching() -> None:
    def silence(_: Connector) -> None:
        cabinet.board.faults = Faults(silent=True)

    def speak(_: Connector) -> None:
        cabinet.board.faults = Faults()

    cabinet = Cabinet(silence, speak)
    limits = [ConnectorLimit(16.0), ConnectorLimit(10.0), ConnectorLimit(8.0)]
    statuses = cabinet.run(limits, seconds=6)
    assert [status.note for status in statuses[5:8]] == [None, None, NO_BOARD]
    assert all(status.fault is None for status in statuses)
    assert (statuses[11].limit_A, statuses[11].can_switch_phases) == (10.0, False)
    assert (statuses[-1].limit_A, statuses[-1].can_switch_phases, statuses[-1].note) == (8.0, True, None)


def test_contactors_of_a_board_that_was_without_power_are_closed_again() -> None:
    def cut_power(_: Connector) -> None:
        cabinet.board.relays.update({1: False, 2: False})
        cabinet.board.contacts.update({1: False, 2: False})
        cabinet.point.phases = 1

    cabinet = Cabinet(cut_power)
    statuses = cabinet.run([ConnectorLimit(16.0)] * 2, seconds=30)
    assert cabinet.moves == ["main closes"]
    assert statuses[-1].active_phases == 1
    assert cabinet.point.limit_A == 16.0
