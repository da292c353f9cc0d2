"""The rest of the house: loads on the same grid connection that nobody controls."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from energy_management.measurement import Vector3


@dataclass(frozen=True, slots=True)
class Appliance:
    """Something that switches on and off by itself.

    Attributes
    ----------
    name : str
        As a person would call it.
    current_A : Vector3
        What it draws on the grid's L1, L2, L3 while it is on; negative feeds in.
    on_s, off_s : float
        Mean duration of being on, and of being off; single ones vary from a half to one and a half of it.
    """

    name: str
    current_A: Vector3
    on_s: float
    off_s: float


LIVELY = (
    Appliance("fridge", (0.0, 0.6, 0.0), on_s=20.0, off_s=25.0),
    Appliance("kettle", (8.7, 0.0, 0.0), on_s=12.0, off_s=18.0),
    Appliance("oven", (0.0, 5.2, 5.2), on_s=9.0, off_s=7.0),
    Appliance("dryer", (0.0, 0.0, 3.4), on_s=15.0, off_s=20.0),
)
"""A kitchen in a hurry: enough switching to watch within half a minute."""

FAMILY = (
    Appliance("fridge", (0.0, 0.6, 0.0), on_s=600.0, off_s=1500.0),
    Appliance("kettle", (8.7, 0.0, 0.0), on_s=180.0, off_s=9000.0),
    Appliance("oven", (0.0, 5.2, 5.2), on_s=1500.0, off_s=14400.0),
    Appliance("washing machine", (0.0, 0.0, 9.1), on_s=1100.0, off_s=21600.0),
    Appliance("heat pump", (3.8, 3.8, 3.8), on_s=1200.0, off_s=2400.0),
)
"""An ordinary house."""


class House:
    """Base load and appliances that switch by a seeded model.

    Parameters
    ----------
    appliances : iterable of Appliance
        All are off at the start.
    base_A : Vector3
        Always there.
    seed : int
        Same seed, same history, however long the steps of `advance` are.
    """

    def __init__(
        self,
        appliances: Iterable[Appliance] = LIVELY,
        *,
        base_A: Vector3 = (0.8, 0.6, 0.9),
        seed: int = 1,
    ) -> None:
        self._base_A = base_A
        self._switches = [_Switch(item, Random(f"{seed} {item.name}")) for item in appliances]

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        for switch in self._switches:
            switch.advance(dt_s)

    @property
    def running(self) -> list[str]:
        """Names of the appliances that are on."""
        return [switch.appliance.name for switch in self._switches if switch.on]

    @property
    def steady_for_s(self) -> float:
        """Time until something switches."""
        return min((switch.left_s for switch in self._switches), default=math.inf)

    @property
    def current_A(self) -> Vector3:
        """Draw on the grid's L1, L2, L3."""
        total = list(self._base_A)
        for switch in self._switches:
            if switch.on:
                for phase, current in enumerate(switch.appliance.current_A):
                    total[phase] += current
        return (total[0], total[1], total[2])


class _Switch:
    """One appliance and the time until it next switches."""

    def __init__(self, appliance: Appliance, random: Random) -> None:
        self.appliance = appliance
        self.on = False
        self._random = random
        self.left_s = appliance.off_s * random.random()

    def advance(self, dt_s: float) -> None:
        self.left_s -= dt_s
        while self.left_s <= 0.0:
            self.on = not self.on
            mean = self.appliance.on_s if self.on else self.appliance.off_s
            self.left_s += mean * self._random.uniform(0.5, 1.5)
