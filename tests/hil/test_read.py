"""`hil read`: what an installer sees of a meter or charger, and what is said when there is nothing to see."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bsp.profile import connector_profile, meter_profile
from hil.devices import MeterDevice, TcpLine, WallboxDevice, serve_rtu_pty, serve_tcp
from hil.field.target import connector_base
from tests.bsp.plant import House, Point
from tests.hil.cli import hil

SDM630 = meter_profile("eastron_sdm630")
ALFEN = connector_profile("alfen_eve")


class Recording(WallboxDevice):
    """Remembers every write."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.writes: list[tuple[str, object]] = []
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def written(self, name: str, value: object) -> None:
        self.writes.append((name, value))
        super().written(name, value)  # type: ignore[arg-type]


@pytest.fixture
def meter() -> Iterator[TcpLine]:
    with serve_tcp({1: MeterDevice(SDM630, House())}) as line:
        yield line


def at(line: TcpLine) -> list[str]:
    return ["--tcp", f"{line.host}:{line.port}"]


def test_a_meter_as_json_has_the_shape_of_everests_powermeter(meter: TcpLine) -> None:
    outcome = hil("read", "--profile", "eastron_sdm630", *at(meter), "--unit", "1", "--json")
    assert outcome.code == 0, outcome.err
    shown = json.loads(outcome.out)
    assert shown["power_W"] == {"total": 2811.0, "L1": 2415.0, "L2": -520.0, "L3": 916.0}
    assert shown["current_A"] == {"L1": 10.5, "L2": -2.25, "L3": 4.0}
    assert shown["frequency_Hz"] == {"L1": 50.0}
    assert shown["timestamp"].endswith("Z")


def test_a_phase_that_a_meter_lacks_is_left_out() -> None:
    with serve_tcp({1: MeterDevice(meter_profile("eastron_sdm120"), House())}) as line:
        shown = json.loads(hil("read", "--profile", "eastron_sdm120", *at(line), "--json").out)
    assert shown["voltage_V"] == {"L1": 230.0}
    assert shown["current_A"] == {"L1": 10.5}


def test_a_meter_as_table(meter: TcpLine) -> None:
    outcome = hil("read", "--profile", "eastron_sdm630", *at(meter))
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["voltage", "230.0", "231.5", "229.0", "V"] in rows
    assert ["current", "10.50", "-2.25", "4.00", "A"] in rows
    assert ["power", "2415", "-520", "916", "2811", "W"] in rows
    assert "Eastron SDM630-Modbus V1/V2/MID" in outcome.out


def test_on_a_serial_line_the_factory_settings_are_used_unless_told_otherwise() -> None:
    with serve_rtu_pty({5: MeterDevice(SDM630, House())}) as line:
        arguments = ["read", "--profile", "eastron_sdm630", "--serial", line.path]
        good = hil(*arguments, "--unit", "5", "--baud", "19200", "--stop-bits", "2", "--json")
        silent = hil(*arguments, "--timeout", "0.05")
    assert json.loads(good.out)["voltage_V"]["L1"] == 230.0
    assert silent.code == 1
    assert silent.err.splitlines() == [
        (
            f"no answer from unit 1 on {line.path} at 9600 8N1: check power, A and B (exchanged?), "
            f"baud rate, parity and unit; `hil probe --serial {line.path}` tries them"
        )
    ]


def test_rtu_frames_over_tcp() -> None:
    with serve_tcp({1: MeterDevice(SDM630, House())}, framing="rtu") as line:
        outcome = hil("read", "--profile", "eastron_sdm630", *at(line), "--rtu-over-tcp", "--json")
    assert json.loads(outcome.out)["voltage_V"]["L2"] == 231.5


def test_a_meter_by_its_name_in_the_site_file(meter: TcpLine, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        f"buses: {{lan: {{host: {meter.host}, port: {meter.port}}}}}\n"
        "meters: {house: {profile: eastron_sdm630, bus: lan, unit: 1}}\n"
    )
    assert json.loads(hil("read", "--site", str(site), "house", "--json").out)["power_W"]["total"] == 2811.0
    wrong = hil("read", "--site", str(site), "hose")
    assert (wrong.code, wrong.err) == (
        2,
        "site.yaml: no meter or connector 'hose' (did you mean 'house'?), known: house\n",
    )


