"""Role node: stands in for EnergyNode, passing requests up and limits down."""

import math
import threading
from collections.abc import Callable, Mapping

from control.branches import Branches, BranchKeeper
from control.clock import Clock, Instant
from control.dispatch import Dispatcher
from control.inbox import Inbox
from control.manager import Decision
from control.orders import Orders
from control.own_tree import OwnTree
from control.schedules import JsonObject
from control.tree import without_priority
from energy_management import ManagerState

PATIENCE_S = 1.0
"""How long ``enforce_limits`` waits for a child's answer; EVerest hands over one limit after the other."""

PUBLISHES_WITHIN_S = 1.0
"""As often as EVSEs publish, and with them EVerest's EnergyNode: what is older counts as silent."""


class Node:
    """Publishes its branch once per step, however many children have published since.

    Whoever is above gives away what a lower limit has made free as soon as that is answered. So it is
    answered when the child has; and where a child does not answer, only when the request that goes up holds
    what the EVSEs of that child may still draw.

    Parameters
    ----------
    own : OwnTree
        The nodes that this instance is itself.
    orders : Orders
        What was ordered from outside.
    publish : callable
        Brings the ``EnergyFlowRequest`` to the node above.
    patience_s : float
        How long a child may take to answer.

    Attributes
    ----------
    decision, state
        A node decides nothing, and has nothing to remember.
    due_s : float
        Monotonic second by which the branch is published again, however rarely the manager above decides.
    """

    decision: Decision | None = None
    state: ManagerState | None = None

    def __init__(
        self,
        *,
        own: OwnTree,
        inbox: Inbox,
        branches: BranchKeeper,
        dispatcher: Dispatcher,
        orders: Orders,
        publish: Callable[[JsonObject], None],
        clock: Clock,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._own = own
        self._inbox = inbox
        self._keeper = branches
        self._dispatcher = dispatcher
        self._orders = orders
        self._publish = publish
        self._clock = clock
        self._patience_s = patience_s
        self._lock = threading.RLock()
        """What is published is what was known then: one after the other."""
        self._published: Mapping[str, JsonObject] = {}
        self._branches = Branches()
        self._deaf: dict[str, set[str]] = {}
        """By child the EVSEs that have not taken what they were sent."""
        self.due_s = math.inf

    def step(self, now: Instant) -> None:
        """Publish the branch as it is now; a child's priority request goes up once."""
        with self._lock:
            self._step(now)

    def _step(self, now: Instant) -> None:
        snapshot = self._inbox.snapshot()
        self._deaf = {child: late for child in self._deaf if (late := self._late(child))}
        branches = self._keeper.gather(snapshot.children, now, self._deaf)
        self._branches = branches
        children = {
            child: without_priority(request) if request is self._published.get(child) else request
            for child, request in branches.requests.items()
        }
        self._published = branches.requests
        self._publish(
            self._own.request(
                children,
                now,
                external=self._orders.limits(now, lambda: self._own.evses_below(children)),
                reserves_A=self._orders.reserves_A(now),
                usage=snapshot.usage,
                prices=snapshot.prices,
            )
        )
        self.due_s = now.monotonic_s + PUBLISHES_WITHIN_S

    def enforce(self, limits: JsonObject) -> None:
        """Pass a limit on to the one child whose branch holds its EVSE; one for this node ends here."""
        uuid = limits["uuid"]
        branches = self._branches
        if uuid not in branches.routes:
            return
        child = branches.child_of[uuid]
        patience_s = 0.0 if child in self._deaf else self._patience_s
        if self._dispatcher.forward(limits, branches.routes[uuid], patience_s):
            return
        with self._lock:
            is_news = child not in self._deaf
            self._deaf.setdefault(child, set()).add(uuid)
            self._step(self._clock())
        if is_news:  # the answer must not overtake the request that tells so
            self._dispatcher.has_taken(uuid, self._patience_s / 2)

    def waits_for(self, uuid: str) -> bool:
        """Whether the branch changes once this EVSE has answered."""
        return self._branches.child_of.get(uuid) in self._deaf

    def explain(self, uuid: str) -> str:
        """Tell that somebody else decides."""
        return f"{uuid}: a node passes limits on, ask the manager above it"

    def _late(self, child: str) -> set[str]:
        return {uuid for uuid in self._deaf[child] if not self._dispatcher.has_taken(uuid)}
