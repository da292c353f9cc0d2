"""Role node: one publication per step, limits to the one child they are for."""

from typing import Any

import pytest

from control.branches import BranchKeeper
from control.dispatch import Dispatcher
from control.inbox import Inbox
from control.node import Node
from control.notices import Notices
from control.orders import Orders
from control.own_tree import OwnTree
from control.tree import OwnNode, held_grants
from tests.control.sample import Child, RecordingLog, VirtualClock, evse, limits, node


class Fixture:
    """A node with two children."""

    def __init__(self, patience_s: float = 30.0) -> None:
        self.clock = VirtualClock()
        self.published: list[dict[str, Any]] = []
        self.left, self.right = Child(), Child()
        self.inbox = Inbox(self.clock, lambda: None)
        self.dispatcher = Dispatcher(self.clock.monotonic)
        ways = {"left": self.left, "right": self.right}
        notices = Notices(RecordingLog())
        self.node = Node(
            own=OwnTree(OwnNode("sub", 32.0)),
            inbox=self.inbox,
            branches=BranchKeeper(self.inbox, ways, self.dispatcher.in_force, 10.0, notices),
            dispatcher=self.dispatcher,
            orders=Orders(),
            publish=self.published.append,
            clock=self.clock,
            patience_s=patience_s,
        )

    def step(self) -> dict[str, Any]:
        self.node.step(self.clock())
        return self.published[-1]


