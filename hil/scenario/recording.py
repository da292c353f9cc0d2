"""What a run leaves behind: time series, states, moves, lines of the log."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
_CHANGE = 0.02
"""Smaller changes of currents are not worth a sample."""


@dataclass(frozen=True, slots=True)
class Spell:
    """Something that lasted: a state, an event."""

    text: str
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the module's log."""

    at_s: float
    level: str
    text: str


class Recorder:
    """Takes samples, where anything has changed.

    Parameters
    ----------
    names : sequence of str
        Columns; those before `watched` decide whether a sample is worth it.
    watched : int
        How many.
    """

    def __init__(self, names: Sequence[str], watched: int) -> None:
        self._names = list(names)
        self._watched = watched
        self._times = array("d")
        self._values = array("d")
        self._last: list[float] = []
        self._last_at_s = 0.0
        self._pending: tuple[float, list[float]] | None = None

    def take(self, at_s: float, values: list[float]) -> None:
        """Take a sample."""
        watched = self._watched
        is_news = not self._last or any(
            abs(new - old) > _CHANGE for new, old in zip(values[:watched], self._last[:watched], strict=True)
        )
        if is_news or at_s - self._last_at_s >= 60.0:
            self._keep(at_s, values)
            self._pending = None
        else:
            self._pending = (at_s, values)

    def finish(self) -> tuple[Series, dict[str, Series]]:
        """Give the times, and each column by its name."""
        if self._pending is not None:
            self._keep(*self._pending)
        times = np.array(self._times)
        table = np.array(self._values).reshape(len(times), len(self._names))
        return times, {name: table[:, column].copy() for column, name in enumerate(self._names)}

    def _keep(self, at_s: float, values: list[float]) -> None:
        self._times.append(at_s)
        self._values.extend(values)
        self._last, self._last_at_s = values, at_s


@dataclass
class States:
    """States of somebody, one after the other."""

    spells: list[Spell] = field(default_factory=list)
    _now: str | None = None
    _since_s: float = 0.0

    @property
    def now(self) -> str | None:
        """The present state."""
        return self._now

    def note(self, at_s: float, state: str) -> None:
        """Take the present state."""
        if state != self._now:
            self.end(at_s)
            self._now, self._since_s = state, at_s

    def end(self, at_s: float) -> None:
        """End the present state."""
        if self._now is not None:
            self.spells.append(Spell(self._now, self._since_s, at_s))


def phase_names(prefix: str) -> list[str]:
    """Columns of a current."""
    return [f"{prefix}.L{phase}" for phase in (1, 2, 3)]


__all__ = ["LogEntry", "Recorder", "Series", "Spell", "States", "phase_names"]
