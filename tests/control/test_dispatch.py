"""Limits reach their EVSEs: at once, newest first, and whatever the other EVSEs do."""

import math
import threading
import time
from collections.abc import Iterator

import pytest

from control.dispatch import CONCURRENT_CALLS, Dispatcher, Outcome
from tests.control.sample import Child, VirtualClock, limits
from tests.patience import WITHIN_S


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def dispatcher(clock: VirtualClock) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(clock.monotonic)
    yield dispatcher
    dispatcher.stop()


def test_every_evse_gets_its_own_limit_by_its_own_way(dispatcher: Dispatcher) -> None:
    left, right = Child(), Child()
    dispatcher.offer([limits("a", 16), limits("b", 10)], {"a": left, "b": right})
    assert left.wait_received(1) == [16]
    assert right.wait_received(1) == [10]


def test_an_evse_without_a_way_is_left_out(dispatcher: Dispatcher) -> None:
    child = Child()
    assert dispatcher.offer([limits("gone", 16), limits("a", 8)], {"a": child}) == 1
    assert child.wait_received(1) == [8]


def test_a_dead_evse_delays_no_other(dispatcher: Dispatcher) -> None:
    dead, alive = Child(), Child()
    dead.answers.clear()
    routes = {"dead": dead, "alive": alive}
    for round_, amperes in enumerate((16, 12, 8), start=1):
        dispatcher.offer([limits("dead", amperes), limits("alive", amperes)], routes)
        alive.wait_received(round_)
    assert alive.amperes == [16, 12, 8]
    assert dead.received == []
    dead.answers.set()


def test_hanging_evses_leave_room_for_the_others(dispatcher: Dispatcher, clock: VirtualClock) -> None:
    """More EVSEs hang than calls are normally allowed at once."""
    dead, alive = Child(), Child()
    dead.answers.clear()
    hanging = [f"dead{n}" for n in range(40)]
    dispatcher.offer([limits(uuid, 16) for uuid in hanging], dict.fromkeys(hanging, dead))
    dead.wait_called(32)
    clock.advance(1.1)
    dispatcher.offer([limits("alive", 10)], {"alive": alive})
    assert alive.wait_received(1) == [10]
    dead.answers.set()


def test_only_the_newest_of_what_waited_is_sent(dispatcher: Dispatcher) -> None:
    child = Child()
    child.answers.clear()
    dispatcher.offer([limits("a", 16)], {"a": child})
    child.wait_called(1)
    for amperes in (14, 12, 9):
        dispatcher.offer([limits("a", amperes)], {"a": child})
    child.answers.set()
    assert child.wait_received(2) == [16, 9]
    assert child.called == 2


def test_a_slow_evse_has_one_call_under_way_at_most(dispatcher: Dispatcher) -> None:
    under_way, most = 0, 0
    lock, last = threading.Lock(), threading.Event()

    def slow(limit: dict[str, object]) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        last.wait(0.01)
        with lock:
            under_way -= 1
        if limit["valid_for"] == 99:
            last.set()

    for amperes in range(6, 30):
        dispatcher.offer([limits("a", amperes)], {"a": slow})
    dispatcher.offer([limits("a", 6, valid_for=99)], {"a": slow})
    assert last.wait(WITHIN_S)
    assert most == 1


@pytest.mark.parametrize(
    ("before", "after", "is_sent"),
    [
        pytest.param(limits("a", 10), limits("a", 10), False, id="the same"),
        pytest.param(limits("a", 10), limits("a", 10.1), False, id="a rise within the deadband"),
        pytest.param(limits("a", 10), limits("a", 10.3), True, id="a rise beyond it"),
        pytest.param(limits("a", 10), limits("a", 9.95), True, id="any fall"),
        pytest.param(limits("a", 0), limits("a", 0.1), True, id="anything instead of nothing"),
        pytest.param(limits("a", 10, phases=3), limits("a", 10, phases=1), True, id="other phases"),
    ],
)
def test_what_is_worth_a_message(
    dispatcher: Dispatcher, before: dict[str, object], after: dict[str, object], is_sent: bool
) -> None:
    child = Child()
    dispatcher.offer([before], {"a": child})
    child.wait_received(1)
    settle(dispatcher)
    assert dispatcher.offer([after], {"a": child}) == int(is_sent)


def test_an_unchanged_limit_is_refreshed_at_a_third_of_its_validity(
    dispatcher: Dispatcher, clock: VirtualClock
) -> None:
    child = Child()
    sent_at = []
    for second in range(11):
        if dispatcher.offer([limits("a", 10, valid_for=9)], {"a": child}):
            sent_at.append(second)
            child.wait_received(len(sent_at))
            settle(dispatcher)
        clock.advance(1)
    assert sent_at == [0, 3, 6, 9]


