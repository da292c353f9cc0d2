"""Stand-in for EVerest's EnergyNode; run by a manager, never by hand."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from everest.framework import Fulfillment, Module, RuntimeSession, log

Json = dict[str, Any]
LIMITED = ("ac_max_current_A", "ac_max_phase_count")
"""What the fuse of a node limits."""


class EnergyNode:
    """One node of the tree."""

    def __init__(self, module: Module, config: Json, children: list[Fulfillment]) -> None:
        self._module = module
        self._children = children
        self._lock = threading.Lock()
        self._fuse = fuse(module.info.id, config["fuse_limit_A"], config["phase_count"])
        self._requests: dict[str, Json] = {}
        self._external: Json = {}

    def on_request(self, request: Json) -> None:
        """Take a child's request, and publish the whole branch."""
        with self._lock:
            self._requests[request["uuid"]] = request
        self.publish()

    def set_external_limits(self, args: Json) -> None:
        """Keep the limits until something is published the next time."""
        with self._lock:
            self._external = args["value"]

    def enforce_limits(self, args: Json) -> None:
        """Pass a limit on to all children, one after the other; they know whom it is for."""
        if args["value"]["uuid"] == self._module.info.id:
            return
        for child in self._children:
            self._module.call_command(child, "enforce_limits", args)

    def publish(self) -> None:
        """Publish the branch as it is now."""
        with self._lock:
            request = {
                "uuid": self._module.info.id,
                "node_type": "Generic",
                "children": list(self._requests.values()),
                "schedule_import": self._schedule("schedule_import"),
                "schedule_export": self._schedule("schedule_export"),
                "schedule_setpoints": self._external.get("schedule_setpoints", []),
            }
        self._module.publish_variable("energy_grid", "energy_flow_request", request)

    def _schedule(self, direction: str) -> list[Json]:
        """Limits from outside, on the root side never above the fuse; without any, just the fuse."""
        entries = self._external.get(direction) or [self._fuse]
        fuse_limits = self._fuse["limits_to_root"]
        return [{**entry, "limits_to_root": lower(entry["limits_to_root"], fuse_limits)} for entry in entries]


def fuse(node: str, current_A: float, phase_count: int) -> Json:
    """Schedule entry of the fuse alone."""
    source = f"{node}/module_config"
    limits: Json = {"ac_max_current_A": {"value": current_A, "source": source}}
    if phase_count:
        limits["ac_max_phase_count"] = {"value": phase_count, "source": source}
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    timestamp = hour.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"timestamp": timestamp, "limits_to_root": limits, "limits_to_leaves": limits}


def lower(limits: Json, fuse_limits: Json) -> Json:
    """Limits, where they are above those of the fuse replaced by them."""
    lowered = {
        name: min(limits.get(name, fuse_limits[name]), fuse_limits[name], key=_value)
        for name in LIMITED
        if name in fuse_limits
    }
    return {**limits, **lowered}


def _value(limit: Json) -> float:
    return float(limit["value"])


def main() -> None:
    """Join EVerest and work until the process is ended."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    setup = module.say_hello()
    children = setup.connections["energy_consumer"]
    node = EnergyNode(module, setup.configs.module or {}, children)
    on_request: Callable[[Json], None] = node.on_request
    for child in children:
        module.subscribe_variable(child, "energy_flow_request", on_request)
    module.implement_command("energy_grid", "enforce_limits", node.enforce_limits)
    module.implement_command("external_limits", "set_external_limits", node.set_external_limits)
    module.init_done(node.publish)
    threading.Event().wait()


if __name__ == "__main__":
    main()
