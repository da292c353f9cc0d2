"""What assertions look at, and the language that they are written in.

Each function that it takes looks at an outcome and returns whether it was so, and what was found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.scenario.outcome import Outcome
from hil.scenario.recording import Spell
from hil.scenario.words import Language, When, WordsError

if TYPE_CHECKING:
    from hil.scenario.scenario import Scenario

Verdict = tuple[bool, str]
Claim = Callable[..., Verdict]
ASSERTIONS: Language[Claim] = Language()

METER_A = 0.15
"""What no meter can tell from nothing."""


class Look:
    """An outcome, with the moments of sentences in seconds."""

    def __init__(self, outcome: Outcome, scenario: Scenario) -> None:
        self.outcome = outcome
        self._scenario = scenario

    def seconds(self, moment: When) -> float:
        """Give a moment in seconds after the start."""
        return self._scenario.seconds(moment)

    def measured_by(self, meter: str) -> list[str]:
        """Names by which the log may call what a meter measures."""
        site = self._scenario.site
        grid = {self._scenario.nodes[0]: site.grid} if site.grid is not None else {}
        return [name for name, part in {**grid, **site.nodes}.items() if part.meter == meter]

    def evse_of(self, car: str) -> str:
        """Where a car is planned to charge."""
        return self._scenario.cars[car].evse

    def event(self, text: str) -> Spell:
        """Find the one event with these words."""
        found = [event for event in self.outcome.events if text in event.text]
        if len(found) != 1:
            known = "; ".join(event.text for event in self.outcome.events)
            raise WordsError(f'"{text}" are words of {len(found)} events, not of one; there are: {known}')
        return found[0]

    def end_s(self, moment: When | None) -> float:
        """Give a moment in seconds after the start; the end, where none is named."""
        return self.seconds(moment) if moment is not None else self.outcome.lasts_s

    def between(self, start: When | None, end: When | None) -> slice:
        """Find the samples between two moments; from the start and to the end, where none is named."""
        return self.outcome.between(self.seconds(start) if start else 0.0, self.end_s(end))
