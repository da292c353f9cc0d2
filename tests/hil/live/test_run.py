"""Runs in real time: over sockets and pseudo-terminals, and on a charger that only this test knows."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bsp.profile import connector_profile, meter_profile
from bsp.registers import Value
from bsp.relay_profile import relay_profile
from bsp.transport import TcpLink
from control.site_file import load_site
from energy_management.measurement import Reading
from hil.devices import MeterDevice, TcpLine, WallboxDevice, serve_tcp
from hil.field.target import Target, target_of_site
from hil.live import Stop, listening, run_live, safe
from hil.live import run as live_run
from hil.live.plan import Plan, plan_for
from hil.live.safe import bring_to_safety
from hil.live.survey import survey
from hil.plant import Car, ChargePoint
from hil.plant.real_time import real_time
from hil.scenario import Outcome, load_scenario
from hil.scenario.contactors import ContactorBoard
from tests.bsp.plant import Point
from tests.hil.cli import hil
from tests.patience import WITHIN_S

ALFEN, METER = connector_profile("alfen_eve"), meter_profile("siemens_pac2200_pac3120_pac3200")
SCRIPT = """\
title: A car at a wallbox
start: 10:00
lasts: {lasts}
site:
  grid: {{fuse: 35 A, meter: house, fallback: 12 A}}
  buses:
    cabinet: {{serial: /dev/ttyUSB0, baudrate: 19200, parity: N, stop_bits: 1}}
    lan: {{host: 192.0.2.40}}
  meters: {{house: {{profile: eastron_sdm630, bus: cabinet, unit: 1}}}}
  connectors:
    carport: {{profile: keba_p30_p40, bus: lan, phase_rotation: L1 L2 L3}}
    drive: {{profile: alfen_eve, bus: lan, unit: 7, phase_rotation: L1 L2 L3}}
cars: {{id3: {{at: carport}}, zoe: {{at: drive}}}}
events:
  +1 s: carport is limited to 10 A
  +2 s: carport is silent
assert: [{claim}]
"""

BOARD = "waveshare_modbus_rtu_relay_d_8ch"
SWITCHED = """\
grid: {{fuse: 32 A}}
buses: {{shed: {{host: {host}, port: {port}}}}}
relays: {{board: {{profile: waveshare_modbus_rtu_relay_d_8ch, bus: shed, unit: 10}}}}
connectors:
  yard:
    profile: heidelberg_energy_control
    bus: shed
    unit: 2
    phase_rotation: L1 L2 L3
    contactors: {{board: board, phases: 1, phases_feedback: 1, main: 2, main_feedback: 2, hold_off: 1 s}}
"""
SWITCHES = """\
title: A switch to one phase
start: 10:00
lasts: 5 min
site:
  grid: {fuse: 32 A}
  buses: {lan: {host: 192.0.2.40}}
  connectors: {yard: {profile: alfen_eve, bus: lan, phase_rotation: L1 L2 L3}}
