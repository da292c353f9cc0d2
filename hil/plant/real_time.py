"""Lets a plant live in real time."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from hil.plant.charge_point import ChargePoint

TICK_S = 0.1


class Plant(Protocol):
    """What lives."""

    def advance(self, dt_s: float) -> None:
        """Let time pass."""


def real_time(plant: Plant, stop: threading.Event, after_each: Callable[[], None] = lambda: None) -> None:
    """Let time pass in a plant as it passes here, until told to stop.

    Parameters
    ----------
    plant : Plant
        What lives.
    stop : Event
        Ends it.
    after_each : callable
        Called after each step.
    """
    last = time.monotonic()
    while not stop.wait(TICK_S):
        now = time.monotonic()
        plant.advance(now - last)
        last = now
        after_each()


def telling(point: ChargePoint, tell: Callable[[str], None]) -> Callable[[], None]:
    """Give what tells the current of a charge point whenever it has come to rest at another value."""
    told = ""

    def look() -> None:
        nonlocal told
        text = f"draws {', '.join(f'{current:.0f}' for current in point.current_A)} A"
        if point.is_settled and text != told:
            told = text
            tell(text)

    return look
