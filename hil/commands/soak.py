"""`hil soak`: hours of random operation, with invariants watched all the time."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from hil.commands.output import progress_bar
from hil.soak import WINDOW_H, Result, Window, smallest, violations, window
from hil.soak.faults import RESTARTS
from hil.soak.real import RealSoak
from hil.soak.soak import write


def soak(
    *,
    hours: Annotated[int, typer.Option(min=1, help="Simulated hours.")] = 100,
    seed: Annotated[int, typer.Option(help="First of the seeds, one for each window of two hours.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes; by default one per core.")] = (
        os.cpu_count() or 1
    ),
    out: Annotated[Path, typer.Option(help="Where violations are written to, as scenarios.")] = Path(),
    real_io: Annotated[
        bool, typer.Option("--real-io", help="In real time: real MQTT and Modbus, processes killed with -9.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0, help="With --real-io: how long.")] = 10.0,
) -> None:
    """Let the module run through random cars, loads, sun, faults and restarts, on virtual time.

    Ends with 0 if no invariant was ever broken. For each violation it prints the seed, and writes the
    smallest part of its window that still shows it as a scenario.
    """
    console = Console(highlight=False)
    if real_io:
        _run_for_real(console, seed, minutes)
    out.mkdir(parents=True, exist_ok=True)
    windows = [window(seed + n) for n in range(-(-hours // WINDOW_H))]
    broken: list[Result] = []
    progress = progress_bar(console)
    with progress:
        task = progress.add_task("windows", total=len(windows))
        for result in _run_all(windows, jobs):
            progress.advance(task)
            if result.broken:
                broken.append(result)
                progress.console.print(f"[red]seed {result.window.seed}[/]: {'; '.join(result.broken)}")
    for result in broken:
        _write_smallest(console, result, out)
    for line in summary(windows):
        console.print(line, soft_wrap=True)
    verdict = (
        "[green]no invariant broken[/]" if not broken else f"[red]{len(broken)} windows with violations[/]"
    )
    console.print(verdict)
    raise typer.Exit(1 if broken else 0)


def summary(windows: Sequence[Window]) -> list[str]:
    """Say in lines how long a soak was, and what was in it."""
    faults = Counter(fault.kind for one in windows for fault in one.faults)
    cars = sum(len(one.cars) for one in windows)
    restarts = sum(faults[kind] for kind in RESTARTS)
    hours = f"{len(windows) * WINDOW_H} simulated hours, seeds {windows[0].seed} to {windows[-1].seed}"
    return [
        f"{hours}: {cars} cars, the module killed or restarted {restarts} times",
        f"{faults.total()} faults: {_kinds(faults)}",
    ]


def _kinds(faults: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(faults.items()))


def _run_for_real(console: Console, seed: int, minutes: float) -> NoReturn:
    verdict = RealSoak(seed, console.print).run(60.0 * minutes)
    console.print(
        f"{verdict.seconds / 60:.1f} min, {verdict.faults.total()} faults: {_kinds(verdict.faults)}\n"
        f"all cars charged again after at most {max(verdict.recoveries_s, default=0):.0f} s; "
        f"the breaker came {verdict.hottest:.0%} of the way to tripping",
        soft_wrap=True,
    )
    for failure in verdict.failures:
        console.print(f"[red]seed {seed}: {failure}[/]")
    raise typer.Exit(1 if verdict.failures else 0)


def _run_all(windows: list[Window], jobs: int) -> Iterator[Result]:
    if jobs == 1 or len(windows) == 1:
        yield from map(violations, windows)
        return
    with ProcessPoolExecutor(min(jobs, len(windows))) as pool:
        for future in as_completed([pool.submit(violations, one) for one in windows]):
            yield future.result()


def _write_smallest(console: Console, result: Result, out: Path) -> None:
    texts = {text.partition(":")[0] for text in result.broken}

    def still_fails(candidate: Window) -> bool:
        return any(text.partition(":")[0] in texts for text in violations(candidate).broken)

    least = smallest(result.window, still_fails)
    path = out / f"soak-{result.window.seed}.yaml"
    write(least, path)
    console.print(
        f"seed {result.window.seed}: fails with {len(least.faults)} faults and {len(least.cars)} cars in "
        f"{least.lasts_s // 60} min: ./dev hil scenario {path}"
    )
