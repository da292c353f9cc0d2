"""What fair means: amps and watts, phases and wiring, weights and priorities."""

from __future__ import annotations

import pytest

from tests.energy_management.problem import Json
from tests.energy_management.site_runs import SiteRun, amps, optimize, phases, sources, watts
from tests.energy_management.trees import dc_evse, evse, node


def rotations(**evses: str) -> Json:
    return {"evses": {uuid: {"phase_rotation": rotation} for uuid, rotation in evses.items()}}


def test_equal_evses_get_equal_shares() -> None:
    tree = node("grid", [evse(name) for name in "abc"], A=31)
    assert amps(optimize(tree)) == dict.fromkeys("abc", 10.333333)


def test_what_one_leaves_goes_to_the_others() -> None:
    tree = node("grid", [evse("a", A=8), evse("b"), evse("c")], A=40)
    assert amps(optimize(tree)) == {"a": 8, "b": 16, "c": 16}


def test_fuses_below_fuses() -> None:
    tree = node("grid", [node("north", [evse("a"), evse("b")], A=16), node("south", [evse("c")], A=32)], A=40)
    assert amps(optimize(tree)) == {"a": 8, "b": 8, "c": 24}


def test_shares_follow_weights() -> None:
    site = {"evses": {"a": {"weight": 3.0}}}
    assert amps(optimize(node("grid", [evse("a"), evse("b")], A=32), site=site)) == {"a": 24, "b": 8}


def test_minima_come_before_weights() -> None:
    site = {"evses": {"a": {"weight": 100.0}}}
    assert amps(optimize(node("grid", [evse("a"), evse("b")], A=32), site=site)) == {"a": 26, "b": 6}


def test_higher_priority_fills_first_but_leaves_minima() -> None:
    site = {"evses": {"a": {"priority": 1}}}
    assert amps(optimize(node("grid", [evse("a"), evse("b"), evse("c")], A=40), site=site)) == {
        "a": 28,
        "b": 6,
        "c": 6,
    }


def test_power_is_shared_like_current() -> None:
    limits = optimize(node("grid", [evse("a"), evse("b")], A=63, W=13_800))
    assert amps(limits) == {"a": 10, "b": 10}
    assert watts(limits) == {"a": 6_900, "b": 6_900}


def test_a_single_phase_needs_less_power_for_the_same_current() -> None:
    limits = optimize(node("grid", [evse("one", phases=1), evse("three")], A=63, W=9_200))
    assert amps(limits) == {"one": 10, "three": 10}
    assert watts(limits) == {"one": 2_300, "three": 6_900}


def test_dc_is_shared_by_its_current_equivalent() -> None:
    limits = optimize(node("grid", [evse("ac", min_A=0), dc_evse("dc")], W=20_000, phases=None))
    assert watts(limits) == pytest.approx({"ac": 10_000, "dc": 10_000})


def test_losses_count_on_the_way_up() -> None:
    limits = optimize(node("grid", [dc_evse("dc", W=9_000, efficiency=0.9)], W=50_000))
    assert watts(limits) == {"dc": 10_000}
    inner = node("inner", [evse("a", min_A=0)], efficiency=0.5)
    assert watts(optimize(node("grid", [inner], W=10_000))) == {"a": 5_000}


def test_a_limit_on_the_side_of_the_children_is_before_the_losses() -> None:
    inner = node("inner", [evse("a", min_A=0)], leaves_W=4_600, efficiency=0.5)
    assert watts(optimize(node("grid", [inner], A=63))) == {"a": 4_600}


def test_three_single_phase_evses_on_three_phases_do_not_meet() -> None:
    tree = node("grid", [evse(name, phases=1) for name in "abc"], A=16)
    site = rotations(a="L1 L2 L3", b="L2 L3 L1", c="L3 L1 L2")
    assert amps(optimize(tree, site=site)) == dict.fromkeys("abc", 16)


def test_without_known_wiring_they_count_on_all_phases() -> None:
    tree = node("grid", [evse(name, phases=1, min_A=0) for name in "abc"], A=16)
    assert amps(optimize(tree)) == dict.fromkeys("abc", 5.333333)


