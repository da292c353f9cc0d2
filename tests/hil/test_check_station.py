"""`hil check`: what only shows in a station as a whole, and what is worth knowing though nothing is wrong."""

from pathlib import Path

import pytest

from control.memory import ALLOCATION
from control.notices import Notices
from control.store import Store
from energy_management import ManagerState
from energy_management.state import EvseState
from tests.control.sample import RecordingLog
from tests.hil.station import AT_20_A, CONFIG, ROOT, SECOND, SITE, check

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


def test_an_evse_that_hangs_nowhere_is_told_once(tmp_path: Path) -> None:
    outcome = check(tmp_path, CONFIG.replace("[{module_id: garage, implementation_id: energy_grid}]", "[]"))
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        "garage: no energy manager has it: name it as energy_consumer of its fuse"
    ]