settings: {switch_3ph1ph_while_charging_mode: Both, switch_3ph1ph_time_hysteresis_s: 1}
cars: {id3: {at: yard}}
events: {+5 s: grid is limited to 3 kW}
assert: [no contactor moves under load]
"""


def script(directory: Path, lasts: str = "20 min", claim: str = "no contactor moves under load") -> Path:
    path = directory / "script.yaml"
    path.write_text(SCRIPT.format(lasts=lasts, claim=claim))
    return path


@dataclass
class Real:
    """A real wallbox, as far as anybody on the network can tell."""

    point: Point
    line: TcpLine
    site: Path


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    point = Point()
    point.set_limit(32.0)
    with serve_tcp({3: WallboxDevice(ALFEN, point)}) as line:
        site = tmp_path / "real.yaml"
        site.write_text(
            "grid: {fuse: 25 A}\n"
            f"buses: {{shed: {{host: {line.host}, port: {line.port}}}}}\n"
            "connectors: {carport: {profile: alfen_eve, bus: shed, unit: 3, fallback_current: 6 A}}\n"
        )
        yield Real(point, line, site)


def plan(path: Path, real: Real) -> Plan:
    scenario, site = load_scenario(path), load_site(real.site)
    return plan_for(scenario, site, survey(scenario.site, site))


def after(is_so: object, do: object) -> threading.Thread:
    """Do something as soon as something is so."""

    def wait() -> None:
        until_s = time.monotonic() + WITHIN_S
        while not is_so() and time.monotonic() < until_s:  # type: ignore[operator]
            time.sleep(0.05)
        do()  # type: ignore[operator]

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def found(outcome: Outcome) -> dict[str, str]:
    return {check.text: check.found for check in outcome.checks if not check.holds}


def test_all_simulated_over_sockets_and_lines(tmp_path: Path) -> None:
    path = script(tmp_path, "20 s", "zoe has 0.001 kWh by the end, no contactor moves under load")
    shown = hil("scenario", "--real-time", str(path))
    assert shown.code == 0, shown.out + shown.err


def test_a_signal_ends_it_with_the_real_charger_at_its_fallback(real: Real, tmp_path: Path) -> None:
    ready = plan(script(tmp_path), real)
    told: list[str] = []
    live = ready.live(None, told.append)
    limits: list[float | None] = []

    def is_limited() -> bool:
        limits.append(real.point.limit_A)
        return real.point.limit_A == 10.0

    thread = after(is_limited, lambda: os.kill(os.getpid(), signal.SIGTERM))
    outcome = run_live(ready.scenario, live)
    thread.join()
    assert 10.0 in limits, "the scenario never reached the real charger"
    assert found(outcome) == {"the scenario runs to its end": "stopped by SIGTERM"}
    assert real.point.limit_A == 6.0
    assert told == [
        "stopped by SIGTERM; every real charger goes to its safe state",
        "carport: safe: limit 6 A",
    ]
    assert outcome.at("draw/carport.L1", outcome.lasts_s) > 0.0


def test_real_contactors_are_not_moved_under_load_though_it_ends_amid_a_switch(tmp_path: Path) -> None:
    heidelberg, relays = connector_profile("heidelberg_energy_control"), relay_profile(BOARD)
    point, board, stopped = (
        ChargePoint(max_current_A=16.0, car=Car()),
        ContactorBoard(relays),
        threading.Event(),
    )
    board.wire(point, 1, 2)
    plant = threading.Thread(target=real_time, args=(point, stopped), daemon=True)
    plant.start()
    path, site = tmp_path / "script.yaml", tmp_path / "real.yaml"
    path.write_text(SWITCHES)
    with serve_tcp({2: WallboxDevice(heidelberg, point), 10: board}) as line:
        site.write_text(SWITCHED.format(host=line.host, port=line.port))
        scenario, real_site = load_scenario(path), load_site(site)
        ready = plan_for(scenario, real_site, survey(scenario.site, real_site))
        assert "contactors on board switch its phases" in "".join(ready.words)
        live = ready.live(None, print)
        thread = after(lambda: board.moves > 0, lambda: live.stop.now("enough"))
        outcome = run_live(ready.scenario, live)
        thread.join()
        moves = board.moves
        stopped.wait(2.0)
    stopped.set()
    plant.join()
    assert found(outcome) == {"the scenario runs to its end": "enough"}
    assert point.limit_A == 0.0
    assert 0 < moves < 3, "the switch was under way"
    assert (board.moves, board.moves_under_load) == (moves, 0)


def test_a_key_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard, terminal = os.openpty()
    stop, loop = Stop(), asyncio.new_event_loop()

    async def until_stopped() -> None:
        while stop.reason is None:  # noqa: ASYNC110 (what ends a run is no event of a loop)
            await asyncio.sleep(0.01)

    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with listening(stop, loop):
            os.write(keyboard, b"xq")
            loop.run_until_complete(asyncio.wait_for(until_stopped(), WITHIN_S))
    os.close(keyboard)
    loop.close()
    assert stop.reason == "stopped by a key"


def test_people_are_told_to_plug_in_before_it_begins(real: Real, tmp_path: Path) -> None:
    path = script(tmp_path)
    shown = hil("scenario", "--site", str(real.site), "--at-most", "2 s", str(path), answer="y\n\n")
    assert "Plug in id3 at carport, and press enter" in shown.err
    assert "stopped by the time limit" in shown.out


COMES = """\
title: A car comes, and leaves
start: 10:00
lasts: 3 s
site:
  grid: {fuse: 35 A}
  buses: {lan: {host: 192.0.2.40}}
  connectors: {carport: {profile: keba_p30_p40, bus: lan, phase_rotation: L1 L2 L3}}
