"""What EVSEs buy, and the books that every node on the way keeps of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.energy_management.problem import DIRECTIONS, Direction


@dataclass
class Account:
    """What the EVSEs below one node have bought: import counts up, export down."""

    amps: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DIRECTIONS, 0.0))
    watts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DIRECTIONS, 0.0))

    def sold(self, kind: str, direction: Direction, *, net: bool) -> float:
        bought = self.amps if kind == "A" else self.watts
        other = bought["export" if direction == "import" else "import"] if net else 0.0
        return max(bought[direction] - other, 0.0)


@dataclass(frozen=True)
class Traded:
    """What the trader gives one EVSE in one slot; export is negative."""

    amps: float
    watts: float
    phases: int
    has_amps: bool = True  # false where only power is limited


@dataclass
class Trade:
    """One EVSE in one slot, while it buys."""

    uuid: str
    urgency: int
    accounts: list[Account]
    capacity: dict[tuple[str, Direction], list[float]]  # by unit and direction, for each account
    asked: Direction
    minimum: dict[Direction, float]
    active: int
    min_phases: int
    max_phases: int
    can_switch: bool
    no_session: bool
    ours: Traded
    amps: float = 0.0
    watts: float = 0.0
    phases: int = 0
    direction: Direction | None = None
    started: bool = False
    full: bool = False
    slices: float = 0.0  # bought so far; a minimum counts as one

    @property
    def our_phases(self) -> int:
        """How many phases we use; those it has where we give it nothing."""
        return self.ours.phases or min(self.active, self.max_phases)

    def room(self, kind: str, direction: Direction, *, net: bool) -> float:
        """What is left on the way to the root; infinite where nothing limits it."""
        return min(
            cap - account.sold(kind, direction, net=net) if math.isfinite(cap) else cap
            for cap, account in zip(self.capacity[kind, direction], self.accounts, strict=True)
        )

    @property
    def rises(self) -> bool:
        """Whether it takes slices: it has its minimum, or needs none."""
        return self.started or not self.minimum[self.direction or self.asked]

    def fair_step_A(self, users: Mapping[int, int], voltage: float, *, net: bool) -> float:
        """What it could rise by if all that share a node with it did the same; infinite without a limit."""
        direction = self.direction or self.asked
        steps = [math.inf]
        for kind, watts_per_amp in (("A", 1.0), ("W", (self.phases or 3) * voltage)):
            for cap, account in zip(self.capacity[kind, direction], self.accounts, strict=True):
                if math.isfinite(cap):
                    # Others may draw on more phases, so that a watt limit is used up three times as fast.
                    sharing = users[id(account)] * (3 * voltage / watts_per_amp if kind == "W" else 1)
                    left = cap - account.sold(kind, direction, net=net)
                    steps.append(left / watts_per_amp / max(sharing, 1))
        return min(steps)

    def limited(self, kind: str, direction: Direction) -> bool:
        return any(math.isfinite(cap) for cap in self.capacity[kind, direction])

    def buy(self, amps: float, watts: float, phases: int, *, slices: float) -> None:
        assert self.direction is not None
        self.slices += slices
        self.started = True
        self.amps += amps
        self.watts += watts
        self.phases = phases
        for account in self.accounts:
            account.amps[self.direction] += amps
            account.watts[self.direction] += watts
