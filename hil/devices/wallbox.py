"""A simulated charger: obeys limits, shows a charging point's state, and acts out its own watchdog."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from bsp.connector_registers import CABLE
from bsp.profile import ConnectorProfile, State
from bsp.registers import Value
from energy_management.measurement import Reading, Vector3
from hil.devices.meter import values_of
from hil.devices.registers import ILLEGAL_VALUE, DeviceRefusesError, RegisterDevice

_SHOWN_AS: Mapping[State, State] = {"D": "C", "E": "F", "F": "E"}
"""State to show by a charger that does not know the other."""


class ChargingPoint(Protocol):
    """The plant behind a charger: car, cable and contactor."""

    @property
    def state(self) -> str:
        """IEC 61851 state, A to F."""
        ...

    @property
    def current_A(self) -> Vector3:
        """Current per phase of the connector."""
        ...

    @property
    def voltage_V(self) -> Vector3:
        """Voltage per phase of the connector."""
        ...

    @property
    def energy_Wh(self) -> float:
        """Energy charged so far."""
        ...

    def set_limit(self, current_A: float) -> None:
        """Offer this current to the car; 0 pauses."""
        ...


@runtime_checkable
class SwitchesPhases(Protocol):
    """A charging point whose number of phases can change."""

    def set_phases(self, phases: int) -> None:
        """Charge on 1 or 3 phases from now on."""
        ...


@runtime_checkable
class KnowsItsCable(Protocol):
    """A charging point that reads what the cable is coded for."""

    @property
    def cable_A(self) -> float | None:
        """Its ampacity; None where it is not known."""
        ...


class WallboxDevice(RegisterDevice):
    """A charger with the registers of a profile.

    Parameters
    ----------
    profile : ConnectorProfile
        Which charger it is.
    point : ChargingPoint
        The plant that it controls and measures.
    safe_current_A : float
        Current after its watchdog has expired, unless the profile has a register for that.
    clock : callable
        Monotonic seconds, for the watchdog.
    base : int
        Added to its addresses.
    """

    def __init__(
        self,
        profile: ConnectorProfile,
        point: ChargingPoint,
        *,
        safe_current_A: float = 6.0,
        clock: Callable[[], float] = time.monotonic,
        base: int = 0,
    ) -> None:
        super().__init__(profile, base=base)
        self._charger = profile
        self._point = point
        self._socket = point if isinstance(point, KnowsItsCable) else None
        self._safe_current_A = safe_current_A
        self._clock = clock
        self._held: dict[str, Value] = {}
        self._fed_at = math.inf
        self.power_cycle()

    def power_cycle(self) -> None:
        """Start anew with the factory settings."""
        self._held = self._factory_settings()
        watchdog = self._charger.watchdog
        self._fed_at = self._clock() if watchdog is not None and watchdog.feed == "traffic" else math.inf
        self._apply()

    def values(self) -> Mapping[str, Value]:
        """Give status, measurement and settings by point."""
        self._feed("traffic")
        return {**self._held, **self._measurement(), **self._status()}

    def written(self, name: str, value: Value) -> None:
        """Take a setting, and act on it."""
        self._feed("traffic")
        limit, watchdog = self._charger.current_limit, self._charger.watchdog
        if name in limit.points and not self._accepts(value):
            raise DeviceRefusesError(ILLEGAL_VALUE)
        self._held[name] = value
        if name in limit.points:
            self._feed("limit")
        if watchdog is not None and name == watchdog.point:
            self._feed("write")
        self._switch_phases(name, value)
        self._apply()

    def tick(self) -> None:
        """Fall back when the watchdog has not been fed in time."""
        watchdog = self._charger.watchdog
        if watchdog is None:
            return
        timeout_s = self._number(watchdog.timeout_point, watchdog.timeout)
        if self._clock() - self._fed_at < timeout_s:
            return
        self._fed_at = math.inf
        fallback = self._number(watchdog.fallback_point, self._safe_current_A * self._per_ampere)
        self._held.update(dict.fromkeys(self._charger.current_limit.points, fallback))
        self._apply()

    def obey(self) -> None:
        """Follow the settings it holds, after it did not for a while."""
        self._apply()

    def _factory_settings(self) -> dict[str, Value]:
        """Give the settings of a charger that charges at its maximum when nobody tells it otherwise."""
        charger = self._charger
        settings: dict[str, Value] = dict.fromkeys(charger.points, 0)
        settings.update(
            dict.fromkeys(charger.current_limit.points, charger.current_limit.maximum * self._per_ampere)
        )
        if charger.enable is not None:
            settings[charger.enable.point] = charger.enable.on
        if charger.watchdog is not None and charger.watchdog.timeout_point is not None:
            settings[charger.watchdog.timeout_point] = charger.watchdog.timeout
        switching = charger.phase_switching
        if switching is not None:
            settings[switching.point] = switching.three
            settings.update({name: allowed[0] for name, allowed in switching.available_if.items()})
            if switching.confirm is not None:
                settings[switching.confirm] = switching.confirm_three or switching.three
        return settings

    def _accepts(self, value: Value) -> bool:
        limit = self._charger.current_limit
        current_A = float(value or 0) / self._per_ampere
        return (
            current_A == 0 and limit.zero == "pause"
        ) or limit.minimum - 0.01 <= current_A <= limit.maximum + 0.01

    def _feed(self, how: str) -> None:
        if self._charger.watchdog is not None and self._charger.watchdog.feed == how:
            self.tick()
            self._fed_at = self._clock()

    def _apply(self) -> None:
        """Offer the car what limit and enable allow."""
        enable = self._charger.enable
        if enable is not None and self._held[enable.point] != enable.on:
            self._point.set_limit(0.0)
            return
        limits = [self._number(name, 0.0) / self._per_ampere for name in self._charger.current_limit.points]
        self._point.set_limit(min(limits))

    def _switch_phases(self, name: str, value: Value) -> None:
        switching = self._charger.phase_switching
        if switching is None or name not in (switching.point, *switching.trigger):
            return
        if switching.trigger and name not in switching.trigger:
            return
        three = self._held[switching.point] == switching.three
        if switching.confirm is not None:
            one_three = (switching.confirm_one, switching.confirm_three)
            self._held[switching.confirm] = one_three[three] if one_three[three] is not None else value
        if isinstance(self._point, SwitchesPhases):
            self._point.set_phases(3 if three else 1)

    def _status(self) -> dict[str, Value]:
        """Values of the status points that mean the charging point's state."""
        shown: dict[str, Value] = dict.fromkeys(self._charger.status_points, 0)
        for name, allowed in self._charger.status[self._shown_state()].items():
            shown[name] = allowed[-1]
        if self._socket is not None:
            shown[CABLE] = self._socket.cable_A
        return shown

    def _shown_state(self) -> State:
        state: State = self._point.state  # type: ignore[assignment]
        return state if state in self._charger.status else _SHOWN_AS.get(state, "A")

    def _measurement(self) -> dict[str, Value]:
        (i1, i2, i3), (u1, u2, u3) = self._point.current_A, self._point.voltage_V
        power_W = (i1 * u1, i2 * u2, i3 * u3)
        measured = Reading(
            taken_at=0.0,
            current_A=(i1, i2, i3),
            voltage_V=(u1, u2, u3),
            power_W=power_W,
            total_power_W=sum(power_W),
            energy_import_Wh=self._point.energy_Wh,
            energy_export_Wh=0.0,
            frequency_Hz=50.0,
        )
        values = dict(values_of(measured))
        values["energy_Wh.session"] = self._point.energy_Wh
        return values

    def _number(self, name: str | None, otherwise: float) -> float:
        value = self._held.get(name) if name is not None else None
        return float(value) if isinstance(value, int | float) else otherwise

    @property
    def _per_ampere(self) -> float:
        return self._charger.per_ampere
