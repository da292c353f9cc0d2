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

pytestmark = pytest.mark.xdist_group("examples")  # one run for all of them

SETTLE_S = 1.0
"""More than the messages of one decision take to reach their EVSEs on a busy machine."""

STARTING_AT_ONCE = 2

Changes = dict[str, dict[str, Any]]


def plugged_in(*evses: str) -> Changes:
    """Cars that are there from the start: the tests do not wait for them."""
    return {evse: {"plug_in_after_s": 0, "auth_after_s": 0} for evse in evses}


def changes(directory: Path) -> dict[str, Changes]:
    """Values of the examples' configurations that are changed to save time."""
    return {  # those that take longest first
        "solar_limit": {**plugged_in("left", "right"), "sun": {"every_s": 6, "after_s": 1}},
        "phase_switching": {
            "site": {"switch_3ph1ph_time_hysteresis_s": 1},
            "evse": {**plugged_in("evse")["evse"], "switch_3ph1ph_delay_s": 1},
            "power": {"every_s": 6, "after_s": 1},
        },
        "external_limits": {**plugged_in("left", "right"), "grid_operator": {"every_s": 6, "after_s": 2}},
        "load_balancing": {
            **plugged_in("left"),
            "middle": {"plug_in_after_s": 3},
            "right": {"plug_in_after_s": 6},
        },
        "ocpp_schedules": {
            **plugged_in("evse_1", "evse_2"),
            "ocpp": {"composite_schedules": str(earlier_schedules(directory)), "interval_s": 3600},
        },
        "hierarchy": plugged_in("bay_1", "bay_2", "bay_3", "yard"),
        "drop_in": plugged_in("evse_manager_1", "evse_manager_2"),
        "single_charger": plugged_in("evse"),
    }


def earlier_schedules(directory: Path) -> Path:
    """Schedules of the example, where the station's limit falls after seconds."""
    path = ROOT / "examples/ocpp_schedules/composite_schedules.yaml"
    schedules = yaml.safe_load(path.read_text(encoding="utf-8"))
    schedules[0]["chargingSchedulePeriod"][1]["startPeriod"] = 8
    earlier = directory / "schedules.yaml"
    earlier.write_text(yaml.safe_dump(schedules))
    return earlier


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


def test_single_charger(benches: Mapping[str, Bench]) -> None:
    bench = benches["single_charger"]
    bench.wait_for_limits(evse=16)
    bench.wait_for(lambda: has_drawn(bench, "evse", 16, 16, 16), "a car that draws 16 A")
    assert bench.warnings() == []


def has_drawn(bench: Bench, evse: str, *amperes: float) -> bool:
    """Whether the EVSE has measured these currents on L1, L2, L3."""
    return pytest.approx(amperes) in bench.drawn_A(evse)


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


def test_phase_switching(benches: Mapping[str, Bench]) -> None:
    bench = benches["phase_switching"]
    three, one = 9000 / 690, 2500 / 230
    bench.wait_for_story({"evse": three}, {"evse": one}, {"evse": three})
    bench.wait_for(lambda: has_drawn(bench, "evse", three, three, three), "a car on three phases")
    bench.wait_for(lambda: has_drawn(bench, "evse", one, 0, 0), "a car on one phase")
    phases = [sent.phases for sent in bench.book.sent["evse"] if sent.current_A in (three, one)]
    assert set(phases) == {1, 3}
    assert phases[-1] == 3
    assert bench.warnings() == []


def test_external_limits(benches: Mapping[str, Bench]) -> None:
    bench = benches["external_limits"]
    fuse_alone, dimmed = {"left": 16.0, "right": 16.0}, {"left": 10.0, "right": 10.0}
    bench.wait_for_story(fuse_alone, dimmed, fuse_alone)
    bench.wait_for(lambda: any("limit: none" in line for line in bench.lines), "the limit lifted")
    assert bench.book.highest_sum_A(["left", "right"], SETTLE_S) <= 32 + 1e-6
    assert bench.warnings() == []


def test_ocpp_schedules(benches: Mapping[str, Bench]) -> None:
    """The station's limit falls in the middle of its schedule, with no new message from the back-end."""
    bench = benches["ocpp_schedules"]
    bench.wait_for_story({"evse_1": 8, "evse_2": 16}, {"evse_1": 8, "evse_2": 8})
    assert bench.warnings() == []


def test_solar_limit(benches: Mapping[str, Bench]) -> None:
    bench = benches["solar_limit"]
    bench.wait_for_story({"left": 8, "right": 8}, {"left": 0, "right": 0}, {"left": 7, "right": 7})
    one_in_turn = ({"left": 7.0, "right": 0.0}, {"left": 0.0, "right": 7.0})
    assert any(bench.book.passed_through(turn) for turn in one_in_turn)
    assert bench.warnings() == []


def test_every_example_is_run_by_a_test(tmp_path: Path) -> None:
    run_elsewhere = {"demo"}  # tests/hil
    found = {path.parent.name for path in (ROOT / "examples").glob("*/config.yaml")}
    assert found == changes(tmp_path).keys() | run_elsewhere
