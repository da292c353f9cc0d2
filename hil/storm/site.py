"""The site of the storm: a meter and six chargers on one RS-485 line, three on TCP, all simulated."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bsp.profile import connector_profile, meter_profile
from energy_management.measurement import Reading, Vector3
from hil.devices import MeterDevice, PtyLine, RegisterDevice, TcpLine, WallboxDevice, serve_rtu_pty, serve_tcp

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
GRID_FUSE_A = 80.0
LOT_FUSE_A = 40.0
"""Sub-fuse of the chargers on TCP."""
FALLBACK_A = 60.0
"""For the chargers while the meter is silent."""
MAX_CURRENT_A = 16.0
_VOLTAGE_V: Vector3 = (230.0, 230.0, 230.0)


class Car:
    """A charging point whose car draws on three phases what it is offered, while there is one.

    Attributes
    ----------
    is_there : bool
        Whether a car is connected.
    limit_A : float
        What it is offered.
    is_driven : bool
        Whether the charger was paused once: before, it does as it left the factory.
    """

    voltage_V = _VOLTAGE_V
    energy_Wh = 1000.0

    def __init__(self) -> None:
        self.is_there = False
        self.limit_A = 0.0
        self.is_driven = False

    @property
    def state(self) -> str:
        """IEC 61851 state."""
        if not self.is_there:
            return "A"
        return "C" if self.limit_A else "B"

    @property
    def current_A(self) -> Vector3:
        """Current per phase."""
        return (self.limit_A,) * 3 if self.is_there else (0.0, 0.0, 0.0)

    def set_limit(self, current_A: float) -> None:
        """Offer this current."""
        self.limit_A = current_A
        self.is_driven = self.is_driven or current_A == 0


@dataclass
class StormSite:
    """All that is simulated.

    Attributes
    ----------
    cars : mapping of connector to Car
        The charging points.
    devices : mapping of name to RegisterDevice
        Meter and chargers.
    lines : mapping of bus to line
        The RS-485 line and the TCP hosts.
    house_A : float
        What else is drawn, on each phase.
    """

    cars: Mapping[str, Car]
    devices: Mapping[str, RegisterDevice]
    lines: Mapping[str, PtyLine | TcpLine]
    house_A: float = 5.0

    def offered_A(self, connectors: tuple[str, ...]) -> float:
        """Sum of what connectors offer, whether there is a car or not."""
        return sum(self.cars[name].limit_A for name in connectors)


@contextmanager
def storm_site() -> Iterator[StormSite]:
    """Serve the site's devices."""
    cars = {name: Car() for name in (*ON_THE_LINE, *ON_TCP)}
    devices: dict[str, RegisterDevice] = {
        name: WallboxDevice(connector_profile(name), car) for name, car in cars.items()
    }
    lines: dict[str, PtyLine | TcpLine] = {}
    site = StormSite(cars, devices, lines)
    devices["grid"] = MeterDevice(meter_profile(METER), lambda: _measured(site))
    with ExitStack() as stack:
        units = {1: devices["grid"], **{n: devices[name] for n, name in enumerate(ON_THE_LINE, start=2)}}
        lines["rs485"] = stack.enter_context(serve_rtu_pty(units))
        for name in ON_TCP:
            lines[name] = stack.enter_context(serve_tcp({1: devices[name]}))
        yield site


def write_site_file(site: StormSite, path: Path) -> None:
    """Describe the site as an installer would."""
    connectors: dict[str, object] = {
        name: {"profile": name, "bus": "rs485", "unit": unit}
        for unit, name in enumerate(ON_THE_LINE, start=2)
    }
    connectors |= {name: {"profile": name, "bus": name, "unit": 1, "node": "lot"} for name in ON_TCP}
    for connector in connectors.values():
        assert isinstance(connector, dict)
        connector |= {"max_current": MAX_CURRENT_A, "phase_rotation": "L1 L2 L3", "every": "500 ms"}
    content = {
        "grid": {"fuse": GRID_FUSE_A, "meter": "grid", "fallback": FALLBACK_A},
        "nodes": {"lot": {"fuse": LOT_FUSE_A}},
        "buses": {name: _bus(line) for name, line in site.lines.items()},
        "meters": {"grid": {"profile": METER, "bus": "rs485", "unit": 1, "every": "500 ms"}},
        "connectors": connectors,
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def _bus(line: PtyLine | TcpLine) -> dict[str, object]:
    if isinstance(line, TcpLine):
        return {"host": line.host, "port": line.port, "timeout": "200 ms"}
    return {"serial": line.path, "baudrate": 9600, "parity": "N", "stop_bits": 1, "timeout": "100 ms"}


def _measured(site: StormSite) -> Reading:
    cars_A = sum(car.current_A[0] for car in site.cars.values())
    total_A = cars_A + site.house_A
    power_W = total_A * _VOLTAGE_V[0]
    return Reading(
        taken_at=0.0,
        current_A=(total_A,) * 3,
        voltage_V=_VOLTAGE_V,
        power_W=(power_W,) * 3,
        total_power_W=3 * power_W,
        energy_import_Wh=1000.0,
        energy_export_Wh=0.0,
        frequency_Hz=50.0,
    )
