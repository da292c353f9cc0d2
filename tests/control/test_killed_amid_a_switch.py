"""The process is killed while contactors are being switched; the next one brings them to one phase first."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bsp.profile import connector_profile, meter_profile
from bsp.relay_profile import relay_profile
from energy_management.measurement import Reading, Vector3
from hil.devices import MeterDevice, RelayBoardDevice, WallboxDevice, serve_tcp
from tests.patience import WITHIN_S

ROOT = Path(__file__).parents[2]
BOARD, CHARGER, METER = "waveshare_modbus_rtu_relay_d_8ch", "phoenix_em_cp_pp_eth", "eastron_sdm630"
MAIN, PHASES = 1, 2


class Cabinet:
    """A charger, a meter, and a board with a main contactor and one for L2 and L3, which tell their moves."""

    voltage_V: Vector3 = (230.0, 230.0, 230.0)
    energy_Wh = 0.0

    def __init__(self) -> None:
        self.limit_A = 0.0
        self.moves: list[str] = []
        self.stops_after = ""
        self.moved = threading.Condition()
        self.board = RelayBoardDevice(relay_profile(BOARD), self.on_move)
        self.board.relays.update({MAIN: True, PHASES: True})
        self.board.contacts.update({MAIN: True, PHASES: True})

    @property
    def state(self) -> str:
        return "C" if self.current_A[0] else "B"

    @property
    def current_A(self) -> Vector3:
        drawn_A = self.limit_A if self.board.contacts[MAIN] else 0.0
        others_A = drawn_A if self.board.contacts[PHASES] else 0.0
        return drawn_A, others_A, others_A

    def set_limit(self, current_A: float) -> None:
        self.limit_A = current_A

    def measure(self) -> Reading:
        return Reading(0.0, current_A=self.current_A, total_power_W=0.0, energy_import_Wh=1.0)

    def on_move(self, number: int, closed: bool) -> None:
        with self.moved:
            under_load = " under load" if self.limit_A else ""
            which = "main" if number == MAIN else "phases"
            self.moves.append(f"{which} {'closes' if closed else 'opens'}{under_load}")
            if self.moves[-1] == self.stops_after:  # whatever is asked next is not done
                self.board.faults.silent = True
            self.moved.notify_all()

    def wait_for(self, moves: list[str]) -> None:
        with self.moved:
            assert self.moved.wait_for(lambda: len(self.moves) >= len(moves), WITHIN_S), self.moves
            assert self.moves == moves


@contextmanager
def running(site_file: Path, state_file: Path, phases: int) -> Iterator[Callable[[], None]]:
    """Run a site; gives what kills it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "tests.control.site_process",
        str(site_file),
        str(state_file),
        str(phases),
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)

    def kill() -> None:
        process.kill()
        process.wait(WITHIN_S)

    try:
        yield kill
    finally:
        kill()


def test_contacts_are_brought_to_one_phase_before_anything_else(tmp_path: Path) -> None:
    cabinet = Cabinet()
    devices = {
        1: WallboxDevice(connector_profile(CHARGER), cabinet),
        2: MeterDevice(meter_profile(METER), cabinet.measure),
        3: cabinet.board,
    }
    state_file, site_file = tmp_path / "state.json", tmp_path / "site.yaml"
    with serve_tcp(devices) as line:
        site_file.write_text(
            f"""
grid: {{fuse: 35 A}}
buses: {{lan: {{host: {line.host}, port: {line.port}, timeout: 300 ms}}}}
meters: {{carport: {{profile: {METER}, bus: lan, unit: 2, every: 200 ms}}}}
relays: {{cabinet: {{profile: {BOARD}, bus: lan, unit: 3}}}}
connectors:
  carport:
    {{profile: {CHARGER}, bus: lan, unit: 1, meter: carport, every: 200 ms,
     contactors: {{board: cabinet, phases: {PHASES}, phases_feedback: {PHASES},
                  main: {MAIN}, main_feedback: {MAIN}}}}}
"""
        )
        cabinet.stops_after = "main opens"
        with running(site_file, state_file, phases=1) as kill:
            cabinet.wait_for(["main opens"])
            kill()
        cabinet.stops_after, cabinet.board.faults.silent = "", False
        assert not cabinet.board.contacts[MAIN]
        assert cabinet.board.contacts[PHASES], "it was killed before it could select one phase"

        with running(site_file, state_file, phases=3):
            cabinet.wait_for(["main opens", "phases opens", "main closes"])
            assert wait_until(lambda: kept_of_contacts(state_file) == (1, None))


def kept_of_contacts(state_file: Path) -> tuple[int, str | None]:
    """What is kept of the carport's contactors: phases and fault."""
    with closing(sqlite3.connect(state_file)) as database:
        (document,) = database.execute("SELECT document FROM state WHERE part = 'phases'").fetchone()
    stored = json.loads(document)["carport"]
    return stored["phases"], stored["fault"]


def wait_until(is_so: Callable[[], bool]) -> bool:
    pause, tries = threading.Event(), round(WITHIN_S / 0.05)
    return any(is_so() or pause.wait(0.05) for _ in range(tries))
