"""What a manager keeps between runs changes nothing but how fast it answers."""

from __future__ import annotations

import copy
import random
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from energy_management import EnergyManager, ManagerConfig, Site
from energy_management.timeline import format_timestamp, parse_timestamp
from energy_management.tree import shape_of
from tests.energy_management.fuzz import damaged
from tests.energy_management.problem import walk
from tests.energy_management.properties.strategies import cases, examples
from tests.energy_management.random_sites import Case
from tests.energy_management.trees import NOW

STATES = ("Charging", "PausedEV", "Unplugged", "WaitForEnergy", "Finished")


def mutated(request: Any, rng: random.Random) -> Any:
    """A request of the same site a moment later: most of it is as it was."""
    request = copy.deepcopy(request)
    mutations = (change_nothing, add, remove, reorder, change_state, change_values, change_limit)
    rng.choice(mutations)([path[-1] for path in walk(request)], rng)
    return request


def change_nothing(nodes: list[Any], rng: random.Random) -> None:
    """An equal request, but other objects."""


def parent_and_evse(nodes: list[Any], rng: random.Random) -> tuple[Any, Any]:
    parents = [node for node in nodes if node["node_type"] != "Evse"]
    return rng.choice(parents), rng.choice([node for node in nodes if node["node_type"] == "Evse"])


def add(nodes: list[Any], rng: random.Random) -> None:
    parent, evse = parent_and_evse(nodes, rng)
    parent["children"].append({**copy.deepcopy(evse), "uuid": f"more{rng.random()}"})


def remove(nodes: list[Any], rng: random.Random) -> None:
    _, evse = parent_and_evse(nodes, rng)
    for node in nodes:
        node["children"] = [child for child in node.get("children", []) if child is not evse]


def reorder(nodes: list[Any], rng: random.Random) -> None:
    parent, _ = parent_and_evse(nodes, rng)
    rng.shuffle(parent["children"])


def change_state(nodes: list[Any], rng: random.Random) -> None:
    _, evse = parent_and_evse(nodes, rng)
    evse["evse_state"] = rng.choice(STATES)


def change_values(nodes: list[Any], rng: random.Random) -> None:
    for limits in (entry["limits_to_root"] for node in nodes for entry in node.get("schedule_import", [])):
        if "ac_max_current_A" in limits:
            limits["ac_max_current_A"]["value"] *= rng.choice((0.5, 1.0, 1.5))


def change_limit(nodes: list[Any], rng: random.Random) -> None:
    parent, _ = parent_and_evse(nodes, rng)
    for entry in parent.get("schedule_import", [])[:1]:
        if not entry["limits_to_root"].pop("ac_max_current_A", None):
            limit = {"value": rng.uniform(0.0, 60.0), "source": "new"}
            entry["limits_to_root"]["ac_max_current_A"] = limit


@examples
@given(cases(max_evses=12), st.integers(0, 2**32))
def test_a_manager_with_a_past_answers_as_a_new_one_with_its_state(case: Case, seed: int) -> None:
    rng = random.Random(seed)
    config, site = ManagerConfig.from_dict(case.config), Site.from_dict(case.site)
    manager = EnergyManager(config, site)
    healthy = case.request
    now = NOW
    for _ in range(4):
        is_damaged = rng.random() < 0.15
        request = damaged(copy.deepcopy(healthy), rng)[0] if is_damaged else mutated(healthy, rng)
        now += timedelta(seconds=rng.choice((0, 1, 60, 1000)))
        new = EnergyManager(config, site, copy.deepcopy(manager.state))
        answer = copy.deepcopy(manager.optimize(request, now))
        for kept in (shape_of, parse_timestamp, format_timestamp):
            kept.cache_clear()
        assert new.optimize(request, now) == answer
        assert new.state.to_json() == manager.state.to_json()
        if answer and not is_damaged:
            healthy = request
