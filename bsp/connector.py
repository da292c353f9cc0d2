"""A charger's connector: its status, and a current limit that runs out when nobody renews it."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from bsp.bus import Clock, Priority
from bsp.connector_registers import (
    ConnectorStatus,
    FaultKind,
    cable_of,
    connector_status,
    limit_writes,
    phases_in_use,
    status_reads,
)
from bsp.device import Device, Sample
from bsp.meter import reading
from bsp.overdraw import OverdrawGuard
from bsp.phase_driver import PhaseDriver
from bsp.phase_terms import Seen
from bsp.profile import ConnectorProfile
from bsp.transport import BusError, RefusedError
from bsp.waking import Waking
from energy_management.measurement import Reading

__all__ = ["Connector", "ConnectorLimit", "ConnectorStatus"]

_log = logging.getLogger(__name__)

_STALE_READING_S = 5.0
_MISMATCHES_TOLERATED = 2
"""Cycles that a device may take to show a limit it was given."""
_MISSES_TOLERATED = 2
"""Cycles in a row without a look at the contacts after which that is told."""


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
    phases_are_limited : bool
        Only a limit keeps it from more phases: when it is gone, it goes back to those of before by itself.
    """

    current_A: float
    phases: int | None = None
    valid_for_s: float = 10.0
    phases_are_limited: bool = False


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
    phases : PhaseDriver, optional
        Its phase switching, if it has any.
    guard : OverdrawGuard, optional
        Notices when it draws more than its limit.

    Attributes
    ----------
    phases : PhaseDriver or None
        Its phase switching.
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
        phases: PhaseDriver | None = None,
        guard: OverdrawGuard | None = None,
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
        self._may_hold_A: float | None = None
        self._write_again = True
        self._fed_at = -math.inf
        self._mismatches = 0
        self._cable_A = math.inf
        self._unseen = 0
        self._unseen_why = ""
        self._guard = guard or OverdrawGuard()
        self._waking = Waking()
        self.phases = phases
        self._names = status_reads(profile)

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
        return self._profile.limit_for(min(wanted_A, self._maximum_A, self._cable_A))

    @property
    def written_A(self) -> float | None:
        """Limit that the device took last, or None."""
        return self._written_A

    def enforce(self, limit: ConnectorLimit) -> None:
        """Take a new limit; the next `cycle` writes it."""
        self._limit = limit
        self._valid_until = self._clock() + limit.valid_for_s

    def lock_phases(self, *, locked: bool) -> None:
        """Forbid to switch phases, or allow it again."""
        if self.phases is not None:
            self.phases.lock(locked=locked)

    def reset_fault(self) -> None:
        """Clear latched faults, by order of a person who has looked; contacts are brought to one phase."""
        self._guard.reset()
        if self.phases is not None:
            self.phases.reset(self._clock())

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
        except RefusedError:
            raise
        except BusError:
            # It may come back after a power cut, with factory settings.
            self._armed = False
            self._write_again = True
            await self._watch_unheard()
            raise
        cable_A = cable_of(sample.values)
        self._cable_A = math.inf if cable_A is None else cable_A
        self._watch(sample)
        await self._switch_phases(sample)
        return self._status(sample)

    def unheard(self, error: BusError) -> ConnectorStatus:
        """Say what is known of a connector that does not answer: what it may hold, what its meter shows."""
        if self._guard.fault is None:
            return ConnectorStatus(
                self._clock(), "F", limit_A=self._may_hold_A, fault=str(error), fault_kind="communication"
            )
        kind, fault = self._latched_fault()
        measured = self._external()
        drawn_A = _highest(measured) if measured is not None else None
        held_A = max(self._may_hold_A or 0.0, drawn_A or 0.0)
        return ConnectorStatus(self._clock(), "C", limit_A=held_A, fault=f"{fault}; {error}", fault_kind=kind)

    async def read(self) -> ConnectorStatus:
        """Read the status and write nothing, to whatever the device holds.

        Raises
        ------
        BusError
            The device gave no answer or refused its status.
        """
        sample = await self._device.read(self._names)
        return connector_status(self._profile, sample, self._external())

    async def _arm(self) -> None:
        """Bring the device's settings and its watchdog to where they must be.

        A setting that the device refuses is logged and left: it must not keep limits from being written.
        """
        settings: dict[str, float] = dict(self._profile.setup)
        watchdog = self._profile.watchdog
        if watchdog is not None and watchdog.fallback_point is not None:
            fallback_A = self._profile.limit_for(self._fallback_A)
            settings[watchdog.fallback_point] = fallback_A * self._profile.per_ampere
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
        # Until all of it is confirmed the device may hold a part of it, or all: answers get lost, too.
        self._write_again = True
        self._may_hold_A = max(self._may_hold_A or 0.0, current_A)
        for write in limit_writes(self._profile, current_A):
            await self._device.write(write.point, write.value)
        self._written_A = self._may_hold_A = current_A
        self._write_again = False
        if self._profile.watchdog is not None and self._profile.watchdog.feed == "limit":
            self._fed_at = self._clock()

    async def _feed(self) -> None:
        """Feed the watchdog if that is due, and only while the control loop renews its limits."""
        watchdog = self._profile.watchdog
        if watchdog is None or watchdog.feed == "traffic" or not self.limit_is_valid:
            return
        if watchdog.feed == "write" and watchdog.point is not None:
            if watchdog.timeout < self._clock() - self._fed_at < math.inf:
                self._write_again = True  # it has fallen back meanwhile, which not every device shows
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
        if self.phases is None:
            return
        if self._guard.ignores_pause is not None:
            self.phases.cut_off(self._clock(), self._guard.ignores_pause)
        limit = self._limit if self._limit is not None and self.limit_is_valid else ConnectorLimit(0.0)
        try:
            await self.phases.cycle(
                self._clock(),
                sample.values,
                self._seen(sample),
                limit.phases,
                is_limited=limit.phases_are_limited,
            )
        except BusError as error:
            # Contacts that rest may do so unseen; what the charger says is good all the same.
            if self.phases.is_under_way or self.phases.must_pause:
                raise
            self._unseen_why = self._unseen_why if self._unseen else str(error)
            self._unseen += 1
        else:
            self._unseen = 0

    @property
    def _note(self) -> str | None:
        is_unseen = self._unseen >= _MISSES_TOLERATED
        return f"cannot switch phases: {self._unseen_why}" if is_unseen else None

    def _seen(self, sample: Sample) -> Seen:
        measured = self._external() or reading(sample.values, sample.taken_at)
        return Seen(
            at=min(measured.taken_at, sample.taken_at),
            state=self._profile.state_of(dict(sample.values)) or "F",
            current_A=_highest(measured),
            drawing=phases_in_use(measured.current_A),
        )

    def _watch(self, sample: Sample) -> None:
        """Look whether the car keeps to its limit."""
        seen = self._seen(sample)
        limit_A = self._written_A if self._written_A is not None else math.inf
        self._guard.watch(seen.at, current_A=seen.current_A, limit_A=limit_A, is_connected=seen.state != "A")

    async def _watch_unheard(self) -> None:
        """Watch the car by the connector's own meter while the charger is silent.

        It cannot be paused then, so that one that draws too much is cut off when a pause would have ended it.
        """
        measured = self._external()
        if measured is None:
            return
        limit_A = math.inf if self._may_hold_A is None else self._may_hold_A
        self._guard.watch(
            measured.taken_at,
            current_A=_highest(measured),
            limit_A=0.0 if self._guard.fault is not None else limit_A,
            is_connected=True,
        )
        if self._guard.ignores_pause is not None and self.phases is not None:
            seen = Seen(measured.taken_at, "C", _highest(measured), drawing=phases_in_use(measured.current_A))
            self.phases.cut_off(self._clock(), self._guard.ignores_pause)
            await self.phases.cycle(self._clock(), {}, seen, None)

    def _verify(self, held_A: float | None) -> str | None:
        """Compare what the device holds with what it was told; where that differs, have it written again."""
        tolerance_A = max(self._profile.step_A / 2, 0.01)
        if held_A is None or self._written_A is None or abs(held_A - self._written_A) <= tolerance_A:
            self._mismatches = 0
            return None
        self._write_again = True
        self._mismatches += 1
        if self._mismatches < _MISMATCHES_TOLERATED:
            return None
        return f"does not take its limit: {self._written_A:g} A written, {held_A:g} A read back"

    def _status(self, sample: Sample) -> ConnectorStatus:
        """Say what the connector does, and what is wrong; of several things the worst."""
        status = connector_status(self._profile, sample, self._external())
        mismatch = self._verify(status.limit_A)
        kind, fault = self._latched_fault()
        limit_A = status.limit_A if status.limit_A is not None else self._may_hold_A
        return replace(
            status,
            limit_A=limit_A,
            is_waking=self._waking.may_begin(status.taken_at, status.state, limit_A),
            active_phases=self._active_phases(status),
            fault=fault or mismatch or status.fault,
            fault_kind=kind,
            note=self._note,
            can_switch_phases=self.phases is not None and self.phases.can_switch and self._note is None,
        )

    def _latched_fault(self) -> tuple[FaultKind, str | None]:
        """Say what stays wrong until the car has left or a person has looked."""
        if self._guard.fault is not None:
            return "overcurrent", self._guard.ignores_pause or self._guard.fault
        phase_fault = self.phases.fault if self.phases is not None else None
        return ("contactor" if phase_fault is not None else "charger"), phase_fault

    def _external(self) -> Reading | None:
        """Give the newest reading of the connector's meter, if it has one that is alive."""
        external = self._measure() if self._measure is not None else None
        is_alive = external is not None and self._clock() - external.taken_at <= _STALE_READING_S
        return external if is_alive else None

    def _active_phases(self, status: ConnectorStatus) -> int:
        drawing = phases_in_use(status.current_A)
        is_under_way = self.phases is not None and self.phases.is_under_way
        if status.state in ("C", "D") and drawing and not is_under_way:
            return drawing
        return self._profile.phases if self.phases is None else self.phases.phases


def _highest(measured: Reading) -> float | None:
    """Largest current of all phases; None is unknown."""
    return max((current for current in measured.current_A or () if not math.isnan(current)), default=None)
