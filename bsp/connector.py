"""A charger's connector: its status, and a current limit that runs out when nobody renews it."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bsp.bus import Clock, Priority
from bsp.device import Device, Sample
from bsp.meter import reading
from bsp.overdraw import OVERDRAW_S, OverdrawGuard
from bsp.phase_driver import PhaseDriver
from bsp.phase_registers import PhaseRegisters
from bsp.phase_switch import Memory, Seen
from bsp.profile import MEASURANDS, ConnectorProfile, State
from bsp.registers import Value
from bsp.relays import PhaseContactors
from bsp.transport import BusError, RefusedError
from energy_management.measurement import Reading, Vector3

_log = logging.getLogger(__name__)

NOMINAL_VOLTAGE_V = 230.0
"""Voltage by which limits are converted for devices that take a power."""
_DRAWING_A = 1.0
"""A phase with more current than this is in use."""
_STALE_READING_S = 5.0
_MISMATCHES_TOLERATED = 2
"""Cycles that a device may take to show a limit it was given."""


@dataclass(frozen=True, slots=True)
class ConnectorLimit:
    """What a connector may draw, and for how long.

    Attributes
    ----------
    current_A : float
        Per phase; below the minimum of the device it means pause.
    phases : int or None
        Phases to charge on; None leaves them as they are.
    valid_for_s : float
        After this time without a newer limit the fallback current holds.
    """

    current_A: float
    phases: int | None = None
    valid_for_s: float = 10.0


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
        Limit that the device holds, read back where it can be; if it does not answer, the last one it took.
    fault : str or None
        What is wrong, in words.
    can_switch_phases : bool
        False if the charger cannot, as it is built and set up, or a fault of a contact forbids it.
    """

    taken_at: float
    state: State
    current_A: Vector3 | None = None
    power_W: float | None = None
    energy_Wh: float | None = None
    active_phases: int | None = None
    limit_A: float | None = None
    fault: str | None = None
    can_switch_phases: bool = True


