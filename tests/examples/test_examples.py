"""Each example runs as a user would run it, a process for each module, and does what its first line says.

They run side by side: most of their time is spent waiting.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.brokers import EXECUTABLE
from tests.system.bench import ROOT, Bench, example, running
from tests.system.limits import is_due

pytestmark = pytest.mark.xdist_group("examples")  # one run for all of them

SETTLE_S = 6.0
"""More than the messages of one decision take to reach their EVSEs, and the test, on a busy machine."""

OVER_AT_S = 40
"""When the station's limit falls in the example of schedules: until then a busy machine gets to it."""

NEVER_S = 3600

STARTING_AT_ONCE = 2

Changes = dict[str, dict[str, Any]]


def plugged_in(*evses: str) -> Changes:
    """Cars that are there from the start: the tests do not wait for them."""
    return {evse: {"plug_in_after_s": 0, "auth_after_s": 0} for evse in evses}


def changes(directory: Path) -> dict[str, Changes]:
    """Values of the examples' configurations that are changed to save time."""
    stays: dict[str, Any] = {"every_s": NEVER_S, "after_s": 0}  # the test goes on with the next limit itself
    return {  # those that take longest first
        "ocpp_schedules": {
            **plugged_in("evse_1", "evse_2"),
            "ocpp": {"composite_schedules": str(earlier_schedules(directory)), "interval_s": NEVER_S},
        },
        "solar_limit": {**plugged_in("left", "right"), "sun": stays},
        "solar_modes": {
            **plugged_in("garage", "carport", "drive"),
            "site": {"site_file": str(hasty_sun(directory)), "switch_3ph1ph_time_hysteresis_s": 1},
            "grid_meter": {"others_W": "500, -11540", "every_s": 5},
            "garage": {**plugged_in("garage")["garage"], "switch_3ph1ph_delay_s": 1},
            "carport": {**plugged_in("carport")["carport"], "switch_3ph1ph_delay_s": 1},
        },
        "phase_switching": {
            "site": {"switch_3ph1ph_time_hysteresis_s": 1},
            "evse": {**plugged_in("evse")["evse"], "switch_3ph1ph_delay_s": 1},
            "power": stays,
        },
        "external_limits": {**plugged_in("left", "right"), "grid_operator": {"every_s": 0.5, "after_s": 0}},
        "load_balancing": {
            **plugged_in("left"),
            "middle": {"plug_in_after_s": 3},
            "right": {"plug_in_after_s": 6},
        },
        "hierarchy": plugged_in("bay_1", "bay_2", "bay_3", "yard"),
        "one_instance": {
            **plugged_in("bay_1", "bay_2", "bay_3", "yard"),
            "site": {"site_file": str(ROOT / "examples/one_instance/site.yaml")},
        },
        "drop_in": plugged_in("evse_manager_1", "evse_manager_2"),
        "single_charger": plugged_in("evse"),
    }


def earlier_schedules(directory: Path) -> Path:
    """Schedules of the example, where the station's limit falls earlier."""
    path = ROOT / "examples/ocpp_schedules/composite_schedules.yaml"
    schedules = yaml.safe_load(path.read_text(encoding="utf-8"))
    schedules[0]["chargingSchedulePeriod"][1]["startPeriod"] = OVER_AT_S
    earlier = directory / "schedules.yaml"
    earlier.write_text(yaml.safe_dump(schedules))
    return earlier


def hasty_sun(directory: Path) -> Path:
    """Site file of the example, where surplus counts within seconds."""
    site = yaml.safe_load((ROOT / "examples/solar_modes/site.yaml").read_text(encoding="utf-8"))
    site["grid"]["base_load_falls_after"] = "2 s"
    site["solar"]["enable"]["after"] = site["solar"]["disable"]["after"] = "2 s"
    site["evses"]["drive"]["mode"] = "off"  # a word that YAML 1.1 takes for false
    hasty = directory / "site.yaml"
    hasty.write_text(yaml.safe_dump(site))
    return hasty


@pytest.fixture(scope="module")
def benches(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Bench]]:
    """Run all examples at once."""
    broker = request.getfixturevalue("shared_mosquitto" if EXECUTABLE else "shared_amqtt")
    directory = tmp_path_factory.mktemp("examples")
    with ExitStack() as stack, ThreadPoolExecutor(STARTING_AT_ONCE) as pool:
        started = {
            name: pool.submit(stack.enter_context, running(example(name, **changed), broker, directory))
            for name, changed in changes(directory).items()
        }
        yield {name: bench.result() for name, bench in started.items()}


