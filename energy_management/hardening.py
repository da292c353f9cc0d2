"""Makes any request safe to read: whatever is malformed allows nothing, and is reported.

`docs/input-hardening.md` has the table of outcomes. What comes out has exactly the form that the reading of
schedules, setpoints and the tree expects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from energy_management.demand import URGENCY
from energy_management.fields import LIMIT_NAMES, is_limit
from energy_management.setpoints import check_setpoint
from energy_management.timeline import parse_timestamp
from energy_management.tree import MalformedRequestError, Node

SIGNS_OF_MALFORMED = (
    MalformedRequestError,
    AttributeError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What reading a malformed request raises."""

REJECTED = "rejected"
"""Source of the limits that stand in for malformed ones."""

_ANY_TIME = "1970-01-01T00:00:00.000Z"
_NOTHING = {"ac_max_current_A": {"value": 0.0, "source": REJECTED}}
_SIDES = ("limits_to_root", "limits_to_leaves")
_NODE_TYPES = ("Evse", "Generic", "Undefined")

Rejected = list[tuple[str, str]]


def sanitise(request: Any) -> tuple[Node, Rejected]:
    """Make a safe copy of a request, with uuid and reason of every part that was not used.

    Never raises, whatever the request is, and takes no longer than its size lets expect, even if it contains
    itself.
    """
    return _Sanitiser().run(request)


class _Sanitiser:
    def __init__(self) -> None:
        self._rejected: Rejected = []
        self._copies: dict[int, Node] = {}
        self._repeated: list[Node] = []

    def run(self, request: Any) -> tuple[Node, Rejected]:
        top: Node = {"uuid": "", "node_type": "Generic", "children": []}
        waiting = [(request, top)]
        while waiting:
            node, parent = waiting.pop()
            if not isinstance(node, dict):
                self._reject(parent["uuid"], "a node that is not an object")
            elif id(node) in self._copies:
                self._repeated.append(self._copies[id(node)])
            else:
                copy = self._copies[id(node)] = self._node(node)
                parent["children"].append(copy)
                waiting.extend((child, copy) for child in reversed(self._children(node, copy["uuid"])))
        self._name_uniquely(top)
        return top["children"][0] if len(top["children"]) == 1 else top, self._rejected

    def _reject(self, uuid: str, reason: str) -> None:
        self._rejected.append((uuid, reason))

    def _node(self, node: Node) -> Node:
        """Make a safe copy of a node without its children; an EVSE with children is put below a node."""
        uuid = node.get("uuid")
        if not isinstance(uuid, str):
            self._reject("", f"uuid {_shown(uuid)} is not a text")
            uuid = ""
        kind = node.get("node_type")
        if kind not in _NODE_TYPES:
            self._reject(uuid, f"node_type {_shown(kind)} is unknown")
            kind = "Generic"
        copy: Node = {"uuid": uuid, "node_type": kind, "children": []}
        for usage in ("energy_usage_root", "energy_usage_leaves"):
            if usage in node:
                copy[usage] = node[usage]
        for name, read in (
            ("schedule_import", _limits_entry),
            ("schedule_export", _limits_entry),
            ("schedule_setpoints", _setpoint_entry),
        ):
            if name in node:
                copy[name] = self._schedule(uuid, name, node[name], read)
        return self._evse(node, copy) if kind == "Evse" else copy

    def _evse(self, node: Node, copy: Node) -> Node:
        """Make the rest of a safe copy of an EVSE."""
        uuid = copy["uuid"]
        if any(entry["limits_to_root"] is _NOTHING for entry in copy.get("schedule_import", [])):
            copy["schedule_export"] = [_limits_entry({})]  # nobody knows that it wants no import
        state = node.get("evse_state", "Charging")
        if not isinstance(state, str) or state not in URGENCY:
            self._reject(uuid, f"evse_state {_shown(state)} is unknown")
            state = "Disabled"
        copy["evse_state"] = state
        if not node.get("children"):
            return copy
        self._reject(uuid, "an EVSE with children")
        return {**copy, "uuid": f"{uuid}/children", "node_type": "Generic", "children": [copy]}

    def _children(self, node: Node, uuid: str) -> list[Any]:
        children = node.get("children", [])
        if isinstance(children, list):
            return children
        self._reject(uuid, f"children {_shown(children)} are not a list")
        return []

    def _schedule(self, uuid: str, name: str, schedule: Any, read: Callable[[Node], Node]) -> list[Node]:
        """Make a safe copy of a schedule, which allows nothing if an entry cannot be placed in time."""
        if not isinstance(schedule, list):
            self._reject(uuid, f"{name} {_shown(schedule)} is not a list")
            return [read({})]
        entries = []
        for entry in schedule:
            try:
                parse_timestamp(entry["timestamp"])
            except SIGNS_OF_MALFORMED:
                self._reject(uuid, f"{name}: {_shown(entry)} has no timestamp that can be read")
                return [read({})]
            try:
                entries.append(read(entry))
            except MalformedRequestError as error:
                self._reject(uuid, f"{name} {entry['timestamp']}: {error}")
                entries.append(read({"timestamp": entry["timestamp"]}))
        return entries

    def _name_uniquely(self, top: Node) -> None:
        """Give nothing to an EVSE that appears twice, itself or with a node above it."""
        repeated = {node["uuid"] for node in _walk(self._repeated) if node["node_type"] == "Evse"}
        nodes = list(_walk([top]))
        evses = Counter(node["uuid"] for node in nodes if node["node_type"] == "Evse")
        repeated |= {uuid for uuid, count in evses.items() if count > 1}
        taken = {node["uuid"] for node in nodes}
        known: set[str] = set()
        for node in nodes:
            uuid = node["uuid"]
            if node["node_type"] == "Evse" and uuid and uuid not in known:
                if uuid in repeated:
                    self._reject(uuid, "an EVSE that appears more than once")
                    node["schedule_import"] = node["schedule_export"] = [_limits_entry({})]
            elif uuid in known or uuid in evses:
                if node["node_type"] != "Evse":
                    self._reject(uuid, "the uuid of more than one node")
                node["node_type"] = "Generic"  # an EVSE without a uuid, or one that has its answer already
                node["uuid"] = _unused(uuid, taken)
                taken.add(node["uuid"])
            known.add(node["uuid"])


