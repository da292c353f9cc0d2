"""Limits set from outside on a node or an EVSE, from several sources at once.

Each source (OCPP, an energy service, a user) has its own slot. The slots are joined by minimum, so that one
source never lifts what another one set. A source that promises to renew its limit and falls silent leaves its
fallback behind, never "unlimited".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from control.clock import Instant, parse_timestamp, timestamp
from control.dimming import raised
from control.messages import is_number
from control.schedules import JsonObject, Schedule, combine

EVEREST_SOURCE = "external_limits"
"""Slot of EVerest's own ``set_external_limits``, which knows only one source."""


class LimitError(ValueError):
    """A limit from outside is not what it should be; the old one stays in force."""


@dataclass(frozen=True, slots=True)
class ExternalLimits:
    """What one source, or all of them joined, asks for. An empty schedule sets no limit in that direction.

    Attributes
    ----------
    schedule_import, schedule_export : Schedule
        Limits.
    schedule_setpoints : list of SetpointEntry
        Setpoints.
    is_dimming : bool
        Some of it is from a grid operator that dims: its watts are about EVSEs alone.
    """

    schedule_import: Schedule = field(default_factory=list)
    schedule_export: Schedule = field(default_factory=list)
    schedule_setpoints: list[JsonObject] = field(default_factory=list)
    is_dimming: bool = False

    @classmethod
    def from_json(cls, value: object) -> "ExternalLimits":
        """Read EVerest's ``ExternalLimits``.

        Raises
        ------
        LimitError
            A part is missing or is not what it should be; the message names it.
        """
        if not isinstance(value, Mapping):
            raise LimitError("external limits: expected an object")
        for direction in ("schedule_import", "schedule_export"):
            for index, entry in enumerate(_entries(value, direction)):
                _check_limits(entry, f"{direction}[{index}]")
        return cls(
            _entries(value, "schedule_import"),
            _entries(value, "schedule_export"),
            _entries(value, "schedule_setpoints"),
        )

    def no_lower_than(self, power_W: float) -> "ExternalLimits":
        """Return the same with no limit of the imported power below this."""
        return replace(self, schedule_import=raised(self.schedule_import, power_W)) if power_W else self

    def to_json(self) -> JsonObject:
        """Write EVerest's ``ExternalLimits``."""
        return {
            "schedule_import": self.schedule_import,
            "schedule_export": self.schedule_export,
            "schedule_setpoints": self.schedule_setpoints,
        }


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a limit ends, and what holds then.

    Attributes
    ----------
    at : float
        Monotonic seconds.
    utc : datetime
        The same on the wall clock, for a restart in between.
    fallback : ExternalLimits
        What holds afterwards.
    """

    at: float
    utc: datetime
    fallback: ExternalLimits

    @classmethod
    def after(cls, seconds: float, now: Instant, fallback: ExternalLimits) -> "Expiry":
        """Return the expiry so many seconds from now."""
        return cls(now.monotonic_s + seconds, now.utc + timedelta(seconds=seconds), fallback)


@dataclass(frozen=True, slots=True)
class _Slot:
    limits: ExternalLimits
    expiry: Expiry | None = None
    is_dimming: bool = False

    def in_force(self, monotonic_s: float) -> ExternalLimits:
        is_over = self.expiry is not None and monotonic_s >= self.expiry.at
        return self.expiry.fallback if self.expiry is not None and is_over else self.limits


class LimitBook:
    """The slots of all sources of one node. Not thread-safe: its owner guards it."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}

    def set(
        self, source: str, limits: ExternalLimits, expiry: Expiry | None = None, *, is_dimming: bool = False
    ) -> None:
        """Replace what one source asks for.

        Parameters
        ----------
        expiry : Expiry, optional
            Without one it holds until it is replaced.
        is_dimming : bool
            A grid operator dims: there is a floor below which this does not go.
        """
        self._slots[source] = _Slot(limits, expiry, is_dimming)

    def clear(self, source: str) -> None:
        """Forget a source and its limit; unknown ones are no error."""
        self._slots.pop(source, None)

    def next_expiry(self, now: Instant) -> float:
        """Monotonic second at which the next limit gives way to its fallback; infinite if none does."""
        ends = [slot.expiry.at for slot in self._slots.values() if slot.expiry]
        return min((at for at in ends if at > now.monotonic_s), default=math.inf)

    @property
    def is_dimmed(self) -> bool:
        """Whether any source dims."""
        return any(slot.is_dimming for slot in self._slots.values())

    def in_force(self, now: Instant, least_W: float = 0.0) -> ExternalLimits:
        """All sources joined: schedules by minimum, setpoints one after the other.

        Parameters
        ----------
        least_W : float
            Floor of those that dim.
        """
        active = [
            slot.in_force(now.monotonic_s).no_lower_than(least_W if slot.is_dimming else 0.0)
            for slot in self._slots.values()
        ]
        return ExternalLimits(
            combine(limits.schedule_import for limits in active),
            combine(limits.schedule_export for limits in active),
            [setpoint for limits in active for setpoint in limits.schedule_setpoints],
            self.is_dimmed,
        )

    def to_json(self) -> JsonObject:
        """Write what must survive a restart: all slots but EVerest's own, which its modules set again."""
        return {
            source: {
                "limits": slot.limits.to_json(),
                "dimming": slot.is_dimming,
                **(
                    {"expires": timestamp(slot.expiry.utc), "fallback": slot.expiry.fallback.to_json()}
                    if slot.expiry
                    else {}
                ),
            }
            for source, slot in self._slots.items()
            if source != EVEREST_SOURCE
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], now: Instant) -> "LimitBook":
        """Read what `to_json` wrote.

        Raises
        ------
        LimitError, KeyError, TypeError, ValueError
            It is something else.
        """
        book = cls()
        for source, slot in value.items():
            expiry = None
            if "expires" in slot:
                left_s = (parse_timestamp(slot["expires"]) - now.utc).total_seconds()
                expiry = Expiry.after(left_s, now, ExternalLimits.from_json(slot["fallback"]))
            is_dimming = slot.get("dimming") is True
            book.set(source, ExternalLimits.from_json(slot["limits"]), expiry, is_dimming=is_dimming)
        return book


def _entries(value: Mapping[str, Any], name: str) -> list[JsonObject]:
    entries = value.get(name)
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise LimitError(f"external limits: {name} must be a list")
    for index, entry in enumerate(entries):
        try:
            parse_timestamp(entry["timestamp"])
        except (KeyError, TypeError, ValueError) as error:
            raise LimitError(f"external limits: {name}[{index}] has no valid timestamp") from error
    return list(entries)


def _check_limits(entry: JsonObject, place: str) -> None:
    for side in ("limits_to_root", "limits_to_leaves"):
        limits = entry.get(side)
        if not isinstance(limits, Mapping):
            raise LimitError(f"external limits: {place}.{side} is missing")
        for name in ("total_power_W", "ac_max_current_A", "ac_max_phase_count"):
            if name in limits and not _is_limit(limits[name]):
                raise LimitError(
                    f"external limits: {place}.{side}.{name} needs a number as value, and a source"
                )


def _is_limit(limit: object) -> bool:
    if not isinstance(limit, Mapping):
        return False
    # NaN would slip through every minimum.
    return is_number(limit.get("value")) and isinstance(limit.get("source"), str)
