"""A restart changes nothing: the state that is saved is all there is to remember."""

from __future__ import annotations

import copy
import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from energy_management import EnergyManager, ManagerConfig, ManagerState, Site
from tests.energy_management.problem import Json, walk
from tests.energy_management.properties.strategies import cases, examples
from tests.energy_management.random_sites import Case
from tests.energy_management.trees import NOW

STATES = ("Charging", "Charging", "Charging", "Unplugged", "WaitForAuth", "PausedEV", "Finished")


def next_request(request: Json, answers: list[Json], rng: random.Random) -> Json:
    """A while later: limits have changed, cars have come and gone, phases are as they were ordered."""
    changed = copy.deepcopy(request)
    ordered = {entry["uuid"]: entry["limits_root_side"] for entry in answers}
    for path in walk(changed):
        node = path[-1]
        for entry in node["schedule_import"]:
            limits = entry["limits_to_root"]
            if node["node_type"] == "Generic" and "total_power_W" in limits:
                limits["total_power_W"]["value"] = round(rng.uniform(0, 12_000), 1)
            phases = ordered.get(node["uuid"], {}).get("ac_max_phase_count")
            if phases and "ac_number_of_active_phases" in limits:
                limits["ac_number_of_active_phases"] = phases["value"]
        if "evse_state" in node and rng.random() < 0.2:
            node["evse_state"] = rng.choice(STATES)
    return changed


@examples
@given(cases(max_evses=8, depth=3), st.lists(st.integers(1, 2_000), min_size=1, max_size=6), st.data())
def test_a_restart_changes_nothing(case: Case, gaps_s: list[int], data: st.DataObject) -> None:
    config, site = ManagerConfig.from_dict(case.config), Site.from_dict(case.site)
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    restarts = data.draw(st.sets(st.integers(0, len(gaps_s))))
    steady = EnergyManager(config, site)
    restarted = EnergyManager(config, site)
    request, now = case.request, NOW
    for step, gap_s in enumerate([0, *gaps_s]):
        if step in restarts:  # clocks of two processes cannot be compared: time goes on from the next run
            restarted = EnergyManager(config, site, ManagerState.from_json(restarted.state.to_json()))
            assert restarted.optimize(request, now) == steady.optimize(request, now)
        now += timedelta(seconds=gap_s)
        answers = steady.optimize(request, now)
        assert restarted.optimize(request, now) == answers
        request = next_request(request, answers, rng)
