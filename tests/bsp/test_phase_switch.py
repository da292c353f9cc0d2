"""The phase switching sequence: as a story, and against a plant that breaks in every way."""

from dataclasses import replace
from typing import Any

import pytest
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

BOARD = Equipment(main_contactor=True, hold_off_s=300.0)
REGISTER = Equipment(hold_off_s=300.0)
CHARGER = Equipment(by_itself=True, hold_off_s=300.0)
THREE = Memory(phases=3)


class Installation:
    """Car, contactors and clock, driven by a switch; each second is one cycle."""

    def __init__(self, equipment: Equipment, memory: Memory = THREE, *, locked: bool = False) -> None:
        self.now = 0.0
        self.equipment = equipment
        self.switch = PhaseSwitch(equipment, self.now, memory, locked=locked)
        self.paused = False
        self.selected = memory.phases
        self.main_open = False
        self.ignores_pause = False
        self.main_is_stuck = False
        self.selector_is_stuck = False
        self.log: list[str] = []
        self._unpaused_s = 60.0

    @property
    def draws(self) -> bool:
        return (not self.paused or self.ignores_pause) and not self.main_open

    def seen(self) -> Seen:
        return Seen(
            self.now,
            "C" if self.draws else "B",
            16.0 if self.draws else 0.0,
            selected=self.selected,
            main_open=self.main_open if self.equipment.main_contactor else None,
            drawing=self.selected if self.draws else 0,
        )

    def second(self) -> Orders:
        orders = self.switch.advance(self.now, self.seen())
        if orders.main is not None and not self.main_is_stuck:
            assert not self.draws, "a contactor moved under load"
            self.main_open = orders.main == "open"
            self.log.append(f"{self.now:g} main {orders.main}")
        if orders.select is not None and not self.selector_is_stuck and orders.select != self.selected:
            assert self.equipment.by_itself or not self.draws, "a contactor moved under load"
            self.selected = orders.select
            self.log.append(f"{self.now:g} select {orders.select}")
        self.paused = orders.pause
        self.now += 1.0
        return orders

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.second()


def test_with_contactors_of_ours_every_step_waits_for_the_one_before() -> None:
    site = Installation(BOARD)
    assert site.switch.request(1, site.now)
    site.seconds(20)
    assert site.log == ["1 main open", "5 select 1", "10 main closed"]
    assert (site.switch.memory.phases, site.switch.memory.switches) == (1, 1)
    site.seconds(60)
    assert site.switch.step is Step.STEADY
    assert not site.switch.memory.under_way
    assert site.draws


def test_a_register_switches_only_after_the_car_has_paused() -> None:
    site = Installation(REGISTER)
    site.switch.request(1, site.now)
    assert site.second() == Orders(pause=True)
    site.seconds(30)
    assert site.log == ["4 select 1"]
    assert site.switch.memory.phases == 1


def test_a_charger_that_can_do_it_is_told_and_not_paused() -> None:
    site = Installation(CHARGER)
    site.switch.request(1, site.now)
    assert site.second() == Orders(select=1)
    assert site.second() == Orders()
    assert site.switch.step is Step.STEADY
    assert site.switch.memory.switches == 1


def test_a_car_that_goes_on_drawing_keeps_its_phases() -> None:
    site = Installation(BOARD)
    site.ignores_pause = True
    site.switch.request(1, site.now)
    site.seconds(40)
    assert site.log == []
    assert site.switch.step is Step.STEADY
    assert (site.switch.memory.phases, site.switch.memory.failures) == (3, 1)
    assert not site.switch.request(1, site.now), "not again at once"


@pytest.mark.parametrize(
    ("stuck", "text"),
    [
        ("main_is_stuck", "the main contactor does not open: stuck or welded"),
        ("selector_is_stuck", "the contact for 1 phases does not move: stuck or welded"),
    ],
)
def test_a_contact_that_does_not_move_is_a_fault_that_stays(stuck: str, text: str) -> None:
    site = Installation(BOARD)
    setattr(site, stuck, True)
    site.switch.request(1, site.now)
    site.seconds(60)
    assert site.switch.memory.fault == text
    assert site.paused
    setattr(site, stuck, False)
    site.seconds(600)
    assert site.switch.step is Step.FAULT
    assert not site.switch.request(3, site.now)
    restarted = PhaseSwitch(BOARD, site.now, site.switch.memory)
    assert restarted.step is Step.FAULT


def test_a_fault_is_cleared_by_a_person_and_ends_on_one_phase() -> None:
    site = Installation(BOARD)
    site.selector_is_stuck = True
    site.switch.request(1, site.now)
    site.seconds(60)
    site.selector_is_stuck = False
    site.switch.reset(site.now)
    site.seconds(120)
    assert site.switch.memory.fault is None
    assert site.selected == site.switch.memory.phases == 1
    assert site.switch.step is Step.STEADY


