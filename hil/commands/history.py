"""`hil history`: what was charged, from the state file of an energy manager."""

import csv
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from control.clock import parse_timestamp
from control.store.history import HistoryError, SampleRow, SessionRow, cells, samples, sessions
from hil.commands.output import errors_in_one_line
from hil.runtime.manager import ConfigError, RunConfig
from hil.runtime.manager.manifest import ENERGY_MANAGER
from hil.runtime.wire import MODULE_SCOPE

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TITLES = {
    SessionRow: ("EVSE", "from (UTC)", "until", "Wh", "estimated", "most A", "phases", "mode"),
    SampleRow: ("at (UTC)", "EVSE", "limit A", "A", "W", "Wh"),
}
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)[.\d]*Z$")
"""People do without milliseconds, and a space lets narrow terminals break the line."""
_DATE = len("2026-11-01")
_TIMES = ("from (UTC)", "until", "at (UTC)")
_AS_TEXT = ("EVSE", "mode", *_TIMES)


def history(
    file: Annotated[
        Path, typer.Argument(help="The state file, or the EVerest configuration that names one.")
    ],
    *,
    since: Annotated[
        str | None, typer.Option(help="Only what was later: 2026-11-01, 2026-11-01T08:00:00Z, 12h, 7d, 2w.")
    ] = None,
    evse: Annotated[str | None, typer.Option(help="Only this EVSE.")] = None,
    every_minute: Annotated[
        bool, typer.Option("--samples", help="What was sampled of the sessions once a minute instead.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """List the charging sessions that an energy manager has kept in its state file; it may be running."""
    with errors_in_one_line(HistoryError, ConfigError, ValueError):
        path = _state_file(file)
        start = None if since is None else _moment(since, datetime.now(UTC))
        read = samples if every_minute else sessions
        rows: Sequence[SessionRow | SampleRow] = read(path, since=start, evse=evse)
    kind = SampleRow if every_minute else SessionRow
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(field.name for field in fields(kind))
        writer.writerows(map(cells, rows))
    else:
        Console().print(_table(kind, rows))


def _table(kind: type[SessionRow] | type[SampleRow], rows: Sequence[SessionRow | SampleRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in _TITLES[kind]:
        is_text, is_time = title in _AS_TEXT, title in _TIMES
        table.add_column(title, justify="left" if is_text else "right", min_width=_DATE if is_time else None)
    for row in rows:
        table.add_row(*(_TIME.sub(r"\1 \2", cell) for cell in cells(row)))
    if kind is SessionRow:
        total_Wh = sum(row.energy_Wh or 0.0 for row in rows)
        table.caption = f"{len(rows)} sessions, {total_Wh / 1000.0:.1f} kWh"
        table.caption_justify = "left"
    return table


def _state_file(file: Path) -> Path:
    """Find the state file that a configuration names."""
    if file.suffix not in (".yaml", ".yml"):
        return file
    modules = RunConfig.load(file, log=lambda _: None).modules.values()
    managers = [module for module in modules if module.manifest.module_type == ENERGY_MANAGER]
    settings = [setting for module in managers for setting in module.parameters.get(MODULE_SCOPE, [])]
    named = [setting.value for setting in settings if setting.name == "state_file" and setting.value]
    if len(named) != 1:
        raise HistoryError(f"{file}: names {len(named)} state files: give the path of one itself")
    return file.parent / str(named[0])


def _moment(text: str, now: datetime) -> datetime:
    ago = re.fullmatch(r"(\d+)([mhdw])", text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return parse_timestamp(text)
    except ValueError:
        raise ValueError(f"--since {text}: expected a date, a time, or an age as 12h or 7d") from None