def test_one_unknown_wiring_counts_on_each_phase() -> None:
    tree = node("grid", [evse(name, phases=1) for name in "abc"], A=16)
    assert amps(optimize(tree, site=rotations(a="L1 L2 L3", b="L2 L3 L1"))) == {"a": 8, "b": 8, "c": 8}


def test_a_car_on_two_phases_counts_on_two() -> None:
    tree = node("grid", [evse("two", active=2), evse("one", phases=1)], A=16)
    limits = optimize(tree, site=rotations(two="L1 L2 L3", one="L3 L1 L2"))
    assert (amps(limits), phases(limits)) == ({"two": 16, "one": 16}, {"two": 2, "one": 1})


def test_single_phases_share_with_three() -> None:
    tree = node("grid", [evse("one", phases=1), evse("three")], A=20)
    limits = optimize(tree, site=rotations(one="L2 L3 L1"))
    assert amps(limits) == {"one": 10, "three": 10}


ON_L1_L2_L3: Json = rotations(a="L1 L2 L3", a2="L1 L2 L3", b="L2 L3 L1", c="L3 L1 L2")


@pytest.mark.parametrize(
    ("evses", "expected"),
    [
        ([evse("a", phases=1), evse("three")], {"a": 10, "three": 22}),
        ([evse("a", phases=1), evse("b", phases=1)], {"a": 10, "b": 10}),
        (
            [evse("a", phases=1), evse("b", phases=1, A=16), evse("c", phases=1, A=8)],
            {"a": 18, "b": 16, "c": 8},
        ),
    ],
)
def test_phases_may_not_differ_by_more_than_their_unbalance(evses: list[Json], expected: Json) -> None:
    site = {**ON_L1_L2_L3, "nodes": {"grid": {"max_unbalance_A": 10}}}
    assert amps(optimize(node("grid", evses, A=32), site=site)) == expected


def test_one_goes_ahead_to_make_room_on_another_phase() -> None:
    """With 25 A for each of them L1 would have 25 A more than the other phases, but it may only have 20."""
    site = {**ON_L1_L2_L3, "nodes": {"grid": {"max_unbalance_A": 20}}}
    tree = node("grid", [evse(name, phases=1) for name in ("a", "a2", "b", "c")], A=63, W=23_000)
    third, more = 23.333333, 26.666667
    assert amps(optimize(tree, site=site)) == {"a": third, "a2": third, "b": more, "c": more}


def test_phases_that_must_be_equal_rise_together_whatever_the_weights() -> None:
    site = {**ON_L1_L2_L3, "nodes": {"grid": {"max_unbalance_A": 0}}}
    site["evses"] = {**site["evses"], "a": {"phase_rotation": "L1 L2 L3", "weight": 2.0}}
    tree = node("grid", [evse(name, phases=1, min_A=0) for name in "abc"], A=20)
    assert amps(optimize(tree, site=site)) == {"a": 20, "b": 20, "c": 20}


def test_a_lower_priority_makes_room_for_a_higher_one() -> None:
    """Of 60 A, a has what b and c at 10 A less leave."""
    site = {**ON_L1_L2_L3, "nodes": {"grid": {"max_unbalance_A": 10}}}
    site["evses"] = {**site["evses"], "a": {"phase_rotation": "L1 L2 L3", "priority": 1}}
    tree = node("grid", [evse(name, phases=1, min_A=0) for name in "abc"], A=63, W=13_800)
    assert amps(optimize(tree, site=site)) == {"a": 26.666667, "b": 16.666667, "c": 16.666667}


@pytest.mark.parametrize("fuse_A", [None, 40.0])
def test_a_node_may_limit_its_unbalance_with_a_fuse_of_its_own_or_without(fuse_A: float | None) -> None:
    site = {**rotations(a="L1 L2 L3", b="L2 L3 L1"), "nodes": {"garage": {"max_unbalance_A": 10.0}}}
    garage = node("garage", [evse("a", phases=1, min_A=0.0), evse("b", A=16, phases=3)], A=fuse_A)
    assert amps(optimize(node("grid", [garage], A=40), site=site)) == {"a": 10, "b": 16}


