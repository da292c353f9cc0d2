"""The bridge: every bus, meter and connector of a site, in one event loop of its own thread.

One task owns each bus, one task each device; so a device that is slow or dead holds up nobody but itself.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import Any

from bsp.board import Board
from bsp.bridge_config import ConnectorConfig, ContactorConfig, MeterConfig, RelayConfig
from bsp.bus import Bus, Clock, DeviceStatistics
from bsp.connector import Connector, ConnectorLimit
from bsp.connector_registers import ConnectorStatus
from bsp.device import Device
from bsp.hub import HubCall, HubLink, HubTransport
from bsp.meter import Meter
from bsp.phase_choice import phase_driver
from bsp.phase_driver import PhaseActuator
from bsp.phase_terms import Memory
from bsp.relays import PhaseContactors, RelayBoard
from bsp.transport import BusError, DisconnectedError, ModbusTransport, SerialLink, TcpLink, Transport
from energy_management.measurement import Reading

__all__ = ["Bridge", "ConnectorConfig", "ContactorConfig", "MeterConfig", "RelayConfig"]

_log = logging.getLogger(__name__)

_FAILURES_TOLERATED = 2
"""Cycles without an answer after which a device counts as lost."""
_STOP_S = 3.0
"""How long stopping may take to bring the connectors to their fallback."""


class Bridge:
    """Reads the meters and drives the connectors of a site.

    The callbacks are called in the bridge's thread and must return at once.

    Parameters
    ----------
    buses : mapping of str to SerialLink, TcpLink, HubLink or Transport
        The lines by name.
    meters, connectors, relays : mapping
        The devices by name.
    on_reading : callable
        Called with a meter's name and each new reading; never with an old one.
    on_status : callable
        Called with a connector's name and each new status. One that does not answer has state F and a fault.
    on_meter_fault : callable, optional
        Called with a meter's name and a text when two cycles in a row have failed; with None when it is back.
    phase_memories : mapping of str to Memory
        What was kept of the connectors' phase switching before a restart.
    on_phase_memory : callable, optional
        Called with a connector's name and what is to be kept of its phase switching, whenever that changes.
        Its times are in the wall clock's seconds since 1970, as they must be in `phase_memories`.
    hub : callable, optional
        Calls a command of EVerest's serial hub, for buses that are its.
    boards : mapping of str to Board
        EVerest's boards by the name of their module.
    clock, utc : callable
        Monotonic seconds, and the wall clock's since 1970.

    Raises
    ------
    ValueError
        A bus is EVerest's serial hub, or a connector has one of its boards, and there is none.
    """

    def __init__(
        self,
        buses: Mapping[str, SerialLink | TcpLink | HubLink | Transport],
        meters: Mapping[str, MeterConfig],
        connectors: Mapping[str, ConnectorConfig],
        *,
        on_reading: Callable[[str, Reading], None],
        on_status: Callable[[str, ConnectorStatus], None],
        on_meter_fault: Callable[[str, str | None], None] = lambda _name, _text: None,
        relays: Mapping[str, RelayConfig] = MappingProxyType({}),
        phase_memories: Mapping[str, Memory] = MappingProxyType({}),
        on_phase_memory: Callable[[str, Memory], None] = lambda _name, _memory: None,
        hub: HubCall | None = None,
        boards: Mapping[str, Board] = MappingProxyType({}),
        clock: Clock = time.monotonic,
        utc: Clock = time.time,
    ) -> None:
        for name, link in buses.items():
            if isinstance(link, HubLink) and hub is None:
                raise ValueError(
                    f"bus '{name}' is EVerest's serial hub, but requirement 'serial_hub' is not connected"
                )
        for name, connector in connectors.items():
            if connector.board is not None and connector.board not in boards:
                raise ValueError(
                    f"connector '{name}': no module '{connector.board}' is connected as requirement 'bsp', "
                    f"connected: {', '.join(boards) or 'none'}"
                )
        self._hub = hub
        self._boards = boards
        self._kept_memories = dict(phase_memories)
        self._phase_memories: dict[str, Memory] = {}
        self._on_phase_memory = on_phase_memory
        self._links = buses
        self._meters = meters
        self._connectors = connectors
        self._relays = relays
        self._on_reading = on_reading
        self._on_status = on_status
        self._on_meter_fault = on_meter_fault
        self._clock = clock
        self._utc = utc
        self._readings: dict[str, Reading] = {}
        self._driven: dict[str, tuple[Connector, asyncio.Event]] = {}
        self._unconfirmed: dict[str, list[Future[None]]] = {name: [] for name in connectors}
        self._buses: Mapping[str, Bus] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="bridge", daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        """Open the buses and start reading."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Bring the connectors to their fallback, as far as they answer in time, and close the buses."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def enforce(self, name: str, limit: ConnectorLimit) -> Future[None]:
        """Limit a connector; thread-safe, returns at once.

        Returns
        -------
        Future
            Done when the charger has confirmed it, failed with a `BusError` when it has not: until then it
            may go by the limit before.

        Raises
        ------
        KeyError
            There is no connector of that name.
        """
        taken: Future[None] = Future()

        def order(connector: Connector) -> None:
            connector.enforce(limit)
            self._unconfirmed[name].append(taken)

        if not self._tell(name, order):
            taken.set_exception(DisconnectedError("the bridge does not run"))
        return taken

    def lock_phases(self, name: str, *, locked: bool) -> None:
        """Forbid to switch a connector's phases, or allow it again, while this process lives; thread-safe.

        Raises
        ------
        KeyError
            There is no connector of that name.
        """
        self._tell(name, lambda connector: connector.lock_phases(locked=locked))

    def reset_fault(self, name: str) -> None:
        """Clear a connector's latched faults, by order of a person who has looked at it; thread-safe.

        Raises
        ------
        KeyError
            There is no connector of that name.
        """
        self._tell(name, Connector.reset_fault)

    @property
    def statistics(self) -> dict[str, dict[int, DeviceStatistics]]:
        """What happened to the requests of each device, by bus and address; thread-safe, the counts go on."""
        return {name: dict(bus.devices) for name, bus in self._buses.items()}

    def _tell(self, name: str, order: Callable[[Connector], None]) -> bool:
        """Have a connector do something in the bridge's thread, and its next cycle begin at once.

        Returns
        -------
        bool
            Whether the bridge runs.
        """
        if name not in self._connectors:
            raise KeyError(f"unknown connector '{name}', known: {', '.join(self._connectors)}")

        def carry_out() -> None:
            connector, wake = self._driven[name]
            order(connector)
            wake.set()

        is_stopping = self._stopping is None or self._stopping.is_set()
        if self._loop is None or is_stopping or not self._thread.is_alive():
            return False
        self._loop.call_soon_threadsafe(carry_out)
        return True

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._buses = buses = {name: self._bus(name, link) for name, link in self._links.items()}
        owners = [asyncio.create_task(bus.run(), name=f"bus {name}") for name, bus in buses.items()]
        tasks = [asyncio.create_task(work, name=name) for name, work in self._work(buses)]
        self._ready.set()
        watch = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait([watch, *tasks, *owners], return_when=asyncio.FIRST_COMPLETED)
            await _cancel([watch, *tasks])
            await self._release()
        finally:
            await _cancel(owners)
            for told in self._unconfirmed.values():
                _resolve(told, DisconnectedError("the bridge was stopped"))
        for task in done - {watch}:
            task.result()  # a task never ends by itself but by a defect, which must be seen

    def _bus(self, name: str, link: SerialLink | TcpLink | HubLink | Transport) -> Bus:
        if isinstance(link, HubLink):
            assert self._hub is not None  # the constructor has made sure
            return Bus(
                name, HubTransport(self._hub), clock=self._clock, retries=0
            )  # the hub retries by itself
        transport = ModbusTransport(link) if isinstance(link, SerialLink | TcpLink) else link
        return Bus(name, transport, clock=self._clock)

    def _work(self, buses: Mapping[str, Bus]) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        work: list[tuple[str, Coroutine[Any, Any, None]]] = []
        boards = {
            name: RelayBoard(Device(buses[relay.bus], relay.unit, relay.profile), relay.profile)
            for name, relay in self._relays.items()
        }
        for name, meter in self._meters.items():
            device = Device(buses[meter.bus], meter.unit, meter.profile)
            work.append(
                (f"meter {name}", self._poll(name, Meter(device, meter.profile, self._clock), meter.every_s))
            )
        for name, config in self._connectors.items():
            connector = self._connector(name, config, buses[config.bus], boards)
            self._driven[name] = connector, asyncio.Event()
            work.append((f"connector {name}", self._drive(name, config.every_s)))
        return work

    def _connector(
        self, name: str, config: ConnectorConfig, bus: Bus, boards: Mapping[str, RelayBoard]
    ) -> Connector:
        device = Device(bus, config.unit, config.profile, base=config.profile.base(config.number))
        meter, ours = config.meter, config.contactors
        actuator: PhaseActuator | None = self._boards.get(config.board) if config.board is not None else None
        if ours is not None:
            actuator = PhaseContactors(boards[ours.board], ours.phases, ours.main, hold_off_s=ours.hold_off_s)
        kept = self._kept_memories.get(name)
        memory = kept.later(self._clock() - self._utc()) if kept is not None else None
        return Connector(
            device,
            config.profile,
            self._clock,
            maximum_A=config.maximum_A,
            fallback_A=config.fallback_A,
            measure=(lambda: self._readings.get(meter)) if meter is not None else None,
            phases=phase_driver(device, config.profile, actuator, memory, locked=config.phases_locked),
        )

    async def _poll(self, name: str, meter: Meter, every_s: float) -> None:
        """Read a meter for ever."""
        failures = 0
        due = asyncio.get_running_loop().time()
        while True:
            try:
                reading = await meter.poll()
            except BusError as error:
                failures += 1
                if failures == _FAILURES_TOLERATED:
                    _log.warning("meter %s: %s", name, error)
                    self._on_meter_fault(name, str(error))
            else:
                if failures >= _FAILURES_TOLERATED:
                    _log.info("meter %s answers again", name)
                    self._on_meter_fault(name, None)
                failures = 0
                self._readings[name] = reading
                self._on_reading(name, reading)
            due = max(due + every_s, asyncio.get_running_loop().time())
            await asyncio.sleep(due - asyncio.get_running_loop().time())

    async def _drive(self, name: str, every_s: float) -> None:
        """Keep a connector at its limit and read its status for ever."""
        connector, wake = self._driven[name]
        failures = 0
        while True:
            wake.clear()
            told, self._unconfirmed[name] = self._unconfirmed[name], []
            try:
                status = await connector.cycle()
            except BusError as error:
                _resolve(told, error)
                failures += 1
                if failures == _FAILURES_TOLERATED:
                    _log.warning("connector %s: %s", name, error)
                if failures >= _FAILURES_TOLERATED:
                    self._on_status(name, connector.unheard(error))
            else:
                if failures >= _FAILURES_TOLERATED:
                    _log.info("connector %s answers again", name)
                failures = 0
                _resolve(told)
                self._on_status(name, status)
            self._keep_phase_memory(name, connector)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), every_s)

    def _keep_phase_memory(self, name: str, connector: Connector) -> None:
        memory = connector.phases.memory if connector.phases is not None else None
        if memory is not None and memory != self._phase_memories.get(name):
            self._phase_memories[name] = memory
            self._on_phase_memory(name, memory.later(self._utc() - self._clock()))

    async def _release(self) -> None:
        """Bring every connector to its fallback, as far as it answers in time."""
        for connector, _ in self._driven.values():
            connector.release()
        cycles = [asyncio.create_task(connector.cycle()) for connector, _ in self._driven.values()]
        if cycles:
            await asyncio.wait(cycles, timeout=_STOP_S)
            await _cancel(cycles)


def _resolve(told: list[Future[None]], error: BusError | None = None) -> None:
    """Tell who has given limits whether the charger has confirmed them."""
    for taken in told:
        if error is None:
            taken.set_result(None)
        else:
            taken.set_exception(error)


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
