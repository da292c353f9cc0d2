"""Limits set from outside on this instance's node, from several sources at once.

Each source (OCPP, an energy service, a user) has its own slot. The slots are joined by minimum, so that one
source never lifts what another one set. A source that promises to renew its limit and falls silent leaves its
fallback behind, never "unlimited".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from control.clock import Instant, parse_timestamp, timestamp
from control.schedules import JsonObject, Schedule, combine

EVEREST_SOURCE = "external_limits"
"""Slot of EVerest's own ``set_external_limits``, which knows only one source."""


class LimitError(ValueError):
    """A limit from outside is not what it should be; the old one stays in force."""


@dataclass(frozen=True, slots=True)
class ExternalLimits:
    """What one source asks for. An empty schedule sets no limit in that direction."""

    schedule_import: Schedule = field(default_factory=list)
    schedule_export: Schedule = field(default_factory=list)
    schedule_setpoints: list[JsonObject] = field(default_factory=list)

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


@dataclass(frozen=True, slots=True)
class _Slot:
    limits: ExternalLimits
    fallback: ExternalLimits | None = None
    expires_at: float | None = None

    def in_force(self, monotonic_s: float) -> ExternalLimits:
        expired = self.expires_at is not None and monotonic_s >= self.expires_at
        return self.fallback if expired and self.fallback is not None else self.limits


class LimitBook:
    """The slots of all sources. Not thread-safe: its owner guards it."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}

    def set(
        self,
        source: str,
        limits: ExternalLimits,
        now: Instant,
        *,
        valid_for_s: float | None = None,
        fallback: ExternalLimits | None = None,
    ) -> None:
        """Replace what one source asks for.

        Parameters
        ----------
        valid_for_s : float, optional
            The source renews its limit within this time; without, the limit holds until it is replaced.
        fallback : ExternalLimits, optional
            What holds once that time is over.

        Raises
        ------
        LimitError
            A time but no fallback: what holds afterwards would have to be guessed.
        """
        if valid_for_s is None:
            self._slots[source] = _Slot(limits)
        elif fallback is None:
            raise LimitError(f"limit of '{source}': valid_for needs a fallback, the limit after that time")
        else:
            self._slots[source] = _Slot(limits, fallback, now.monotonic_s + valid_for_s)

    def clear(self, source: str) -> None:
        """Forget a source and its limit; unknown ones are no error."""
        self._slots.pop(source, None)

    def in_force(self, now: Instant) -> ExternalLimits:
        """All sources joined: schedules by minimum, setpoints one after the other."""
        active = [slot.in_force(now.monotonic_s) for slot in self._slots.values()]
        return ExternalLimits(
            combine(limits.schedule_import for limits in active),
            combine(limits.schedule_export for limits in active),
            [setpoint for limits in active for setpoint in limits.schedule_setpoints],
        )


def constant(limits: JsonObject, now: Instant) -> Schedule:
    """Schedule of one limit that holds from now on, on both sides of the node."""
    return [{"timestamp": timestamp(now.utc), "limits_to_root": limits, "limits_to_leaves": limits}]


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
    # The comparison with itself sorts out NaN, which would slip through every minimum.
    return (
        isinstance(limit, Mapping)
        and isinstance(limit.get("value"), int | float)
        and limit["value"] == limit["value"]
        and isinstance(limit.get("source"), str)
    )
