"""`hil scenario`: timed scripts with faults and assertions, on virtual time or on the real stack."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bsp.yaml_file import FileError
from hil.commands.output import USAGE, fail
from hil.scenario import Outcome, Scenario, load_scenario, run
from hil.scenario.claims import ASSERTIONS
from hil.scenario.happenings import EVENTS
from hil.scenario.junit import write_junit
from hil.scenario.terminal import show, show_sum


def scenario(
    *,
    files: Annotated[list[Path] | None, typer.Argument(help="Scenarios, or directories of them.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit XML file.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a report: a file, or a directory for many.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the one that the scenario names.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="How many run at once.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show what does not hold, no more.")] = False,
    words: Annotated[
        bool, typer.Option("--words", help="List the sentences of events and assertions.")
    ] = False,
) -> None:
    """Run scenarios: who comes when, what happens, and what must hold.

    Ends with 0 if all assertions hold.
    """
    console = Console(highlight=False)
    if words:
        _list_words(console)
        return
    scenarios = _load(files or [])
    outcomes = []
    for outcome in _run_all(scenarios, seed, jobs):
        show(outcome, console, in_full=not quiet)
        outcomes.append(outcome)
    if len(outcomes) > 1:
        show_sum(outcomes, console)
    if junit is not None:
        write_junit(outcomes, junit)
    if html is not None:
        from hil.scenario.html import write_html  # noqa: PLC0415 - plotting takes a second to import

        write_html(outcomes, html)
    raise typer.Exit(0 if all(outcome.holds for outcome in outcomes) else 1)


def _load(files: list[Path]) -> list[Scenario]:
    paths = [path for file in files for path in (sorted(file.glob("*.yaml")) if file.is_dir() else [file])]
    if not paths:
        fail("no scenarios: name files, or a directory with some", USAGE)
    scenarios: list[Scenario] = []
    problems: list[str] = []
    for path in paths:
        try:
            scenarios.append(load_scenario(path))
        except FileError as error:
            problems += error.problems
    if problems:
        fail("\n".join(problems), USAGE)
    return scenarios


def _run_all(scenarios: list[Scenario], seed: int | None, jobs: int) -> Iterator[Outcome]:
    seeds = [seed] * len(scenarios)
    if jobs == 1 or len(scenarios) == 1:
        yield from map(run, scenarios, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run, scenarios, seeds)


def _list_words(console: Console) -> None:
    for title, language in (("Events", EVENTS), ("Assertions", ASSERTIONS)):
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        table.add_column("sentence")
        table.add_column("meaning", style="bright_black")
        for sentence in language.sentences:
            table.add_row(sentence.text.replace("[", r"\["), sentence.about)
        console.print(table)
