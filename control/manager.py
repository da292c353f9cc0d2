"""Role manager: decides the limits of everything below."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from control.branches import Branches, BranchKeeper
from control.caution import allowed
from control.clock import Instant
from control.dispatch import NOTICED_LATE_S, Dispatcher, Send
from control.inbox import Inbox, Snapshot
from control.notices import Notices
from control.orders import Orders
from control.own_tree import OwnTree
from control.schedules import JsonObject
from control.tree import Grants, held_grants, limited
from energy_management import EnergyManager, EvseAttributes, InForce, ManagerConfig, ManagerState, Site
from energy_management.measurement import Reading
from energy_management.modes import Mode
from energy_management.report import Report
from energy_management.waits import Waits

HEARD_WITHIN_S = 3.0
"""Who lives says so every second: from then on it is told whom a manager that has just begun waits for."""

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
        One for each EVSE.
    request : EnergyFlowRequest
        The whole tree.
    readings : mapping of uuid to Reading
        What was measured.
    report : Report
        What the allocation says of it.
    seconds : float
        How long it took.
    modes : mapping of uuid to str
        Modes of EVSEs that have one.
    """

    at: Instant
    limits: list[JsonObject]
    request: JsonObject
    readings: Mapping[str, Reading]
    report: Report
    seconds: float
    modes: Mapping[str, Mode] = field(default_factory=dict)


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
    due_s : float
        Monotonic second at which shares may rise, or a limit runs out that somebody may still go by.
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
        self.due_s = math.inf
        self._awaited: Mapping[str, float] = {}
        self._began_s: float | None = None
        self._knows_all = False

    def step(self, now: Instant) -> None:
        """Decide once, and send what is due; nothing while nothing has been heard of the tree."""
        snapshot = self._inbox.snapshot()
        if not self._knows_who_draws(snapshot, now):
            return
        branches = self._branches.gather(snapshot.children, now)
        request = self._request(snapshot, branches, now)
        if request is None:
            return
        held = held_grants(request)
        self._engine = self._engine_for(held)
        readings = self._readings(snapshot, request["uuid"])
        in_force = self._in_force(held)
        began = time.perf_counter()
        limits = self._engine.optimize(
            request, now.utc, readings, monotonic_s=now.monotonic_s, in_force=in_force
        )
        seconds = time.perf_counter() - began
        report = self._engine.report
        self._await(report.waits, held)  # before anybody can have answered
        self._dispatcher.offer(limits, _reachable(branches, held))
        rejected = {uuid: f"{uuid}: request left out: {reason}" for uuid, reason in report.rejected}
        self._notices.keep_only("rejected/", rejected, "request is fine again")
        doubted = {uuid: f"{uuid}: {why}, on its fallback budget" for uuid, why in report.complaints}
        self._notices.keep_only("doubted/", doubted, "meter is believed again")
        modes = {uuid: attributes.mode for uuid, attributes in self._orders.evses.items()}
        self.decision = Decision(now, limits, request, readings, report, seconds, modes)

    def waits_for(self, uuid: str) -> bool:
        """Whether shares could rise once this EVSE has answered."""
        return uuid in self._awaited

    def _knows_who_draws(self, snapshot: Snapshot, now: Instant) -> bool:
        """Tell whether every child has been heard, or what it was allowed before a restart has run out.

        Limits of a manager before this one may be in force, and nothing is known of those not heard yet.
        """
        if self._knows_all:
            return True
        if self._began_s is None:
            self._began_s = now.monotonic_s
        unheard = self._branches.unheard(snapshot.children)
        passed_s = now.monotonic_s - self._began_s
        old_limits_end_s = 10 * self._config.update_interval + NOTICED_LATE_S  # their valid_for
        self._knows_all = not unheard or passed_s >= old_limits_end_s
        if self._knows_all:
            self._notices.clear("start", "first limits are decided")
        elif passed_s >= HEARD_WITHIN_S:
            names = ", ".join(unheard)
            self._notices.raise_("start", f"no limits yet: {names} not heard since the start, may still draw")
        return self._knows_all

    def _in_force(self, held: Grants) -> Mapping[str, InForce]:
        """Collect what each EVSE may still go by, as far as it has answered, or as a node below tells."""
        voltage_V = self._config.nominal_ac_voltage
        in_force = {
            uuid: allowed(limits, voltage_V) for uuid, limits in self._dispatcher.all_in_force().items()
        }
        for uuid, grant in held.items():
            told = allowed(grant, voltage_V)
            in_force[uuid] = max(told, in_force.get(uuid, told), key=lambda limit: limit.current_A)
        return in_force

    def _await(self, waits: Waits, held: Grants) -> None:
        """Take note of what would be a reason to decide anew."""
        self._awaited = waits.falls_A
        self._inbox.await_falls(waits.falls_A)
        self.due_s = min(waits.until_s, self._dispatcher.next_end([*waits.falls_A, *held]))

    @property
    def state(self) -> ManagerState:
        """What the allocation remembers."""
        return self._engine.state

    def explain(self, uuid: str) -> str:
        """Tell why an EVSE has what it has; KeyError if nothing was decided for it."""
        return self._engine.explain(uuid)

    def _engine_for(self, held: Grants) -> EnergyManager:
        """Return the engine with the attributes in force; what an EVSE cannot be denied comes first."""
        evses = self._orders.evses
        for uuid in held:
            attributes = evses.get(uuid, EvseAttributes())
            evses[uuid] = replace(attributes, priority=FIRST_OF_ALL, mode="now")
        if evses == self._engine.site.evses:
            return self._engine
        site = replace(self._site, evses=evses)
        return EnergyManager(self._config, site, self._engine.state, self._log)

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


def _reachable(branches: Branches, held: Grants) -> dict[str, Send]:
    """Leave out the way to those that a node below holds: it could not reach them, or would not hold them."""
    children = {request["uuid"] for request in branches.requests.values()}
    return {uuid: way for uuid, way in branches.routes.items() if uuid not in held or uuid in children}
