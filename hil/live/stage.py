"""The plant of a run on real devices: what is there is observed, the rest simulated, and both flow together.

A real meter sees nothing of simulated cars and loads, so what they draw is added to its readings.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from bsp.bridge import ConnectorConfig
from bsp.connector_registers import ConnectorStatus
from energy_management.measurement import Reading, Vector3
from hil.live.errands import Errands
from hil.plant import ChargePoint
from hil.plant.load import ZERO
from hil.plant.site import total
from hil.scenario.evse import Evse
from hil.scenario.scenario import VOLTAGE_V, Scenario
from hil.scenario.stage import Stage

T = TypeVar("T")
_SHOWN_AS = {"A": "A", "B": "B", "C": "C", "D": "C"}


class ObservedPoint(ChargePoint):
    """A real charge point, as its charger describes it. Nothing here moves anything."""

    _status: ConnectorStatus | None = None

    def note(self, status: ConnectorStatus) -> None:
        """Take a status."""
        self._status = status
        if status.can_switch_phases and status.state in ("A", "B") and status.active_phases in (1, 3):
            self.phases = status.active_phases

    @property
    def shown(self) -> str | None:
        """State that the charger itself shows; None while it has shown none."""
        return self._status.state if self._status is not None else None

    @property
    def state(self) -> str:
        """Letter of IEC 61851-1; A while nothing is known."""
        return _SHOWN_AS.get(self.shown or "A", "A")

    @property
    def current_A(self) -> Vector3:
        """Current on the connector's own L1, L2, L3, as far as it is measured."""
        measured = self._status.current_A if self._status is not None else None
        return _known(measured)

    @property
    def offer_A(self) -> float:
        """Limit that the charger holds."""
        return (self._status.limit_A or 0.0) if self._status is not None else 0.0

    @property
    def is_settled(self) -> bool:
        """Nothing is known of what comes next."""
        return False

    def advance(self, dt_s: float) -> None:
        """Let time pass: count energy, for charge point and car."""
        charged_Wh = self.power_W * dt_s / 3600.0
        self.energy_Wh += charged_Wh
        if self.car is not None:
            self.car.energy_Wh += charged_Wh
            self.car.soc = min(1.0, self.car.soc + charged_Wh / self.car.model.capacity_Wh)


class LiveStage(Stage):
    """A stage with real devices on it.

    Parameters
    ----------
    scenario, seed, clock
        As of `Stage`.
    real : collection of str
        Devices that are real.
    tell : callable
        Tells the person at the bench what to do.

    Attributes
    ----------
    errands : Errands
        What the person is to do, and the script waits for.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        clock: Callable[[], float],
        *,
        real: Collection[str],
        tell: Callable[[str], None],
    ) -> None:
        self._real = frozenset(real)
        self.errands = Errands(tell, self._shown)
        self._readings: dict[str, Reading] = {}
        self.simulated_A: dict[str, Vector3] = {}
        super().__init__(scenario, seed, clock)

    def plug_in(self, car: str, evse: str) -> None:
        """Have a car come to an EVSE; a person brings it to a real one, when whoever is there has left."""
        here = self.evses[evse].car
        if evse in self._real and here not in (None, car):
            self.errands.unplug(str(here), evse)
        super().plug_in(car, evse)
        if evse in self._real:
            self.errands.plug_in(car, evse, at_start=self.now_s == 0.0)

    def unplug(self, car: str) -> None:
        """Have a car leave, if it is here."""
        evse = next((name for name, place in self.evses.items() if place.car == car), "")
        super().unplug(car)
        if evse in self._real:
            self.errands.unplug(car, evse)

    def note_status(self, name: str, status: ConnectorStatus) -> None:
        """Take the status of a connector."""
        point = self.evses[name].point
        if isinstance(point, ObservedPoint):
            point.note(status)

    def complete(self, name: str, reading: Reading) -> Reading:
        """Add to a reading of a real meter what it would see of all that is simulated."""
        if name not in self._real:
            return reading
        self._readings[name] = reading
        nodes = [node for node, meter in self._metered_nodes().items() if meter == name]
        return with_more(reading, self.simulated_A[nodes[0]]) if nodes else reading

    def measured_A(self, name: str) -> Vector3 | None:
        """Give what a real meter itself has measured last."""
        reading = self._readings.get(name)
        return None if reading is None or reading.current_A is None else _known(reading.current_A)

    def _shown(self, evse: str) -> str | None:
        point = self.evses[evse].point
        return point.shown if isinstance(point, ObservedPoint) else point.state

    def _simulated(self, devices: Mapping[str, T]) -> Iterator[tuple[str, T]]:
        return ((name, device) for name, device in devices.items() if name not in self._real)

    def _trip(self, node: str) -> None:
        """Let a breaker act that is hot enough: where something is real, it can only judge."""
        if not self._real:
            super()._trip(node)

    def _connector(self, name: str, config: ConnectorConfig) -> Evse:
        evse = super()._connector(name, config)
        if name in self._real:
            evse.point = ObservedPoint(max_current_A=evse.point.max_current_A, phases=evse.point.phases)
        return evse

    def _measure(self) -> None:
        draws = {name: evse.grid_A for name, evse in self.evses.items()}
        self._add_up({name: ZERO if name in self._real else drawn_A for name, drawn_A in draws.items()})
        self.simulated_A = dict(self.node_A)
        self._add_up(draws)
        for node in self.fuses_A:
            unseen_A = self._background_A(node, draws)
            self.other_A[node] = total([self.other_A[node], unseen_A])
            self.node_A[node] = total([self.node_A[node], unseen_A])

    def _background_A(self, node: str, draws: Mapping[str, Vector3]) -> Vector3:
        """Give what real meters see that no real EVSE of the run draws."""
        measured_A = self.measured_A(self._metered_nodes()[node] or "")
        if measured_A is None:
            below = [name for name, parent in self._parents.items() if parent == node]
            return total([self._background_A(name, draws) for name in below])
        drawn = [draws[name] for name in self._members[node] if name in self._real]
        return total([measured_A, *((-one, -two, -three) for one, two, three in drawn)])


def with_more(reading: Reading, more_A: Vector3) -> Reading:
    """Add currents to a reading."""
    one, two, three = more_A

    def plus(values: Vector3 | None, factor: float) -> Vector3 | None:
        if values is None:
            return None
        return values[0] + one * factor, values[1] + two * factor, values[2] + three * factor

    power_W = reading.total_power_W
    return replace(
        reading,
        current_A=plus(reading.current_A, 1.0),
        power_W=plus(reading.power_W, VOLTAGE_V),
        total_power_W=None if power_W is None else power_W + sum(more_A) * VOLTAGE_V,
    )


def _known(current_A: Vector3 | None) -> Vector3:
    one, two, three = (0.0 if math.isnan(value) else value for value in current_A or ZERO)
    return one, two, three
