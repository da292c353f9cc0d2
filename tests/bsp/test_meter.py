"""Meters on real lines: what becomes of registers, and of registers that are not there."""

import math
from dataclasses import replace

import msgspec
import pytest

from bsp.device import Device
from bsp.meter import Meter, reading
from bsp.profile import meter_profile
from bsp.registers import Table
from bsp.transport import NoAnswerError, SerialLink, TcpLink
from energy_management.measurement import Reading
from hil.devices import MeterDevice, serve_rtu_pty, serve_tcp
from hil.devices.registers import DeviceRefusesError
from tests.bsp.plant import House, VirtualClock, on_bus

SDM630 = meter_profile("eastron_sdm630")


def test_a_reading_has_what_the_house_draws_with_export_negative() -> None:
    house, clock = House(), VirtualClock()

    async def work(device: Device) -> Reading:
        return await Meter(device, SDM630, clock).poll()

    with serve_rtu_pty({1: MeterDevice(SDM630, house)}) as line:
        measured: Reading = on_bus(SerialLink(line.path), SDM630, 1, work, clock)
    assert measured.current_A == (10.5, -2.25, 4.0)
    assert measured.power_W == (2415.0, -520.0, 916.0)
    assert measured.voltage_V == (230.0, 231.5, 229.0)
    assert measured.total_power_W == 2811.0
    assert measured.energy_import_Wh == pytest.approx(123_000.0)
    assert measured.energy_export_Wh == pytest.approx(45_000.0)
    assert measured.frequency_Hz == 50.0
    assert measured.taken_at == clock.now_s


def test_currents_are_read_each_time_and_counters_now_and_then() -> None:
    clock = VirtualClock()
    served = MeterDevice(SDM630, House())

    async def work(device: Device) -> list[int]:
        meter, requests = Meter(device, SDM630, clock), []
        for _ in range(12):
            before = served.requests
            await meter.poll()
            requests.append(served.requests - before)
            clock.advance(1.0)
        return requests

    with serve_tcp({1: served}) as line:
        requests = on_bus(TcpLink(line.host, line.port), SDM630, 1, work, clock)
    assert requests[0] <= 3
    assert requests[1:10] == [1] * 9
    assert requests[10] > 1


def test_a_dead_meter_gives_no_reading_rather_than_an_old_one() -> None:
    served = MeterDevice(SDM630, House())

    async def work(device: Device) -> None:
        meter = Meter(device, SDM630, VirtualClock())
        await meter.poll()
        served.faults.silent = True
        with pytest.raises(NoAnswerError):
            await meter.poll()

    with serve_tcp({1: served}) as line:
        on_bus(TcpLink(line.host, line.port, timeout_s=0.1), SDM630, 1, work)


class MeterWithDeadCounters(MeterDevice):
    """Answers for its currents only."""

    def read(self, table: Table, address: int, count: int) -> list[int]:
        if address > 0:
            raise DeviceRefusesError(4)
        return super().read(table, address, count)


def test_counters_that_fail_are_unknown_and_currents_still_count() -> None:
    async def work(device: Device) -> Reading:
        return await Meter(device, SDM630, VirtualClock()).poll()

    with serve_tcp({1: MeterWithDeadCounters(SDM630, House())}) as line:
        measured: Reading = on_bus(TcpLink(line.host, line.port), SDM630, 1, work)
    assert measured.current_A == (10.5, -2.25, 4.0)
    assert measured.energy_import_Wh is None


def test_a_phase_that_is_not_measured_is_nan_and_not_zero() -> None:
    measured = reading({"current_A.L1": 5.0, "power_W.total": -1000.0, "voltage_V.L1": None}, taken_at=1.0)
    assert measured.current_A is not None
    assert measured.current_A[0] == 5.0
    assert math.isnan(measured.current_A[1])
    assert math.isnan(measured.current_A[2])
    assert measured.voltage_V is None
    assert measured.energy_import_Wh is None


def test_import_and_export_power_make_one_signed_total() -> None:
    assert reading({"power_W.import": 0.0, "power_W.export": 700.0}, 0.0).total_power_W == -700.0


def test_a_device_that_refuses_gaps_is_read_in_parts_from_then_on() -> None:
    strict, generous = msgspec.structs.replace(SDM630, max_gap=0), SDM630
    served = MeterDevice(strict, House())

    async def work(device: Device) -> list[int]:
        meter, requests = Meter(device, generous, VirtualClock()), []
        for _ in range(3):
            before = served.requests
            assert (await meter.poll()).current_A == (10.5, -2.25, 4.0)
            requests.append(served.requests - before)
        return requests

    with serve_tcp({1: served}) as line:
        first, *later = on_bus(TcpLink(line.host, line.port), generous, 1, work)
    assert later == [2, 2]  # 0..17 and 52..53
    assert first > 2


def test_a_house_that_changes_is_seen() -> None:
    house = House()

    async def work(device: Device) -> tuple[Reading, Reading]:
        meter = Meter(device, SDM630, VirtualClock())
        before = await meter.poll()
        house.reading = replace(house.reading, current_A=(1.0, 2.0, 3.0), power_W=(230.0, 460.0, 690.0))
        return before, await meter.poll()

    with serve_tcp({1: MeterDevice(SDM630, house)}) as line:
        before, after = on_bus(TcpLink(line.host, line.port), SDM630, 1, work)
    assert before.current_A == (10.5, -2.25, 4.0)
    assert after.current_A == (1.0, 2.0, 3.0)
