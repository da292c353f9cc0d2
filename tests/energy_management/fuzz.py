"""Fuzzing of the input: whatever a request holds, no exception, no fuse exceeded, always a result in JSON.

    ./dev python -m tests.energy_management.fuzz --count 20000 --seed 1

Each case is a valid random site below a main fuse, damaged in a few places. The main fuse is never damaged,
and must hold. Where only values are damaged (of a wrong type, not a number, negative), every limit of the
undamaged request must hold: something malformed never gives anyone more current. A failure prints the seed
with which `--count 1` replays it.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from energy_management import EnergyManager, ManagerConfig, ManagerState, Site
from tests.energy_management.checker import RESULT_KEYS, within
from tests.energy_management.problem import Json, read_slot
from tests.energy_management.random_sites import FEATURES, random_case
from tests.energy_management.trees import NOW, node

FUSE_A, FUSE_W = 25.0, 15_000.0
RESTART_EVERY = 5

Place = tuple[Any, Any]  # a container and the key of one value in it

DAMAGED_VALUES: list[Any] = [
    float("nan"), float("-inf"), -1, -1e9, -0.5, None, "", "16", "NaN", True, [], {}, [16.0], b"16",
    {"value": 16.0},
]  # fmt: skip
ODD_VALUES: list[Any] = [*DAMAGED_VALUES, 0, -0.0, 1e-300, 1e30, 1e308, float("inf"), 10**400, 2**63, 0.1, 7]
ODD_TIMES: list[Any] = [
    "", "now", None, 0, 1.5, "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-03-01", "10:00",
    "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00Z", "2026-03-01T10:00:00",
    "2026-03-01T12:00:00.000+02:00", "2026-03-01T10:00:00.123456789Z", "2026-03-01t10:00:00z",
    "2026-03-01T23:59:60Z", [], {}, float("nan"), True,
]  # fmt: skip
ODD_WORDS: list[Any] = [
    "", "evse", "Evse ", "Undefined", "Generic", "Evse", "Charging", "Unplugged", "???", None, 0,
    [], {}, True, "\ud800", "e1",
]  # fmt: skip


def places(value: Any) -> Iterator[Place]:
    """Every key of every container of a request, once where a container is in several places."""
    pending, seen = [value], set()
    while pending:
        container = pending.pop()
        if id(container) in seen:
            continue
        seen.add(id(container))
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            yield container, key
            if isinstance(container[key], dict | list):
                pending.append(container[key])


def pick(rng: random.Random, request: Json, wanted: Callable[[Place], bool]) -> Place | None:
    found = [place for place in places(request["children"]) if wanted(place)]
    return rng.choice(found) if found else None


def choose(rng: random.Random, values: list[Any]) -> Any:
    """One of the values, a fresh one if it is a container."""
    return copy.deepcopy(rng.choice(values))


def is_number(place: Place) -> bool:
    container, key = place
    return isinstance(container[key], int | float) and not isinstance(container[key], bool)


def damage_value(rng: random.Random, request: Json) -> bool:
    """A limit that is not a number any more; everything else stays."""
    place = pick(rng, request, lambda place: place[1] == "value" and is_number(place))
    if place:
        place[0][place[1]] = choose(rng, DAMAGED_VALUES)
    return True


def odd_number(rng: random.Random, request: Json) -> bool:
    if place := pick(rng, request, is_number):
        place[0][place[1]] = choose(rng, ODD_VALUES)
    return False


def odd_time(rng: random.Random, request: Json) -> bool:
    if place := pick(rng, request, lambda place: place[1] == "timestamp"):
        place[0][place[1]] = choose(rng, ODD_TIMES)
    return False


def odd_word(rng: random.Random, request: Json) -> bool:
    if place := pick(rng, request, lambda place: place[1] in {"node_type", "evse_state", "uuid", "source"}):
        place[0][place[1]] = choose(rng, ODD_WORDS)
    return False


def anything_anywhere(rng: random.Random, request: Json) -> bool:
    if place := pick(rng, request, lambda _: True):
        place[0][place[1]] = choose(rng, [*ODD_VALUES, *ODD_TIMES, *ODD_WORDS])
    return False


def missing(rng: random.Random, request: Json) -> bool:
    if place := pick(rng, request, lambda _: True):
        del place[0][place[1]]
    return False


def extra(rng: random.Random, request: Json) -> bool:
    if place := pick(rng, request, lambda place: isinstance(place[0], dict)):
        place[0][rng.choice(["extra", "", "ac_max_current_A", "children", "setpoint", 7])] = choose(
            rng, ODD_VALUES
        )
    return False


def repeated(rng: random.Random, request: Json) -> bool:
    """Something twice in its list: an entry, or a child with all below it, as a copy or the same object."""
    if place := pick(rng, request, lambda place: isinstance(place[0], list)):
        items, index = place
        items.insert(rng.randint(0, len(items)), rng.choice([items[index], copy.deepcopy(items[index])]))
    return False


def moved(rng: random.Random, request: Json) -> bool:
    """A part of the request where another belongs."""
    source = pick(rng, request, lambda place: isinstance(place[0][place[1]], dict | list))
    target = pick(rng, request, lambda _: True)
    if source and target:
        target[0][target[1]] = copy.deepcopy(source[0][source[1]])
    return False


def deep(rng: random.Random, request: Json) -> bool:
    """All of the tree below a thousand levels of nodes."""
    for level in range(rng.choice([10, 200, 1000])):
        request["children"] = [
            {**node(f"deep{level}", request["children"], A=1e3), "schedule_export": [], "schedule_import": []}
        ]
    return False


MUTATIONS = [damage_value] * 4 + [
    odd_number,
    odd_time,
    odd_word,
    anything_anywhere,
    missing,
    extra,
    repeated,
    moved,
]


def damaged(request: Json, rng: random.Random) -> tuple[Any, bool]:
    """A damaged copy, and whether every undamaged limit still has to hold."""
    found = copy.deepcopy(request)
    only_values = True
    first = rng.choice(MUTATIONS)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        mutation = first if rng.random() < 0.7 else rng.choice(MUTATIONS)
        only_values &= mutation(rng, found)
    if rng.random() < 0.01:
        only_values &= deep(rng, found)
    if rng.random() < 0.005:
        return rng.choice([None, [], {}, "request", 7, float("nan")]), False
    return found, only_values


def faults_of_result(result: Any, request: Json, config: Json, *, every_limit: bool) -> list[str]:
    """What is wrong with the result for a damaged request; `request` is the undamaged one."""
    json.dumps(result, allow_nan=False)
    if not isinstance(result, list):
        return [f"the result is {result!r}"]
    faults = [fault for entry in result for fault in incomplete(entry)]
    uuids = [entry["uuid"] for entry in result]
    if len(set(uuids)) != len(uuids):
        faults.append(f"results for the same uuid: {uuids}")
    if faults:
        return faults
    checks = [("ac_max_current_A", 1, FUSE_A), ("ac_max_current_A", -1, FUSE_A), ("total_power_W", 1, FUSE_W)]
    for name, sign, limit in checks:  # exported watts get less on their way to the fuse
        values = [entry["limits_root_side"].get(name, {}).get("value", 0.0) for entry in result]
        total = sum(max(sign * value, 0.0) for value in values)
        if not within(total, limit):
            faults.append(f"{sign * total} of {name} exceed the main fuse")
    if every_limit:
        faults += exceeded_limits(result, request, config)
    return faults


def incomplete(entry: Json) -> list[str]:
    """An entry without all its keys, without any limit, or with one that is not a number."""
    if set(entry) != RESULT_KEYS or not entry["schedule"]:
        return [f"incomplete: {entry}"]
    for limits in (entry["limits_root_side"], *(slot["limits_to_root"] for slot in entry["schedule"])):
        values = [limit["value"] for limit in limits.values()]
        if not values or not all(type(value) in (int, float) and math.isfinite(value) for value in values):
            return [f"limits of {entry['uuid']}: {limits}"]
    return []


def exceeded_limits(result: list[Json], request: Json, config: Json) -> list[str]:
    """Limits of the undamaged request that the currents of a result exceed now."""
    slot = read_slot(request, NOW, config, {})
    granted = {entry["uuid"]: entry["limits_root_side"] for entry in result}
    phases = [granted.get(evse.uuid, {}).get("ac_max_phase_count", {}).get("value", 3) for evse in slot.evses]
    currents = [
        granted.get(evse.uuid, {}).get("ac_max_current_A", {}).get("value", 0.0) for evse in slot.evses
    ]
    faults = [
        f"{evse.uuid}: {current} A, though it asked for {evse.direction}"
        for evse, current in zip(slot.evses, currents, strict=True)
        if (current < 0 if evse.direction == "import" else current > 0)
    ]
    for row in slot.rows(phases):
        load = row.load([abs(current) for current in currents])
        if not within(load, row.capacity):
            faults.append(f"{row.name}: {load} exceeds {row.capacity}")
    return faults


def fuzz_one(seed: int) -> list[str]:
    """One damaged request, optimized a few times with a restart in between; what went wrong."""
    rng = random.Random(seed)
    features = frozenset(rng.sample(FEATURES, rng.randint(0, len(FEATURES)))) - {"setpoints"}
    case = random_case(seed, rng.choice([1, 2, 3, 5, 12]), rng.randint(1, 3), features)
    request = node("fuse", [case.request], A=FUSE_A, W=FUSE_W, export_A=FUSE_A, export_W=FUSE_W)
    config, site = ManagerConfig.from_dict(case.config), Site.from_dict({})
    manager = EnergyManager(config, site)
    for step in range(rng.choice([1, 1, 3])):
        broken, only_values = damaged(request, rng)
        result = manager.optimize(broken, NOW + timedelta(seconds=step))
        if faults := faults_of_result(result, request, case.config, every_limit=only_values):
            return faults
        if seed % RESTART_EVERY == 0:
            manager = EnergyManager(config, site, ManagerState.from_json(manager.state.to_json()))
    return []


def fuzz(seed: int, count: int) -> int:
    """Run cases `seed` to `seed + count - 1`; the number that failed, each reported to stderr."""
    failed = 0
    for case in range(seed, seed + count):
        try:
            faults = fuzz_one(case)
        except Exception:  # noqa: BLE001  any exception out of the engine is what is looked for
            faults = [traceback.format_exc(limit=-4)]
        if faults:
            failed += 1
            print(f"seed {case}: {faults[0]}", file=sys.stderr)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the optimizer with damaged requests.")
    parser.add_argument("--count", type=int, default=20_000, help="how many cases")
    parser.add_argument("--seed", type=int, default=1, help="the first case; with --count 1 it replays one")
    arguments = parser.parse_args()
    failed = fuzz(arguments.seed, arguments.count)
    print(f"{arguments.count} cases from seed {arguments.seed}: {failed or 'none'} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
