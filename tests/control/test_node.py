"""Role node: one publication per step, limits to the one child they are for."""

from typing import Any

from control.branches import BranchKeeper
from control.dispatch import Dispatcher
from control.inbox import Inbox
from control.node import Node
from control.notices import Notices
from control.orders import Orders
from control.own_tree import OwnTree
from control.tree import OwnNode
from tests.control.sample import Child, RecordingLog, VirtualClock, evse, limits


class Fixture:
    """A node with two children."""

    def __init__(self) -> None:
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