@pytest.mark.parametrize("name", ["alfen_eve", "phoenix_charx", "heidelberg_energy_control"])
def test_a_charger_is_read_and_nothing_is_written(name: str) -> None:
    profile = connector_profile(name)
    point = Point()
    charger = Recording(profile, point, base=connector_base(profile, 1))
    charger.written(profile.current_limit.points[0], 10.0)
    charger.writes.clear()
    with serve_tcp({profile.unit: charger}) as line:
        outcome = hil("read", "--profile", name, *at(line), "--json")
    shown = json.loads(outcome.out)
    assert (shown["state"], shown["limit_A"], shown["phases"]) == ("C", 10.0, 3)
    assert shown["current_A"] == {"L1": 10.0, "L2": 10.0, "L3": 10.0}
    assert shown["energy_Wh_import"]["total"] == pytest.approx(5432.0, abs=1)
    assert charger.writes == []


def test_the_second_connector_of_a_charger_with_several() -> None:
    profile = connector_profile("phoenix_charx")
    assert profile.blocks is not None
    charger = WallboxDevice(profile, Point("B"), base=profile.blocks.first + profile.blocks.stride)
    with serve_tcp({profile.unit: charger}) as line:
        second = hil("read", "--profile", "phoenix_charx", *at(line), "--number", "2", "--json")
        first = hil("read", "--profile", "phoenix_charx", *at(line), "--number", "1", "--json")
    assert json.loads(second.out)["state"] == "B"
    assert first.code == 1
    assert "answers, so line and unit are right, but it refused with exception 2" in first.err


def test_a_charger_as_table() -> None:
    with serve_tcp({ALFEN.unit: WallboxDevice(ALFEN, Point("B"))}) as line:
        rows = [line.split() for line in hil("read", "--profile", "alfen_eve", *at(line)).out.splitlines()]
    assert ["state", "B", "car", "connected"] in rows
    assert ["limit", "32", "A"] in rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "sdm630", "--tcp", "h"], "no profile 'sdm630' (did you mean 'eastron_sdm630'?)"),
        (["--profile", "eastron_sdm630"], "say where it is: either --tcp HOST[:PORT] or --serial PORT"),
        (["--profile", "eastron_sdm630", "--tcp", "h", "--serial", "p"], "say where it is: either"),
        (["--profile", "eastron_sdm630", "--tcp", "h:x"], "--tcp must be HOST or HOST:PORT, not 'h:x'"),
        (["--profile", "eastron_sdm630", "--tcp", "h", "--baud", "9600"], "belong to --serial, not to --tcp"),
        (
            ["--profile", "eastron_sdm630", "--serial", "p", "--parity", "X"],
            "--parity must be one of N, E, O, not X",
        ),
        (["--tcp", "h"], "missing: --profile, or --site FILE NAME"),
        (["--profile", "alfen_eve", "--tcp", "h", "--number", "2"], "this profile has one connector only"),
    ],
)
def test_what_is_wrong_with_the_command_is_said_in_one_line(arguments: list[str], message: str) -> None:
    outcome = hil("read", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_similar_profiles_are_named() -> None:
    assert "eastron_sdm72dm_v2" in hil("read", "--profile", "sdm72", "--tcp", "h").err


def test_nobody_listens() -> None:
    with serve_tcp({}) as line:
        pass
    outcome = hil("read", "--profile", "eastron_sdm630", *at(line))
    assert outcome.code == 1
    assert outcome.err.startswith(f"cannot connect to 127.0.0.1:{line.port}: check address and port")


def test_a_port_that_is_not_there_is_told_with_those_that_are() -> None:
    outcome = hil("read", "--profile", "eastron_sdm630", "--serial", "/dev/ttyUSB77")
    assert outcome.code == 1
    assert outcome.err.startswith("no serial port /dev/ttyUSB77, ports of this computer: ")


def test_a_refusal_is_not_silence(meter: TcpLine) -> None:
    meter.devices[1].faults.exception = 4
    refused = hil("read", "--profile", "eastron_sdm630", *at(meter))
    assert "but it refused with exception 4 (device failure)" in refused.err
    meter.devices[1].faults.exception = 11
    gateway = hil("read", "--profile", "eastron_sdm630", *at(meter))
    assert f"the gateway at 127.0.0.1:{meter.port} answers, but nobody as unit 1 behind it" in gateway.err


def test_a_status_that_no_rule_knows_is_a_fault() -> None:
    profile = connector_profile("generic")
    charger = WallboxDevice(profile, Point("A"))
    with serve_tcp({profile.unit: charger}) as line:
        charger.values = lambda: {"status": 77, "limit": 6}  # type: ignore[method-assign]
        shown = json.loads(hil("read", "--profile", "generic", *at(line), "--json").out)
    assert (shown["state"], shown["fault"]) == ("F", "unknown status: status 77")
