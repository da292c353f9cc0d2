"""The site file, as an installer writes it, and what he is told when it is wrong."""

import json
from pathlib import Path
from textwrap import dedent

import jsonschema
import pytest
import yaml

from bsp.bridge import ContactorConfig
from bsp.hub import HubLink
from bsp.relays import Contactor
from bsp.transport import SerialLink, TcpLink
from control import site_schema
from control.installation import Installation, installation
from control.settings import Settings, SettingsError
from control.site_file import SiteError, load_site
from control.site_schema import json_schema
from energy_management import ManagerConfig, NodeAttributes

SITE = """\
    grid:
      fuse: 35 A
      meter: house
      reserve: 1 A
      stale_after: 10 s
    nodes:
      garage: {fuse: 25 A, max_unbalance: 20 A}
    buses:
      rs485: {serial: /dev/serial/by-id/usb-adapter, baudrate: 19200, parity: E, stop_bits: 1}
      lan: {host: charger.local, timeout: 500 ms}
    meters:
      house: {profile: eastron_sdm630, bus: rs485, unit: 1}
    connectors:
      carport:
        profile: heidelberg_energy_control
        bus: rs485
        unit: 2
        node: garage
        phase_rotation: L2 L3 L1
        priority: 1
        fallback_current: 6 A
      drive: {profile: alfen_eve, bus: lan, max_current: 20 A}
    evses:
      evse_manager_1: {phase_rotation: L3 L1 L2, weight: 2}
    """


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str) -> Path:
        path = tmp_path / "site.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


def installed(path: Path) -> Installation:
    return installation(Settings.from_config("site", {"site_file": str(path)}), load_site(path))


def problems(path: Path) -> list[str]:
    with pytest.raises(SiteError) as caught:
        load_site(path)
    return str(caught.value).splitlines()


def test_a_whole_site_is_read(write) -> None:  # type: ignore[no-untyped-def]
    site = load_site(write(SITE))
    assert site.grid is not None
    assert (site.grid.fuse, site.grid.reserve, site.grid.stale_after) == (35.0, 1.0, 10.0)
    assert site.nodes["garage"].parent == "grid"
    assert site.nodes["garage"].max_unbalance == 20.0
    assert site.buses["rs485"] == SerialLink("/dev/serial/by-id/usb-adapter", 19200, "E", 1, 0.5)
    assert site.buses["lan"] == TcpLink("charger.local", 502, "tcp", 0.5)
    assert site.bridged_meters["house"].unit == 1
    carport, drive = site.bridged_connectors["carport"], site.bridged_connectors["drive"]
    assert (carport.unit, carport.maximum_A, carport.fallback_A) == (2, 16.0, 6.0)
    assert (drive.unit, drive.maximum_A, drive.fallback_A) == (1, 20.0, 0.0)
    assert site.connectors["carport"].phase_rotation == "L2 L3 L1"
    assert site.evses["evse_manager_1"].weight == 2.0


RELAYS = """\
    buses: {rs485: {serial: /dev/ttyUSB0}}
    relays: {cabinet: {profile: waveshare_modbus_rtu_relay_d_8ch, bus: rs485, unit: 9}}
    connectors:
      carport:
        profile: evse_din_wb
        bus: rs485
        unit: 2
        contactors: {board: cabinet, phases: 2, phases_feedback: 2, main: 1, main_feedback: 1}
    """


def test_contactors_make_a_connector_switch_phases(write) -> None:  # type: ignore[no-untyped-def]
    site = load_site(write(RELAYS))
    assert site.bridged_relays["cabinet"].unit == 9
    carport = site.bridged_connectors["carport"]
    assert carport.contactors == ContactorConfig("cabinet", Contactor(2, 2), Contactor(1, 1))
    assert carport.capabilities.supports_changing_phases
    assert carport.capabilities.min_phase_count == 1


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("board: cabinet", "board: closet", "board: unknown relay board 'closet', known: cabinet"),
        ("phases: 2", "phases: 9", "phases: the board has relays 1 to 8"),
        (
            "_8ch",
            "_9ch",
            "relays.cabinet.profile: no profile 'waveshare_modbus_rtu_relay_d_9ch' (did you mean",
        ),
        ("relay_d_8ch", "relay_8ch", "main_feedback: the board has 0 inputs"),
        ("unit: 9", "unit: 2", "relays.cabinet.unit: unit 2 on bus 'rs485' is connectors.carport already"),
    ],
)
def test_wrong_contactors_are_told(write, right: str, wrong: str, problem: str) -> None:  # type: ignore[no-untyped-def]
    told = problems(write(RELAYS.replace(right, wrong)))
    assert any(problem in line for line in told), told


