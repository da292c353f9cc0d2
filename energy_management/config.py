"""Settings of the energy manager: EVerest's own twelve, with their names and defaults, and a few more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

SwitchMode = Literal["Never", "Oneway", "Both"]
Stickyness = Literal["SinglePhase", "ThreePhase", "DontChange"]

_CHOICES = {
    "switch_3ph1ph_while_charging_mode": ("Never", "Oneway", "Both"),
    "switch_3ph1ph_switch_limit_stickyness": ("SinglePhase", "ThreePhase", "DontChange"),
}
_AT_LEAST_ONE = ("update_interval", "schedule_interval_duration", "schedule_total_duration")


@dataclass(frozen=True)
class ManagerConfig:
    """Configuration of EVerest's EnergyManager, spelled as in its manifest.

    Attributes
    ----------
    nominal_ac_voltage : float
        Converts between current and power [V].
    update_interval : int
        Seconds between two runs; limits are valid for ten times as long.
    schedule_interval_duration, schedule_total_duration : int
        Raster of the schedule [min] and how far it looks ahead [h].
    slice_ampere, slice_watt : float
        Accepted for compatibility; the allocation is exact and has no slices.
    debug : bool
        Describe every run to the logger handed to `EnergyManager`.
    switch_3ph1ph_while_charging_mode : {"Never", "Oneway", "Both"}
        Whether phases may be switched: not at all, only from 3 to 1, or both ways.
    switch_3ph1ph_max_nr_of_switches_per_session : int
        0 is no limit.
    switch_3ph1ph_switch_limit_stickyness : {"SinglePhase", "ThreePhase", "DontChange"}
        What to do once that many switches have happened.
    switch_3ph1ph_power_hysteresis_W : float
        Power above the minimum of three phases that is needed to switch up.
    switch_3ph1ph_time_hysteresis_s : float
        How long that power must have been there before switching up; down is at once.
    rotation_interval_s : float
        Length of a turn when not all minimum currents fit.
    closed_loop : bool
        Runs follow each other on one site: who gains waits for those who give up, and what a car leaves
        unused is shared. Otherwise each run stands for itself.
    rise_interval_s : float
        Least time from a change to a rise of one EVSE. IEC 61851-1 allows a new duty cycle every 5 s.
    deadband_A : float
        Smaller rises wait until they are worth it: a pilot that has just moved cannot give way to the house.
    unused_after_s : float
        How long a car must draw clearly less than it may until the rest is shared.
    unused_margin_A : float
        How much more than it draws is kept for it then.
    """

    nominal_ac_voltage: float = 230.0
    update_interval: int = 1
    schedule_interval_duration: int = 60
    schedule_total_duration: int = 1
    slice_ampere: float = 0.5
    slice_watt: float = 500.0
    debug: bool = False
    switch_3ph1ph_while_charging_mode: SwitchMode = "Never"
    switch_3ph1ph_max_nr_of_switches_per_session: int = 0
    switch_3ph1ph_switch_limit_stickyness: Stickyness = "DontChange"
    switch_3ph1ph_power_hysteresis_W: float = 200.0
    switch_3ph1ph_time_hysteresis_s: float = 600.0
    rotation_interval_s: float = 900.0
    closed_loop: bool = False
    rise_interval_s: float = 5.0
    deadband_A: float = 0.5
    unused_after_s: float = 30.0
    unused_margin_A: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _CHOICES:
                if value not in _CHOICES[field.name]:
                    raise ValueError(
                        f"{field.name}: {value!r} is not one of {', '.join(_CHOICES[field.name])}"
                    )
            elif field.name in ("debug", "closed_loop"):
                if not isinstance(value, bool):
                    raise ValueError(f"{field.name}: {value!r} is not true or false")
            elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise ValueError(f"{field.name}: {value!r} is not a number from 0 up")
        for name in _AT_LEAST_ONE:
            value = getattr(self, name)
            if value < 1 or value != int(value):
                raise ValueError(f"{name}: {value!r} is not a whole number from 1 up")
        if self.nominal_ac_voltage == 0:
            raise ValueError("nominal_ac_voltage: must be above 0")

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """Read settings; those left out have their defaults.

        Raises
        ------
        ValueError
            One line that names the setting which is unknown or has no possible value.
        """
        known = {field.name for field in fields(cls)}
        for name in config:
            if name not in known:
                raise ValueError(f"{name}: unknown setting, known: {', '.join(sorted(known))}")
        return cls(**config)
