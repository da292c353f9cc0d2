"""What happens to running sites: processes killed, cars that come, limits from outside.

Five small sites run side by side in one EVerest, each with a story of its own: most of their time they wait.
"""

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.system.bench import Bench, running, to
from tests.system.limits import is_due
from tests.system.test_levels import leaf

pytestmark = pytest.mark.xdist_group("sites")  # one run for all of them

Json = dict[str, Any]

FUSE_A = 32.0
SETTLE_S = 6.0
"""More than the messages of one decision take to reach their EVSEs, and the test, on a busy machine."""

VALID_S = 10.0
"""How long limits are valid, as in EVerest: ten times the interval of the manager."""

LATE_S = 5.0
"""How much later than sent a busy test may see a limit. To the second `tests/control/test_handover.py` is."""


def manager(*children: str, **config: Any) -> Json:
    """Fuse and manager in one instance."""
    connections = {"energy_consumer": [to(child) for child in children]}
    timing = {"child_timeout_s": 2.0}
    return {
        "module": "PyEnergyManager",
        "config_module": {"fuse_limit_A": FUSE_A, **timing, **config},
        "connections": connections,
    }


def node(*children: str, **config: Any) -> Json:
    return manager(*children, role="node", **config)


def root(trunk: str, **config: Any) -> Json:
    """Manager above nodes."""
    return {
        "module": "PyEnergyManager",
        "config_module": {"child_timeout_s": 2.0, **config},
        "connections": {"energy_trunk": [to(trunk)]},
    }


def evse(**config: Any) -> Json:
    car = {"plug_in_after_s": 0, "auth_after_s": 0, "car_max_current_A": 32}
    return {"module": "SimEvse", "config_module": {**car, **config}}


def standalone(module: Json) -> Json:
    """Start it by itself, so that it may die without ending everything."""
    return {**module, "standalone": True}


def at_leaf(module: Json, *leaves: tuple[str, int]) -> Json:
    """Connect to EVSEs that a module of leaves plays."""
    children = [*module["connections"]["energy_consumer"], *(to(name, f"leaf{n}") for name, n in leaves)]
    return {**module, "connections": {"energy_consumer": children}}


def sites(leaves: Path, moving_leaves: Path) -> Json:
    return {
        # a child is killed
        "one": manager("one_a", "one_b"),
        "one_a": evse(),
        "one_b": standalone(evse()),
        # a node is killed
        "two": root("two_site"),
        "two_site": node("two_garage", "two_b"),
        "two_garage": standalone(node("two_a", fuse_limit_A=24)),
        "two_a": evse(),
        "two_b": evse(),
        # the manager is killed
        "three": standalone(manager("three_a", "three_b")),
        "three_a": evse(),
        "three_b": evse(),
        # nothing happens
        "four": {
            **manager(fuse_limit_A=100),
            "connections": {"energy_consumer": [to("four_leaves", f"leaf{n}") for n in range(1, 6)]},
        },
        "four_leaves": {"module": "Leaves", "config_module": {"requests": str(leaves)}},
        # a manager that runs once an hour
        "five": root("five_site", update_interval=3600, child_timeout_s=200.0),
        "five_site": node("five_a", "five_b"),
        "five_a": evse(auth_after_s=1),
        "five_b": evse(plug_in_after_s=12, auth_after_s=5),
        # a node is killed while limits fall; it comes back at once, and knows of no EVSE yet
        "six": root("six_site"),
        "six_site": at_leaf(node("six_garage"), ("six_leaves", 2)),
        "six_garage": standalone(at_leaf(node(), ("six_leaves", 1))),
        "six_leaves": {"module": "Leaves", "config_module": {"requests": str(moving_leaves)}},
    }


def newest_draw_A(bench: Bench, evse: str) -> tuple[float, ...]:
    return bench.drawn_A(evse)[-1] if bench.drawn_A(evse) else (math.nan,)


