"""A charging point of the storm, with the contacts between car and grid."""

import threading
import time
from collections.abc import Callable
from random import Random
from typing import Literal

from energy_management.measurement import Vector3
from hil.plant.site import Rotation, rotated

VOLTAGE_V: Vector3 = (230.0, 230.0, 230.0)
STOPS_WITHIN_S = (0.2, 2.5)
"""How long a car goes on drawing after its pause."""

Contact = Literal["main", "phases"]
CONTACTS: tuple[Contact, ...] = ("main", "phases")


class Car:
    """A charging point whose car draws on three phases, as far as they are joined, what it is offered.

    Attributes
    ----------
    is_there : bool
        Whether a car is connected.
    limit_A : float
        What it is offered.
    is_driven : bool
        Whether the charger was paused once: before, it does as it left the factory.
    main_is_closed, has_three_phases : bool
        Where the contacts are.
    has_main : bool
        Whether a main contactor cuts it off before phases are joined or parted.

    Parameters
    ----------
    rotation : Rotation
        How it is wired to the grid.
    nature : lock
        Held while anything changes, so that who looks sees one moment.
    on_change : callable
        Called after each change of what is offered, and on which phases.
    on_move : callable, optional
        Called with contact and new position, before it moves on somebody's orders.
    """

    voltage_V = VOLTAGE_V
    energy_Wh = 1000.0

    def __init__(
        self,
        rotation: Rotation,
        nature: threading.RLock,
        on_change: Callable[[], None],
        on_move: Callable[["Car", Contact, bool], None] | None = None,
        *,
        has_main: bool = False,
        seed: int = 0,
    ) -> None:
        self.is_there = False
        self.has_main = has_main
        self.limit_A = 0.0
        self.is_driven = False
        self.main_is_closed = self.has_three_phases = True
        self._rotation = rotation
        self._nature = nature
        self._on_change = on_change
        self._on_move = on_move
        self._random = Random(seed)
        self._before_A = 0.0
        self._stops_at = 0.0

    @property
    def state(self) -> str:
        """IEC 61851 state."""
        if not self.is_there:
            return "A"
        return "C" if self._wanted_A else "B"

    @property
    def current_A(self) -> Vector3:
        """Current per phase of the connector."""
        drawn_A = self._wanted_A if self.main_is_closed else 0.0
        others_A = drawn_A if self.has_three_phases else 0.0
        return drawn_A, others_A, others_A

    @property
    def grid_A(self) -> Vector3:
        """Current per phase of the grid."""
        return rotated(self.current_A, self._rotation)

    @property
    def offered_A(self) -> Vector3:
        """What is offered, per phase of the grid, whether there is a car or not."""
        others_A = self.limit_A if self.has_three_phases else 0.0
        return rotated((self.limit_A, others_A, others_A), self._rotation)

    def set_limit(self, current_A: float) -> None:
        """Offer this current."""
        with self._nature:
            if not current_A and self.limit_A:
                self._before_A = self.limit_A
                self._stops_at = time.monotonic() + self._random.uniform(*STOPS_WITHIN_S)
            self.limit_A = current_A
            self.is_driven = self.is_driven or current_A == 0
            self._on_change()

    def set_phases(self, phases: int) -> None:
        """Have the charger switch its phases."""
        self.move("phases", closed=phases == 3)

    def move(self, contact: Contact, *, closed: bool, is_ordered: bool = True) -> None:
        """Move a contact; one that falls off by itself has no orders."""
        with self._nature:
            if closed == (self.main_is_closed if contact == "main" else self.has_three_phases):
                return
            if is_ordered and self._on_move is not None:
                self._on_move(self, contact, closed)
            if contact == "main":
                self.main_is_closed = closed
            else:
                self.has_three_phases = closed
            self._on_change()

    @property
    def _wanted_A(self) -> float:
        """What the car draws as soon as it is connected to the grid."""
        if not self.is_there:
            return 0.0
        return self.limit_A or (self._before_A if time.monotonic() < self._stops_at else 0.0)