class Connector:
    """One connector of a charger on a bus.

    It is driven by calling `cycle` about every second, and at once after `enforce`. Whatever the device
    offers to notice a dead manager is armed, and fed only while a limit is valid: feeding stops when the
    control loop stops. (Of a device that any traffic feeds, the limit itself is brought to the fallback.)

    Parameters
    ----------
    device : Device
        The charger on its bus.
    profile : ConnectorProfile
        What its registers mean.
    clock : callable
        Monotonic seconds.
    maximum_A : float
        Highest limit that is ever written, whatever is enforced.
    fallback_A : float
        Limit while none is valid; 0 pauses.
    measure : callable, optional
        Newest reading of a meter that measures this connector, in place of its own measurement.
    contactors : PhaseContactors, optional
        Contactors of ours that switch its phases.
    phase_memory : Memory, optional
        What was kept of its phase switching before a restart.
    overdraw_s : float
        How long it may draw more than its limit before it is paused.

    Attributes
    ----------
    phases : PhaseDriver or None
        Its phase switching, if it has any.
    """

    def __init__(
        self,
        device: Device,
        profile: ConnectorProfile,
        clock: Clock,
        *,
        maximum_A: float = math.inf,
        fallback_A: float = 0.0,
        measure: Callable[[], Reading | None] | None = None,
        contactors: PhaseContactors | None = None,
        phase_memory: Memory | None = None,
        overdraw_s: float = OVERDRAW_S,
    ) -> None:
        self._device = device
        self._profile = profile
        self._clock = clock
        self._maximum_A = maximum_A
        self._fallback_A = fallback_A
        self._measure = measure
        self._limit: ConnectorLimit | None = None
        self._valid_until = -math.inf
        self._armed = False
        self._written_A: float | None = None
        self._write_again = True
        self._fed_at = -math.inf
        self._mismatches = 0
        self._guard = OverdrawGuard(overdraw_s)
        self.phases = _phase_driver(device, profile, contactors, phase_memory)
        self._names = [
            name
            for name, point in profile.points.items()
            if point.readable
            and (
                name.startswith(MEASURANDS) or name in profile.status_points or name in self._control_points()
            )
        ]

    @property
    def limit_is_valid(self) -> bool:
        """Whether the last enforced limit still holds."""
        return self._clock() < self._valid_until

    @property
    def wanted_A(self) -> float:
        """Limit that the device should hold now, as the device can take it.

        It is 0 while phases are being switched, while the car is on more phases than it was granted, and from
        when it has drawn too much until it leaves.
        """
        must_pause = self.phases is not None and self.phases.must_pause
        if must_pause or self._is_on_too_many_phases or self._guard.fault is not None:
            return 0.0
        wanted_A = (
            self._limit.current_A if self._limit is not None and self.limit_is_valid else self._fallback_A
        )
        return self._profile.limit_for(min(wanted_A, self._maximum_A))

    @property
    def written_A(self) -> float | None:
        """Limit that the device took last, or None."""
        return self._written_A

    def enforce(self, limit: ConnectorLimit) -> None:
        """Take a new limit; the next `cycle` writes it."""
        self._limit = limit
        self._valid_until = self._clock() + limit.valid_for_s

    def release(self) -> None:
        """Forget the limit, so that the next `cycle` brings the fallback."""
        self._valid_until = -math.inf

    async def cycle(self) -> ConnectorStatus:
        """Write what is due, read the status, and make sure that the device holds its limit.

        Raises
        ------
        BusError
            The device gave no answer or refused its status.
        """
        try:
            if self._write_again or self._written_A != self.wanted_A:
                await self._write_limit(self.wanted_A)
            if not self._armed:
                await self._arm()
            await self._feed()
            sample = await self._device.read(self._names)
            await self._switch_phases(sample)
        except RefusedError:
            raise
        except BusError:
            # It may come back after a power cut, with factory settings.
            self._armed = False
            self._write_again = True
            raise
        held_A = self._held_limit(sample.values)
        fault = self._verify(held_A) or self._overdraw(sample)
        if self.phases is not None and self.phases.fault is not None:
            fault = self.phases.fault
        return self._status(sample.values, sample.taken_at, held_A, fault)

    async def _arm(self) -> None:
        """Bring the device's settings and its watchdog to where they must be.

        A setting that the device refuses is logged and left: it must not keep limits from being written.
        """
        settings: dict[str, float] = dict(self._profile.setup)
        watchdog = self._profile.watchdog
        if watchdog is not None and watchdog.fallback_point is not None:
            fallback_A = self._profile.limit_for(self._fallback_A)
            settings[watchdog.fallback_point] = fallback_A * self._per_ampere
        if watchdog is not None and watchdog.timeout_point is not None:
            settings[watchdog.timeout_point] = watchdog.timeout
        for name, value in settings.items():
            try:
                await self._ensure(name, value)
            except RefusedError as error:
                _log.warning(
                    "unit %d on bus %s: '%s' %s", self._device.unit, self._device.bus.name, name, error
                )
        self._armed = True

    async def _ensure(self, name: str, value: float) -> None:
        """Write a setting unless the device has it already: settings may live in flash memory."""
        if self._profile.points[name].readable:
            sample = await self._device.read([name], priority=Priority.SETPOINT)
            held = sample.values[name]
            if isinstance(held, int | float) and math.isclose(held, value, abs_tol=1e-6):
                return
        await self._device.write(name, value)

    async def _write_limit(self, current_A: float) -> None:
        limit, enable = self._profile.current_limit, self._profile.enable
        if current_A == 0 and enable is not None:
            await self._device.write(enable.point, enable.off)
        if current_A > 0 or limit.zero == "pause":
            for name in limit.points:
                await self._device.write(name, self._in_register_steps(name, current_A))
        if current_A > 0 and enable is not None:
            await self._device.write(enable.point, enable.on)
        self._written_A = current_A
        self._write_again = False
        self._fed_at = self._clock()

    def _in_register_steps(self, name: str, current_A: float) -> float:
        """Give a limit in the unit of its point, rounded down to what the register can say."""
        point, value = self._profile.points[name], current_A * self._per_ampere
        if (point.type or "").startswith("float"):
            return value
        return math.floor(value / point.scale + 1e-6) * point.scale

    async def _feed(self) -> None:
        """Feed the watchdog if that is due, and only while the control loop renews its limits."""
        watchdog = self._profile.watchdog
        if watchdog is None or watchdog.feed == "traffic" or not self.limit_is_valid:
            return
        if watchdog.feed == "write" and watchdog.point is not None:
            if self._clock() - self._fed_at >= watchdog.feed_every_s:
                await self._device.write(watchdog.point, watchdog.value)
                self._fed_at = self._clock()
        elif self._clock() - self._fed_at >= watchdog.feed_every_s:
            await self._write_limit(self.wanted_A)

    @property
    def _is_on_too_many_phases(self) -> bool:
        limit = self._limit
        if self.phases is None or limit is None or limit.phases is None or not self.limit_is_valid:
            return False
        return self.phases.can_switch and self.phases.phases > limit.phases

    async def _switch_phases(self, sample: Sample) -> None:
        """Bring the connector to the phases it was granted, one step of the sequence in each cycle."""
        if self.phases is not None:
            granted = self._limit.phases if self._limit is not None and self.limit_is_valid else None
            await self.phases.cycle(self._clock(), sample.values, self._seen(sample), granted)

    def _seen(self, sample: Sample) -> Seen:
        measured = self._measured(sample.values, sample.taken_at)
        currents = [current for current in measured.current_A or () if not math.isnan(current)]
        return Seen(
            at=min(measured.taken_at, sample.taken_at),
            state=self._profile.state_of(dict(sample.values)) or "F",
            current_A=max(currents, default=None),
            drawing=sum(current > _DRAWING_A for current in currents),
        )

    def _overdraw(self, sample: Sample) -> str | None:
        seen = self._seen(sample)
        limit_A = self._written_A if self._written_A is not None else math.inf
        is_connected = seen.state != "A"
        return self._guard.watch(
            seen.at, current_A=seen.current_A, limit_A=limit_A, is_connected=is_connected
        )

    def _held_limit(self, values: Mapping[str, Value]) -> float | None:
        """Limit that the device shows; None where it cannot be read."""
        enable = self._profile.enable
        if enable is not None and not self._profile.points[enable.point].readable:
            return None
        if enable is not None and values.get(enable.point) == enable.off:
            return 0.0
        held = [values.get(name) for name in self._profile.current_limit.points]
        numbers = [value / self._per_ampere for value in held if isinstance(value, int | float)]
        return max(numbers) if numbers else None

    def _verify(self, held_A: float | None) -> str | None:
        """Compare what the device holds with what it was told; where that differs, have it written again."""
        tolerance_A = max(self._profile.current_limit.step / 2, 0.01)
        if held_A is None or self._written_A is None or abs(held_A - self._written_A) <= tolerance_A:
            self._mismatches = 0
            return None
        self._write_again = True
        self._mismatches += 1
        if self._mismatches < _MISMATCHES_TOLERATED:
            return None
        return f"does not take its limit: {self._written_A:g} A written, {held_A:g} A read back"

    def _status(
        self, values: Mapping[str, Value], taken_at: float, held_A: float | None, fault: str | None
    ) -> ConnectorStatus:
        state = self._profile.state_of(dict(values))
        if state is None:
            shown = ", ".join(f"{name} {values.get(name)}" for name in self._profile.status_points)
            fault = f"unknown status: {shown}"
        elif state in ("E", "F"):
            fault = fault or f"the charger reports state {state}"
        measured = self._measured(values, taken_at)
        return ConnectorStatus(
            taken_at=taken_at,
            state=state or "F",
            current_A=measured.current_A,
            power_W=measured.total_power_W,
            energy_Wh=measured.energy_import_Wh,
            active_phases=self._active_phases(state, measured.current_A),
            limit_A=held_A if held_A is not None else self._written_A,
            fault=fault,
            can_switch_phases=self.phases is not None and self.phases.can_switch,
        )

    def _measured(self, values: Mapping[str, Value], taken_at: float) -> Reading:
        """Tell what is measured, by the connector's meter if it has one that is alive, or else by itself."""
        external = self._measure() if self._measure is not None else None
        if external is not None and self._clock() - external.taken_at <= _STALE_READING_S:
            return external
        return reading(values, taken_at)

    def _active_phases(self, state: State | None, current_A: Vector3 | None) -> int:
        drawing = sum(current > _DRAWING_A for current in current_A or ())
        is_under_way = self.phases is not None and self.phases.is_under_way
        if state in ("C", "D") and drawing and not is_under_way:
            return drawing
        return self._profile.phases if self.phases is None else self.phases.phases

    def _control_points(self) -> list[str]:
        enable = self._profile.enable
        phases = self.phases.actuator.points if self.phases is not None else []
        return [*self._profile.current_limit.points, *([enable.point] if enable is not None else []), *phases]

    @property
    def _per_ampere(self) -> float:
        """Units of the limit register per ampere."""
        per_phase = NOMINAL_VOLTAGE_V * self._profile.phases
        return per_phase if self._profile.current_limit.unit == "W" else 1.0


def _phase_driver(
    device: Device, profile: ConnectorProfile, contactors: PhaseContactors | None, memory: Memory | None
) -> PhaseDriver | None:
    """Give what switches the phases: contactors of ours or, without these, registers of the charger."""
    if contactors is not None:
        return PhaseDriver(contactors, profile.phases, memory)
    if profile.phase_switching is None:
        return None
    registers = PhaseRegisters(device, profile, profile.phase_switching)
    return PhaseDriver(registers, profile.phases, memory)
