"""What was charged, read from the file while the module runs, or when it does not."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from control.clock import timestamp
from control.store.schema import MIGRATIONS


class HistoryError(Exception):
    """The file cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as people read it; times are RFC 3339, no end is a car that is there."""

    evse: str
    start: str
    end: str | None
    energy_Wh: float | None
    is_estimated: bool
    max_current_A: float | None
    phases: int | None
    mode: str | None


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One moment of a session."""

    at: str
    evse: str
    granted_A: float | None
    current_A: float | None
    power_W: float | None
    energy_Wh: float | None


def sessions(path: Path, *, since: datetime | None = None, evse: str | None = None) -> list[SessionRow]:
    """Read the sessions that had not ended before a time, in the order of their beginning.

    Raises
    ------
    HistoryError
        The file cannot be read.
    """
    query = (
        "SELECT evse, started, ended, energy_Wh, is_estimated, max_current_A, phases, mode FROM sessions"
        " WHERE (ended IS NULL OR ended >= :since) AND (:evse IS NULL OR evse = :evse) ORDER BY started, id"
    )
    return [_session(*row) for row in _rows(path, query, _only(since, evse))]


def samples(path: Path, *, since: datetime | None = None, evse: str | None = None) -> list[SampleRow]:
    """Read what was sampled of sessions since a time.

    Raises
    ------
    HistoryError
        The file cannot be read.
    """
    query = (
        "SELECT at, evse, granted_A, current_A, power_W, energy_Wh FROM samples"
        " WHERE at >= :since AND (:evse IS NULL OR evse = :evse) ORDER BY at, rowid"
    )
    return [SampleRow(*row) for row in _rows(path, query, _only(since, evse))]


def document(path: Path, part: str) -> str | None:
    """Read one part of the state; None if it has never been written.

    Raises
    ------
    HistoryError
        The file cannot be read.
    """
    rows = _rows(path, "SELECT document FROM state WHERE part = :part", {"part": part})
    return str(rows[0][0]) if rows else None


def cells(row: SessionRow | SampleRow) -> list[str]:
    """Write a row as text: nothing where nothing is known, energy and power to the watt."""
    return [_text(value) for value in astuple(row)]


def _session(evse: str, start: str, end: str | None, energy_Wh: float | None, *others: Any) -> SessionRow:
    is_estimated, *rest = others
    return SessionRow(evse, start, end, energy_Wh, bool(is_estimated), *rest)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _only(since: datetime | None, evse: str | None) -> dict[str, str | None]:
    return {"since": "" if since is None else timestamp(since), "evse": evse}


def _rows(path: Path, query: str, arguments: Mapping[str, str | None]) -> list[tuple[Any, ...]]:
    try:
        with _read_only(path) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version != len(MIGRATIONS):
                raise HistoryError(f"{path}: schema {version}, this software reads {len(MIGRATIONS)}")
            return database.execute(query, arguments).fetchall()
    except (OSError, sqlite3.Error) as error:
        raise HistoryError(f"{path}: cannot be read: {error}") from error


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    path.open("rb").close()  # says more clearly than SQLite what is wrong
    # Without its log a file is complete in itself; its directory may be one in which no log can be made.
    has_log = path.with_name(f"{path.name}-wal").exists()
    place = f"file:{quote(str(path.resolve()))}?mode=ro{'' if has_log else '&immutable=1'}"
    with closing(sqlite3.connect(place, uri=True)) as database:
        yield database
