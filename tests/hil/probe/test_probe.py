"""`hil probe`: every described meter is found by what it shows, and nothing is ever written."""

import asyncio
import json
import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from bsp.profile import connector_profile, meter_profile, profile_names
from bsp.transport import ModbusTransport, NoAnswerError, Read, SerialLink, TcpLink, Transport, Write
from hil.devices import MeterDevice, PtyLine, RegisterDevice, TcpLine, WallboxDevice, serve_rtu_pty, serve_tcp
from hil.probe import Found, Search, search_host, search_line
from hil.probe.read_only_bus import ReadOnlyBus, WouldWriteError
from tests.bsp.plant import House, Point
from tests.hil.cli import hil

SDM630 = meter_profile("eastron_sdm630")


class Guarded(MeterDevice):
    """A meter that remembers every attempt to write to it."""

    writes = 0

    def write(self, table: object, address: int, values: list[int]) -> None:
        self.writes += 1


class PickyLine(PtyLine):
    """A line that hears only what is sent at its baud rate, as a real one."""

    baudrate = termios.B19200

    def _hear(self) -> None:
        if termios.tcgetattr(self._slave)[5] == self.baudrate:
            super()._hear()
        else:
            os.read(self._master, 4096)


class NoisyLine(PtyLine):
    """A line on which whatever is sent is followed by garbage."""

    def _hear(self) -> None:
        os.read(self._master, 4096)
        os.write(self._master, b"\x00\xff\x13\x00\xfe")


@contextmanager
def on_line(line: PtyLine) -> Iterator[PtyLine]:
    line._start()
    try:
        yield line
    finally:
        line._stop()


def find_at(line: TcpLine, search: Search | None = None) -> list[Found]:
    async def find() -> list[Found]:
        link = TcpLink(line.host, line.port, timeout_s=0.1)
        return [found async for found in search_host(link, search or Search())]

    return asyncio.run(find())


@pytest.mark.parametrize("name", profile_names("meters"))
def test_every_meter_is_found_by_what_it_shows(name: str) -> None:
    profile = meter_profile(name)
    device = Guarded(profile, House())
    with serve_tcp({9: device}) as line:
        (found,) = find_at(line, Search(units=(9,)))
    assert found.identity is not None
    alike = [found.identity.best.name, *(other.name for other in found.identity.others)]
    assert name in alike
    vendors = {alike_name.split("_", maxsplit=1)[0] for alike_name in alike}
    assert len(vendors) == 1, "one family of maps"
    assert device.writes == 0
    assert device.requests < 80, "fast enough for 9600 baud"


def test_what_cannot_be_told_apart_is_said() -> None:
    with serve_tcp({1: MeterDevice(SDM630, House())}) as line:
        outcome = hil("probe", "--tcp", f"{line.host}:{line.port}", "--unit", "1")
    assert "one of " in outcome.out
    assert "eastron_sdm72dm_v2" in outcome.out
    assert "eastron_sdm630" in outcome.out


def test_a_single_phase_meter_is_not_taken_for_a_three_phase_one_of_the_same_map() -> None:
    with serve_tcp({1: MeterDevice(meter_profile("eastron_sdm120"), House())}) as line:
        (found,) = find_at(line, Search(units=(1,)))
    assert found.identity is not None
    assert found.identity.best.profile.phases == 1


def test_a_meter_on_a_line_with_its_settings_and_the_lines_for_the_site_file(tmp_path: Path) -> None:
    device = Guarded(SDM630, House())
    with on_line(PickyLine({7: device}, tmp_path, None)) as line:
        outcome = hil("probe", "--serial", line.path, "--baud", "9600", "--parity", "N", "--timeout", "0.02")
        assert outcome.code == 1, "the line is at 19200"
        outcome = hil("probe", "--serial", line.path, "--parity", "N", "--timeout", "0.05")
        assert outcome.code == 0, outcome.err
        pasted = outcome.out[outcome.out.index("buses:") :]
        site = tmp_path / "site.yaml"
        site.write_text(pasted)
        measured = hil("read", "--site", str(site), "meter_7", "--json")
    assert f"rs485: {{serial: {line.path}, baudrate: 19200," in pasted
    assert json.loads(measured.out)["power_W"]["total"] == 2811.0
    assert device.writes == 0


def test_settings_that_a_port_refuses_do_not_spoil_those_after_them(tmp_path: Path) -> None:
    """A pseudo-terminal takes no parity, and settings with parity are tried before those of this meter."""

    class Slow(PickyLine):
        baudrate = termios.B2400

    with on_line(Slow({1: MeterDevice(SDM630, House())}, tmp_path, None)) as line:
        outcome = hil("probe", "--serial", line.path, "--unit", "1", "--timeout", "0.1", "--json")
    (found,) = json.loads(outcome.out)
    assert (found["baudrate"], found["parity"]) == (2400, "N")
    assert "8E1" in outcome.err.partition("2400 8N1")[0], "nothing was refused before"
    assert "6 line settings, 1 units: 7 s if nobody answers" in outcome.err


