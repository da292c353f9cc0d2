"""A house with a generator on its roof and cars, second by second on a virtual clock, around the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from energy_management import EnergyManager, EvseAttributes, ManagerConfig, ManagerState, NodeAttributes, Site
from energy_management.measurement import Reading, Vector3
from energy_management.modes import Mode, SolarAttributes
from tests.energy_management.problem import Json
from tests.energy_management.trees import NOW, evse, node

FUSE_A = 35.0
VOLTAGE_V = 230.0
FOLLOWS_S = 2
"""How long cars take to follow their limit."""

SWITCHES_WITHIN_S = 15
"""How long charging pauses while phases are switched."""

STOPS_WITHIN_S = 12
"""How long an EVSE calls itself finished though it only stops, as those of EVerest do."""

BOTH = {"switch_3ph1ph_while_charging_mode": "Both"}


@dataclass
class SunnyCar:
    """A car and its EVSE, as far as they matter here.

    Attributes
    ----------
    limits : list of tuple
        Current and phases granted, the newest last.
    phases : int
        On which the contactors stand.
    switched_at, began_at : list of int
        When they moved, and when charging began.
    """

    mode: Mode = "pv"
    priority: int = 0
    weight: float = 1.0
    most_A: float = 16.0
    most_phases: int = 3
    car_phases: int = 3
    can_switch: bool = True
    is_there: bool = True
    limits: list[tuple[float, int]] = field(default_factory=list)
    phases: int = 3
    pauses_s: int = 0
    stops_s: int = 0
    drawn_A: float = 0.0
    switched_at: list[int] = field(default_factory=list)
    began_at: list[int] = field(default_factory=list)
    ended_at: list[int] = field(default_factory=list)

    @property
    def current_A(self) -> Vector3:
        """Per phase."""
        on_two = self.drawn_A if min(self.phases, self.car_phases) > 1 else 0.0
        return self.drawn_A, on_two, on_two

    @property
    def power_W(self) -> float:
        """Of all phases."""
        return sum(self.current_A) * VOLTAGE_V

    @property
    def state(self) -> str:
        """As in a request."""
        if not self.is_there:
            return "Unplugged"
        if self.limits and self.limits[-1][0] >= 6:
            return "Charging"
        return "Finished" if self.stops_s else "PausedEVSE"

    def take(self, current_A: float, phases: int | None, now_s: int) -> None:
        """Take a limit; zero comes without a number of phases."""
        if phases is not None and phases != self.phases and self.can_switch:
            self.phases, self.pauses_s = phases, SWITCHES_WITHIN_S
            self.switched_at.append(now_s)
        charged, charges = bool(self.limits) and self.limits[-1][0] > 0, current_A > 0
        if charged != charges:
            (self.began_at if charges else self.ended_at).append(now_s)
            self.stops_s = 0 if charges else STOPS_WITHIN_S
        self.limits.append((current_A, self.phases))

    def advance(self) -> None:
        """Let a second pass."""
        self.pauses_s = max(0, self.pauses_s - 1)
        self.stops_s = max(0, self.stops_s - 1)
        old = self.limits[-1 - FOLLOWS_S][0] if len(self.limits) > FOLLOWS_S else 0.0
        may_A = min(old, self.limits[-1][0] if self.limits else 0.0) if old > self.drawn_A else old
        self.drawn_A = min(may_A, self.most_A) if self.is_there and not self.pauses_s and may_A >= 6 else 0.0


@dataclass(frozen=True, slots=True)
class Second:
    """What was in one second."""

    at_s: int
    others_W: float
    grid_W: float
    limits_A: Mapping[str, float]
    phases: Mapping[str, int]
    drawn_W: Mapping[str, float]

    @property
    def surplus_W(self) -> float:
        """What the house leaves, whatever the meter tells."""
        return -self.others_W


class SunnySite:
    """Decides every second, or every few.

    Parameters
    ----------
    cars : mapping of str to SunnyCar
    others_W : callable
        Power of house and generator at a second; generation is negative. It lies on all phases alike.
    solar : SolarAttributes
        Thresholds.
    config : dict
        Settings of the manager.
    decide_s : int
        How often it decides.
    """

    def __init__(
        self,
        cars: Mapping[str, SunnyCar],
        others_W: Callable[[int], float],
        *,
        solar: SolarAttributes | None = None,
        config: Json | None = None,
        decide_s: int = 5,
        start_s: int = 0,
    ) -> None:
        self.cars = cars
        self.others_W = others_W
        self.solar = solar or SolarAttributes()
        self.config = ManagerConfig.from_dict({"closed_loop": True, **BOTH, **(config or {})})
        self.now_s = start_s
        self.seconds: list[Second] = []
        self.meter_tells: Callable[[Reading], Reading | None] = lambda reading: reading
        self.sources: dict[str, str] = {}
        self._decide_s = decide_s
        self._counter_Wh = 0.0
        self.manager = EnergyManager(self.config, self.site)

    @property
    def site(self) -> Site:
        """What the manager knows of it."""
        return Site(
            {
                name: EvseAttributes("L1 L2 L3", car.priority, car.weight, car.mode)
                for name, car in self.cars.items()
            },
            {"grid": NodeAttributes(fallback_A=16.0)},
            self.solar,
        )

    def set_mode(self, name: str, mode: Mode) -> None:
        """Change a mode while it runs."""
        self.cars[name].mode = mode
        self.manager = EnergyManager(self.config, self.site, self.manager.state)

    def restart(self) -> None:
        """A new process takes over with what the old one saved."""
        state = ManagerState.from_json(self.manager.state.to_json())
        self.manager = EnergyManager(self.config, self.site, state)

    def run(self, seconds: int) -> SunnySite:
        """Let time pass."""
        for _ in range(seconds):
            self.now_s += 1
            for car in self.cars.values():
                car.advance()
            others_W = self.others_W(self.now_s)
            grid_W = others_W + sum(car.power_W for car in self.cars.values())
            if self.now_s % self._decide_s == 0:
                self._decide(others_W)
            else:
                for car in self.cars.values():
                    if car.limits:
                        car.limits.append(car.limits[-1])
            self.seconds.append(
                Second(
                    self.now_s,
                    others_W,
                    grid_W,
                    {name: car.limits[-1][0] if car.limits else 0.0 for name, car in self.cars.items()},
                    {name: car.phases for name, car in self.cars.items()},
                    {name: car.power_W for name, car in self.cars.items()},
                )
            )
        return self

    def explain(self, name: str) -> str:
        """What a person is told."""
        return self.manager.explain(name)

    @property
    def limits_A(self) -> Mapping[str, float]:
        """Limits at present."""
        return self.seconds[-1].limits_A

    def _decide(self, others_W: float) -> None:
        self._counter_Wh += 0.1  # a meter that is alive
        own_A = others_W / 3 / VOLTAGE_V
        grid = [own_A + sum(car.current_A[phase] for car in self.cars.values()) for phase in range(3)]
        measured = _reading(self.now_s, (grid[0], grid[1], grid[2]))
        found = self.meter_tells(replace(measured, energy_import_Wh=self._counter_Wh))
        readings = {name: _reading(self.now_s, car.current_A) for name, car in self.cars.items()}
        if found is not None:
            readings["grid"] = found
        children = [
            evse(
                name,
                A=car.most_A,
                phases=car.most_phases,
                active=min(car.phases, car.most_phases),
                can_switch=car.can_switch,
                state=car.state,
            )
            for name, car in self.cars.items()
        ]
        results = self.manager.optimize(
            node("grid", children, A=FUSE_A), NOW, readings, monotonic_s=float(self.now_s)
        )
        for result in results:
            limits = result["limits_root_side"]
            self.sources[result["uuid"]] = limits["ac_max_current_A"]["source"]
            self.cars[result["uuid"]].take(
                limits["ac_max_current_A"]["value"],
                limits.get("ac_max_phase_count", {}).get("value"),
                self.now_s,
            )


def _reading(at_s: float, current_A: Vector3) -> Reading:
    power_W = (current_A[0] * VOLTAGE_V, current_A[1] * VOLTAGE_V, current_A[2] * VOLTAGE_V)
    return Reading(at_s, current_A, (VOLTAGE_V,) * 3, power_W, sum(power_W))
