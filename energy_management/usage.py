"""What a car makes of its grant: less than it may, or on fewer phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from energy_management.config import ManagerConfig
from energy_management.measurement import Vector3

CLEARLY_A = 0.5
"""A draw this much below what varies anyway is clearly less; meters and chargers are not exact."""

SETTLES_AFTER_S = 6.0
"""How long a car that takes less may be on its way down; what it draws meanwhile it does not want."""

NOTHING_A = 1.0
"""Who draws no more than this does not charge: it wants nothing, or needs more than it is offered."""

ASKED_AFTER_S = 60.0
"""After this time such a car is offered its full share again, then after twice the time, and so on ..."""

ASKED_EVERY_S = 1920.0
"""... until it is this."""

DRAWS_A = 3.0
IDLE_A = 0.5
"""While a car draws the one or more on a phase, it does not use those on which it draws the other or less."""

PHASES_AFTER_S = 15.0
"""How long that must be so. Onboard chargers start their phases within a few seconds."""


@dataclass
class Usage:
    """What one EVSE has made of its grant in this session.

    Attributes
    ----------
    wanted_A : float or None
        More than this it does not use; None if that is not known.
    less_since_s : float or None
        Since when it has drawn clearly less than it may.
    most_A : float
        The most it has drawn since then, but for its way down.
    asked_at_s : float or None
        When it is offered its full share again, as it draws nothing of what it is offered.
    asked_after_s : float
        How long it waits for that next time.
    idle_since_s : list of float or None
        Since when each grid phase has been idle while others were not.
    phases : int
        Number of phases that the EVSE offered then.
    """

    wanted_A: float | None = None
    less_since_s: float | None = None
    most_A: float = 0.0
    asked_at_s: float | None = None
    asked_after_s: float = ASKED_AFTER_S
    idle_since_s: list[float | None] = field(default_factory=lambda: [None, None, None])
    phases: int = 0

    def draws_at_most_A(self, margin_A: float) -> float:
        """Return the most that it has drawn while it could have drawn more; infinite if that is not known."""
        return math.inf if self.wanted_A is None else self.wanted_A - margin_A

    def forget_wishes(self) -> None:
        """Begin anew to find out how much it uses; which phases is known as long as the car is there."""
        self.wanted_A = self.less_since_s = self.asked_at_s = None

    def follow(
        self, drawn_A: float, granted_A: float, minimum_A: float, now_s: float, config: ManagerConfig
    ) -> None:
        """Take the current of the phase that it draws most on.

        Parameters
        ----------
        granted_A, minimum_A : float
            What it may draw, and the least that it could be given, per phase.
        """
        margin_A = config.unused_margin_A
        if drawn_A > NOTHING_A:
            self.asked_at_s, self.asked_after_s = None, ASKED_AFTER_S
        elif self.asked_at_s is not None and now_s >= self.asked_at_s:
            self.forget_wishes()
        wanted_A = granted_A if self.wanted_A is None else self.wanted_A
        may_draw_A = min(granted_A, wanted_A)
        if drawn_A >= wanted_A - margin_A / 2:
            self.wanted_A = self.less_since_s = None
        elif drawn_A >= may_draw_A - margin_A - CLEARLY_A:
            self.less_since_s = None
        elif self.less_since_s is None:
            self.less_since_s, self.most_A = now_s, drawn_A
        elif now_s - self.less_since_s <= min(SETTLES_AFTER_S, config.unused_after_s / 2):
            self.most_A = drawn_A
        elif now_s - self.less_since_s < config.unused_after_s:
            self.most_A = max(self.most_A, drawn_A)
        else:
            self.wanted_A = max(self.most_A + margin_A, minimum_A)
            self.less_since_s = None
            if self.most_A <= NOTHING_A and self.asked_at_s is None:
                self.asked_at_s = now_s + self.asked_after_s
                self.asked_after_s = min(2.0 * self.asked_after_s, ASKED_EVERY_S)

    def follow_phases(self, drawn_A: Vector3, offered: Sequence[bool], now_s: float) -> None:
        """Take the current per grid phase, of those that the EVSE offers."""
        if sum(offered) != self.phases:
            self.phases, self.idle_since_s = sum(offered), [None, None, None]
        draws = max(drawn_A) >= DRAWS_A
        for phase, current in enumerate(drawn_A):
            if abs(current) > IDLE_A or not offered[phase]:
                self.idle_since_s[phase] = None
            elif draws and self.idle_since_s[phase] is None:
                self.idle_since_s[phase] = now_s

    def idle_phases(self, now_s: float) -> list[bool]:
        """Tell which grid phases its car does not use."""
        return [since is not None and now_s - since >= PHASES_AFTER_S for since in self.idle_since_s]
