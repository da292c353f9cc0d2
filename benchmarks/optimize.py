"""How long one `optimize` takes, from the request dict to the result dicts, and what it costs at least.

Beside each figure stand the CPU time of EVerest's C++ optimizer for the same request, our target, and the
floors: a bare loop that reads every limit of the request, and one that builds the result dicts. Only what is
above both is the algorithm's. "levels" are three levels of 20; in "scattered" all timestamps differ.

Every run is a full one: the same site a second later, with other values of all limits. "first" is the very
first run of a new manager, when nothing is known of the form of the request.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count, cycle
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.requests import START, Json, changed, flat, levels, scattered
from energy_management import EnergyManager, ManagerConfig
from energy_management.demand import standing_of
from energy_management.timeline import format_timestamp, parse_timestamp
from energy_management.tree import shape_of

REPEATS = 7
AT_LEAST_S = 0.5  # short actions are repeated more often
BUDGET_S = 1.0  # no more repeats of one measurement after that
MEMORY_TARGET_MiB = 100.0
GROWTH_TARGET = 2.3
REPEATED_TARGET = 0.25


@dataclass(frozen=True)
class Size:
    """One line of the table: the request, and what is known and wanted of it."""

    evses: int
    slots: int
    cpp_coarse: str  # ms at slice 0.5 A
    cpp_fine: str  # ms at slice 0.1 A
    target_ms: float
    scattered: bool = False

    @property
    def name(self) -> str:
        """How the table names it."""
        return f"{self.evses} x {self.slots}" + (" scattered" if self.scattered else "")


# The C++ figures are CPU times of EVerest's EnergyManager on two cores of the class this was developed on.
SIZES = [
    Size(1, 1, "0.03-0.05", "0.12-0.17", 0.25),
    Size(10, 1, "0.25-0.38", "1.1-1.6", 0.5),
    Size(100, 1, "2.6-3.9", "11-16", 2),
    Size(1000, 1, "37-43", "170-270", 14),
    Size(10, 24, "13-16", "72-90", 2.5),
    Size(100, 24, "145-196", "800-1100", 18),
    Size(1000, 24, "1800-2600", "8300-11800", 180),
    Size(20, 48, "52000", "-", 250, scattered=True),
]
DOUBLINGS = [((100, 24), (200, 24)), ((500, 24), (1000, 24)), ((100, 12), (100, 24)), ((1000, 1), (2000, 1))]
LARGEST = (1000, 24)


@dataclass(frozen=True)
class Timing:
    """Best CPU times in ms; `results` is the number of slots of all results together."""

    name: str
    first_ms: float
    flat_ms: float
    levels_ms: float | None
    read_ms: float
    build_ms: float
    target_ms: float
    results: int


def best_ms(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Take the best CPU time of several calls; other load on the machine disturbs that least."""
    best, begun = float("inf"), time.process_time()
    for done in count(1):
        start = time.process_time()
        action()
        end = time.process_time()
        best = min(best, end - start)
        if end - begun > (AT_LEAST_S if done >= repeats else BUDGET_S):
            break
    return best * 1e3


def optimize_ms(request: Json, slots: int) -> float:
    """Time a full run: all values are others than in the run before, a second ago."""
    manager = EnergyManager(ManagerConfig.from_dict({"schedule_total_duration": slots}))
    requests = cycle([request, changed(request, 0.9)])
    seconds = count()
    return best_ms(lambda: manager.optimize(next(requests), START + timedelta(seconds=next(seconds))))


def first_ms(request: Json, slots: int) -> float:
    """Time the very first run."""
    config = ManagerConfig.from_dict({"schedule_total_duration": slots})

    def run() -> None:
        forget_known_requests()
        EnergyManager(config).optimize(request, START)

    return best_ms(run)


def forget_known_requests() -> None:
    """Empty what the engine keeps of requests beyond a run."""
    for kept in (shape_of, standing_of, parse_timestamp, format_timestamp):
        kept.cache_clear()


def read_every_limit(request: Json) -> int:
    """Look at every limit of a request, and do nothing with it: the first floor."""
    seen = 0
    pending = [request]
    while pending:
        node = pending.pop()
        pending.extend(node["children"])
        for schedule in (node["schedule_import"], node["schedule_export"]):
            for entry in schedule:
                _ = entry["timestamp"]
                for side in (entry["limits_to_root"], entry["limits_to_leaves"]):
                    for limit in side.values():
                        seen += limit["value"] is not None if isinstance(limit, dict) else 1
    return seen