def wait_for_draw(bench: Bench, current_A: float, *evses: str) -> None:
    """Wait until cars draw so much on three phases."""
    for evse in evses:
        bench.wait_for(
            lambda evse=evse: all(is_due(drawn, current_A) for drawn in newest_draw_A(bench, evse)),  # type: ignore[misc]
            f"{evse} drawing {current_A:g} A",
        )


def killed_child(bench: Bench) -> None:
    bench.wait_for_limits(one_a=16, one_b=16)
    wait_for_draw(bench, 16, "one_a", "one_b")
    bench.kill("one_b")
    last = bench.book.sent["one_b"][-1]
    bench.wait_for_limits(one_a=32)
    freed_at = bench.book.sent["one_a"][-1].at
    assert freed_at >= last.at + VALID_S - LATE_S, "its car may draw until the limit has run out"
    bench.start("one_b")
    bench.wait_for_limits(one_a=16, one_b=16)


def killed_node(bench: Bench) -> None:
    bench.wait_for_limits(two_a=16, two_b=16)
    wait_for_draw(bench, 16, "two_a", "two_b")
    bench.kill("two_garage")
    last = bench.book.sent["two_a"][-1]
    bench.wait_for_limits(two_b=32)
    freed_at = bench.book.sent["two_b"][-1].at
    assert freed_at >= last.at + VALID_S - LATE_S, "the car below it may draw until the limit has run out"
    wait_for_draw(bench, 0, "two_a")
    bench.start("two_garage")
    bench.wait_for_limits(two_a=16, two_b=16)


def killed_manager(bench: Bench) -> None:
    bench.wait_for_limits(three_a=16, three_b=16)
    wait_for_draw(bench, 16, "three_a", "three_b")
    bench.kill("three")
    wait_for_draw(bench, 0, "three_a", "three_b")
    bench.start("three")
    wait_for_draw(bench, 16, "three_a", "three_b")


def unchanged(bench: Bench) -> float:
    """Limits per second to five EVSEs together, of which none changes."""
    evses = [f"four_{n}" for n in range(5)]
    bench.wait_for_limits(**dict.fromkeys(evses, 20.0))
    bench.let_pass(10.0)  # what rises does so in steps
    began = time.monotonic()
    before = {evse: len(bench.book.sent[evse]) for evse in evses}

    def since(evse: str) -> int:
        return len(bench.book.sent[evse]) - before[evse]

    bench.wait_for(lambda: all(since(evse) >= 4 for evse in evses), "refreshes")
    return sum(map(since, evses)) / (time.monotonic() - began)


def prompt(bench: Bench) -> None:
    """The manager's next regular run is an hour away: what happens sooner, it was asked to."""
    bench.wait_for_limits(five_b=0)  # five_a's car makes a priority request
    bench.set_external_limit("five_site", 12)
    bench.wait_for(lambda: sum_A(bench, "five_a", "five_b") <= 12, "12 A for both")
    bench.wait_for_limits(five_a=6)  # a second car comes
    bench.wait_for_limits(five_b=6)  # as soon as the first one is measured to have followed


def killed_amid_a_fall(bench: Bench) -> None:
    """The car of a has gone when that of b comes, but a never hears that it shall give up what it has."""
    bench.wait_for_limits(six_a=16, six_b=16)
    bench.kill("six_garage")
    last = bench.book.sent["six_a"][-1]
    move(bench, a="Unplugged", b="Charging")
    bench.wait_for_limits(six_b=32)
    freed_at = bench.book.sent["six_b"][-1].at
    assert freed_at >= last.at + VALID_S - LATE_S, "a car that comes may draw until its limit has run out"
    move(bench, a="Charging", b="Charging")
    bench.start("six_garage")
    bench.wait_for(lambda: bench.book.sent["six_a"][-1] is not last, "anything for a")
    bench.wait_for_limits(six_a=16, six_b=16)
    forgetful_node(bench)


