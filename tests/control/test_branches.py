"""Children come and go; the share of one that went is free only when its EVSEs no longer draw."""

from typing import Any

import pytest

from control.branches import Branches, BranchKeeper
from control.inbox import Inbox
from control.messages import MessageError
from control.notices import Notices
from control.tree import held_grants
from energy_management.measurement import Reading
from tests.control.sample import RecordingLog, VirtualClock, ampere_limits, evse, node


class Fixture:
    """A keeper of two children with a timeout of 10 s."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.log = RecordingLog()
        self.in_force: dict[str, dict[str, Any]] = {}
        self.inbox = Inbox(self.clock, lambda: None)
        self.keeper = BranchKeeper(
            self.inbox,
            {"left": lambda _: "left", "right": lambda _: "right"},
            self.in_force.get,
            10.0,
            Notices(self.log),
        )

    def gather(self) -> Branches:
        return self.keeper.gather(self.inbox.snapshot().children, self.clock())


@pytest.fixture
def site() -> Fixture:
    return Fixture()


def test_each_evse_is_reached_through_the_child_that_has_it(site: Fixture) -> None:
    site.inbox.request("left", node("sub", [evse("a"), evse("b")]))
    site.inbox.request("right", evse("c"))
    routes = site.gather().routes
    assert {uuid: send({}) for uuid, send in routes.items()} == {"a": "left", "b": "left", "c": "right"}


def test_a_silent_child_keeps_what_it_may_draw_then_is_gone_then_comes_back(site: Fixture) -> None:
    site.in_force["a"] = ampere_limits(16, "x")
    site.inbox.request("left", evse("a", 32))
    site.clock.advance(10)
    assert site.gather().routes.keys() == {"a"}

    site.clock.advance(1)
    silent = site.gather()
    assert not silent.routes, "no more limits for a child that may be dead"
    root = silent.requests["left"]["schedule_import"][0]["limits_to_root"]
    assert root["ac_max_current_A"]["value"] == root["ac_min_current_A"]["value"] == 16

    site.in_force.clear()
    assert not site.gather().requests
    assert not site.inbox.snapshot().children

    site.inbox.request("left", evse("a", 32))
    assert site.gather().routes.keys() == {"a"}
    assert site.log.lines == [
        ("warning", "left: nothing heard for 10 s, gets no more limits"),
        ("info", "left: publishes again"),
    ]


def held_A(request: dict[str, Any]) -> dict[str, float]:
    """By the uuids of the nodes on the way."""
    found = {
        f"{request['uuid']}/{each}": amperes
        for child in request["children"]
        for each, amperes in held_A(child).items()
    }
    if not request["children"] and (grant := held_grants(request).get(request["uuid"])):
        found[request["uuid"]] = grant["ac_max_current_A"]["value"]
    return found


def test_an_evse_that_vanishes_with_the_restart_of_a_node_keeps_what_it_may_draw(site: Fixture) -> None:
    site.in_force.update(a=ampere_limits(16, "x"), b=ampere_limits(0, "x"), c=ampere_limits(10, "x"))
    whole = node("site", [node("garage", [evse("a"), evse("b")]), evse("c")])
    site.inbox.request("left", whole)
    assert held_A(site.gather().requests["left"]) == {}

    site.inbox.request("left", node("site", [node("garage", [evse("b")]), evse("c")]))
    after = site.gather()
    assert held_A(after.requests["left"]) == {"site/garage/a": 16}
    assert after.routes.keys() == {"b", "c"}

    site.inbox.request("left", node("site", []))
    assert held_A(site.gather().requests["left"]) == {"site/garage/a": 16, "site/c": 10}
    del site.in_force["a"]
    assert held_A(site.gather().requests["left"]) == {"site/c": 10}

    site.inbox.request("left", whole)
    assert held_A(site.gather().requests["left"]) == {}


def test_an_evse_that_has_moved_to_another_node_has_not_vanished(site: Fixture) -> None:
    site.in_force["a"] = ampere_limits(16, "x")
    site.inbox.request("left", node("site", [node("garage", [evse("a")])]))
    site.gather()
    site.inbox.request("left", node("site", [node("garage", []), evse("a")]))
    assert held_A(site.gather().requests["left"]) == {}


def test_one_uuid_is_not_counted_twice(site: Fixture) -> None:
    site.inbox.request("left", evse("a"))
    site.inbox.request("right", node("sub", [evse("a"), evse("b")]))
    branches = site.gather()
    assert branches.requests.keys() == {"left"}
    assert site.log.at("warning") == ["right: left out, another child has the same uuid: a"]


def test_a_request_without_uuid_is_refused(site: Fixture) -> None:
    with pytest.raises(MessageError, match="left: energy_flow_request without a uuid"):
        site.inbox.request("left", {"node_type": "Evse"})


def test_a_measurement_that_is_only_repeated_grows_old(site: Fixture) -> None:
    measured = {"timestamp": "2026-11-22T09:00:00Z", "energy_Wh_import": {"total": 1}, "current_A": {"L1": 9}}
    for _ in range(3):
        site.inbox.request("left", {**evse("a"), "energy_usage_root": measured})
        site.clock.advance(1)
    assert site.inbox.snapshot().measured["a"].taken_at == site.clock().monotonic_s - 3
    site.inbox.request("left", {**evse("a"), "energy_usage_root": {**measured, "current_A": {"L1": 8}}})
    assert site.inbox.snapshot().measured["a"].taken_at == site.clock().monotonic_s


def test_an_overload_and_a_priority_request_wake_the_loop() -> None:
    woken: list[str] = []
    inbox = Inbox(VirtualClock(), lambda: woken.append("now"), {"grid": 35})
    inbox.request("left", evse("a"))
    inbox.reading("grid", reading(34))
    inbox.reading("a", reading(36))
    assert not woken
    inbox.request("left", evse("a", priority=True))
    assert len(woken) == 1
    inbox.reading("grid", reading(36))
    assert len(woken) == 2


def test_an_overload_that_a_node_below_tells_in_its_request_wakes_the_loop() -> None:
    woken: list[str] = []
    inbox = Inbox(VirtualClock(), lambda: woken.append("now"), {"grid": 35})

    def measured(amperes: float) -> dict[str, Any]:
        currents = {"L1": amperes, "L2": 0, "L3": 0}
        usage = {"timestamp": "2026-11-22T09:00:00Z", "energy_Wh_import": {"total": 1}, "current_A": currents}
        return {**node("sub", [evse("a")], fuse_A=20), "energy_usage_root": usage}

    inbox.request("left", measured(19))
    assert not woken
    inbox.request("left", measured(22))
    assert len(woken) == 1
    inbox.request("left", measured(22))
    assert len(woken) == 1, "the same measurement, repeated"


def test_whoever_is_waited_for_wakes_the_loop_when_it_has_fallen() -> None:
    woken: list[str] = []
    inbox = Inbox(VirtualClock(), lambda: woken.append("now"))
    inbox.await_falls({"a": 8.0})
    inbox.reading("a", reading(16))
    inbox.reading("b", reading(2))
    assert not woken
    inbox.reading("a", reading(8.2))
    assert len(woken) == 1
    measured = {"timestamp": "2026-11-22T09:00:00Z", "energy_Wh_import": {"total": 1}, "current_A": {"L1": 8}}
    inbox.request("left", node("sub", [{**evse("a"), "energy_usage_root": measured}]))
    assert len(woken) == 2
    inbox.await_falls({})
    inbox.reading("a", reading(0))
    assert len(woken) == 2


def reading(amperes: float) -> Reading:
    return Reading(taken_at=0.0, current_A=(1.0, amperes, float("nan")))
