"""Shares that pass from one EVSE to another: only when nobody may still draw them."""

import pytest

from control.tree import held
from tests.control.instance import Instance, begin, start
from tests.control.sample import ampere_limits, evse


def test_the_share_of_a_dead_child_is_free_only_when_its_limit_has_run_out(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32)
    grid.ask("b", evse("b"))  # and never again
    granted: list[float] = []
    last_sent_to_b = 0
    for second in range(30):
        grid.ask("a", evse("a"))
        grid.measure(0, 0, 0)
        called = grid.children["b"].called
        grid.step()
        grid.settle()
        granted.append(grid.children["a"].amperes[-1])
        if grid.children["b"].called > called:
            last_sent_to_b = second
    assert 5 < last_sent_to_b < 12, "limits go on for the child timeout of 10 s"
    free_from = granted.index(32)
    assert set(granted[:free_from]) == {16}
    assert last_sent_to_b + 10 <= free_from <= last_sent_to_b + 12


def test_after_a_start_nobody_gets_what_one_not_heard_yet_may_still_draw(instances: list[Instance]) -> None:
    grid = begin(instances, fuse_limit_A=32)
    grid.ask("a", evse("a"))
    grid.step(0)
    assert grid.site.decision is None, "of b nothing is known"
    grid.step(4)
    assert grid.log.at("warning")[-1] == "no limits yet: b not heard since the start, may still draw"
    grid.ask("b", evse("b"))
    grid.step()
    assert grid.site.decision is not None
    assert "first limits are decided" in grid.log.at("info")


def test_who_is_never_heard_is_waited_for_until_what_it_had_has_run_out(instances: list[Instance]) -> None:
    grid = begin(instances, fuse_limit_A=32)
    grid.step(0)
    for _ in range(10):
        grid.ask("a", evse("a"))
        grid.step()
        assert grid.site.decision is None
    grid.step()
    assert grid.site.decision is not None


def test_an_evse_that_goes_on_with_what_it_has_is_told_its_limit_again(instances: list[Instance]) -> None:
    """As a connector of the bridge does that has a fault: nobody else refreshes its limit."""
    grid = start(instances, fuse_limit_A=32)
    still_in_force = held(evse("a"), {"a": ampere_limits(16, "fault")})
    assert still_in_force is not None
    grid.ask("a", still_in_force)
    grid.measure(0, 0, 0)
    grid.step()
    assert grid.newest("a", 1) == 16


def test_a_share_rises_only_when_the_other_has_fallen(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32)
    grid.ask("a", evse("a"))
    grid.measure(0, 0, 0)
    grid.step()
    assert grid.newest("a", 1) == 32
    grid.settle()

    grid.children["a"].answers.clear()  # a is slow: it may go on with 32 A
    grid.ask("b", evse("b"))
    grid.measure(0, 0, 0)
    grid.step()
    grid.children["a"].wait_called(2)
    assert grid.newest("b", 1) == 0, "nothing is free before a has answered"

    grid.children["a"].answers.set()
    assert grid.newest("a", 2) == 16
    grid.settle()
    for second in range(9):
        grid.measure(0, 0, 0)
        grid.step()
        assert second >= 5 or 16 not in grid.children["b"].amperes
    assert grid.children["b"].wait_for(16), (
        "nobody measures a, so its car has the time that IEC 61851 gives it"
    )


def test_a_share_rises_at_once_into_what_is_free(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=48)
    grid.ask("a", evse("a", 40))
    grid.measure(0, 0, 0)
    grid.step()
    assert grid.newest("a", 1) == 40
    grid.settle()
    grid.children["a"].answers.clear()
    grid.ask("b", evse("b"))
    grid.step()
    assert grid.newest("b", 1) == pytest.approx(8), "24 A each later, the 8 A that are free now"
    grid.children["a"].answers.set()


def test_a_dead_evse_withholds_its_share_until_its_limit_has_run_out(instances: list[Instance]) -> None:
    grid = start(instances, fuse_limit_A=32)
    grid.ask("a", evse("a"))
    grid.measure(0, 0, 0)
    grid.step()
    grid.newest("a", 1)
    grid.settle()
    grid.children["a"].answers.clear()
    for second in range(15):
        grid.ask("a", evse("a", state="Unplugged"))
        grid.ask("b", evse("b"))
        grid.measure(0, 0, 0)
        grid.step()
        assert second > 9 or 32 not in grid.children["b"].amperes
    assert grid.children["b"].wait_for(32)
    grid.children["a"].answers.set()
