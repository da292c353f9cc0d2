"""Every profile against a simulated device generated from its map, and the errors of bad profiles."""

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest

from bsp.bridge_config import ConnectorConfig
from bsp.connector import Connector, ConnectorLimit
from bsp.connector_registers import ConnectorStatus, limit_writes
from bsp.device import Device
from bsp.meter import Meter
from bsp.profile import DIRECTORY, MeterProfile, connector_profile, meter_profile, profile_names
from bsp.registers import decode, encode
from bsp.transport import TcpLink
from bsp.yaml_file import FileError
from energy_management.measurement import Reading, Vector3
from hil.devices import MeterDevice, WallboxDevice, serve_tcp
from tests.bsp.plant import House, Point, VirtualClock, on_bus

UNSIGNED = {"orno_we514_we515", "saia_ale3"}
"""Meters whose power has no sign."""


def assert_phases(profile: MeterProfile, quantity: str, seen: Vector3 | None, expected: Vector3) -> None:
    """Each phase that the profile has is as expected, within a step of its register; others are unknown."""
    points = [profile.points.get(f"{quantity}.{phase}") for phase in ("L1", "L2", "L3")]
    factor = 0.1 if any(point is not None and point.scale_factor for point in points) else 0.0
    for point, seen_value, value in zip(points, seen or (math.nan,) * 3, expected, strict=True):
        if point is None:
            assert math.isnan(seen_value)
        else:
            assert seen_value == pytest.approx(value, abs=max(point.scale, factor, 0.01))


@pytest.mark.parametrize("name", profile_names("meters"))
def test_a_meter_shows_what_is_there(name: str) -> None:
    profile, house = meter_profile(name), House()

    async def work(device: Device) -> Reading:
        return await Meter(device, profile, VirtualClock()).poll()

    with serve_tcp({profile.unit: MeterDevice(profile, house)}) as line:
        measured: Reading = on_bus(TcpLink(line.host, line.port), profile, profile.unit, work)

    shows_export = "power_W.L2" in profile.points and name not in UNSIGNED
    assert_phases(profile, "voltage_V", measured.voltage_V, (230.0, 231.5, 229.0))
    assert_phases(
        profile, "power_W", measured.power_W, (2415.0, 520.0 if name in UNSIGNED else -520.0, 916.0)
    )
    assert_phases(profile, "current_A", measured.current_A, (10.5, -2.25 if shows_export else 2.25, 4.0))
    if profile.phases == 3:
        assert measured.total_power_W == pytest.approx(2811.0, abs=10.0)
    for point, seen, expected in (
        ("frequency_Hz", measured.frequency_Hz, 50.0),
        ("energy_Wh.import", measured.energy_import_Wh, 123_000.0),
        ("energy_Wh.export", measured.energy_export_Wh, 45_000.0),
    ):
        assert seen == (pytest.approx(expected) if point in profile.points else None)


@pytest.mark.parametrize("name", profile_names("meters"))
def test_a_meter_that_can_protect_a_fuse_says_so_by_its_currents(name: str) -> None:
    profile = meter_profile(name)
    currents = [point for point in profile.points if point.startswith("current_A.L")]
    assert len(currents) >= profile.phases or name == "eastron_sdm72dm"


@pytest.mark.parametrize("name", profile_names("connectors"))
def test_a_connector_is_limited_paused_and_read(name: str) -> None:
    profile = connector_profile(name)
    clock, point = VirtualClock(), Point()
    charger = WallboxDevice(profile, point, clock=clock)

    async def work(device: Device) -> list[ConnectorStatus]:
        connector = Connector(device, profile, clock)
        statuses = []
        for enforced_A, state in ((10.0, "C"), (0.0, "B"), (16.0, "C"), (16.0, "A")):
            point.state = state
            connector.enforce(ConnectorLimit(enforced_A))
            statuses.append(await connector.cycle())
            assert point.limit_A is not None
            assert enforced_A - 0.15 < point.limit_A < enforced_A + 1e-6, "as the charger understands it"
            clock.advance(1.0)
            await asyncio.sleep(0)
        return statuses

    with serve_tcp({profile.unit: charger}) as line:
        statuses = on_bus(TcpLink(line.host, line.port), profile, profile.unit, work)

    assert [status.state for status in statuses] == ["C", "B", "C", "A"]
    assert [status.fault for status in statuses] == [None] * 4
    assert statuses[0].limit_A == pytest.approx(10.0, abs=profile.step_A)
    assert statuses[1].limit_A == 0.0
    if any(name.startswith("current_A.L") for name in profile.points):
        assert statuses[0].current_A == pytest.approx((10.0, 10.0, 10.0), abs=0.5)
    if "power_W.total" in profile.points:
        assert statuses[0].power_W == pytest.approx(6930.0, rel=0.02)
    if "energy_Wh.import" in profile.points:
        assert statuses[0].energy_Wh == pytest.approx(5432.0, abs=100.0)


