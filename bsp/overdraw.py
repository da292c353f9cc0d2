"""Whether a car keeps to what its connector offers: the last defence when a charger ignores its limit."""

import math

TOLERANCE_A = 0.5
TOLERANCE_FACTOR = 1.1
"""More than (limit + 0.5 A) * 1.1 is too much, as for the soft over-current of EVerest's EvseManager."""
OVERDRAW_S = 15.0
"""How long too much may last: 5 s to follow the pilot (IEC 61851-1), 6 s to be cut off, and the polling."""
STOPS_WITHIN_S = 10.0
"""How long a paused car may draw: 3 s to stop, cut off by its charger after 6 s, and the polling."""
NO_LOAD_A = 1.0
"""A car that draws less has stopped."""


class OverdrawGuard:
    """Notices a car that draws more than its limit for too long.

    Attributes
    ----------
    fault : str or None
        What it has noticed. It stays until the car has left.
    ignores_pause : str or None
        That the car, though it was paused for this, has gone on drawing. It stays as long, too.

    Parameters
    ----------
    overdraw_s : float
        How long it may draw too much.
    """

    def __init__(self, overdraw_s: float = OVERDRAW_S) -> None:
        self.fault: str | None = None
        self.ignores_pause: str | None = None
        self._overdraw_s = overdraw_s
        self._since = math.inf
        self._drawing_since = math.inf

    def reset(self) -> None:
        """Forget what was noticed."""
        self.fault = self.ignores_pause = None
        self._since = self._drawing_since = math.inf

    def watch(self, now: float, *, current_A: float | None, limit_A: float, is_connected: bool) -> str | None:
        """Take a measurement.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        current_A : float or None
            Largest current of all phases; None where nothing is measured.
        limit_A : float
            What the car may draw at present.
        is_connected : bool
            Whether a car is there.

        Returns
        -------
        str or None
            The fault, as long as there is one.
        """
        if not is_connected:
            self.reset()
        self._watch_pause(now, current_A, is_paused=self.fault is not None and limit_A == 0)
        if current_A is None or current_A <= (limit_A + TOLERANCE_A) * TOLERANCE_FACTOR:
            self._since = math.inf
        else:
            self._since = min(self._since, now)
            if now - self._since > self._overdraw_s and self.fault is None:
                self.fault = f"draws {current_A:.1f} A, {limit_A:g} A are allowed"
        return self.fault

    def _watch_pause(self, now: float, current_A: float | None, *, is_paused: bool) -> None:
        if not is_paused or current_A is None or current_A < NO_LOAD_A:
            self._drawing_since = math.inf
            return
        self._drawing_since = min(self._drawing_since, now)
        if now - self._drawing_since > STOPS_WITHIN_S and self.ignores_pause is None:
            self.ignores_pause = f"draws {current_A:.1f} A though it is paused"
