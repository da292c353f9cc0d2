"""Recorded requests, with the answers of EVerest's own optimizer or with the answers that are wanted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from energy_management import EnergyManager, ManagerConfig
from tests.energy_management.problem import Json, parse_time

DATA = Path(__file__).parent.parent / "data" / "vectors"


@dataclass(frozen=True)
class Run:
    """One call of `optimize` within a case."""

    request: Json
    now: datetime
    ours: list[Json]
    theirs: list[Json] | None


def load(name: str) -> list[Json]:
    """All cases of one file, in its order."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        found: list[Json] = (
            json.load(file) if name.endswith(".json.gz") else [json.loads(line) for line in file]
        )
    return found


def steps(case: Json) -> Iterator[tuple[Json, datetime, list[Json] | None]]:
    """The requests of a case with their times and recorded answers; most cases have one."""
    requests = case.get("steps") or [{"request": case["request"], "start_time": case["start_time"]}]
    answers = case.get("results") or [case.get("result")] * len(requests)
    for step, answer in zip(requests, answers, strict=True):
        yield step["request"], parse_time(step["start_time"]), answer


def run(case: Json) -> list[Run]:
    """What our optimizer answers to a case, beside the recorded answers."""
    manager = EnergyManager(ManagerConfig.from_dict(case["config"]))
    return [Run(request, now, manager.optimize(request, now), theirs) for request, now, theirs in steps(case)]


def value(limits: Json, name: str) -> Any:
    """The value of a limit in a result, None if it is absent."""
    return limits.get(name, {}).get("value")