def test_a_welded_phase_is_noticed_by_its_current() -> None:
    switch = PhaseSwitch(REGISTER, 0.0, Memory(phases=1))
    orders = switch.advance(1.0, Seen(1.0, "C", 16.0, selected=1, drawing=3))
    assert orders.pause
    assert switch.memory.fault == "3 phases draw current though one is selected: a contact is welded"


@pytest.mark.parametrize("after_s", range(1, 14))
def test_a_restart_in_the_middle_brings_the_contacts_to_one_phase_first(after_s: int) -> None:
    site = Installation(BOARD, Memory(phases=1))
    site.switch.request(3, site.now)
    site.seconds(after_s)
    assert site.switch.memory.under_way
    site.switch = PhaseSwitch(BOARD, site.now, site.switch.memory)
    site.seconds(120)
    assert site.selected == site.switch.memory.phases == 1
    assert not site.main_open
    assert site.switch.step is Step.STEADY


def test_two_switches_are_apart_by_the_hold_off() -> None:
    site = Installation(CHARGER)
    site.switch.request(1, site.now)
    site.seconds(2)
    assert not site.switch.request(3, site.now)
    site.seconds(298)
    assert not site.switch.request(3, site.now)
    site.seconds(2)
    assert site.switch.request(3, site.now)


def test_after_two_failures_the_car_keeps_its_phases_until_it_leaves() -> None:
    site = Installation(CHARGER)
    site.selector_is_stuck = True
    for _ in range(2):
        assert site.switch.request(1, site.now)
        site.seconds(400)
    site.selector_is_stuck = False
    assert not site.switch.request(1, site.now)
    site.switch.advance(site.now, replace(site.seen(), state="A", current_A=0.0, drawing=0))
    assert site.switch.request(1, site.now)


def test_the_installer_can_forbid_it() -> None:
    site = Installation(BOARD, locked=True)
    assert not site.switch.request(1, site.now)
    assert site.switch.request(3, site.now), "that is how it is already"


def test_the_lock_keeps_nothing_where_nobody_wants_it() -> None:
    site = Installation(BOARD, Memory(phases=3, under_way=True), locked=True)
    site.main_open = True
    site.seconds(120)
    assert (site.selected, site.main_open) == (1, False)


class OnOnePhase(Installation):
    """Necessity has brought it there: contacts that were not known, long ago."""

    def __init__(self, equipment: Equipment = BOARD, *, home: int = 3, locked: bool = False) -> None:
        super().__init__(equipment, Memory(phases=1, home=home), locked=locked)
        self.car_is_here = True
        self.answer: int | None = None
        """What the energy manager orders while the connector counts as one on three phases."""
        self.is_limited = False
        """Whether it orders one phase only because a limit allows no more."""

    def seen(self) -> Seen:
        seen = super().seen()
        return seen if self.car_is_here else replace(seen, state="A", current_A=0.0, drawing=0)

    @property
    def draws(self) -> bool:
        return self.car_is_here and super().draws

    def seconds(self, count: int) -> None:
        """Time in which the manager orders the phases that the connector says to be in use, or the answer."""
        for _ in range(count):
            order = self.answer if self.switch.phases == 3 else 1
            if order is not None and self.car_is_here:
                self.switch.request(order, self.now, is_limited=self.is_limited)
            self.second()


@pytest.mark.parametrize("equipment", [BOARD, REGISTER, CHARGER], ids=["board", "register", "charger"])
def test_contacts_that_necessity_has_moved_go_back_when_the_limits_allow_it(equipment: Equipment) -> None:
    site = OnOnePhase(equipment)
    site.answer = 3
    site.seconds(60)
    assert site.selected == site.switch.memory.phases == 3
    assert site.switch.step is Step.STEADY
    assert site.draws


def test_after_a_cut_off_and_a_reset_it_charges_on_three_phases_again() -> None:
    """Nobody orders three phases: in mode Never those in use are kept."""
    site = OnOnePhase()
    site.selected, site.switch.memory = 3, Memory(phases=3, home=3)
    site.answer = 3
    site.switch.trip("draws 16 A though it is paused", site.now)
    site.main_open = True
    site.seconds(10)
    site.switch.reset(site.now)
    site.seconds(30)
    assert site.draws
    assert site.selected == 1, "first to where contacts are known to be"
    site.seconds(int(BOARD.hold_off_s))
    assert site.draws
    assert (site.selected, site.switch.memory.phases) == (3, 3)