def build_results(result: Sequence[Json]) -> list[Json]:
    """Build result dicts of this size from values that are there already: the second floor."""
    timestamps = [slot["timestamp"] for slot in result[0]["schedule"]]
    built = []
    for entry in result:
        schedule = [
            {
                "timestamp": timestamp,
                "limits_to_root": {
                    "ac_max_current_A": {"value": 16.0, "source": "grid/fuse"},
                    "ac_max_phase_count": {"value": 3, "source": "grid/phases"},
                },
            }
            for timestamp in timestamps
        ]
        root_side = schedule[0]["limits_to_root"]
        built.append(
            {"uuid": entry["uuid"], "valid_for": 10, "limits_root_side": root_side, "schedule": schedule}
        )
    return built


def measure(size: Size) -> Timing:
    """Take all figures of one line."""
    request = (scattered if size.scattered else flat)(size.evses, size.slots)
    config = ManagerConfig.from_dict({"schedule_total_duration": size.slots})
    result = EnergyManager(config).optimize(request, START)
    return Timing(
        name=size.name,
        first_ms=first_ms(request, size.slots),
        flat_ms=optimize_ms(request, size.slots),
        levels_ms=None if size.scattered else optimize_ms(levels(size.evses, size.slots), size.slots),
        read_ms=best_ms(lambda: read_every_limit(request)),
        build_ms=best_ms(lambda: build_results(result)),
        target_ms=size.target_ms,
        results=sum(len(entry["schedule"]) for entry in result),
    )


def growth(small: tuple[int, int], large: tuple[int, int]) -> float:
    """Find how much longer twice as much takes."""
    rounds = [[optimize_ms(flat(*size), size[1]) for size in (small, large)] for _ in range(3)]
    before, after = (min(times) for times in zip(*rounds, strict=True))
    return float(after / before)


def peak_memory_MiB(evses: int, slots: int) -> float:
    """Find the most that one run holds at a time, its results included, the request not."""
    request = levels(evses, slots)
    manager = EnergyManager(ManagerConfig.from_dict({"schedule_total_duration": slots}))
    tracemalloc.start()
    manager.optimize(request, START)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def repeated_fraction(evses: int, slots: int) -> float:
    """Compare a request that equals the last one, a second later, with a full run."""
    first, equal = levels(evses, slots), levels(evses, slots)
    manager = EnergyManager(ManagerConfig.from_dict({"schedule_total_duration": slots}))
    manager.optimize(first, START)
    seconds = count(1)
    again_ms = best_ms(lambda: manager.optimize(equal, START + timedelta(seconds=next(seconds))))
    return again_ms / optimize_ms(first, slots)


def run(
    sizes: Sequence[Size] = SIZES,
    doublings: Sequence[tuple[tuple[int, int], tuple[int, int]]] = DOUBLINGS,
    largest: tuple[int, int] = LARGEST,
) -> Json:
    """Take all measurements, as an object for JSON."""
    return {
        "timings": [asdict(measure(size)) for size in sizes],
        "growth": {f"{a} x {b} to {c} x {d}": growth((a, b), (c, d)) for (a, b), (c, d) in doublings},
        "peak_memory_MiB": peak_memory_MiB(*largest),
        "repeated_fraction": repeated_fraction(*largest),
    }


def show(found: Mapping[str, Any], console: Console, sizes: Sequence[Size] = SIZES) -> None:
    """Print what `run` found."""
    title = "optimize, request dict to result dicts: best CPU time in ms"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0))  # within 80 columns
    table.add_column("EVSEs x slots", no_wrap=True)
    for heading in ("C++ 0.5 A", "C++ 0.1 A", "first", "flat", "levels", "target", "read", "build"):
        table.add_column(heading, justify="right", no_wrap=True)
    for size, timing in zip(sizes, found["timings"], strict=True):
        ours = [_coloured(timing["flat_ms"], size.target_ms), _coloured(timing["levels_ms"], size.target_ms)]
        floors = [_short(timing["read_ms"]), _short(timing["build_ms"])]
        cpp = (size.cpp_coarse, size.cpp_fine)
        table.add_row(size.name, *cpp, _short(timing["first_ms"]), *ours, f"{size.target_ms:g}", *floors)
    console.print(table)
    for name, factor in found["growth"].items():
        console.print(f"{name}: {factor:.2f} times as long (at most {GROWTH_TARGET})")
    console.print(f"peak memory: {found['peak_memory_MiB']:.0f} MiB (at most {MEMORY_TARGET_MiB:.0f})")
    console.print(
        f"equal request: {found['repeated_fraction']:.0%} of a full run (at most {REPEATED_TARGET:.0%})"
    )


def _coloured(ms: float | None, target_ms: float) -> str:
    if ms is None:
        return ""
    return f"[{'green' if ms <= target_ms else 'red'}]{_short(ms)}[/]"


def _short(ms: float) -> str:
    return f"{ms:.2f}" if ms < 10 else f"{ms:.0f}"
