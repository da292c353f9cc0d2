"""The site of the storm: meter, relay board and six chargers on one line, three on TCP, all simulated."""

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bsp.profile import ConnectorProfile, connector_profile, meter_profile
from bsp.relay_profile import relay_profile
from energy_management.measurement import Reading, Vector3
from hil.devices import (
    MeterDevice,
    PtyLine,
    RegisterDevice,
    RelayBoardDevice,
    TcpLine,
    WallboxDevice,
    serve_rtu_pty,
    serve_tcp,
)
from hil.plant.site import Rotation, total
from hil.storm.car import VOLTAGE_V, Car, Contact
from hil.storm.judge import Judge

METER = "eastron_sdm630"
ON_THE_LINE = (
    "heidelberg_energy_control",
    "evse_din_wb",
    "smartevse_v2_v3_modbus",
    "phoenix_ev_cc_ac1_m_ser",
    "mennekes_amtron_compact_2s",
    "obo_ion",
)
ON_TCP = ("alfen_eve", "keba_p30_p40", "webasto_next")
BOARD = "waveshare_modbus_rtu_relay_d_8ch"
CONTACTORS: Mapping[str, Mapping[Contact, int]] = {
    "heidelberg_energy_control": {"main": 1, "phases": 2},
    "webasto_next": {"main": 3, "phases": 4},
}
"""Relays, and inputs with the feedback, of the contactors before connectors that cannot switch phases."""
GRID_FUSE_A = 80.0
LOT_FUSE_A = 40.0
"""Sub-fuse of the chargers on TCP."""
FALLBACK_A = 60.0
"""For the chargers while the meter is silent."""
MAX_CURRENT_A = 16.0
HOLD_OFF_S = 20.0
"""Between two switches of contactors; far less than anybody would want."""
FLICKER_A = 0.1
"""What the house draws is never twice the same, as in any house."""
FUSES: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "grid": (GRID_FUSE_A, (*ON_THE_LINE, *ON_TCP)),
    "lot": (LOT_FUSE_A, ON_TCP),
}
_ROTATIONS: tuple[tuple[str, Rotation], ...] = (
    ("L1 L2 L3", (0, 1, 2)),
    ("L2 L3 L1", (1, 2, 0)),
    ("L3 L1 L2", (2, 0, 1)),
)


@dataclass
class StormSite:
    """All that is simulated.

    Attributes
    ----------
    cars : mapping of connector to Car
        The charging points.
    devices : mapping of name to RegisterDevice
        Meter, chargers and relay board.
    board : RelayBoardDevice
        The relay board.
    lines : mapping of bus to line
        The RS-485 line and the TCP hosts.
    judge : Judge
        Looks at it all the time.
    house_A : float
        What else is drawn, on each phase.
    """

    cars: Mapping[str, Car]
    devices: Mapping[str, RegisterDevice]
    board: RelayBoardDevice
    lines: Mapping[str, PtyLine | TcpLine]
    judge: Judge
    house_A: float = 5.0

    def jam(self, name: str, contact: Contact) -> None:
        """Let a contactor stay where it is, whatever its relay does."""
        self.board.stuck.add(CONTACTORS[name][contact])

    def cut_power_of_board(self) -> None:
        """Take the power from the relay board for a moment."""
        self.board.power_cycle()
        self._show_contacts()

    def repair(self) -> list[str]:
        """Repair what is jammed, with no car there; gives the connectors."""
        bad = [name for name, relays in CONTACTORS.items() if self.board.stuck & set(relays.values())]
        for name in bad:
            self.cars[name].is_there = False
        self.board.repair()
        self._show_contacts()
        return bad

    def _show_contacts(self) -> None:
        for name, relays in CONTACTORS.items():
            for contact, relay in relays.items():
                self.cars[name].move(contact, closed=self.board.contacts[relay], is_ordered=False)


