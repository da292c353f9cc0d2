"""What a request asks for in one slot, as linear constraints: the ground on which the checker stands.

Written from the EVerest types and the project's design alone; it shares no code with the engine it judges.
Currents are magnitudes in A per phase at the root side of an EVSE; powers are in W.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

Json = dict[str, Any]
Direction = Literal["import", "export"]
DIRECTIONS: tuple[Direction, Direction] = ("import", "export")
SIDES = ("limits_to_root", "limits_to_leaves")

IDLE_STATES = ("Unplugged", "Finished", "Disabled")
WAITING_STATES = ("WaitForAuth", "PausedEV")
WANTS, WAITS, IDLE = 0, 1, 2

DEFAULTS: Json = {
    "nominal_ac_voltage": 230.0,
    "update_interval": 1,
    "schedule_interval_duration": 60,
    "schedule_total_duration": 1,
    "switch_3ph1ph_while_charging_mode": "Never",
    "switch_3ph1ph_max_nr_of_switches_per_session": 0,
}


def parse_time(text: str) -> datetime:
    """An RFC 3339 timestamp in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def format_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


@dataclass(frozen=True)
class Evse:
    """One EVSE in one slot: what it asks for and what it can do."""

    uuid: str
    path: tuple[Json, ...]  # root first, the EVSE last
    direction: Direction
    urgency: int  # WANTS, WAITS (its minimum is kept for it) or IDLE (takes what nobody else wants)
    priority: int
    weight: float
    minimum_A: float
    min_phases: int
    max_phases: int
    active_phases: int
    can_switch: bool
    rotation: tuple[int, ...] | None  # grid phase of each of its conductors; None when unknown

    @property
    def rank(self) -> tuple[int, int]:
        """Who fills first: lower ranks."""
        return (self.urgency, -self.priority if self.urgency == WANTS else 0)

    def grid_phases(self, count: int) -> tuple[int, ...]:
        """The phases it loads when it draws on `count`; all of them where the rotation is not known."""
        if count >= 3 or self.rotation is None:
            return (0, 1, 2)
        return self.rotation[:count]


@dataclass(frozen=True)
class Row:
    """One constraint: the sum of coefficient x current stays within the capacity."""

    name: str
    capacity: float
    coefficients: Mapping[int, float]

    def load(self, currents: Sequence[float]) -> float:
        return sum(factor * currents[i] for i, factor in self.coefficients.items())

    def only(self, members: Sequence[int]) -> Row:
        """The same constraint over some of the EVSEs, numbered anew; the others have nothing."""
        kept = {k: self.coefficients[i] for k, i in enumerate(members) if i in self.coefficients}
        return Row(self.name, self.capacity, kept)


@dataclass(frozen=True)
class Limit:
    """A limit of one node in one direction, over the EVSEs below it to which it applies."""

    node: str
    kind: Literal["A", "W", "unbalance"]
    value: float
    factors: Mapping[int, float]  # what one watt at the EVSE's root side is here
    name: str


@dataclass
class Slot:
    """The allocation problem of one slot."""

    time: datetime
    voltage_V: float
    evses: list[Evse] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)

    def rows(self, phase_counts: Sequence[int]) -> list[Row]:
        """The constraints, with each EVSE drawing on its number of phases."""
        rows = []
        for limit in self.limits:
            if limit.kind == "W":
                rows.append(
                    Row(
                        limit.name,
                        limit.value,
                        {i: f * phase_counts[i] * self.voltage_V for i, f in limit.factors.items()},
                    )
                )
            elif limit.kind == "A":
                for phase in range(3):
                    members = {
                        i: 1.0 for i in limit.factors if phase in self.evses[i].grid_phases(phase_counts[i])
                    }
                    rows.append(Row(f"{limit.name} L{phase + 1}", limit.value, members))
            else:
                rows += self._unbalance_rows(limit, phase_counts)
        return [row for row in rows if row.coefficients]

    def _unbalance_rows(self, limit: Limit, phase_counts: Sequence[int]) -> Iterator[Row]:
        for high in range(3):
            for low in {0, 1, 2} - {high}:
                members = {}
                for i in limit.factors:
                    evse, count = self.evses[i], phase_counts[i]
                    if count >= 3:
                        continue
                    phases = (high,) if evse.rotation is None else evse.rotation[:count]
                    members[i] = float(high in phases) - float(low in phases)
                    if evse.urgency != WANTS:  # what nobody draws balances no phases
                        members[i] = max(members[i], 0.0)
                yield Row(
                    f"{limit.name} L{high + 1} over L{low + 1}",
                    limit.value,
                    {i: f for i, f in members.items() if f},
                )


def walk(node: Json, path: tuple[Json, ...] = ()) -> Iterator[tuple[Json, ...]]:
    """Every node of the tree, depth first, as its path from the root."""
    path = (*path, node)
    yield path
    for child in node["children"]:
        yield from walk(child, path)


