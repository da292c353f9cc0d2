"""Which part of the state is kept over a restart, and when it is written."""

import math

from control.clock import Instant
from control.notices import Log
from control.orders import Orders
from control.state_store import StateStore
from energy_management import ManagerState

WRITE_EVERY_S = 60.0
"""Turns and phase switches: what a crash may lose of them harms nobody, an SD card that is worn out does."""


class Memory:
    """Restores orders and the state of the allocation, and keeps them.

    Parameters
    ----------
    store : StateStore
        The file.
    orders : Orders
        What was ordered from outside; written as soon as it changes.
    log : Log
        Told when what was stored is of no use.
    """

    def __init__(self, store: StateStore, orders: Orders, log: Log) -> None:
        self._store = store
        self._orders = orders
        self._log = log
        self._kept_orders = orders.to_json()
        self._kept_at = -math.inf

    def restore(self, now: Instant) -> ManagerState | None:
        """Take over the stored orders; returns the stored state of the allocation, None if there is none."""
        stored = self._store.load()
        if not stored:
            return None
        try:
            self._orders.restore(stored["orders"], now)
            self._kept_orders = self._orders.to_json()
            return ManagerState.from_json(stored["allocation"]) if "allocation" in stored else None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._log.warning(f"state file: starting without it, its content is of no use: {error!r}")
            return None

    def keep(self, now: Instant, state: ManagerState | None, *, at_once: bool = False) -> None:
        """Write what is worth it: orders when they have changed, the rest now and then."""
        orders = self._orders.to_json()
        if orders == self._kept_orders and not at_once and now.monotonic_s - self._kept_at < WRITE_EVERY_S:
            return
        self._kept_orders, self._kept_at = orders, now.monotonic_s
        self._store.save({"orders": orders, **({"allocation": state.to_json()} if state else {})})

    def close(self, now: Instant, state: ManagerState | None) -> None:
        """Write everything, and end."""
        self.keep(now, state, at_once=True)
        self._store.close()
