"""`hil storm`: a site of ten simulated devices through faults of all kinds, in real time."""

import logging
import time
from pathlib import Path
from typing import Annotated

import typer

from hil.storm.judge import Verdict
from hil.storm.storm import Storm


def storm(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long; the last storm is waited out.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Same seed, same faults.")] = 1,
    log: Annotated[Path | None, typer.Option(help="Write what the energy manager logs to this file.")] = None,
) -> None:
    """Drive an SDM630 and six chargers on one line, and three on TCP, through storms of faults.

    Ends with 0 if no limit was ever above a fuse and everything recovered from every storm.
    """
    lines = LogLines()
    logging.basicConfig(handlers=[lines], level=logging.INFO)
    try:
        verdict = Storm(seed, lines, typer.echo).run(60 * minutes)
    finally:
        if log:
            log.write_text("\n".join(lines.lines) + "\n", encoding="utf-8")
    for text in summary(verdict):
        typer.echo(text)
    raise typer.Exit(1 if verdict.failures else 0)


def summary(verdict: Verdict) -> list[str]:
    """Put the verdict into words."""
    kinds = ", ".join(f"{count} {what}" for what, count in sorted(verdict.faults.items()))
    slowest_s = max(verdict.recoveries_s, default=0.0)
    lines = [
        f"{verdict.seconds:.0f} s, {sum(verdict.faults.values())} faults: {kinds}",
        f"{len(verdict.recoveries_s)} recoveries, the slowest after {slowest_s:.1f} s",
    ]
    if verdict.failures:
        return [*lines, *verdict.failures]
    highest = ", ".join(f"{fuse} {amperes:.1f} A" for fuse, amperes in verdict.highest_A.items())
    return [
        *lines,
        f"no limit above its fuse; highest sums: {highest}",
        f"no contact moved under load; {verdict.moves} moves, {verdict.repairs} repairs",
    ]


class LogLines(logging.Handler):
    """Keeps what the energy manager, and the bridge in Python's way, log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._began = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self._keep(record.levelname.lower(), self.format(record))

    def debug(self, message: str, /) -> None:
        """Drop it."""

    def info(self, message: str, /) -> None:
        """Keep it."""
        self._keep("info", message)

    def warning(self, message: str, /) -> None:
        """Keep it."""
        self._keep("warning", message)

    def error(self, message: str, /) -> None:
        """Keep it."""
        self._keep("error", message)

    def _keep(self, level: str, message: str) -> None:
        self.lines.append(f"{time.monotonic() - self._began:8.2f} {level} {message}")
