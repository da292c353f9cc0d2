"""The safe state of real chargers: paused, or at the current that the site file allows without a manager."""

import asyncio
from collections.abc import Callable, Mapping

from bsp.bus import Bus
from bsp.connector_registers import limit_writes
from bsp.device import Device
from bsp.profile import ConnectorProfile
from bsp.transport import BusError
from hil.field.charger import read_status
from hil.field.session import open_bus
from hil.field.target import Target

TRIES = 5
BETWEEN_S = 1.0
"""A charger may take so long to show a limit it was given."""
AT_MOST_S = 60.0


async def bring_to_safety(chargers: Mapping[str, Target], tell: Callable[[str], None]) -> list[str]:
    """Look at each charger, and bring it to its safe state if it is not there. No contactor is moved.

    Returns
    -------
    list of str
        Those of which it is not certain, and what to do.
    """
    found = {name: await _brought_to_safety(target) for name, target in chargers.items()}
    for name, (_, text) in found.items():
        tell(f"{name}: {text}")
    return [f"{name} {text}" for name, (is_safe, text) in found.items() if not is_safe]


async def _brought_to_safety(target: Target) -> tuple[bool, str]:
    try:
        return await asyncio.wait_for(_make_safe(target), AT_MOST_S)
    except (BusError, TimeoutError) as error:
        return False, f"does not answer ({error}): look at it, and switch it off by hand"


async def _make_safe(target: Target) -> tuple[bool, str]:
    async with open_bus(target.link) as bus:
        for attempt in range(TRIES):
            try:
                return await _look(target, bus, may_write=attempt < TRIES - 1)
            except _NotYetError:
                await asyncio.sleep(BETWEEN_S)
            except BusError:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(BETWEEN_S)
    raise AssertionError("the last look says what is")


class _NotYetError(Exception):
    """It was told, and has to be looked at again."""


async def _look(target: Target, bus: Bus, *, may_write: bool) -> tuple[bool, str]:
    profile = target.profile
    assert isinstance(profile, ConnectorProfile)
    device = Device(bus, target.unit, profile, base=target.base)
    safe_A = profile.limit_for(target.fallback_A)
    tolerance_A = max(profile.current_limit.step / 2, 0.01)
    status, _ = await read_status(device, profile)
    if status.limit_A is not None and status.limit_A <= safe_A + tolerance_A:
        return True, f"safe: limit {status.limit_A:g} A" if status.limit_A else "safe: paused"
    if status.limit_A is None and not may_write:
        return True, f"told {safe_A:g} A; it does not show its limit"
    if not may_write:
        return False, f"holds {status.limit_A:g} A and does not take {safe_A:g} A: switch it off by hand"
    for write in limit_writes(profile, safe_A):
        await device.write(write.point, write.value)
    raise _NotYetError


__all__ = ["bring_to_safety"]
