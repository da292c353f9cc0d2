"""Whatever dies on the way down, limits in force stay within the fuse: a manager, two nodes and two EVSEs.

The manager is above the site's node of 32 A, from which EVSE b hangs, and the garage's node with EVSE a.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from control.dispatch import NOTICED_LATE_S
from control.everest import Outside
from control.settings import Settings
from control.site import EnergySite
from control.workings import Workings
from tests.control.sample import RecordingLog, VirtualClock, evse
from tests.control.test_waits import DeafError, DispatcherAtOnce, LoopByHand

Json = dict[str, Any]
FUSE_A = 32.0
TICK_S = 0.25


class Impatient(DispatcherAtOnce):
    """Who has not answered at once never will."""

    def has_taken(self, uuid: str, wait_s: float = 0.0) -> bool:
        return super().has_taken(uuid)


class Evse:
    """What it may draw by its limits, which run out."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._limit_A = self._ends_at_s = 0.0

    def take(self, limits: Json) -> None:
        self._limit_A = limits["limits_root_side"]["ac_max_current_A"]["value"]
        self._ends_at_s = self._clock.elapsed_s + limits["valid_for"] + NOTICED_LATE_S

    @property
    def in_force_A(self) -> float:
        return self._limit_A if self._clock.elapsed_s < self._ends_at_s else 0.0


class Instance:
    """One module instance; what it publishes goes to the one above, as long as it lives."""

    def __init__(
        self, tree: "Tree", name: str, children: dict[str, Callable[[Json], None]], **config: Any
    ) -> None:
        self._tree, self.name = tree, name
        self.is_alive = True
        self.site = EnergySite(
            Settings.from_config(name, {"child_timeout_s": 2.0, **config}),
            None,
            Outside(children, self, RecordingLog(), has_trunk="role" not in config),
            tree.clock,
            Workings(LoopByHand, Impatient),
        )
        self.loop: Any = self.site._loop

    def enforce(self, limits: Json) -> None:
        if not self.is_alive:
            raise DeafError
        self.site.handlers.enforce_limits(limits)

    def publish(self, implementation: str, variable: str, value: Any) -> None:
        if variable == "energy_flow_request" and self.is_alive:
            self._tree.parent_of(self.name).site.handlers.request(self.name, value)

    def raise_error(self, *_: object) -> None:
        raise AssertionError

    clear_error = raise_error


class Tree:
    """All of them, and a clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.evses = {"a": Evse(self.clock), "b": Evse(self.clock)}
        self.states = {"a": "Unplugged", "b": "Unplugged"}
        self.silent: set[str] = set()
        self.manager = Instance(self, "manager", {"site": self._call_site})
        self.site = Instance(
            self,
            "site",
            {"garage": self._call_garage, "b": self.evses["b"].take},
            role="node",
            fuse_limit_A=FUSE_A,
        )
        self.start_garage()

    def _call_site(self, limits: Json) -> None:
        self.site.enforce(limits)

    def _call_garage(self, limits: Json) -> None:
        self.garage.enforce(limits)

    def start_garage(self) -> None:
        self.garage = Instance(self, "garage", {"a": self.evses["a"].take}, role="node", fuse_limit_A=FUSE_A)

    def parent_of(self, name: str) -> Instance:
        return {"a": self.garage, "b": self.site, "garage": self.site, "site": self.manager}[name]

    def change(self, name: str, state: str) -> None:
        is_new = self.states[name] != state
        self.states[name] = state
        self._publish(name, priority=is_new)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            if self.clock.elapsed_s % 1.0 == 0.0:
                for name in self.evses:
                    self._publish(name)
            for instance in (self.garage, self.site, self.manager):
                if instance.is_alive:
                    instance.loop.catch_up()
                assert self.in_force_A <= FUSE_A + 1e-6, self.clock.elapsed_s

    @property
    def in_force_A(self) -> float:
        return sum(evse.in_force_A for evse in self.evses.values())

    def _publish(self, name: str, *, priority: bool = False) -> None:
        parent = self.parent_of(name)
        if parent.is_alive and name not in self.silent:
            parent.site.handlers.request(name, evse(name, state=self.states[name], priority=priority))


def test_a_node_that_dies_amid_a_fall() -> None:
    tree = Tree()
    tree.run(10)
    assert {name: each.in_force_A for name, each in tree.evses.items()} == {"a": 16, "b": 16}
    tree.garage.is_alive = False
    tree.change("b", "Charging")
    tree.run(9)
    assert tree.evses["b"].in_force_A == 16, "a may still go by what it had"
    tree.run(5)
    assert tree.evses["b"].in_force_A == 32
    tree.change("a", "Charging")
    tree.start_garage()
    tree.run(15)
    assert {name: each.in_force_A for name, each in tree.evses.items()} == {"a": 16, "b": 16}


def test_a_node_that_starts_anew_and_has_not_heard_of_its_evse_yet() -> None:
    tree = Tree()
    tree.change("a", "Charging")
    tree.change("b", "Charging")
    tree.run(20)
    tree.silent.add("a")
    tree.start_garage()
    tree.run(7)
    assert {name: each.in_force_A for name, each in tree.evses.items()} == {"a": 16, "b": 16}
    tree.run(10)
    assert {name: each.in_force_A for name, each in tree.evses.items()} == {"a": 0, "b": 32}
    tree.silent.clear()
    tree.run(10)
    assert {name: each.in_force_A for name, each in tree.evses.items()} == {"a": 16, "b": 16}


STATES = st.sampled_from(["Charging", "Unplugged"])


@settings(max_examples=30, deadline=None)
@given(story=st.lists(st.tuples(st.booleans(), STATES, STATES, st.integers(1, 16)), min_size=2, max_size=5))
def test_whatever_happens(story: list[tuple[bool, str, str, int]]) -> None:
    tree = Tree()
    tree.run(8)
    for lives, state_of_a, state_of_b, quarters in story:
        if lives and not tree.garage.is_alive:
            tree.start_garage()
        tree.garage.is_alive = lives
        tree.change("a", state_of_a)
        tree.change("b", state_of_b)
        tree.run(quarters)
