"""A simulated installation as phasors: house, PV, charger, car, meter, and all that can be wired wrong."""

import cmath
import math
from dataclasses import dataclass, field, replace
from random import Random

from hil.wiring.samples import PHASES, Charger, Sample

ANGLES = tuple(cmath.rect(1.0, -2 * math.pi * k / 3) for k in range(3))
Three = tuple[float, float, float]


@dataclass(frozen=True)
class Wiring:
    """How it is wired. The defaults are right."""

    ct_on: tuple[int | None, int | None, int | None] = (0, 1, 2)
    ct_direction: tuple[int, int, int] = (1, 1, 1)
    ct_ratio: Three = (1.0, 1.0, 1.0)
    tap_on: tuple[int | None, int | None, int | None] = (0, 1, 2)
    neutral_on: int | None = None
    neutral_shift_V: float = 0.0
    rotation: tuple[int, int, int] = (0, 1, 2)
    is_behind: bool = True
    supply: tuple[bool, bool, bool] = (True, True, True)


@dataclass(frozen=True)
class Device:
    """What meter and charger do wrong."""

    loses: float = 0.0
    freezes: bool = False
    swaps_counters: bool = False
    total_factor: float = 1.0
    frequency_factor: float = 1.0
    has_power: bool = True
    voltage_gain: Three = (1.0, 1.0, 1.0)
    resolution: float = 0.0
    ignores_limit: bool = False
    contactor: str = "works"
    delay_s: float = 1.0
    measures: bool = True


