"""EVerest's EvseManager, as far as its `energy` interface shows it: requests, limits, and what is between.

Basic AC charging only. Times, thresholds and field names are those of EVerest's C++ module.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from energy_management.measurement import Vector3
from hil.plant.charge_point import THRESHOLD_A, ChargePoint

START_VALID_S = 120.0
"""The 0 A limit of the start is valid that long."""

FINISHED_S = 0.5
"""How long an EVSE stays Finished after the car has left."""

NOMINAL_V = 230.0
"""Converts a watt limit to ampere."""

FREQUENCY_HZ = 50.0
PHASE_NAMES = ("L1", "L2", "L3")

Json = dict[str, Any]


class EvseManager:
    """Charge controller of one charge point.

    Parameters
    ----------
    module_id : str
        Its name in the energy tree.
    point : ChargePoint
        What it controls.
    auth_after_s : float
        How long the user takes to show a card.
    switches_phases : bool
        Whether the hardware can change between one and three phases while charging.
    switch_delay_s : float
        How long the pilot stays off before phases change.

    Attributes
    ----------
    evse_state : str
        As in the `energy` interface.
    limit_A : float
        The limit in force, per phase.
    """

    def __init__(
        self,
        module_id: str,
        point: ChargePoint,
        *,
        auth_after_s: float = 1.0,
        switches_phases: bool = False,
        switch_delay_s: float = 10.0,
    ) -> None:
        self.module_id = module_id
        self.point = point
        self.evse_state = "Unplugged"
        self.limit_A = 0.0
        self._max_phases = point.phases
        self._active_phases = point.phases
        self._auth_after_s = auth_after_s
        self._switches_phases = switches_phases
        self._switch_delay_s = switch_delay_s
        self._switching_s = 0.0
        self._clock_s = 0.0
        self._valid_until_s = START_VALID_S
        self._in_state_s = 0.0
        self._plugged_s = 0.0
        self._imported_Wh = [0.0, 0.0, 0.0]

    @property
    def limit_is_valid(self) -> bool:
        """Whether the limit has not run out."""
        return self._clock_s < self._valid_until_s

    @property
    def is_settled(self) -> bool:
        """Whether nothing goes on here while the limit stays as it is."""
        is_in_passing = self.evse_state in ("WaitForAuth", "Finished") or self._switching_s > 0.0
        return not is_in_passing and (self.limit_is_valid or self.limit_A == 0.0)

    def enforce_limits(self, limits: Mapping[str, Any]) -> None:
        """Take an ``EnforcedLimits`` object; one for somebody else is ignored."""
        if limits["uuid"] != self.module_id:
            return
        root = limits["limits_root_side"]
        current_A = _value(root, "ac_max_current_A", 0.0)
        self._set_phases(round(_value(root, "ac_max_phase_count", self._active_phases)))
        power_W = _value(root, "total_power_W", float("inf"))
        current_A = min(current_A, power_W / NOMINAL_V / self._active_phases)
        self.limit_A = max(0.0, current_A)
        self._valid_until_s = self._clock_s + float(limits["valid_for"])

    def advance(self, dt_s: float) -> bool:
        """Let time pass.

        Returns
        -------
        bool
            Whether something happened that EVerest publishes at once, as a priority request.
        """
        self._clock_s += dt_s
        if self._clock_s >= self._valid_until_s + 1.0:  # it counts whole seconds, so up to one late
            self.limit_A = 0.0
        self._plugged_s = self._plugged_s + dt_s if self.point.car else 0.0
        self._finish_switching(dt_s)
        held = self._plugged_s < self._auth_after_s or self._switching_s > 0.0
        self.point.set_limit(0.0 if held else self.limit_A)
        self.point.advance(dt_s)
        voltage_V = self.point.voltage_V
        for phase, current in enumerate(self.current_A):
            self._imported_Wh[phase] += current * voltage_V[phase] * dt_s / 3600.0
        return self._enter(self._observed_state(), dt_s)

    @property
    def current_A(self) -> Vector3:
        """Measured current on the connector's L1, L2, L3."""
        return self.point.current_A

    def request(self, now: datetime, *, priority: bool = False) -> Json:
        """Build the ``EnergyFlowRequest`` that EVerest's module would publish now."""
        timestamp = _rfc3339(now)
        return {
            "children": [],
            "energy_usage_root": self._powermeter(timestamp),
            "evse_state": self.evse_state,
            "node_type": "Evse",
            "priority_request": priority,
            "schedule_export": [
                {
                    "limits_to_leaves": {
                        "ac_max_current_A": self._sourced(0.0, " set_zero_discharge_limit"),
                        "total_power_W": self._sourced(0.0, " set_zero_discharge_limit"),
                    },
                    "limits_to_root": self._capabilities(0.0, 0.0),
                    "timestamp": timestamp,
                }
            ],
            "schedule_import": [
                {
                    "limits_to_leaves": {
                        "ac_max_current_A": self._sourced(
                            self.point.max_current_A, " update_max_current_limit"
                        )
                    },
                    "limits_to_root": self._import_capabilities(),
                    "timestamp": timestamp,
                }
            ],
            "schedule_setpoints": [],
            "uuid": self.module_id,
        }

    def _observed_state(self) -> str:
        """State of EVerest's charger that fits the charge point, in the words of the interface."""
        car = self.point.car
        if car is None:
            over = self.evse_state == "Finished" and self._in_state_s >= FINISHED_S
            return "Unplugged" if over or self.evse_state == "Unplugged" else "Finished"
        if self._plugged_s < self._auth_after_s:
            return "WaitForAuth"
        if self._switching_s == 0.0 and self.limit_A <= THRESHOLD_A:
            # EVerest reports its StoppingCharging as Finished, though the session goes on.
            return "Finished" if self.point.contactor_closed else "PausedEVSE"
        if self._switching_s > 0.0 or self.point.contactor_closed:
            return "Charging" if car.wants_energy else "PausedEV"
        return "PrepareCharging" if car.wants_energy else "PausedEV"

    def _enter(self, state: str, dt_s: float) -> bool:
        """Change the state; tell whether the tree must know at once."""
        self._in_state_s += dt_s
        if state == self.evse_state:
            return False
        self.evse_state = state
        self._in_state_s = 0.0
        return state == "WaitForAuth" or (state == "Finished" and self.point.car is None)

    def _set_phases(self, phases: int) -> None:
        """Change the number of phases: with a pause while charging, else at once."""
        if phases == self._active_phases or not self._switches_phases or phases not in (1, 3):
            return
        self._active_phases = phases
        if self.evse_state == "Charging":
            self._switching_s = self._switching_s or self._switch_delay_s
        else:
            self.point.phases = phases

    def _finish_switching(self, dt_s: float) -> None:
        """Move the phase contactor when the pilot has been off long enough."""
        if self._switching_s > 0.0:
            self._switching_s = max(0.0, self._switching_s - dt_s)
            if self._switching_s == 0.0:
                self.point.phases = self._active_phases

    def _sourced(self, value: float, source: str) -> Json:
        return {"source": f"{self.module_id}{source}", "value": value}

    def _import_capabilities(self) -> Json:
        """Say what the hardware can take, and the cable, where that bears less."""
        point = self.point
        capabilities = self._capabilities(6.0, point.max_current_A)
        if point.most_A < point.max_current_A:
            capabilities["ac_max_current_A"] = self._sourced(point.most_A, "/pp_ampacity")
        return capabilities

    def _capabilities(self, min_current_A: float, max_current_A: float) -> Json:
        """Say toward the root what the board support reports."""
        source = "/evse_board_support_caps"
        return {
            "ac_max_current_A": self._sourced(max_current_A, source),
            "ac_max_phase_count": self._sourced(self._max_phases, source),
            "ac_min_current_A": self._sourced(min_current_A, source),
            "ac_min_phase_count": self._sourced(1, source),
            "ac_number_of_active_phases": self._active_phases,
            "ac_supports_changing_phases_during_charging": self._switches_phases,
        }

    def _powermeter(self, timestamp: str) -> Json:
        """Read the meter on the grid side, as EVerest's ``Powermeter`` type."""
        current, voltage = self.current_A, self.point.voltage_V
        power = [i * u for i, u in zip(current, voltage, strict=True)]
        return {
            "current_A": {**_per_phase(current), "N": 0.0},
            "energy_Wh_import": {**_per_phase(self._imported_Wh), "total": sum(self._imported_Wh)},
            "frequency_Hz": _per_phase([FREQUENCY_HZ] * 3),
            "meter_id": f"{self.module_id} meter",
            "phase_seq_error": False,
            "power_W": {**_per_phase(power), "total": sum(power)},
            "timestamp": timestamp,
            "voltage_V": _per_phase(voltage),
        }


def _value(limits: Mapping[str, Any], name: str, default: float) -> float:
    """Value of a number with source, or the default where the limit is not given."""
    sourced = limits.get(name)
    return default if sourced is None else float(sourced["value"])


def _per_phase(values: "Vector3 | list[float]") -> dict[str, float]:
    return dict(zip(PHASE_NAMES, values, strict=True))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
