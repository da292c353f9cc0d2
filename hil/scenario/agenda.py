"""What is to be done when: cars that come and leave, events, and their ends."""

import math
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hil.scenario.happenings import EVENTS, Happening
from hil.scenario.recording import Spell
from hil.scenario.scenario import Scenario
from hil.scenario.world import World

_LAST = 1 << 30
"""Of what is due at one moment, ends come after what was planned."""


@dataclass(order=True)
class _Due:
    """Something that is to be done."""

    at_s: float
    number: int
    do: Callable[[], None] = field(compare=False)


class Agenda:
    """All that happens in a run.

    Parameters
    ----------
    world : World
        To whom it happens; its scenario says what.

    Attributes
    ----------
    events : list of Spell
        What has happened.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.events: list[Spell] = []
        self._due: list[_Due] = []
        scenario = world.scenario
        for name, plan in scenario.cars.items():
            self._add(plan.arrives_s, partial(self._arrive, name, plan.evse))
            if plan.leaves_s is not None:
                self._add(plan.leaves_s, partial(self._leave, name))
        for line in scenario.events:
            sentence, blanks = EVENTS.read(line.text, scenario.names)
            self._add(line.at_s, partial(self._happen, line.text, sentence.meaning, blanks))

    @property
    def next_s(self) -> float:
        """When something is to be done next, in seconds after the start."""
        return self._due[0].at_s if self._due else math.inf

    def do_what_is_due(self) -> bool:
        """Do it; tell whether there was anything."""
        is_eventful = self._note_trips()
        while self.next_s <= self._world.clock.script_s + 1e-6:
            self._due.pop(0).do()
            is_eventful = True
        return is_eventful

    def _add(self, at_s: float, do: Callable[[], None], number: int | None = None) -> None:
        insort(self._due, _Due(at_s, len(self._due) if number is None else number, do))

    def _arrive(self, car: str, evse: str) -> None:
        self._world.stage.plug_in(car, evse)
        self._note(f"{car} comes to {evse}")

    def _leave(self, car: str) -> None:
        self._world.stage.unplug(car)
        self._note(f"{car} leaves")

    def _happen(self, text: str, happening: Happening, blanks: dict[str, object]) -> None:
        now_s = self._world.clock.script_s
        duration = blanks.pop("duration", None)
        undo = happening(self._world, **blanks)
        ends_s = now_s
        if isinstance(expires_s := blanks.get("duration2"), float):
            self._add(now_s + abs(expires_s), lambda: None, _LAST)  # not to leap over it
        if isinstance(duration, float):
            ends_s += duration
            if undo is not None:
                self._add(ends_s, undo, _LAST)
        self._note(text, ends_s)

    def _note_trips(self) -> bool:
        """Take note of breakers that have tripped."""
        trips = self._world.stage.take_trips()
        for node in trips:
            self._note(f"breaker {node} trips")
        return bool(trips)

    def _note(self, text: str, ends_s: float = 0.0) -> None:
        now_s = self._world.clock.script_s
        self.events.append(Spell(text, now_s, min(max(ends_s, now_s), self._world.scenario.lasts_s)))


def visits(scenario: Scenario) -> list[tuple[str, str]]:
    """Say which car comes to which EVSE, each time that one does."""
    found = [(name, car.evse) for name, car in scenario.cars.items()]
    for line in scenario.events:
        sentence, blanks = EVENTS.read(line.text, scenario.names)
        if sentence.text.startswith("{car} comes"):
            car = str(blanks["car"])
            found.append((car, str(blanks.get("evse") or scenario.cars[car].evse)))
    return found


__all__ = ["Agenda", "visits"]