class Crowd:
    """Many EVSEs that answer at once, and the dispatcher that serves them."""

    def __init__(self, clock: VirtualClock, count: int) -> None:
        self.decided = [limits(f"evse_{number}", 16) for number in range(count)]
        self.received: list[str] = []
        self._answered = 0
        self._offered = 0
        self._changed = threading.Condition()
        self._dispatcher = Dispatcher(clock.monotonic, on_outcome=self._on_outcome)

    def offer(self) -> int:
        """Offer what is decided; returns how many limits went out, once all are answered."""
        way = self.received
        sent = self._dispatcher.offer(
            self.decided, {limit["uuid"]: lambda each: way.append(each["uuid"]) for limit in self.decided}
        )
        with self._changed:
            self._offered += sent
            assert self._changed.wait_for(lambda: self._answered == self._offered, WITHIN_S)
        return sent

    def stop(self) -> None:
        self._dispatcher.stop()

    def _on_outcome(self, _: Outcome) -> None:
        with self._changed:
            self._answered += 1
            self._changed.notify_all()


def test_refreshes_of_many_are_spread_and_news_go_first(clock: VirtualClock) -> None:
    crowd = Crowd(clock, 100)
    assert crowd.offer() == 100
    clock.advance(3)
    assert crowd.offer() == 0
    clock.advance(1)
    assert crowd.offer() == CONCURRENT_CALLS
    crowd.received.clear()
    crowd.decided[-1] = limits("evse_99", 8)
    clock.advance(0.5)
    assert crowd.offer() == CONCURRENT_CALLS + 1
    assert "evse_99" in crowd.received[:CONCURRENT_CALLS]
    crowd.stop()


def test_no_refresh_is_put_off_beyond_half_of_its_validity(clock: VirtualClock) -> None:
    crowd = Crowd(clock, 200)
    crowd.offer()
    clock.advance(5)
    assert crowd.offer() == 200
    crowd.stop()


def test_a_failed_call_is_tried_again_with_the_next_decision(clock: VirtualClock) -> None:
    outcomes: list[Outcome] = []
    done = threading.Semaphore(0)

    def on_outcome(outcome: Outcome) -> None:
        outcomes.append(outcome)
        done.release()

    dispatcher = Dispatcher(clock.monotonic, on_outcome=on_outcome)
    child = Child()
    child.error = RuntimeError("nobody implements it")
    dispatcher.offer([limits("a", 10)], {"a": child})
    assert done.acquire(timeout=WITHIN_S)
    child.error = None
    assert dispatcher.offer([limits("a", 10)], {"a": child}) == 1
    assert done.acquire(timeout=WITHIN_S)
    assert [str(outcome.error) for outcome in outcomes] == ["nobody implements it", "None"]
    dispatcher.stop()


def test_a_call_without_answer_is_given_up_when_its_limit_has_run_out(
    dispatcher: Dispatcher, clock: VirtualClock
) -> None:
    """A child that was restarted never answers a call from before; the next must not wait for minutes."""
    child = Child()
    child.answers.clear()
    dispatcher.offer([limits("a", 10)], {"a": child})
    child.wait_called(1)
    clock.advance(10.5)
    assert dispatcher.offer([limits("a", 10)], {"a": child}) == 0
    clock.advance(1)
    assert dispatcher.offer([limits("a", 10)], {"a": child}) == 1
    child.wait_called(2)
    child.answers.set()


def test_what_may_be_in_force_includes_what_was_never_answered(
    dispatcher: Dispatcher, clock: VirtualClock
) -> None:
    child = Child()
    dispatcher.offer([limits("a", 16)], {"a": child})
    child.wait_received(1)
    settle(dispatcher)
    child.answers.clear()
    dispatcher.offer([limits("a", 8)], {"a": child})
    child.wait_called(2)
    assert amperes_in_force(dispatcher, "a") == 16
    child.answers.set()
    child.wait_received(2)
    settle(dispatcher)
    assert amperes_in_force(dispatcher, "a") == 8
    clock.advance(11.1)
    assert dispatcher.in_force("a") is None


def test_what_waits_to_be_sent_may_be_in_force_at_any_moment(dispatcher: Dispatcher) -> None:
    child = Child()
    child.answers.clear()
    dispatcher.offer([limits("a", 6)], {"a": child})
    child.wait_called(1)
    dispatcher.offer([limits("a", 16)], {"a": child})
    assert amperes_in_force(dispatcher, "a") == 16
    child.answers.set()


