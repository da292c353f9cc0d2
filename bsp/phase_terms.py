"""What the phase switching sequence is told, what it tells, and what of it must be kept."""

from dataclasses import dataclass, replace
from typing import Literal

from bsp.profile import State


@dataclass(frozen=True, slots=True)
class Equipment:
    """What does the switching.

    Attributes
    ----------
    by_itself : bool
        The charger runs the whole sequence when told the number.
    main_contactor : bool
        A contactor of ours must open before phases are selected.
    rests_on_one : bool
        Contacts of ours are on one phase unless somebody moves them: a new board has not been set so.
    hold_off_s : float
        Least time between two switches.
    """

    by_itself: bool = False
    main_contactor: bool = False
    rests_on_one: bool = False
    hold_off_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured last.

    Attributes
    ----------
    at : float
        When, in monotonic seconds.
    state : str
        IEC 61851 state.
    current_A : float or None
        The largest of all phases; None is unknown.
    selected : int or None
        Phases selected, by feedback; None is unknown.
    main_open : bool or None
        The main contactor, by feedback; None is unknown.
    drawing : int
        Phases with current.
    """

    at: float
    state: State
    current_A: float | None
    selected: int | None = None
    main_open: bool | None = None
    drawing: int = 0


@dataclass(frozen=True, slots=True)
class Orders:
    """What to do now; None leaves a contact as it is."""

    pause: bool = False
    main: Literal["open", "closed"] | None = None
    select: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What must survive a restart.

    Attributes
    ----------
    phases : int
        Phases selected.
    home : int or None
        Phases selected when they were last as somebody wants them: necessity may have brought the contacts to
        fewer since. None is not known.
    limited : bool
        A limit allows no more phases; as soon as none does, contacts go home.
    under_way : bool
        A switch had begun and not ended: the position of the contacts is not known.
    switches, failures : int
        Switches since the car came, and attempts that were given up.
    fault : str or None
        A latched fault.
    ready_at : float or None
        No switch before this time. Monotonic seconds, which mean nothing to another process: see `later`.
    """

    phases: int = 3
    home: int | None = None
    limited: bool = False
    under_way: bool = False
    switches: int = 0
    failures: int = 0
    fault: str | None = None
    ready_at: float | None = None

    def later(self, by_s: float) -> "Memory":
        """Give the same in the time of another clock, which is so much ahead."""
        return self if self.ready_at is None else replace(self, ready_at=self.ready_at + by_s)