def test_a_minimum_that_fits_beside_a_later_one_is_served() -> None:
    site: Json = rotations(a="L1 L2 L3", b="L2 L3 L1", c="L3 L1 L2")
    site["nodes"] = {"grid": {"max_unbalance_A": 7}}
    site["evses"]["b"] = {**site["evses"]["b"], "priority": 1}
    evses = [evse("a", phases=1, min_A=6.0), evse("b", phases=1, min_A=8.0), evse("c", phases=1, min_A=8.0)]
    found = amps(optimize(node("grid", evses, A=32), site=site))
    assert found["a"] >= 6


def test_minima_that_fit_only_together_are_served_together() -> None:
    site = {**ON_L1_L2_L3, "nodes": {"grid": {"max_unbalance_A": 5}}}
    evses = [evse(name, phases=1, min_A=6.0) for name in ("a", "b", "c", "a2")]
    assert amps(optimize(node("grid", evses[:3], A=32), site=site)) == {"a": 32, "b": 32, "c": 32}
    assert amps(optimize(node("grid", evses, A=32), site=site)) == {"a": 32, "b": 32, "c": 32, "a2": 0}


def test_room_that_later_minima_make_goes_to_the_first_who_waits_for_it() -> None:
    site: Json = rotations(a="L1 L2 L3", next="L1 L2 L3", b="L2 L3 L1", c="L3 L1 L2", last="L1 L2 L3")
    site["nodes"] = {"grid": {"max_unbalance_A": 10}}
    evses = [evse(name, phases=1, min_A=6.0) for name in ("a", "next", "b", "c", "last")]
    served = {
        name for name, current in amps(optimize(node("grid", evses, A=32), site=site)).items() if current
    }
    assert served == {"a", "next", "b", "c"}


@pytest.mark.parametrize("state", ["Unplugged", "WaitForAuth", "PausedEV"])
def test_what_no_car_draws_makes_no_room_on_other_phases(state: str) -> None:
    site: Json = rotations(car="L1 L2 L3", idle="L2 L3 L1", idle_too="L3 L1 L2")
    site["nodes"] = {"grid": {"max_unbalance_A": 10}}
    idle = [evse(uuid, phases=1, min_A=0.0, state=state) for uuid in ("idle", "idle_too")]
    found = amps(optimize(node("grid", [evse("car", phases=1, min_A=0.0), *idle], A=32), site=site))
    assert found == {"car": 10, "idle": 10, "idle_too": 10}


def test_the_result_says_who_limits() -> None:
    tree = node("grid", [node("garage", [evse("a"), evse("b", A=7)], A=20)], A=32)
    assert sources(optimize(tree)) == {"a": "garage/ac_max_current_A", "b": "b/ac_max_current_A"}


def test_limits_that_bind_together_are_joined_root_to_leaf() -> None:
    tree = node("grid", [node("garage", [evse("a")], A=16)], A=16)
    assert sources(optimize(tree)) == {"a": "grid/ac_max_current_A,garage/ac_max_current_A"}


def test_who_gets_nothing_is_told_who_has_no_room() -> None:
    assert sources(optimize(node("grid", [evse("a")], A=5))) == {"a": "grid/ac_max_current_A"}


def test_more_capacity_never_lowers_the_smallest_share() -> None:
    run, before = SiteRun(), 0.0
    for limit in range(12, 70):
        tree = node("grid", [evse("a"), node("garage", [evse("b"), evse("c")], A=24)], A=limit)
        smallest = min(amps(run.at(limit, tree)).values())
        assert smallest >= before
        before = smallest


@pytest.mark.parametrize("count", [7, 100])
def test_sums_never_exceed_the_fuse(count: int) -> None:
    tree = node("grid", [evse(str(name), min_A=0) for name in range(count)], A=50.1)
    total = sum(limit["ac_max_current_A"]["value"] for limit in optimize(tree).values())
    assert total == pytest.approx(50.1, rel=1e-9)