def test_many_requests_make_one_publication() -> None:
    site = Fixture()
    for n in range(10):
        site.inbox.request("left", evse("a", 10 + n))
        site.inbox.request("right", evse("b"))
    request = site.step()
    assert len(site.published) == 1
    assert [child["uuid"] for child in request["children"]] == ["a", "b"]
    assert request["children"][0]["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]["value"] == 19


def test_it_publishes_every_second_however_long_the_update_interval_is() -> None:
    site = Fixture()
    site.step()
    assert site.node.due_s == site.clock.monotonic() + 1


@pytest.mark.parametrize(("hands_on", "woken_at_s"), [(True, [0.0, 0.5]), (False, [])])
def test_what_the_own_meter_measures_goes_up_at_once_but_not_ten_times_a_second(
    hands_on: bool, woken_at_s: list[float]
) -> None:
    clock = VirtualClock()
    woken: list[float] = []
    inbox = Inbox(clock, lambda: woken.append(clock.elapsed_s), hands_on=hands_on)
    for number in range(8):
        inbox.usage({"energy_Wh_import": {"total": number}})
        clock.advance(0.125)
    assert woken == woken_at_s


def test_a_priority_request_goes_up_once() -> None:
    site = Fixture()
    site.inbox.request("left", evse("a", priority=True))
    assert site.step()["children"][0]["priority_request"] is True
    assert site.step()["children"][0]["priority_request"] is False
    site.inbox.request("left", evse("a", priority=True))
    assert site.step()["children"][0]["priority_request"] is True


def test_a_limit_goes_to_the_one_child_it_is_for() -> None:
    site = Fixture()
    site.inbox.request("left", evse("a"))
    site.inbox.request("right", evse("b"))
    site.step()
    site.node.enforce(limits("b", 13))
    site.node.enforce(limits("nobody", 9))
    site.node.enforce(limits("sub", 9))
    assert site.right.wait_received(1) == [13]
    site.dispatcher.stop()
    assert site.left.called == 0
    assert site.right.called == 1


def test_what_may_be_drawn_counts_until_the_limit_passed_on_has_run_out() -> None:
    site = Fixture()
    site.inbox.request("left", evse("a"))
    site.step()
    site.clock.advance(9)
    site.node.enforce(limits("a", 16, valid_for=10))
    site.left.wait_received(1)
    site.clock.advance(9)  # silent for 18 s, the limit has 2 s to go
    assert [child["uuid"] for child in site.step()["children"]] == ["a"]
    site.clock.advance(3)
    assert site.step()["children"] == []
    site.dispatcher.stop()


class DeafChild:
    """Left has 16 A, of which right shall get 8 A, but it does not answer any more."""

    def __init__(self) -> None:
        self.site = Fixture(patience_s=0.01)
        self.site.inbox.request("left", node("garage", [evse("a"), evse("c")]))
        self.site.inbox.request("right", evse("b"))
        self.site.step()
        for uuid, amperes in (("a", 16.0), ("c", 6.0), ("b", 8.0)):
            while not self.site.dispatcher.has_taken(uuid) or not self.site.dispatcher.in_force(uuid):
                self.site.node.enforce(limits(uuid, amperes))
        self.site.left.answers.clear()

    @property
    def held_A(self) -> dict[str, float]:
        """What the newest request says of EVSEs that go on with what they have."""
        grants = held_grants(self.site.published[-1])
        return {uuid: grant["ac_max_current_A"]["value"] for uuid, grant in grants.items()}


def test_a_fall_that_the_child_has_not_taken_is_answered_only_when_the_node_above_knows() -> None:
    deaf = DeafChild()
    assert deaf.held_A == {}
    deaf.site.node.enforce(limits("a", 8))
    assert deaf.held_A == {"a": 16, "c": 6}, "nobody knows what the others behind that child would do"
    deaf.site.step()
    assert deaf.held_A == {"a": 16, "c": 6}
    deaf.site.left.answers.set()


def test_once_the_child_has_answered_it_is_held_no_more() -> None:
    deaf = DeafChild()
    deaf.site.node.enforce(limits("a", 8))
    assert deaf.site.node.waits_for("a")
    deaf.site.left.answers.set()
    assert deaf.site.left.wait_for(8, timeout_s=30)
    settled(deaf.site, "a")
    deaf.site.step()
    assert deaf.held_A == {}
    assert not deaf.site.node.waits_for("a")


def test_a_child_that_never_answers_is_held_until_its_limits_have_run_out() -> None:
    deaf = DeafChild()
    deaf.site.node.enforce(limits("a", 8))
    deaf.site.clock.advance(10.9)
    deaf.site.inbox.request("left", node("garage", [evse("a"), evse("c")]))
    deaf.site.inbox.request("right", evse("b"))
    deaf.site.step()
    assert deaf.held_A == {"a": 16, "c": 6}
    deaf.site.clock.advance(0.2)
    deaf.site.inbox.request("left", node("garage", [evse("a"), evse("c")]))
    deaf.site.step()
    assert deaf.held_A == {}
    deaf.site.left.answers.set()


def test_a_deaf_child_keeps_nobody_else_from_being_answered() -> None:
    deaf = DeafChild()
    deaf.site.node.enforce(limits("a", 8))
    deaf.site.node._patience_s = 600.0
    deaf.site.node.enforce(limits("a", 6))
    deaf.site.node.enforce(limits("c", 0))
    deaf.site.node.enforce(limits("b", 6))
    assert deaf.site.right.amperes[-1] == 6
    deaf.site.left.answers.set()


def test_rises_and_refreshes_wait_for_nobody() -> None:
    deaf = DeafChild()
    deaf.site.node._patience_s = 600.0
    deaf.site.node.enforce(limits("a", 16))
    deaf.site.node.enforce(limits("c", 10))
    assert deaf.held_A == {}
    deaf.site.left.answers.set()


def test_a_child_that_began_anew_is_back_though_it_never_answers_a_call_from_before() -> None:
    site = Fixture(patience_s=0.01)
    site.left.answers.clear()
    site.inbox.request("left", evse("a"))
    site.step()
    for amperes in (0.0, 16.0):  # the second one waits behind the first
        site.node.enforce(limits("a", amperes))
    site.clock.advance(11.1)
    site.inbox.request("left", evse("a"))
    request = site.step()
    assert [child["uuid"] for child in request["children"]] == ["a"]
    assert held_grants(request) == {}
    site.left.answers.set()


def settled(site: Fixture, uuid: str) -> None:
    """Wait until an answer is noted."""
    with site.dispatcher._finished:
        assert site.dispatcher._finished.wait_for(lambda: site.dispatcher.has_taken(uuid), 30)