@dataclass
class Simulated:
    """The installation, on its own clock."""

    wiring: Wiring = Wiring()
    device: Device = Device()
    car_phases: int = 3
    car_max_A: float = 16.0
    house_A: Three = (1.5, 0.8, 2.2)
    house_factor: float = 0.95
    pv_A: Three = (0.0, 0.0, 0.0)
    appliance_A: float = 0.0
    seed: int = 1
    has_car: bool = True
    now: float = 0.0
    limit_A: float = 32.0
    phases: int | None = None
    orders: list[tuple[float, int | None]] = field(default_factory=list)
    restored: list[float | None] = field(default_factory=list)
    meter_dies_after_s: float = math.inf
    surge: tuple[float, float] = (math.inf, 0.0)
    peak_A: float = 0.0
    _taken: list[tuple[float, float]] = field(default_factory=list)
    _energy: list[float] = field(default_factory=lambda: [5000.0, 3000.0])
    _frozen: dict[str, float] | None = None

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.base_V = [self.random.uniform(226, 236) for _ in PHASES]
        self.common_V = 0.0
        self.on_until = [0.0, 0.0, 0.0]
        self._taken.append((0.0, self.limit_A))

    def now_s(self) -> float:
        return self.now

    async def wait(self, seconds: float) -> None:
        self.now += seconds

    async def order(self, limit_A: float, phases: int | None) -> None:
        self.orders.append((limit_A, phases))
        if phases is not None and phases != self.phases and self.phases is not None:
            self.now += 20.0
        self.limit_A, self.phases = limit_A, phases
        self._taken.append((self.now, limit_A))

    async def restore(self, at_most_A: float | None = None) -> None:
        self.restored.append(at_most_A)

    def car_A(self) -> list[float]:
        """What the car draws on the charger's L1, L2, L3."""
        if not self.has_car:
            return [0.0, 0.0, 0.0]
        noticed = [limit for at, limit in self._taken if at <= self.now - self.device.delay_s]
        offer = 16.0 if self.device.ignores_limit else (noticed or [self.limit_A])[-1]
        drawn = min(offer, self.car_max_A) if offer >= 6 else 0.0
        closed = [True, True, True]
        if self.device.contactor == "stays open":
            closed = [True, False, False]
        elif self.phases == 1 and self.device.contactor != "stays closed":
            closed = [False, True, False] if self.device.contactor == "wrong phase" else [True, False, False]
        return [
            (drawn * 0.985 + self.random.gauss(0, 0.03))
            if closed[k] and self.wiring.supply[k] and (k < self.car_phases or closed == [False, True, False])
            else 0.0
            for k in range(3)
        ]

    def _house(self, phase: int) -> complex:
        if self.appliance_A and self.now >= self.on_until[phase] and self.random.random() < 0.02:
            self.on_until[phase] = self.now + self.random.uniform(5, 30)
        extra = self.appliance_A if self.now < self.on_until[phase] else 0.0
        extra += self.surge[1] if self.now >= self.surge[0] else 0.0
        base = self.house_A[phase] * self.random.uniform(0.97, 1.03)
        lag = math.acos(self.house_factor)
        return cmath.rect(base, -lag) + extra - self.pv_A[phase] * self.random.uniform(0.97, 1.03)

    async def sample(self) -> Sample:
        car = self.car_A()
        wires = [self._house(k) for k in range(3)]
        if self.wiring.is_behind:
            for own, grid in enumerate(self.wiring.rotation):
                wires[grid] += car[own]
        self.peak_A = max(self.peak_A, *(abs(wire) for wire in wires))
        self.common_V = 0.8 * self.common_V + self.random.gauss(0, 0.3)
        volts = [
            (self.base_V[k] + self.common_V - 0.15 * wires[k].real + self.random.gauss(0, 0.1)) * ANGLES[k]
            for k in range(3)
        ]
        meter = self._meter(volts, [wire * angle for wire, angle in zip(wires, ANGLES, strict=True)])
        if self.random.random() < self.device.loses or self.now >= self.meter_dies_after_s:
            shown = None
        elif self.device.freezes:
            self._frozen = shown = self._frozen or meter
        else:
            shown = meter
        return Sample(self.now, shown, self._charger(car, volts), self.limit_A, self.phases)

    def _meter(self, volts: list[complex], currents: list[complex]) -> dict[str, float]:
        wiring, values, total = self.wiring, {}, 0.0
        star = self.wiring.neutral_shift_V + (
            volts[wiring.neutral_on] if wiring.neutral_on is not None else 0.0
        )
        for k, phase in enumerate(PHASES):
            tap, wire = wiring.tap_on[k], wiring.ct_on[k]
            at_tap = volts[tap] if tap is not None else star
            if wiring.neutral_on == k:
                at_tap = 0.0
            voltage = (at_tap - star) * (1 + 0.0005 * k) * self.device.voltage_gain[k]
            current = currents[wire] * wiring.ct_ratio[k] if wire is not None else 0.0
            power = (voltage * complex(current).conjugate()).real * wiring.ct_direction[k]
            values[f"voltage_V.{phase}"] = abs(voltage) + self.random.gauss(0, 0.01)
            values[f"current_A.{phase}"] = abs(current)
            if self.device.has_power:
                values[f"power_W.{phase}"] = power
            total += power
        self._count(total)
        values = {name: self._shown(value) for name, value in values.items()}
        names = ("export", "import") if self.device.swaps_counters else ("import", "export")
        return {
            **values,
            "power_W.total": total * self.device.total_factor,
            "frequency_Hz": self.random.gauss(50.0, 0.01) * self.device.frequency_factor,
            f"energy_Wh.{names[0]}": float(int(self._energy[0])),
            f"energy_Wh.{names[1]}": float(int(self._energy[1])),
        }

    def _shown(self, value: float) -> float:
        """As many digits as the meter has."""
        resolution = self.device.resolution
        return round(value / resolution) * resolution if resolution else value

    def _count(self, total_W: float) -> None:
        self._energy[total_W < 0] += abs(total_W) / 3600.0

    def _charger(self, car: list[float], volts: list[complex]) -> Charger:
        if not self.device.measures:
            return Charger("C" if self.has_car else "A", {}, {})
        return Charger(
            "C" if self.has_car else "A",
            dict(zip(PHASES, car, strict=True)),
            {
                phase: abs(volts[self.wiring.rotation[k]]) if self.wiring.supply[k] else 0.0
                for k, phase in enumerate(PHASES)
            },
        )


def wired(**changes: object) -> Wiring:
    return replace(Wiring(), **changes)  # type: ignore[arg-type]


def faulty(**changes: object) -> Device:
    return replace(Device(), **changes)  # type: ignore[arg-type]
