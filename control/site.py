"""One module instance put together: what comes in, who decides, what goes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

from control.branches import BranchKeeper
from control.clock import Clock, Instant, system_clock
from control.dispatch import Dispatcher, Outcome, Send
from control.external_limits import EVEREST_SOURCE, ExternalLimits, LimitBook, LimitError
from control.grid_meter import MeterError, reading_of
from control.inbox import Inbox, InputError
from control.loop import ControlLoop
from control.manager import Manager
from control.node import Node
from control.notices import Log, Notices
from control.settings import Role, Settings, Wiring, check
from control.tree import OwnNode, is_node
from energy_management import EnergyManager

Publish = Callable[[str, str, object], None]
"""Publishes a variable: implementation id, name, value."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What EVerest gives the instance to work with.

    Attributes
    ----------
    children : mapping of child to Send
        The energy trunk or the consumers, and how to call ``enforce_limits`` of each.
    has_trunk : bool
        The one child is the trunk.
    publish : Publish
        Publishes variables of this instance.
    log : Log
        EVerest's log.
    """

    children: Mapping[str, Send]
    has_trunk: bool
    publish: Publish
    log: Log


class EnergySite:
    """The running instance. Its ``on_`` methods take what EVerest hands over, from any thread; none raises.

    Parameters
    ----------
    settings : Settings
        Settings of the module.
    engine : EnergyManager
        Makes the decisions in role manager.
    outside : Outside
        The EVerest side.
    clock : Clock
        Tells the time.

    Raises
    ------
    SettingsError
        Settings and connections do not go together.
    """

    def __init__(
        self, settings: Settings, engine: EnergyManager, outside: Outside, clock: Clock = system_clock
    ) -> None:
        trunks = len(outside.children) if outside.has_trunk else 0
        check(settings, Wiring(trunks=trunks, consumers=len(outside.children) - trunks))
        self._publish = outside.publish
        self._log = outside.log
        self._clock = clock
        self._notices = Notices(outside.log)
        self._limits = LimitBook()
        self._limits_lock = Lock()
        self._own = OwnNode(
            settings.module_id,
            settings.fuse_limit_A,
            settings.phase_count,
            settings.nominal_voltage_V,
            settings.enhance_external_schedule,
        )
        self._dispatcher = Dispatcher(lambda: clock().monotonic_s, on_outcome=self._on_outcome)
        self._inbox = Inbox(clock, self.wake, settings.fuse_limit_A)
        branches = BranchKeeper(
            self._inbox,
            outside.children,
            self._dispatcher.in_force,
            settings.child_timeout_s,
            self._notices,
        )
        self._role: Manager | Node
        if settings.role is Role.NODE:
            self._role = Node(
                own=self._own,
                inbox=self._inbox,
                branches=branches,
                dispatcher=self._dispatcher,
                external=self._external,
                publish=self._publish_request,
            )
        else:
            self._role = Manager(
                own=self._own,
                engine=engine,
                inbox=self._inbox,
                branches=branches,
                dispatcher=self._dispatcher,
                external=self._external,
                notices=self._notices,
                is_above_trunk=outside.has_trunk,
            )
        self._loop = ControlLoop(self._step, settings.update_interval_s, clock, self._on_failure)

    def start(self) -> None:
        """Begin to work. Only now may anything be published or called."""
        if capabilities := self._own.capabilities():
            self._publish("external_limits", "capabilities", capabilities)
        self._loop.start()

    def stop(self) -> None:
        """Stop in bounded time. No limit is sent any more; those in force run out by themselves."""
        self._loop.stop()
        self._dispatcher.stop()

    def wake(self) -> None:
        """Decide at once."""
        self._loop.wake()

    def on_request(self, child: str, request: object) -> None:
        """Take a child's ``energy_flow_request``."""
        try:
            self._inbox.request(child, request)
        except InputError as error:
            self._notices.raise_(f"input/{child}", str(error))

    def on_powermeter(self, powermeter: object) -> None:
        """Take the grid meter's ``powermeter``, and pass it on under this module's name."""
        try:
            reading = reading_of(powermeter, self._clock().monotonic_s)
        except MeterError as error:
            self._notices.raise_("input/powermeter", str(error))
            return
        assert isinstance(powermeter, dict)  # reading_of has refused anything else
        self._inbox.grid(reading, powermeter)
        self._publish("powermeter", "powermeter", powermeter)

    def on_prices(self, prices: object) -> None:
        """Take ``energy_pricing``."""
        try:
            self._inbox.prices(prices)
        except InputError as error:
            self._notices.raise_("input/prices", str(error))

    def on_external_limits(self, limits: object) -> None:
        """Take ``set_external_limits``: replaces what that command set before, and counts at once."""
        try:
            with self._limits_lock:
                self._limits.set(EVEREST_SOURCE, ExternalLimits.from_json(limits), self._clock())
        except LimitError as error:
            self._log.error(f"set_external_limits refused, the limits before stay in force: {error}")
            return
        self.wake()

    def on_enforce_limits(self, limits: object) -> None:
        """Take ``enforce_limits`` of the node above, in role node."""
        if not isinstance(limits, dict) or not is_node(limits):
            self._log.warning("enforce_limits without a uuid is ignored")
        elif isinstance(self._role, Node):
            self._role.enforce(limits)
        else:
            self._log.warning("enforce_limits is ignored: below another manager this needs role: node")

    def _step(self, now: Instant) -> None:
        self._role.step(now)
        self._notices.clear("step", "limits are computed again")

    def _on_failure(self, error: Exception) -> None:
        self._notices.raise_(
            "step",
            f"no limits are computed, those in force run out by themselves: {type(error).__name__}: {error}",
        )

    def _on_outcome(self, outcome: Outcome) -> None:
        if outcome.error:
            self._notices.raise_(f"call/{outcome.uuid}", f"{outcome.uuid}: limit not taken: {outcome.error}")
        else:
            self._notices.clear(f"call/{outcome.uuid}", f"{outcome.uuid}: takes limits again")

    def _external(self, now: Instant) -> ExternalLimits:
        with self._limits_lock:
            return self._limits.in_force(now)

    def _publish_request(self, request: dict[str, object]) -> None:
        self._publish("energy_grid", "energy_flow_request", request)
