"""The slots of a run: when they begin, and which entry of a schedule is in force in each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(time: datetime) -> int:
    """Milliseconds since 1970 of a time; one without an offset is taken as UTC."""
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=4096)
def parse_timestamp(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 timestamp, with any offset.

    Raises
    ------
    ValueError, TypeError
        When it is none, or not within the years 1 to 9999.
    """
    milliseconds = to_milliseconds(datetime.fromisoformat(text))
    if not _FIRST <= milliseconds <= _LAST:
        raise ValueError(f"{text} is beyond all times")
    return milliseconds


@lru_cache(maxsize=4096)
def format_timestamp(milliseconds: int) -> str:
    """Timestamp as EVerest writes it: `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    time = _EPOCH + timedelta(milliseconds=milliseconds)
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


_FIRST = to_milliseconds(datetime.min)
_LAST = to_milliseconds(datetime.max)


@dataclass(frozen=True)
class Timeline:
    """The slots of one run.

    Attributes
    ----------
    starts : ndarray of int64, shape (slots,)
        When each slot begins [ms since 1970].
    looked_at : ndarray of int64, shape (slots,)
        The moment whose limits a slot has: its start, or now for the slot that has begun.
    active : int
        The slot that holds now.
    texts : list of str
        When each begins, as results carry it.
    since, changes_at : int
        From when on that is so, and when the slots, or what is in force now, will be others [ms since 1970].
    """

    starts: NDArray[np.int64]
    looked_at: NDArray[np.int64]
    active: int
    texts: list[str]
    since: int
    changes_at: int

    @classmethod
    def build(cls, now: datetime, interval_min: int, total_h: int, stamps: Iterable[int]) -> Timeline:
        """Slots on the raster from the floor of now, and at every timestamp that is not past."""
        now_ms, interval = to_milliseconds(now), interval_min * 60_000
        first = now_ms - now_ms % interval
        count = max(total_h * 60 // interval_min, 1)
        raster = range(first, first + count * interval, interval)
        to_come = {stamp for stamp in stamps if stamp >= now_ms}
        slots = sorted(to_come.union(raster))
        active = bisect_right(slots, now_ms) - 1
        others = to_come.difference(raster[:1])
        changes_at = min([first + interval, *(max(stamp, now_ms + 1) for stamp in others)])
        starts = np.array(slots)
        texts = [format_timestamp(start) for start in slots]
        return cls(starts, np.maximum(starts, now_ms), active, texts, now_ms, changes_at)

    def __len__(self) -> int:
        return len(self.starts)

    def holds(self, now: datetime) -> bool:
        """Whether it would be the same, built at another time."""
        return self.since <= to_milliseconds(now) < self.changes_at

    def entries_in_force(self, stamps: Sequence[int]) -> NDArray[np.int64]:
        """Which entry of a schedule is in force in each slot: the latest that has begun.

        The first is in force even before it begins, as EVerest's types have it; it also stands for that of
        a schedule that has none. Of entries with the same timestamp the later one in the schedule counts.
        """
        if len(stamps) <= 1:
            return np.zeros(len(self.starts), dtype=np.int64)
        times = np.array(stamps)
        order = np.argsort(times, kind="stable")
        times = times[order]
        latest = np.searchsorted(times, np.maximum(self.looked_at, times[0]), side="right") - 1
        return np.asarray(order[latest])
