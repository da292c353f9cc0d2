"""The module under test in real time: its bridge speaks Modbus on sockets and lines."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bsp.bridge import Bridge
from bsp.connector_registers import ConnectorStatus
from energy_management.measurement import Reading
from hil.live.lines import Link, ServedLine
from hil.live.stage import LiveStage
from hil.scenario.clock import SiteClock
from hil.scenario.machinery import VirtualBridge
from hil.scenario.module import LogLine, VirtualModule
from hil.scenario.scenario import Scenario


class LiveBridge(VirtualBridge):
    """A bridge that opens its lines when the one before it has closed them.

    Parameters
    ----------
    before : LiveBridge or None
        The one before.
    """

    def __init__(self, *args: Any, before: "LiveBridge | None", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._before = before

    def start(self) -> None:
        """Open the buses and start reading."""
        self._work_of_all = asyncio.get_running_loop().create_task(self._begin(), name="bridge")

    def stop(self) -> None:
        """Bring the connectors to their fallback, soon."""
        if self._stopping is None and self._work_of_all is not None:
            self._work_of_all.cancel()
        super().stop()

    async def ended(self) -> None:
        """Wait until it has stopped."""
        with contextlib.suppress(asyncio.CancelledError):
            await super().ended()

    async def _begin(self) -> None:
        if self._before is not None:
            await self._before.ended()
            self._before = None
        await self._main()


class LiveModule(VirtualModule):
    """One instance after the other, on real lines.

    Parameters
    ----------
    scenario, stage, clock, log, state_file
        As of `VirtualModule`.
    lines : mapping of str to ServedLine
        Those with simulated devices.
    links : mapping of str to link
        Where these are served.
    """

    def __init__(
        self,
        scenario: Scenario,
        stage: LiveStage,
        clock: SiteClock,
        log: LogLine,
        state_file: Path,
        *,
        lines: Mapping[str, ServedLine],
        links: Mapping[str, Link],
    ) -> None:
        super().__init__(scenario, stage, clock, log, state_file)
        self._plant = stage
        self.lines = lines
        self._site_file = replace(scenario.site, buses={**scenario.site.buses, **links})
        self._last: LiveBridge | None = None

    async def end(self) -> None:
        """Stop, and wait until every connector has its fallback, or does not answer."""
        self.stop()
        if self._last is not None:
            await self._last.ended()

    def _make_bridge(self, *args: Any, **kwargs: Any) -> Bridge:
        on_reading, on_status = kwargs["on_reading"], kwargs["on_status"]

        def reading_comes(name: str, reading: Reading) -> None:
            on_reading(name, self._plant.complete(name, reading))

        def status_comes(name: str, status: ConnectorStatus) -> None:
            self._plant.note_status(name, status)
            on_status(name, status)

        callbacks = {"on_reading": reading_comes, "on_status": status_comes}
        self._bridge = self._last = LiveBridge(*args, **{**kwargs, **callbacks}, before=self._last)
        return self._bridge
