"""Which part of the state is kept over a restart, and when it is written."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from control.clock import Instant
from control.notices import Log
from control.orders import Orders
from control.store import Store
from energy_management import ManagerState

if TYPE_CHECKING:
    from bsp.phase_switch import Memory as PhaseMemory

WRITE_EVERY_S = 60.0
"""Turns and counts: what a crash may lose of them harms nobody, an SD card that is worn out does."""

ALLOCATION, ORDERS, PHASES = "allocation", "orders", "phases"
"""Parts of the state in the file."""

_Part = TypeVar("_Part")


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
    store : Store
        Where it is kept.
    orders : Orders
        What was ordered from outside; written as soon as it changes, as is what concerns phase contactors.
    log : Log
        Told when what was stored is of no use.
    """

    def __init__(self, store: Store, orders: Orders, log: Log) -> None:
        self._store = store
        self._orders = orders
        self._log = log
        self._lock = threading.Lock()
        self._phases: dict[str, PhaseMemory] = {}
        self._kept_orders = orders.to_json()
        self._kept_at = -math.inf

    def restore(self, now: Instant) -> Restored:
        """Take over the stored orders; returns the rest of what was stored.

        A part that is of no use is reported and begins anew, the others stay.
        """
        self._restored(ORDERS, lambda text: self._orders.restore(json.loads(text), now))
        self._kept_orders = self._orders.to_json()
        self._phases = self._restored(PHASES, _phases) or {}
        return Restored(self._restored(ALLOCATION, ManagerState.from_json), dict(self._phases))

    def note_phases(self, connector: str, memory: PhaseMemory) -> None:
        """Have a connector's phase contactors written at once; from any thread."""
        with self._lock:
            self._phases[connector] = memory
            document = {name: asdict(each) for name, each in self._phases.items()}
            self._store.put_state(PHASES, json.dumps(document))

    def keep(self, now: Instant, allocation: ManagerState | None) -> None:
        """Write what is worth it: orders when they have changed, the rest now and then."""
        orders = self._orders.to_json()
        if orders != self._kept_orders:
            self._kept_orders = orders
            self._store.put_state(ORDERS, json.dumps(orders))
        if allocation is not None and now.monotonic_s - self._kept_at >= WRITE_EVERY_S:
            self._kept_at = now.monotonic_s
            self._store.put_state(ALLOCATION, allocation.to_json(), must_last=False)

    def close(self, now: Instant, allocation: ManagerState | None) -> None:
        """Have everything written as it is in the end."""
        self._kept_at = -math.inf
        self.keep(now, allocation)

    def _restored(self, part: str, read: Callable[[str], _Part]) -> _Part | None:
        if part not in self._store.state:
            return None
        try:
            return read(self._store.state[part])
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            self._log.warning(f"state file: starting without {part}, what it holds is of no use: {error!r}")
            return None


def _phases(stored: str) -> dict[str, PhaseMemory]:
    """Read what was kept of phase contactors; a site without them does without the bridge's code."""
    if stored == "{}":
        return {}
    from bsp.phase_switch import Memory as PhaseMemory  # noqa: PLC0415 - see above

    return msgspec.json.decode(stored, type=dict[str, PhaseMemory])