def evse_paths(request: Json) -> list[tuple[Json, ...]]:
    return [path for path in walk(request) if path[-1]["node_type"] == "Evse"]


def slot_times(request: Json, now: datetime, config: Mapping[str, Any]) -> list[datetime]:
    """The base grid from the floor of now, and the request's timestamps that are still to come."""
    settings = {**DEFAULTS, **config}
    interval = timedelta(minutes=settings["schedule_interval_duration"])
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    start = now - (now - epoch) % interval
    count = int(timedelta(hours=settings["schedule_total_duration"]) / interval)
    times = {start + i * interval for i in range(max(count, 1))}
    for path in walk(request):
        for schedule in ("schedule_import", "schedule_export", "schedule_setpoints"):
            times |= {t for t in (parse_time(entry["timestamp"]) for entry in path[-1][schedule]) if t >= now}
    return sorted(times)


def entry_at(schedule: Sequence[Json], time: datetime) -> Json | None:
    """The entry in force: the latest that has begun, or the first, which is in force before it begins."""
    if not schedule:
        return None
    ordered = sorted(schedule, key=lambda entry: parse_time(entry["timestamp"]))
    begun = [entry for entry in ordered if parse_time(entry["timestamp"]) <= time]
    if begun:
        return begun[-1]
    first = parse_time(ordered[0]["timestamp"])
    return [entry for entry in ordered if parse_time(entry["timestamp"]) == first][-1]


def _entries(node: Json, direction: Direction, time: datetime) -> Json | None:
    """The node's limits; an empty entry where a node has no schedules at all and only passes through."""
    entry = entry_at(node[f"schedule_{direction}"], time)
    if entry is None and node["node_type"] != "Evse":
        other = node[f"schedule_{'export' if direction == 'import' else 'import'}"]
        if not other:
            return {"limits_to_root": {}, "limits_to_leaves": {}}
    return entry


def _values(entry: Json, name: str) -> list[Any]:
    return [entry[side][name]["value"] for side in SIDES if name in entry.get(side, {})]


def own_capacity(node: Json, direction: Direction, time: datetime) -> float:
    """The least limit the EVSE itself names, in A or W; zero when it names none. Only its sign matters."""
    entry = entry_at(node[f"schedule_{direction}"], time)
    if entry is None:
        return 0.0
    values = _values(entry, "ac_max_current_A") + _values(entry, "total_power_W")
    return min(values, default=0.0)


def frequency_Hz(path: Sequence[Json]) -> float | None:
    """The frequency of the nearest meter toward the root."""
    for node in reversed(path):
        for usage in ("energy_usage_root", "energy_usage_leaves"):
            phases = node.get(usage, {}).get("frequency_Hz", {})
            if "L1" in phases:
                return float(phases["L1"])
    return None


def interpolate(table: Sequence[Json], frequency: float) -> float:
    """The power of a frequency-watt table, linear between its points and level beyond its ends."""
    points = sorted((point["frequency_Hz"], point["total_power_W"]) for point in table)
    if frequency <= points[0][0]:
        return float(points[0][1])
    for (f1, p1), (f2, p2) in pairwise(points):
        if frequency <= f2:
            return float(p1 + (frequency - f1) / (f2 - f1) * (p2 - p1))
    return float(points[-1][1])


@dataclass(frozen=True)
class Setpoint:
    depth: int  # of its node on the path
    priority: int
    kind: Literal["A", "W"]
    value: float


def setpoint_of(path: Sequence[Json], time: datetime) -> Setpoint | None:
    """The setpoint of the path's last node in force at a time."""
    entry = entry_at(path[-1]["schedule_setpoints"], time)
    setpoint = (entry or {}).get("setpoint")
    if setpoint is None:
        return None
    depth, priority = len(path) - 1, setpoint["priority"]
    if "ac_current_A" in setpoint:
        return Setpoint(depth, priority, "A", setpoint["ac_current_A"])
    if "total_power_W" in setpoint:
        return Setpoint(depth, priority, "W", setpoint["total_power_W"])
    frequency = frequency_Hz(path)
    if setpoint.get("frequency_table") and frequency is not None:
        return Setpoint(depth, priority, "W", interpolate(setpoint["frequency_table"], frequency))
    return None


def setpoints_in_force(path: Sequence[Json], time: datetime) -> list[Setpoint]:
    """Of all setpoints on a path those of the best priority, which is the lowest number."""
    found = [setpoint_of(path[: depth + 1], time) for depth in range(len(path))]
    present = [setpoint for setpoint in found if setpoint is not None]
    best = min((setpoint.priority for setpoint in present), default=0)
    return [setpoint for setpoint in present if setpoint.priority == best]