@pytest.mark.parametrize("answer", [1, None], ids=["one phase", "nothing"])
def test_without_such_an_order_it_goes_on_with_one_and_asks_again_much_later(answer: int | None) -> None:
    site = OnOnePhase()
    site.answer = answer
    site.seconds(5)
    assert site.paused
    site.seconds(60)
    assert (site.selected, site.draws, site.log) == (1, True, [])
    paused_at: list[float] = []
    for _ in range(4 * 3600):
        was_paused = site.paused
        site.seconds(1)
        if site.paused and not was_paused:
            paused_at.append(site.now)
    assert paused_at == pytest.approx([1800.0, 5400.0, 12600.0], abs=5.0)
    assert site.log == []
    assert site.switch.memory.failures == 0


def test_nobody_is_asked_while_the_car_may_not_charge() -> None:
    site = OnOnePhase()
    for _ in range(600):
        assert site.second() == Orders()
    site.answer = 3
    site.seconds(60)
    assert site.selected == 3


def test_without_a_car_nobody_is_asked() -> None:
    site = OnOnePhase()
    site.car_is_here = False
    site.seconds(60)
    assert (site.selected, site.main_open) == (3, False)
    assert site.switch.step is Step.CONFIRMING


def test_where_it_was_ordered_to_one_phase_it_stays() -> None:
    site = OnOnePhase()
    site.selected, site.switch.memory = 3, Memory(phases=3, home=3)
    site.switch.request(1, site.now)
    site.answer = 3
    site.seconds(4000)
    assert (site.selected, site.switch.memory.home, site.draws) == (1, 1, True)
    assert site.switch.memory.switches == 1


@pytest.mark.parametrize("equipment", [BOARD, REGISTER, CHARGER], ids=["board", "register", "charger"])
@pytest.mark.parametrize("restarts", [False, True], ids=["no restart", "restart"])
def test_where_only_a_limit_allowed_no_more_it_goes_back_when_that_is_gone(
    equipment: Equipment, restarts: bool
) -> None:
    site = OnOnePhase(equipment)
    site.selected, site.switch.memory = 3, Memory(phases=3, home=3)
    site.switch.request(1, site.now, is_limited=True)
    site.is_limited, site.answer = True, 1
    site.seconds(90)
    assert (site.selected, site.draws) == (1, True)
    moved = list(site.log)
    for _ in range(4 * 3600):
        site.seconds(1)
        assert site.draws, "nobody is asked for what a limit does not allow"
    assert site.log == moved
    if restarts:
        site.switch = PhaseSwitch(equipment, site.now, site.switch.memory)
        site.seconds(10)
        assert site.log == moved
    site.is_limited, site.answer = False, 3
    site.seconds(60)
    assert (site.selected, site.switch.memory.phases, site.draws) == (3, 3, True)


def test_without_a_car_it_stays_as_well_while_a_limit_allows_no_more() -> None:
    site = OnOnePhase()
    site.switch.request(1, site.now, is_limited=True)
    site.car_is_here = False
    site.seconds(4000)
    assert site.log == []
    site.switch.request(1, site.now)
    site.seconds(60)
    assert (site.selected, site.main_open) == (3, False)


@pytest.mark.parametrize("is_limited", [False, True])
def test_what_was_chosen_at_the_charger_itself_stays(is_limited: bool) -> None:
    site = OnOnePhase(CHARGER)
    site.selected, site.switch.memory = 1, Memory(phases=3, home=3)
    site.answer, site.is_limited = 3, is_limited
    site.seconds(1000)
    site.is_limited = False
    site.seconds(4000)
    assert (site.selected, site.log) == (1, [])


def test_the_lock_keeps_contacts_from_going_back() -> None:
    site = OnOnePhase(locked=True)
    site.answer = 3
    site.seconds(600)
    assert (site.selected, site.draws, site.log) == (1, True, [])
    site.switch.locked = False
    site.seconds(60)
    assert site.selected == 3


def restarted(switch: PhaseSwitch, now: float, *, pause_s: float) -> tuple[PhaseSwitch, float]:
    """A process that begins ``pause_s`` later, with a monotonic clock that began anew."""
    return PhaseSwitch(CHARGER, 5.0, switch.memory.later(5.0 - now - pause_s)), 5.0


@pytest.mark.parametrize(("pause_s", "may"), [(10.0, False), (200.0, False), (400.0, True)])
def test_the_hold_off_goes_on_over_a_restart(pause_s: float, may: bool) -> None:
    site = Installation(CHARGER)
    site.switch.request(1, site.now)
    site.seconds(2)
    switch, now = restarted(site.switch, site.now, pause_s=pause_s)
    assert switch.request(3, now) is may


