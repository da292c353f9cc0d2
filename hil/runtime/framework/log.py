"""Log lines as EVerest writes them: time, level, process name, message."""

import re
import sys
from datetime import datetime
from pathlib import Path

_LEVELS = ("VERB", "DEBG", "INFO", "WARN", "ERRO", "CRIT")
_VERBOSE, _DEBUG, _INFO, _WARNING, _ERROR, _CRITICAL = range(len(_LEVELS))
_FILTER = re.compile(r"^\s*Filter\s*=.*%Severity%\s*>=\s*([A-Z]{4})", re.MULTILINE)


class _Log:
    """What the whole process shares: its name in the log, and the lowest level that is written."""

    process_name = ""
    lowest = _INFO


def configure(config_file: Path, process_name: str) -> None:
    """Take the lowest level from an EVerest logging file (``Filter="%Severity% >= INFO"``).

    The rest of such a file (sinks, colours, formats) is of no concern; without a filter INFO is the lowest.
    """
    _Log.process_name = process_name
    found = _FILTER.search(config_file.read_text(encoding="utf-8", errors="replace"))
    _Log.lowest = _LEVELS.index(found[1]) if found and found[1] in _LEVELS else _INFO


def update_process_name(process_name: str) -> None:
    """Set the name that each line carries; a module gives its id."""
    _Log.process_name = process_name


def _write(level: int, message: str) -> None:
    if level >= _Log.lowest:
        time = datetime.now().astimezone().isoformat(sep=" ", timespec="milliseconds")
        # One write a line, so that the lines of several processes on one terminal do not mix.
        sys.stderr.write(f"{time} [{_LEVELS[level]}] {_Log.process_name} :: {message}\n")
        sys.stderr.flush()


def verbose(message: str) -> None:
    """Write a line of the lowest level."""
    _write(_VERBOSE, message)


def debug(message: str) -> None:
    """Write a line that helps to find a fault."""
    _write(_DEBUG, message)


def info(message: str) -> None:
    """Write a line about normal operation."""
    _write(_INFO, message)


def warning(message: str) -> None:
    """Write a line about something unexpected that is dealt with."""
    _write(_WARNING, message)


def error(message: str) -> None:
    """Write a line about something that failed."""
    _write(_ERROR, message)


def critical(message: str) -> None:
    """Write a line about what ends the process."""
    _write(_CRITICAL, message)