def read_slot(request: Json, time: datetime, config: Mapping[str, Any], site: Mapping[str, Any]) -> Slot:
    """The allocation problem of the slot in force at a time."""
    slot = Slot(time, {**DEFAULTS, **config}["nominal_ac_voltage"])
    paths = evse_paths(request)
    for path in paths:
        slot.evses.append(_read_evse(path, time, site))
    collected: dict[tuple[int, str], tuple[str, Literal["A", "W"], float, dict[int, float]]] = {}

    def add(i: int, node: Json, name: str, kind: Literal["A", "W"], value: float, factor: float) -> None:
        key = (id(node), f"{slot.evses[i].direction} {name}")
        collected.setdefault(key, (node["uuid"], kind, value, {}))[3][i] = factor

    for i, path in enumerate(paths):
        _collect(i, slot, path, add)
    for (_, name), (node, kind, value, factors) in collected.items():
        slot.limits.append(Limit(node, kind, max(value, 0.0), factors, f"{node} {name}"))
    for uuid, attributes in site.get("nodes", {}).items():
        if attributes.get("max_unbalance_A") is not None:
            for direction in DIRECTIONS:  # each by itself, as plans of one are not netted against the other
                below = {
                    i: 1.0
                    for i, path in enumerate(paths)
                    if slot.evses[i].direction == direction and any(n["uuid"] == uuid for n in path[:-1])
                }
                name = f"{uuid} {direction} unbalance"
                slot.limits.append(Limit(uuid, "unbalance", attributes["max_unbalance_A"], below, name))
    return slot


def _collect(i: int, slot: Slot, path: tuple[Json, ...], add: Any) -> None:
    """Hand every limit on the way of EVSE i to the root to `add`."""
    evse, time = slot.evses[i], slot.time
    setpoints = setpoints_in_force(path, time)
    at_root = 1.0  # watts here for one watt at the EVSE's root side
    for depth in reversed(range(len(path))):
        node = path[depth]
        entry = _entries(node, evse.direction, time)
        if entry is None:
            add(i, node, "nothing asked A", "A", 0.0, at_root)
            continue
        efficiency = entry.get("conversion_efficiency", 1.0)
        loss = 1 / efficiency if evse.direction == "import" else efficiency
        if depth == len(path) - 1:
            at_leaves = at_root / loss
        else:
            at_leaves, at_root = at_root, at_root * loss
        if node["node_type"] == "Evse" and not any(
            _values(entry, name) for name in ("ac_max_current_A", "total_power_W")
        ):
            add(i, node, "no limit named A", "A", 0.0, at_root)
        for side, factor in (("limits_to_root", at_root), ("limits_to_leaves", at_leaves)):
            limits, side_name = entry.get(side, {}), side.removeprefix("limits_to_")
            if "ac_max_current_A" in limits:
                add(i, node, f"{side_name} A", "A", limits["ac_max_current_A"]["value"], factor)
            if "total_power_W" in limits:
                add(i, node, f"{side_name} W", "W", limits["total_power_W"]["value"], factor)
        for setpoint in setpoints:
            if setpoint.depth == depth:
                asked = "import" if setpoint.value >= 0 else "export"
                value = abs(setpoint.value) if asked == evse.direction else 0.0
                add(i, node, f"setpoint {setpoint.kind}", setpoint.kind, value, at_root)


def _read_evse(path: tuple[Json, ...], time: datetime, site: Mapping[str, Any]) -> Evse:
    node = path[-1]
    direction = _direction(path, time)
    entries = [entry for n in path if (entry := _entries(n, direction, time)) is not None]
    own = entry_at(node[f"schedule_{direction}"], time) or {}
    root_side = own.get("limits_to_root", {})
    state = node.get("evse_state")
    attributes = site.get("evses", {}).get(node["uuid"], {})
    rotation = attributes.get("phase_rotation")
    return Evse(
        uuid=node["uuid"],
        path=path,
        direction=direction,
        urgency=IDLE if state in IDLE_STATES else WAITS if state in WAITING_STATES else WANTS,
        priority=attributes.get("priority", 0),
        weight=attributes.get("weight", 1.0),
        minimum_A=max((v for e in entries for v in _values(e, "ac_min_current_A")), default=0.0),
        min_phases=max((v for e in entries for v in _values(e, "ac_min_phase_count")), default=1),
        max_phases=min((v for e in entries for v in _values(e, "ac_max_phase_count")), default=3),
        active_phases=root_side.get("ac_number_of_active_phases", 3),
        can_switch=root_side.get("ac_supports_changing_phases_during_charging", False),
        rotation=None if rotation is None else tuple(int(name[1]) - 1 for name in rotation.split()),
    )


def _direction(path: tuple[Json, ...], time: datetime) -> Direction:
    """Export only where the EVSE's own request or a setpoint asks for it."""
    setpoints = setpoints_in_force(path, time)
    if setpoints:
        return "export" if any(setpoint.value < 0 for setpoint in setpoints) else "import"
    asks_only_export = own_capacity(path[-1], "import", time) <= 0 < own_capacity(path[-1], "export", time)
    return "export" if asks_only_export else "import"
