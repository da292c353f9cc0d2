"""One module instance put together: what comes in, who decides, what goes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from control.branches import BranchKeeper
from control.bridged import Bridged
from control.clock import Clock, Instant, system_clock
from control.dispatch import Dispatcher, Outcome, Send
from control.external_limits import EVEREST_SOURCE, ExternalLimits, LimitError
from control.grid_meter import MeterError, powermeter_of, reading_of
from control.inbox import Inbox, InputError
from control.installation import installation
from control.loop import ControlLoop
from control.manager import Manager
from control.memory import Memory
from control.node import Node
from control.notices import Log, Notices
from control.orders import Orders
from control.schedules import JsonObject
from control.settings import Role, Settings, Wiring, check
from control.site_file import SiteFile
from control.state_store import StateStore
from control.tree import is_node
from energy_management import ManagerState
from energy_management.measurement import Reading

METER_FAULT = "powermeter/CommunicationFault"


class Everest(Protocol):
    """What the instance says to EVerest by itself."""

    def publish(self, implementation: str, variable: str, value: object) -> None:
        """Publish a variable."""

    def raise_error(self, implementation: str, error: str, message: str) -> None:
        """Raise an error of the implementation's interface, by its full name."""

    def clear_error(self, implementation: str, error: str) -> None:
        """Clear it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the instance is given to work with.

    Attributes
    ----------
    children : mapping of child to Send
        The energy trunk or the consumers, and how to call ``enforce_limits`` of each.
    everest : Everest
        Where to publish.
    log : Log
        EVerest's log.
    has_trunk : bool
        The one child is the trunk.
    has_powermeter : bool
        A grid meter is connected.
    """

    children: Mapping[str, Send]
    everest: Everest
    log: Log
    has_trunk: bool = False
    has_powermeter: bool = False


class EnergySite:
    """The running instance. Its ``on_`` methods take what EVerest hands over, from any thread; none raises.

    Parameters
    ----------
    settings : Settings
        Settings of the module.
    site_file : SiteFile or None
        The site, as far as EVerest's config has no place for it.
    outside : Outside
        The EVerest side.
    clock : Clock
        Tells the time.

    Raises
    ------
    SettingsError
        Settings, site file and connections do not go together.
    """

    def __init__(
        self, settings: Settings, site_file: SiteFile | None, outside: Outside, clock: Clock = system_clock
    ) -> None:
        place = installation(settings, site_file, has_powermeter=outside.has_powermeter)
        trunks = len(outside.children) if outside.has_trunk else 0
        connectors = len(site_file.connectors) if site_file else 0
        check(
            settings,
            Wiring(trunks, len(outside.children) - trunks, connectors),
            has_fuse=place.tree.root.fuse_limit_A is not None,
        )
        self._everest = outside.everest
        self._log = outside.log
        self._clock = clock
        self._notices = Notices(outside.log)
        self._own = place.tree
        self._grid_meter = site_file.grid.meter if site_file and site_file.grid else None
        self._orders = Orders(place.site.evses, place.reserves_A)
        self._memory = Memory(StateStore(settings.state_file, outside.log), self._orders, outside.log)
        state = self._memory.restore(clock())
        self._inbox = Inbox(clock, self.wake, place.tree.fuses_A)
        self._dispatcher = Dispatcher(lambda: clock().monotonic_s, on_outcome=self._on_outcome)
        self._bridged = self._bridge(site_file, place.measures) if site_file else None
        ways = {**outside.children, **(self._bridged.ways if self._bridged else {})}
        branches = BranchKeeper(
            self._inbox, ways, self._dispatcher.in_force, settings.child_timeout_s, self._notices
        )
        self._role: Manager | Node
        if settings.role is Role.NODE:
            self._role = Node(
                own=self._own,
                inbox=self._inbox,
                branches=branches,
                dispatcher=self._dispatcher,
                orders=self._orders,
                publish=self._publish_request,
            )
        else:
            self._role = Manager(
                own=self._own,
                config=settings.engine,
                site=place.site,
                state=state,
                inbox=self._inbox,
                branches=branches,
                dispatcher=self._dispatcher,
                orders=self._orders,
                notices=self._notices,
                is_above_trunk=outside.has_trunk,
            )
        self._loop = ControlLoop(self._step, settings.engine.update_interval, clock, self._on_failure)

    def start(self) -> None:
        """Begin to work. Only now may anything be published or called."""
        if capabilities := self._own.root.capabilities():
            self._everest.publish("external_limits", "capabilities", capabilities)
        if self._bridged:
            self._bridged.start()
        self._loop.start()

    def stop(self) -> None:
        """Stop in bounded time. No limit is sent any more; those in force run out by themselves."""
        self._loop.stop()
        self._dispatcher.stop()
        if self._bridged:
            self._bridged.stop()
        self._memory.close(self._clock(), self._allocation_state)

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
        self._inbox.reading(self._own.root.uuid, reading)
        self._use(powermeter)

    def on_prices(self, prices: object) -> None:
        """Take ``energy_pricing``."""
        try:
            self._inbox.prices(prices)
        except InputError as error:
            self._notices.raise_("input/prices", str(error))

    def on_external_limits(self, limits: object) -> None:
        """Take ``set_external_limits``: replaces what that command set before, and counts at once."""
        try:
            self._orders.set_limit(self._own.root.uuid, EVEREST_SOURCE, ExternalLimits.from_json(limits))
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

    def _bridge(self, site_file: SiteFile, measures: Mapping[str, tuple[str, ...]]) -> Bridged:
        return Bridged(
            site_file,
            measures,
            self._own.root.nominal_voltage_V,
            self._inbox,
            self._clock,
            on_reading=self._on_bridge_reading,
            on_meter_fault=self._on_meter_fault,
        )

    def _on_bridge_reading(self, meter: str, reading: Reading) -> None:
        if meter != self._grid_meter:
            return
        powermeter = powermeter_of(reading, meter, self._clock())
        if powermeter is None:
            self._notices.raise_(
                "meter/energy", f"meter {meter} counts no energy: not published as powermeter"
            )
        else:
            self._use(powermeter)

    def _use(self, powermeter: JsonObject) -> None:
        """Show the grid meter to the node above, and to whoever requires this module's powermeter."""
        self._inbox.usage(powermeter)
        self._everest.publish("powermeter", "powermeter", powermeter)

    def _on_meter_fault(self, meter: str, text: str | None) -> None:
        if text is None:
            self._notices.clear(f"meter/{meter}", f"meter {meter}: answers again")
        else:
            self._notices.raise_(f"meter/{meter}", f"meter {meter}: {text}")
        if meter == self._grid_meter and text is None:
            self._everest.clear_error("powermeter", METER_FAULT)
        elif meter == self._grid_meter and text is not None:
            self._everest.raise_error("powermeter", METER_FAULT, text)

    def _step(self, now: Instant) -> None:
        self._role.step(now)
        self._memory.keep(now, self._allocation_state)
        self._notices.clear("step", "limits are computed again")

    @property
    def _allocation_state(self) -> ManagerState | None:
        return self._role.state if isinstance(self._role, Manager) else None

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

    def _publish_request(self, request: JsonObject) -> None:
        self._everest.publish("energy_grid", "energy_flow_request", request)
