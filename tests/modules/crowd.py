"""Many EVSEs in one process, for tests: one implementation each, or all below one node."""

import threading
from typing import Any

from everest.framework import Module, RuntimeSession

AT_ONCE = 16


def evse(uuid: str, *, priority: bool) -> dict[str, Any]:
    root = {
        "ac_max_current_A": {"value": 32.0, "source": uuid},
        "ac_min_current_A": {"value": 6.0, "source": uuid},
        "ac_max_phase_count": {"value": 3, "source": uuid},
        "ac_min_phase_count": {"value": 1, "source": uuid},
        "ac_supports_changing_phases_during_charging": False,
        "ac_number_of_active_phases": 3,
    }
    return {
        "uuid": uuid,
        "node_type": "Evse",
        "evse_state": "Charging",
        "priority_request": priority,
        "children": [],
        "schedule_import": [
            {"timestamp": "2026-01-01T00:00:00.000Z", "limits_to_root": root, "limits_to_leaves": {}}
        ],
        "schedule_export": [],
        "schedule_setpoints": [],
    }


def trunk(children: list[dict[str, Any]]) -> dict[str, Any]:
    limits = {"ac_max_current_A": {"value": 10.0 * len(children), "source": "trunk"}}
    entry = {"timestamp": "2026-01-01T00:00:00.000Z", "limits_to_root": limits, "limits_to_leaves": limits}
    return {
        "uuid": "trunk",
        "node_type": "Generic",
        "children": children,
        "schedule_import": [entry],
        "schedule_export": [entry],
        "schedule_setpoints": [],
    }


class Together:
    """Answers no call before so many have been under way at once."""

    def __init__(self) -> None:
        self._under_way = self._most = 0
        self._changed = threading.Condition()

    def __call__(self, _: Any) -> None:
        with self._changed:
            self._under_way += 1
            self._most = max(self._most, self._under_way)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._most >= AT_ONCE)
            self._under_way -= 1


def main() -> None:
    session = RuntimeSession()
    module = Module(session)
    setup = module.say_hello()
    is_trunk = (setup.configs.module or {})["as_trunk"]
    names = [name for name in module.implementations if name != "trunk"]
    enforce_limits = (lambda _: None) if is_trunk else Together()
    for name in module.implementations:
        module.implement_command(name, "enforce_limits", enforce_limits)
    ready, stop = threading.Event(), threading.Event()
    module.shutdown_handler(stop.set)
    module.init_done(ready.set)
    ready.wait()
    priority = True
    while True:
        requests = {name: evse(name, priority=priority) for name in names}
        if is_trunk:
            requests = {"trunk": trunk(list(requests.values()))}
        for name, request in requests.items():
            module.publish_variable(name, "energy_flow_request", request)
        priority = False
        if stop.wait(1.0):
            threading.Event().wait()


if __name__ == "__main__":
    main()
