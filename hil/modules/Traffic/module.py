"""Plays many EVSEs for benchmarks; run by a manager, never by hand."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from everest.framework import Module, RuntimeSession, log

Json = dict[str, Any]

MAX_CURRENT_A = 16.0
MIN_CURRENT_A = 6.0
VOLTAGE_V = 230.0
FREE_S, TAKEN_S = 0.5, 2.5
"""A car leaves, so much later another one comes, so much later the next one leaves."""

CROWD = 2
"""So many more cars come at half time."""


class Evse:
    """One EVSE whose car follows the limit at once."""

    def __init__(self, uuid: str, *, has_car: bool) -> None:
        self.uuid = uuid
        self.has_car = has_car
        self.limit_A = 0.0

    def request(self, *, priority: bool) -> Json:
        """Build the ``EnergyFlowRequest`` of now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        capabilities = {
            "ac_max_current_A": self._sourced(MAX_CURRENT_A),
            "ac_min_current_A": self._sourced(MIN_CURRENT_A),
            "ac_max_phase_count": self._sourced(3),
            "ac_min_phase_count": self._sourced(1),
            "ac_number_of_active_phases": 3,
            "ac_supports_changing_phases_during_charging": False,
        }
        entry = {"timestamp": now, "limits_to_root": capabilities, "limits_to_leaves": {}}
        return {
            "uuid": self.uuid,
            "node_type": "Evse",
            "evse_state": self.state,
            "priority_request": priority,
            "energy_usage_root": self._powermeter(now),
            "children": [],
            "schedule_import": [entry],
            "schedule_export": [],
            "schedule_setpoints": [],
        }

    @property
    def state(self) -> str:
        """As in the `energy` interface."""
        return "Charging" if self.has_car else "Unplugged"

    def _sourced(self, value: float) -> Json:
        return {"source": self.uuid, "value": value}

    def _powermeter(self, now: str) -> Json:
        current_A = min(self.limit_A, MAX_CURRENT_A) if self.has_car else 0.0
        power_W = current_A * VOLTAGE_V
        return {
            "timestamp": now,
            "energy_Wh_import": {"total": 0.0},
            "current_A": dict.fromkeys(("L1", "L2", "L3"), current_A),
            "voltage_V": dict.fromkeys(("L1", "L2", "L3"), VOLTAGE_V),
            "power_W": {**dict.fromkeys(("L1", "L2", "L3"), power_W), "total": 3 * power_W},
        }


class Traffic:
    """All EVSEs of this process, by implementation."""

    def __init__(self, module: Module, config: Json, record: TextIO) -> None:
        self._module = module
        self._config = config
        self._record = record
        self._lock = threading.Lock()
        names = [f"evse{number}" for number in range(1, config["evses"] + 1)]
        self._evses = {
            name: Evse(f"{module.info.id}_{name}", has_car=number % 2 == 1)
            for number, name in enumerate(names)
        }
        self._turns = deque(names)
        self._with_car = deque(name for name, evse in self._evses.items() if evse.has_car)
        self._without_car = deque(name for name, evse in self._evses.items() if not evse.has_car)

    def handler(self, name: str) -> Callable[[Json], None]:
        """Return the handler of ``enforce_limits`` of one implementation."""

        def enforce_limits(args: Json) -> None:
            at = time.monotonic()
            evse = self._evses[name]
            evse.limit_A = args["value"]["limits_root_side"]["ac_max_current_A"]["value"]
            self._note({"at": at, "evse": evse.uuid, "current_A": evse.limit_A})

        return enforce_limits

    def run(self) -> None:
        """Publish every second, and let cars come and go, until the process is ended."""
        for evse in self._evses.values():
            self._note({"at": time.monotonic(), "evse": evse.uuid, "state": evse.state})
        self._publish_until(time.monotonic() + self._config["quiet_s"])
        self._come_and_go(self._config["coming_and_going_s"] / 2)
        for _ in range(CROWD):
            self._come()
        self._come_and_go(self._config["coming_and_going_s"] / 2)
        for evse in self._evses.values():
            evse.has_car = True
        self._publish_until(float("inf"))

    def _come_and_go(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._leave()
            self._publish_until(time.monotonic() + FREE_S)
            self._come()
            self._publish_until(time.monotonic() + TAKEN_S)

    def _publish_until(self, end: float) -> None:
        """Publish the EVSEs one after the other, evenly over the second."""
        while time.monotonic() < end:
            name = self._turns.popleft()
            self._publish(name, priority=False)
            time.sleep(min(1.0 / len(self._evses), max(0.0, end - time.monotonic())))

    def _leave(self) -> None:
        """Let the car that has been there for longest leave."""
        if self._with_car:
            self._without_car.append(name := self._with_car.popleft())
            self._publish_change(name, has_car=False)

    def _come(self) -> None:
        """Let a car come to the EVSE that has been without for longest."""
        if self._without_car:
            self._with_car.append(name := self._without_car.popleft())
            self._publish_change(name, has_car=True)

    def _publish_change(self, name: str, *, has_car: bool) -> None:
        evse = self._evses[name]
        evse.has_car = has_car
        event = {"at": time.monotonic(), "evse": evse.uuid, "state": evse.state, "priority": True}
        self._note(event)
        self._turns.remove(name)
        self._publish(name, priority=True)

    def _publish(self, name: str, *, priority: bool) -> None:
        request = self._evses[name].request(priority=priority)
        self._module.publish_variable(name, "energy_flow_request", request)
        self._turns.append(name)

    def _note(self, event: Json) -> None:
        with self._lock:
            self._record.write(json.dumps(event) + "\n")


def main() -> None:
    """Join EVerest and play until the process is ended."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    config = module.say_hello().configs.module or {}
    with Path(config["record"]).open("w", encoding="utf-8", buffering=1) as record:
        traffic = Traffic(module, config, record)
        for name in module.implementations:
            used = int(name.removeprefix("evse")) <= config["evses"]
            module.implement_command(name, "enforce_limits", traffic.handler(name) if used else _ignore)
        ready = threading.Event()
        module.init_done(ready.set)
        ready.wait()
        traffic.run()


def _ignore(_args: Json) -> None:
    """Take limits of an EVSE that does not exist."""


if __name__ == "__main__":
    main()
