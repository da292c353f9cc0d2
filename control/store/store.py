"""Writes the file, on a thread of its own.

A sync to an SD card may take longer than a control step, so nobody waits for it: what is to be written is
handed over, and what is newer takes the place of what has not been written yet.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from control.clock import parse_timestamp, timestamp
from control.notices import Log, Notices
from control.store.file import FileError, is_damage, open_file, set_aside
from control.store.records import Retention, Sample, Session

AGAIN_AFTER_S = 10.0
"""After a write has failed."""

MOST_WAITING = 10_000
"""Sessions, and samples, that wait for a disk which cannot be written; more push out the oldest."""

NOTICE = "state_file"


@dataclass
class _Batch:
    """What is written in one transaction."""

    state: dict[str, str] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    pruned_as_of: datetime | None = None
    must_last: bool = False

    def __bool__(self) -> bool:
        return bool(self.state or self.sessions or self.samples or self.pruned_as_of)

    def then(self, newer: _Batch) -> _Batch:
        """Join with what came later, which counts."""
        sessions = {**self.sessions, **newer.sessions}
        return _Batch(
            {**self.state, **newer.state},
            {number: sessions[number] for number in sorted(sessions)[-MOST_WAITING:]},
            deque([*self.samples, *newer.samples], maxlen=MOST_WAITING),
            newer.pruned_as_of or self.pruned_as_of,
            self.must_last or newer.must_last,
        )


class Store:
    """The file of an instance; without a path nothing is kept.

    Parameters
    ----------
    path : Path or None
        The file; its directory must exist.
    log : Log
        Told when the file had to be set aside.
    notices : Notices
        Told when the file cannot be written, and when it can again. Nothing here raises: no state is a safe
        state to begin with.
    retention : Retention
        How much is kept.

    Attributes
    ----------
    state : mapping of str to str
        The documents that were found, by part.
    open_sessions : list of Session
        Those that were found and had not ended.
    last_session : int
        Highest number of a session so far.
    """

    def __init__(
        self, path: Path | None, log: Log, notices: Notices, retention: Retention | None = None
    ) -> None:
        self._path = path
        self._log = log
        self._notices = notices
        self._retention = retention or Retention()
        self.state: Mapping[str, str] = {}
        self.open_sessions: list[Session] = []
        self.last_session = 0
        self._changed = threading.Condition()
        self._waiting = _Batch()
        self._is_writing = self._is_closing = False
        self._database: sqlite3.Connection | None = None
        self._known: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="state-store", daemon=True)
        if path is not None:
            self._load(path)
            self._thread.start()

    def put_state(self, part: str, document: str, *, must_last: bool = True) -> None:
        """Replace a part of the state.

        Parameters
        ----------
        must_last : bool
            It is on the disk before anything later is written; otherwise a power cut, but no crash, may take
            it back.
        """
        with self._changed:
            self._waiting.state[part] = document
            self._waiting.must_last |= must_last
            self._hand_over()

    def put_sessions(self, sessions: list[Session], *, must_last: bool = True) -> None:
        """Write sessions, each in place of what is known of it."""
        with self._changed:
            self._waiting.sessions.update({session.id: session for session in sessions})
            self._waiting.must_last |= must_last and bool(sessions)
            self._hand_over()

    def put_samples(self, samples: list[Sample]) -> None:
        """Add samples."""
        with self._changed:
            self._waiting.samples.extend(samples)
            self._hand_over()

    def prune(self, now: datetime) -> None:
        """Delete what is too old or too much, and give the space back."""
        with self._changed:
            self._waiting.pruned_as_of = now
            self._hand_over()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is written; tell whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._is_writing, timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is not yet written, and end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._path is not None:
            self._thread.join(timeout_s)

    def _hand_over(self) -> None:
        if self._path is None:
            self._waiting = _Batch()
        elif len(self._waiting.sessions) > MOST_WAITING:
            del self._waiting.sessions[min(self._waiting.sessions)]
        self._changed.notify_all()

    def _load(self, path: Path) -> None:
        try:
            self._database = open_file(path, self._log)
            self._read(self._database)
        except (OSError, sqlite3.Error) as error:
            self._complain(path, error)
        except ValueError as error:  # a time that is none
            self._log.warning(f"state file {path}: sessions under way are not taken over: {error}")

    def _read(self, database: sqlite3.Connection) -> None:
        self._known = dict(database.execute("SELECT part, document FROM state"))
        self.state = dict(self._known)
        (last,) = database.execute("SELECT max(id) FROM sessions").fetchone()
        self.last_session = last or 0
        rows = database.execute(
            "SELECT id, evse, started, seen, energy_Wh, is_estimated, max_current_A, phases, mode, meter_Wh"
            " FROM sessions WHERE ended IS NULL ORDER BY id"
        )
        self.open_sessions = [_session(row) for row in rows]

    def _run(self) -> None:
        is_last = False
        while not is_last:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or bool(self._waiting))
                batch, self._waiting = self._waiting, _Batch()
                self._is_writing, is_last = True, self._is_closing
            is_written = not batch or self._write(batch)
            with self._changed:
                if not is_written:
                    self._waiting = batch.then(self._waiting)
                self._is_writing = False
                self._changed.notify_all()
                if not is_written:
                    self._changed.wait_for(lambda: self._is_closing, AGAIN_AFTER_S)
        self._close()

    def _write(self, batch: _Batch) -> bool:
        """Write a batch, if need be into a new file; tell whether it is written."""
        assert self._path is not None
        self._known.update(batch.state)
        try:
            try:
                self._commit(self._opened(self._path, batch), batch)
            except (FileError, sqlite3.Error) as error:
                if not is_damage(error):
                    raise
                self._close()
                set_aside(self._path, error, self._log)
                self._commit(self._opened(self._path, batch), batch)
        except (OSError, sqlite3.Error) as error:
            self._close()
            self._complain(self._path, error)
            return False
        self._notices.clear(NOTICE, f"state file {self._path}: written again")
        return True

    def _opened(self, path: Path, batch: _Batch) -> sqlite3.Connection:
        if self._database is None:  # maybe for a file that is new: it gets all there is
            self._database = open_file(path, self._log)
            batch.state = dict(self._known)
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _commit(self, database: sqlite3.Connection, batch: _Batch) -> None:
        # With a write-ahead log NORMAL never damages the file, but may lose the last transactions.
        database.execute(f"PRAGMA synchronous = {'FULL' if batch.must_last else 'NORMAL'}")
        database.execute("BEGIN IMMEDIATE")
        with database:
            database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", batch.state.items())
            database.executemany(
                "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(_session_row, batch.sessions.values()),
            )
            database.executemany(
                "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", map(_sample_row, batch.samples)
            )
            if batch.pruned_as_of is not None:
                self._prune(database, batch.pruned_as_of)
        if batch.pruned_as_of is not None:
            # As a script, since a cursor stops after the first page that is freed.
            database.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

    def _prune(self, database: sqlite3.Connection, now: datetime) -> None:
        keep = self._retention
        database.execute(
            "DELETE FROM sessions WHERE ended < ? OR id <= (SELECT max(id) FROM sessions) - ?",
            (timestamp(now - keep.session_age), keep.sessions),
        )
        database.execute(
            "DELETE FROM samples WHERE at < ? OR rowid <= (SELECT max(rowid) FROM samples) - ?",
            (timestamp(now - keep.sample_age), keep.samples),
        )

    def _complain(self, path: Path, error: Exception) -> None:
        self._notices.raise_(NOTICE, f"state file {path} not written, a restart would forget: {error}")


def _session(row: tuple[Any, ...]) -> Session:
    number, evse, started, seen, energy_Wh, is_estimated, *others = row
    times = parse_timestamp(started), parse_timestamp(seen)
    return Session(number, evse, *times, False, energy_Wh, bool(is_estimated), *others)  # noqa: FBT003


def _session_row(session: Session) -> tuple[object, ...]:
    started, seen = timestamp(session.started), timestamp(session.seen)
    return (
        session.id,
        session.evse,
        started,
        seen,
        seen if session.is_over else None,
        session.energy_Wh,
        session.is_estimated,
        session.max_current_A,
        session.phases,
        session.mode,
        session.meter_Wh,
    )


def _sample_row(sample: Sample) -> tuple[object, ...]:
    return (
        timestamp(sample.at),
        sample.evse,
        sample.granted_A,
        sample.current_A,
        sample.power_W,
        sample.energy_Wh,
    )
