"""The table of `docs/input-hardening.md`, row by row."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.energy_management.problem import Json, format_time
from tests.energy_management.site_runs import SiteRun, amps
from tests.energy_management.trees import NOW, entry, evse, limits, node

NAN, INFINITE = float("nan"), float("inf")


def reasons(run: SiteRun) -> list[tuple[str, str]]:
    return list(run.manager.report.rejected)


def found(request: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Currents by uuid, and why something was rejected by uuid."""
    run = SiteRun()
    limits_by_uuid = run.at(0, request)
    json.dumps(list(limits_by_uuid.values()), allow_nan=False)
    return amps(limits_by_uuid), dict(reasons(run))


def two(**of_node: Any) -> Json:
    """A fuse of 20 A above two EVSEs."""
    return {**node("grid", [evse("a"), evse("b")], A=20), **of_node}


@pytest.mark.parametrize("request_", [None, [], "request", 7, NAN, True])
def test_no_object_is_no_request(request_: Any) -> None:
    currents, rejected = found(request_)
    assert (currents, len(rejected)) == ({}, 1)


def test_a_tree_without_evses_has_no_results() -> None:
    assert found(node("grid", [node("inner", [])], A=20)) == ({}, {})
    assert found({}) == ({}, {"": "uuid None is not a text"}) or found({})[0] == {}


def test_an_evse_may_be_the_root() -> None:
    assert found(evse("a", A=20)) == ({"a": 20}, {})


def test_a_thousand_levels_are_read() -> None:
    tree = evse("a")
    for level in range(1_500):
        tree = node(f"level{level}", [tree], A=40 - 0.01 * level)
    assert found(tree) == ({"a": 25.01}, {})


def test_a_malformed_part_at_a_thousand_levels_is_found() -> None:
    tree = evse("a", A=NAN)
    for level in range(1_500):
        tree = node(f"level{level}", [tree], A=20)
    currents, rejected = found(tree)
    assert (currents, list(rejected)) == ({"a": 0}, ["a"])


@pytest.mark.parametrize("child", [None, 7, "child", [], True])
def test_a_child_that_is_no_object_is_left_out(child: Any) -> None:
    currents, rejected = found(node("grid", [evse("a"), child], A=20))
    assert (currents, list(rejected)) == ({"a": 20}, ["grid"])


@pytest.mark.parametrize("children", [7, "ab", {"a": 1}, True])
def test_children_that_are_no_list_are_none(children: Any) -> None:
    tree = node("grid", [evse("a"), {**node("inner"), "children": children}], A=20)
    currents, rejected = found(tree)
    assert (currents, list(rejected)) == ({"a": 20}, ["inner"])


@pytest.mark.parametrize("uuid", [None, 7, [], {}])
def test_an_evse_without_a_uuid_is_left_out(uuid: Any) -> None:
    currents, rejected = found(node("grid", [evse("a"), {**evse("b"), "uuid": uuid}], A=20))
    assert (currents, len(rejected)) == ({"a": 20}, 1)


def test_a_node_without_a_uuid_still_limits() -> None:
    inner = node("inner", [evse("a")], A=10)
    del inner["uuid"]
    assert found(node("grid", [inner], A=20))[0] == {"a": 10}


def test_an_evse_that_appears_twice_gets_nothing_once() -> None:
    currents, rejected = found(node("grid", [evse("a"), node("inner", [evse("a"), evse("b")])], A=20))
    assert currents == {"a": 0, "b": 20}
    assert rejected == {"a": "an EVSE that appears more than once"}


def test_a_child_that_appears_twice_gets_nothing_once() -> None:
    twice = node("inner", [evse("a")])
    currents, rejected = found(node("grid", [twice, twice, evse("b")], A=20))
    assert (currents, list(rejected)) == ({"a": 0, "b": 20}, ["a"])


def test_a_node_that_contains_itself_ends() -> None:
    loop = node("loop", [evse("a")], A=20)
    loop["children"].append(loop)
    currents, rejected = found(loop)
    assert (currents, list(rejected)) == ({"a": 0}, ["a"])


