"""Role manager: decides the limits of everything below."""

from collections.abc import Callable, Mapping

from control.branches import Branches, BranchKeeper
from control.clock import Instant
from control.dispatch import Dispatcher
from control.external_limits import ExternalLimits
from control.inbox import Inbox, Snapshot
from control.notices import Notices
from control.own_tree import OwnTree
from control.schedules import JsonObject
from energy_management import EnergyManager
from energy_management.measurement import Reading


class Manager:
    """One decision per step: newest of everything in, limits on their way out.

    Parameters
    ----------
    own : OwnTree
        The nodes that this instance is itself.
    is_above_trunk : bool
        The tree comes whole from ``energy_trunk``; its request is taken as it is, unless this instance has
        limits of its own.
    external : callable
        Tells the limits from outside in force at a moment, by uuid of the node.
    """

    def __init__(
        self,
        *,
        own: OwnTree,
        engine: EnergyManager,
        inbox: Inbox,
        branches: BranchKeeper,
        dispatcher: Dispatcher,
        external: Callable[[Instant], Mapping[str, ExternalLimits]],
        notices: Notices,
        is_above_trunk: bool,
    ) -> None:
        self._own = own
        self._engine = engine
        self._inbox = inbox
        self._branches = branches
        self._dispatcher = dispatcher
        self._external = external
        self._notices = notices
        self._is_above_trunk = is_above_trunk

    def step(self, now: Instant) -> list[JsonObject]:
        """Decide once, and send what is due; returns the ``EnforcedLimits`` of all EVSEs."""
        snapshot = self._inbox.snapshot()
        branches = self._branches.gather(snapshot.children, now)
        request = self._request(snapshot, branches, now)
        if request is None:
            return []
        limits = self._engine.optimize(
            request, now.utc, self._readings(snapshot, request["uuid"]), monotonic_s=now.monotonic_s
        )
        self._dispatcher.offer(limits, branches.routes)
        rejected = {
            uuid: f"{uuid}: request left out: {reason}" for uuid, reason in self._engine.report.rejected
        }
        self._notices.keep_only("rejected/", rejected, "request is fine again")
        return limits

    def _request(self, snapshot: Snapshot, branches: Branches, now: Instant) -> JsonObject | None:
        external = self._external(now)
        if self._is_above_trunk and self._own.root.fuse_limit_A is None and not external:
            return next(iter(branches.requests.values()), None)
        return self._own.request(
            branches.requests, now, external=external, usage=snapshot.usage, prices=snapshot.prices
        )

    def _readings(self, snapshot: Snapshot, root: str) -> Mapping[str, Reading]:
        """Return the readings by uuid; the own meter measures whatever the root of the tree is."""
        own = snapshot.measured.get(self._own.root.uuid)
        return snapshot.measured if own is None else {**snapshot.measured, root: own}
