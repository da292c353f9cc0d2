"""A small station for `hil check`: one instance, an EVSE of EVerest and a wallbox on Modbus."""

from pathlib import Path

from tests.hil.cli import Outcome, hil

ROOT = Path(__file__).resolve().parents[2]
SITE = """\
grid: {fuse: 35 A, meter: house}
buses: {lan: {host: 127.0.0.1}}
meters: {house: {profile: eastron_sdm630, bus: lan}}
connectors: {yard: {profile: phoenix_charx, bus: lan, unit: 7, phase_rotation: L3 L1 L2}}
evses: {garage: {phase_rotation: L1 L2 L3}}
"""
CONFIG = """\
active_modules:
  grid:
    module: PyEnergyManager
    config_module: {site_file: site.yaml}
    connections:
      energy_consumer: [{module_id: garage, implementation_id: energy_grid}]
  garage: {module: SimEvse}
"""
SECOND = """\
  second:
    module: PyEnergyManager
    config_module: {%s}
    connections: {energy_consumer: [{module_id: drive, implementation_id: energy_grid}]}
  drive: {module: SimEvse}
"""
AT_20_A = "bus: lan, fallback_current: 20 A"


def check(directory: Path, config: str = CONFIG, site: str = SITE) -> Outcome:
    (directory / "config.yaml").write_text(config)
    (directory / "site.yaml").write_text(site)
    return hil("check", str(directory / "config.yaml"))
