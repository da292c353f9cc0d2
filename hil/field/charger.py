"""A charger's connector read without writing anything, and what would have to be written to it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bsp.connector import NOMINAL_VOLTAGE_V, ConnectorStatus
from bsp.device import Device, Sample
from bsp.meter import reading
from bsp.profile import MEASURANDS, ConnectorProfile, PhaseSwitching
from bsp.registers import Value

DRAWING_A = 1.0
"""A phase with more current than this is in use."""


class NotPossibleError(ValueError):
    """The charger cannot do, or must not be told, what was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Write:
    """One value for one point, in the unit of the point."""

    point: str
    value: float


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
    sample = await device.read(_points(profile))
    return status(profile, sample), sample


def status(profile: ConnectorProfile, sample: Sample) -> ConnectorStatus:
    """Say what the values of a connector's points mean."""
    state = profile.state_of(dict(sample.values))
    measured = reading(sample.values, sample.taken_at)
    fault = None
    if state is None:
        fault = "unknown status: " + ", ".join(f"{n} {sample.values.get(n)}" for n in profile.status_points)
    elif state in ("E", "F"):
        fault = f"the charger reports state {state}"
    drawing = sum(current > DRAWING_A for current in measured.current_A or ())
    selected = selected_phases(profile, sample.values) or profile.phases
    return ConnectorStatus(
        taken_at=sample.taken_at,
        state=state or "F",
        current_A=measured.current_A,
        power_W=measured.total_power_W,
        energy_Wh=measured.energy_import_Wh,
        active_phases=drawing if state in ("C", "D") and drawing else selected,
        limit_A=held_limit(profile, sample.values),
        fault=fault,
    )


def held_limit(profile: ConnectorProfile, values: Mapping[str, Value]) -> float | None:
    """Limit that the device shows, in ampere; None where it cannot be read."""
    enable = profile.enable
    if enable is not None and values.get(enable.point) == enable.off:
        return 0.0
    held = [values.get(name) for name in profile.current_limit.points]
    numbers = [value / _per_ampere(profile) for value in held if isinstance(value, int | float)]
    return max(numbers) if numbers else None


def selected_phases(profile: ConnectorProfile, values: Mapping[str, Value]) -> int | None:
    """Phases that the device says to be switched to; None where it cannot say."""
    switching = profile.phase_switching
    if switching is None:
        return None
    if switching.confirm is not None:
        meanings = {switching.confirm_one: 1, switching.confirm_three: 3}
        shown = values.get(switching.confirm)
    else:
        meanings = {switching.one: 1, switching.three: 3}
        shown = values.get(switching.point)
    return meanings.get(int(shown)) if isinstance(shown, int | float) else None


def writes_for_current(profile: ConnectorProfile, current_A: float) -> list[Write]:
    """Say what has to be written for a limit; 0 pauses.

    Raises
    ------
    NotPossibleError
        The device takes no such limit.
    """
    limit = profile.current_limit
    if current_A != 0 and not limit.minimum <= current_A <= limit.maximum:
        raise NotPossibleError(
            f"{current_A:g} A is not possible: this charger takes {limit.minimum:g} A "
            f"to {limit.maximum:g} A, or a pause"
        )
    return list(_limit_writes(profile, profile.limit_for(current_A)))


def writes_for_phases(
    profile: ConnectorProfile, phases: int, now: ConnectorStatus, values: Mapping[str, Value]
) -> list[Write]:
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
    return list(_phase_writes(switching, phases))


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


def _phase_writes(switching: PhaseSwitching, phases: int) -> Iterator[Write]:
    yield from (Write(name, value) for name, value in switching.first.items())
    yield Write(switching.point, switching.one if phases == 1 else switching.three)
    yield from (Write(name, value) for name, value in switching.trigger.items())


def _limit_writes(profile: ConnectorProfile, current_A: float) -> Iterator[Write]:
    limit, enable = profile.current_limit, profile.enable
    if current_A == 0 and enable is not None:
        yield Write(enable.point, enable.off)
    if current_A > 0 or limit.zero == "pause":
        for name in limit.points:
            yield Write(name, _in_register_steps(profile, name, current_A))
    if current_A > 0 and enable is not None:
        yield Write(enable.point, enable.on)


def _in_register_steps(profile: ConnectorProfile, name: str, current_A: float) -> float:
    """Give a limit in the unit of its point, rounded down to what the register can say."""
    point, value = profile.points[name], current_A * _per_ampere(profile)
    if (point.type or "").startswith("float"):
        return value
    return math.floor(value / point.scale + 1e-6) * point.scale


def _points(profile: ConnectorProfile) -> list[str]:
    wanted = {*profile.status_points, *profile.current_limit.points}
    if profile.enable is not None:
        wanted.add(profile.enable.point)
    switching = profile.phase_switching
    if switching is not None:
        wanted |= {switching.point, *switching.available_if}
        wanted |= {switching.confirm} if switching.confirm is not None else set()
    return [
        name
        for name, point in profile.points.items()
        if point.readable and (name in wanted or name.startswith(MEASURANDS))
    ]


def _per_ampere(profile: ConnectorProfile) -> float:
    """Units of the limit register per ampere."""
    return NOMINAL_VOLTAGE_V * profile.phases if profile.current_limit.unit == "W" else 1.0
