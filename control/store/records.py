"""What is kept of charging sessions, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Session:
    """A car at an EVSE, from its coming to its going.

    Attributes
    ----------
    id : int
        Counts up.
    evse : str
        Uuid of the EVSE.
    started, seen : datetime
        When the car came, and when it was last known to be there.
    is_over : bool
        It has left.
    energy_Wh : float or None
        Taken from the grid; None if nothing is measured.
    is_estimated : bool
        Not all of it was counted by a meter: a part is power over time.
    max_current_A : float or None
        Highest current on any phase.
    phases : int or None
        Most phases on which the car drew at once.
    mode : str or None
        How the EVSE was told to charge.
    meter_Wh : float or None
        Last count of the EVSE's meter, from where the session goes on after a restart.
    """

    id: int
    evse: str
    started: datetime
    seen: datetime
    is_over: bool = False
    energy_Wh: float | None = None
    is_estimated: bool = False
    max_current_A: float | None = None
    phases: int | None = None
    mode: str | None = None
    meter_Wh: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a session; None is unknown.

    Attributes
    ----------
    at : datetime
        The moment.
    evse : str
        Uuid of the EVSE.
    granted_A, current_A, power_W, energy_Wh : float or None
        Its limit per phase, the highest current of its phases, its power, and the session's energy so far.
    """

    at: datetime
    evse: str
    granted_A: float | None = None
    current_A: float | None = None
    power_W: float | None = None
    energy_Wh: float | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: what is older or more is deleted, the oldest first. Some 10 MB with the defaults."""

    sessions: int = 10_000
    session_age: timedelta = timedelta(days=800)
    samples: int = 100_000
    sample_age: timedelta = timedelta(days=31)
