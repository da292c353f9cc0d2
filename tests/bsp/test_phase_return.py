"""Contacts that were brought to one phase by necessity, or by a limit, and how they go back."""

from dataclasses import replace

import pytest

from bsp.phase_switch import Equipment, Memory, Orders, PhaseSwitch, Seen, Step
from tests.bsp.contacts import BOARD, CHARGER, REGISTER, Installation


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