def test_a_clock_that_was_wrong_before_a_restart_holds_nothing_off_for_longer() -> None:
    switch = PhaseSwitch(CHARGER, 5.0, Memory(phases=1, ready_at=1e9))
    assert not switch.request(3, 304.0)
    assert switch.request(3, 306.0)


def test_failures_are_counted_over_a_restart() -> None:
    switch = PhaseSwitch(CHARGER, 0.0, Memory(phases=3, failures=2))
    assert not switch.request(1, 0.0)


@pytest.mark.parametrize("equipment", [BOARD, REGISTER], ids=["board", "register"])
def test_contacts_that_moved_by_themselves_are_brought_to_one_phase(equipment: Equipment) -> None:
    site = Installation(equipment)
    site.seconds(5)
    assert site.log == []
    site.selected = 1
    site.main_open = equipment.main_contactor
    site.seconds(100)
    assert site.switch.memory.phases == site.selected == 1
    assert not site.main_open
    assert site.switch.step is Step.STEADY


def test_contacts_that_fall_off_before_the_car_draws_again_are_noticed_at_once() -> None:
    site = Installation(BOARD)
    site.switch.request(1, site.now)
    while site.switch.step is not Step.CONFIRMING:
        site.second()
    site.main_open = True
    site.seconds(20)
    assert site.log[-2:] == ["10 main closed", "21 main closed"], "3 s open, 3 s after the selection"
    assert not site.main_open


def test_a_contact_that_falls_off_before_the_main_one_closes_is_no_fault() -> None:
    site = Installation(BOARD, Memory(phases=1))
    site.switch.request(3, site.now)
    while site.switch.step is not Step.CLOSING:
        site.second()
    site.selected = 1  # the board was without power for a moment
    site.seconds(30)
    assert (site.switch.memory.fault, site.selected, site.main_open) == (None, 1, False)


def test_a_contact_that_falls_off_again_and_again_is_one() -> None:
    site = Installation(BOARD, Memory(phases=3))
    site.switch.request(1, site.now)
    while site.switch.memory.fault is None:
        site.second()
        assert site.now < 200.0
        if site.switch.step is Step.CLOSING:
            site.selected = 3
    assert site.now > 120.0
    assert site.switch.memory.fault == "the contact for 1 phases moved by itself"
    assert site.paused
    assert site.main_open


@pytest.mark.parametrize(
    ("step", "contact", "lost_from"),
    [
        (Step.OPENING, "main_is_stuck", Step.PAUSING),
        (Step.SELECTING, "selector_is_stuck", Step.PAUSING),
        (Step.CLOSING, "main_is_stuck", Step.SETTLING),
    ],
)
def test_silence_of_a_board_is_no_contact_that_does_not_move(
    step: Step, contact: str, lost_from: Step
) -> None:
    """Its order is lost, then nobody can look; when it answers again nothing is late."""
    site = Installation(BOARD)
    site.switch.request(1, site.now)
    while site.switch.step is not step:
        setattr(site, contact, getattr(site, contact) or site.switch.step is lost_from)
        site.second()
    site.second()
    setattr(site, contact, False)
    site.now += 120.0
    site.seconds(60)
    assert site.switch.memory.fault is None
    assert (site.selected, site.main_open) == (1, False)


def test_a_charger_that_switched_by_itself_is_believed() -> None:
    site = Installation(CHARGER)
    site.selected = 1
    site.seconds(2)
    assert site.switch.phases == 1
    assert not site.paused


def test_a_car_that_ignores_its_pause_is_cut_off_under_load_by_the_main_contactor_alone() -> None:
    switch = PhaseSwitch(BOARD, 0.0)
    drawing = Seen(1.0, "C", 16.0, selected=3, main_open=False, drawing=3)
    switch.trip("draws 16 A though it is paused", 1.0)
    assert switch.advance(1.0, drawing) == Orders(pause=True, main="open")
    assert switch.advance(2.0, replace(drawing, at=2.0, current_A=0.0, main_open=True)) == Orders(pause=True)
    switch = PhaseSwitch(BOARD, 3.0, switch.memory)
    assert switch.memory.fault == "draws 16 A though it is paused"
    assert switch.advance(4.0, replace(drawing, at=4.0)) == Orders(pause=True), "after a restart without load"


def test_old_measurements_do_not_count() -> None:
    switch = PhaseSwitch(BOARD, 0.0)
    switch.request(1, 0.0)
    for second in range(20):
        orders = switch.advance(
            float(second) + FRESH_S + 0.1, Seen(float(0), "B", 0.0, selected=3, main_open=False)
        )
        assert orders.main is None
        assert orders.select is None


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
