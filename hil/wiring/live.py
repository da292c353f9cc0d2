"""The installation as it is: a meter and a charger on their buses."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from bsp.bus import Bus, Clock
from bsp.connector import Connector, ConnectorLimit
from bsp.connector_registers import ConnectorStatus, selected_phases
from bsp.device import Device
from bsp.meter import Meter
from bsp.phase_choice import phase_driver
from bsp.profile import ConnectorProfile, MeterProfile
from bsp.registers import Value
from bsp.transport import BusError
from hil.field.charger import read_status
from hil.field.session import open_bus
from hil.field.target import Link, Target
from hil.wiring.samples import PHASES, Charger, Sample

VALID_S = 15.0
"""A limit holds so long without being renewed: a check that hangs ends in the charger's fallback."""
SWITCHES_S = 180.0
"""Longest time for switching phases: pause, wait, contactor, and start again."""
_COUNTERS_EVERY_S = 5.0
_RESTORE_S = 10.0

Sleep = Callable[[float], Awaitable[None]]


class ChargerError(Exception):
    """The charger does not do what it must; the message says what."""


class LiveInstallation:
    """A meter, and perhaps a charger, read and driven as the bridge does it.

    Parameters
    ----------
    meter : Target
        The meter to check.
    charger : Target or None
        The charger whose car is stepped.
    buses : mapping of link to Bus
        A running bus for each link of the two.
    clock, sleep : callable
        Monotonic seconds, and waiting for some of them.
    """

    def __init__(
        self,
        meter: Target,
        charger: Target | None,
        buses: Mapping[Link, Bus],
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        assert isinstance(meter.profile, MeterProfile)
        device = Device(buses[meter.link], meter.unit, meter.profile)
        self._meter = Meter(device, meter.profile, clock, slow_every_s=_COUNTERS_EVERY_S)
        self._clock = clock
        self._sleep = sleep
        self._start_s = clock()
        self._limit_A: float | None = None
        self._phases: int | None = None
        self._phases_before = 3
        self._status: ConnectorStatus | None = None
        self._before: ConnectorStatus | None = None
        self._connector: Connector | None = None
        if charger is not None:
            assert isinstance(charger.profile, ConnectorProfile)
            self._profile = charger.profile
            self._charger_device = Device(
                buses[charger.link], charger.unit, charger.profile, base=charger.base
            )
            self._connector = Connector(
                self._charger_device,
                charger.profile,
                clock,
                maximum_A=math.inf if charger.maximum_A is None else charger.maximum_A,
                fallback_A=charger.fallback_A,
                phases=phase_driver(self._charger_device, charger.profile),
            )

    def now_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start_s

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        await self._sleep(seconds)

    async def sample(self) -> Sample:
        """Look at meter and charger, and renew the limit."""
        charger = await self._look_at_charger()
        try:
            await self._meter.poll()
            values: Mapping[str, float] | None = _numbers(self._meter.values)
        except BusError:
            values = None
        return Sample(self.now_s(), values, charger, self._limit_A, self._phases)

    async def order(self, limit_A: float, phases: int | None) -> None:
        """Give a limit, and bring the charger to a number of phases."""
        if self._before is None:
            self._before, sample = await read_status(self._charger_device, self._profile)
            self._phases_before = selected_phases(self._profile.phase_switching, sample.values) or 3
        must_switch = phases != self._phases
        self._limit_A, self._phases = limit_A, phases
        await self._look_at_charger()
        if must_switch and phases is not None and self._connector is not None:
            await self._until_switched(self._connector, phases)

    async def restore(self, at_most_A: float | None = None) -> None:
        """Give the charger the limit and phases it had, or less."""
        if self._before is None or self._connector is None:
            return
        before_A = self._before.limit_A or 0.0
        self._limit_A = before_A if at_most_A is None else min(before_A, at_most_A)
        bringing = asyncio.ensure_future(self._bring_back(self._connector))
        while not bringing.done():
            # To be told twice to stop must not leave the charger in the middle of the steps.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(bringing)
        bringing.result()

    async def _bring_back(self, connector: Connector) -> None:
        if self._phases is not None and self._phases != self._phases_before:
            self._phases = self._phases_before
            await self._until_switched(connector, self._phases_before)
        until_s = self._clock() + _RESTORE_S
        while self._clock() < until_s:
            charger = await self._look_at_charger()
            if charger is not None and connector.written_A == self._profile.limit_for(self._limit_A or 0.0):
                return
            await self._sleep(0.5)

    async def _until_switched(self, connector: Connector, phases: int) -> None:
        """Go through the cycles until the phases are switched."""
        switching, spec = connector.phases, self._profile.phase_switching
        until_s = self._clock() + SWITCHES_S + (spec.hold_off if spec is not None else 0.0)
        while switching is not None and (switching.is_under_way or switching.phases != phases):
            if switching.fault is not None:
                raise ChargerError(f"phase switching: {switching.fault}")
            if self._clock() > until_s:
                raise ChargerError(f"the charger does not go to {phases} phases")
            await self._look_at_charger()
            await self._sleep(0.5)

    async def _look_at_charger(self) -> Charger | None:
        if self._connector is None:
            return None
        try:
            if self._limit_A is None:
                status, sample = await read_status(self._charger_device, self._profile)
                return _charger(status, sample.values)
            self._connector.enforce(ConnectorLimit(self._limit_A, self._phases, VALID_S))
            status = await self._connector.cycle()
            _, sample = await read_status(self._charger_device, self._profile)
        except BusError:
            return None
        return _charger(status, sample.values)


@contextlib.asynccontextmanager
async def live_installation(
    meter: Target,
    charger: Target | None = None,
    *,
    clock: Clock = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[LiveInstallation]:
    """Open the buses of an installation until the end of the block."""
    links = {meter.link, *([charger.link] if charger is not None else [])}
    async with contextlib.AsyncExitStack() as stack:
        buses = {link: await stack.enter_async_context(open_bus(link, clock=clock)) for link in links}
        yield LiveInstallation(meter, charger, buses, clock=clock, sleep=sleep)


def _numbers(values: Mapping[str, Value]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _charger(status: ConnectorStatus, values: Mapping[str, Value]) -> Charger:
    numbers = _numbers(values)
    quantities = (
        {phase: numbers[f"{quantity}.{phase}"] for phase in PHASES if f"{quantity}.{phase}" in numbers}
        for quantity in ("current_A", "voltage_V")
    )
    current_A, voltage_V = quantities
    return Charger(status.state, current_A, voltage_V)
