"""What was ordered from outside while the module runs: limits, reserves, attributes of EVSEs."""

import math
import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from control.clock import Instant, parse_timestamp, timestamp
from control.dimming import NO_FLOOR, Floor
from control.external_limits import Expiry, ExternalLimits, LimitBook
from control.schedules import JsonObject
from energy_management import EvseAttributes

ReserveSteps = Sequence[tuple[datetime, float]]
"""Amperes per phase to keep free, each from a time on."""


class Orders:
    """Everything ordered, thread-safe, and what of it must survive a restart.

    Parameters
    ----------
    evses : mapping of uuid to EvseAttributes, optional
        Attributes from the site file, in force until others are ordered.
    reserves_A : mapping of uuid to amperes, optional
        Reserves from the site file, likewise.
    on_change : callable
        Called after each order, which should count at once.
    floor : Floor
        What limits that dim must leave.
    """

    def __init__(
        self,
        evses: Mapping[str, EvseAttributes] | None = None,
        reserves_A: Mapping[str, float] | None = None,
        on_change: Callable[[], None] = lambda: None,
        *,
        floor: Floor = NO_FLOOR,
    ) -> None:
        self._floor = floor
        self._on_change = on_change
        self._lock = threading.Lock()
        self._books: dict[str, LimitBook] = {}
        self._reserves: dict[str, ReserveSteps] = {}
        self._configured = dict(evses or {})
        self._configured_reserves_A = dict(reserves_A or {})
        self._evses: dict[str, EvseAttributes] = {}

    def set_limit(
        self,
        node: str,
        source: str,
        limits: ExternalLimits,
        expiry: Expiry | None = None,
        *,
        is_dimming: bool = False,
    ) -> None:
        """Replace the limit of one source on a node or an EVSE."""
        with self._lock:
            book = self._books.setdefault(node, LimitBook())
            book.set(source, limits, expiry, is_dimming=is_dimming)
        self._on_change()

    def clear_limit(self, node: str, source: str) -> None:
        """End it; none is no error."""
        with self._lock:
            self._books.get(node, LimitBook()).clear(source)
        self._on_change()

    def set_reserve(self, node: str, steps: ReserveSteps) -> None:
        """Replace the reserve of a node."""
        with self._lock:
            self._reserves[node] = sorted(steps)
        self._on_change()

    def set_evse(self, uuid: str, changes: Mapping[str, Any]) -> None:
        """Change attributes of an EVSE; the others stay."""
        with self._lock:
            known = self._evses.get(uuid) or self._configured.get(uuid) or EvseAttributes()
            self._evses[uuid] = replace(known, **changes)
        self._on_change()

    def limits(
        self, now: Instant, evses_below: Callable[[], Mapping[str, Collection[str]]]
    ) -> dict[str, ExternalLimits]:
        """Limits in force, by uuid of the node or EVSE they are for.

        Parameters
        ----------
        evses_below : callable
            Finds the EVSEs of each node, if that matters.
        """
        with self._lock:
            is_dimmed = self._floor.is_any and any(book.is_dimmed for book in self._books.values())
            evses = evses_below() if is_dimmed else {}
            in_force = {
                node: book.in_force(now, self._floor.of(evses.get(node, ())))
                for node, book in self._books.items()
            }
        return {node: limits for node, limits in in_force.items() if limits != ExternalLimits()}

    def next_expiry(self, now: Instant) -> float:
        """Monotonic second at which the next limit gives way to its fallback; infinite if none does."""
        with self._lock:
            return min((book.next_expiry(now) for book in self._books.values()), default=math.inf)

    def reserves_A(self, now: Instant) -> dict[str, float]:
        """Reserve in force of each node that has one."""
        with self._lock:
            ordered = {node: _at(steps, now.utc) for node, steps in self._reserves.items()}
        in_force = {node: amperes for node, amperes in ordered.items() if amperes is not None}
        return {**self._configured_reserves_A, **in_force}

    @property
    def evses(self) -> dict[str, EvseAttributes]:
        """Attributes of EVSEs in force."""
        with self._lock:
            return {**self._configured, **self._evses}

    def to_json(self) -> JsonObject:
        """Write what must survive a restart."""
        with self._lock:
            return {
                "limits": {node: slots for node, book in self._books.items() if (slots := book.to_json())},
                "reserves": {
                    node: [[timestamp(start), amperes] for start, amperes in steps]
                    for node, steps in self._reserves.items()
                },
                "evses": {uuid: asdict(attributes) for uuid, attributes in self._evses.items()},
            }

    def restore(self, stored: Mapping[str, Any], now: Instant) -> None:
        """Take over what `to_json` wrote before a restart.

        Raises
        ------
        LimitError, AttributeError, KeyError, TypeError, ValueError
            It is something else; nothing is taken over.
        """
        books = {node: LimitBook.from_json(slots, now) for node, slots in stored["limits"].items()}
        reserves = {
            node: [(parse_timestamp(start), float(amperes)) for start, amperes in steps]
            for node, steps in stored["reserves"].items()
        }
        evses = {uuid: EvseAttributes(**attributes) for uuid, attributes in stored["evses"].items()}
        with self._lock:
            self._books, self._reserves, self._evses = books, dict(reserves), evses


def _at(steps: ReserveSteps, moment: datetime) -> float | None:
    index = bisect_right(steps, moment, key=lambda step: step[0])
    return steps[index - 1][1] if index else None