def test_shared_nodes_do_not_take_exponential_time() -> None:
    tree = node("bottom", [evse("a")])
    for level in range(60):
        tree = node(f"level{level}", [tree, tree])
    assert found(tree)[0] == {"a": 0}


def test_nodes_with_the_same_uuid_both_limit() -> None:
    tree = node("same", [node("same", [evse("a")], A=10), evse("b")], A=24)
    currents, rejected = found(tree)
    assert (currents, list(rejected)) == ({"a": 10, "b": 14}, ["same"])


@pytest.mark.parametrize("kind", ["evse", "", None, 7, [], {}])
def test_an_unknown_node_type_only_limits(kind: Any) -> None:
    odd = {**node("odd", [evse("a")], A=10), "node_type": kind}
    currents, rejected = found(node("grid", [odd, {**evse("b"), "node_type": kind}], A=20))
    assert (currents, set(rejected)) == ({"a": 10}, {"odd", "b"})


def test_an_evse_with_children_limits_them() -> None:
    parent = {**evse("parent", A=20), "children": [evse("child")]}
    currents, rejected = found(node("grid", [parent], A=40))
    assert (currents, list(rejected)) == ({"parent": 10, "child": 10}, ["parent"])
    assert list(currents) == ["parent", "child"]


@pytest.mark.parametrize("state", ["charging", "", 7, [], {}])
def test_an_unknown_state_counts_as_disabled(state: Any) -> None:
    currents, rejected = found(node("grid", [{**evse("a"), "evse_state": state}, evse("b")], A=20))
    assert (currents, list(rejected)) == ({"a": 0, "b": 20}, ["a"])


@pytest.mark.parametrize("remove", [True, False])
def test_a_node_without_schedules_lets_everything_pass(remove: bool) -> None:
    inner = node("inner", [evse("a")])
    for name in ("schedule_import", "schedule_export", "schedule_setpoints"):
        inner[name] = []
        if remove:
            del inner[name]
    assert found(node("grid", [inner], A=20)) == ({"a": 20}, {})


def test_a_node_with_only_export_imports_nothing() -> None:
    assert found(two(schedule_import=[]))[0] == {"a": 0, "b": 0}


def test_an_evse_that_asks_for_nothing_gets_nothing() -> None:
    silent = [
        {**evse("x"), "schedule_import": []},
        {**evse("y"), "schedule_import": [entry({})]},
        evse("z", A=None),
    ]
    assert found(node("grid", [*silent, evse("a")], A=20)) == ({"x": 0, "y": 0, "z": 0, "a": 20}, {})


@pytest.mark.parametrize("name", ["schedule_import", "schedule_setpoints"])
@pytest.mark.parametrize("schedule", [None, 7, "", "text", {}, {"timestamp": 1}])
def test_a_schedule_that_is_no_list_allows_nothing(name: str, schedule: Any) -> None:
    currents, rejected = found(two(**{name: schedule}))
    assert (currents, list(rejected)) == ({"a": 0, "b": 0}, ["grid"])


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize(
    "timestamp",
    [
        None,
        7,
        "",
        "soon",
        "2026-13-01T00:00:00Z",
        [],
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:00:00-14:00",
    ],
)
def test_an_entry_that_cannot_be_placed_blocks_its_schedule(timestamp: Any, position: int) -> None:
    schedule = two()["schedule_import"]
    schedule.insert(position, {**schedule[0], "timestamp": timestamp})
    currents, rejected = found(two(schedule_import=schedule))
    assert (currents, list(rejected)) == ({"a": 0, "b": 0}, ["grid"])


@pytest.mark.parametrize("odd", [None, 7, "entry", []])
def test_an_entry_that_is_no_object_blocks_its_schedule(odd: Any) -> None:
    assert found(two(schedule_import=[*two()["schedule_import"], odd]))[0] == {"a": 0, "b": 0}


