"""The module under test, on virtual time: a whole `control.site.EnergySite` with its decisions and bridge."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bsp.bridge import Bridge
from bsp.transport import SerialLink, TcpLink
from control.dispatch import Dispatcher
from control.everest import Outside
from control.loop import ControlLoop
from control.manager import Decision
from control.meters import CONNECTED
from control.powermeter import powermeter_of
from control.settings import Settings, SettingsError
from control.site import EnergySite
from control.store.history import SessionRow, sessions
from control.workings import Workings
from hil.scenario.clock import SiteClock
from hil.scenario.everest_node import EverestNode
from hil.scenario.evse import Evse
from hil.scenario.machinery import HangsError, VirtualBridge, VirtualControlLoop, VirtualDispatcher
from hil.scenario.memory_line import MemoryLine
from hil.scenario.scenario import MODULE, Scenario
from hil.scenario.stage import Stage

CALL_TIMEOUT_S = 120.0
"""How long a call to a module takes that does not answer."""
PUBLISH_S = 1.0
LogLine = Callable[[str, str], None]


class Line(Protocol):
    """A bus that can be cut."""

    is_cut: bool


class VirtualModule:
    """One instance after the other, as it is killed and started again.

    Parameters
    ----------
    scenario : Scenario
        Site and settings.
    stage : Stage
        What it manages.
    clock : SiteClock
        Tells the time.
    log : callable
        Takes level and text of each line.
    state_file : Path or None
        What it keeps over a restart.

    Attributes
    ----------
    lines : mapping of str to Line
        The buses.
    has_powermeter : bool
        EVerest's is connected, when an instance starts.
    """

    def __init__(
        self, scenario: Scenario, stage: Stage, clock: SiteClock, log: LogLine, state_file: Path | None = None
    ) -> None:
        self._stage = stage
        self._clock = clock
        self.log = _Log(log)
        self._write = log
        self._has_trunk, self._problem = scenario.has_trunk, scenario.problem
        self.has_powermeter = scenario.has_powermeter
        links = scenario.site.buses
        self.lines: Mapping[str, Line] = {
            name: MemoryLine(stage.buses[name], link)
            for name, link in links.items()
            if isinstance(link, SerialLink | TcpLink)
        }
        self._site_file = replace(scenario.site, buses=self.lines)  # type: ignore[arg-type]
        config = dict(scenario.settings)
        if state_file is not None:
            config["state_file"] = str(state_file)
        self._settings = Settings.from_config(MODULE, config)
        everest = {name: evse for name, evse in stage.evses.items() if evse.manager is not None}
        behind = {name for node in scenario.everest_nodes.values() for name in node.evses}
        self._everest = {name: evse for name, evse in everest.items() if name not in behind}
        self._everest_nodes = {
            name: EverestNode(name, node.fuse, [everest[evse] for evse in node.evses])
            for name, node in scenario.everest_nodes.items()
        }
        self._site: EnergySite | None = None
        self._loop: VirtualControlLoop | None = None
        self._dispatcher: VirtualDispatcher | None = None
        self._bridge: VirtualBridge | None = None
        self._published_at_s: dict[str, float] = {}
        self._unheard: list[Callable[[], None]] = []

    @property
    def is_running(self) -> bool:
        """Whether there is an instance."""
        return self._site is not None

    @property
    def decision(self) -> Decision | None:
        """The last one of the running instance."""
        return self._site.decision if self._site else None

    @property
    def settles_in_s(self) -> float:
        """Time in which everybody has been heard once."""
        site = self._site_file
        periods = [meter.every_s for meter in site.bridged_meters.values()]
        periods += [connector.every_s for connector in site.bridged_connectors.values()]
        return max([PUBLISH_S, float(self._settings.engine.update_interval), *periods]) + 1.0

    def start(self) -> None:
        """Start an instance, if none is running."""
        if self._site is not None:
            return
        outside = Outside(
            {
                **{name: self._way(evse) for name, evse in self._everest.items()},
                **{name: self._way_through(node) for name, node in self._everest_nodes.items()},
            },
            _Everest(self._write),
            self.log,
            has_powermeter=self.has_powermeter,
            has_trunk=self._has_trunk,
        )
        workings = Workings(self._make_loop, self._make_dispatcher, self._make_bridge)
        try:
            if self._problem is not None:
                raise SettingsError(self._problem)
            self._site = EnergySite(self._settings, self._site_file, outside, self._clock, workings)
        except SettingsError as error:
            self._write("critical", str(error))
            return
        self._site.start()
        self._published_at_s.clear()
        unheard, self._unheard = self._unheard, []
        for call in unheard:
            call()

    def stop(self) -> None:
        """Stop it as EVerest does."""
        if self._site is not None:
            self._site.stop()
            self._forget()

    def kill(self) -> None:
        """Kill it: nothing is told to anybody."""
        if self._loop is not None:
            self._loop.stop()
        if self._dispatcher is not None:
            self._dispatcher.stop(0.0)
        if self._bridge is not None:
            self._bridge.kill()
        self._forget()

    async def end(self) -> None:
        """Stop it for good, and wait until every connector has its fallback, or does not answer."""
        bridge = self._bridge
        self.stop()
        if bridge is not None:
            await bridge.ended()

    def sessions(self) -> list[SessionRow]:
        """Read what the instances have written down of charging; nothing where they keep no state."""
        path = self._settings.state_file
        return sessions(path) if path is not None and path.exists() else []

    def publish(self, *, all_of_them: bool = False) -> None:
        """Have EVerest's EVSEs and its grid meter publish, those that are due."""
        if self._site is None:
            return
        for name, evse in self._everest.items():
            if evse.is_dead or not (all_of_them or evse.is_urgent or self._is_due(name)):
                continue
            self._published_at_s[name] = self._clock.now_s
            self._site.handlers.request(name, evse.request(self._clock().utc))
        for name, node in self._everest_nodes.items():
            if all_of_them or node.is_urgent or self._is_due(name):
                self._published_at_s[name] = self._clock.now_s
                self._site.handlers.request(name, node.request(self._stage.read_node(name), self._clock()))
        if self.has_powermeter and (all_of_them or self._is_due(CONNECTED)):
            self._published_at_s[CONNECTED] = self._clock.now_s
            now = self._clock()
            reading = replace(self._stage.read_node(MODULE), taken_at=now.monotonic_s)
            self._site.meters.on_powermeter(powermeter_of(reading, CONNECTED, now))

    def _is_due(self, name: str) -> bool:
        return self._clock.now_s - self._published_at_s.get(name, -1e9) >= PUBLISH_S - 1e-6

    def leap(self, seconds: float) -> None:
        """Go on after so much time in which nothing has changed."""
        if self._site is None or self._loop is None or self._dispatcher is None:
            self._clock.leap(seconds)
            return
        if self._bridge is not None:
            self._bridge.leap()
        self._clock.leap(seconds)
        self._dispatcher.leap(seconds)
        if self._bridge is not None:
            self._bridge.renew()
        self.publish(all_of_them=True)
        self._loop.put_off(self.settles_in_s)

    def damage_state(self) -> None:
        """Write something else into the state file."""
        path = self._settings.state_file
        if path is not None:
            for part in path.parent.glob(f"{path.name}-*"):
                part.unlink()
            path.write_bytes(b"no database" * 1000)

    def fail(self) -> Callable[[], None]:
        """Have every decision fail, as a defect would; gives what ends that."""
        loop = self._loop
        if loop is None:
            return lambda: None
        loop.is_failing = True
        return lambda: setattr(loop, "is_failing", False)

    def check(self) -> None:
        """Raise what should have ended nobody, if there is something."""
        if self._bridge is not None:
            self._bridge.check()

    def order(self, command: str, **args: Any) -> None:
        """Call a command of the control interface, again later if nobody is there; refusals are logged."""
        if self._site is None:
            self.log.warning(f"{command}: nobody is there, called again later")
            self._unheard.append(partial(self.order, command, **args))
            return
        answer = self._site.commands.call(command, args)
        if answer["status"] != "Accepted":
            self.log.error(f"{command}: {answer['message']}")

    def set_external_limits(self, limits: Mapping[str, Any]) -> None:
        """Call EVerest's command of that name, again later if nobody is there."""
        if self._site is None:
            self._unheard.append(partial(self.set_external_limits, limits))
            return
        self._site.handlers.external_limits(limits)

    @property
    def complaints(self) -> list[str]:
        """What the instance says is wrong at present."""
        return list(self._site.status()["degraded"]) if self._site is not None else []

    def explain(self, evse: str) -> str:
        """Ask why an EVSE has what it has."""
        if self._site is None:
            return ""
        return str(self._site.commands.call("explain", {"uuid": evse}).get("message", ""))

    def _forget(self) -> None:
        self._site = self._loop = self._dispatcher = self._bridge = None

    def _way(self, evse: Evse) -> Callable[[Mapping[str, Any]], None]:
        def send(limits: Mapping[str, Any]) -> None:
            if evse.is_dead:
                raise HangsError(CALL_TIMEOUT_S)
            if evse.refuses:
                raise RuntimeError("refused by the module")
            evse.enforce(limits)

        return send

    def _way_through(self, node: EverestNode) -> Callable[[Mapping[str, Any]], None]:
        """Way to a node of EVerest, which hands limits on to whom they are for."""
        ways = {evse.name: self._way(evse) for evse in node.evses}
        return lambda limits: ways[limits["uuid"]](limits)

    def _make_loop(self, *args: Any, **kwargs: Any) -> ControlLoop:
        self._loop = VirtualControlLoop(*args, **kwargs)
        return self._loop

    def _make_dispatcher(self, *args: Any, **kwargs: Any) -> Dispatcher:
        self._dispatcher = VirtualDispatcher(*args, **kwargs)
        return self._dispatcher

    def _make_bridge(self, *args: Any, **kwargs: Any) -> Bridge:
        self._bridge = VirtualBridge(*args, **kwargs)
        return self._bridge


class _Log(logging.Handler):
    """EVerest's log and that of the bridge in one."""

    def __init__(self, write: LogLine) -> None:
        super().__init__()
        self._write = write

    def debug(self, message: str, /) -> None:
        """Drop it."""

    def info(self, message: str, /) -> None:
        """Keep it."""
        self._write("info", message)

    def warning(self, message: str, /) -> None:
        """Keep it."""
        self._write("warning", message)

    def error(self, message: str, /) -> None:
        """Keep it."""
        self._write("error", message)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of the bridge."""
        self._write(record.levelname.lower(), record.getMessage())


class _Everest:
    """An EVerest that only listens: errors that are raised with it are lines of the log."""

    def __init__(self, write: LogLine) -> None:
        self._write = write

    def publish(self, implementation: str, variable: str, value: object) -> None:
        """Do nothing."""

    def raise_error(self, implementation: str, error_type: str, message: str, *more: str) -> None:
        """Note it."""
        self._write("error", " ".join(["raised", f"{implementation}:", error_type, *more, message]))

    def clear_error(self, implementation: str, error_type: str, *more: str) -> None:
        """Note it."""
        self._write("info", " ".join(["cleared", f"{implementation}:", error_type, *more]))
