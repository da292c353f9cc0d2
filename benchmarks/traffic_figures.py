"""The figures of the traffic benchmark, their goals, and the table that shows both."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

Json = dict[str, Any]

ANSWER_S = 5.0  # no answer to a priority request after that time counts as none

GOAL_ANSWER_MS = 100.0
GOAL_ALL_MS = 200.0
GOAL_SENT = 0.1
GOAL_CPU_PERCENT = {3: 3.0, 100: 15.0}
GOAL_MEMORY_MB = {3: 64.0}


@dataclass(frozen=True)
class Answers:
    """Times from a priority request to the next limit of that EVSE that differs from the one before.

    Attributes
    ----------
    requests, missing : int
        How many there were, and how many of them found no answer in `ANSWER_S`; these count as that late.
    """

    requests: int
    missing: int
    median_ms: float
    worst_ms: float

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Answers:
        """Sum up times."""
        late = sum(took >= ANSWER_S * 1e3 for took in times_ms)
        median = statistics.median(times_ms) if times_ms else math.nan
        return cls(len(times_ms), late, median, max(times_ms, default=math.nan))


@dataclass(frozen=True)
class Figures:
    """Of one size.

    Attributes
    ----------
    comes, waits, leaves : Answers
        To the priority requests when a car comes that finds room for its minimum, when one comes that has to
        wait for others to fall, and when one leaves.
    all_median_ms, all_worst_ms : float
        From a limit from outside to the last EVSE's new limit.
    messages_per_s : float
        Of all modules, while nothing changes.
    sent_share, sent_per_evse_s : float
        Messages of `enforce_limits` while nothing changes: of those that EVerest would send, see
        `everest_per_s`, and per EVSE and second. Ours is a refresh every 4 s, a quarter of one per EVSE
        and second; EVerest's manager alone, without the nodes below it, sends one.
    cpu_percent, memory_MB : float
        Of the module's process while nothing changes; of one core.
    """

    evses: int
    comes: Answers
    waits: Answers
    leaves: Answers
    all_median_ms: float
    all_worst_ms: float
    messages_per_s: float
    sent_share: float
    sent_per_evse_s: float
    cpu_percent: float
    memory_MB: float


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print what `run` found."""
    if not found:
        console.print("traffic: mosquitto is not installed (apt-get install mosquitto)")
        return
    table = Table(
        title="traffic: the module process on mosquitto with default settings, EVSEs at 1 Hz",
        caption="times: medians, from a priority request or order; the rest while nothing changes",
    )
    table.add_column("")
    for each in found["traffic"]:
        table.add_column(f"{each['evses']} EVSEs", justify="right")
    table.add_column("goal", justify="right")
    for name, goal, cells in rows([figures_of(each) for each in found["traffic"]]):
        table.add_row(name, *cells, goal)
    console.print(table)


def everest_per_s(evses: int) -> int:
    """Messages of `enforce_limits` per second for the same site on EVerest's modules.

    EnergyManager sends one for each EVSE to the EnergyNode with the fuse, which passes each on to all of its
    children; all but one ignore it.
    """
    return evses + evses * evses


def figures_of(found: Json) -> Figures:
    answers = {name: Answers(**found[name]) for name in ("comes", "waits", "leaves")}
    return Figures(**{**found, **answers})


def rows(figures: Sequence[Figures]) -> Iterator[tuple[str, str, list[str]]]:
    """Name, goal and coloured figures of each line of the table."""

    def line(name: str, goal: str, values: Sequence[tuple[str, bool | None]]) -> tuple[str, str, list[str]]:
        colours = {True: "green", False: "red"}
        cells = [text if good is None else f"[{colours[good]}]{text}[/]" for text, good in values]
        return name, goal, cells

    for name, what, goal_ms in (
        ("comes", "car comes and finds room: new limit", GOAL_ANSWER_MS),
        ("waits", "car comes, others fall first: new limit", None),
        ("leaves", "car leaves: new limit", GOAL_ANSWER_MS),
    ):
        answers: list[Answers] = [getattr(each, name) for each in figures]
        yield line(
            what,
            "" if goal_ms is None else f"< {goal_ms:g} ms",
            [
                (text_ms(a.median_ms), None if goal_ms is None or not a.requests else a.median_ms < goal_ms)
                for a in answers
            ],
        )
        yield line("  worst", "", [(text_ms(a.worst_ms), None) for a in answers])
        yield line(
            f"  within {ANSWER_S:g} s",
            "" if goal_ms is None else "all",
            [
                (f"{a.requests - a.missing} of {a.requests}", None if goal_ms is None else a.missing == 0)
                for a in answers
            ],
        )
    yield line(
        "outside limit to last EVSE",
        f"< {GOAL_ALL_MS:g} ms",
        [(f"{f.all_median_ms:.1f} ms", f.all_median_ms < GOAL_ALL_MS) for f in figures],
    )
    yield line("  worst", "", [(f"{f.all_worst_ms:.1f} ms", None) for f in figures])
    yield line("messages per second", "", [(f"{f.messages_per_s:.0f}", None) for f in figures])
    yield line(
        "limits sent, of EVerest's n + n²",
        f"<= {GOAL_SENT:.0%}",
        [(f"{f.sent_share:.1%}", f.sent_share <= GOAL_SENT) for f in figures],
    )
    yield line(
        "  per EVSE; EVerest's manager: 1/s", "", [(f"{f.sent_per_evse_s:.2f}/s", None) for f in figures]
    )
    yield line(
        "CPU, of one core",
        ", ".join(f"{goal:g} % at {evses}" for evses, goal in GOAL_CPU_PERCENT.items()),
        [(f"{f.cpu_percent:.1f} %", meets(GOAL_CPU_PERCENT, f.evses, f.cpu_percent)) for f in figures],
    )
    yield line(
        "memory",
        ", ".join(f"{goal:g} MB at {evses}" for evses, goal in GOAL_MEMORY_MB.items()),
        [(f"{f.memory_MB:.0f} MB", meets(GOAL_MEMORY_MB, f.evses, f.memory_MB)) for f in figures],
    )


def text_ms(milliseconds: float) -> str:
    return "none came" if math.isnan(milliseconds) else f"{milliseconds:.1f} ms"


def meets(goals: Mapping[int, float], evses: int, value: float) -> bool | None:
    return value <= goals[evses] if evses in goals else None
