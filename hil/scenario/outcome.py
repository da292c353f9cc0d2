"""What a run came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from control.store.history import SessionRow
from hil.scenario.recording import LogEntry, Series, Spell, phase_names


@dataclass(frozen=True, slots=True)
class Check:
    """One assertion and what became of it.

    Attributes
    ----------
    text : str
        As it was written.
    holds : bool
        Whether it was so.
    found : str
        What was found, in words.
    line : int
        Where it stands in the file.
    """

    text: str
    holds: bool
    found: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """A number of phases that changed, or a contact that moved."""

    at_s: float
    evse: str
    phases: int
    under_load: bool


@dataclass
class Outcome:
    """Everything about a run. A sample holds until the next one.

    Attributes
    ----------
    name, title, about, seed
        Of the scenario, and the seed it ran with.
    start : datetime
        Wall clock at the start.
    lasts_s : float
        How much time passed.
    times_s : array, shape (samples,)
        Seconds after the start.
    series : mapping of str to array, shape (samples,)
        ``node/<name>.L1``: current of a node; ``other/<name>.L1``: the part of it that no EVSE draws;
        ``draw/<evse>.L1``: of an EVSE, on the grid's phases; ``grant/<evse>``: its limit;
        ``offer/<evse>``: of its pilot; ``phases/<evse>``: connected; ``wants/<evse>``: whether its car wants
        energy; ``budget/<node>``: limit in force; ``energy/<car>``, ``soc/<car>``. In A, Wh, 0 to 1.
    fuses_A : mapping of node to amperes
        Ratings.
    evses, cars
        Names.
    states : mapping of EVSE to list of Spell
        What it did.
    events : list of Spell
        What happened to it all.
    log : list of LogEntry
        What the module logged.
    reasons : mapping of EVSE to list of Spell
        Why it had what it had.
    moves : list of Move
        Phases that changed.
    sessions : list of SessionRow
        What the module has kept of charging.
    opened_under_load : mapping of EVSE to int
        Contactors of charge points that had to cut off a car.
    tripped_at_s : mapping of node to seconds
        Breakers that may have tripped, and when.
    hottest : mapping of node to float
        How near each breaker came to that; 1 is there.
    checks : list of Check
        The assertions.
    decisions : int
        How many were made.
    took_s : float
        How long the run took in real time.
    """

    name: str
    title: str
    about: str
    seed: int
    start: datetime
    lasts_s: float
    times_s: Series
    series: Mapping[str, Series]
    fuses_A: Mapping[str, float]
    evses: list[str]
    cars: list[str]
    states: Mapping[str, list[Spell]]
    events: list[Spell]
    log: list[LogEntry]
    reasons: Mapping[str, list[Spell]]
    moves: list[Move]
    sessions: list[SessionRow]
    opened_under_load: Mapping[str, int]
    tripped_at_s: Mapping[str, float]
    hottest: Mapping[str, float]
    decisions: int
    took_s: float
    shows: tuple[str, ...] = ()
    checks: list[Check] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all assertions hold."""
        return all(check.holds for check in self.checks)

    def clock(self, at_s: float) -> str:
        """Write a moment as the time of day."""
        moment = self.start + timedelta(seconds=round(at_s))
        days = (moment.date() - self.start.date()).days
        text = moment.strftime("%H:%M:%S" if moment.second or self.lasts_s < 3600 else "%H:%M")
        return f"day {days + 1} {text}" if days and self.lasts_s > 86400 else text

    def vectors(self, prefix: str) -> Series:
        """Give a current, shape (samples, 3)."""
        return np.stack([self.series[name] for name in phase_names(prefix)], axis=1)

    @property
    def durations_s(self) -> Series:
        """How long each sample held, shape (samples,)."""
        ends_s = np.append(self.times_s[1:], self.lasts_s)
        durations_s: Series = np.maximum(ends_s - self.times_s, 0.0)
        return durations_s

    def at(self, name: str, at_s: float) -> float:
        """Value of a series at a moment."""
        index = int(np.searchsorted(self.times_s, at_s, side="right")) - 1
        return float(self.series[name][max(index, 0)])

    def between(self, start_s: float, end_s: float) -> slice:
        """Find the samples that hold at some time between two moments."""
        first = max(int(np.searchsorted(self.times_s, start_s, side="right")) - 1, 0)
        return slice(first, max(int(np.searchsorted(self.times_s, end_s, side="left")), first + 1))