def limited(name: str, value: Any) -> Json:
    """Two EVSEs below a node with 20 A and one more limit."""
    tree = two()
    tree["schedule_import"][0]["limits_to_root"][name] = {"value": value, "source": "odd"}
    return tree


IMPOSSIBLE: list[Any] = [
    NAN,
    INFINITE,
    -INFINITE,
    -1,
    -0.001,
    None,
    "16",
    "",
    True,
    False,
    [],
    {},
    1e10,
    1e300,
    1e308,
    10**400,
]


@pytest.mark.parametrize("value", IMPOSSIBLE)
@pytest.mark.parametrize(
    "name",
    ["ac_max_current_A", "total_power_W", "ac_min_current_A", "ac_max_phase_count", "ac_min_phase_count"],
)
def test_an_impossible_limit_allows_nothing(name: str, value: Any) -> None:
    currents, rejected = found(limited(name, value))
    assert (currents, list(rejected)) == ({"a": 0, "b": 0}, ["grid"])
    assert name in rejected["grid"]


@pytest.mark.parametrize("value", [0, 1.5])
def test_a_number_of_phases_is_whole_and_not_zero(value: float) -> None:
    assert found(limited("ac_max_phase_count", value))[0] == {"a": 0, "b": 0}


def test_more_than_three_phases_are_three() -> None:
    run = SiteRun()
    result = run.at(0, node("grid", [evse("a", phases=5, active=3)], A=20, phases=7))
    assert result["a"]["ac_max_phase_count"]["value"] == 3
    assert reasons(run) == []


def test_a_limit_that_is_no_object_allows_nothing() -> None:
    odds: list[Any] = [None, 7, "16", [], True]
    for odd in odds:
        tree = two()
        tree["schedule_import"][0]["limits_to_root"]["ac_max_current_A"] = odd
        assert found(tree)[0] == {"a": 0, "b": 0}


def test_only_the_entry_with_the_impossible_value_allows_nothing() -> None:
    later = "2026-03-01T11:00:00.000Z"
    tree = two()
    tree["schedule_import"].append({**entry(limits("grid", ac_max_current_A=NAN)), "timestamp": later})
    manager = SiteRun().manager
    schedule = manager.optimize(tree, NOW)[0]["schedule"]
    assert [slot["limits_to_root"]["ac_max_current_A"]["value"] for slot in schedule] == [10, 0]


def test_an_impossible_limit_of_export_does_not_stop_import() -> None:
    tree = two(schedule_export=[entry(limits("grid", ac_max_current_A=NAN))])
    currents, rejected = found(tree)
    assert (currents, list(rejected)) == ({"a": 10, "b": 10}, ["grid"])


def test_an_evse_whose_import_is_malformed_does_not_export() -> None:
    tree = node("grid", [evse("a", A=NAN, export_A=16)], A=20, export_A=20)
    currents, rejected = found(tree)
    assert (currents, list(rejected)) == ({"a": 0}, ["a"])


@pytest.mark.parametrize("efficiency", [0, -0.5, 1.01, NAN, None, "0.9", True])
def test_an_impossible_efficiency_allows_nothing(efficiency: Any) -> None:
    tree = two()
    tree["schedule_import"][0]["conversion_efficiency"] = efficiency
    currents, rejected = found(tree)
    assert (currents, list(rejected)) == ({"a": 0, "b": 0}, ["grid"])


@pytest.mark.parametrize("active", [4, -1, 1.5, "3", [], None, NAN])
def test_an_impossible_number_of_active_phases_allows_nothing(active: Any) -> None:
    odd = evse("a")
    odd["schedule_import"][0]["limits_to_root"]["ac_number_of_active_phases"] = active
    assert found(node("grid", [odd, evse("b")], A=20))[0] == {"a": 0, "b": 20}


def test_an_unknown_number_of_active_phases_counts_as_three() -> None:
    odd = evse("a", active=0)
    assert found(node("grid", [odd], A=63, W=6_900)) == ({"a": 10}, {})
    del odd["schedule_import"][0]["limits_to_root"]["ac_number_of_active_phases"]
    assert found(node("grid", [odd], A=63, W=6_900)) == ({"a": 10}, {})


