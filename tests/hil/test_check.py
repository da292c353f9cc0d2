"""`hil check`: what is wrong with a station as a whole, before anything runs."""

from pathlib import Path

import pytest

from tests.hil.cli import Outcome, hil

ROOT = Path(__file__).resolve().parents[2]
SITE = """\
grid: {fuse: 35 A, meter: house}
buses: {lan: {host: 127.0.0.1}}
meters: {house: {profile: eastron_sdm630, bus: lan}}
connectors: {yard: {profile: phoenix_charx, bus: lan, unit: 7}}
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


def test_a_charger_without_watchdog_is_worth_a_note(tmp_path: Path) -> None:
    outcome = check(tmp_path)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [
        (
            "note: grid: yard has no watchdog: it keeps its last limit if the manager dies; "
            "limit it in the charger itself to what is always safe"
        ),
        "the configuration is right",
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("[{module_id: garage, implementation_id: energy_grid}]", "[]", "garage: no energy manager has it"),
        ("energy_consumer: [", "energy_trunk: [", "grid: energy_trunk is connected and so are children"),
        ("module: SimEvse", "module: SimEvs", "unknown module type 'SimEvs'"),
        ("site_file: site.yaml", "site_file: none.yaml", "none.yaml: cannot be read"),
        ("site_file: site.yaml", "role: node", "grid: no fuse for this node: set fuse_limit_A"),
    ],
)
def test_what_is_wrong_with_the_configuration(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    assert right in CONFIG
    outcome = check(tmp_path, CONFIG.replace(right, wrong))
    assert outcome.code == 1
    assert problem in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("garage:", "garag:", "grid: evses.garag: no module of that name, known: garage, grid"),
        ("unit: 7", "unit: 1", "unit 1 on bus 'lan' is meters.house already"),
        ("eastron_sdm630", "eastron_sdm72dm", "grid: the meter 'house' measures no current"),
        ("fuse: 35 A", "fuse: 35 V", "site.yaml:1 grid.fuse"),
    ],
)
def test_what_is_wrong_with_the_site_file(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    assert right in SITE
    outcome = check(tmp_path, site=SITE.replace(right, wrong))
    assert outcome.code == 1
    assert problem in outcome.err


def test_an_evse_on_two_feeders(tmp_path: Path) -> None:
    second = CONFIG + (
        "  second:\n    module: PyEnergyManager\n    config_module: {fuse_limit_A: 16}\n"
        "    connections: {energy_consumer: [{module_id: garage, implementation_id: energy_grid}]}\n"
    )
    outcome = check(tmp_path, second)
    assert outcome.code == 1
    assert "garage: hangs on grid and second at once" in outcome.err


def test_an_evse_that_hangs_on_the_manager_without_a_fuse(tmp_path: Path) -> None:
    config = CONFIG.replace("energy_consumer", "energy_trunk").replace("{site_file: site.yaml}", "{}")
    outcome = check(tmp_path, config)
    assert outcome.code == 1
    assert "garage: no fuse between it and the grid" in outcome.err


def test_an_evse_of_unknown_rotation_and_a_fuse_without_meter_are_worth_a_note(tmp_path: Path) -> None:
    outcome = check(tmp_path, site="grid: {fuse: 35 A}\n")
    assert outcome.code == 0, outcome.err
    assert "garage: its phase_rotation is not known" in outcome.out
    assert "grid has no meter" in outcome.out


def test_a_site_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    assert hil("check", str(path)).out == "the site file is right\n"
    path.write_text(SITE.replace("bus: lan, unit", "bus: wan, unit"))
    outcome = hil("check", str(path))
    assert outcome.code == 1
    assert "unknown bus 'wan', known: lan" in outcome.err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    outcome = hil("check", str(tmp_path / "none.yaml"))
    assert outcome.code == 1
    assert "none.yaml" in outcome.err
