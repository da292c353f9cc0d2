"""Whether a car that does not draw has been offered current for long enough to have begun, if it wanted."""

from bsp.profile import State

WAKES_WITHIN_S = 60.0
"""Cars ask for current within seconds of an offer, some that have slept within most of a minute.

EVerest's EvseManager has a car down as paused 45 s after it, a wake-up included.
"""


class Waking:
    """Watches what becomes of an offer."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._has_begun = False

    def may_begin(self, now: float, state: State, limit_A: float | None) -> bool:
        """Tell whether a car may still begin to charge.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        state : str
            IEC 61851 state.
        limit_A : float or None
            What it is offered.
        """
        if state not in ("B", "C", "D") or not limit_A:
            self._since, self._has_begun = None, False
            return False
        if self._since is None:
            self._since = now
        self._has_begun |= state != "B"
        return not self._has_begun and now - self._since < WAKES_WITHIN_S