def test_what_has_waited_for_longer_than_its_time_is_not_sent(
    dispatcher: Dispatcher, clock: VirtualClock
) -> None:
    child = Child()
    child.answers.clear()
    dispatcher.offer([limits("a", 6)], {"a": child})
    child.wait_called(1)
    dispatcher.offer([limits("a", 16)], {"a": child})
    clock.advance(11.1)
    assert dispatcher.in_force("a") is None
    child.answers.set()
    child.wait_received(1)
    settle(dispatcher)
    dispatcher.offer([limits("a", 8)], {"a": child})
    assert child.wait_received(2) == [6, 8]


def test_forwarded_limits_are_sent_though_unchanged(dispatcher: Dispatcher) -> None:
    child = Child()
    for count in (1, 2, 3):
        dispatcher.forward(limits("a", 10), child)
        assert child.wait_received(count) == [10] * count


def test_whoever_passes_a_limit_on_is_told_whether_it_is_taken(
    dispatcher: Dispatcher, clock: VirtualClock
) -> None:
    child = Child()
    assert dispatcher.forward(limits("a", 10), child, wait_s=30)
    child.answers.clear()
    assert dispatcher.forward(limits("a", 12), child), "what was in force is less"
    child.wait_called(2, timeout_s=30)
    assert not dispatcher.forward(limits("a", 6), child, wait_s=0.01)
    assert amperes_in_force(dispatcher, "a") == 12
    child.answers.set()
    assert dispatcher.forward(limits("a", 6), child, wait_s=30)
    assert amperes_in_force(dispatcher, "a") == 6
    child.answers.clear()
    assert not dispatcher.forward(limits("a", 0), child)
    assert not dispatcher.has_taken("a")
    clock.advance(11.1)
    assert dispatcher.has_taken("a"), "what it had has run out"
    child.answers.set()


def test_nobody_knows_what_was_in_force_before_the_first_answer(dispatcher: Dispatcher) -> None:
    child = Child()
    child.answers.clear()
    assert not dispatcher.forward(limits("a", 32), child, wait_s=0.01)
    child.answers.set()


def test_the_wait_for_a_call_that_fails_is_over_at_once(dispatcher: Dispatcher) -> None:
    child = Child()
    child.error = RuntimeError("nobody implements it")
    assert not dispatcher.forward(limits("a", 6), child, wait_s=600)


def test_when_the_next_limit_runs_out(dispatcher: Dispatcher, clock: VirtualClock) -> None:
    child = Child()
    dispatcher.forward(limits("a", 10, valid_for=10), child, wait_s=30)
    dispatcher.forward(limits("b", 10, valid_for=20), child, wait_s=30)
    now = clock.monotonic()
    assert dispatcher.next_end(["a", "b", "unknown"]) == now + 11
    assert dispatcher.next_end(["b"]) == now + 21
    clock.advance(15)
    assert dispatcher.next_end(["a", "b"]) == now + 21
    assert dispatcher.next_end(["a"]) == math.inf


def test_stop_does_not_wait_for_a_call_that_hangs(dispatcher: Dispatcher) -> None:
    child = Child()
    child.answers.clear()
    dispatcher.offer([limits("a", 10)], {"a": child})
    child.wait_called(1)
    assert dispatcher.stop(timeout_s=0.1) is False
    dispatcher.offer([limits("b", 10)], {"b": child})
    assert child.called == 1
    child.answers.set()


def test_slow_answers_are_waited_for_side_by_side(clock: VirtualClock) -> None:
    """None comes before as many calls as may be are under way."""
    all_sent = threading.Semaphore(0)
    dispatcher = Dispatcher(clock.monotonic, on_outcome=lambda _: all_sent.release())
    together = threading.Barrier(CONCURRENT_CALLS, timeout=WITHIN_S)
    routes = {f"evse{n}": lambda _: together.wait() for n in range(3 * CONCURRENT_CALLS)}
    dispatcher.offer([limits(uuid, 10) for uuid in routes], routes)
    for _ in routes:
        assert all_sent.acquire(timeout=WITHIN_S)
    assert not together.broken
    dispatcher.stop()


def amperes_in_force(dispatcher: Dispatcher, uuid: str) -> float:
    in_force = dispatcher.in_force(uuid)
    assert in_force is not None
    value: float = in_force["ac_max_current_A"]["value"]
    return value


def settle(dispatcher: Dispatcher) -> None:
    """Wait until the dispatcher has taken note of every answer."""
    deadline = time.monotonic() + WITHIN_S
    with dispatcher._changed:
        while any(lane.call_since is not None for lane in dispatcher._lanes.values()):
            assert time.monotonic() < deadline
            dispatcher._changed.wait(0.01)