@pytest.mark.parametrize("side", ["limits_to_root", "limits_to_leaves"])
def test_a_missing_side_has_no_limits_and_an_odd_one_allows_nothing(side: str) -> None:
    tree = node("grid", [evse("a")], A=20, leaves_A=20)
    odds: list[Any] = [None, 7, [], "limits"]
    for odd in odds:
        tree["schedule_import"][0][side] = odd
        assert found(tree)[0] == {"a": 0}
    del tree["schedule_import"][0][side]
    assert found(tree) == ({"a": 20}, {})


@pytest.mark.parametrize("source", [None, 7, [], {}])
def test_an_odd_source_is_empty_and_the_limit_holds(source: Any) -> None:
    tree = node("grid", [evse("a")], A=20)
    tree["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]["source"] = source
    run = SiteRun()
    assert run.at(0, tree)["a"]["ac_max_current_A"] == {"value": 20, "source": ""}
    del tree["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]["source"]
    assert run.at(0, tree)["a"]["ac_max_current_A"] == {"value": 20, "source": ""}


def test_unknown_keys_are_ignored() -> None:
    tree = two(extra=1)
    tree["schedule_import"][0]["extra"] = {"price": 1}
    tree["schedule_import"][0]["limits_to_root"]["extra"] = NAN
    assert found(tree) == ({"a": 10, "b": 10}, {})


@pytest.mark.parametrize(
    "setpoint",
    [
        7,
        [],
        {"ac_current_A": NAN},
        {"ac_current_A": "16"},
        {"total_power_W": INFINITE},
        {"ac_current_A": None},
        {"ac_current_A": 16, "priority": -1},
        {"ac_current_A": 16, "priority": 1_001},
        {"ac_current_A": 16, "priority": "high"},
        {"ac_current_A": 16, "source": None},
        {"frequency_table": 7},
        {"frequency_table": [7]},
        {"frequency_table": [{"frequency_Hz": 50}]},
        {"frequency_table": [{"frequency_Hz": NAN, "total_power_W": 0}]},
    ],
)
def test_an_impossible_setpoint_stops_everything_below(setpoint: Any) -> None:
    if isinstance(setpoint, dict):
        setpoint = {"priority": 500, "source": "odd", **setpoint}
    inner = node("inner", [evse("a")], setpoint={"ac_current_A": 16, "priority": 0, "source": "other"})
    currents, rejected = found(node("grid", [inner], A=20, setpoint=setpoint))
    assert (currents, list(rejected)) == ({"a": 0}, ["grid"])


@pytest.mark.parametrize(
    "usage",
    [None, 7, [], {"frequency_Hz": 50}, {"frequency_Hz": {"L1": NAN}}, {"frequency_Hz": {"L1": "50"}}],
)
def test_an_odd_measurement_in_the_request_is_ignored(usage: Any) -> None:
    assert found(two(energy_usage_root=usage, energy_usage_leaves=usage)) == ({"a": 10, "b": 10}, {})


def test_the_request_is_not_changed() -> None:
    tree = limited("total_power_W", -1)
    before = copy.deepcopy(tree)
    found(tree)
    assert tree == before


def test_timestamps_are_read_with_their_offsets() -> None:
    """Of three entries the one of 09:59 UTC is in force at 10:00 UTC."""
    stamps = {"2026-03-01T11:59:00+02:00": 16, "2026-03-01T10:30:00": 20, "2026-03-01T04:30:00-05:00": 12}
    schedule = [
        {**entry(limits("grid", ac_max_current_A=A)), "timestamp": stamp} for stamp, A in stamps.items()
    ]
    tree = {**node("grid", [evse("a")]), "schedule_import": schedule}
    results = SiteRun().manager.optimize(tree, NOW)
    assert [
        (slot["timestamp"], slot["limits_to_root"]["ac_max_current_A"]["value"])
        for slot in results[0]["schedule"]
    ] == [(format_time(NOW), 16), ("2026-03-01T10:30:00.000Z", 20)]
