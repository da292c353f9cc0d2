"""The thread that runs the control step: at its interval, when something is due, and when woken."""

import math
import threading
from collections.abc import Callable

from control.clock import Clock, Instant

Step = Callable[[Instant], float | None]
"""Returns the monotonic second by which the next step is due; None if that is at the interval."""

SHORTEST_GAP_S = 0.02
"""Least time between two steps: what comes meanwhile, like many EVSEs' first requests, is taken together."""


class ControlLoop:
    """Runs a step again and again until it is stopped.

    An exception in the step is the safe state: no limit leaves this instance then, and the limits in force
    run out by themselves after their ``valid_for``. The loop goes on, so that what was passing passes.

    Parameters
    ----------
    step : callable
        One decision, given the time.
    interval_s : float
        Longest time between two steps.
    clock : Clock
        Tells the time that a step gets.
    on_failure : callable
        Told of every exception that a step let through.
    name : str
        Of the thread.
    """

    def __init__(
        self,
        step: Step,
        interval_s: float,
        clock: Clock,
        on_failure: Callable[[Exception], None],
        name: str = "control-loop",
    ) -> None:
        self._step = step
        self._interval_s = interval_s
        self._clock = clock
        self._on_failure = on_failure
        self._urgent = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first step runs at once."""
        self._thread.start()

    def wake(self) -> None:
        """Run the next step at once. Calls during a step make for one more step, not for many."""
        self._urgent.set()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End after the step under way. Returns whether it ended in time."""
        self._stop.set()
        self._urgent.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._urgent.clear()
            due_s: float | None = None
            try:
                due_s = self._step(self._clock())
            except Exception as error:  # noqa: BLE001 - the safe state described above
                self._on_failure(error)
            if not self._stop.wait(SHORTEST_GAP_S):
                left_s = math.inf if due_s is None else due_s - self._clock().monotonic_s
                self._urgent.wait(max(0.0, min(self._interval_s - SHORTEST_GAP_S, left_s)))
