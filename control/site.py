"""One module instance put together: what comes in, who decides, what goes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from control.branches import BranchKeeper
from control.broker import Broker
from control.clock import Clock, Instant, system_clock
from control.commands import Commands
from control.connector_faults import ConnectorFaults
from control.dispatch import Outcome
from control.everest import Outside
from control.handlers import Handlers
from control.inbox import Inbox
from control.installation import Installation, installation
from control.manager import Decision, Manager
from control.memory import Memory, Restored
from control.meters import Meters
from control.node import Node
from control.notices import Notices
from control.observers import Observers
from control.orders import Orders
from control.schedules import JsonObject
from control.sessions import Sessions, granted_A
from control.settings import Role, Settings, Wiring, check
from control.states import SiteStates
from control.store import Store
from control.suggestions import Suggestions
from control.tree import Rating, evse_uuids, hardware_ratings, rating_of_fuse
from control.workings import IN_THREADS, Workings
from energy_management.modes import FROM_SURPLUS

if TYPE_CHECKING:
    from bsp.phase_switch import Memory as PhaseMemory
    from control.bridged import Bridged
    from control.site_file import SiteFile


class EnergySite:
    """The running instance.

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
    workings : Workings
        How the parts are made that run by themselves.

    Attributes
    ----------
    handlers : Handlers
        Take what EVerest hands over.
    meters : Meters
        Take the connected power meter.
    commands : Commands
        Take what is ordered through the control interface.

    Raises
    ------
    SettingsError
        Settings, site file and connections do not go together.
    """

    def __init__(
        self,
        settings: Settings,
        site_file: SiteFile | None,
        outside: Outside,
        clock: Clock = system_clock,
        workings: Workings = IN_THREADS,
    ) -> None:
        place = installation(settings, site_file, has_powermeter=outside.has_powermeter)
        check(settings, _wiring(outside, site_file), has_fuse=place.tree.root.fuse_limit_A is not None)
        own = place.tree.root.uuid
        self._everest = outside.everest
        self._clock = clock
        self._workings = workings
        self._own = place.tree
        self._has_root_meter = place.knows_surplus
        self._notices = Notices(outside.log)
        self._orders = Orders(place.site.evses, place.reserves_A, on_change=self.wake, floor=place.floor)
        self._store = Store(settings.state_file, outside.log, self._notices)
        self._sessions = Sessions(self._store, clock())
        self._memory = Memory(self._store, self._orders, outside.log)
        restored = self._memory.restore(clock())
        is_node = settings.role is Role.NODE
        self._inbox = Inbox(clock, self.wake, place.tree.fuses_A, hands_on=is_node)
        self._dispatcher = workings.dispatcher(lambda: clock().monotonic_s, on_outcome=self._on_outcome)
        name = site_file.grid.meter if site_file and site_file.grid else None
        self.meters = Meters(
            own,
            name,
            place.stale_after_s,
            inbox=self._inbox,
            everest=outside.everest,
            notices=self._notices,
            clock=clock,
        )
        self._bridged = (
            self._bridge(settings, site_file, place, restored, outside)
            if site_file and site_file.buses
            else None
        )
        self._role = self._play(settings, place, restored, outside)
        node = self._role if isinstance(self._role, Node) else None
        self.handlers = Handlers(
            own,
            self._inbox,
            self._orders,
            node,
            outside.log,
            notices=self._notices,
            external_limits_dim=settings.external_limits_dim,
        )
        self.commands = Commands(
            orders=self._orders,
            clock=clock,
            ratings=self._ratings,
            evses=self._evses,
            decides=node is None,
            knows_surplus=self._knows_surplus,
            fuses_A=place.tree.fuses_A,
            explain=self._role.explain,
            status=self.status,
            resets=self._bridged.resets if self._bridged else {},
        )
        self._suggestions = Suggestions(
            lambda: self._orders.evses, site_file.connectors if site_file else {}, outside.log
        )
        self._states = SiteStates(
            lambda: self._role.decision,
            self._role.explain,
            self.meters,
            self._notices,
            lambda: self._suggestions.lines,
            decides=node is None,
        )
        self._observers = Observers(
            settings,
            outside,
            broker=_broker(outside.broker, site_file),
            states=self._states,
            commands=self.commands,
            statistics=lambda: self._bridged.statistics if self._bridged else {},
            notices=self._notices,
            clock=clock,
        )
        self._loop = workings.loop(self.step, settings.engine.update_interval, clock, self._on_failure)

    def start(self) -> None:
        """Begin to work. Only now may anything be published or called."""
        if capabilities := self._own.root.capabilities():
            self._everest.publish("external_limits", "capabilities", capabilities)
        if self._bridged:
            self._bridged.start()
        self._loop.start()
        self._observers.start()

    def stop(self) -> None:
        """Stop in bounded time. No limit is sent any more; those in force run out by themselves."""
        self._loop.stop()
        self._dispatcher.stop()
        if self._bridged:
            self._bridged.stop()
        self._observers.stop()
        self._sessions.close()
        self._memory.close(self._clock(), self._role.state)
        self._store.close()

    def wake(self) -> None:
        """Decide at once."""
        self._loop.wake()

    def _play(
        self, settings: Settings, place: Installation, restored: Restored, outside: Outside
    ) -> Manager | Node:
        ways = {**outside.children, **(self._bridged.ways if self._bridged else {})}
        branches = BranchKeeper(
            self._inbox, ways, self._dispatcher.in_force, settings.child_timeout_s, self._notices
        )
        if settings.role is Role.NODE:
            return Node(
                own=place.tree,
                inbox=self._inbox,
                branches=branches,
                dispatcher=self._dispatcher,
                orders=self._orders,
                publish=self._publish_request,
                clock=self._clock,
            )
        return Manager(
            own=place.tree,
            config=place.engine,
            site=place.site,
            state=restored.allocation,
            inbox=self._inbox,
            branches=branches,
            dispatcher=self._dispatcher,
            orders=self._orders,
            notices=self._notices,
            is_above_trunk=outside.has_trunk,
            log=outside.log.debug,
        )

    def _bridge(
        self,
        settings: Settings,
        site_file: SiteFile,
        place: Installation,
        restored: Restored,
        outside: Outside,
    ) -> Bridged:
        from control.bridged import Bridged  # noqa: PLC0415 - 14 MB that a site without buses does without

        return Bridged(
            site_file,
            place.measures,
            place.tree.root.nominal_voltage_V,
            self._inbox,
            self._clock,
            on_reading=self.meters.on_bridge_reading,
            on_meter_fault=self.meters.on_bridge_fault,
            on_fault=ConnectorFaults(self._notices, self._everest if outside.has_control else None).note,
            phases=_phases(settings, restored.phases),
            on_phases=self._on_phases,
            hub=outside.serial_hub,
            boards=outside.boards,
            keeps_phases=_keeps_phases(settings),
            make=self._workings.bridge,
        )

    def step(self, now: Instant) -> float:
        """Run one control step, as the loop does; for tests, without the loop running.

        Returns the monotonic second by which the next one is due.
        """
        self.meters.check(now)
        self._role.step(now)
        self._memory.keep(now, self._role.state)
        decision = self._role.decision
        limits = decision.limits if decision else ()
        modes = {uuid: attributes.mode for uuid, attributes in self._orders.evses.items()}
        self._sessions.follow(self._inbox.snapshot(), now, granted_A=granted_A(limits), modes=modes)
        self._notices.clear("step", "limits are computed again")
        if decision:
            self.meters.doubt(decision.request["uuid"], dict(decision.report.complaints))
            self._notices.keep_only("sun/", self._without_sun(decision), "has what its mode needs again")
            self._suggestions.learnt(decision.report.learnt_rotations)
            self._observers.on_decision(decision, self._role.state)
        return min(self._role.due_s, self._orders.next_expiry(now))

    def _knows_surplus(self) -> bool:
        """Whether a meter of the root shows what the sun leaves over; that of a trunk is in its request."""
        decision = self.decision
        return self._has_root_meter or (
            decision is not None and decision.request["uuid"] in decision.readings
        )

    def _without_sun(self, decision: Decision) -> dict[str, str]:
        """Say who was ordered a mode that needs the sun while a meter showed it, as before a restart.

        The mode stays. It gives no more than its minimum then, and a car must not charge with all there is
        because a meter is gone.
        """
        if self._knows_surplus():
            return {}
        modes = {limits["uuid"]: decision.modes.get(limits["uuid"]) for limits in decision.limits}
        return {uuid: _no_sun(uuid, mode) for uuid, mode in modes.items() if mode in FROM_SURPLUS}

    def _on_phases(self, connector: str, memory: PhaseMemory) -> None:
        self._memory.note_phases(connector, memory)
        self.wake()

    def _on_failure(self, error: Exception) -> None:
        self._notices.raise_(
            "step",
            f"no limits are computed, those in force run out by themselves: {type(error).__name__}: {error}",
        )

    def _on_outcome(self, outcome: Outcome) -> None:
        self._observers.on_outcome(outcome)
        if outcome.error:
            self._notices.raise_(f"call/{outcome.uuid}", f"{outcome.uuid}: limit not taken: {outcome.error}")
        else:
            self._notices.clear(f"call/{outcome.uuid}", f"{outcome.uuid}: takes limits again")
            if self._role.waits_for(outcome.uuid):
                self.wake()

    def _ratings(self) -> Mapping[str, Rating]:
        """Tell what each node and EVSE of the tree is good for."""
        voltage_V = self._own.root.nominal_voltage_V
        ratings = {uuid: rating_of_fuse(fuse_A, voltage_V) for uuid, fuse_A in self._own.fuses_A.items()}
        for heard in self._inbox.snapshot().children.values():
            ratings.update(hardware_ratings(heard.request, voltage_V))
        return ratings

    def _evses(self) -> list[str]:
        """Uuids of the EVSEs of the tree."""
        children = self._inbox.snapshot().children.values()
        return [uuid for heard in children for uuid in evse_uuids(heard.request)]

    @property
    def decision(self) -> Decision | None:
        """The last one; None before the first."""
        return self._role.decision

    def status(self) -> JsonObject:
        """Tell how the last decision went, as a ``Status``."""
        return self._states.status(self._clock())

    def _publish_request(self, request: JsonObject) -> None:
        self._everest.publish("energy_grid", "energy_flow_request", request)


def _no_sun(uuid: str, mode: str | None) -> str:
    has = "its minimum" if mode == "minpv" else "nothing"
    return (
        f"{uuid}: mode {mode} gives it {has}, no meter tells of a surplus any more: "
        "name one as grid.meter, connect powermeter, or order another mode"
    )


def _broker(everest: Broker, site_file: SiteFile | None) -> Broker:
    own = site_file.broker if site_file else None
    return own.completed(everest) if own else everest


def _phases(settings: Settings, kept: Mapping[str, PhaseMemory]) -> Mapping[str, PhaseMemory]:
    """Tell what was kept of phase contactors, without orders of one phase where nobody orders three now."""
    if not _keeps_phases(settings):
        return kept
    return {name: replace(memory, home=None) if memory.home == 1 else memory for name, memory in kept.items()}


def _keeps_phases(settings: Settings) -> bool:
    """Whether nobody ever orders more phases: a manager in mode Never leaves those that are in use."""
    return settings.role is Role.MANAGER and settings.engine.switch_3ph1ph_while_charging_mode == "Never"


def _wiring(outside: Outside, site_file: SiteFile | None) -> Wiring:
    trunks = int(outside.has_trunk)  # one at most
    connectors, nodes = (len(site_file.connectors), len(site_file.nodes)) if site_file else (0, 0)
    return Wiring(trunks, len(outside.children) - trunks, connectors, nodes)
