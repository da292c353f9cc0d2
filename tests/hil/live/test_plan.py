"""What a script becomes on a real site."""

from pathlib import Path

import pytest

from bsp.connector_registers import ConnectorStatus
from control.site_file import SiteFile, load_site
from energy_management.measurement import Reading
from hil.live.plan import Plan, plan_for
from hil.live.stage import LiveStage
from hil.live.survey import Survey, share_A
from hil.scenario import load_scenario

SCRIPT = """\
title: Two wallboxes with sub-fuse
start: 10:00
lasts: 10 min
site:
  grid: {fuse: 50 A, meter: house, fallback: 12 A, counts_generation: true}
  nodes: {lot: {fuse: 32 A}}
  buses:
    cabinet: {serial: /dev/ttyUSB0, baudrate: 19200, parity: N, stop_bits: 1}
    lan: {host: 192.0.2.40}
  meters: {house: {profile: eastron_sdm630, bus: cabinet, unit: 1}}
  connectors:
    carport: {profile: keba_p30_p40, bus: lan, unit: 1, node: lot, phase_rotation: L1 L2 L3}
    drive: {profile: alfen_eve, bus: lan, unit: 7, node: lot, phase_rotation: L1 L2 L3}
cars: {id3: {at: carport}, zoe: {at: drive}}
house: {draws: 2 A}
events:
  10:01: carport ignores its limits for 30 s
  10:02: id3 falls asleep
  10:03: drive ignores its limits for 30 s
  10:04: house is silent for 20 s
  10:05: bus lan is cut for 20 s
  10:06: carport is paused for 30 s
assert:
  - meter house is reported within 30 s of "house is silent"
  - fuse grid never above 100 % for more than 10 s
"""
REAL = """\
grid: {fuse: 35 A, meter: house}
nodes: {shed: {fuse: 20 A}}
buses: {field: {host: 198.51.100.7}}
meters: {house: {profile: eastron_sdm630, bus: field, unit: 9}}
connectors:
  carport: {profile: alfen_eve, bus: field, unit: 3, node: shed, phase_rotation: L3 L1 L2}
  drive: {profile: alfen_eve, bus: field, unit: 4, node: shed}
"""


@pytest.fixture
def real(tmp_path: Path) -> SiteFile:
    path = tmp_path / "real.yaml"
    path.write_text(REAL)
    return load_site(path)


@pytest.fixture
def plan(real: SiteFile, tmp_path: Path) -> Plan:
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    return plan_for(load_scenario(path), real, Survey({"house": "a meter", "carport": "a wallbox"}))


def test_addresses_and_wiring_are_the_real_ones(plan: Plan) -> None:
    site = plan.scenario.site
    carport = site.bridged_connectors["carport"]
    assert (carport.bus, carport.unit, carport.profile.vendor) == ("real.field", 3, "Alfen")
    assert (site.bridged_connectors["drive"].bus, site.bridged_connectors["drive"].unit) == ("lan", 7)
    assert set(site.buses) == {"real.field", "lan"}
    assert plan.scenario.rotations["carport"] == (2, 0, 1)


def test_the_smaller_fuse_counts_and_simulated_sun_makes_no_room_on_it(plan: Plan) -> None:
    grid = plan.scenario.site.grid
    assert grid is not None
    assert (grid.fuse, grid.counts_generation) == (35.0, False)
    assert plan.fuses_A == {"house": 35.0}
    assert plan.chargers["carport"].maximum_A == 20.0, "the sub-fuse that the script does not know"


def test_real_connectors_share_a_fuse_that_the_script_does_not_know(plan: Plan, real: SiteFile) -> None:
    both = dict.fromkeys(("house", "carport", "drive"), "")
    assert share_A("carport", plan.scenario.site, real, both) == 10.0


def test_a_fuse_whose_meter_takes_no_part_leaves_its_fallback(plan: Plan, real: SiteFile) -> None:
    assert share_A("carport", plan.scenario.site, real, {"carport": ""}) == 0.0


def test_what_cannot_be_done_to_real_devices_is_left_out(plan: Plan) -> None:
    assert plan.skipped == (
        "carport ignores its limits for 30 s",
        "id3 falls asleep",
        "house is silent for 20 s",
        'meter house is reported within 30 s of "house is silent"',
    )
    assert [line.text for line in plan.scenario.events] == [
        "drive ignores its limits for 30 s",
        "bus lan is cut for 20 s",
        "carport is paused for 30 s",
    ]


def test_a_real_meter_is_told_what_is_simulated_behind_it(plan: Plan) -> None:
    stage = LiveStage(plan.scenario, 1, lambda: 0.0, real=("house", "carport"), tell=print)
    charging = ConnectorStatus(0.0, "C", current_A=(10.0, 10.0, 10.0), limit_A=10.0)
    stage.note_status("carport", charging)
    drive = stage.evses["drive"].point
    drive.set_limit(8.0)
    stage.plug_in("zoe", "drive")
    for _ in range(100):
        stage.advance(0.2)
    assert drive.current_A[0] == pytest.approx(8.0, abs=0.1)
    measured = Reading(0.0, current_A=(13.0, 14.0, 15.0), voltage_V=(230.0, 230.0, 230.0))
    seen = stage.complete("house", measured)
    assert seen.current_A == pytest.approx((23.0, 24.0, 25.0), abs=0.1), "2 A of the house, 8 A of the Zoe"
    stage.advance(0.2)
    assert stage.node_A["grid"] == pytest.approx((23.0, 24.0, 25.0), abs=0.1), "10 A of it counted once"
    assert stage.other_A["grid"] == pytest.approx((5.0, 6.0, 7.0), abs=0.1)
    assert stage.node_A["lot"] == pytest.approx((18.0, 18.0, 18.0), abs=0.1)


def test_a_person_moves_the_cars_of_real_connectors_only(plan: Plan) -> None:
    told: list[str] = []
    stage = LiveStage(plan.scenario, 1, lambda: 0.0, real=("carport",), tell=told.append)
    stage.plug_in("id3", "carport")
    stage.plug_in("zoe", "drive")
    stage.note_status("carport", ConnectorStatus(0.0, "B"))
    assert not stage.errands.wait(1.0), "both are there before it begins"
    stage.advance(0.2)
    stage.plug_in("zoe", "carport")
    assert stage.errands.wait(1.0)
    stage.note_status("carport", ConnectorStatus(0.0, "A"))
    assert stage.errands.wait(1.0)
    stage.note_status("carport", ConnectorStatus(0.0, "B"))
    assert not stage.errands.wait(1.0)
    asked = [line.partition(" now;")[0] for line in told if " now;" in line]
    assert asked == ["unplug id3 from carport", "plug in zoe at carport"]