def test_parity_is_found(tmp_path: Path) -> None:
    """A pseudo-terminal has no parity, so a line that is deaf at the wrong one stands in for it."""

    with serve_tcp({1: MeterDevice(meter_profile("orno_we516_we517"), House())}, framing="rtu") as line:

        def open_line(link: SerialLink | TcpLink) -> Transport:
            assert isinstance(link, SerialLink)
            host = TcpLink(line.host, line.port, "rtu", timeout_s=0.1)
            return ModbusTransport(host) if (link.baudrate, link.parity) == (9600, "E") else _Silent()

        async def find() -> list[Found]:
            search = Search(open_line=open_line)
            return [found async for found in search_line(SerialLink("rs485"), search)]

        (found,) = asyncio.run(find())
    assert isinstance(found.link, SerialLink)
    assert (found.link.baudrate, found.link.parity) == (9600, "E")
    assert found.identity is not None
    assert found.identity.best.name == "orno_we516_we517"


def test_several_meters_on_one_line() -> None:
    devices: dict[int, RegisterDevice] = {
        2: MeterDevice(SDM630, House()),
        5: MeterDevice(meter_profile("finder_7m38"), House()),
        6: WallboxDevice(connector_profile("smartevse_v2_v3_modbus"), Point()),
    }
    with serve_rtu_pty(devices) as line:
        arguments = ["--serial", line.path, "--timeout", "0.3", "--json"]
        outcome = hil("probe", *arguments, "--unit", "2", "--unit", "5", "--unit", "6")
    units = {one["unit"]: one.get("profile") for one in json.loads(outcome.out)}
    assert set(units) == {2, 5, 6}
    assert units[5] == "finder_7m38"
    assert units[6] is None, "answers, but is no meter"


def test_a_host_that_answers_to_any_unit_is_shown_once() -> None:
    class Anybody(dict[int, RegisterDevice]):
        def get(self, key: int, default: object = None) -> RegisterDevice:
            return next(iter(self.values()))

    with serve_tcp({1: MeterDevice(meter_profile("janitza_umg604"), House())}) as line:
        line.devices = Anybody(line.devices)
        assert [found.unit for found in find_at(line)] == [1]


DISPUTED = [name for name in profile_names("meters") if meter_profile(name).alternatives]


@pytest.mark.parametrize("name", DISPUTED)
def test_the_device_decides_where_sources_disagree(name: str) -> None:
    profile = meter_profile(name)
    theirs = {disputed: points[0] for disputed, points in profile.alternatives.items()}
    really = msgspec.structs.replace(profile, points={**profile.points, **theirs})
    with serve_tcp({1: MeterDevice(really, House())}) as line:
        outcome = hil("probe", "--tcp", f"{line.host}:{line.port}", "--unit", "1", "--json")
    (found,) = json.loads(outcome.out)
    assert found["profile"] == name
    assert [note.split(" (")[0] for note in found["notes"]] == [
        f"{disputed}: this device follows {point.note}" for disputed, point in theirs.items()
    ]


def test_nobody_on_a_quiet_line() -> None:
    with serve_rtu_pty({}) as line:
        outcome = hil("probe", "--serial", line.path, "--unit", "1", "--timeout", "0.01")
    assert outcome.code == 1
    assert "nothing is heard on the line: check power" in outcome.err


def test_noise_on_a_line_where_nobody_answers(tmp_path: Path) -> None:
    with on_line(NoisyLine({}, tmp_path, None)) as line:
        outcome = hil("probe", "--serial", line.path, "--unit", "1", "--timeout", "0.01")
    assert outcome.code == 1
    assert "bytes are heard on the line, but no Modbus" in outcome.err
    assert "A and B are exchanged" in outcome.err


def test_a_host_that_is_not_there() -> None:
    with serve_tcp({}) as line:
        pass
    outcome = hil("probe", "--tcp", f"{line.host}:{line.port}")
    assert (outcome.code, outcome.err.split(":")[0]) == (1, "cannot connect to 127.0.0.1")


def test_the_bus_of_the_search_cannot_write() -> None:
    bus = ReadOnlyBus("probe", _Silent())
    with pytest.raises(WouldWriteError):
        asyncio.run(bus.request(1, Write("holding", 0, (1,))))


class _Silent:
    """A line on which nobody answers, and which loses no time."""

    late_answer_s = 0.0
    frame_gap_s = 0.0
    connected = True

    async def connect(self) -> bool:
        return True

    async def transact(self, unit: int, request: Read | Write) -> list[int]:
        raise NoAnswerError("silence")

    def close(self) -> None:
        pass
