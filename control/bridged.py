"""Meters and connectors of the bridge, as children and readings like all others."""

from collections.abc import Callable, Mapping
from functools import partial

from bsp.board import Board
from bsp.bridge import Bridge
from bsp.bus import DeviceStatistics
from bsp.connector import ConnectorLimit
from bsp.connector_registers import DRAWING_A, ConnectorStatus, FaultKind
from bsp.hub import HubCall
from bsp.leaf import Capabilities, energy_flow_request
from bsp.phase_switch import Memory
from bsp.transport import BusError
from control.clock import Clock
from control.dispatch import Send
from control.inbox import Inbox
from control.schedules import JsonObject
from control.settings import SettingsError
from control.site_file import SiteFile
from control.tree import held
from energy_management.measurement import Reading
from energy_management.result import KEPT

_TAKEN_WITHIN_S = 5.0
"""How long to wait for a charger to confirm a limit."""
_DOES_NOT_ANSWER = "does not answer"
"""Why not, the bridge has logged."""


class NotTakenError(Exception):
    """A charger has not confirmed a limit, and may go by the one before."""


class Bridged:
    """Runs the bridge of a site, and speaks for its connectors as their EvseManager would.

    Parameters
    ----------
    site_file : SiteFile
        Buses, meters and connectors.
    measures : mapping of meter to uuids
        Which nodes and EVSEs each meter measures.
    nominal_voltage_V : float
        Converts watts of a limit into amperes.
    on_reading : callable
        Called with a meter's name and each reading, beside the inbox.
    on_meter_fault : callable
        Called with a meter's name and what is wrong with it; None when it is well again.
    on_fault : callable
        Called with each status of a connector: its name, the kind of fault, and what is wrong or None.
    phases : mapping of connector to Memory
        What was kept of the phase contactors.
    on_phases : callable
        Called with what is to be kept of them.
    hub : HubCall or None
        Calls EVerest's serial hub.
    boards : mapping of module to Board
        EVerest's boards.
    keeps_phases : bool
        Limits leave phases as they are, unless one on their number allows fewer.
    make : callable or None
        Makes the bridge; None is the one of `bsp`.

    Raises
    ------
    SettingsError
        A bus is EVerest's serial hub, which is not connected.
    """

    def __init__(
        self,
        site_file: SiteFile,
        measures: Mapping[str, tuple[str, ...]],
        nominal_voltage_V: float,
        inbox: Inbox,
        clock: Clock,
        *,
        on_reading: Callable[[str, Reading], None],
        on_meter_fault: Callable[[str, str | None], None],
        on_fault: Callable[[str, FaultKind, str | None], None],
        phases: Mapping[str, Memory],
        on_phases: Callable[[str, Memory], None],
        hub: HubCall | None,
        boards: Mapping[str, Board],
        keeps_phases: bool = False,
        make: Callable[..., Bridge] | None = None,
    ) -> None:
        self._connectors = site_file.bridged_connectors
        self._boards = boards
        self._keeps_phases = keeps_phases
        self._measures = measures
        self._nominal_voltage_V = nominal_voltage_V
        self._inbox = inbox
        self._clock = clock
        self._on_reading_too = on_reading
        self._on_fault = on_fault
        self._states: dict[str, str] = {}
        try:
            self._bridge = (make or Bridge)(
                site_file.buses,
                site_file.bridged_meters,
                site_file.bridged_connectors,
                on_reading=self._on_reading,
                on_status=self._on_status,
                on_meter_fault=on_meter_fault,
                relays=site_file.bridged_relays,
                phase_memories=phases,
                on_phase_memory=on_phases,
                hub=hub,
                boards=boards,
                clock=lambda: clock().monotonic_s,
                utc=self._utc_s,
            )
        except ValueError as error:
            raise SettingsError(str(error)) from error

    @property
    def ways(self) -> dict[str, Send]:
        """Way to each connector."""
        return {name: self._way(name) for name in self._connectors}

    @property
    def resets(self) -> dict[str, Callable[[], None]]:
        """What clears the latched faults of each connector, by order of a person who has looked at it."""
        return {name: partial(self._bridge.reset_fault, name) for name in self._connectors}

    @property
    def statistics(self) -> Mapping[str, Mapping[int, DeviceStatistics]]:
        """What happened to the requests of each device, by bus and address."""
        return self._bridge.statistics

    def start(self) -> None:
        """Open the buses."""
        self._bridge.start()

    def stop(self) -> None:
        """Bring the connectors to their fallback and close the buses."""
        self._bridge.stop()

    def _utc_s(self) -> float:
        return self._clock().utc.timestamp()

    def _way(self, name: str) -> Send:
        def send(limits: JsonObject) -> None:
            root = limits["limits_root_side"]
            phases = root.get("ac_max_phase_count")
            limit = ConnectorLimit(
                self._amperes(root, name),
                phases["value"] if phases else None,
                limits["valid_for"],
                phases_are_limited=phases is not None and self._are_limited(name, phases),
            )
            taken = self._bridge.enforce(name, limit)
            try:
                taken.result(_TAKEN_WITHIN_S)
            except (BusError, TimeoutError) as error:
                raise NotTakenError("the charger has not confirmed it") from error

        return send

    def _are_limited(self, name: str, phases: JsonObject) -> bool:
        """Whether a connector is kept from more phases by a limit alone."""
        are_fewer = phases["value"] < self._connectors[name].capabilities.max_phase_count
        return self._keeps_phases and are_fewer and phases["source"] != KEPT

    def _amperes(self, limits: JsonObject, name: str) -> float:
        """Amperes per phase that the limit comes to; export, or none given, is 0 as for EvseManager."""
        amperes = limits["ac_max_current_A"]["value"] if "ac_max_current_A" in limits else 0.0
        capabilities = self._capabilities(name)
        amperes = min(amperes, capabilities.cable_A)
        if "total_power_W" in limits:
            phases = limits.get("ac_max_phase_count", {}).get("value", capabilities.max_phase_count)
            amperes = min(amperes, limits["total_power_W"]["value"] / (self._nominal_voltage_V * phases))
        return max(0.0, float(amperes))

    def _capabilities(self, name: str) -> Capabilities:
        """Tell what a connector can do, with its board if EVerest drives that."""
        config = self._connectors[name]
        own = config.capabilities
        return self._boards[config.board].narrow(own) if config.board is not None else own

    def _on_reading(self, meter: str, reading: Reading) -> None:
        for uuid in self._measures.get(meter, ()):
            self._inbox.reading(uuid, reading)
        self._on_reading_too(meter, reading)

    def _on_status(self, name: str, status: ConnectorStatus) -> None:
        request = energy_flow_request(
            name, self._capabilities(name), status, self._clock().utc_of(status.taken_at)
        )
        # EvseManager asks for priority when a car comes or goes; here every change of state does.
        request["priority_request"] = self._states.get(name) != status.state
        self._states[name] = status.state
        is_lost = status.fault is not None and status.fault_kind == "communication"
        text = _DOES_NOT_ANSWER if is_lost else status.fault or status.note
        self._on_fault(name, status.fault_kind, text)
        self._inbox.request(name, _of_faulty(request, status) or request)
        if status.current_A is not None:
            self._inbox.reading(
                name,
                Reading(
                    status.taken_at,
                    status.current_A,
                    total_power_W=status.power_W,
                    energy_import_Wh=status.energy_Wh,
                ),
            )


def _of_faulty(request: JsonObject, status: ConnectorStatus) -> JsonObject | None:
    """Request of a connector with a fault for what it may still draw, if that is anything."""
    drawn_A = _still_drawn_A(status)
    if not drawn_A:
        return None
    limit = {"value": drawn_A, "source": f"{request['uuid']} {status.fault}"}
    return held(request, {request["uuid"]: {"ac_max_current_A": limit}})


def _still_drawn_A(status: ConnectorStatus) -> float:
    """Amperes that flow, or may, though a fault has the connector disabled."""
    if status.fault is None:
        return 0.0
    if status.fault_kind == "communication":
        return status.limit_A or 0.0
    held_A = status.limit_A or 0.0 if status.state in ("B", "C", "D") else 0.0
    measured = [current for current in status.current_A or () if current >= DRAWING_A]
    return max([held_A, *measured])
