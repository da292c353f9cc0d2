"""Waits end when they are over, though the next regular run is a minute away; on a virtual clock."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from control.clock import Clock
from control.dispatch import Dispatcher
from control.everest import Outside
from control.loop import ControlLoop, Step
from control.settings import Settings
from control.site import EnergySite
from control.workings import Workings
from tests.control.instance import EverestPlayed
from tests.control.sample import RecordingLog, VirtualClock, evse

Json = dict[str, Any]
TICK_S = 0.25


class DeafError(Exception):
    """No answer will ever come."""


class DispatcherAtOnce(Dispatcher):
    """Calls in the thread that offers; who is deaf is called for ever."""

    def _staff(self, now: float) -> None:
        while self._queue:
            job = self._take(now)
            try:
                job.send(job.attempt.limits)
            except DeafError:
                continue
            self._finish(job, None)


class LoopByHand(ControlLoop):
    """Steps when a loop in a thread would, as soon as it is told what time it is."""

    def __init__(
        self, step: Step, interval_s: float, clock: Clock, on_failure: Callable[[Exception], None]
    ) -> None:
        super().__init__(step, interval_s, clock, on_failure)
        self._next_s = -math.inf

    def wake(self) -> None:
        self._next_s = -math.inf

    def catch_up(self) -> None:
        while self._clock().monotonic_s >= self._next_s:
            now = self._clock()
            self._next_s = math.inf
            due_s = self._step(now)
            by_interval_s = now.monotonic_s + self._interval_s
            self._next_s = min(self._next_s, by_interval_s, math.inf if due_s is None else due_s)


class Site:
    """Two EVSEs on 32 A that publish every second; a car draws what it may two seconds after it was told."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.limits_A = {"a": 0.0, "b": 0.0}
        self.states = {"a": "Charging", "b": "Unplugged"}
        self.is_measured = True
        self.is_deaf = dict.fromkeys("ab", False)
        self.is_silent = dict.fromkeys("ab", False)
        self._ends_at_s = {"a": 0.0, "b": 0.0}
        self._drawn_A = {"a": [0.0], "b": [0.0]}
        self.site = EnergySite(
            Settings.from_config("grid", {"fuse_limit_A": 32, "update_interval": 60}),
            None,
            Outside({name: self._child(name) for name in "ab"}, EverestPlayed(), RecordingLog()),
            self.clock,
            Workings(LoopByHand, DispatcherAtOnce),
        )
        self.loop: Any = self.site._loop
        for name in "ab":
            self._publish(name, priority=True)

    def _child(self, name: str) -> Callable[[Json], None]:
        def take(limits: Json) -> None:
            if self.is_deaf[name]:
                raise DeafError
            self.limits_A[name] = limits["limits_root_side"]["ac_max_current_A"]["value"]
            self._ends_at_s[name] = self.clock.elapsed_s + limits["valid_for"]

        return take

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            if self.clock.elapsed_s % 1.0 == 0.0:
                for name in "ab":
                    if self.clock.elapsed_s >= self._ends_at_s[name]:
                        self.limits_A[name] = 0.0
                    self._publish(name)
            self.loop.catch_up()

    def run_until(self, condition: Callable[[], bool]) -> float:
        """Return how long that takes."""
        began_s = self.clock.elapsed_s
        while not condition():
            assert self.clock.elapsed_s < began_s + 2000
            self.run(TICK_S)
        return self.clock.elapsed_s - began_s

    def change(self, name: str, state: str) -> None:
        self.states[name] = state
        self._publish(name, priority=True)

    def _publish(self, name: str, *, priority: bool = False) -> None:
        draws = self.states[name] == "Charging"
        self._drawn_A[name] = [*self._drawn_A[name][-2:], self.limits_A[name] if draws else 0.0]
        if self.is_silent[name]:
            return
        request = evse(name, state=self.states[name], priority=priority)
        if self.is_measured:
            current = dict.fromkeys(("L1", "L2", "L3"), self._drawn_A[name][0])
            stamp = f"2026-11-22T09:{self.clock.elapsed_s / 60:09.6f}Z"
            request["energy_usage_root"] = {
                "timestamp": stamp,
                "energy_Wh_import": {"total": self.clock.elapsed_s},
                "current_A": current,
            }
        self.site.handlers.request(name, request)


@pytest.fixture
def site() -> Site:
    """a has charged with 32 A for a while, b has no car."""
    site = Site()
    site.run(30)
    assert site.limits_A == {"a": 32, "b": 0}
    return site


def share(site: Site) -> None:
    site.change("b", "Charging")
    site.loop.catch_up()
    assert site.limits_A == {"a": 16, "b": 0}, "who gives up goes first"


def test_when_the_fall_is_measured(site: Site) -> None:
    share(site)
    assert site.run_until(lambda: site.limits_A["b"] == 16) <= 3


def test_when_the_car_has_had_its_six_seconds(site: Site) -> None:
    site.is_measured = False
    site.run(30)
    share(site)
    took_s = site.run_until(lambda: site.limits_A["b"] == 16)
    assert 6 <= took_s <= 6.5


def test_when_the_five_seconds_between_two_changes_are_over(site: Site) -> None:
    share(site)
    site.run_until(lambda: site.limits_A["b"] == 16)
    site.change("b", "Unplugged")
    assert site.run_until(lambda: site.limits_A["a"] == 32) <= 5.5


def test_at_once_when_an_evse_without_a_car_has_answered(site: Site) -> None:
    site.change("a", "Unplugged")
    site.run(30)
    assert site.limits_A == {"a": 16, "b": 16}
    site.change("b", "Charging")
    site.loop.catch_up()
    assert site.limits_A == {"a": 0, "b": 32}


def test_when_the_limit_that_was_never_answered_has_run_out(site: Site) -> None:
    ends_at_s = TICK_S + 601  # it was sent with the first step
    site.is_deaf["a"] = True
    site.change("b", "Charging")
    site.run_until(lambda: site.limits_A["b"] > 0)
    assert ends_at_s <= site.clock.elapsed_s <= ends_at_s + 3


def test_when_the_limit_of_a_silent_child_has_run_out(site: Site) -> None:
    site.is_silent["a"] = True
    site.change("b", "Charging")
    site.run(580)
    assert site.limits_A["b"] <= 16
    assert site.run_until(lambda: site.limits_A["b"] == 32) < 200


def test_nothing_else_is_decided_before_the_interval_is_over(site: Site) -> None:
    decided = site.site.decision
    assert decided is not None
    site.run_until(lambda: site.site.decision is not decided)
    site.run(0.5)
    decided = site.site.decision
    assert site.run_until(lambda: site.site.decision is not decided) >= 59
