"""The file itself: made whole, opened, judged, and set aside if it is of no use.

A new file is made beside its place and moved there when it is complete, so that a power cut leaves none or a
whole one. From then on SQLite's write-ahead log does the same for every transaction.
"""

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from control.notices import Log
from control.store.schema import migrate

HEADER = b"SQLite format 3\0"
"""How a file of SQLite begins."""

JSON_FORMAT = 1
"""Of the state files before SQLite."""

LOG_BYTES = 1_000_000
"""The write-ahead log is cut to this after it was long."""

_OUT_OF_REACH = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


class FileError(Exception):
    """What is in the file is of no use; the message says why."""


def open_file(path: Path, log: Log) -> sqlite3.Connection:
    """Open the file for writing. One that is damaged is set aside for a new one, one of JSON is taken over.

    Raises
    ------
    OSError, sqlite3.Error
        It cannot be opened or written at present; its content may be fine.
    """
    try:
        if not path.exists():
            _make(path, {})
        elif (parts := _parts_of_json(path)) is not None:
            _make(path, parts)
            log.info(f"state file {path}: was JSON, is SQLite from now on")
        return _opened(path)
    except (FileError, sqlite3.Error) as error:
        if not is_damage(error):
            raise
        set_aside(path, error, log)
    _make(path, {})
    return _opened(path)


def is_damage(error: Exception) -> bool:
    """Whether an error is about what is in the file, rather than about getting at it."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        return code & 0xFF not in _OUT_OF_REACH
    return isinstance(error, FileError)


def set_aside(path: Path, error: Exception, log: Log) -> None:
    """Move a file out of the way, with its log; what was set aside before is replaced.

    Raises
    ------
    OSError
        It cannot be moved.
    """
    aside = path.with_name(f"{path.name}.aside")
    log.warning(
        f"state file {path} cannot be used ({error}): starting without it, it is kept as {aside.name}"
    )
    for end in ("", "-wal", "-shm"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.replace(aside.with_name(aside.name + end))


def _make(path: Path, parts: Mapping[str, str]) -> None:
    """Make a new file, whole before it is in its place."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    database = sqlite3.connect(new, isolation_level=None)
    try:
        # Both hold for good, and the first only for a file without tables.
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate(database)
        database.executemany("INSERT INTO state VALUES (?, ?)", parts.items())
    finally:
        database.close()
    new.replace(path)
    _sync(path)
    _sync(path.parent)


def _opened(path: Path) -> sqlite3.Connection:
    with path.open("rb") as file:
        if file.read(len(HEADER)) != HEADER:
            raise FileError("it is no SQLite file, or its beginning is damaged")
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise FileError(found.splitlines()[-1])
        migrate(database)
    except (FileError, sqlite3.Error):
        database.close()
        raise
    return database


def _parts_of_json(path: Path) -> dict[str, str] | None:
    """Read a state file of before SQLite; None if it is none."""
    with path.open("rb") as file:
        if file.read(1) != b"{":
            return None
    try:
        stored = json.loads(path.read_bytes())
        if stored["format"] != JSON_FORMAT:
            raise ValueError(f"format {stored['format']}, known: {JSON_FORMAT}")
        state = stored["state"]
        return {part: found if isinstance(found, str) else json.dumps(found) for part, found in state.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"it is no state file: {error}") from error


def _sync(path: Path) -> None:
    """Have a file, or what is in a directory, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
