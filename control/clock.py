"""Time as the live half knows it: handed in, never looked up where a decision is made."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks.

    Attributes
    ----------
    monotonic_s : float
        Seconds of the monotonic clock: ages, timeouts, hysteresis. Jumps of the wall clock do not touch it.
    utc : datetime
        Aware UTC time: schedules and timestamps, nothing else.
    """

    monotonic_s: float
    utc: datetime

    def utc_of(self, monotonic_s: float) -> datetime:
        """Wall-clock time of another moment of the monotonic clock."""
        return self.utc + timedelta(seconds=monotonic_s - self.monotonic_s)


Clock = Callable[[], Instant]
"""Tells what time it is; tests hand in their own."""


def system_clock() -> Instant:
    """Now, as the machine has it."""
    return Instant(time.monotonic(), datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """Write a time as EVerest does: ``YYYY-MM-DDTHH:MM:SS.mmmZ``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_timestamp(text: str) -> datetime:
    """Read an RFC 3339 time, with any offset; one without offset is UTC.

    Raises
    ------
    ValueError
        It is no such time.
    """
    moment = datetime.fromisoformat(text)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:  # an offset that leads out of the calendar
        raise ValueError(f"'{text}' is out of range") from error
