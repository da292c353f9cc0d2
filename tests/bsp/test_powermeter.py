"""Readings in the shape of EVerest's Powermeter type."""

import math
from datetime import UTC, datetime

import pytest

from bsp.powermeter import powermeter, read_powermeter
from bsp.profile import meter_profile
from bsp.transport import NoAnswerError, TcpLink
from hil.devices import MeterDevice, serve_tcp
from tests.bsp.plant import House

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


def test_everything_that_everest_has_a_place_for() -> None:
    values = {
        "energy_Wh.import": 1000.0,
        "energy_Wh.import.L1": 400.0,
        "energy_Wh.export": 20.0,
        "power_W.total": -300.0,
        "power_W.L1": -300.0,
        "voltage_V.L1": 230.0,
        "current_A.L1": 1.5,
        "current_A.N": 1.4,
        "reactive_power_VAR.total": 10.0,
        "frequency_Hz": 50.0,
        "apparent_power_VA.total": 345.0,
    }
    assert powermeter(values, NOON, "grid") == {
        "timestamp": "2026-06-01T12:00:00.000Z",
        "meter_id": "grid",
        "energy_Wh_import": {"total": 1000.0, "L1": 400.0},
        "energy_Wh_export": {"total": 20.0},
        "power_W": {"total": -300.0, "L1": -300.0},
        "voltage_V": {"L1": 230.0},
        "current_A": {"L1": -1.5, "N": 1.4},
        "VAR": {"total": 10.0},
        "frequency_Hz": {"L1": 50.0},
    }


def test_what_is_missing_is_left_out_and_never_nan() -> None:
    shown = powermeter({"energy_Wh.import": 5.0, "voltage_V.L1": None, "power_W.L2": 7.0}, NOON)
    assert shown == {
        "timestamp": "2026-06-01T12:00:00.000Z",
        "energy_Wh_import": {"total": 5.0},
        "power_W": {"L2": 7.0, "total": 7.0},
    }
    assert not any(
        math.isnan(value) for part in shown.values() if isinstance(part, dict) for value in part.values()
    )


def test_a_quantity_without_its_total_is_left_out_where_everest_requires_it() -> None:
    assert "VAR" not in powermeter({"reactive_power_VAR.L1": 3.0}, NOON)


def test_a_meter_is_read_once() -> None:
    profile = meter_profile("eastron_sdm630")
    before = datetime.now(UTC)
    with serve_tcp({7: MeterDevice(profile, House())}) as line:
        shown = read_powermeter(TcpLink(line.host, line.port), profile, unit=7)
    assert shown["power_W"] == {"total": 2811.0, "L1": 2415.0, "L2": -520.0, "L3": 916.0}
    assert shown["current_A"] == {"L1": 10.5, "L2": -2.25, "L3": 4.0}
    assert shown["energy_Wh_import"]["total"] == pytest.approx(123_000.0)
    taken = datetime.fromisoformat(shown["timestamp"])
    assert abs((taken - before).total_seconds()) < 5.0


def test_a_meter_that_is_not_there_is_told() -> None:
    profile = meter_profile("eastron_sdm630")
    with serve_tcp({7: MeterDevice(profile, House())}) as line:
        link = TcpLink(line.host, line.port, timeout_s=0.1)
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.1 s"):
            read_powermeter(link, profile, unit=8)
