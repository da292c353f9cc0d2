"""No share rises on account of a limit that has not arrived.

The allocation lets shares rise only when those that must fall have had the time to follow their new limits.
What it cannot know is whether a new limit was answered and so is in force. What an EVSE may still draw by an
older one is not given to others until it has answered, or the older one has run out.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Set

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


def rising(limits: Iterable[JsonObject], in_force: Lookup) -> set[str]:
    """Return the uuids of those EVSEs that are about to get more than they have."""
    return {
        limit["uuid"] for limit in limits if _is_above(limit["limits_root_side"], in_force(limit["uuid"]))
    }


def held_back(
    limits: Iterable[JsonObject], careful: Iterable[JsonObject], are_rising: Set[str], in_force: Lookup
) -> list[JsonObject]:
    """Let those who rise have the lower one of two decisions, but never less than they have.

    Parameters
    ----------
    limits : iterable of EnforcedLimits
        As decided.
    careful : iterable of EnforcedLimits
        As decided if those who are late went on with what they have.
    are_rising : set of uuid
        Those who rise by the first; the others get what was decided.
    """
    by_uuid = {limit["uuid"]: limit for limit in careful}

    def choose(limit: JsonObject) -> JsonObject:
        other = by_uuid.get(limit["uuid"])
        if limit["uuid"] not in are_rising or other is None:
            return limit
        if not _is_above(limit["limits_root_side"], other["limits_root_side"]):
            return limit
        present = in_force(limit["uuid"])
        keeps = present is not None and _is_above(present, other["limits_root_side"])
        return {**limit, "limits_root_side": present} if keeps else other

    return [choose(limit) for limit in limits]


def _is_above(limits: Mapping[str, JsonObject], other: Mapping[str, JsonObject] | None) -> bool:
    """Tell whether limits allow more than others in any respect; a bound that is not named is none."""
    if not any(limits[name]["value"] > noise for name, noise in _BOUNDS[:2] if name in limits):
        return False
    return other is None or any(_bound(limits, name) > _bound(other, name) + noise for name, noise in _BOUNDS)


def _bound(limits: Mapping[str, JsonObject], name: str) -> float:
    return limits[name]["value"] if name in limits else math.inf
