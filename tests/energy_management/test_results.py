"""The form of results, the report, and runs that need not be done again."""

from __future__ import annotations

import copy
import json

import pytest

from energy_management import EnergyManager, ManagerConfig
from energy_management.measurement import Reading
from tests.energy_management.problem import Json
from tests.energy_management.site_runs import SiteRun, amps, optimize, phases, watts
from tests.energy_management.trees import NOW, dc_evse, evse, node


def test_results_have_the_form_that_everest_expects() -> None:
    (result,) = EnergyManager(ManagerConfig(update_interval=3)).optimize(
        node("grid", [evse("a")], A=16, W=9_200), NOW
    )
    limits = {
        "ac_max_current_A": {"value": 40 / 3, "source": "grid/total_power_W"},
        "ac_max_phase_count": {"value": 3, "source": "grid/ac_max_phase_count,a/ac_max_phase_count"},
        "total_power_W": {"value": 9_200.0, "source": "grid/total_power_W"},
    }
    assert result == {
        "uuid": "a",
        "valid_for": 30,
        "limits_root_side": limits,
        "schedule": [{"timestamp": "2026-03-01T10:00:00.000Z", "limits_to_root": limits}],
    }
    assert type(result["valid_for"]) is int
    assert type(result["limits_root_side"]["ac_max_phase_count"]["value"]) is int


def test_power_is_named_only_where_it_is_limited() -> None:
    tree = node("grid", [node("limited", [evse("a")], W=5_000), node("free", [evse("b")])], A=32)
    assert list(watts(optimize(tree))) == ["a"]


def test_dc_has_current_and_power() -> None:
    limits = optimize(node("grid", [dc_evse("dc", W=150_000, A=250)], A=400))["dc"]
    assert limits["total_power_W"]["value"] == pytest.approx(150_000)
    assert limits["ac_max_current_A"]["value"] == pytest.approx(150_000 / 690)


def test_whoever_gets_nothing_is_told_so() -> None:
    tree = node("grid", [evse("a"), evse("b", A=0), evse("c", state="Unplugged")], A=7)
    limits = optimize(tree)
    assert amps(limits) == {"a": 7, "b": 0, "c": 0}
    assert phases(limits) == {"a": 3, "b": None, "c": None}


def test_results_are_depth_first() -> None:
    tree = node(
        "grid",
        [evse("z"), node("inner", [evse("y"), node("inmost", [evse("x")]), evse("b")]), evse("a")],
        A=99,
    )
    assert list(optimize(tree)) == ["z", "y", "x", "b", "a"]


def test_the_order_of_children_changes_nothing() -> None:
    children = [evse("a", A=8), evse("b"), evse("c", phases=1), dc_evse("d", W=4_000)]
    there = amps(optimize(node("grid", children, A=50, W=30_000)))
    back = amps(optimize(node("grid", children[::-1], A=50, W=30_000)))
    assert there == back


def test_the_report_tells_grants_and_loads_per_phase() -> None:
    site = {"evses": {"a": {"phase_rotation": "L2 L3 L1"}}}
    run = SiteRun(site=site)
    garage = node("garage", [evse("a", phases=1), evse("b")], A=20)
    run.at(0, node("grid", [garage, evse("c", A=8)], A=63))
    report = run.manager.report
    assert (report.evses, report.slots, report.rejected, report.violations) == (3, 1, [], [])
    assert report.grants == {"a": (0, 10, 0), "b": (10, 10, 10), "c": (8, 8, 8)}
    assert report.nodes["garage"].import_A == (10, 20, 10)
    assert report.nodes["garage"].limit_A == (20, 20, 20)
    assert report.nodes["garage"].import_W == pytest.approx(40 * 230)
    assert report.nodes["garage"].sources == ("garage/ac_max_current_A",)
    assert report.nodes["grid"].import_A == (18, 28, 18)
    assert report.nodes["grid"].sources == ()
    json.dumps(report.grants)


def test_export_is_reported_apart() -> None:
    run = SiteRun()
    run.at(0, node("grid", [evse("out", A=0, min_A=0, export_A=10), evse("in", A=6)], A=32, export_A=32))
    assert run.manager.report.grants == {"out": (-10, -10, -10), "in": (6, 6, 6)}
    assert run.manager.report.nodes["grid"].import_A == (6, 6, 6)
    assert run.manager.report.nodes["grid"].export_A == (10, 10, 10)


def test_before_the_first_run_the_report_is_empty() -> None:
    report = EnergyManager(ManagerConfig()).report
    assert (report.evses, report.slots, report.grants, report.nodes, report.violations) == (0, 0, {}, {}, [])


class TestRepeatedRequests:
    """An equal request is answered from memory, but never with an answer that time has made wrong."""

    def answers(self, request: Json, config: Json | None = None) -> tuple[SiteRun, object]:
        run = SiteRun(config)
        run.at(0, request)
        return run, run.manager.report

    def is_remembered(self, run: SiteRun, before: object) -> bool:
        return run.manager.report is before

    def test_an_equal_request_is(self) -> None:
        tree = node("grid", [evse("a")], A=16)
        run, before = self.answers(tree)
        assert amps(run.at(1, copy.deepcopy(tree))) == {"a": 16}
        assert self.is_remembered(run, before)

    def test_a_request_that_was_changed_in_place_is_not(self) -> None:
        tree = node("grid", [evse("a")], A=16)
        run, _ = self.answers(tree)
        tree["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]["value"] = 10
        assert amps(run.at(1, tree)) == {"a": 10}

    def test_one_that_differs_only_in_the_type_of_a_value_is_not(self) -> None:
        tree = node("grid", [evse("a")], A=1)
        run, _ = self.answers(tree)
        tree["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]["value"] = True
        run.at(1, tree)
        assert run.manager.report.rejected != []

    def test_with_readings_it_is_not(self) -> None:
        tree = node("grid", [evse("a", min_A=0)], A=16)
        run, before = self.answers(tree)
        run.at(1, tree, {"grid": Reading(run.now.timestamp(), current_A=(20.0, 20.0, 20.0))})
        assert not self.is_remembered(run, before)

    def test_the_next_slot_is_not(self) -> None:
        tree = node("grid", [evse("a")], A=16)
        run, before = self.answers(tree)
        run.at(3_599, tree)
        assert self.is_remembered(run, before)
        run.at(3_600, tree)
        assert not self.is_remembered(run, before)

    def test_the_end_of_a_turn_is_not(self) -> None:
        tree = node("grid", [evse(name) for name in "abc"], A=13)
        run, before = self.answers(tree)
        run.at(899, tree)
        assert self.is_remembered(run, before)
        assert amps(run.at(900, tree))["c"] == 6.5
