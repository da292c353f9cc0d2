"""The whole bridge in its thread: a serial line with a meter and a charger, and another charger on TCP."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from bsp.bridge import Bridge, ConnectorConfig, MeterConfig
from bsp.connector import ConnectorLimit
from bsp.phase_switch import Memory
from bsp.profile import connector_profile, meter_profile
from bsp.transport import BusError, SerialLink, TcpLink
from hil.devices import MeterDevice, PtyLine, TcpLine, WallboxDevice, serve_rtu_pty, serve_tcp
from tests.bsp.plant import Heard, House, Point
from tests.patience import WITHIN_S

METER = meter_profile("eastron_sdm630")
RTU_BOX = connector_profile("heidelberg_energy_control")
TCP_BOX: Any = connector_profile("alfen_eve")


@dataclass
class Rig:
    """The bridge and all that it talks to."""

    bridge: Bridge
    rs485: PtyLine
    lan: TcpLine
    carport: Point
    drive: Point
    readings: Heard
    statuses: Heard
    meter_faults: Heard


@pytest.fixture
def rig() -> Iterator[Rig]:
    carport, drive = Point(), Point()
    readings, statuses, meter_faults = Heard(), Heard(), Heard()
    with ExitStack() as stack:
        on_line = {1: MeterDevice(METER, House()), 2: WallboxDevice(RTU_BOX, carport)}
        rs485 = stack.enter_context(serve_rtu_pty(on_line))
        lan = stack.enter_context(serve_tcp({1: WallboxDevice(TCP_BOX, drive)}))
        bridge = Bridge(
            {
                "rs485": SerialLink(rs485.path, timeout_s=0.1),
                "lan": TcpLink(lan.host, lan.port, timeout_s=0.2),
            },
            {"grid": MeterConfig("rs485", 1, METER, every_s=0.1)},
            {
                "carport": ConnectorConfig("rs485", 2, RTU_BOX, every_s=0.1),
                "drive": ConnectorConfig("lan", 1, TCP_BOX, every_s=0.1, fallback_A=8.0),
            },
            on_reading=readings,
            on_status=statuses,
            on_meter_fault=meter_faults,
        )
        bridge.start()
        stack.callback(bridge.stop)
        yield Rig(bridge, rs485, lan, carport, drive, readings, statuses, meter_faults)


def test_meter_and_connectors_are_read_and_driven(rig: Rig) -> None:
    rig.bridge.enforce("carport", ConnectorLimit(11.0))
    rig.bridge.enforce("drive", ConnectorLimit(20.0))
    assert rig.readings.wait_for(lambda name, _: name == "grid").current_A == (10.5, -2.25, 4.0)
    rig.statuses.wait_for(lambda name, status: name == "carport" and status.limit_A == pytest.approx(11.0))
    rig.statuses.wait_for(lambda name, status: name == "drive" and status.limit_A == pytest.approx(20.0))
    assert [rig.carport.limit_A, rig.drive.limit_A] == pytest.approx([11.0, 20.0])


def test_who_gives_a_limit_learns_whether_the_charger_has_confirmed_it(rig: Rig) -> None:
    assert rig.bridge.enforce("carport", ConnectorLimit(11.0)).result(WITHIN_S) is None
    assert rig.carport.limit_A == pytest.approx(11.0)
    rig.rs485.devices[2].faults.silent = True
    error = rig.bridge.enforce("carport", ConnectorLimit(7.0)).exception(WITHIN_S)
    assert isinstance(error, BusError)
    assert rig.carport.limit_A == pytest.approx(11.0)
    rig.bridge.stop()
    assert isinstance(rig.bridge.enforce("carport", ConnectorLimit(7.0)).exception(0), BusError)


def test_readings_are_always_new(rig: Rig) -> None:
    for _ in range(3):
        rig.readings.wait_for(lambda *_: True)
    times = [reading.taken_at for _, reading in rig.readings.calls]
    assert times == sorted(set(times))


def test_a_limit_that_nobody_renews_runs_out(rig: Rig) -> None:
    rig.bridge.enforce("drive", ConnectorLimit(20.0, valid_for_s=0.5))
    rig.statuses.wait_for(lambda name, status: name == "drive" and status.limit_A == 20.0)
    rig.statuses.wait_for(lambda name, status: name == "drive" and status.limit_A == 8.0)
    assert rig.drive.limit_A == 8.0


def test_a_meter_that_falls_silent_is_reported_and_gives_no_more_readings(rig: Rig) -> None:
    rig.readings.wait_for(lambda *_: True)
    rig.rs485.devices[1].faults.silent = True
    text = rig.meter_faults.wait_for(lambda name, text: name == "grid" and text is not None)
    assert "no answer within 0.1 s" in text
    heard = len(rig.readings.calls)
    rig.statuses.wait_for(lambda name, _: name == "carport")  # the charger on the same line goes on
    assert len(rig.readings.calls) == heard
    rig.rs485.devices[1].faults.silent = False
    rig.meter_faults.wait_for(lambda name, text: name == "grid" and text is None)
    rig.readings.wait_for(lambda *_: True)


def test_a_charger_that_falls_silent_is_a_fault_with_its_last_limit(rig: Rig) -> None:
    rig.bridge.enforce("carport", ConnectorLimit(11.0))
    rig.statuses.wait_for(lambda name, status: name == "carport" and status.limit_A == pytest.approx(11.0))
    rig.rs485.devices[2].faults.silent = True
    lost = rig.statuses.wait_for(lambda name, status: name == "carport" and status.fault is not None)
    assert (lost.state, lost.limit_A) == ("F", pytest.approx(11.0))
    rig.statuses.wait_for(lambda name, status: name == "drive" and status.fault is None)


def test_an_adapter_that_was_replugged_is_used_again(rig: Rig) -> None:
    rig.readings.wait_for(lambda *_: True)
    rig.rs485.unplug()
    rig.meter_faults.wait_for(lambda name, text: name == "grid" and text is not None)
    rig.rs485.plug()
    rig.meter_faults.wait_for(lambda name, text: name == "grid" and text is None)


def test_stopping_brings_the_connectors_to_their_fallback(rig: Rig) -> None:
    for name in ("carport", "drive"):
        rig.bridge.enforce(name, ConnectorLimit(14.0, valid_for_s=600.0))
    rig.statuses.wait_for(lambda name, status: name == "carport" and status.limit_A == pytest.approx(14.0))
    rig.statuses.wait_for(lambda name, status: name == "drive" and status.limit_A == pytest.approx(14.0))
    rig.bridge.stop()
    assert (rig.carport.limit_A, rig.drive.limit_A) == (0.0, 8.0)


def test_an_unknown_connector_is_told(rig: Rig) -> None:
    with pytest.raises(KeyError, match="unknown connector 'garden', known: carport, drive"):
        rig.bridge.enforce("garden", ConnectorLimit(6.0))


def test_capabilities_are_the_narrowest_of_charger_and_site() -> None:
    config: Any = ConnectorConfig("lan", 1, TCP_BOX, maximum_A=20.0)
    assert config.capabilities.max_current_A == 20.0
    assert config.capabilities.min_current_A == 6.0
    assert config.capabilities.min_phase_count == 1
    assert config.capabilities.supports_changing_phases
    assert not ConnectorConfig("rs485", 2, RTU_BOX).capabilities.supports_changing_phases


def test_the_hold_off_of_phase_switching_goes_on_in_the_next_process(rig: Rig) -> None:
    """It is kept in the time of the wall clock, since a monotonic one means nothing to another process."""
    rig.bridge.stop()
    memories, statuses = Heard(), Heard()

    def bridge(kept: dict[str, Memory]) -> Bridge:
        return Bridge(
            {"lan": TcpLink(rig.lan.host, rig.lan.port, timeout_s=0.2)},
            {},
            {"drive": ConnectorConfig("lan", 1, TCP_BOX, every_s=0.05)},
            on_reading=Heard(),
            on_status=statuses,
            phase_memories=kept,
            on_phase_memory=memories,
        )

    first = bridge({})
    first.start()
    first.enforce("drive", ConnectorLimit(10.0, phases=1, valid_for_s=60.0))
    kept = memories.wait_for(lambda _, memory: memory.ready_at is not None)
    first.stop()
    assert rig.drive.phases == 1
    assert kept.ready_at == pytest.approx(time.time() + TCP_BOX.phase_switching.hold_off, abs=5.0)

    for memory, phases in [(kept, 1), (kept.later(-400.0), 3)]:
        second = bridge({"drive": memory})
        second.start()
        second.enforce("drive", ConnectorLimit(10.0, phases=3, valid_for_s=60.0))
        enough = len(statuses.calls) + 10
        statuses.wait_for(
            lambda _, status, enough=enough: status.current_A[2] or len(statuses.calls) >= enough
        )
        second.stop()
        assert rig.drive.phases == phases
