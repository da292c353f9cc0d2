"""Schedules of limits as EVerest writes them: lists of entries, each in force from its timestamp on.

Pure functions; schedules are never changed in place. The entry in force at a moment is the last one that has
begun; before the first one nothing is limited; the last one stays in force for ever.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from control.clock import parse_timestamp, timestamp

JsonObject = dict[str, Any]
Schedule = list[JsonObject]
"""``ScheduleReqEntry`` objects: timestamp, limits_to_root, limits_to_leaves."""

_UPPER_BOUNDS = ("total_power_W", "ac_max_current_A", "ac_max_phase_count")
_LOWER_BOUNDS = ("ac_min_current_A", "ac_min_phase_count")
_SIDES = ("limits_to_root", "limits_to_leaves")


def tighter(one: Mapping[str, Any], other: Mapping[str, Any]) -> JsonObject:
    """Join two ``LimitsReq``: of each limit the tighter one, with its source; of equal ones the first.

    What only an EVSE says of itself (its active phases, whether it can switch) stays as ``one`` has it.
    """
    joined = {**other, **one}
    for names, pick in ((_UPPER_BOUNDS, min), (_LOWER_BOUNDS, max)):
        for name in names:
            if name in one and name in other:
                joined[name] = pick(one[name], other[name], key=lambda limit: limit["value"])
    return joined


def combine(schedules: Iterable[Sequence[JsonObject]]) -> Schedule:
    """Join schedules so that at every moment the tightest of the limits in force holds.

    Equal timestamps become one entry; within one schedule the later of equal ones counts. What an entry
    carries beside its limits (a price) is taken from the first schedule that has it in force.
    """
    tracks = [_Track(schedule) for schedule in schedules if schedule]
    starts = sorted({start for track in tracks for start in track.starts})
    return [_join([entry for track in tracks if (entry := track.at(start))], start) for start in starts]


def with_prices(schedule: Sequence[JsonObject], prices: Sequence[JsonObject]) -> Schedule:
    """Write the price in force into every entry; where a price changes between entries an entry is added.

    Parameters
    ----------
    schedule : sequence of ScheduleReqEntry
        Limits. A price from before its first entry adds none.
    prices : sequence of PricePerkWh
        ``timestamp``, ``value``, ``currency``.
    """
    limits, tariff = _Track(schedule), _Track(prices)
    if not limits.starts or not tariff.starts:
        return list(schedule)
    starts = sorted({*limits.starts, *(start for start in tariff.starts if start >= limits.starts[0])})
    merged = []
    for start in starts:
        entry = {**(limits.at(start) or {}), "timestamp": timestamp(start)}
        if price := tariff.at(start):
            entry["price_per_kwh"] = price
        merged.append(entry)
    return merged


def from_now(schedule: Sequence[JsonObject], now: datetime) -> Schedule:
    """Leave out the entries that are over: all before the one in force."""
    track = _Track(schedule)
    return track.entries[max(0, bisect_right(track.starts, now) - 1) :]


def in_force(schedule: Sequence[JsonObject], now: datetime) -> JsonObject | None:
    """Return the entry in force: the last one that has begun, or else the first, as in EVerest."""
    entries = from_now(schedule, now)
    return entries[0] if entries else None


class _Track:
    """A schedule sorted by time, with one entry per time."""

    def __init__(self, schedule: Iterable[JsonObject]) -> None:
        by_start = {parse_timestamp(entry["timestamp"]): entry for entry in schedule}
        self.starts = sorted(by_start)
        self.entries = [by_start[start] for start in self.starts]

    def at(self, moment: datetime) -> JsonObject | None:
        """Return the entry in force at that moment."""
        index = bisect_right(self.starts, moment)
        return self.entries[index - 1] if index else None


def _join(entries: Sequence[JsonObject], start: datetime) -> JsonObject:
    joined: JsonObject = {}
    for entry in entries:
        sides = {side: tighter(joined.get(side, {}), entry.get(side, {})) for side in _SIDES}
        joined = {**entry, **joined, **sides}
    return {**joined, "timestamp": timestamp(start)}
