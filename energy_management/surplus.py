"""How much the sun leaves over: what a site exports, and what the EVSEs that charge from surplus draw.

The three phases are netted, as meters of the grid do (German: saldierend): what is fed in on L2 pays for what
is drawn on L1. So all of this is about the sum of the phases, in watts, whatever is wired to which.

What everything but these EVSEs draws is estimated as the base load of a fuse is, from what they can have
drawn when the grid meter was read. It counts at once when it rises and for a while after it has fallen; so
surplus is gone at once, and counts once it has lasted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from energy_management.base_load import BaseLoad, Measured
from energy_management.draws import REMEMBERED_S, Bounds, Draw, currents_of
from energy_management.measurement import Reading, Vector3
from energy_management.memory import CHARGING, WITHOUT_CAR
from energy_management.trust import MeterTrust


@dataclass
class SurplusMeter:
    """What is remembered of the surplus. Sums of the phases stand where elsewhere that of L1 does.

    Attributes
    ----------
    draws : dict of str to Draw
        Of the EVSEs that charge from surplus [W].
    granted_W : dict of str to float
        What each EVSE was granted in the last run.
    others : BaseLoad
        What everything else draws [W]; generation is negative.
    """

    draws: dict[str, Draw] = field(default_factory=dict)
    granted_W: dict[str, float] = field(default_factory=dict)
    others: BaseLoad = field(default_factory=BaseLoad)

    def observe(
        self,
        states: Iterable[tuple[str, str]],
        readings: Mapping[str, Reading],
        *,
        monotonic_s: float,
        voltage_V: float,
    ) -> None:
        """Take the newest samples of the EVSEs that charge from surplus; others are forgotten.

        Parameters
        ----------
        states : iterable of tuple of str
            The uuid of each, with its `evse_state`.
        """
        known, self.draws = self.draws, {}
        for uuid, state in states:
            draw = self.draws[uuid] = known.get(uuid) or Draw()
            granted_W = max(0.0, self.granted_W.get(uuid, 0.0))
            most_W = 0.0 if state in WITHOUT_CAR else granted_W
            least_W = most_W if state == CHARGING else 0.0
            draw.forget_before(monotonic_s - REMEMBERED_S)
            draw.allow(Bounds(monotonic_s, _alone(least_W), _alone(most_W)))
            reading = readings.get(uuid)
            drawn_W = math.nan if reading is None else power_of(reading, voltage_V)
            if reading is not None and not math.isnan(drawn_W):
                draw.sample(Bounds(reading.taken_at, _alone(drawn_W), _alone(drawn_W)))

    def take(self, meter: MeterTrust, phases: int, voltage_V: float) -> None:
        """Take what a grid meter has last told, if all of its phases are fine."""
        if meter.last is None or any(phase.complaint for phase in meter.phases[:phases]):
            return
        total_W = power_of(meter.last, voltage_V, phases)
        if not math.isnan(total_W):
            self.others.take(Measured(meter.last.taken_at, (total_W, math.nan, math.nan)))

    def surplus_W(self, monotonic_s: float, *, falls_after_s: float) -> float:
        """Return what is left for the EVSEs that charge from surplus, what they draw included.

        Parameters
        ----------
        falls_after_s : float
            For how long other loads count after they have fallen.
        """
        others_W, _, _ = self.others.current_A(
            [*self.draws.values()], monotonic_s, falls_after_s=falls_after_s, fuse_A=math.inf
        )
        return 0.0 if math.isnan(others_W) else max(0.0, -others_W)


def power_of(reading: Reading, voltage_V: float, phases: int = 3) -> float:
    """Return the power of all phases by a meter, export being negative [W]; NaN if it does not tell.

    Many meters report magnitudes of currents, so that these come last.
    """
    powers_W = (reading.power_W or (math.nan,) * 3)[:phases]
    if any(map(math.isnan, powers_W)) and reading.total_power_W is not None:
        return reading.total_power_W
    voltages_V = reading.voltage_V or (voltage_V,) * 3
    pairs = zip(powers_W, currents_of(reading, voltage_V), voltages_V, strict=False)
    return sum(
        current * (voltage if voltage > 0 else voltage_V) if math.isnan(power) else power
        for power, current, voltage in pairs
    )


def _alone(value: float) -> Vector3:
    return value, 0.0, 0.0
