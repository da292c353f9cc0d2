"""What holds for every allocation on every site."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from energy_management import EnergyManager, ManagerConfig, Site
from tests.energy_management.checker import check, kept_phases
from tests.energy_management.linear_program import max_min
from tests.energy_management.problem import Json, evse_paths, read_slot, walk
from tests.energy_management.properties.strategies import cases, examples
from tests.energy_management.random_sites import Case, shuffled
from tests.energy_management.trees import NOW

ONE_CLASS = ("states", "priorities", "setpoints", "switching")


def optimize(case: Case) -> list[Json]:
    manager = EnergyManager(ManagerConfig.from_dict(case.config), Site.from_dict(case.site))
    return manager.optimize(case.request, NOW)


def currents(result: list[Json]) -> dict[str, float]:
    """The current each EVSE may draw now, by uuid; the equivalent current where only power is limited."""
    return {entry["uuid"]: entry["limits_root_side"]["ac_max_current_A"]["value"] for entry in result}


@examples
@given(cases())
def test_result_is_the_fair_allocation(case: Case) -> None:
    """No limit exceeded, nothing left, max-min fair, 0 or at least the minimum: in every slot, both ways."""
    assert check(case.request, case.config, case.site, optimize(case), NOW) == []


@examples
@given(cases(max_evses=12, always=("unbalance", "rotation", "single_phase")))
def test_phases_are_balanced_fairly(case: Case) -> None:
    """The same where most nodes limit the difference between phases: one share can make room for another."""
    assert check(case.request, case.config, case.site, optimize(case), NOW) == []


def capable(case: Case) -> dict[str, float]:
    """The weights of the EVSEs that could charge if they were alone."""
    slot = read_slot(case.request, NOW, case.config, case.site)
    rows = slot.rows([kept_phases(slot, i) for i in range(len(slot.evses))])
    return {
        evse.uuid: evse.weight
        for i, evse in enumerate(slot.evses)
        if evse.direction == "import"
        and min(row.capacity / row.coefficients[i] for row in rows if row.coefficients.get(i, 0.0) > 0)
        > max(evse.minimum_A, 1e-3)
    }


@examples
@given(cases(without=ONE_CLASS), st.integers(0, 2**32), st.floats(1.0, 3.0))
def test_more_capacity_never_lowers_the_smallest_share(case: Case, seed: int, factor: float) -> None:
    wider = Case(copy.deepcopy(case.request), case.config, case.site)
    nodes = [path[-1] for path in walk(wider.request) if path[-1]["node_type"] == "Generic"]
    for entry in random.Random(seed).choice(nodes)["schedule_import"]:
        for side in ("limits_to_root", "limits_to_leaves"):
            for name in {"ac_max_current_A", "total_power_W"} & entry[side].keys():
                entry[side][name]["value"] *= factor
    weights = capable(case)
    assume(weights and weights == capable(wider))
    before, after = (
        min(found[uuid] / weight for uuid, weight in weights.items())
        for found in (currents(optimize(case)), currents(optimize(wider)))
    )
    event("someone has nothing" if before == 0 else "all are served")
    assert after >= before - 1e-6


@examples
@given(cases(without=("minima",)), st.integers(0, 2**32))
def test_order_of_children_changes_nothing(case: Case, seed: int) -> None:
    """Without minima there are no turns to be taken, and so no ties."""
    other = Case(shuffled(case.request, random.Random(seed)), case.config, case.site)
    assert currents(optimize(other)) == pytest.approx(currents(optimize(case)), rel=1e-6, abs=1e-6)


@examples
@given(cases(max_evses=10, without=("schedules",)), st.integers(2, 4), st.integers(0, 100))
def test_identical_evses_get_the_same(case: Case, copies: int, pick: int) -> None:
    """All siblings that ask for the same get the same, or their turn."""
    request = copy.deepcopy(case.request)
    paths = evse_paths(request)
    path = paths[pick % len(paths)]
    twins = [{**path[-1], "uuid": f"{path[-1]['uuid']}-twin{k}"} for k in range(copies)]
    path[-2]["children"] += twins
    attributes = case.site["evses"][path[-1]["uuid"]]
    site = {**case.site, "evses": case.site["evses"] | {twin["uuid"]: attributes for twin in twins}}
    found = currents(optimize(Case(request, case.config, site)))
    alike = [found[path[-1]["uuid"]]] + [found[twin["uuid"]] for twin in twins]
    served = [current for current in alike if current]
    event("all served" if len(served) == len(alike) else "some wait")
    assert served == pytest.approx([served[0]] * len(served) if served else [], rel=1e-6, abs=1e-6)


@examples
@given(cases(max_evses=6, depth=3, without=(*ONE_CLASS, "export")))
def test_agrees_with_the_linear_program(case: Case) -> None:
    """Cross-check of the engine and of the checker with lexicographic max-min by linear programs."""
    found = currents(optimize(case))
    slot = read_slot(case.request, NOW, case.config, case.site)
    served = [i for i, evse in enumerate(slot.evses) if found[evse.uuid] > 0 or not evse.minimum_A]
    assume(served)
    phases = [min(evse.active_phases, evse.max_phases) for evse in slot.evses]
    rows = [row.only(served) for row in slot.rows(phases)]
    wanted = max_min(
        [row for row in rows if row.coefficients],
        [slot.evses[i].minimum_A for i in served],
        [slot.evses[i].weight for i in served],
    )
    assert [found[slot.evses[i].uuid] for i in served] == pytest.approx(wanted, abs=1e-3)
