"""The newest of everything that reaches this instance, and when it came.

Callbacks of EVerest and of the bridge write here from any thread; the control loop takes a snapshot.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from control.clock import Clock
from control.grid_meter import MeterError, reading_of
from control.schedules import JsonObject
from control.tree import is_node, is_urgent, walk
from energy_management.measurement import Reading


class InputError(ValueError):
    """A message is not what it must be and was left out; what was there before stays."""


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
        What the children's requests say of their meters, by uuid of the node or EVSE.
    grid : Reading or None
        Newest reading of this node's own meter.
    grid_powermeter : Powermeter or None
        The same as EVerest has it.
    prices : EnergyPriceSchedule or None
        Newest prices.
    """

    children: Mapping[str, Heard] = field(default_factory=dict)
    measured: Mapping[str, Reading] = field(default_factory=dict)
    grid: Reading | None = None
    grid_powermeter: JsonObject | None = None
    prices: JsonObject | None = None


class Inbox:
    """Keeps the newest and tells when something must not wait for the next tick.

    Parameters
    ----------
    clock : Clock
        Tells when something came.
    wake : callable
        Called, outside of any lock, when the loop should run at once.
    fuse_limit_A : float, optional
        A grid reading above it on any phase is an overload and wakes the loop.
    """

    def __init__(self, clock: Clock, wake: Callable[[], None], fuse_limit_A: float | None = None) -> None:
        self._clock = clock
        self._wake = wake
        self._fuse_limit_A = fuse_limit_A
        self._lock = threading.Lock()
        self._children: dict[str, Heard] = {}
        self._usage: dict[str, JsonObject] = {}
        self._measured: dict[str, Reading] = {}
        self._grid: Reading | None = None
        self._grid_powermeter: JsonObject | None = None
        self._prices: JsonObject | None = None

    def request(self, child: str, request: object) -> None:
        """Take the newest ``EnergyFlowRequest`` of a child.

        Raises
        ------
        InputError
            It has no uuid, so it cannot be a node of the tree.
        """
        if not isinstance(request, dict) or not is_node(request):
            raise InputError(f"{child}: energy_flow_request without a uuid is ignored")
        now = self._clock().monotonic_s
        with self._lock:
            before = self._children.get(child)
            self._children[child] = Heard(request, now)
            for node in walk(request):
                self._measure(node, now)
        if is_urgent(request, before.request if before else None):
            self._wake()

    def grid(self, reading: Reading, powermeter: JsonObject | None) -> None:
        """Take the newest reading of this node's own meter."""
        with self._lock:
            self._grid, self._grid_powermeter = reading, powermeter
        if self._fuse_limit_A is not None and any(
            current > self._fuse_limit_A for current in reading.current_A or ()
        ):
            self._wake()

    def prices(self, prices: object) -> None:
        """Take the newest ``EnergyPriceSchedule``.

        Raises
        ------
        InputError
            It is no object.
        """
        if not isinstance(prices, dict):
            raise InputError("energy_pricing: expected an object, ignored")
        with self._lock:
            self._prices = prices

    def forget(self, child: str) -> None:
        """Drop a child that is gone; its next request brings it back."""
        with self._lock:
            heard = self._children.pop(child, None)
            for node in walk(heard.request) if heard else ():
                self._usage.pop(node["uuid"], None)
                self._measured.pop(node["uuid"], None)

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        with self._lock:
            return Snapshot(
                MappingProxyType(dict(self._children)),
                MappingProxyType(dict(self._measured)),
                self._grid,
                self._grid_powermeter,
                self._prices,
            )

    def _measure(self, node: JsonObject, now: float) -> None:
        """Note a measurement the first time it is seen: nodes repeat their meters' last values for ever."""
        usage = node.get("energy_usage_root") or node.get("energy_usage_leaves")
        if usage is None or usage == self._usage.get(node["uuid"]):
            return
        self._usage[node["uuid"]] = usage
        try:
            self._measured[node["uuid"]] = reading_of(usage, now)
        except MeterError:
            self._measured.pop(node["uuid"], None)
