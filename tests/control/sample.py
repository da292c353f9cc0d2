"""Small requests, limits and clocks for the tests of the live half."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from control.clock import Instant
from tests.patience import WITHIN_S

START = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


class VirtualClock:
    """Stands still until told to go on."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def __call__(self) -> Instant:
        return Instant(1000.0 + self.elapsed_s, START + timedelta(seconds=self.elapsed_s))

    def monotonic(self) -> float:
        return self().monotonic_s

    def advance(self, seconds: float) -> Instant:
        self.elapsed_s += seconds
        return self()


class RecordingLog:
    """Log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def debug(self, message: str, /) -> None:
        self._add("debug", message)

    def info(self, message: str, /) -> None:
        self._add("info", message)

    def warning(self, message: str, /) -> None:
        self._add("warning", message)

    def error(self, message: str, /) -> None:
        self._add("error", message)

    def at(self, level: str) -> list[str]:
        return [message for at, message in self.lines if at == level]

    def wait_for(self, part: str, timeout_s: float) -> bool:
        """Wait for a line that has this in it."""
        with self._changed:
            return self._changed.wait_for(
                lambda: any(part in message for _, message in self.lines), timeout_s
            )

    def _add(self, level: str, message: str) -> None:
        with self._changed:
            self.lines.append((level, message))
            self._changed.notify_all()


class Child:
    """Receives limits on threads of the dispatcher; can be slow, dead or broken."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.answers = threading.Event()
        self.answers.set()
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self.called = 0

    def __call__(self, limits: dict[str, Any]) -> None:
        with self._changed:
            self.called += 1
            self._changed.notify_all()
        self.answers.wait(WITHIN_S)
        if self.error:
            raise self.error
        with self._changed:
            self.received.append(limits)
            self._changed.notify_all()

    def wait_received(self, count: int, timeout_s: float = WITHIN_S) -> list[float]:
        """Amperes of the first ``count`` limits, once they have arrived."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, timeout_s), self.received
        return self.amperes[:count]

    def wait_for(self, amperes: float, timeout_s: float = WITHIN_S) -> bool:
        """Wait until such a limit has arrived."""
        with self._changed:
            return self._changed.wait_for(lambda: amperes in self.amperes, timeout_s)

    def wait_called(self, count: int, timeout_s: float = WITHIN_S) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.called >= count, timeout_s)

    @property
    def amperes(self) -> list[float]:
        """Of each limit received; 0 where it says nothing of amperes."""
        currents = [limits["limits_root_side"].get("ac_max_current_A") for limits in self.received]
        return [current["value"] if current else 0.0 for current in currents]


def limits(uuid: str, amperes: float, valid_for: int = 10, phases: int | None = None) -> dict[str, Any]:
    """An ``EnforcedLimits``."""
    root: dict[str, Any] = {"ac_max_current_A": {"value": amperes, "source": "grid/module_config"}}
    if phases is not None:
        root["ac_max_phase_count"] = {"value": phases, "source": "grid/module_config"}
    return {"uuid": uuid, "valid_for": valid_for, "limits_root_side": root, "schedule": []}


def ampere_limits(amperes: float, source: str) -> dict[str, Any]:
    return {"ac_max_current_A": {"value": amperes, "source": source}}


def watt_limits(watts: float, source: str) -> dict[str, Any]:
    return {"total_power_W": {"value": watts, "source": source}}


def entry(at: str, limits_of_both_sides: dict[str, Any]) -> dict[str, Any]:
    return {
        "timestamp": at,
        "limits_to_root": limits_of_both_sides,
        "limits_to_leaves": limits_of_both_sides,
    }


def evse(
    uuid: str, max_A: float = 32.0, *, state: str = "Charging", priority: bool = False, min_A: float = 6.0
) -> dict[str, Any]:
    """Request of an EVSE as EvseManager makes it."""
    caps = f"{uuid}/evse_board_support_caps"
    root = {
        "ac_max_current_A": {"value": max_A, "source": caps},
        "ac_min_current_A": {"value": min_A, "source": caps},
        "ac_max_phase_count": {"value": 3, "source": caps},
        "ac_min_phase_count": {"value": 1, "source": caps},
        "ac_supports_changing_phases_during_charging": False,
        "ac_number_of_active_phases": 3,
    }
    return {
        "uuid": uuid,
        "node_type": "Evse",
        "evse_state": state,
        "priority_request": priority,
        "children": [],
        "schedule_import": [
            {
                "timestamp": "2026-11-22T09:00:00.000Z",
                "limits_to_root": root,
                "limits_to_leaves": ampere_limits(max_A, f"{uuid} update_max_current_limit"),
            }
        ],
        "schedule_export": [],
        "schedule_setpoints": [],
    }


def node(uuid: str, children: list[dict[str, Any]], fuse_A: float = 63.0) -> dict[str, Any]:
    """Request of an EnergyNode."""
    schedule = [entry("2026-11-22T09:00:00.000Z", ampere_limits(fuse_A, f"{uuid}/module_config"))]
    return {
        "uuid": uuid,
        "node_type": "Generic",
        "children": children,
        "schedule_import": schedule,
        "schedule_export": schedule,
        "schedule_setpoints": [],
    }
