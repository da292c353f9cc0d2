"""Simulated devices, asked by a client that knows nothing of this project's profiles: pymodbus itself."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from bsp.profile import connector_profile, meter_profile
from energy_management.measurement import Reading
from hil.devices import (
    ChargerDevice,
    Faults,
    MeterDevice,
    PtyLine,
    TcpLine,
    WallboxDevice,
    serve_rtu_pty,
    serve_tcp,
)
from hil.plant import Car, CarModel, ChargePoint
from tests.patience import WITHIN_S

SDM630 = meter_profile("eastron_sdm630")
HEIDELBERG = connector_profile("heidelberg_energy_control")
READING = Reading(
    0.0, current_A=(10.0, -5.0, 0.0), voltage_V=(230.0, 231.0, 232.0), power_W=(2300.0, -1155.0, 0.0)
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def point() -> ChargePoint:
    return ChargePoint(max_current_A=16.0)


@pytest.fixture
def wallbox(point: ChargePoint) -> WallboxDevice:
    return WallboxDevice(HEIDELBERG, point)


@pytest.fixture
def tcp(wallbox: WallboxDevice) -> Iterator[TcpLine]:
    with serve_tcp({1: MeterDevice(SDM630, lambda: READING), 2: wallbox}) as line:
        yield line


@pytest.fixture
def pty(wallbox: WallboxDevice) -> Iterator[PtyLine]:
    with serve_rtu_pty({1: MeterDevice(SDM630, lambda: READING), 2: wallbox}) as line:
        yield line


@pytest.fixture
def client(tcp: TcpLine) -> Iterator[ModbusTcpClient]:
    with ModbusTcpClient(tcp.host, port=tcp.port, timeout=WITHIN_S, retries=0) as client:
        yield client


def test_a_meter_shows_floats_as_the_manual_has_them(client: ModbusTcpClient) -> None:
    answer: Any = client.read_input_registers(0, count=6, device_id=1)
    voltages = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
    assert voltages == [230.0, 231.0, 232.0]


def test_a_meter_measures_current_without_direction(client: ModbusTcpClient) -> None:
    answer: Any = client.read_input_registers(6, count=4, device_id=1)
    assert client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32) == [10.0, 5.0]


@pytest.mark.parametrize(
    ("address", "count", "code"), [(5000, 2, 2), (0, 81, 3)], ids=["not in the map", "too many at once"]
)
def test_what_a_meter_cannot_do_it_refuses(
    client: ModbusTcpClient, address: int, count: int, code: int
) -> None:
    answer: Any = client.read_input_registers(address, count=count, device_id=1)
    assert answer.isError()
    assert answer.exception_code == code


def test_a_wallbox_offers_what_it_is_told(client: ModbusTcpClient, point: ChargePoint) -> None:
    client.write_registers(261, [123], device_id=2)
    assert point.limit_A == pytest.approx(12.3)
    answer: Any = client.read_holding_registers(261, device_id=2)
    assert answer.registers == [123]


def test_a_wallbox_refuses_a_limit_below_its_minimum(client: ModbusTcpClient, point: ChargePoint) -> None:
    client.write_registers(261, [100], device_id=2)
    answer: Any = client.write_registers(261, [40], device_id=2)
    assert answer.exception_code == 3
    assert point.limit_A == pytest.approx(10.0)


def test_a_wallbox_shows_the_state_of_the_car(client: ModbusTcpClient, point: ChargePoint) -> None:
    def state() -> int:
        answer: Any = client.read_input_registers(5, device_id=2)
        return int(answer.registers[0])

    assert state() in (2, 3)
    point.plug_in(Car(CarModel()))
    point.set_limit(0.0)
    point.advance(1.0)
    assert state() in (4, 5)
    client.write_registers(261, [160], device_id=2)
    for _ in range(30):
        point.advance(1.0)
    assert state() in (6, 7, 8)


def test_units_share_a_serial_line(pty: PtyLine) -> None:
    with ModbusSerialClient(pty.path, timeout=WITHIN_S, retries=0) as client:
        meter: Any = client.read_input_registers(0, count=2, device_id=1)
        wallbox: Any = client.read_input_registers(5, device_id=2)
        assert meter.registers == [0x4366, 0x0000]
        assert wallbox.registers[0] in (2, 3)


def test_nobody_answers_for_a_unit_that_is_not_there(pty: PtyLine) -> None:
    with ModbusSerialClient(pty.path, timeout=0.2, retries=0) as client, pytest.raises(ModbusIOException):
        client.read_input_registers(0, count=2, device_id=9)


@pytest.mark.parametrize(
    "fault", [Faults(silent=True, times=1), Faults(corrupt=True, times=1)], ids=["silent", "corrupt"]
)
def test_a_fault_lasts_as_many_requests_as_it_should(pty: PtyLine, fault: Faults) -> None:
    pty.devices[1].faults = fault
    with ModbusSerialClient(pty.path, timeout=0.2, retries=50) as client:
        answer: Any = client.read_input_registers(0, count=2, device_id=1)
        assert answer.retries >= 1
        assert answer.registers == [0x4366, 0x0000]


def test_a_watchdog_falls_back_and_stays_there() -> None:
    clock, point = Clock(), ChargePoint(max_current_A=16.0)
    wallbox = WallboxDevice(HEIDELBERG, point, clock=clock)
    wallbox.written("fallback", 8.0)
    wallbox.written("limit", 16.0)
    clock.now_s = 14.9
    wallbox.tick()
    assert point.limit_A == 16.0
    clock.now_s = 15.0
    wallbox.tick()
    assert point.limit_A == 8.0
    assert wallbox.values()["limit"] == pytest.approx(8.0)


def test_a_line_takes_its_time_when_it_is_told_its_speed() -> None:
    """A request of 8 bytes and an answer of 9 are 17 characters of 11 bits: 19.5 ms at 9600 baud."""
    with (
        serve_rtu_pty({1: MeterDevice(SDM630, lambda: READING)}, baudrate=9600) as line,
        ModbusSerialClient(line.path, timeout=WITHIN_S, retries=0) as client,
    ):
        client.read_input_registers(0, count=2, device_id=1)
        before = time.monotonic()
        for _ in range(5):
            client.read_input_registers(0, count=2, device_id=1)
        assert time.monotonic() - before >= 5 * 0.0194


def test_a_line_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    with serve_tcp({1: MeterDevice(SDM630, lambda: READING)}):
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) <= before


def test_connectors_of_one_charger_have_limits_of_their_own_and_share_its_watchdog() -> None:
    delta, clock = connector_profile("delta_ac_max"), Clock()
    points = [ChargePoint(max_current_A=32.0), ChargePoint(max_current_A=32.0)]
    charger = ChargerDevice(
        [
            WallboxDevice(delta, point, clock=clock, base=delta.base(number))
            for number, point in enumerate(points, start=1)
        ]
    )
    with (
        serve_tcp({1: charger}) as line,
        ModbusTcpClient(line.host, port=line.port, timeout=WITHIN_S, retries=0) as client,
    ):
        client.write_registers(203, [0, 4140], device_id=1)
        for address, watts in ((1600, 11040), (2600, 5520)):
            assert not client.write_registers(address, [0, watts], device_id=1).isError()
        assert [point.limit_A for point in points] == [16.0, 8.0]
        assert client.write_registers(3600, [0, 5520], device_id=1).exception_code == 2
        assert client.read_input_registers(3001, count=1, device_id=1).exception_code == 2
        clock.now_s += 60.0
        client.read_input_registers(1001, count=1, device_id=1)
        charger.tick()
    assert [point.limit_A for point in points] == [6.0, 6.0], "its fallback of 4140 W for each"


def test_a_charger_that_knows_its_cable_shows_it() -> None:
    next_, point = connector_profile("webasto_next"), ChargePoint(max_current_A=32.0)
    box = WallboxDevice(next_, point)
    assert box.read("holding", 1106, 1) == [0], "nothing is plugged in"
    point.plug_in(Car(), 20.0)
    assert box.read("holding", 1106, 1) == [20]
