"""A charger's connector read without writing anything, and what would have to be written to it."""

import math
from collections.abc import Mapping

from bsp.connector_registers import (
    DRAWING_A,
    ConnectorStatus,
    PointWrite,
    connector_status,
    limit_writes,
    phase_writes,
    status_reads,
)
from bsp.device import Device, Sample
from bsp.profile import ConnectorProfile
from bsp.registers import Value


class NotPossibleError(ValueError):
    """The charger cannot do, or must not be told, what was asked for; the message says why."""


async def read_status(device: Device, profile: ConnectorProfile) -> tuple[ConnectorStatus, Sample]:
    """Read a connector's status without writing anything.

    Returns
    -------
    tuple
        The status, and the values that it was made of.

    Raises
    ------
    BusError
        It gave no answer.
    """
    switching = profile.phase_switching
    conditions = switching.available_if if switching is not None else ()
    sample = await device.read([*status_reads(profile), *conditions])
    return connector_status(profile, sample), sample


def writes_for_current(profile: ConnectorProfile, current_A: float) -> list[PointWrite]:
    """Say what has to be written for a limit; 0 pauses.

    Raises
    ------
    NotPossibleError
        The device takes no such limit.
    """
    limit = profile.current_limit
    if current_A != 0 and not profile.least_A <= current_A <= limit.maximum:
        raise NotPossibleError(
            f"{current_A:g} A is not possible: this charger takes {profile.least_A:g} A "
            f"to {limit.maximum:g} A, or a pause"
        )
    return list(limit_writes(profile, profile.limit_for(current_A)))


def writes_for_phases(
    profile: ConnectorProfile, phases: int, now: ConnectorStatus, values: Mapping[str, Value]
) -> list[PointWrite]:
    """Say what has to be written to charge on one or three phases.

    A charger that only moves its contactor, without sequencing it, is told so only while nothing flows: a
    contactor that moves under load welds, and can destroy the car's charger.

    Raises
    ------
    NotPossibleError
        The device cannot switch, or must not now.
    """
    switching = profile.phase_switching
    if switching is None:
        raise NotPossibleError("this charger cannot be switched between one and three phases by Modbus")
    if phases not in (1, 3):
        raise NotPossibleError(f"--phases must be 1 or 3, not {phases}")
    for name, allowed in switching.available_if.items():
        if values.get(name) not in allowed:
            raise NotPossibleError(
                f"this charger says that it cannot switch phases ({name} is {values.get(name)})"
            )
    if switching.sequenced_by == "manager":
        _refuse_under_load(now)
    return list(phase_writes(switching, phases))


def _refuse_under_load(now: ConnectorStatus) -> None:
    if now.state in ("C", "D"):
        raise NotPossibleError(
            "this charger moves its contactor at once, and the car is charging: pause it first (--pause)"
        )
    current_A = [0.0 if math.isnan(value) else value for value in now.current_A or ()]
    if max(current_A, default=0.0) >= DRAWING_A:
        raise NotPossibleError(
            f"this charger moves its contactor at once, and {max(current_A):.1f} A flow: wait until they stop"
        )
