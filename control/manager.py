"""Role manager: decides the limits of everything below."""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

from control.branches import Branches, BranchKeeper
from control.caution import held_back, late, rising
from control.clock import Instant
from control.dispatch import Dispatcher, Send
from control.inbox import Inbox, Snapshot
from control.notices import Notices
from control.orders import Orders
from control.own_tree import OwnTree
from control.schedules import JsonObject
from control.tree import held_uuids, holding, limited
from energy_management import EnergyManager, EvseAttributes, ManagerConfig, ManagerState, Site
from energy_management.measurement import Reading
from energy_management.report import Report

FIRST_OF_ALL = 1_000_000
"""Priority above any that can be configured or ordered."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and on what.

    Attributes
    ----------
    at : Instant
        When.
    limits : list of EnforcedLimits
        One for each EVSE, as sent.
    held_back : mapping of uuid to str
        Why an EVSE does not have yet what it should have.
    request : EnergyFlowRequest
        The whole tree.
    readings : mapping of uuid to Reading
        What was measured.
    report : Report
        What the allocation says of it.
    seconds : float
        How long it took.
    """

    at: Instant
    limits: list[JsonObject]
    held_back: Mapping[str, str]
    request: JsonObject
    readings: Mapping[str, Reading]
    report: Report
    seconds: float


class Manager:
    """One decision per step: newest of everything in, limits on their way out.

    Parameters
    ----------
    own : OwnTree
        The nodes that this instance is itself.
    state : ManagerState or None
        What the allocation remembers from before a restart.
    is_above_trunk : bool
        The tree comes whole from ``energy_trunk``; its request is taken as it is, unless this instance has
        limits of its own.
    orders : Orders
        What was ordered from outside.
    log : callable
        Takes the description of every run, with ``debug``.

    Attributes
    ----------
    decision : Decision or None
        The last one.
    is_holding_back : bool
        Shares could rise once others have answered.
    """

    def __init__(
        self,
        *,
        own: OwnTree,
        config: ManagerConfig,
        site: Site,
        state: ManagerState | None,
        inbox: Inbox,
        branches: BranchKeeper,
        dispatcher: Dispatcher,
        orders: Orders,
        notices: Notices,
        is_above_trunk: bool,
        log: Callable[[str], None],
    ) -> None:
        self._own = own
        self._config = replace(config, closed_loop=True)
        self._site = site
        self._log = log
        self._engine = EnergyManager(self._config, site, state, log)
        self._inbox = inbox
        self._branches = branches
        self._dispatcher = dispatcher
        self._orders = orders
        self._notices = notices
        self._is_above_trunk = is_above_trunk
        self.decision: Decision | None = None
        self.is_holding_back = False

    def step(self, now: Instant) -> None:
        """Decide once, and send what is due; nothing while nothing has been heard of the tree."""
        snapshot = self._inbox.snapshot()
        branches = self._branches.gather(snapshot.children, now)
        request = self._request(snapshot, branches, now)
        if request is None:
            return
        self._engine = self._engine_for(request, self._engine.state)
        readings = self._readings(snapshot, request["uuid"])
        began = time.perf_counter()
        limits = self._engine.optimize(request, now.utc, readings, monotonic_s=now.monotonic_s)
        seconds = time.perf_counter() - began
        limits, reasons = self._send(limits, branches.routes, request, readings, now)
        report = self._engine.report
        rejected = {uuid: f"{uuid}: request left out: {reason}" for uuid, reason in report.rejected}
        self._notices.keep_only("rejected/", rejected, "request is fine again")
        doubted = {uuid: f"{uuid}: {why}, on its fallback budget" for uuid, why in report.complaints}
        self._notices.keep_only("doubted/", doubted, "meter is believed again")
        self.decision = Decision(now, limits, reasons, request, readings, report, seconds)

    def _send(
        self,
        limits: list[JsonObject],
        routes: Mapping[str, Send],
        request: JsonObject,
        readings: Mapping[str, Reading],
        now: Instant,
    ) -> tuple[list[JsonObject], Mapping[str, str]]:
        """Send what was decided, but no rise on account of a limit that has not arrived.

        Returns what is sent in the end, and by uuid why an EVSE is held back.
        """
        in_force = self._dispatcher.in_force
        are_late = late(limits, in_force)
        are_rising = rising(limits, in_force) - are_late.keys()
        self.is_holding_back = bool(are_late and are_rising)
        if not self.is_holding_back:
            self._dispatcher.offer(limits, routes)
            return limits, {}
        # A fall does not wait for the second thought that rises need.
        self._dispatcher.offer([limit for limit in limits if limit["uuid"] not in are_rising], routes)
        if_nothing_arrives = holding(request, are_late)
        engine = self._engine_for(if_nothing_arrives, deepcopy(self._engine.state))
        careful = engine.optimize(if_nothing_arrives, now.utc, readings, monotonic_s=now.monotonic_s)
        cautious = held_back(limits, careful, are_rising, in_force)
        self._dispatcher.offer(cautious, routes)
        why = f"waits until {' and '.join(are_late)} answered"
        pairs = zip(limits, cautious, strict=True)
        return cautious, {decided["uuid"]: why for decided, sent in pairs if sent is not decided}

    @property
    def state(self) -> ManagerState:
        """What the allocation remembers."""
        return self._engine.state

    def explain(self, uuid: str) -> str:
        """Tell why an EVSE has what it has; KeyError if nothing was decided for it."""
        held_back = self.decision.held_back.get(uuid) if self.decision else None
        return f"{held_back}; then {self._engine.explain(uuid)}" if held_back else self._engine.explain(uuid)

    def _engine_for(self, request: JsonObject, state: ManagerState) -> EnergyManager:
        """Return an engine with the attributes in force; what an EVSE cannot be denied comes first."""
        evses = self._orders.evses
        for uuid in held_uuids(request):
            evses[uuid] = replace(evses.get(uuid, EvseAttributes()), priority=FIRST_OF_ALL)
        if state is self._engine.state and evses == self._engine.site.evses:
            return self._engine
        return EnergyManager(self._config, Site(evses, self._site.nodes), state, self._log)

    def _request(self, snapshot: Snapshot, branches: Branches, now: Instant) -> JsonObject | None:
        limits = self._orders.limits(now, lambda: self._own.evses_below(branches.requests))
        root = self._own.root
        if self._is_above_trunk and root.fuse_limit_A is None and root.uuid not in limits:
            trunk = next(iter(branches.requests.values()), None)
            return limited(trunk, limits) if trunk else None
        return self._own.request(
            branches.requests,
            now,
            external=limits,
            reserves_A=self._orders.reserves_A(now),
            usage=snapshot.usage,
            prices=snapshot.prices,
        )

    def _readings(self, snapshot: Snapshot, root: str) -> Mapping[str, Reading]:
        """Return the readings by uuid; the own meter measures whatever the root of the tree is."""
        own = snapshot.measured.get(self._own.root.uuid)
        return snapshot.measured if own is None else {**snapshot.measured, root: own}
