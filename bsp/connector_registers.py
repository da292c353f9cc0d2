"""What the registers of a connector mean, and what to write into them; asks and writes nothing itself."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bsp.charger_controls import PhaseSwitching
from bsp.device import Sample
from bsp.meter import reading
from bsp.profile import MEASURANDS, ConnectorProfile, State
from bsp.registers import Value
from energy_management.measurement import Reading, Vector3

CABLE = "cable_A"
"""Point of chargers that know what the plugged cable carries."""
DRAWING_A = 1.0
"""A phase with more current than this is in use."""


FaultKind = Literal["communication", "contactor", "overcurrent", "charger"]
"""No answer, a contact that does not obey or was opened for good, a car that draws too much, or other."""


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """What a connector does.

    Attributes
    ----------
    taken_at : float
        When it was read, in monotonic seconds.
    state : str
        IEC 61851: A no car, B connected, C and D charging, E and F error.
    current_A : Vector3 or None
        Per phase of the connector; NaN for a phase that is not measured.
    power_W, energy_Wh : float or None
        As measured.
    active_phases : int or None
        Phases in use while it charges, else those that it would use.
    limit_A : float or None
        Limit that the device holds, read back where it can be; if it does not answer, the highest of the last
        one that it took and those that it was sent since.
    fault : str or None
        What is wrong, in words.
    fault_kind : str
        Which kind of fault that is; "communication" if it does not answer, so that nothing is known of it.
    cable_A : float or None
        What the plugged cable carries, where the charger tells.
    note : str or None
        What is wrong, though it charges as it should.
    is_waking : bool
        The car does not draw, and may still begin: it has been offered current only just now.
    can_switch_phases : bool
        False if the charger cannot, as it is built and set up, or a lock or a fault of a contact forbids it.
    """

    taken_at: float
    state: State
    current_A: Vector3 | None = None
    power_W: float | None = None
    energy_Wh: float | None = None
    active_phases: int | None = None
    limit_A: float | None = None
    fault: str | None = None
    fault_kind: FaultKind = "charger"
    cable_A: float | None = None
    note: str | None = None
    is_waking: bool = False
    can_switch_phases: bool = True


class PointWrite(NamedTuple):
    """One value for one point, in the unit of the point."""

    point: str
    value: float


def connector_status(
    profile: ConnectorProfile, sample: Sample, measured: Reading | None = None
) -> ConnectorStatus:
    """Say what the values of a connector's points mean.

    Parameters
    ----------
    profile : ConnectorProfile
        Which connector it is.
    sample : Sample
        Values of the points that `status_reads` names.
    measured : Reading, optional
        What another meter measures, in place of the connector's own.
    """
    state = profile.state_of(dict(sample.values))
    measured = measured or reading(sample.values, sample.taken_at)
    fault = None
    if state is None:
        shown = ", ".join(f"{name} {sample.values.get(name)}" for name in profile.status_points)
        fault = f"unknown status: {shown}"
    elif state in ("E", "F"):
        fault = f"the charger reports state {state}"
    selected = selected_phases(profile.phase_switching, sample.values) or profile.phases
    drawing = phases_in_use(measured.current_A)
    return ConnectorStatus(
        taken_at=sample.taken_at,
        state=state or "F",
        current_A=measured.current_A,
        power_W=measured.total_power_W,
        energy_Wh=measured.energy_import_Wh,
        active_phases=drawing if state in ("C", "D") and drawing else selected,
        limit_A=held_limit(profile, sample.values),
        fault=fault,
        cable_A=cable_of(sample.values),
        can_switch_phases=profile.phase_switching is not None,
    )


def cable_of(values: Mapping[str, Value]) -> float | None:
    """Tell what the plugged cable carries, in ampere; None where the charger does not know."""
    value = values.get(CABLE)
    return float(value) if isinstance(value, int | float) else None


def phases_in_use(current_A: Vector3 | None) -> int:
    """Count the phases with current."""
    return sum(current > DRAWING_A for current in current_A or ())


def held_limit(profile: ConnectorProfile, values: Mapping[str, Value]) -> float | None:
    """Limit that the device shows, in ampere; None where it cannot be read."""
    enable = profile.enable
    if enable is not None and not profile.points[enable.point].readable:
        return None
    if enable is not None and values.get(enable.point) == enable.off:
        return 0.0
    held = [values.get(name) for name in profile.current_limit.points]
    numbers = [value / profile.per_ampere for value in held if isinstance(value, int | float)]
    return max(numbers) if numbers else None


def selected_phases(switching: PhaseSwitching | None, values: Mapping[str, Value]) -> int | None:
    """Phases that the device says to be switched to; None where it cannot say."""
    if switching is None:
        return None
    one = switching.one if switching.confirm_one is None else switching.confirm_one
    three = switching.three if switching.confirm_three is None else switching.confirm_three
    shown = values.get(switching.confirm or switching.point)
    return {one: 1, three: 3}.get(int(shown)) if isinstance(shown, int | float) else None


def limit_writes(profile: ConnectorProfile, current_A: float) -> Iterator[PointWrite]:
    """Say what to write for a limit that the device takes (see `ConnectorProfile.limit_for`); 0 pauses."""
    limit, enable = profile.current_limit, profile.enable
    if current_A == 0 and enable is not None:
        yield PointWrite(enable.point, enable.off)
    if current_A > 0 or limit.zero == "pause":
        for name in limit.points:
            yield PointWrite(name, _in_register_steps(profile, name, current_A))
    if current_A > 0 and enable is not None:
        yield PointWrite(enable.point, enable.on)


def phase_writes(switching: PhaseSwitching, phases: int) -> Iterator[PointWrite]:
    """Say what to write to charge on 1 or 3 phases."""
    yield from (PointWrite(name, value) for name, value in switching.first.items())
    yield PointWrite(switching.point, switching.one if phases == 1 else switching.three)
    yield from (PointWrite(name, value) for name, value in switching.trigger.items())


def status_reads(profile: ConnectorProfile) -> list[str]:
    """Name the points that status, limit, selected phases and measurement are in."""
    wanted = {*profile.status_points, *profile.current_limit.points, CABLE}
    if profile.enable is not None:
        wanted.add(profile.enable.point)
    if profile.phase_switching is not None:
        wanted.add(profile.phase_switching.confirm or profile.phase_switching.point)
    return [
        name
        for name, point in profile.points.items()
        if point.readable and (name in wanted or name.startswith(MEASURANDS))
    ]


def _in_register_steps(profile: ConnectorProfile, name: str, current_A: float) -> float:
    """Give a limit in the unit of its point, rounded down to what the register can say."""
    point, value = profile.points[name], current_A * profile.per_ampere
    if point.is_float:
        return value
    return math.floor(value / point.scale + 1e-6) * point.scale