cars: {id3: {at: carport, arrives: +1 s, leaves: +2 s}}
assert: [no contactor moves under load]
"""


def test_the_script_waits_for_people(real: Real, tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(COMES)
    real.point.state = "A"
    ready = plan(path, real)
    told: list[str] = []
    after(lambda: any("plug in" in line for line in told), lambda: setattr(real.point, "state", "B"))
    after(lambda: any("unplug" in line for line in told), lambda: setattr(real.point, "state", "A"))
    outcome = run_live(ready.scenario, ready.live(None, told.append))
    assert found(outcome) == {}
    assert told == [
        "plug in id3 at carport now; the script waits for it, at most 5 min",
        "carport shows state B: id3 is there, the script goes on",
        "unplug id3 from carport now; the script waits for it, at most 5 min",
        "carport shows state A: id3 has left, the script goes on",
        "carport: safe: limit 6 A",
    ]


def test_a_time_limit_ends_it_likewise(real: Real, tmp_path: Path) -> None:
    shown = hil("scenario", "--site", str(real.site), "--yes", "--at-most", "4 s", str(script(tmp_path)))
    assert shown.code == 1
    assert "stopped by the time limit of 4 s" in shown.out
    assert real.point.limit_A == 6.0


def test_it_shows_what_it_will_do_and_asks(real: Real, tmp_path: Path) -> None:
    shown = hil("scenario", "--site", str(real.site), str(script(tmp_path)), answer="n\n")
    assert shown.code == 1
    assert real.point.limit_A == 32.0, "switched without consent"
    limits = "pauses, and limits from 6 A to 25 A; phases stay; at the end its fallback of 6 A"
    where = f"unit 3 on {real.line.host}:{real.line.port}"
    for line in (
        f"real       carport: Alfen {ALFEN.models[0]}, {where}: state C, limit 32 A",
        "simulated  house",
        "simulated  drive",
        f"switches   carport: {limits}",
        "you        plug in id3 at carport when told; the script waits for it",
        "left out   carport is silent",
    ):
        assert f"  {line}\n" in shown.err


def test_one_that_does_not_answer_is_simulated(real: Real, tmp_path: Path) -> None:
    real.line.unplug()
    ready = plan(script(tmp_path), real)
    assert not ready.chargers
    assert any(line.startswith("simulated  carport: no answer from unit 3") for line in ready.words)
    assert len(ready.scenario.events) == 2, "what cannot be done to real ones can be done to it"


def test_a_real_fuse_that_carries_too_much_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_run, "OVERLOAD_S", 0.5)
    loaded = Reading(
        taken_at=0.0,
        current_A=(9.0, 44.0, 3.0),
        voltage_V=(230.0, 230.0, 230.0),
        power_W=(2070.0, 10120.0, 690.0),
        total_power_W=12880.0,
        energy_import_Wh=1e6,
        energy_export_Wh=0.0,
        frequency_Hz=50.0,
    )
    with serve_tcp({1: MeterDevice(METER, lambda: loaded)}) as line:
        site = tmp_path / "real.yaml"
        site.write_text(
            "grid: {fuse: 35 A, meter: house}\n"
            f"buses: {{shed: {{host: {line.host}, port: {line.port}}}}}\n"
            "meters: {house: {profile: siemens_pac2200_pac3120_pac3200, bus: shed, unit: 1}}\n"
        )
        scenario, real_site = load_scenario(script(tmp_path)), load_site(site)
        ready = plan_for(scenario, real_site, survey(scenario.site, real_site))
        outcome = run_live(ready.scenario, ready.live(WITHIN_S, print))
    assert found(outcome) == {
        "the scenario runs to its end": "stopped: house shows 44.0 A, its fuse has 35 A"
    }


def test_a_charger_that_holds_too_much_is_brought_to_its_fallback(real: Real) -> None:
    told: list[str] = []
    unsafe = asyncio.run(bring_to_safety({"carport": target_of_site(real.site, "carport")}, told.append))
    assert (unsafe, told) == ([], ["carport: safe: limit 6 A"])
    assert real.point.limit_A == 6.0


class OnlyPauses(WallboxDevice):
    """Refuses every limit but that of a pause."""

    def _accepts(self, value: Value) -> bool:
        return not value


def test_one_that_refuses_its_fallback_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe, "SHOWS_S", 0.02)
    point, told = Point(), list[str]()
    point.set_limit(32.0)
    with serve_tcp({1: OnlyPauses(ALFEN, point)}) as line:
        target = Target("carport", TcpLink(line.host, line.port), 1, ALFEN, fallback_A=6.0)
        unsafe = asyncio.run(bring_to_safety({"carport": target}, told.append))
    assert (unsafe, told, point.limit_A) == ([], ["carport: safe: paused"], 0.0)


def test_a_charger_of_which_nobody_knows_is_named(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe, "SHOWS_S", 0.02)
    real.line.unplug()
    (unsafe,) = asyncio.run(
        bring_to_safety({"carport": target_of_site(real.site, "carport")}, lambda _: None)
    )
    assert unsafe.startswith("carport does not answer")
    assert "switch it off by hand" in unsafe