def test_what_is_not_said_of_sharing_and_meters_is_as_the_allocation_has_it(write) -> None:  # type: ignore[no-untyped-def]
    plain = installed(write("grid: {fuse: 35 A}"))
    assert plain.engine == ManagerConfig()
    assert plain.site.nodes["site"] == NodeAttributes()


def test_how_limits_follow_cars_and_meters_can_be_set(write) -> None:  # type: ignore[no-untyped-def]
    place = installed(
        write("""\
            grid:
              fuse: 35 A
              frozen_after: 2 min
              stable_after: 30 s
              base_load_falls_after: 500 ms
              counts_generation: true
            sharing: {rise_interval: 10 s, deadband: 1 A, unused_after: 1 min, unused_margin: 3 A}
            """)
    )
    assert place.site.nodes["site"] == NodeAttributes(
        frozen_after_s=120, stable_after_s=30, base_load_falls_after_s=0.5, counts_generation=True
    )
    assert place.engine == ManagerConfig(
        rise_interval_s=10, deadband_A=1, unused_after_s=60, unused_margin_A=3
    )


def test_two_meters_of_the_grid_are_refused(write) -> None:  # type: ignore[no-untyped-def]
    path = write(SITE)
    settings = Settings.from_config("site", {"site_file": str(path)})
    with pytest.raises(SettingsError, match="the grid has one meter, leave one of them out"):
        installation(settings, load_site(path), has_powermeter=True)


def test_an_empty_part_of_the_file_is_fine(write) -> None:  # type: ignore[no-untyped-def]
    assert load_site(write("grid: {fuse: 35}")).connectors == {}


@pytest.mark.parametrize(
    ("written", "is_read_as"),
    [("35 A", 35.0), ("35", 35.0), ("35A", 35.0), ("35000 mA", 35.0), ("34.5 A", 34.5)],
)
def test_quantities_read_naturally(write, written: str, is_read_as: float) -> None:  # type: ignore[no-untyped-def]
    grid = load_site(write(f"grid: {{fuse: {written}}}")).grid
    assert grid is not None
    assert grid.fuse == pytest.approx(is_read_as)


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        (
            "bus: lan",
            "bus: lna",
            "site.yaml:22 connectors.drive.bus: unknown bus 'lna', known: rs485, lan",
        ),
        (
            "priority: 1",
            "priorty: 1",
            "site.yaml:20 connectors.carport.priorty: unknown key (did you mean 'priority'?)",
        ),
        (
            "fuse: 35 A",
            "fuse: 35 V",
            "site.yaml:2 grid.fuse: must be a number with a unit of A, mA (e.g. '10 A'), not '35 V'",
        ),
        ("fuse: 35 A", "fuse: -1 A", "site.yaml:2 grid.fuse: must be float >= 0.0, not '-1 A'"),
        ("  fuse: 35 A", "  phases: 3", "site.yaml:1 grid.fuse: missing"),
        ("meter: house", "meter: hose", "site.yaml:3 grid.meter: unknown meter 'hose', known: house"),
        (
            "node: garage",
            "node: cellar",
            "site.yaml:18 connectors.carport.node: unknown node 'cellar', known: grid, ",
        ),
        (
            "phase_rotation: L2 L3 L1",
            "phase_rotation: L2 L3",
            "site.yaml:19 connectors.carport.phase_rotation: must be one of L1 L2 L3, L2 L3 L1, ",
        ),
        (
            "profile: alfen_eve",
            "profile: alfen_ev",
            "site.yaml:22 connectors.drive.profile: no profile 'alfen_ev' (did you mean 'alfen_eve'?), ",
        ),
        (
            "unit: 2",
            "unit: 1",
            "site.yaml:17 connectors.carport.unit: unit 1 on bus 'rs485' is meters.house already",
        ),
        ("unit: 2", "unit: 0", "site.yaml:17 connectors.carport.unit: must be int >= 1, not 0"),
        (
            "max_current: 20 A",
            "max_current: 64 A",
            "site.yaml:22 connectors.drive.max_current: the charger takes 6 A to 32 A",
        ),
        (
            "fallback_current: 6 A",
            "fallback_current: 5 A",
            "site.yaml:21 connectors.carport.fallback_current: must be 0 A (pause) or 6 A to 16 A",
        ),
        (
            "weight: 2",
            "node: cellar",
            "site.yaml:24 evses.evse_manager_1.node: unknown node 'cellar', known: grid, garage",
        ),
        ("reserve: 1 A", "reserve: 36 A", "site.yaml:4 grid.reserve: 36 A is more than the fuse of 35 A"),
        (
            "serial: /dev/serial/by-id/usb-adapter",
            "host: x",
            "site.yaml:9 buses.rs485: baudrate, parity and stop_bits belong to a serial line, not to a host",
        ),
        (
            "serial: /dev/serial/by-id/usb-adapter, ",
            "",
            "site.yaml:9 buses.rs485: needs one of 'serial' (a port), 'host' (a TCP host) and ",
        ),
        (
            "lan: {host: charger.local, timeout: 500 ms}",
            "lan: {serial: /dev/serial/by-id/usb-adapter}",
            "site.yaml:10 buses.lan: /dev/serial/by-id/usb-adapter is buses.rs485 already; ",
        ),
        (
            ", baudrate: 19200, parity: E, stop_bits: 1",
            "",
            "site.yaml:9 buses.rs485: its devices have different factory settings; ",
        ),
        (
            "bus: lan, max",
            "bus: lan, number: 2, max",
            "site.yaml:22 connectors.drive.number: profile 'alfen_eve' has one connector only",
        ),
        (
            "evse_manager_1",
            "drive",
            "site.yaml:24 evses.drive: is a connector, too; give its attributes there",
        ),
        (
            "max_unbalance: 20 A",
            "parent: garage",
            "site.yaml:7 nodes.garage.parent: goes round in a circle and never reaches the grid",
        ),
        (
            "  lan:",
            "  rs485:",
            "site.yaml:10 buses.rs485: given twice",
        ),
        ("buses:", "buses: [", "site.yaml:10: not YAML: "),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(write, right: str, wrong: str, problem: str) -> None:  # type: ignore[no-untyped-def]
    assert SITE.count(right) == 1
    told = problems(write(SITE.replace(right, wrong)))
    assert any(line.startswith(problem) for line in told), told


