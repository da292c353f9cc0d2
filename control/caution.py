"""What limits allow: in the words of the allocation, and one compared with another."""

import math
from collections.abc import Mapping

from control.schedules import JsonObject
from energy_management import InForce

_NOISE_A = 0.01
_NOISE_W = 10.0
_BOUNDS = (("ac_max_current_A", _NOISE_A), ("total_power_W", _NOISE_W), ("ac_max_phase_count", 0.0))


def allowed(limits: Mapping[str, JsonObject], voltage_V: float) -> InForce:
    """Return the current per phase that a ``LimitsRes`` allows, by amperes or watts, and the phases."""
    phases = int(_bound(limits, "ac_max_phase_count")) if "ac_max_phase_count" in limits else 3
    by_power_A = _bound(limits, "total_power_W") / (voltage_V * max(phases, 1))
    return InForce(max(0.0, min(_bound(limits, "ac_max_current_A"), by_power_A)), phases)


def allows(limits: Mapping[str, JsonObject]) -> bool:
    """Tell whether limits allow to draw anything."""
    return any(limits[name]["value"] > noise for name, noise in _BOUNDS[:2] if name in limits)


def allows_more(limits: Mapping[str, JsonObject], other: Mapping[str, JsonObject]) -> bool:
    """Tell whether limits allow more than others in any respect; a bound that is not named is none."""
    return allows(limits) and any(
        _bound(limits, name) > _bound(other, name) + noise for name, noise in _BOUNDS
    )


def loosest(limits: Mapping[str, JsonObject], other: Mapping[str, JsonObject]) -> JsonObject:
    """Return limits that allow whatever either of two does."""
    if not allows(limits) or not allows(other):
        return dict(limits if allows(limits) else other)
    return {
        name: max(limits[name], other[name], key=lambda bound: bound["value"])
        for name, _ in _BOUNDS
        if name in limits and name in other
    }


def _bound(limits: Mapping[str, JsonObject], name: str) -> float:
    return float(limits[name]["value"]) if name in limits else math.inf
