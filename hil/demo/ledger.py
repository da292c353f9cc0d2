"""What the demo learns of each EVSE while it runs: requests, grants, energy."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from energy_management.measurement import Vector3
from hil.observer import EnergyMessage

Json = dict[str, Any]

NONE: Vector3 = (0.0, 0.0, 0.0)
CHANGE_A = 0.05
"""Smaller changes of a grant are not recorded."""


@dataclass
class EvseRecord:
    """One EVSE, as the messages on the wire tell.

    Attributes
    ----------
    state : str
        Its ``evse_state``.
    wants_A, grant_A : float
        Per phase.
    reason : str
        Why it has its grant, in the energy manager's own words.
    current_A : Vector3
        On the connector's own phases.
    energy_Wh : float
        Counter of its meter.
    grants : list of (float, float)
        Seconds since the start, and ampere: each change.
    """

    state: str = "starting"
    wants_A: float = 0.0
    grant_A: float = 0.0
    reason: str = ""
    current_A: Vector3 = NONE
    energy_Wh: float = 0.0
    grants: list[tuple[float, float]] = field(default_factory=list)

    def granted(self, at_s: float, current_A: float) -> None:
        """Note a grant."""
        self.grant_A = current_A
        if not self.grants or abs(self.grants[-1][1] - current_A) > CHANGE_A:
            self.grants.append((round(at_s, 2), round(current_A, 3)))


class Ledger:
    """Records of EVSEs by name, filled by messages; may be read from any thread.

    Parameters
    ----------
    names : list of str
        EVSEs to follow.
    clock : callable
        Seconds since the start of the demo.
    """

    def __init__(self, names: list[str], clock: Callable[[], float]) -> None:
        self.records = {name: EvseRecord() for name in names}
        self._clock = clock
        self._lock = threading.Lock()

    def take(self, message: EnergyMessage) -> None:
        """Learn from a message on the wire."""
        with self._lock:
            if message.kind == "allocation":
                for evse in message.data["evses"]:
                    if evse["uuid"] in self.records:
                        self.records[evse["uuid"]].reason = evse["reason"].partition(": ")[2]
                return
            record = self.records.get(message.data["uuid"])
            if record is None:
                return
            if message.kind == "enforce_limits":
                limit = message.data["limits_root_side"].get("ac_max_current_A", {"value": 0.0})
                record.granted(self._clock(), limit["value"])
            elif message.module_id == message.data["uuid"]:
                _learn(record, message.data)

    def current_A(self, name: str) -> Vector3:
        """Last known current of an EVSE, on its own phases."""
        return self.records[name].current_A


def _learn(record: EvseRecord, request: Json) -> None:
    record.state = request["evse_state"]
    record.wants_A = request["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]["value"]
    meter = request["energy_usage_root"]
    record.current_A = (meter["current_A"]["L1"], meter["current_A"]["L2"], meter["current_A"]["L3"])
    record.energy_Wh = meter["energy_Wh_import"]["total"]
