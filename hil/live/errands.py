"""What a person is asked to do at real chargers. The script waits until the charger shows that it is done."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hil.scenario.outcome import Check

WITHIN_S = 300.0
"""How long a person may take; then the script goes on without it, and says so."""
GRACE_S = 10.0
"""Cars of the start were asked for before the run: by then the charger has been read, and shows them."""
_THERE = ("B", "C", "D")
"""States of IEC 61851-1 with a car."""


@dataclass
class _Errand:
    """One errand.

    Attributes
    ----------
    what, result : str
        What to do, and what is so when it is done.
    evse : str
        Where.
    states : tuple of str
        What the charger shows then.
    calls_after_s : float
        The person is told after so much time.
    waited_s : float
        For so long.
    """

    what: str
    result: str
    evse: str
    states: tuple[str, ...]
    calls_after_s: float = 0.0
    waited_s: float = 0.0
    is_told: bool = False


class Errands:
    """Errands, one after the other.

    Parameters
    ----------
    tell : callable
        Tells the person.
    shown : callable
        Gives the state that a charger shows, by its name; None if it has shown none yet.

    Attributes
    ----------
    undone : list of Check
        What was asked for and did not happen.
    """

    def __init__(self, tell: Callable[[str], None], shown: Callable[[str], str | None]) -> None:
        self._tell = tell
        self._shown = shown
        self._open: deque[_Errand] = deque()
        self.undone: list[Check] = []

    def plug_in(self, car: str, evse: str, *, at_start: bool) -> None:
        """Have a car plugged in, unless it is there."""
        calls_after_s = GRACE_S if at_start else 0.0
        self._open.append(_Errand(f"plug in {car} at {evse}", f"{car} is there", evse, _THERE, calls_after_s))

    def unplug(self, car: str, evse: str) -> None:
        """Have a car unplugged."""
        self._open.append(_Errand(f"unplug {car} from {evse}", f"{car} has left", evse, ("A",)))

    def wait(self, seconds: float) -> bool:
        """Take note that so much time has passed, and tell whether the script has to wait on."""
        if self._open:
            self._open[0].waited_s += seconds
        while self._open and self._is_over(self._open[0]):
            self._open.popleft()
        return bool(self._open)

    def _is_over(self, errand: _Errand) -> bool:
        """Look whether somebody has done it, or time is up; tell of it."""
        shown, waited_s = self._shown(errand.evse), errand.waited_s
        if shown in errand.states:
            if errand.is_told:
                self._tell(f"{errand.evse} shows state {shown}: {errand.result}, the script goes on")
            return True
        if waited_s >= WITHIN_S:
            what = "nothing" if shown is None else f"state {shown}"
            found = f"{errand.evse} shows {what} after {waited_s:.0f} s"
            self._tell(f"{found}: the script goes on without that")
            self.undone.append(Check(errand.what, holds=False, found=found))
            return True
        if not errand.is_told and waited_s >= errand.calls_after_s:
            errand.is_told = True
            self._tell(f"{errand.what} now; the script waits for it, at most {WITHIN_S / 60:g} min")
        return False
