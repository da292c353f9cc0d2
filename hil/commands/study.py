"""`hil study`: one scenario with many settings, on many days, on all cores."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bsp.yaml_file import FileError
from hil.commands.output import USAGE, errors_in_one_line, fail, progress_bar


def study(
    file: Annotated[Path, typer.Argument(help="The study.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory of the results; by default one beside the file.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", "-j", min=1, help="Processes; by default one per core.")
    ] = (os.cpu_count() or 1),
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask cluster to use, like tcp://10.0.0.5:8786.")
    ] = None,
) -> None:
    """Run a study: how many chargers fit on this connection, what reserve, what fuse.

    Results are kept as they come: the same command goes on where the last one was ended.
    """
    # these take seconds to import, which other commands must not wait for
    from hil.study import EngineError, Results, load_study, run_cases  # noqa: PLC0415
    from hil.study.plot import write_plot  # noqa: PLC0415

    console = Console(highlight=False)
    with errors_in_one_line(FileError):
        asked = load_study(file)
    results = Results(out or file.with_suffix(""), asked)
    missing = [case for case in asked.cases if case.key not in results.done]
    if kept := len(asked.cases) - len(missing):
        console.print(f"{kept} of {len(asked.cases)} cases are there already")
    rows = (
        run_cases(missing, scheduler=scheduler, workers=min(workers, len(missing))) if missing else iter(())
    )
    progress = progress_bar(console)
    try:
        with progress:
            task = progress.add_task(asked.name, total=len(asked.cases), completed=kept)
            for _ in results.keep(rows):
                progress.advance(task)
    except EngineError as error:
        fail(str(error), USAGE)
    except KeyboardInterrupt:
        fail("ended; the same command goes on from here", 130)
    table = results.finish()
    _show(console, asked.title, results)
    if asked.varied:
        write_plot(asked, results, table.with_name("plot.svg"))
    console.print(f"[bright_black]rows in {table}, plot in {table.with_name('plot.svg')}[/]")


def _show(console: Console, title: str, results: "Results") -> None:  # type: ignore[name-defined]  # noqa: F821
    lines = results.lines()
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in lines[0].settings:
        table.add_column(name)
    for name in ("days", "all content", "unluckiest car", "peak load", "days with a broken assertion"):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(
            *map(str, line.settings.values()),
            str(line.days),
            f"{line.good_days:.0%}",
            f"{line.least_share:.0%}",
            f"{line.peak_load:.0%}",
            str(line.broken),
        )
    console.print(table)
    for answer in results.answers():
        console.print(f"[bold]{answer}[/]")
