"""Buses on real sockets and pseudo-terminals, with devices that misbehave."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence

import pytest

from bsp.bus import Bus, Priority
from bsp.profile import connector_profile, meter_profile
from bsp.transport import (
    DisconnectedError,
    ModbusTransport,
    NoAnswerError,
    Read,
    RefusedError,
    SerialLink,
    TcpLink,
    Write,
)
from hil.devices import Faults, MeterDevice, PtyLine, TcpLine, WallboxDevice, serve_rtu_pty, serve_tcp
from tests.bsp.plant import House, Point, VirtualClock, run

VOLTAGE_L1 = Read("input", 0, 2)
METER, WALLBOX = 1, 2


def devices() -> tuple[MeterDevice, WallboxDevice]:
    return (
        MeterDevice(meter_profile("eastron_sdm630"), House()),
        WallboxDevice(connector_profile("heidelberg_energy_control"), Point()),
    )


@pytest.fixture
def tcp() -> Iterator[TcpLine]:
    meter, wallbox = devices()
    with serve_tcp({METER: meter, WALLBOX: wallbox}) as line:
        yield line


@pytest.fixture
def rtu() -> Iterator[PtyLine]:
    meter, wallbox = devices()
    with serve_rtu_pty({METER: meter, WALLBOX: wallbox}) as line:
        yield line


class OnBus:
    """A running bus, as context."""

    def __init__(self, link: SerialLink | TcpLink, clock: VirtualClock | None = None) -> None:
        self.bus = Bus("rs485", ModbusTransport(link), clock=clock or time.monotonic)

    async def __aenter__(self) -> Bus:
        self._owner = asyncio.create_task(self.bus.run())
        return self.bus

    async def __aexit__(self, *_: object) -> None:
        self._owner.cancel()
        await asyncio.gather(self._owner, return_exceptions=True)


def test_a_value_is_read_over_tcp(tcp: TcpLine) -> None:
    async def work() -> None:
        async with OnBus(TcpLink(tcp.host, tcp.port)) as bus:
            assert (await bus.request(METER, VOLTAGE_L1)).values == [0x4366, 0x0000]  # 230.0 V

    run(work())


def test_a_value_is_read_over_a_serial_line(rtu: PtyLine) -> None:
    async def work() -> None:
        async with OnBus(SerialLink(rtu.path)) as bus:
            assert (await bus.request(METER, VOLTAGE_L1)).values == [0x4366, 0x0000]

    run(work())


def test_a_value_is_read_through_a_serial_device_server() -> None:
    meter, _ = devices()

    async def work(port: int) -> None:
        async with OnBus(TcpLink("127.0.0.1", port, framing="rtu")) as bus:
            assert (await bus.request(METER, VOLTAGE_L1)).values == [0x4366, 0x0000]

    with serve_tcp({METER: meter}, framing="rtu") as line:
        run(work(line.port))


def test_a_refusal_is_told_with_its_reason_and_not_tried_again(rtu: PtyLine) -> None:
    async def work() -> None:
        async with OnBus(SerialLink(rtu.path)) as bus:
            with pytest.raises(RefusedError, match=r"exception 2 \(illegal data address\)"):
                await bus.request(METER, Read("input", 5000, 2))
            assert rtu.devices[METER].requests == 1
            assert bus.devices[METER].refusals == 1
            assert bus.devices[METER].timeouts == 0

    run(work())


@pytest.mark.parametrize(
    "fault",
    [
        Faults(corrupt=True, times=1),
        Faults(noise=b"\x00\xff", times=1),
        Faults(silent=True, times=1),
    ],
    ids=["wrong checksum", "noise before it", "no answer"],
)
def test_an_answer_that_was_lost_is_asked_for_again(rtu: PtyLine, fault: Faults) -> None:
    rtu.devices[METER].faults = fault

    async def work() -> None:
        async with OnBus(SerialLink(rtu.path, timeout_s=0.1)) as bus:
            assert (await bus.request(METER, VOLTAGE_L1)).values == [0x4366, 0x0000]
            assert bus.devices[METER].retries == 1

    run(work())


def test_noise_that_stays_is_told_after_one_more_try(rtu: PtyLine) -> None:
    rtu.devices[METER].faults = Faults(corrupt=True)

    async def work() -> None:
        async with OnBus(SerialLink(rtu.path, timeout_s=0.1)) as bus:
            with pytest.raises(NoAnswerError, match=r"no answer within 0\.1 s"):
                await bus.request(METER, VOLTAGE_L1)
            assert rtu.devices[METER].requests == 2

    run(work())


def test_a_late_answer_is_never_taken_for_that_of_another_device(rtu: PtyLine) -> None:
    """The wallbox answers after its time is up, when the meter has been asked already."""

    async def work() -> None:
        async with OnBus(SerialLink(rtu.path, timeout_s=0.1)) as bus:
            rtu.devices[WALLBOX].faults.delay_s = 0.23
            late = asyncio.create_task(bus.request(WALLBOX, Read("input", 5, 2)))
            values: list[Sequence[int]] = []
            asked = 0
            while asked < 10 or len(values) < 5:
                asked += 1
                with contextlib.suppress(
                    NoAnswerError
                ):  # drowned in the late one: that may be, a wrong value not
                    values.append((await bus.request(METER, VOLTAGE_L1)).values)
            assert values.count([0x4366, 0x0000]) == len(values)
            with pytest.raises(NoAnswerError):
                await late

    run(work())


def test_a_late_answer_is_never_taken_for_that_to_the_next_request(rtu: PtyLine) -> None:
    """Both requests ask the same device for the same number of registers.

    The times are long for a device of which a busy machine makes one that is later still.
    """

    async def work() -> None:
        async with OnBus(SerialLink(rtu.path, timeout_s=0.5)) as bus:
            for _ in range(2):
                rtu.devices[METER].faults = Faults(delay_s=0.7, times=3)
                with contextlib.suppress(NoAnswerError):  # that may be, a wrong value not
                    assert (await bus.request(METER, VOLTAGE_L1)).values == [0x4366, 0x0000]
                with contextlib.suppress(NoAnswerError):
                    assert (await bus.request(METER, Read("input", 6, 2))).values == [0x4128, 0]  # 10.5 A

    run(work())


def test_setpoints_go_before_polls(tcp: TcpLine) -> None:
    order: list[str] = []

    async def work() -> None:
        async with OnBus(TcpLink(tcp.host, tcp.port)) as bus:

            async def ask(name: str, priority: Priority) -> None:
                await bus.request(METER, VOLTAGE_L1, priority=priority)
                order.append(name)

            await asyncio.gather(
                ask("first poll", Priority.POLL),
                ask("second poll", Priority.POLL),
                ask("background", Priority.BACKGROUND),
                ask("setpoint", Priority.SETPOINT),
            )

    run(work())
    assert order == ["setpoint", "first poll", "second poll", "background"]


def test_a_dead_device_costs_the_others_one_timeout_and_then_less_and_less(rtu: PtyLine) -> None:
    clock = VirtualClock()
    dead = rtu.devices[WALLBOX]

    async def work() -> None:
        async with OnBus(SerialLink(rtu.path, timeout_s=0.05), clock) as bus:
            dead.faults.silent = True
            asked = []
            for _ in range(20):
                before = dead.requests
                with pytest.raises(NoAnswerError):
                    await bus.request(WALLBOX, Read("input", 5, 1))
                asked.append(dead.requests - before)
                await bus.request(METER, VOLTAGE_L1)
                clock.advance(1.0)
            assert asked[0] == 2  # noise is possible once
            assert max(asked[1:]) == 1
            assert sum(asked[10:]) <= 3
            dead.faults.silent = False
            clock.advance(10.0)
            await bus.request(WALLBOX, Read("input", 5, 1))

    run(work())


def test_a_setpoint_is_sent_to_a_device_that_is_left_alone(rtu: PtyLine) -> None:
    clock = VirtualClock()
    dead = rtu.devices[WALLBOX]

    async def work() -> None:
        async with OnBus(SerialLink(rtu.path, timeout_s=0.05), clock) as bus:
            dead.faults.silent = True
            for _ in range(6):
                with pytest.raises(NoAnswerError):
                    await bus.request(WALLBOX, Read("input", 5, 1))
            dead.faults.silent = False
            await bus.request(
                WALLBOX, Write("holding", 261, (60,), multiple=True), priority=Priority.SETPOINT
            )
            assert (await bus.request(WALLBOX, Read("holding", 261, 1))).values == [60]

    run(work())


def test_an_adapter_that_comes_back_under_another_name_is_used_again(rtu: PtyLine) -> None:
    clock = VirtualClock()

    async def work() -> None:
        async with OnBus(SerialLink(rtu.path, timeout_s=0.2), clock) as bus:
            await bus.request(METER, VOLTAGE_L1)
            await asyncio.to_thread(rtu.unplug)
            with pytest.raises((DisconnectedError, NoAnswerError)):
                await bus.request(METER, VOLTAGE_L1)
            with pytest.raises(DisconnectedError, match=r"bus 'rs485'"):
                await bus.request(METER, VOLTAGE_L1)
            await asyncio.to_thread(rtu.plug)
            clock.advance(60.0)
            assert (await bus.request(METER, VOLTAGE_L1)).values == [0x4366, 0x0000]
            assert bus.statistics.connects == 2

    run(work())


def test_a_host_that_is_gone_is_not_tried_at_every_request(tcp: TcpLine) -> None:
    clock = VirtualClock()

    async def work() -> None:
        async with OnBus(TcpLink(tcp.host, tcp.port, timeout_s=0.2), clock) as bus:
            await bus.request(METER, VOLTAGE_L1)
            await asyncio.to_thread(tcp.unplug)
            errors = []
            for _ in range(3):
                with pytest.raises((DisconnectedError, NoAnswerError)) as caught:
                    await bus.request(METER, VOLTAGE_L1, priority=Priority.SETPOINT)
                errors.append(str(caught.value))
            assert errors[-1] == "bus 'rs485' is not connected"
            await asyncio.to_thread(tcp.plug)
            clock.advance(1.0)
            assert (await bus.request(METER, VOLTAGE_L1, priority=Priority.SETPOINT)).values == [
                0x4366,
                0x0000,
            ]

    run(work())


def test_who_waits_when_the_bus_stops_is_told() -> None:
    meter, _ = devices()
    meter.faults.silent = True

    async def work(port: int) -> None:
        async with OnBus(TcpLink("127.0.0.1", port, timeout_s=5.0)) as bus:
            waiting = [asyncio.create_task(bus.request(METER, VOLTAGE_L1)) for _ in range(2)]
            await asyncio.sleep(0)
        for answer in waiting:
            with pytest.raises(DisconnectedError, match="stopped"):
                await answer

    with serve_tcp({METER: meter}) as line:
        run(work(line.port))