@pytest.mark.parametrize(
    "config", sorted((ROOT / "examples").glob("*/config.yaml")), ids=lambda path: path.parent.name
)
def test_the_files_that_an_example_names_are_beside_it(config: Path) -> None:
    """EVerest's etc directory is that of the configuration; the tests below have files of their own."""
    modules = yaml.safe_load(config.read_text(encoding="utf-8"))["active_modules"].values()
    values = [value for module in modules for value in module.get("config_module", {}).values()]
    named = [value for value in values if isinstance(value, str) and value.endswith(".yaml")]
    assert [value for value in named if not (config.parent / value).is_file()] == []


def test_single_charger(benches: Mapping[str, Bench]) -> None:
    bench = benches["single_charger"]
    bench.wait_for_limits(evse=16)
    bench.wait_for(lambda: has_drawn(bench, "evse", 16, 16, 16), "a car that draws 16 A")
    assert bench.warnings() == []


def has_drawn(bench: Bench, evse: str, *amperes: float) -> bool:
    """Whether the EVSE has measured these currents on L1, L2, L3."""
    return any(all(map(is_due, drawn, amperes)) for drawn in bench.drawn_A(evse))


def test_load_balancing(benches: Mapping[str, Bench]) -> None:
    bench = benches["load_balancing"]
    bench.wait_for_limits(left=32 / 3, middle=32 / 3, right=32 / 3)
    bench.wait_for(lambda: has_drawn(bench, "right", *[32 / 3] * 3), "the last car charging")
    assert bench.book.highest_sum_A(["left", "middle", "right"], SETTLE_S) <= 32 + 1e-6
    assert bench.warnings() == []


def test_hierarchy_of_nodes_of_both_kinds(benches: Mapping[str, Bench]) -> None:
    bench = benches["hierarchy"]
    bench.wait_for_limits(bay_1=8, bay_2=8, bay_3=12, yard=12)
    assert bench.book.highest_sum_A(["bay_1", "bay_2"], SETTLE_S) <= 16 + 1e-6
    assert bench.book.highest_sum_A(["bay_1", "bay_2", "bay_3", "yard"], SETTLE_S) <= 40 + 1e-6
    handed = {(m.module_id, m.data["uuid"]) for _, m in bench.seen if m.kind == "enforce_limits"}
    assert ("bay_2", "bay_1") not in handed, "our node hands a limit only to the child it is for"
    assert bench.warnings() == []


def test_one_instance_with_all_fuses_gives_what_the_hierarchy_gives(benches: Mapping[str, Bench]) -> None:
    bench = benches["one_instance"]
    bench.wait_for_limits(bay_1=8, bay_2=8, bay_3=12, yard=12)
    assert bench.book.highest_sum_A(["bay_1", "bay_2"], SETTLE_S) <= 16 + 1e-6
    assert bench.warnings() == []


def test_drop_in_below_nodes_of_everest(benches: Mapping[str, Bench]) -> None:
    bench = benches["drop_in"]
    bench.wait_for_limits(evse_manager_1=24, evse_manager_2=16)
    assert bench.book.highest_sum_A(["evse_manager_1", "evse_manager_2"], SETTLE_S) <= 40 + 1e-6
    assert bench.warnings() == []


def test_drop_in_changes_one_word() -> None:
    """What the example says of itself is true: with that word changed back only EVerest's are left."""
    text = (ROOT / "examples/drop_in/config.yaml").read_text(encoding="utf-8")
    assert text.count("PyEnergyManager") == 1
    modules = yaml.safe_load(text.replace("PyEnergyManager", "EnergyManager"))["active_modules"]
    assert {module["module"] for module in modules.values()} == {"EnergyManager", "EnergyNode", "SimEvse"}


def next_values(name: str, module: str) -> Iterator[float]:
    """Limits that a module of an example sets after its first one."""
    values: str = example(name)["active_modules"][module]["config_module"]["values"]
    return iter([float(value) for value in values.split(",")[1:]])


