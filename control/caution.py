"""No share rises on account of a limit that has not arrived.

The allocation lets shares rise only when those that must fall have had the time to follow their new limits.
What it cannot know is whether a new limit was answered and so is in force. What an EVSE may still draw by an
older one is not given to others until it has answered, or the older one has run out.
"""

from collections.abc import Callable, Iterable, Mapping

from control.schedules import JsonObject
from control.tree import Grants

_NOISE_A = 0.01
_NOISE_W = 10.0
_BOUNDS = (("ac_max_current_A", _NOISE_A), ("total_power_W", _NOISE_W), ("ac_max_phase_count", 0.0))

Lookup = Callable[[str], JsonObject | None]
"""Tells the ``LimitsRes`` of an EVSE by uuid; None if there are none."""


def late(limits: Iterable[JsonObject], in_force: Lookup) -> Grants:
    """Return what those EVSEs may still draw whose lower limits, new or older, are not answered."""
    found = {limit["uuid"]: (in_force(limit["uuid"]), limit["limits_root_side"]) for limit in limits}
    return {uuid: old for uuid, (old, new) in found.items() if old is not None and _is_above(old, new)}


def any_rises(limits: Iterable[JsonObject], in_force: Lookup) -> bool:
    """Whether any EVSE is about to get more than it has."""
    return any(_is_above(limit["limits_root_side"], in_force(limit["uuid"]) or {}) for limit in limits)


def lower_of(
    limits: Iterable[JsonObject], careful: Iterable[JsonObject], are_late: Mapping[str, object]
) -> list[JsonObject]:
    """Join two decisions: those who are late as decided, everybody else the lower one of both.

    Parameters
    ----------
    limits : iterable of EnforcedLimits
        As decided.
    careful : iterable of EnforcedLimits
        As decided if those who are late went on with what they have.
    are_late : mapping of uuid
        Those who are.
    """
    by_uuid = {limit["uuid"]: limit for limit in careful}

    def choose(limit: JsonObject) -> JsonObject:
        other = by_uuid.get(limit["uuid"])
        if limit["uuid"] in are_late or other is None:
            return limit
        return other if _is_above(limit["limits_root_side"], other["limits_root_side"]) else limit

    return [choose(limit) for limit in limits]


def _is_above(limits: Mapping[str, JsonObject], other: Mapping[str, JsonObject]) -> bool:
    """Whether limits allow more than others in any respect; what is not limited there counts as nothing."""
    if not any(limits[name]["value"] > noise for name, noise in _BOUNDS[:2] if name in limits):
        return False
    return any(
        limits[name]["value"] > (other[name]["value"] if name in other else 0.0) + noise
        for name, noise in _BOUNDS
        if name in limits
    )