@contextmanager
def storm_site() -> Iterator[StormSite]:
    """Serve the site's devices."""
    judge = Judge(FUSES, MAX_CURRENT_A)
    judge.cars = cars = _cars(judge)
    board = RelayBoardDevice(relay_profile(BOARD), lambda relay, closed: _obey(cars, relay, closed=closed))
    devices: dict[str, RegisterDevice] = {
        name: WallboxDevice(connector_profile(name), car) for name, car in cars.items()
    }
    lines: dict[str, PtyLine | TcpLine] = {}
    site = StormSite(cars, devices, board, lines, judge)
    site.cut_power_of_board()  # which begins without
    devices |= {"grid": MeterDevice(meter_profile(METER), lambda: _measured(site)), "cabinet": board}
    with ExitStack() as stack:
        on_the_line = ("grid", *ON_THE_LINE, "cabinet")
        units = {unit: devices[name] for unit, name in enumerate(on_the_line, start=1)}
        lines["rs485"] = stack.enter_context(serve_rtu_pty(units))
        for name in ON_TCP:
            lines[name] = stack.enter_context(serve_tcp({1: devices[name]}))
        yield site


def write_site_file(site: StormSite, path: Path) -> None:
    """Describe the site as an installer would."""
    line, first = "rs485", 2
    buses = {name: (line, unit) for unit, name in enumerate(ON_THE_LINE, start=first)}
    buses |= {name: (name, 1) for name in ON_TCP}
    connectors = {}
    for number, (name, (bus, unit)) in enumerate(buses.items()):
        connectors[name] = {
            "profile": name,
            "bus": bus,
            "unit": unit,
            "node": "lot" if name in ON_TCP else "grid",
            "max_current": MAX_CURRENT_A,
            "phase_rotation": _ROTATIONS[number % 3][0],
            "every": "500 ms",
            **({"contactors": _contactors(name)} if name in CONTACTORS else {}),
        }
    content = {
        "grid": {"fuse": GRID_FUSE_A, "meter": "grid", "fallback": FALLBACK_A},
        "nodes": {"lot": {"fuse": LOT_FUSE_A}},
        "buses": {name: _bus(line) for name, line in site.lines.items()},
        "meters": {"grid": {"profile": METER, "bus": line, "unit": 1, "every": "500 ms"}},
        "relays": {"cabinet": {"profile": BOARD, "bus": line, "unit": first + len(ON_THE_LINE)}},
        "connectors": connectors,
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def _cars(judge: Judge) -> dict[str, Car]:
    nature = threading.RLock()
    cars = {}
    for number, name in enumerate((*ON_THE_LINE, *ON_TCP)):
        has_main = name in CONTACTORS
        on_move = judge.moves if has_main or _is_sequenced_by_us(connector_profile(name)) else None
        cars[name] = Car(
            _ROTATIONS[number % 3][1], nature, judge.look, on_move, has_main=has_main, seed=number
        )
    return cars


def _is_sequenced_by_us(profile: ConnectorProfile) -> bool:
    return profile.phase_switching is not None and profile.phase_switching.sequenced_by == "manager"


def _obey(cars: Mapping[str, Car], relay: int, *, closed: bool) -> None:
    """Move the contact that a relay drives."""
    for name, relays in CONTACTORS.items():
        for contact, number in relays.items():
            if number == relay:
                cars[name].move(contact, closed=closed)


def _contactors(name: str) -> dict[str, object]:
    relays = CONTACTORS[name]
    return {
        "board": "cabinet",
        "main": relays["main"],
        "main_feedback": relays["main"],
        "phases": relays["phases"],
        "phases_feedback": relays["phases"],
        "hold_off": HOLD_OFF_S,
    }


def _bus(line: PtyLine | TcpLine) -> dict[str, object]:
    if isinstance(line, TcpLine):
        return {"host": line.host, "port": line.port, "timeout": "200 ms"}
    return {"serial": line.path, "baudrate": 9600, "parity": "N", "stop_bits": 1, "timeout": "100 ms"}


def _measured(site: StormSite) -> Reading:
    flicker_A = site.house_A + random.uniform(0.0, FLICKER_A)
    house_A: Vector3 = (flicker_A, flicker_A, flicker_A)
    one, two, three = total([house_A, *(car.grid_A for car in site.cars.values())])
    power_W: Vector3 = (one * VOLTAGE_V[0], two * VOLTAGE_V[1], three * VOLTAGE_V[2])
    return Reading(
        taken_at=0.0,
        current_A=(one, two, three),
        voltage_V=VOLTAGE_V,
        power_W=power_W,
        total_power_W=sum(power_W),
        energy_import_Wh=1000.0,
        energy_export_Wh=0.0,
        frequency_Hz=50.0,
    )
