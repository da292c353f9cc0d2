"""Stand-ins at the edge of the bridge: a clock that tests move, a charging point that does as it is told."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from bsp.bus import Bus
from bsp.device import Device
from bsp.profile import Profile
from bsp.transport import ModbusTransport, SerialLink, TcpLink
from energy_management.measurement import Reading, Vector3
from tests.patience import WITHIN_S

T = TypeVar("T")


class VirtualClock:
    """Monotonic seconds that stand still until the test moves them."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class Point:
    """A charging point whose car draws exactly its limit."""

    def __init__(self, state: str = "C", voltage_V: Vector3 = (230.0, 231.0, 232.0)) -> None:
        self.state = state
        self.voltage_V = voltage_V
        self.energy_Wh = 5432.0
        self.limit_A: float | None = None
        self.phases = 3

    @property
    def current_A(self) -> Vector3:
        draw = self.limit_A or 0.0 if self.state == "C" else 0.0
        return (draw, draw if self.phases == 3 else 0.0, draw if self.phases == 3 else 0.0)

    def set_limit(self, current_A: float) -> None:
        self.limit_A = current_A

    def set_phases(self, phases: int) -> None:
        self.phases = phases


class House:
    """Something to measure."""

    def __init__(self) -> None:
        self.reading = Reading(
            taken_at=0.0,
            current_A=(10.5, 2.25, 4.0),
            voltage_V=(230.0, 231.5, 229.0),
            power_W=(2415.0, -520.0, 916.0),
            total_power_W=2811.0,
            energy_import_Wh=123_000.0,
            energy_export_Wh=45_000.0,
            frequency_Hz=50.0,
        )

    def __call__(self) -> Reading:
        return self.reading


def on_bus(
    link: SerialLink | TcpLink,
    profile: Profile,
    unit: int,
    work: Any,
    clock: VirtualClock | None = None,
    base: int = 0,
) -> Any:
    """Run ``work(device)`` with a device on a running bus."""

    async def main() -> Any:
        bus = Bus("bus", ModbusTransport(link), clock=clock or time.monotonic)
        owner = asyncio.create_task(bus.run())
        try:
            return await work(Device(bus, unit, profile, base=base))
        finally:
            owner.cancel()
            await asyncio.gather(owner, return_exceptions=True)

    return run(main())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, but not for ever."""
    return asyncio.run(asyncio.wait_for(work, WITHIN_S))


class Heard:
    """What a callback was called with, and a way to wait for it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._changed = threading.Condition()

    def __call__(self, name: str, value: Any) -> None:
        with self._changed:
            self.calls.append((name, value))
            self._changed.notify_all()

    def wait_for(self, condition: Any, timeout_s: float = WITHIN_S) -> Any:
        """Wait until a call from now on, or the last one, fulfils the condition; give its value."""
        found: list[Any] = []

        def seen() -> bool:
            found.extend(value for name, value in self.calls[self._from :] if condition(name, value))
            self._from = len(self.calls)
            return bool(found)

        with self._changed:
            self._from = max(len(self.calls) - 1, 0)
            assert self._changed.wait_for(seen, timeout_s), (
                f"not within {timeout_s} s; last: {self.calls[-2:]}"
            )
        return found[0]

    _from = 0