def forgetful_node(bench: Bench) -> None:
    """A node that starts anew has no EVSEs below it until it has heard of them."""
    bench.kill("six_garage")
    last, began = bench.book.sent["six_a"][-1], time.monotonic()
    move(bench, a=None, b="Charging")
    bench.start("six_garage")
    bench.wait_for(
        lambda: any(
            at > began and message.module_id == "six_garage" and not message.data["children"]
            for at, message in bench.seen
            if message.kind == "energy_flow_request"
        ),
        "a garage without EVSEs",
    )
    bench.wait_for_limits(six_b=32)
    sent = [limit for limit in bench.book.sent["six_b"] if limit.at > began]
    assert all(limit.current_A <= 16 or limit.at >= last.at + VALID_S - LATE_S for limit in sent)
    move(bench, a="Charging", b="Charging")
    bench.wait_for_limits(six_a=16, six_b=16)


def move(bench: Bench, **states: str | None) -> None:
    """Change what the EVSEs of site six publish; None is nothing."""
    path = Path(bench.manager.config.modules["six_leaves"].entry["config_module"]["requests"])
    write_leaves(path, **states)


def write_leaves(path: Path, **states: str | None) -> None:
    requests = [
        {**leaf(f"six_{name}", 32), "evse_state": state, "priority_request": True} if state else None
        for name, state in states.items()
    ]
    new = path.with_suffix(".new")
    new.write_text(json.dumps(requests))
    new.replace(path)


def sum_A(bench: Bench, *evses: str) -> float:
    return sum(bench.book.newest_A[evse] for evse in evses)


@pytest.fixture(scope="module")
def bench(shared_mosquitto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("sites")
    leaves = directory / "leaves.json"
    leaves.write_text(json.dumps([leaf(f"four_{n}", 32) for n in range(5)]))
    moving_leaves = directory / "moving_leaves.json"
    write_leaves(moving_leaves, a="Unplugged", b="Unplugged")
    with running(
        {"active_modules": sites(leaves, moving_leaves)}, shared_mosquitto, directory
    ) as running_bench:
        yield running_bench


@pytest.fixture(scope="module")
def stories(bench: Bench) -> Iterator[dict[str, Future[Any]]]:
    """Let all of them happen at once."""
    all_stories = [killed_child, killed_node, killed_manager, unchanged, prompt, killed_amid_a_fall]
    with ThreadPoolExecutor(len(all_stories)) as pool:
        yield {story.__name__: pool.submit(story, bench) for story in all_stories}


def assert_within_fuse(bench: Bench, *evses: str) -> None:
    assert bench.book.highest_sum_A(evses, SETTLE_S) <= FUSE_A + 1e-6


def test_the_share_of_a_killed_child_is_free_once_its_limit_has_run_out(
    bench: Bench, stories: dict[str, Future[Any]]
) -> None:
    stories["killed_child"].result()
    assert_within_fuse(bench, "one_a", "one_b")


def test_a_killed_node_comes_back_to_what_was_before(bench: Bench, stories: dict[str, Future[Any]]) -> None:
    stories["killed_node"].result()
    assert_within_fuse(bench, "two_a", "two_b")


def test_without_a_manager_cars_stop_and_with_it_they_go_on(
    bench: Bench, stories: dict[str, Future[Any]]
) -> None:
    stories["killed_manager"].result()
    assert_within_fuse(bench, "three_a", "three_b")


def test_what_does_not_change_is_hardly_ever_sent(stories: dict[str, Future[Any]]) -> None:
    # Every second EVerest's manager tells its node five limits, and the node tells all five to each EVSE.
    everest_per_s = 5 + 5 * 5
    assert stories["unchanged"].result() <= 0.1 * everest_per_s


def test_cars_and_limits_from_outside_are_answered_at_once(
    bench: Bench, stories: dict[str, Future[Any]]
) -> None:
    stories["prompt"].result()
    assert_within_fuse(bench, "five_a", "five_b")


def test_what_a_dead_node_does_not_pass_on_is_given_to_nobody(
    bench: Bench, stories: dict[str, Future[Any]]
) -> None:
    stories["killed_amid_a_fall"].result()
    assert_within_fuse(bench, "six_a", "six_b")
