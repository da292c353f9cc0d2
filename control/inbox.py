"""The newest of everything that reaches this instance, and when it came.

Callbacks of EVerest and of the bridge write here from any thread; the control loop takes a snapshot.
"""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from control.clock import Clock, Instant
from control.messages import MessageError, energy_price_schedule
from control.powermeter import MeterError, reading_of
from control.schedules import JsonObject
from control.tree import is_node, is_urgent, node_limit_A, walk
from energy_management.draws import FALLEN_WITHIN_A
from energy_management.measurement import Reading

HANDED_ON_EVERY_S = 0.5
"""A meter may be read far more often than the nodes above can use."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest request of one child, and when it came (monotonic seconds)."""

    request: JsonObject
    at: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment. Nothing in it changes afterwards.

    Attributes
    ----------
    children : mapping of child to Heard
        In the order in which children were first heard.
    measured : mapping of uuid to Reading
        Newest reading of each node or EVSE that has a meter.
    usage : Powermeter or None
        Newest reading of this instance's own node, as EVerest has it.
    prices : EnergyPriceSchedule or None
        Newest prices.
    """

    children: Mapping[str, Heard] = field(default_factory=dict)
    measured: Mapping[str, Reading] = field(default_factory=dict)
    usage: JsonObject | None = None
    prices: JsonObject | None = None


class Inbox:
    """Keeps the newest and tells when something must not wait for the next tick.

    Parameters
    ----------
    clock : Clock
        Tells when something came.
    wake : callable
        Called, outside of any lock, when the loop should run at once.
    fuses_A : mapping of uuid to amperes, optional
        A reading above its node's fuse on any phase is an overload and wakes the loop. Nodes below that are
        not in here tell their limits themselves.
    hands_on : bool
        Nodes above need what the own meter measures: it wakes the loop, as with EVerest's EnergyNode. A node
        above takes a measurement for one of the moment it comes; beside newer ones of EVSEs, an older one
        of the meter would look like other loads.
    """

    def __init__(
        self,
        clock: Clock,
        wake: Callable[[], None],
        fuses_A: Mapping[str, float] | None = None,
        *,
        hands_on: bool = False,
    ) -> None:
        self._clock = clock
        self._wake = wake
        self._fuses_A = fuses_A or {}
        self._hands_on = hands_on
        self._handed_on_at = -math.inf
        self._lock = threading.Lock()
        self._children: dict[str, Heard] = {}
        self._usages: dict[str, JsonObject] = {}
        self._measured: dict[str, Reading] = {}
        self._usage: JsonObject | None = None
        self._prices: JsonObject | None = None
        self._falls_A: Mapping[str, float] = {}

    def await_falls(self, falls_A: Mapping[str, float]) -> None:
        """Wake the loop when one of these EVSEs is measured to draw no more than this."""
        self._falls_A = falls_A

    def request(self, child: str, request: object) -> None:
        """Take the newest ``EnergyFlowRequest`` of a child.

        Raises
        ------
        MessageError
            It has no uuid, so it cannot be a node of the tree.
        """
        if not isinstance(request, dict) or not is_node(request):
            raise MessageError(f"{child}: energy_flow_request without a uuid is ignored")
        now = self._clock()
        with self._lock:
            before = self._children.get(child)
            self._children[child] = Heard(request, now.monotonic_s)
            urgent = [node["uuid"] for node in walk(request) if self._measure(node, now)]
        if urgent or is_urgent(request, before.request if before else None):
            self._wake()

    def reading(self, uuid: str, reading: Reading) -> None:
        """Take the newest reading of a node's or an EVSE's own meter."""
        with self._lock:
            self._measured[uuid] = reading
        if self._is_overload(uuid, reading) or self._has_fallen(uuid, reading):
            self._wake()

    def usage(self, powermeter: JsonObject) -> None:
        """Take what the own node's meter measured, as it goes into the request of this node."""
        now_s = self._clock().monotonic_s
        with self._lock:
            self._usage = powermeter
            is_due = self._hands_on and now_s - self._handed_on_at >= HANDED_ON_EVERY_S
            if is_due:
                self._handed_on_at = now_s
        if is_due:
            self._wake()

    def prices(self, prices: object) -> None:
        """Take the newest ``EnergyPriceSchedule``.

        Raises
        ------
        MessageError
            It is none.
        """
        checked = energy_price_schedule(prices)
        with self._lock:
            self._prices = checked

    def forget(self, child: str) -> None:
        """Drop a child that is gone; its next request brings it back."""
        with self._lock:
            heard = self._children.pop(child, None)
            for node in walk(heard.request) if heard else ():
                self._usages.pop(node["uuid"], None)
                self._measured.pop(node["uuid"], None)

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        with self._lock:
            return Snapshot(
                MappingProxyType(dict(self._children)),
                MappingProxyType(dict(self._measured)),
                self._usage,
                self._prices,
            )

    def _measure(self, node: JsonObject, now: Instant) -> bool:
        """Note a measurement the first time it is seen: nodes repeat their meters' last values for ever.

        Returns whether it is urgent: an overload, or the fall of an EVSE that somebody waits for.
        """
        uuid = node["uuid"]
        usage = node.get("energy_usage_root") or node.get("energy_usage_leaves")
        if usage is None or usage == self._usages.get(uuid):
            return False
        self._usages[uuid] = usage
        try:
            self._measured[uuid] = reading = reading_of(usage, now.monotonic_s)
        except MeterError:
            self._measured.pop(uuid, None)
            return False
        return self._is_overload(uuid, reading, node_limit_A(node, now)) or self._has_fallen(uuid, reading)

    def _is_overload(self, uuid: str, reading: Reading, limit_A: float = math.inf) -> bool:
        fuse_A = self._fuses_A.get(uuid, limit_A)
        return any(current > fuse_A for current in reading.current_A or ())

    def _has_fallen(self, uuid: str, reading: Reading) -> bool:
        limit_A = self._falls_A.get(uuid)
        if limit_A is None:
            return False
        return not any(current > limit_A + FALLEN_WITHIN_A for current in reading.current_A or ())
