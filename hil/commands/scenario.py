"""`hil scenario`: timed scripts with faults and assertions, on virtual time or on real devices."""

import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bsp.yaml_file import FileError
from control.site_file import SiteFile, load_site
from hil.commands import device_options as option
from hil.commands.output import USAGE, errors_in_one_line, fail
from hil.live import BY_PERSON, Live, run_live
from hil.live.plan import plan_for
from hil.live.survey import survey
from hil.scenario import Outcome, Scenario, load_scenario, run
from hil.scenario.claims import ASSERTIONS
from hil.scenario.happenings import EVENTS
from hil.scenario.junit import write_junit
from hil.scenario.terminal import show, show_sum
from hil.scenario.words import BLANKS, duration


def scenario(
    *,
    files: Annotated[list[Path] | None, typer.Argument(help="Scenarios, or directories of them.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit XML file.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a report: a file, or a directory for many.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the one that the scenario names.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="How many run at once.")] = 1,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Of assertions, only those that do not hold.")
    ] = False,
    words: Annotated[
        bool, typer.Option("--words", help="List the sentences of events and assertions.")
    ] = False,
    site: Annotated[
        Path | None,
        typer.Option("--site", help="Run in real time, on the devices of this site file that answer."),
    ] = None,
    real_time: Annotated[
        bool,
        typer.Option("--real-time", help="Run in real time, all simulated, over real sockets and lines."),
    ] = False,
    at_most: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End a run in real time after this: 30 min."),
    ] = None,
    yes: option.Yes = False,
) -> None:
    """Run scenarios: who comes when, what happens, and what must hold.

    On virtual time, or with --site on real devices, after it has shown what it will switch, and asked. There,
    q, space, Ctrl-C and SIGTERM end the run, with every charger paused or at its fallback. Ends with 0 if all
    assertions hold.
    """
    console = Console(highlight=False)
    if words:
        _list_words(console)
        return
    scenarios = _load(files or [])
    outcomes = []
    if site is not None or real_time:
        with errors_in_one_line(FileError):
            real = load_site(site) if site is not None else None
        runs = _run_live(scenarios, real, seed, _seconds(at_most), ask=not yes)
    else:
        runs = _run_all(scenarios, seed, jobs)
    for outcome in runs:
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


def _run_live(
    scenarios: list[Scenario], real: SiteFile | None, seed: int | None, at_most_s: float | None, *, ask: bool
) -> Iterator[Outcome]:
    """Run scenarios in real time, one after the other, each after the user has agreed."""
    for scenario in scenarios:
        ready, live = scenario, Live(at_most_s=at_most_s, tell=_tell)
        if real is not None:
            plan = plan_for(scenario, real, survey(scenario.site, real))
            _tell(f"{scenario.name}: {scenario.title}, {scenario.lasts_s / 60:g} min in real time")
            for line in plan.words:
                _tell(f"  {line}")
            _tell("  q, space or Ctrl-C ends it, with every charger paused or at its fallback")
            if plan.chargers and ask and not typer.confirm("Do this?", err=True):
                raise typer.Exit(1)
            for car, evse in plan.cars_at_start.items() if ask else ():
                typer.prompt(f"Plug in {car} at {evse}, and press enter", "", show_default=False, err=True)
            ready, live = plan.scenario, plan.live(at_most_s, _tell)
        yield run_live(ready, live, seed)
        if live.stop.reason in BY_PERSON:
            return


def _tell(line: str) -> None:
    with suppress(OSError):  # the terminal may be gone, which stops nothing
        typer.echo(line, err=True)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(BLANKS["duration"][0], text):
        fail(f"--at-most must be a time like 90 s or 30 min, not '{text}'", USAGE)
    return duration(text)


def _list_words(console: Console) -> None:
    for title, language in (("Events", EVENTS), ("Assertions", ASSERTIONS)):
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        table.add_column("sentence")
        table.add_column("meaning", style="bright_black")
        for sentence in language.sentences:
            table.add_row(sentence.text.replace("[", r"\["), sentence.about)
        console.print(table)
