"""`hil check`: what is wrong with a station as a whole, before anything runs."""

from pathlib import Path

import pytest

from control.memory import ALLOCATION
from control.notices import Notices
from control.store import Store
from energy_management import ManagerState
from energy_management.state import EvseState
from tests.control.sample import RecordingLog
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


def check(directory: Path, config: str = CONFIG, site: str = SITE) -> Outcome:
    (directory / "config.yaml").write_text(config)
    (directory / "site.yaml").write_text(site)
    return hil("check", str(directory / "config.yaml"))


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("examples/*/config.yaml")), ids=lambda path: path.parent.name
)
def test_every_example_is_right(path: Path) -> None:
    outcome = hil("check", str(path))
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == "the configuration is right"


def test_what_is_right_is_said_with_what_is_worth_knowing(tmp_path: Path) -> None:
    outcome = check(tmp_path)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [
        (
            "note: grid: yard has no watchdog: it keeps its last limit if the manager dies; "
            "limit it in the charger itself to what is always safe"
        ),
        "the configuration is right",
    ]


WRONG = {  # what is changed in the configuration, what to, and what is said of it
    "an EVSE that nobody manages": (
        "[{module_id: garage, implementation_id: energy_grid}]",
        "[]",
        "garage: no energy manager has it: name it as energy_consumer of its fuse",
    ),
    "trunk and children at once": (
        "energy_consumer: [",
        "energy_trunk: [",
        "grid: energy_trunk is connected and so are children",
    ),
    "a module type that does not exist": (
        "module: SimEvse",
        "module: SimEvs",
        "unknown module type 'SimEvs'",
    ),
    "a module id that does not exist": (
        "module_id: garage",
        "module_id: garag",
        "no module 'garag' (did you mean 'garage'?), known: garage, grid",
    ),
    "a requirement that does not exist": (
        "energy_consumer:",
        "energy_consumers:",
        "PyEnergyManager has no such requirement (did you mean 'energy_consumer'?)",
    ),
    "an implementation of another interface": (
        "energy_consumer: [",
        "powermeter: [{module_id: garage, implementation_id: energy_grid}]\n      energy_consumer: [",
        "garage.energy_grid has interface 'energy', needed is 'powermeter'",
    ),
    "a requirement that must be connected and is not": (
        "  garage: {module: SimEvse}",
        "  garage: {module: SimEvse}\n  limits: {module: SimLimits}",
        "active_modules.limits.connections.sink: 0 connections, SimLimits needs 1 to 128",
    ),
    "a value of the wrong type": (
        "site_file: site.yaml",
        "site_file: site.yaml, update_interval: fast",
        "update_interval",
    ),
    "a site file that is not there": (
        "site_file: site.yaml",
        "site_file: none.yaml",
        "none.yaml: cannot be read",
    ),
    "a node without a fuse": (
        "site_file: site.yaml",
        "role: node",
        "grid: no fuse for this node: set fuse_limit_A",
    ),
    "a node that is not attached": (
        "site_file: site.yaml",
        "site_file: site.yaml, role: node",
        "grid: a node that is not attached: connect its energy_grid to a manager",
    ),
    "the fuse in two places": (
        "site_file: site.yaml",
        "site_file: site.yaml, fuse_limit_A: 32",
        "grid: fuse_limit_A is 32 A but grid.fuse of",
    ),
    "an EVSE on two feeders": (
        "  garage: {module: SimEvse}",
        "  garage: {module: SimEvse}\n"
        + SECOND.replace("drive", "garage").replace("  garage: {module: SimEvse}\n", "") % "fuse_limit_A: 16",
        "garage: hangs on grid and second at once: it can have one feeder only",
    ),
    "a manager below a manager": (
        "energy_consumer: [",
        "energy_consumer: [{module_id: second, implementation_id: energy_grid}, ",
        "second: decides by itself, so nothing comes from it; below grid it needs role: node",
    ),
    "one state file for two": (
        "site_file: site.yaml",
        "site_file: site.yaml, state_file: state.db",
        "second: state_file ",
    ),
    "one port for the metrics of two": (
        "site_file: site.yaml",
        "site_file: site.yaml, metrics_port: 9100",
        "second: metrics_port 9100 is that of grid already: each needs its own",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "problem"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_the_configuration(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    assert right in CONFIG
    second = SECOND % "fuse_limit_A: 16, state_file: state.db, metrics_port: 9100"
    with_second = CONFIG + second if problem.startswith("second") else CONFIG
    outcome = check(tmp_path, with_second.replace(right, wrong, 1))
    assert outcome.code == 1
    assert problem in outcome.err
    assert "Traceback" not in outcome.err


AT_20_A = "bus: lan, fallback_current: 20 A"
WRONG_SITE = {
    "an EVSE that does not exist": (
        "garage:",
        "garag:",
        "grid: evses.garag: no module of that name hangs on it (did you mean 'garage'?), known: garage",
    ),
    "two devices of one address": ("unit: 7", "unit: 1", "unit 1 on bus 'lan' is meters.house already"),
    "two buses that are one line": (
        "{lan: {host: 127.0.0.1}}",
        "{lan: {host: 127.0.0.1}, too: {host: 127.0.0.1, port: 502}}",
        "site.yaml:2 buses.too: 127.0.0.1:502 is buses.lan already; have all its devices there",
    ),
    "a meter that cannot guard a fuse": (
        "eastron_sdm630",
        "eastron_sdm72dm",
        "grid: the meter 'house' measures no current",
    ),
    "volts for amperes": (
        "fuse: 35 A",
        "fuse: 35 V",
        "site.yaml:1 grid.fuse: must be a number with a unit of A",
    ),
    "a node that feeds nothing": (
        "grid: {fuse: 35 A, meter: house}",
        "grid: {fuse: 35 A, meter: house}\nnodes: {cellar: {fuse: 16 A}}",
        "grid: nodes.cellar feeds nothing: name it as node of evses or connectors, or as parent of nodes",
    ),
    "fallbacks that a fuse does not carry": (
        "bus: lan, unit: 7, phase_rotation: L3 L1 L2}",
        f"{AT_20_A}, unit: 7}}, west: {{profile: phoenix_charx, {AT_20_A}, unit: 8}}",
        "grid: grid: the fallback_current of yard, west is 40 A together, its fuse 35 A",
    ),
    "a node that does not exist": (
        "phase_rotation: L1 L2 L3",
        "phase_rotation: L1 L2 L3, node: cellar",
        "evses.garage.node: unknown node 'cellar', known: grid",
    ),
    "a board that is not connected": (
        "bus: lan, unit: 7",
        "bus: lan, unit: 7, bsp: board",
        "grid: connectors.yard.bsp: 'board' is not connected as bsp, known: none",
    ),
    "a hub that is not connected": (
        "{host: 127.0.0.1}",
        "{everest_hub: true}",
        "grid: buses.lan is EVerest's serial hub: connect one as serial_hub",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "problem"), WRONG_SITE.values(), ids=WRONG_SITE)
def test_what_is_wrong_with_the_site_file(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    assert right in SITE
    outcome = check(tmp_path, site=SITE.replace(right, wrong))
    assert outcome.code == 1
    assert problem in outcome.err


RELAYS = "relays: {cabinet: {profile: waveshare_modbus_rtu_relay_d_8ch, bus: lan, unit: 9}}"
WORTH_KNOWING = {
    "a charger without a watchdog": ("", "", "grid: yard has no watchdog"),
    "a charger that measures no current": (
        "phoenix_charx",
        "mennekes_amtron_xtra_premium_hcc3",
        "grid: yard measures no current: a car that draws more than its limit is not noticed",
    ),
    "wiring that is not known": (
        "phase_rotation: L1 L2 L3",
        "priority: 1",
        "garage: its phase_rotation is not known, so it counts on all phases of grid: `hil wiring` finds it",
    ),
    "a fuse without a meter": (
        ", meter: house",
        "",
        "grid: grid has no meter: other loads behind it are not seen",
    ),
    "a meter that measures nothing": (", meter: house", "", "grid: meters.house measures nothing"),
    "a bus without devices": (
        "{lan: {host: 127.0.0.1}}",
        "{lan: {host: 127.0.0.1}, wan: {host: there}}",
        "grid: buses.wan has no device",
    ),
    "a broker that nobody uses": (
        "grid: {",
        "mqtt: {host: house}\ngrid: {",
        "grid: the site file has mqtt, which is without effect: set mqtt_api: true",
    ),
    "contactors and no state file": (
        "connectors: {yard: {",
        f"{RELAYS}\nconnectors: {{yard: {{contactors: {{board: cabinet, phases: 1}}, ",
        "grid: yard has contactors: name a state_file, so that a crash amid a switch is not forgotten",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "remark"), WORTH_KNOWING.values(), ids=WORTH_KNOWING)
def test_what_is_worth_knowing(tmp_path: Path, right: str, wrong: str, remark: str) -> None:
    assert right in SITE
    outcome = check(tmp_path, site=SITE.replace(right, wrong))
    assert outcome.code == 0, outcome.err
    assert f"note: {remark}" in outcome.out


def test_one_phase_chargers_on_phases_of_their_own_may_fall_back_together(tmp_path: Path) -> None:
    """Three of 20 A each are 20 A on each phase, if it is known which is which."""
    profile = (ROOT / "bsp/profiles/connectors/evse_din_wb.yaml").read_text()
    (tmp_path / "one_phase.yaml").write_text(f"{profile}phases: 1\n")
    site = "grid: {fuse: 35 A}\nbuses: {lan: {host: 127.0.0.1}}\nevses: {garage: {}}\nconnectors:\n"
    for unit, rotation in enumerate(("L1 L2 L3", "L2 L3 L1", "L3 L1 L2"), 1):
        more = f"unit: {unit}, phase_rotation: {rotation}"
        site += f"  c{unit}: {{profile: one_phase.yaml, {AT_20_A}, {more}}}\n"
    assert check(tmp_path, site=site).code == 0
    outcome = check(tmp_path, site=site.replace("L3 L1 L2", "L1 L2 L3"))
    assert "the fallback_current of c1, c2, c3 is 40 A together, its fuse 35 A" in outcome.err


@pytest.mark.parametrize(("more", "is_noted"), [("", True), (", tls: true", False)])
def test_a_password_that_everybody_can_read(tmp_path: Path, more: str, is_noted: bool) -> None:
    site = f"{SITE}mqtt: {{host: broker.example, username: me, password: secret{more}}}\n"
    outcome = check(tmp_path, CONFIG.replace("site.yaml", "site.yaml, mqtt_api: true"), site)
    assert outcome.code == 0, outcome.err
    told = "note: grid: mqtt: the password goes to broker.example for all to read: set tls: true"
    assert (told in outcome.out) == is_noted
    assert "secret" not in outcome.out


def test_one_device_in_the_site_files_of_two_instances(tmp_path: Path) -> None:
    (tmp_path / "second.yaml").write_text(
        "grid: {fuse: 16 A, meter: too}\nbuses: {b: {host: 127.0.0.1}}\n"
        "meters: {too: {profile: eastron_sdm630, bus: b}}\n"
    )
    outcome = check(tmp_path, CONFIG + SECOND % "site_file: second.yaml")
    assert outcome.code == 1
    assert outcome.err == "second: 127.0.0.1:502 unit 1 is that of grid already: each needs its own\n"


def test_a_serial_port_that_another_module_has(tmp_path: Path) -> None:
    module = tmp_path / "modules/SerialCommHub"
    module.mkdir(parents=True)
    (module / "module.py").touch()
    (module / "manifest.yaml").write_text(
        "description: A serial line\n"
        "config: {serial_port: {type: string, description: Its port}}\n"
        "provides: {main: {interface: serial_communication_hub, description: The line}}\n"
        "metadata: {license: 'https://opensource.org/licenses/Apache-2.0', authors: [the test]}\n"
    )
    hub = "  hub: {module: SerialCommHub, config_module: {serial_port: /dev/ttyUSB0}}\n"
    outcome = check(
        tmp_path,
        f"settings: {{modules_dir: modules}}\n{CONFIG}{hub}",
        SITE.replace("host: 127.0.0.1", "serial: /dev/ttyUSB0, baudrate: 9600, parity: N, stop_bits: 1"),
    )
    assert outcome.code == 1
    assert outcome.err == "hub: serial_port /dev/ttyUSB0 is that of grid already: each needs its own\n"


def test_an_evse_that_hangs_on_the_manager_without_a_fuse(tmp_path: Path) -> None:
    config = CONFIG.replace("energy_consumer", "energy_trunk").replace("{site_file: site.yaml}", "{}")
    outcome = check(tmp_path, config)
    assert outcome.code == 1
    assert "garage: no fuse between it and the grid" in outcome.err


def test_nodes_of_the_site_file_below_a_trunk(tmp_path: Path) -> None:
    config = CONFIG.replace("energy_consumer", "energy_trunk")
    outcome = check(tmp_path, config, "nodes: {cellar: {fuse: 16 A}}\nevses: {garage: {node: cellar}}\n")
    assert outcome.code == 1
    assert (
        "grid: energy_trunk is connected, which brings its own tree, and the site file has nodes"
        in outcome.err
    )


def test_a_branch_that_the_site_file_tears_apart(tmp_path: Path) -> None:
    """EVerest puts an EnergyNode above EVSEs whose limits OCPP sets; what hangs on it hangs together."""
    config = CONFIG.replace("module_id: garage", "module_id: sink") + (
        "  drive: {module: SimEvse}\n  sink:\n    module: EnergyNode\n"
        "    config_module: {fuse_limit_A: 32, phase_count: 3}\n"
        "    connections:\n      energy_consumer:\n"
        "        - {module_id: garage, implementation_id: energy_grid}\n"
        "        - {module_id: drive, implementation_id: energy_grid}\n"
    )
    nodes = "grid: {fuse: 35 A}\nnodes: {cellar: {fuse: 16 A}}\n"
    site = nodes + "evses: {garage: {node: cellar}, drive: {node: %s}}\n"
    assert check(tmp_path, config, site % "cellar").code == 0
    outcome = check(tmp_path, config, site % "grid")
    assert outcome.code == 1
    assert (
        "sink hangs on one node, but the site file has drive below grid, garage below cellar" in outcome.err
    )


def test_wiring_that_cars_have_shown_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE.replace("{phase_rotation: L1 L2 L3}", "{}"))
    path = tmp_path / "state.db"
    store = Store(path, RecordingLog(), Notices(RecordingLog()))
    state = ManagerState({"garage": EvseState(learnt_rotation="L2 L3 L1")})
    store.put_state(ALLOCATION, state.to_json())
    store.close()
    config = CONFIG.replace("site.yaml", "site.yaml, state_file: state.db")
    outcome = check(tmp_path, config, SITE.replace("{phase_rotation: L1 L2 L3}", "{}"))
    line = "garage: draws on L2 L3 L1; write phase_rotation: L2 L3 L1 into evses.garage of the site file"
    assert f"note: {line}" in outcome.out.splitlines()


def test_a_configuration_for_an_installation_of_everest(tmp_path: Path) -> None:
    """Its modules are in C++, and their manifests and interfaces in the installation."""
    prefix = tmp_path / "everest"
    module, interfaces = prefix / "libexec/everest/modules/Grinder", prefix / "share/everest/interfaces"
    for directory in (module, interfaces):
        directory.mkdir(parents=True)
    (interfaces / "grinder.yaml").write_text("description: Grinds\n")
    (module / "manifest.yaml").write_text(
        "description: Grinds\n"
        "provides: {main: {interface: grinder, description: Grinds}}\n"
        "metadata: {license: 'https://opensource.org/licenses/Apache-2.0', authors: [the test]}\n"
    )
    config = CONFIG + "  mill: {module: Grinder}\n"
    assert "unknown module type 'Grinder'" in check(tmp_path, config).err
    outcome = hil("check", str(tmp_path / "config.yaml"), "--prefix", str(prefix))
    assert outcome.code == 0, outcome.err


def test_a_site_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    *notes, last = hil("check", str(path)).out.splitlines()
    assert last == "the site file is right"
    assert [note.split(":")[:3] for note in notes] == [
        ["note", " site.yaml", " yard has no watchdog"],
    ]
    for right, wrong, problem in (
        ("bus: lan, unit", "bus: wan, unit", "unknown bus 'wan' (did you mean 'lan'?), known: lan"),
        ("35 A", "16 A", "the fallback_current of yard is 32 A together, its fuse 16 A"),
    ):
        path.write_text(SITE.replace("unit: 7", "unit: 7, fallback_current: 32 A").replace(right, wrong))
        outcome = hil("check", str(path))
        assert outcome.code == 1
        assert problem in outcome.err


def test_an_evse_that_hangs_nowhere_is_told_once(tmp_path: Path) -> None:
    outcome = check(tmp_path, CONFIG.replace("[{module_id: garage, implementation_id: energy_grid}]", "[]"))
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        "garage: no energy manager has it: name it as energy_consumer of its fuse"
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    outcome = hil("check", str(tmp_path / "none.yaml"))
    assert outcome.code == 1
    assert "none.yaml" in outcome.err
