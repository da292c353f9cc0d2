"""Contactors on a relay board that switch the phases of simulated charge points."""

import asyncio
from collections.abc import Mapping
from functools import partial
from random import Random

from bsp.registers import Value
from bsp.relay_profile import RelayProfile
from hil.devices import RelayBoardDevice
from hil.plant import ChargePoint
from hil.plant.charge_point import IDLE_A

BOUNCES_S = 1.5


class ContactorBoard(RelayBoardDevice):
    """A relay board whose contactors stand before charge points.

    Attributes
    ----------
    bouncing : set of int
        Contactors whose auxiliary contact flutters for a while after each move.
    moves, moves_under_load : int
        How often contacts have moved, and how often of these while current flowed through them.
    """

    def __init__(self, profile: RelayProfile) -> None:
        super().__init__(profile, self._moved)
        self.bouncing: set[int] = set()
        self.moves = self.moves_under_load = 0
        self._points: dict[int, tuple[ChargePoint, str]] = {}
        self._fluttering: dict[int, int] = {}
        self._random = Random(1)

    def wire(self, point: ChargePoint, phases: int, main: int | None) -> None:
        """Put contactors before a charge point; they are closed, as while a car charges on three phases."""
        for number, role in ((phases, "phases"), (main, "main")):
            if number is not None:
                self._points[number] = (point, role)
                self.relays[number] = self.contacts[number] = True

    def contactors_of(self, point: ChargePoint) -> list[int]:
        """Numbers of those before a charge point, the one of the phases first."""
        return [number for number, (behind, _) in self._points.items() if behind is point]

    def values(self) -> Mapping[str, Value]:
        """Give relays and inputs by point."""
        values = dict(super().values())
        for number in self._fluttering:
            values[f"input.{number}"] = self._random.choice((values[f"relay.{number}"], 0, 1))
        return values

    def power_cycle(self) -> None:
        """Drop every relay, and with it every contactor that is not stuck or welded."""
        before = dict(self.contacts)
        super().power_cycle()
        self._tell_moved(before)

    def repair(self) -> None:
        """Let every contactor follow its relay again."""
        before = dict(self.contacts)
        super().repair()
        self._tell_moved(before)

    def _tell_moved(self, before: Mapping[int, bool]) -> None:
        for number, closed in self.contacts.items():
            if closed != before[number]:
                self._moved(number, closed)

    def _moved(self, number: int, closed: bool) -> None:  # noqa: FBT001 (called by the board)
        if number not in self._points:
            return
        point, role = self._points[number]
        self.moves += 1
        if role == "main":
            under_load = max(point.current_A) >= IDLE_A
            self.moves_under_load += under_load
            point.opened_under_load += under_load
            point.is_fed = closed
        else:
            before = point.switched_under_load
            point.phases = 3 if closed else 1
            self.moves_under_load += point.switched_under_load - before
        if number in self.bouncing:
            self._fluttering[number] = self._fluttering.get(number, 0) + 1
            asyncio.get_running_loop().call_later(BOUNCES_S, partial(self._fluttering.pop, number, None))
