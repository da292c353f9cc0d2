"""The safe state of real chargers: paused, or at the current that the site file allows without a manager."""

import asyncio
from collections.abc import Callable, Mapping

from bsp.connector_registers import limit_writes
from bsp.device import Device
from bsp.profile import ConnectorProfile
from bsp.transport import BusError
from hil.field.charger import read_status
from hil.field.session import open_bus
from hil.field.target import Target

TRIES = 3
SHOWS_S = 1.0
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
    profile = target.profile
    assert isinstance(profile, ConnectorProfile)
    safe_A = profile.limit_for(target.fallback_A)
    async with open_bus(target.link) as bus:
        device = Device(bus, target.unit, profile, base=target.base)
        for told_A in (None, *[safe_A] * TRIES, *[0.0] * TRIES):  # if it takes no limit, it may take a pause
            try:
                if told_A is not None:
                    for write in limit_writes(profile, told_A):
                        await device.write(write.point, write.value)
                    await asyncio.sleep(SHOWS_S)
                held_A = (await read_status(device, profile))[0].limit_A
            except BusError as error:
                trouble: BusError | None = error
                await asyncio.sleep(SHOWS_S)
                continue
            trouble = None
            if held_A is not None and held_A <= safe_A + max(profile.step_A / 2, 0.01):
                return True, f"safe: limit {held_A:g} A" if held_A else "safe: paused"
            if held_A is None and told_A is not None:
                return True, f"told {told_A:g} A; it does not show its limit"
    if trouble is not None:
        raise trouble
    return False, f"holds {held_A:g} A and does not take {safe_A:g} A: switch it off by hand"


__all__ = ["bring_to_safety"]
