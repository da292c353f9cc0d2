"""What must survive a restart, in one JSON file.

Written by a thread of its own, since a sync to an SD card may take longer than a control step; replaced
as a whole, so that a power cut leaves the old file or the new one, never half of one.
"""

import json
import os
import threading
from pathlib import Path

from control.notices import Log
from control.schedules import JsonObject

FORMAT = 1


class StateStore:
    """Loads and saves a document; without a path it does neither.

    Parameters
    ----------
    path : Path or None
        The file; its directory must exist.
    log : Log
        Told what is wrong with the file. Nothing here raises: no state is a safe state to begin with.
    """

    def __init__(self, path: Path | None, log: Log) -> None:
        self._path = path
        self._log = log
        self._changed = threading.Condition()
        self._newest: JsonObject | None = None
        self._written: JsonObject | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._write_all, name="state-store", daemon=True)
        if path is not None:
            self._thread.start()

    def load(self) -> JsonObject:
        """Return the document, or an empty one when there is none; one that is damaged is set aside."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            stored = json.loads(self._path.read_bytes())
            if not isinstance(stored, dict) or stored.get("format") != FORMAT:
                raise ValueError(f"expected a state file of format {FORMAT}")
            document = stored["state"]
            if not isinstance(document, dict):
                raise ValueError("state is no object")
        except (OSError, ValueError, KeyError) as error:
            self._set_aside(self._path, error)
            return {}
        return document

    def save(self, document: JsonObject) -> None:
        """Have the document written soon; it must not change any more."""
        with self._changed:
            self._newest = document
            self._changed.notify()

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is not yet written, and end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._path is not None:
            self._thread.join(timeout_s)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._newest != self._written)
                document, is_last = self._newest, self._is_closing
            if document is not None and document != self._written:
                self._write(document)
                self._written = document
            if is_last:
                return

    def _write(self, document: JsonObject) -> None:
        assert self._path is not None
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("w") as file:
                json.dump({"format": FORMAT, "state": document}, file, allow_nan=False)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except (OSError, ValueError) as error:
            self._log.error(f"state file {self._path} not written, a restart would forget: {error}")

    def _set_aside(self, path: Path, error: Exception) -> None:
        damaged = path.with_name(f"{path.name}.damaged")
        self._log.warning(
            f"state file {path} cannot be read ({error}): starting without it, see {damaged.name} beside it"
        )
        try:
            path.replace(damaged)
        except OSError as failure:
            self._log.warning(f"state file {path} could not be set aside: {failure}")
