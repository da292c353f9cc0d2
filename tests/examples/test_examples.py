"""Each example runs as a user would run it, with a process for each module, and does what its first line says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.bench import ROOT, Bench, example, running

SETTLE_S = 0.5
"""More than the messages of one decision take to reach their EVSEs on a busy machine."""

A = pytest.approx


def plugged_in(*evses: str) -> dict[str, dict[str, Any]]:
    """Cars that are there from the start: the tests do not wait for them."""
    return {evse: {"plug_in_after_s": 0, "auth_after_s": 0} for evse in evses}


@pytest.fixture
def run(shared_amqtt: str, tmp_path: Path) -> Callable[..., Any]:
    """Run an example by its name, with some values of its configuration changed to save time."""
    return lambda name, **changes: running(example(name, **changes), shared_amqtt, tmp_path)


def test_single_charger(run: Callable[..., Any]) -> None:
    with run("single_charger", **plugged_in("evse")) as bench:
        bench.wait_for_limits(evse=16)
        bench.wait_for(lambda: bench.drawn_A("evse") == A((16, 16, 16)), "a car that draws 16 A")
        assert bench.warnings() == []


def test_load_balancing(run: Callable[..., Any]) -> None:
    evses = ["left", "middle", "right"]
    with run("load_balancing") as bench:
        bench.wait_for_limits(left=32, middle=0, right=0)
        bench.wait_for_limits(left=16, middle=16, right=0)
        bench.wait_for_limits(left=32 / 3, middle=32 / 3, right=32 / 3)
        assert bench.book.highest_sum_A(evses, SETTLE_S) <= 32 + 1e-6
        assert bench.warnings() == []


def test_hierarchy_of_nodes_of_both_kinds(run: Callable[..., Any]) -> None:
    bays = ["bay_1", "bay_2", "bay_3", "yard"]
    with run("hierarchy", **plugged_in(*bays)) as bench:
        bench.wait_for_limits(bay_1=8, bay_2=8, bay_3=12, yard=12)
        assert bench.book.highest_sum_A(["bay_1", "bay_2"], SETTLE_S) <= 16 + 1e-6
        assert bench.book.highest_sum_A(bays, SETTLE_S) <= 40 + 1e-6
        misled = {(m.module_id, m.data["uuid"]) for _, m in bench.seen if m.kind == "enforce_limits"}
        assert ("yard", "bay_1") not in misled, "our node hands a limit only to the child it is for"
        assert bench.warnings() == []


def test_drop_in_below_nodes_of_everest(run: Callable[..., Any]) -> None:
    evses = ["evse_manager_1", "evse_manager_2"]
    with run("drop_in", **plugged_in(*evses)) as bench:
        bench.wait_for_limits(evse_manager_1=24, evse_manager_2=16)
        assert bench.book.highest_sum_A(evses, SETTLE_S) <= 40 + 1e-6
        assert bench.warnings() == []


def test_drop_in_changes_one_word() -> None:
    """What the example says of itself is true: with that word changed back it names EVerest's modules only."""
    text = (ROOT / "examples/drop_in/config.yaml").read_text(encoding="utf-8")
    assert text.count("PyEnergyManager") == 1
    modules = yaml.safe_load(text.replace("PyEnergyManager", "EnergyManager"))["active_modules"]
    assert {module["module"] for module in modules.values()} == {"EnergyManager", "EnergyNode", "SimEvse"}


def test_phase_switching(run: Callable[..., Any]) -> None:
    with run(
        "phase_switching",
        site={"switch_3ph1ph_time_hysteresis_s": 1},
        evse={"plug_in_after_s": 0, "auth_after_s": 0, "switch_3ph1ph_delay_s": 1},
        power={"every_s": 5, "after_s": 1},
    ) as bench:
        bench.wait_for(lambda: offered(bench) == (3, A(9000 / 690)), "9 kW on three phases")
        bench.wait_for(lambda: bench.drawn_A("evse") == A((9000 / 690,) * 3), "a car on three phases")
        bench.wait_for(lambda: offered(bench) == (1, A(2500 / 230)), "2.5 kW on one phase")
        bench.wait_for(lambda: bench.drawn_A("evse") == A((2500 / 230, 0, 0)), "a car on one phase")
        bench.wait_for(lambda: offered(bench) == (3, A(9000 / 690)), "three phases again")
        assert bench.warnings() == []


def offered(bench: Bench) -> tuple[int | None, float]:
    newest = bench.book.sent["evse"][-1] if "evse" in bench.book.sent else None
    return (newest.phases, newest.current_A) if newest else (None, 0.0)


def test_external_limits(run: Callable[..., Any]) -> None:
    cars = plugged_in("left", "right")
    with run("external_limits", **cars, grid_operator={"every_s": 3, "after_s": 1}) as bench:
        bench.wait_for_limits(left=16, right=16)
        bench.wait_for_limits(left=10, right=10)
        bench.wait_for_limits(left=16, right=16)
        bench.wait_for(lambda: has_said(bench, "limit: none"), "the limit lifted")
        assert bench.book.highest_sum_A(["left", "right"], SETTLE_S) <= 32 + 1e-6
        assert bench.warnings() == []


def has_said(bench: Bench, words: str) -> bool:
    return any(words in line for line in bench.lines)


def test_ocpp_schedules(run: Callable[..., Any], tmp_path: Path) -> None:
    """The station's limit falls in the middle of a schedule, with no new message from the back-end."""
    path = ROOT / "examples/ocpp_schedules/composite_schedules.yaml"
    schedules = yaml.safe_load(path.read_text(encoding="utf-8"))
    schedules[0]["chargingSchedulePeriod"][1]["startPeriod"] = 8
    soon = tmp_path / "schedules.yaml"
    soon.write_text(yaml.safe_dump(schedules))
    ocpp = {"composite_schedules": str(soon), "interval_s": 3600}
    with run("ocpp_schedules", **plugged_in("evse_1", "evse_2"), ocpp=ocpp) as bench:
        bench.wait_for_limits(evse_1=8, evse_2=16)
        bench.wait_for_limits(evse_1=8, evse_2=8)
        assert bench.warnings() == []


def test_solar_limit(run: Callable[..., Any]) -> None:
    with run("solar_limit", **plugged_in("left", "right"), sun={"every_s": 3, "after_s": 1}) as bench:
        bench.wait_for_limits(left=8, right=8)
        bench.wait_for_limits(left=10, right=10)
        bench.wait_for(lambda: sorted(bench.book.newest_A.values()) == A([0, 7]), "one at 7 A, one in wait")
        bench.wait_for_limits(left=0, right=0)
        bench.wait_for_limits(left=7, right=7)
        assert bench.warnings() == []


def test_every_example_is_run_by_a_test() -> None:
    run_here = {
        "single_charger",
        "load_balancing",
        "hierarchy",
        "drop_in",
        "phase_switching",
        "external_limits",
        "ocpp_schedules",
        "solar_limit",
    }
    run_elsewhere = {"demo"}  # tests/hil
    assert {path.parent.name for path in (ROOT / "examples").glob("*/config.yaml")} == run_here | run_elsewhere