def test_of_many_keys_those_that_are_near_are_told_and_where_the_others_are(write) -> None:  # type: ignore[no-untyped-def]
    (close,) = problems(write(SITE.replace("priority: 1", "priorty: 1")))
    assert close == "site.yaml:20 connectors.carport.priorty: unknown key (did you mean 'priority'?)"
    (strange,) = problems(write(SITE.replace("priority: 1", "max_amps: 16")))
    assert strange.startswith("site.yaml:20 connectors.carport.max_amps: unknown key, known: max_current, ")
    assert strange.endswith(" more, see docs/configuration.md")
    assert strange.count(",") < 10


def test_every_problem_is_told_at_once_from_top_to_bottom(write) -> None:  # type: ignore[no-untyped-def]
    told = problems(write(SITE.replace("bus: lan", "bus: lna").replace("meter: house", "meter: hose")))
    assert [line.split()[0] for line in told] == ["site.yaml:3", "site.yaml:22"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path / "no.yaml") == [
        f"{tmp_path / 'no.yaml'}: cannot be read: No such file or directory"
    ]


def test_line_settings_are_the_factorys_when_all_devices_agree(write) -> None:  # type: ignore[no-untyped-def]
    site = load_site(
        write("""\
            buses: {rs485: {serial: /dev/ttyUSB0}}
            connectors: {carport: {profile: heidelberg_energy_control, bus: rs485, unit: 1}}
            """)
    )
    assert site.buses["rs485"] == SerialLink("/dev/ttyUSB0", 19200, "E", 1, 0.5)


def test_a_line_can_be_that_of_everests_hub(write) -> None:  # type: ignore[no-untyped-def]
    assert load_site(write("buses: {rs485: {everest_hub: true}}")).buses == {"rs485": HubLink()}


def test_a_profile_can_lie_beside_the_site_file(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine.yaml").write_text(
        "{vendor: Me, models: [M], source: [me], verified: on my bench, phases: 1,"
        " points: {power_W.total: {address: 1, type: float32}}}",
        encoding="utf-8",
    )
    site = load_site(
        write("""\
            buses: {lan: {host: meter}}
            meters: {mine: {profile: mine.yaml, bus: lan}}
            """)
    )
    assert site.bridged_meters["mine"].profile.vendor == "Me"


def test_the_schema_that_is_shipped_is_that_of_the_code_and_takes_a_site() -> None:
    shipped = json.loads(Path(site_schema.__file__).with_name("site.schema.json").read_text(encoding="utf-8"))
    assert shipped == json_schema()
    jsonschema.validate(yaml.safe_load(dedent(SITE)), shipped)
    with pytest.raises(jsonschema.ValidationError, match="fuze"):
        jsonschema.validate({"grid": {"fuze": "35 A"}}, shipped)
    with pytest.raises(jsonschema.ValidationError, match="35 A"):
        jsonschema.validate({"grid": {"fuse": "about 35 A"}}, shipped)
