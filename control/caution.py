"""Shares rise only as far as those that must fall have fallen.

A limit that was lowered may still be in force at its EVSE until the lower one is answered, or the old one has
run out. What it may still draw is not given to others before.
"""

from collections.abc import Callable, Iterable, Mapping

from control.schedules import JsonObject
from control.tree import Grants

_NOISE_A = 0.01
_NOISE_W = 10.0
_BOUNDS = (("ac_max_current_A", _NOISE_A), ("total_power_W", _NOISE_W), ("ac_max_phase_count", 0.0))

InForce = Callable[[str], JsonObject | None]
"""Tells the ``LimitsRes`` that an EVSE may still go by, by uuid."""


def falling(limits: Iterable[JsonObject], in_force: InForce) -> Grants:
    """Return what those EVSEs may still draw that are about to get less."""
    before = {limit["uuid"]: (in_force(limit["uuid"]), limit["limits_root_side"]) for limit in limits}
    return {uuid: old for uuid, (old, new) in before.items() if old is not None and _is_above(old, new)}


def any_rises(limits: Iterable[JsonObject], in_force: InForce) -> bool:
    """Whether any EVSE is about to get more than it has."""
    return any(_is_above(limit["limits_root_side"], in_force(limit["uuid"]) or {}) for limit in limits)


def lower_of(
    limits: Iterable[JsonObject], careful: Iterable[JsonObject], fallen: Mapping[str, object]
) -> list[JsonObject]:
    """Join two decisions: those who fall as decided, everybody else the lower one of both.

    Parameters
    ----------
    limits : iterable of EnforcedLimits
        As decided.
    careful : iterable of EnforcedLimits
        As decided if nobody fell.
    fallen : mapping of uuid
        Those who fall.
    """
    by_uuid = {limit["uuid"]: limit for limit in careful}

    def choose(limit: JsonObject) -> JsonObject:
        other = by_uuid.get(limit["uuid"])
        if limit["uuid"] in fallen or other is None:
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