def held_after(name: str, granted_A: float) -> float:
    """Give what a charger understands that was granted so much: its registers, in amperes."""
    profile = connector_profile(name)
    limit = profile.current_limit
    watts_per_A = 230.0 * profile.phases if limit.unit == "W" else 1.0
    written = dict(limit_writes(profile, profile.limit_for(granted_A)))
    if profile.enable is not None and written[profile.enable.point] == profile.enable.off:
        return 0.0
    held: set[float] = set()
    for point_name in limit.points:
        point = profile.points[point_name]
        held.add(decode(point, encode(point, written[point_name])) / watts_per_A)  # type: ignore[operator]
    (held_A,) = held
    return held_A


@pytest.mark.parametrize("name", profile_names("connectors"))
def test_a_charger_gets_never_more_than_granted_and_never_less_than_a_car_needs(name: str) -> None:
    profile = connector_profile(name)
    least_A, most_A = profile.least_A, profile.current_limit.maximum
    assert 6.0 <= least_A < 6.1
    grants_A = [least_A, *np.arange(least_A, most_A, 0.037), most_A]
    for granted_A in grants_A:
        held_A = held_after(name, float(granted_A))
        assert profile.current_limit.minimum - 1e-6 <= held_A <= granted_A + 1e-6
        assert granted_A - held_A <= max(profile.step_A, 0.01) + 1e-6, "no more is lost than one step"
    assert held_after(name, float(np.float32(least_A))) > 0.0, "as EVerest's C++ hands it on"
    assert held_after(name, least_A - 0.2) == 0.0


def test_the_minimum_of_a_charger_that_takes_steps_of_100_W_is_what_it_can_be_set_to() -> None:
    profile = connector_profile("compleo_solo_duo")
    assert profile.least_A == 6.09  # 4200 W on three phases are 6.087 A, 4100 W are 5.94 A
    assert ConnectorConfig("lan", 1, profile).capabilities.min_current_A == 6.09
    assert list(limit_writes(profile, profile.limit_for(6.09))) == [("limit", 4200.0)]
    assert profile.limit_for(6.0) == 0.0


@pytest.mark.parametrize("name", profile_names("connectors"))
def test_a_watchdog_leaves_time_to_be_fed(name: str) -> None:
    watchdog = connector_profile(name).watchdog
    if watchdog is not None and watchdog.feed == "traffic":
        assert watchdog.timeout >= 3.0  # status is read once a second
    elif watchdog is not None:
        assert watchdog.feed_every_s <= watchdog.timeout / 2


BASE = """\
vendor: V
models: [M]
source: [S]
verified: on a bench
phases: 1
points:
  power_W.total: {address: 1, type: float32}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        (
            "power_W.total",
            "pover_W.total",
            "bad.yaml:7 points.pover_W.total: no such measurement, known: current_A",
        ),
        ("float32", "float31", "bad.yaml:7 points.power_W.total.type: must be one of int16, uint16, "),
        (
            "address: 1",
            "adress: 1",
            "bad.yaml:7 points.power_W.total.adress: unknown key (did you mean 'address'?)",
        ),
        (
            "address: 1",
            "address: 70000",
            "bad.yaml:7 points.power_W.total.address: must be int <= 65535, not 70000",
        ),
        ("phases: 1", "phases: 4", "bad.yaml:5 phases: must be one of 1, 2, 3, not 4"),
        ("vendor: V\n", "", "bad.yaml:1 vendor: missing"),
        (
            "type: float32",
            "type: int16, scale_factor: scale_factor.power",
            "bad.yaml:7 points.power_W.total.scale_factor: no point 'scale_factor.power' in this profile",
        ),
    ],
)
def test_a_bad_profile_is_told_with_line_and_key(
    tmp_path: Path, right: str, wrong: str, problem: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BASE.replace(right, wrong), encoding="utf-8")
    with pytest.raises(FileError) as caught:
        meter_profile(str(path))
    assert any(line.startswith(problem) for line in str(caught.value).splitlines()), str(caught.value)


def test_steps_that_the_register_cannot_say_are_refused(tmp_path: Path) -> None:
    text = (DIRECTORY / "connectors" / "generic.yaml").read_text(encoding="utf-8")
    path = tmp_path / "bad.yaml"
    path.write_text(text.replace("limit: {address: 1}", "limit: {address: 1, scale: 0.4}"), encoding="utf-8")
    with pytest.raises(FileError, match=r"current_limit\.step: its register takes multiples of 0\.4 A"):
        connector_profile(str(path))


def test_a_connector_that_could_not_be_paused_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        BASE.replace("power_W.total", "limit")
        + "status: {A: {}}\ncurrent_limit: {points: [limit, other], zero: ignored}\n".replace(
            "phases: 1\n", ""
        ),
        encoding="utf-8",
    )
    with pytest.raises(FileError) as caught:
        connector_profile(str(path))
    assert "current_limit.points: no point 'other' in this profile, known: limit" in str(caught.value)
    assert "needs 'enable', or it could never be paused" in str(caught.value)
