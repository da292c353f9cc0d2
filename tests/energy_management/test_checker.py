"""The checker itself: it accepts what is right and finds each fault that is seeded into it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.energy_management.checker import Grant, check, check_slot
from tests.energy_management.linear_program import max_min
from tests.energy_management.problem import DEFAULTS, Json, format_time, read_slot
from tests.energy_management.trees import NOW, dc_evse, evse, node

ROTATIONS = {
    "evses": {
        "e1": {"phase_rotation": "L1 L2 L3"},
        "e2": {"phase_rotation": "L2 L3 L1"},
        "e3": {"phase_rotation": "L3 L1 L2"},
    }
}


def three_single_phase(fuse_A: float) -> Json:
    return node("fuse", [evse(f"e{k}", phases=1) for k in (1, 2, 3)], A=fuse_A)


def faults(
    request: Json, grants: list[tuple[float, int]], site: Json | None = None, **config: Any
) -> list[str]:
    slot = read_slot(request, NOW, config, site or {})
    return check_slot(slot, [Grant(*grant) for grant in grants], {**DEFAULTS, **config})


RIGHT: dict[str, tuple[Json, list[tuple[float, int]]]] = {
    "one EVSE takes the fuse": (node("fuse", [evse("e")], A=20), [(20, 3)]),
    "a fuse is shared equally": (node("fuse", [evse("a"), evse("b")], A=20), [(10, 3), (10, 3)]),
    "what one cannot take the others get": (
        node("fuse", [evse("a", A=8), evse("b")], A=20),
        [(8, 3), (12, 3)],
    ),
    "a minimum above the fair share is kept": (
        node("fuse", [evse("a", min_A=12), evse("b", min_A=0)], A=20),
        [(12, 3), (8, 3)],
    ),
    "watts on one phase are a third": (node("fuse", [evse("a", phases=1)], A=32, W=2300), [(10, 1)]),
    "unknown rotation counts on every phase": (three_single_phase(18), [(6, 1)] * 3),
    "AC and DC share watts equally": (
        node("fuse", [evse("a", min_A=0), dc_evse("d")], W=20_000),
        [(10_000 / 690, 3)] * 2,
    ),
    "a DC EVSE of 9 kW draws 10 kW at efficiency 0.9": (
        node("fuse", [dc_evse("d", W=9_000, efficiency=0.9)], A=63),
        [(10_000 / 690, 3)],
    ),
    "a converter between node and leaves costs watts": (
        node("grid", [node("converter", [evse("a")], A=63, efficiency=0.9)], W=6_900),
        [(9, 3)],
    ),
    "the leaves side of a node limits, too": (node("fuse", [evse("a")], A=32, leaves_A=16), [(16, 3)]),
    "paused by the EV: its minimum, the rest to others": (
        node("fuse", [evse("a"), evse("b", state="PausedEV")], A=32),
        [(26, 3), (6, 3)],
    ),
    "unplugged: nothing while another wants it": (
        node("fuse", [evse("a"), evse("b", state="Unplugged")], A=32),
        [(32, 3), (0, 3)],
    ),
    "two of three minima fit": (node("fuse", [evse(u) for u in "abc"], A=13), [(6.5, 3), (0, 3), (6.5, 3)]),
    "export where only export is asked": (
        node("fuse", [evse("a", A=0, min_A=0, export_A=16)], A=32, export_A=10),
        [(-10, 3)],
    ),
    "a discharging setpoint": (
        node(
            "g",
            [evse("a", export_A=16)],
            A=32,
            export_A=32,
            setpoint={"priority": 0, "source": "s", "ac_current_A": -3},
        ),
        [(-3, 3)],
    ),
}


@pytest.mark.parametrize("case", RIGHT, ids=str)
def test_accepts_what_is_right(case: str) -> None:
    request, grants = RIGHT[case]
    assert faults(request, grants) == []


def test_known_rotations_use_each_phase_of_the_fuse() -> None:
    assert faults(three_single_phase(16), [(16, 1)] * 3, ROTATIONS) == []
    assert faults(three_single_phase(16), [(5.33333333, 1)] * 3, ROTATIONS) != []


def test_weights_and_priorities() -> None:
    request = node("fuse", [evse("a", min_A=0), evse("b", min_A=0)], A=30)
    weights = {"evses": {"a": {"weight": 2.0}}}
    assert faults(request, [(20, 3), (10, 3)], weights) == []
    assert faults(request, [(15, 3), (15, 3)], weights) != []
    classes = {"evses": {"b": {"priority": 1}}}
    request = node("fuse", [evse("a"), evse("b")], A=30)
    assert faults(request, [(6, 3), (24, 3)], classes) == []
    assert faults(request, [(15, 3), (15, 3)], classes) != []
    assert faults(node("fuse", [evse("a"), evse("b")], A=10), [(10, 3), (0, 3)], classes) != []


WRONG: dict[str, tuple[Json, list[tuple[float, int]], str]] = {
    "the fuse is exceeded": (
        node("fuse", [evse("a"), evse("b")], A=20),
        [(10, 3), (10.001, 3)],
        "fuse import root A L1: 20.001",
    ),
    "only one phase is exceeded": (
        node("fuse", [evse("a", phases=1), evse("b")], A=20),
        [(10, 1), (11, 3)],
        "exceeds 20",
    ),
    "the watts are exceeded": (node("fuse", [evse("a")], A=32, W=6_900), [(11, 3)], "import root W: 7590"),
    "an inner node is exceeded": (
        node("grid", [node("inner", [evse("a"), evse("b")], A=16)], A=63),
        [(16, 3), (16, 3)],
        "inner import root A L1: 32",
    ),
    "the leaves side is exceeded": (
        node("fuse", [evse("a")], A=32, leaves_A=16),
        [(20, 3)],
        "import leaves A L1",
    ),
    "losses of a converter are forgotten": (
        node("grid", [node("converter", [evse("a")], A=63, efficiency=0.9)], W=6_900),
        [(10, 3)],
        "grid import root W: 7666",
    ),
    "more than the EVSE can take": (node("fuse", [evse("a", A=16)], A=32), [(17, 3)], "a import root A"),
    "below the minimum": (
        node("fuse", [evse("a"), evse("b")], A=11),
        [(6, 3), (5, 3)],
        "b: 5.000 A is below its minimum",
    ),
    "something is left": (
        node("fuse", [evse("a"), evse("b")], A=20),
        [(9.9, 3), (9.9, 3)],
        "nothing on its way is full",
    ),
    "a slice of difference": (node("fuse", [evse("a"), evse("b")], A=20), [(10.25, 3), (9.75, 3)], "b: 9.75"),
    "unfair behind another fuse": (
        node("grid", [node("left", [evse("a")], A=32), node("right", [evse("b")], A=8)], A=30),
        [(24, 3), (6, 3)],
        "b: 6.0",
    ),
    "left out though it fits": (
        node("fuse", [evse("a"), evse("b")], A=20),
        [(20, 3), (0, 3)],
        "though its minimum",
    ),
    "left out beside someone with less priority": (
        node("fuse", [evse("a", state="Unplugged"), evse("b")], A=8),
        [(8, 3), (0, 3)],
        "b: gets nothing",
    ),
    "unplugged keeps its share": (
        node("fuse", [evse("a"), evse("b", state="Unplugged")], A=32),
        [(16, 3), (16, 3)],
        "less than its share",
    ),
    "paused by the EV takes more than its minimum": (
        node("fuse", [evse("a"), evse("b", state="PausedEV")], A=32),
        [(16, 3), (16, 3)],
        "less than its share",
    ),
    "import 0 turns into export": (
        node("fuse", [evse("a", export_A=16)], A=0, export_A=16),
        [(-16, 3)],
        "may only import",
    ),
    "import where the setpoint discharges": (
        node(
            "g",
            [evse("a", export_A=16)],
            A=32,
            export_A=32,
            setpoint={"priority": 0, "source": "s", "total_power_W": -690},
        ),
        [(6, 3)],
        "may only export",
    ),
    "more export than allowed": (
        node("fuse", [evse("a", A=0, min_A=0, export_A=16)], A=32, export_A=10),
        [(-11, 3)],
        "exceeds 10",
    ),
    "more phases than the node has": (
        node("fuse", [evse("a", min_A=0)], A=16, phases=1),
        [(16, 3)],
        "at most 1",
    ),
    "switched in mode Never": (node("fuse", [evse("a")], A=32, W=2_000), [(8, 1)], "may not switch"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_finds_a_seeded_fault(case: str) -> None:
    request, grants, complaint = WRONG[case]
    found = faults(request, grants)
    assert any(complaint in fault for fault in found), found


def test_switching_is_allowed_only_where_it_is_configured() -> None:
    request = node("fuse", [evse("a", can_switch=True)], A=32, W=2_000)
    grant = [(2_000 / 230, 1)]
    assert faults(request, grant, switch_3ph1ph_while_charging_mode="Both") == []
    assert faults(request, grant) == ["a: 1 phases, but it may not switch from 3"]
    single = node("fuse", [evse("a", can_switch=True, active=1)], A=16)
    assert faults(single, [(16, 3)], switch_3ph1ph_while_charging_mode="Both") == []
    assert faults(single, [(16, 3)], switch_3ph1ph_while_charging_mode="Oneway") != []
    needs_three = node("fuse", [evse("a", can_switch=True, min_phases=3)], A=32, W=2_000)
    assert faults(needs_three, grant, switch_3ph1ph_while_charging_mode="Both") != []


def test_unbalance_between_phases() -> None:
    site = {**ROTATIONS, "nodes": {"fuse": {"max_unbalance_A": 10.0}}}
    request = node("fuse", [evse("e1", phases=1), evse("e2", phases=1, min_A=0)], A=32)
    assert faults(request, [(10, 1), (10, 1)], site) == []  # L3 carries nothing
    assert any("import unbalance L1 over L2" in fault for fault in faults(request, [(12, 1), (1, 1)], site))


def test_phases_that_stop_each_other_are_no_reason_for_either() -> None:
    site = {**ROTATIONS, "nodes": {"fuse": {"max_unbalance_A": 0.0}}}
    request = node("fuse", [evse(f"e{k}", phases=1) for k in (1, 2, 3)], A=20)
    assert faults(request, [(20, 1)] * 3, site) == []
    found = faults(request, [(10, 1)] * 3, site)
    assert [fault.split(", which")[0] for fault in found] == [
        f"e{k}: 10.000000 A, less than its share" for k in (1, 2, 3)
    ]


def a_result(request: Json, grants: dict[str, float]) -> list[Json]:
    def limits_res(current_A: float) -> Json:
        return {
            "ac_max_current_A": {"value": current_A, "source": "fuse"},
            "ac_max_phase_count": {"value": 3, "source": "fuse"},
        }

    return [
        {
            "uuid": uuid,
            "valid_for": 10,
            "limits_root_side": limits_res(current),
            "schedule": [{"timestamp": format_time(NOW), "limits_to_root": limits_res(current)}],
        }
        for uuid, current in grants.items()
    ]


SHAPES = {
    "an EVSE is missing": lambda result: result.pop(),
    "order of EVSEs": lambda result: result.reverse(),
    "another key": lambda result: result[0].update(extra=1),
    "valid_for": lambda result: result[0].update(valid_for=1),
    "a slot is missing": lambda result: result[0]["schedule"].clear(),
    "an empty object": lambda result: result[0]["schedule"][0].update(limits_to_root={}),
    "not a number": lambda result: result[0]["schedule"][0]["limits_to_root"]["ac_max_current_A"].update(
        value=float("nan")
    ),
    "watts that do not fit the amps": lambda result: result[0]["schedule"][0]["limits_to_root"].update(
        total_power_W={"value": 1.0, "source": ""}
    ),
    "not the active slot": lambda result: result[0]["limits_root_side"]["ac_max_current_A"].update(value=9.0),
}


@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_finds_a_result_of_the_wrong_shape(case: str) -> None:
    request = node("fuse", [evse("a"), evse("b")], A=20)
    right = a_result(request, {"a": 10.0, "b": 10.0})
    assert check(request, {}, {}, right, NOW) == []
    wrong = copy.deepcopy(right)
    SHAPES[case](wrong)
    assert check(request, {}, {}, wrong, NOW) != []


def test_the_linear_program_agrees_with_a_sum_done_by_hand() -> None:
    """Of 30 A, b is held at 4 A by its fuse, c keeps its minimum of 12 A, a and d share the rest 2 to 1."""
    request = node(
        "grid",
        [
            evse("a", min_A=0),
            node("left", [evse("b", min_A=0)], A=4),
            evse("c", min_A=12),
            evse("d", min_A=0),
        ],
        A=30,
    )
    slot = read_slot(request, NOW, {}, {})
    found = max_min(slot.rows([3] * 4), [0, 0, 12, 0], [2.0, 1.0, 1.0, 1.0])
    assert found == pytest.approx([28 / 3, 4, 12, 14 / 3], abs=1e-5)
