"""Which part of the state is kept over a restart, and when it is written."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import msgspec

from control.clock import Instant
from control.notices import Log
from control.orders import Orders
from control.state_store import StateStore
from energy_management import ManagerState

if TYPE_CHECKING:
    from bsp.phase_switch import Memory as PhaseMemory

WRITE_EVERY_S = 60.0
"""Turns and counts: what a crash may lose of them harms nobody, an SD card that is worn out does."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was there before a restart, beside the orders.

    Attributes
    ----------
    allocation : ManagerState or None
        What the allocation remembered.
    phases : mapping of connector to PhaseMemory
        What was known of the phase contactors.
    """

    allocation: ManagerState | None = None
    phases: Mapping[str, PhaseMemory] = field(default_factory=dict)


class Memory:
    """Restores what was kept, and keeps it.

    Parameters
    ----------
    store : StateStore
        The file.
    orders : Orders
        What was ordered from outside; written as soon as it changes, as is what concerns phase contactors.
    log : Log
        Told when what was stored is of no use.
    """

    def __init__(self, store: StateStore, orders: Orders, log: Log) -> None:
        self._store = store
        self._orders = orders
        self._log = log
        self._lock = threading.Lock()
        self._phases: dict[str, PhaseMemory] = {}
        self._kept: object = (orders.to_json(), {})
        self._kept_at = -math.inf

    def restore(self, now: Instant) -> Restored:
        """Take over the stored orders; returns the rest of what was stored."""
        stored = self._store.load()
        if not stored:
            return Restored()
        try:
            restored = Restored(
                ManagerState.from_json(stored["allocation"]) if "allocation" in stored else None,
                _phases(stored["phases"]),
            )
            self._orders.restore(stored["orders"], now)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._log.warning(f"state file: starting without it, its content is of no use: {error!r}")
            return Restored()
        self._phases = dict(restored.phases)
        self._kept = (self._orders.to_json(), dict(self._phases))
        return restored

    def note_phases(self, connector: str, memory: PhaseMemory) -> None:
        """Take note of a connector's phase contactors; from any thread, written with the next `keep`."""
        with self._lock:
            self._phases[connector] = memory

    def keep(self, now: Instant, allocation: ManagerState | None, *, at_once: bool = False) -> None:
        """Write what is worth it: orders and contactors when they have changed, the rest now and then."""
        with self._lock:
            phases = dict(self._phases)
        orders = self._orders.to_json()
        is_due = at_once or now.monotonic_s - self._kept_at >= WRITE_EVERY_S
        if (orders, phases) == self._kept and not is_due:
            return
        self._kept, self._kept_at = (orders, phases), now.monotonic_s
        document: dict[str, object] = {
            "orders": orders,
            "phases": {connector: asdict(memory) for connector, memory in phases.items()},
        }
        if allocation is not None:
            document["allocation"] = allocation.to_json()
        self._store.save(document)

    def close(self, now: Instant, allocation: ManagerState | None) -> None:
        """Write everything, and end."""
        self.keep(now, allocation, at_once=True)
        self._store.close()


def _phases(stored: Mapping[str, object]) -> dict[str, PhaseMemory]:
    """Read what was kept of phase contactors; a site without them does without the bridge's code."""
    if not stored:
        return {}
    from bsp.phase_switch import Memory as PhaseMemory  # noqa: PLC0415 - see above

    return msgspec.convert(stored, dict[str, PhaseMemory])
