"""The worker pool: in order within a topic, in parallel across topics, never more threads than allowed."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from hil.runtime.framework.pool import TopicPool
from tests.patience import WITHIN_S


def ignore(_warning: str) -> None:
    pass


@given(topics=st.lists(st.sampled_from("abc"), max_size=200), workers=st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_each_topic_keeps_its_order(topics: list[str], workers: int) -> None:
    pool = TopicPool(ignore, workers)
    seen: dict[str, list[int]] = defaultdict(list)
    left = threading.Semaphore(0)

    def job(topic: str, number: int) -> Callable[[], None]:
        def run() -> None:
            seen[topic].append(number)
            left.release()

        return run

    for number, topic in enumerate(topics):
        pool.submit(topic, job(topic, number))
    for _ in topics:
        assert left.acquire(timeout=WITHIN_S)
    assert seen == {
        topic: [number for number, each in enumerate(topics) if each == topic] for topic in set(topics)
    }


def test_blocked_topics_do_not_hold_up_others_up_to_the_limit() -> None:
    pool = TopicPool(ignore, max_workers=4)
    release, last_ran = threading.Event(), threading.Event()
    running = threading.Semaphore(0)

    def block() -> None:
        running.release()
        release.wait(WITHIN_S)

    for number in range(4):
        pool.submit(str(number), block)
    for _ in range(4):
        assert running.acquire(timeout=WITHIN_S)
    pool.submit("one more", last_ran.set)
    assert not last_ran.is_set()
    release.set()
    assert last_ran.wait(WITHIN_S)


def test_idle_workers_are_used_before_new_ones_are_started() -> None:
    pool = TopicPool(ignore, max_workers=8)
    threads = set()
    for number in range(20):
        done = threading.Event()

        def note(done: threading.Event = done) -> None:
            threads.add(threading.current_thread())
            done.set()

        pool.submit(str(number), note)
        assert done.wait(WITHIN_S)
        while pool._free < pool._workers:  # on its way back from the job
            time.sleep(0.001)
    assert len(threads) == 1


def test_a_topic_that_falls_behind_is_told_of_once() -> None:
    warnings: list[str] = []
    pool = TopicPool(warnings.append, max_workers=1)
    release, done = threading.Event(), threading.Event()

    def block() -> None:
        release.wait(WITHIN_S)

    pool.submit("a/topic", block)
    for _ in range(150):
        pool.submit("a/topic", lambda: None)
    pool.submit("a/topic", done.set)
    release.set()
    assert done.wait(WITHIN_S)
    assert warnings == ["a/topic: 100 messages are waiting, the handler is stuck or too slow"]