def test_phase_switching(benches: Mapping[str, Bench]) -> None:
    bench = benches["phase_switching"]
    three, one = 9000 / 690, 2500 / 230
    bench.wait_for_limits(evse=three)
    bench.wait_for(lambda: has_drawn(bench, "evse", three, three, three), "a car on three phases")
    little, much = next_values("phase_switching", "power")
    bench.set_external_limit("site", little, "W")
    bench.wait_for_limits(evse=one)
    bench.wait_for(lambda: has_drawn(bench, "evse", one, 0, 0), "a car on one phase")
    bench.set_external_limit("site", much, "W")
    bench.wait_for_limits(evse=three)
    phases = [sent.phases for sent in bench.book.sent["evse"] if sent.current_A]
    assert set(phases) == {1, 3}
    assert phases[-1] == 3
    assert bench.warnings() == []


def test_external_limits(benches: Mapping[str, Bench]) -> None:
    bench = benches["external_limits"]
    bench.wait_for(lambda: any("limit: none" in line for line in bench.lines), "the limit lifted")
    said = [line.rpartition("limit: ")[2] for line in bench.lines if "limit: " in line]
    assert said == ["20 A", "50 A", "none A"]
    bench.wait_for_limits(left=16, right=16)
    bench.set_external_limit("site", 20)
    bench.wait_for_limits(left=10, right=10)
    bench.set_external_limit("site", None)
    bench.wait_for_limits(left=16, right=16)
    assert bench.book.highest_sum_A(["left", "right"], SETTLE_S) <= 32 + 1e-6
    assert bench.warnings() == []


def wait_for_shares(bench: Bench, *amperes: float) -> None:
    """Wait until the EVSEs have these limits, whoever has which."""
    bench.wait_for(lambda: all(map(is_due, sorted(bench.book.newest_A.values()), amperes)), f"{amperes} A")


def test_solar_limit(benches: Mapping[str, Bench]) -> None:
    bench = benches["solar_limit"]
    steps = next_values("solar_limit", "sun")
    bench.wait_for_limits(left=8, right=8)
    for expected_A in ([10, 10], [0, 7], [0, 0], [7, 7]):
        bench.set_external_limit("site", next(steps), "W")
        wait_for_shares(bench, *expected_A)
    assert bench.warnings() == []


def test_ocpp_schedules(benches: Mapping[str, Bench]) -> None:
    """The station's limit falls in the middle of its schedule, with no new message from the back-end."""
    bench = benches["ocpp_schedules"]
    bench.wait_for_story({"evse_1": 8, "evse_2": 16}, {"evse_1": 8, "evse_2": 8})
    assert bench.warnings() == []


def test_solar_modes(benches: Mapping[str, Bench]) -> None:
    """First there is no sun: the carport has its minimum, on one phase. Then there is some for two."""
    bench = benches["solar_modes"]
    bench.wait_for_story({"garage": 0, "carport": 6, "drive": 0})

    def both_have_half(of_W: float = 11_540) -> bool:
        newest = {evse: sent[-1] for evse, sent in bench.book.sent.items()}
        shares_W = [
            newest[evse].current_A * (newest[evse].phases or 0) * 230 for evse in ("garage", "carport")
        ]
        return all(0.45 * of_W <= share <= 0.5 * of_W + 1 for share in shares_W)

    bench.wait_for(both_have_half, "half of the surplus for each of two")
    assert {(sent.current_A, sent.phases) for sent in bench.book.sent["carport"]} >= {(6.0, 1)}
    assert {sent.current_A for sent in bench.book.sent["drive"]} == {0}
    bench.wait_for(
        lambda: has_drawn_three(bench, "garage"), "a car that charges on three phases with the sun"
    )
    assert [line for line in bench.warnings() if "meter missing" not in line] == [], "until it has spoken"


def has_drawn_three(bench: Bench, evse: str) -> bool:
    """Whether the EVSE has measured a current on all of its phases."""
    return any(min(drawn) >= 6 for drawn in bench.drawn_A(evse))


def test_every_example_is_run_by_a_test(tmp_path: Path) -> None:
    run_elsewhere = {"demo"}  # tests/hil
    found = {path.parent.name for path in (ROOT / "examples").glob("*/config.yaml")}
    assert found == changes(tmp_path).keys() | run_elsewhere
