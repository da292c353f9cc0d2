"""Passes on to EVerest's log what the libraries and the bridge log in Python's way."""

import logging

from control.notices import Log


class LibraryLog(logging.Handler):
    """Handler that writes to EVerest's log; what libraries tell of their normal work is for developers.

    Parameters
    ----------
    log : Log
        EVerest's log.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if record.levelno >= logging.ERROR:
            write = self._log.error
        elif record.levelno >= logging.WARNING:
            write = self._log.warning
        else:
            write = self._log.info if record.name.startswith("bsp") else self._log.debug
        write(self.format(record))
