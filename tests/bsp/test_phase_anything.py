"""The phase switching sequence against a plant that breaks in every way."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bsp.phase_switch import (
    DEAD_TIME_S,
    FRESH_S,
    NO_LOAD_A,
    Equipment,
    Memory,
    Orders,
    PhaseSwitch,
    Seen,
    Step,
)
from tests.bsp.contacts import BOARD, REGISTER


class Anything(RuleBasedStateMachine):
    """Whatever breaks, restarts or lies: no contact is ever ordered to move under load or too early."""

    @initialize(equipment=st.sampled_from([BOARD, REGISTER]), phases=st.sampled_from([1, 3]))
    def build(self, equipment: Equipment, phases: int) -> None:
        self.equipment = equipment
        self.now = 0.0
        self.switch = PhaseSwitch(equipment, 0.0, Memory(phases=phases, home=3))
        self.selected = phases
        self.main_open = False
        self.paused = False
        self.lag_s = 0.0  # since the car was paused or released
        self.reaction_s = 1.0
        self.stubborn = False
        self.main_stuck = self.selector_stuck = False
        self.reads = True
        self.last_seen = self.look()
        self.opened_at = self.selected_at = -1e9
        self.had_fault = False
        self.tripped = False
        self.welded = False
        self.steady_looks = 0

    @property
    def current_A(self) -> float:
        if self.main_open:
            return 0.0
        if self.stubborn:
            return 16.0
        is_draining = self.paused and self.lag_s < self.reaction_s
        is_starting = not self.paused and self.lag_s < self.reaction_s
        return 16.0 if is_draining or (not self.paused and not is_starting) else 0.0

    def look(self) -> Seen:
        current_A = self.current_A
        return Seen(
            self.now,
            "C" if current_A else "B",
            current_A,
            selected=self.selected,
            main_open=self.main_open if self.equipment.main_contactor else None,
            drawing=(3 if self.welded else self.selected) if current_A else 0,
        )

    @rule(steps=st.integers(1, 12))
    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.now += 0.5
            self.lag_s += 0.5
            if self.reads:
                self.last_seen = self.look()
            self.obey(self.switch.advance(self.now, self.last_seen))
            is_look = self.reads and self.switch.step is Step.STEADY
            self.steady_looks = self.steady_looks + 1 if is_look else 0

    def obey(self, orders: Orders) -> None:
        no_load = self.current_A < NO_LOAD_A
        moves = orders.main is not None or (orders.select is not None and orders.select != self.selected)
        if moves and not (self.tripped and orders.main == "open"):
            assert self.now - self.last_seen.at <= FRESH_S, "moved on an old reading"
            assert self.last_seen.state not in ("C", "D"), "moved while the car had asked for current"
        if orders.main is not None:
            assert no_load or (self.tripped and orders.main == "open"), "main contactor moved under load"
            assert orders.main == "open" or self.now - self.selected_at >= DEAD_TIME_S
            if not self.main_stuck and self.main_open != (orders.main == "open"):
                self.main_open = orders.main == "open"
                if self.main_open:
                    self.opened_at = self.now
        if orders.select is not None and orders.select != self.selected:
            assert no_load, "phases selected under load"
            if self.equipment.main_contactor:
                assert self.main_open, "phases selected with the main contactor closed"
                assert self.now - self.opened_at >= DEAD_TIME_S
            if not self.selector_stuck:
                self.selected = orders.select
                self.selected_at = self.now
        if orders.pause != self.paused:
            self.paused, self.lag_s = orders.pause, 0.0

    @rule(phases=st.sampled_from([1, 3]), later_s=st.sampled_from([0.0, 400.0]), is_limited=st.booleans())
    def request(self, phases: int, later_s: float, is_limited: bool) -> None:
        self.now += later_s
        self.lag_s += later_s
        if self.reads:
            self.last_seen = self.look()
            self.steady_looks = 0
        self.switch.request(phases, self.now, is_limited=is_limited)

    @rule(for_s=st.sampled_from([3.0, 30.0, 300.0]))
    def be_silent(self, for_s: float) -> None:
        """Nobody can look, so nothing is done; the car goes on with what it was doing."""
        self.now += for_s
        self.lag_s += for_s

    @rule()
    def weld(self) -> None:
        """L2 and L3 stay joined whatever the auxiliary contact shows."""
        self.welded = True
        self.steady_looks = 0

    @rule(reads=st.booleans())
    def lose_replies(self, reads: bool) -> None:
        self.reads = reads

    @rule(stubborn=st.booleans(), reaction_s=st.sampled_from([0.5, 3.0, 20.0, 50.0]))
    def change_car(self, stubborn: bool, reaction_s: float) -> None:
        # A car that ignores its pilot does so all the time: none starts to draw while it is paused.
        if not self.switch.is_under_way and not self.paused:
            self.stubborn, self.reaction_s = stubborn, reaction_s

    @rule(main=st.booleans(), selector=st.booleans())
    def jam(self, main: bool, selector: bool) -> None:
        self.main_stuck, self.selector_stuck = main, selector

    @rule()
    def restart(self) -> None:
        self.switch = PhaseSwitch(self.equipment, self.now, self.switch.memory)
        self.tripped = False

    @rule()
    def lose_power(self) -> None:
        """The board drops its relays, and the car is cut off with them."""
        if not self.equipment.main_contactor or self.main_stuck or self.selector_stuck:
            return
        if not self.main_open:
            self.main_open, self.opened_at = True, self.now
        if self.selected == 3:
            self.selected, self.selected_at = 1, self.now
            self.steady_looks = 0

    @rule()
    def trip(self) -> None:
        if self.equipment.main_contactor:
            self.switch.trip("draws though it is paused", self.now)
            self.tripped = True

    @rule()
    def reset(self) -> None:
        self.switch.reset(self.now)
        self.had_fault = self.tripped = False

    @invariant()
    def a_fault_stays_and_pauses(self) -> None:
        if not hasattr(self, "switch"):
            return
        if self.had_fault:
            assert self.switch.step is Step.FAULT
        self.had_fault = self.switch.memory.fault is not None

    @invariant()
    def a_finished_switch_is_where_it_says(self) -> None:
        """As soon as it has looked: contacts may have moved by themselves meanwhile."""
        if hasattr(self, "switch") and self.steady_looks > 1:
            assert self.switch.memory.phases == self.selected

    @invariant()
    def a_weld_that_shows_in_the_current_is_not_overlooked(self) -> None:
        if hasattr(self, "switch") and self.steady_looks > 1 and self.switch.memory.phases == 1:
            assert self.last_seen.drawing <= 1


TestAnything: Any = Anything.TestCase
TestAnything.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
