"""Takes what EVerest hands over, from any thread. No handler raises: an exception would end EVerest."""

from control.external_limits import EVEREST_SOURCE, ExternalLimits, LimitError
from control.inbox import Inbox
from control.messages import MessageError, enforced_limits
from control.node import Node
from control.notices import Log, Notices
from control.orders import Orders


class Handlers:
    """Handlers of variables and commands.

    Parameters
    ----------
    own : str
        Uuid of the own node, the one that ``set_external_limits`` is about.
    inbox, orders
        Where things go.
    node : Node or None
        Passes limits on, in role node.
    external_limits_dim : bool
        ``set_external_limits`` comes from a grid operator that dims.
    """

    def __init__(
        self,
        own: str,
        inbox: Inbox,
        orders: Orders,
        node: Node | None,
        log: Log,
        *,
        notices: Notices,
        external_limits_dim: bool = False,
    ) -> None:
        self._own = own
        self._inbox = inbox
        self._orders = orders
        self._node = node
        self._log = log
        self._notices = notices
        self._external_limits_dim = external_limits_dim

    def request(self, child: str, request: object) -> None:
        """Take a child's ``energy_flow_request``."""
        try:
            self._inbox.request(child, request)
        except MessageError as error:
            self._notices.raise_(f"input/{child}", str(error))

    def prices(self, prices: object) -> None:
        """Take ``energy_pricing``."""
        try:
            self._inbox.prices(prices)
        except MessageError as error:
            self._notices.raise_("input/prices", str(error))

    def external_limits(self, limits: object) -> None:
        """Take ``set_external_limits``: replaces what that command set before."""
        try:
            self._orders.set_limit(
                self._own,
                EVEREST_SOURCE,
                ExternalLimits.from_json(limits),
                is_dimming=self._external_limits_dim,
            )
        except LimitError as error:
            self._log.error(f"set_external_limits refused, the limits before stay in force: {error}")

    def enforce_limits(self, limits: object) -> None:
        """Take ``enforce_limits`` of the node above, in role node."""
        try:
            checked = enforced_limits(limits)
        except MessageError as error:
            self._log.warning(str(error))
            return
        if self._node is None:
            self._log.warning("enforce_limits is ignored: below another manager this needs role: node")
        else:
            self._node.enforce(checked)
