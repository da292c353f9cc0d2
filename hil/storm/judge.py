"""Who looks at every limit and at every contact that moves, in the moment in which it happens."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bsp.phase_switch import DEAD_TIME_S, NO_LOAD_A
from hil.plant.site import total
from hil.storm.car import Car, Contact

_TOLERANCE_A = 0.05


@dataclass
class Verdict:
    """What a run came to.

    Attributes
    ----------
    seconds : float
        How long it took.
    faults : dict of str to int
        Faults injected, by kind.
    recoveries_s : list of float
        How long after each storm all was well.
    highest_A : dict of str to float
        Highest sum of limits seen below each fuse, on any phase.
    moves : int
        Contacts that were moved.
    repairs : int
        Contacts that a person had to repair.
    failures : list of str
        What must not have happened, one line each.
    """

    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    recoveries_s: list[float] = field(default_factory=list)
    highest_A: dict[str, float] = field(default_factory=dict)
    moves: int = 0
    repairs: int = 0
    failures: list[str] = field(default_factory=list)


class Judge:
    """Compares limits with fuses, and holds contacts to the rules.

    Attributes
    ----------
    verdict : Verdict
        What was found.

    Parameters
    ----------
    fuses : mapping of name to (amperes, connectors)
        Rating per phase, and who is behind it.
    maximum_A : float
        What a single connector may be offered.
    """

    def __init__(self, fuses: Mapping[str, tuple[float, tuple[str, ...]]], maximum_A: float) -> None:
        self.verdict = Verdict()
        self.cars: Mapping[str, Car] = {}
        self._fuses = fuses
        self._maximum_A = maximum_A
        self._moved_at: dict[tuple[Car, Contact], float] = {}

    def look(self) -> None:
        """Judge what is offered at this moment, from when the manager has every charger in its hands."""
        if self.verdict.failures or not all(car.is_driven for car in self.cars.values()):
            return
        for fuse, (fuse_A, connectors) in self._fuses.items():
            sum_A = max(total([self.cars[name].offered_A for name in connectors]))
            self.verdict.highest_A[fuse] = max(sum_A, self.verdict.highest_A.get(fuse, 0.0))
            if sum_A > fuse_A + _TOLERANCE_A:
                limits = ", ".join(self._offer(name) for name in connectors)
                self.verdict.failures.append(f"{fuse}: {sum_A:g} A offered, {fuse_A:g} A fuse: {limits}")
        for name, car in self.cars.items():
            if car.limit_A > self._maximum_A + _TOLERANCE_A:
                self.verdict.failures.append(f"{name}: {car.limit_A:g} A, {self._maximum_A:g} A allowed")

    def moves(self, car: Car, contact: Contact, closed: bool) -> None:  # noqa: FBT001 (a position)
        """Judge a contact that is about to move by order."""
        now = time.monotonic()
        what = f"{self._name(car)}: {contact} {'closes' if closed else 'opens'}"
        self.verdict.moves += 1
        if max(car.current_A) >= NO_LOAD_A or car.state in ("C", "D"):
            self.verdict.failures.append(f"{what} with {max(car.current_A):g} A, state {car.state}")
        if contact == "phases" and car.has_main and car.main_is_closed:
            self.verdict.failures.append(f"{what} while the main contactor is closed")
        other: Contact = "main" if contact == "phases" else "phases"
        rested_s = now - self._moved_at.get((car, other), -1e9)
        if rested_s < DEAD_TIME_S and not (contact == "main" and not closed):
            self.verdict.failures.append(f"{what} {rested_s:.1f} s after the other contact")
        self.note_move(car, contact)

    def note_move(self, car: Car, contact: Contact) -> None:
        """Take note of a contact that moved, by order or not."""
        self._moved_at[car, contact] = time.monotonic()

    def _offer(self, name: str) -> str:
        car = self.cars[name]
        return f"{name} {car.limit_A:g}{'' if car.has_three_phases else ' on one phase'}"

    def _name(self, car: Car) -> str:
        return next((name for name, known in self.cars.items() if known is car), "?")
