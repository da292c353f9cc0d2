"""The energy tree as this instance sees it, as ``EnergyFlowRequest`` objects. Pure functions.

A request is taken as it came and never changed in place; what this instance knows better replaces it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from control.clock import Instant, timestamp
from control.external_limits import ExternalLimits
from control.schedules import JsonObject, Schedule, combine, from_now, in_force, tighter, with_prices

Grants = Mapping[str, JsonObject]
"""``LimitsRes`` that may still be in force, by uuid of the EVSE."""


@dataclass(frozen=True, slots=True)
class OwnNode:
    """What this instance's own node allows.

    Attributes
    ----------
    uuid : str
        Id of the module instance.
    fuse_limit_A : float or None
        Fuse per phase; None is a node without limits of its own, only those from outside.
    phase_count : int
        Phases behind the fuse; 0 sets no limit on the count.
    nominal_voltage_V : float
        Phase to neutral.
    enhance_external_schedule : bool
        Derive amperes from watts in schedules from outside.
    source : str
        Where the fuse is written down, named with every limit it sets.
    """

    uuid: str
    fuse_limit_A: float | None = None
    phase_count: int = 3
    nominal_voltage_V: float = 230.0
    enhance_external_schedule: bool = False
    source: str = "module_config"

    def capabilities(self) -> JsonObject | None:
        """``CapabilityLimits`` of this node, as EnergyNode publishes them; None without a fuse."""
        if self.fuse_limit_A is None:
            return None
        return {
            "max_current_A": self.fuse_limit_A,
            "max_phase_count": self.phase_count,
            "nominal_voltage_V": self.nominal_voltage_V,
            "total_power_W": self.nominal_voltage_V * self.fuse_limit_A * (self.phase_count or 1),
        }

    def request(
        self,
        children: Sequence[JsonObject],
        now: Instant,
        *,
        external: ExternalLimits | None = None,
        reserve_A: float = 0.0,
        usage: JsonObject | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> JsonObject:
        """Build the ``EnergyFlowRequest`` of this node.

        Parameters
        ----------
        children : sequence of EnergyFlowRequest
            What is below, in a fixed order.
        external : ExternalLimits, optional
            Limits from outside; the fuse holds beside them, on both sides, at every moment.
        reserve_A : float
            Part of the fuse that is not for EVSEs, per phase.
        usage : Powermeter, optional
            Latest reading of this node's meter.
        prices : EnergyPriceSchedule, optional
            Written into the schedules: import prices into import, export prices into export.
        """
        external = external or ExternalLimits()
        prices = prices or {}
        request: JsonObject = {
            "uuid": self.uuid,
            "node_type": "Generic",
            "children": list(children),
            "schedule_setpoints": external.schedule_setpoints,
        }
        for direction, limits in (
            ("schedule_import", external.schedule_import),
            ("schedule_export", external.schedule_export),
        ):
            # Watts that dim are about EVSEs alone; amperes would be about all loads.
            enhanced = limits if external.is_dimming else self._enhanced(limits)
            schedule = combine([self._fuse_schedule(reserve_A, now), enhanced])
            request[direction] = from_now(with_prices(schedule, prices.get(direction, [])), now.utc)
        if usage is not None:
            request["energy_usage_root"] = usage
        return request

    def _enhanced(self, external: Schedule) -> Schedule:
        return (
            [self._with_amperes(entry) for entry in external] if self.enhance_external_schedule else external
        )

    def _fuse_schedule(self, reserve_A: float, now: Instant) -> Schedule:
        if self.fuse_limit_A is None:
            return []
        source = f"{self.uuid}/{self.source}"
        reserved = f" less {reserve_A:g} A reserve" if reserve_A else ""
        current = {"value": max(0.0, self.fuse_limit_A - reserve_A), "source": source + reserved}
        limits: JsonObject = {"ac_max_current_A": current}
        if self.phase_count:
            limits["ac_max_phase_count"] = {"value": self.phase_count, "source": source}
        hour = now.utc.replace(minute=0, second=0, microsecond=0)
        return [{"timestamp": timestamp(hour), "limits_to_root": limits, "limits_to_leaves": limits}]

    def _with_amperes(self, entry: JsonObject) -> JsonObject:
        """Limit in amperes per phase that a limit in watts comes to, where the entry has none."""
        limits = entry["limits_to_root"]
        if "total_power_W" not in limits or "ac_max_current_A" in limits:
            return entry
        watts = limits["total_power_W"]
        phases = (
            _value(limits, "ac_max_phase_count", 0)
            or _value(entry["limits_to_leaves"], "ac_max_phase_count", 0)
            or self.phase_count
            or 1
        )
        amperes = max(0.0, watts["value"]) / (self.nominal_voltage_V * phases)
        return {
            **entry,
            "limits_to_root": {**limits, "ac_max_current_A": {"value": amperes, "source": watts["source"]}},
        }


GRANTED = ("ac_max_current_A", "ac_max_phase_count", "total_power_W")
"""What a ``LimitsRes`` may name."""

STILL_IN_FORCE = "still in force"
"""Source of the minimum of an EVSE that goes on with what it has; managers above can read it."""


def is_node(value: object) -> bool:
    """Whether a value can be told from others in a tree at all: an object with a uuid."""
    return isinstance(value, dict) and isinstance(value.get("uuid"), str)


def children_of(request: JsonObject) -> list[JsonObject]:
    """Return the children of a node; what is no node is left out."""
    children = request.get("children")
    return [child for child in children if is_node(child)] if isinstance(children, list) else []


def walk(request: JsonObject) -> Iterator[JsonObject]:
    """Yield the node and all below it, depth first."""
    yield request
    for child in children_of(request):
        yield from walk(child)


def evse_uuids(request: JsonObject) -> Iterator[str]:
    """Uuids of the EVSEs of a branch."""
    return (node["uuid"] for node in walk(request) if node.get("node_type") == "Evse")


class Rating(NamedTuple):
    """What hardware is good for: current per phase, power of all phases, their number; inf if unknown."""

    current_A: float = math.inf
    power_W: float = math.inf
    phase_count: float = 3


def rating_of_fuse(fuse_A: float, nominal_voltage_V: float) -> Rating:
    """Rating of a node with a fuse in each of three phases."""
    return Rating(fuse_A, 3 * fuse_A * nominal_voltage_V)


def hardware_ratings(request: JsonObject, nominal_voltage_V: float) -> dict[str, Rating]:
    """Tell what each EVSE of a branch is good for; its nodes have no limit.

    A DC charger's power is not that of its current: what it names as its power counts as well.
    """
    return {
        node["uuid"]: _hardware_rating(node, nominal_voltage_V)
        if node.get("node_type") == "Evse"
        else Rating()
        for node in walk(request)
    }


def _hardware_rating(evse: JsonObject, nominal_voltage_V: float) -> Rating:
    limits = [entry.get("limits_to_root") for entry in _entries(evse, "schedule_import")]
    current_A = max((_value(limit, "ac_max_current_A", math.inf) for limit in limits), default=math.inf)
    named_W = max((_value(limit, "total_power_W", 0.0) for limit in limits), default=0.0)
    phase_count = max((_value(limit, "ac_max_phase_count", 3) for limit in limits), default=3)
    power_W = max(rating_of_fuse(current_A, nominal_voltage_V).power_W, named_W)
    return Rating(current_A, power_W, phase_count)


def limits_now(node: JsonObject, now: Instant) -> JsonObject:
    """Return the ``LimitsReq`` of the import in force at a node, both sides joined; empty if malformed."""
    try:
        entry = in_force(node["schedule_import"], now.utc)
        return tighter(entry["limits_to_root"], entry["limits_to_leaves"]) if entry else {}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def node_limit_A(node: JsonObject, now: Instant) -> float:
    """Return the current per phase that a node may carry now; inf if it does not say, and for an EVSE."""
    if node.get("node_type") == "Evse":
        return math.inf
    return _value(limits_now(node, now), "ac_max_current_A", math.inf)


def held(request: JsonObject, grants: Grants) -> JsonObject | None:
    """Branch of a child that fell silent: each EVSE goes on, asking for just what it may still draw.

    EVSEs whose last limit has run out, and nodes without any left, are no part of it; None when nothing is.
    """
    if request.get("node_type") == "Evse":
        grant = grants.get(request["uuid"])
        return _held_evse(request, grant) if grant and _draws(grant) else None
    children = [branch for child in children_of(request) if (branch := held(child, grants))]
    return {**request, "children": children} if children else None


def with_vanished(request: JsonObject, before: JsonObject, grants: Grants) -> JsonObject:
    """Return the branch, and where an older one had EVSEs with grants that are gone, these as `held` does."""
    old = {node["uuid"]: node for node in children_of(before)}
    new = {node["uuid"] for node in children_of(request)}
    if not old:
        return request
    kept = [
        with_vanished(child, old[child["uuid"]], grants) if child["uuid"] in old else child
        for child in children_of(request)
    ]
    gone = [branch for uuid, node in old.items() if uuid not in new and (branch := held(node, grants))]
    return {**request, "children": kept + gone}


def limited(request: JsonObject, limits: Mapping[str, ExternalLimits]) -> JsonObject:
    """Return the branch with limits set on some of its nodes; the very same object where none is."""
    below = children_of(request)
    children = [limited(child, limits) for child in below]
    own = limits.get(request["uuid"])
    if own is None and all(new is old for new, old in zip(children, below, strict=True)):
        return request
    if own is None:
        return {**request, "children": children}
    try:
        return {
            **request,
            "children": children,
            "schedule_import": combine([request["schedule_import"], own.schedule_import]),
            "schedule_export": combine([request["schedule_export"], own.schedule_export]),
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {**request, "children": children}  # malformed: it is given nothing anyway


def held_grants(request: JsonObject) -> Grants:
    """Grants of the EVSEs that go on with what they have, whatever is decided."""
    return {node["uuid"]: _grant(node) for node in walk(request) if _is_held(node)}


def without_priority(request: JsonObject) -> JsonObject:
    """Return the branch with no priority request in it; the very same object where there was none."""
    children = children_of(request)
    calm = [without_priority(child) for child in children]
    if not request.get("priority_request") and all(a is b for a, b in zip(calm, children, strict=True)):
        return request
    return {**request, "children": calm, "priority_request": False}


def is_urgent(request: JsonObject, before: JsonObject | None) -> bool:
    """Whether a new request of a branch must not wait for the next tick.

    That is so when an EVSE makes a priority request that it had not made just so before, or when a limit
    anywhere is lower than before. A node that repeats its children's last requests wakes nobody.
    """
    known = {node["uuid"]: node for node in walk(before)} if before else {}
    return any(_is_urgent(node, known.get(node["uuid"])) for node in walk(request))


def _is_urgent(node: JsonObject, before: JsonObject | None) -> bool:
    if before is None:
        return bool(node.get("priority_request"))
    is_new = _without_children(node) != _without_children(before)
    return (is_new and bool(node.get("priority_request"))) or _lowered(node, before)


def _is_held(node: JsonObject) -> bool:
    entries = _entries(node, "schedule_import")
    minima = [_limit(entry.get("limits_to_root"), "ac_min_current_A") for entry in entries]
    return any(str(limit.get("source", "")).endswith(f"/{STILL_IN_FORCE}") for limit in minima)


def _grant(node: JsonObject) -> JsonObject:
    limits = _entries(node, "schedule_import")[0].get("limits_to_root")
    named = ((name, _limit(limits, name)) for name in GRANTED)
    return {name: dict(limit) for name, limit in named if isinstance(limit.get("value"), int | float)}


def _without_children(node: JsonObject) -> JsonObject:
    return {key: value for key, value in node.items() if key != "children"}


def _lowered(node: JsonObject, before: JsonObject) -> bool:
    pairs = zip(_bounds(node), _bounds(before), strict=False)
    return any(new < old for new, old in pairs)


def _bounds(node: JsonObject) -> Iterator[float]:
    for entry in _entries(node, "schedule_import"):
        for side in ("limits_to_root", "limits_to_leaves"):
            for name in ("ac_max_current_A", "total_power_W"):
                yield _value(entry.get(side), name, float("inf"))


def _entries(node: JsonObject, direction: str) -> list[JsonObject]:
    schedule = node.get(direction)
    return [entry for entry in schedule if isinstance(entry, dict)] if isinstance(schedule, list) else []


def _limit(limits: object, name: str) -> Mapping[str, Any]:
    limit = limits.get(name) if isinstance(limits, Mapping) else None
    return limit if isinstance(limit, Mapping) else {}


def _value(limits: object, name: str, default: float) -> float:
    value = _limit(limits, name).get("value")
    return value if isinstance(value, int | float) else default


def _draws(grant: JsonObject) -> bool:
    return any(_value(grant, name, 0.0) > 0 for name in ("ac_max_current_A", "total_power_W"))


def _held_evse(request: JsonObject, grant: JsonObject) -> JsonObject:
    entry = next(iter(_entries(request, "schedule_import")), {})
    asked = entry.get("limits_to_root")
    limits = {**(asked if isinstance(asked, dict) else {}), **grant}
    if "ac_max_current_A" in grant:
        source = f"{request['uuid']}/{STILL_IN_FORCE}"
        limits["ac_min_current_A"] = {"value": grant["ac_max_current_A"]["value"], "source": source}
    since_ever = "1970-01-01T00:00:00.000Z"
    return {
        **request,
        "evse_state": "Charging",
        "priority_request": False,
        "schedule_import": [{"timestamp": since_ever, "limits_to_root": limits, "limits_to_leaves": {}}],
        "schedule_export": [],
    }
