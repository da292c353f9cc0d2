"""Shows what is going on to whoever wants to see it: on change, and at most once a second.

In a thread of its own: whatever happens to it, limits are decided and sent as before.
"""

from collections.abc import Callable, Mapping, Sequence

from control.clock import Clock, Instant
from control.loop import ControlLoop
from control.notices import Notices
from control.schedules import JsonObject

Sink = Callable[[str, JsonObject | None], None]
"""Takes a state by its name; None when there is no such state any more."""

States = Callable[[Instant], Mapping[str, JsonObject]]
"""Gives all states by name."""

EVERY_S = 1.0
_VOLATILE = ("timestamp", "last_run", "duration_s")
"""Changes of these alone are none."""


class Telemetry:
    """Hands changed states on.

    Parameters
    ----------
    states : States
        Asked only if there is somebody to show them to.
    sinks : sequence of Sink
        EVerest, MQTT.
    notices : Notices
        Told when something cannot be shown.
    afterwards : sequence of callable
        Called with the time when everything has been shown.
    """

    def __init__(
        self,
        states: States,
        sinks: Sequence[Sink],
        clock: Clock,
        notices: Notices,
        afterwards: Sequence[Callable[[Instant], None]] = (),
    ) -> None:
        self._states = states
        self._sinks = sinks
        self._notices = notices
        self._afterwards = afterwards
        self._shown: dict[str, JsonObject] = {}
        self._loop = ControlLoop(self.show, EVERY_S, clock, self._on_failure, name="telemetry")

    def start(self) -> None:
        """Begin, if there is somebody to show it to."""
        if self._sinks:
            self._loop.start()

    def stop(self) -> None:
        """End."""
        self._loop.stop()

    def show(self, now: Instant) -> None:
        """Show what has changed."""
        states = self._states(now)
        for name in self._shown.keys() - states.keys():
            del self._shown[name]
            self._hand_on(name, None)
        for name, state in states.items():
            lasting = {key: value for key, value in state.items() if key not in _VOLATILE}
            if self._shown.get(name) != lasting:
                self._shown[name] = lasting
                self._hand_on(name, state)
        for tidy in self._afterwards:
            tidy(now)
        self._notices.clear("telemetry", "telemetry: states are shown again")

    def _hand_on(self, name: str, state: JsonObject | None) -> None:
        for sink in self._sinks:
            sink(name, state)

    def _on_failure(self, error: Exception) -> None:
        self._notices.raise_("telemetry", f"telemetry: states are not shown: {type(error).__name__}: {error}")
