"""Role node: stands in for EnergyNode, passing requests up and limits down."""

from collections.abc import Callable, Mapping

from control.branches import BranchKeeper
from control.clock import Instant
from control.dispatch import Dispatcher, Send
from control.inbox import Inbox
from control.manager import Decision
from control.orders import Orders
from control.own_tree import OwnTree
from control.schedules import JsonObject
from control.tree import without_priority
from energy_management import ManagerState


class Node:
    """Publishes its branch once per step, however many children have published since.

    Parameters
    ----------
    own : OwnTree
        The nodes that this instance is itself.
    orders : Orders
        What was ordered from outside.
    publish : callable
        Brings the ``EnergyFlowRequest`` to the node above.

    Attributes
    ----------
    decision, state, is_holding_back
        A node decides nothing, and has nothing to remember or to hold back.
    """

    decision: Decision | None = None
    state: ManagerState | None = None
    is_holding_back = False

    def __init__(
        self,
        *,
        own: OwnTree,
        inbox: Inbox,
        branches: BranchKeeper,
        dispatcher: Dispatcher,
        orders: Orders,
        publish: Callable[[JsonObject], None],
    ) -> None:
        self._own = own
        self._inbox = inbox
        self._branches = branches
        self._dispatcher = dispatcher
        self._orders = orders
        self._publish = publish
        self._published: Mapping[str, JsonObject] = {}
        self._routes: Mapping[str, Send] = {}

    def step(self, now: Instant) -> None:
        """Publish the branch as it is now; a child's priority request goes up once."""
        snapshot = self._inbox.snapshot()
        branches = self._branches.gather(snapshot.children, now)
        self._routes = branches.routes
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

    def enforce(self, limits: JsonObject) -> None:
        """Pass a limit on to the one child whose branch holds its EVSE; one for this node ends here."""
        uuid = limits["uuid"]
        if send := self._routes.get(uuid):
            self._dispatcher.forward(limits, send)

    def explain(self, uuid: str) -> str:
        """Tell that somebody else decides."""
        return f"{uuid}: a node passes limits on, ask the manager above it"
