"""The phase switching sequence, as a story."""

from dataclasses import replace

import pytest

from bsp.phase_switch import FRESH_S, Equipment, Memory, Orders, PhaseSwitch, Seen, Step
from tests.bsp.contacts import BOARD, CHARGER, REGISTER, Installation


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