def _unused(uuid: str, taken: set[str]) -> str:
    number = 2
    while f"{uuid}#{number}" in taken:
        number += 1
    return f"{uuid}#{number}"


def _walk(tops: list[Node]) -> Iterator[Node]:
    """All nodes below these and themselves, depth first, each once."""
    seen: set[int] = set()
    waiting = list(reversed(tops))
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(reversed(node["children"]))


def _limits_entry(entry: Node) -> Node:
    """Make a safe copy of an entry of an import or export schedule; an empty one allows nothing.

    Raises
    ------
    MalformedRequestError
        Says what about the entry is malformed.
    """
    timestamp = entry.get("timestamp", _ANY_TIME)
    if set(entry) <= {"timestamp"}:
        return {"timestamp": timestamp, "limits_to_root": _NOTHING, "limits_to_leaves": {}}
    efficiency = entry.get("conversion_efficiency", 1.0)
    if not _is_number(efficiency) or not 0 < efficiency <= 1:
        raise MalformedRequestError(f"conversion_efficiency {_shown(efficiency)} is not above 0 and up to 1")
    root, leaves = (_limits(side, entry.get(side, {})) for side in _SIDES)
    return {
        "timestamp": timestamp,
        "limits_to_root": root,
        "limits_to_leaves": leaves,
        "conversion_efficiency": efficiency,
    }


def _limits(side: str, limits: Any) -> Node:
    if not isinstance(limits, dict):
        raise MalformedRequestError(f"{side} {_shown(limits)} is not an object")
    safe: Node = {}
    for name in LIMIT_NAMES:
        if name in limits:
            limit = limits[name]
            value = limit.get("value") if isinstance(limit, dict) else None
            if not is_limit(name, value):
                raise MalformedRequestError(f"{side} {name} {_shown(limit)} has no possible value")
            source = limit.get("source")
            safe[name] = {"value": value, "source": source if isinstance(source, str) else ""}
    for name, possible in _FACTS.items():
        if name in limits:
            if not any(type(limits[name]) is type(value) and limits[name] == value for value in possible):
                raise MalformedRequestError(f"{side} {name} {_shown(limits[name])} is not possible")
            safe[name] = limits[name]
    return safe


_FACTS: dict[str, tuple[object, ...]] = {
    "ac_number_of_active_phases": (0, 1, 2, 3),
    "ac_supports_changing_phases_during_charging": (False, True),
}


def _setpoint_entry(entry: Node) -> Node:
    """Make a safe copy of an entry of `schedule_setpoints`; an empty one is 0 A, which nothing overrides.

    Raises
    ------
    MalformedRequestError
        Says what about the entry is malformed.
    """
    timestamp = entry.get("timestamp", _ANY_TIME)
    if set(entry) <= {"timestamp"}:
        return {"timestamp": timestamp, "setpoint": {"ac_current_A": 0.0, "priority": 0, "source": REJECTED}}
    setpoint = entry.get("setpoint")
    check_setpoint(setpoint)
    return {"timestamp": timestamp, "setpoint": setpoint}


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _shown(value: object) -> str:
    """Show a value in a few characters, whatever it is."""
    if isinstance(value, dict | list):
        return (
            f"{{{', '.join(map(str, list(value)[:6]))}}}"
            if isinstance(value, dict)
            else f"[{len(value)} items]"
        )
    return repr(value)[:40] if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
