"""`hil check`: what is right, and what is wrong with a configuration or its site file."""

from pathlib import Path

import pytest

from tests.hil.cli import hil
from tests.hil.station import AT_20_A, CONFIG, ROOT, SECOND, SITE, check


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
        ("bus: lan, unit", "bus: wan, unit", "unknown bus 'wan', known: lan"),
        ("35 A", "16 A", "the fallback_current of yard is 32 A together, its fuse 16 A"),
    ):
        path.write_text(SITE.replace("unit: 7", "unit: 7, fallback_current: 32 A").replace(right, wrong))
        outcome = hil("check", str(path))
        assert outcome.code == 1
        assert problem in outcome.err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    outcome = hil("check", str(tmp_path / "none.yaml"))
    assert outcome.code == 1
    assert "none.yaml" in outcome.err
