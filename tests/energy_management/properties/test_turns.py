"""Where not all minima fit, EVSEs take turns: nobody starves, and a turn is not cut short."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from energy_management import EnergyManager, ManagerConfig, Site
from tests.energy_management.checker import check
from tests.energy_management.problem import Json
from tests.energy_management.trees import NOW, evse, node

TURN_S = 900
STEP_S = 60


def served_over_time(request: Json, seconds: int, site: Json | None = None) -> list[set[str]]:
    """Who is served at each minute."""
    manager = EnergyManager(ManagerConfig(), Site.from_dict(site or {}))
    found = []
    for second in range(0, seconds, STEP_S):
        now = NOW + timedelta(seconds=second)
        result = manager.optimize(request, now)
        assert check(request, {}, site or {}, result, now) == []
        found.append({e["uuid"] for e in result if e["limits_root_side"]["ac_max_current_A"]["value"] > 0})
    return found


@pytest.mark.parametrize(("evses", "places"), [(2, 1), (3, 1), (3, 2), (5, 2), (7, 3)])
def test_everyone_gets_a_turn_of_full_length(evses: int, places: int) -> None:
    names = [f"e{k}" for k in range(evses)]
    request = node("fuse", [evse(name) for name in names], A=6.0 * places + 1)
    rounds = -(-evses // places)
    served = served_over_time(request, seconds=(2 * rounds + 1) * TURN_S)
    assert all(len(now) == places for now in served)
    for name in names:
        waits = lengths(name not in now for now in served)
        turns = lengths(name in now for now in served)
        assert turns, f"{name} starves"
        assert max(waits, default=0) * STEP_S <= rounds * TURN_S
        assert min(turns[:-1], default=TURN_S) * STEP_S >= TURN_S  # the last one may still be running


def lengths(flags: Iterable[bool]) -> list[int]:
    """How long each run of true flags is."""
    found, running = [], 0
    for flag in [*flags, False]:
        if flag:
            running += 1
        elif running:
            found.append(running)
            running = 0
    return found


def test_higher_priority_does_not_take_turns() -> None:
    request = node("fuse", [evse("a"), evse("b"), evse("c")], A=13)
    served = served_over_time(request, 4 * TURN_S, {"evses": {"c": {"priority": 1}}})
    assert all("c" in now for now in served)
    assert set().union(*served) == {"a", "b", "c"}


def test_who_leaves_makes_room_at_once() -> None:
    manager = EnergyManager(ManagerConfig())
    request = node("fuse", [evse("a"), evse("b")], A=10)
    first = {
        e["uuid"]: e["limits_root_side"]["ac_max_current_A"]["value"] for e in manager.optimize(request, NOW)
    }
    (charging,) = [uuid for uuid, current in first.items() if current]
    for child in request["children"]:
        if child["uuid"] == charging:
            child["evse_state"] = "Unplugged"
    later = manager.optimize(request, NOW + timedelta(seconds=1))
    assert {e["uuid"]: e["limits_root_side"]["ac_max_current_A"]["value"] for e in later} == {
        charging: 0.0,
        ({"a", "b"} - {charging}).pop(): 10.0,
    }
