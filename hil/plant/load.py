"""Loads that follow a profile: house load, generation (negative), by points in time."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from energy_management.measurement import Vector3
from hil.plant.house import House

ZERO: Vector3 = (0.0, 0.0, 0.0)


class Load(Protocol):
    """Something that draws current that nobody controls."""

    def advance(self, dt_s: float) -> None:
        """Let time pass."""

    @property
    def current_A(self) -> Vector3:
        """Draw on the grid's L1, L2, L3 at present; negative feeds in."""
        ...

    @property
    def steady_for_s(self) -> float:
        """How long it will stay so for certain."""
        ...


class ProfileLoad:
    """A load by points of time.

    Parameters
    ----------
    points : sequence of (float, Vector3)
        Seconds since the start and current from then on, sorted; before the first one that one holds.
    is_smooth : bool
        Go in straight lines from point to point, not in steps.
    """

    def __init__(self, points: Sequence[tuple[float, Vector3]], *, is_smooth: bool = False) -> None:
        self._points = list(points)
        self._times = [at for at, _ in points]
        self._is_smooth = is_smooth
        self._now_s = 0.0

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        self._now_s += dt_s

    @property
    def current_A(self) -> Vector3:
        """Draw at present."""
        after = bisect_right(self._times, self._now_s + 1e-6)
        before = max(after - 1, 0)
        (start_s, first), (end_s, last) = (
            self._points[before],
            self._points[min(after, len(self._points) - 1)],
        )
        if not self._is_smooth or end_s <= start_s:
            return first
        share = min(max((self._now_s - start_s) / (end_s - start_s), 0.0), 1.0)
        one, two, three = (a + share * (b - a) for a, b in zip(first, last, strict=True))
        return one, two, three

    @property
    def steady_for_s(self) -> float:
        """Time until the next point; a smooth one changes slowly, which whoever leaps must see by himself."""
        after = bisect_right(self._times, self._now_s + 1e-6)
        return self._times[after] - self._now_s if after < len(self._times) else math.inf


class SwitchedLoad:
    """Steps on top of something else, as events bring them."""

    def __init__(self) -> None:
        self.current_A: Vector3 = ZERO

    def advance(self, dt_s: float) -> None:
        """Nothing changes by itself."""

    @property
    def steady_for_s(self) -> float:
        """For ever."""
        return math.inf


__all__ = ["House", "Load", "ProfileLoad", "SwitchedLoad"]
