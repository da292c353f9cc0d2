"""The control interface lowers and redistributes, refuses what it cannot do, and never lifts a fuse."""

import json
from datetime import timedelta
from typing import Any

import pytest

from control.clock import timestamp
from control.commands import Commands
from control.orders import Orders
from control.own_tree import OwnTree
from control.tree import OwnNode, Rating, rating_of_fuse
from energy_management import EvseAttributes
from tests.control.sample import VirtualClock, evse


class Fixture:
    """A node of 63 A with two EVSEs of 32 A."""

    def __init__(self, *, decides: bool = True, knows_surplus: bool = True) -> None:
        self.clock = VirtualClock()
        self.changes = 0
        self.orders = Orders({"a": EvseAttributes(priority=1)}, {"grid": 5.0}, self.changed)
        self.commands = Commands(
            orders=self.orders,
            clock=self.clock,
            ratings=lambda: {
                "grid": rating_of_fuse(63, 230),
                "a": rating_of_fuse(32, 230),
                "b": Rating(32, phase_count=1),
            },
            evses=lambda: "ab",
            decides=decides,
            knows_surplus=lambda: knows_surplus,
            fuses_A={"grid": 63.0},
            explain=lambda uuid: f"{uuid} has what it asked for",
            status=lambda: {"evses": 2},
        )

    def changed(self) -> None:
        self.changes += 1

    def accept(self, name: str, **args: Any) -> str:
        answer = self.commands.call(name, args)
        assert answer["status"] == "Accepted", answer
        message: str = answer["message"]
        return message

    def reject(self, name: str, args: object) -> str:
        before = self.orders.to_json(), self.changes
        answer = self.commands.call(name, args)
        assert answer["status"] == "Rejected"
        assert (self.orders.to_json(), self.changes) == before, "a refused command must change nothing"
        message: str = answer["message"]
        return message

    def amperes(self, uuid: str = "grid") -> float:
        """Lowest limit in force on a node or EVSE."""
        value: float = self._limit(uuid)["value"]
        return value

    def source(self) -> str:
        """Who has set that of the node."""
        source: str = self._limit("grid")["source"]
        return source

    def _limit(self, uuid: str) -> dict[str, Any]:
        now = self.clock()
        tree = OwnTree(OwnNode("grid", 63.0)).request(
            {"a": evse("a"), "b": evse("b")},
            now,
            external=self.orders.limits(now, lambda: {"grid": "ab", "a": "a", "b": "b"}),
            reserves_A=self.orders.reserves_A(now),
        )
        node = next(n for n in [tree, *tree["children"]] if n["uuid"] == uuid)
        schedule = [entry for entry in node["schedule_import"] if entry["timestamp"] <= timestamp(now.utc)]
        limit: dict[str, Any] = schedule[-1]["limits_to_leaves"]["ac_max_current_A"]
        return limit


@pytest.fixture
def site() -> Fixture:
    return Fixture()


def test_a_limit_lowers_and_is_gone_when_cleared(site: Fixture) -> None:
    site.accept("set_limit", node="grid", source="user", limits={"current_A": 20})
    assert site.amperes() == 20
    site.accept("set_limit", node="grid", source="tariff", limits={"current_A": 30})
    assert site.amperes() == 20
    site.accept("clear_limit", node="grid", source="user")
    assert site.amperes() == 30
    assert site.changes == 3


def test_a_limit_on_one_evse_leaves_the_other_alone(site: Fixture) -> None:
    site.accept("set_limit", node="a", source="user", limits={"current_A": 10})
    assert (site.amperes("a"), site.amperes("b")) == (10, 32)


def test_a_limit_with_a_schedule(site: Fixture) -> None:
    steps = [(0, 20), (60, 10)]
    start = site.clock().utc
    schedule = [
        {"timestamp": timestamp(start + timedelta(seconds=at)), "limits": {"current_A": amperes}}
        for at, amperes in steps
    ]
    site.accept("set_limit", node="grid", source="ocpp", schedule=schedule)
    assert site.amperes() == 20
    site.clock.advance(60)
    assert site.amperes() == 10


def test_a_source_that_falls_silent_is_replaced_by_its_fallback(site: Fixture) -> None:
    site.accept(
        "set_limit",
        node="grid",
        source="lpc",
        limits={"current_A": 50},
        valid_for_s=60,
        fallback={"current_A": 8},
    )
    assert site.amperes() == 50
    site.clock.advance(60)
    assert site.amperes() == 8
    assert site.source() == "grid/lpc fallback"


def test_a_reserve_takes_the_place_of_the_configured_one(site: Fixture) -> None:
    assert site.amperes() == 58
    site.accept("set_reserve", node="grid", current_A=13)
    assert site.amperes() == 50


def test_a_reserve_by_schedule(site: Fixture) -> None:
    at_nine = timestamp(site.clock().utc + timedelta(seconds=60))
    site.accept("set_reserve", node="grid", schedule=[{"timestamp": at_nine, "current_A": 20}])
    assert site.amperes() == 58
    site.clock.advance(60)
    assert site.amperes() == 43


def test_pause_and_resume(site: Fixture) -> None:
    site.accept("pause", uuid="a")
    assert (site.amperes("a"), site.amperes("b")) == (0, 32)
    site.accept("resume", uuid="a")
    assert site.amperes("a") == 32


def test_attributes_of_an_evse_change_one_by_one(site: Fixture) -> None:
    site.accept("set_evse", uuid="a", weight=2.0)
    site.accept("set_evse", uuid="a", phase_rotation="L2 L3 L1")
    assert site.orders.evses == {"a": EvseAttributes("L2 L3 L1", priority=1, weight=2.0)}
    site.accept("set_evse", uuid="a", phase_rotation="unknown")
    assert site.orders.evses["a"].phase_rotation is None


def test_an_explanation(site: Fixture) -> None:
    assert site.accept("explain", uuid="a") == "a has what it asked for"


def test_the_status_comes_as_a_result_and_to_everest_as_it_is(site: Fixture) -> None:
    answer = site.commands.call("get_status", {})
    assert answer == {"status": "Accepted", "message": "", "result": {"evses": 2}}
    of_interface = site.commands.of_interface
    assert of_interface["get_status"]({}) == {"evses": 2}
    assert of_interface.keys() == set(site.commands.names)


def test_everest_wraps_an_order_in_its_one_argument(site: Fixture) -> None:
    order = {"node": "grid", "source": "u", "limits": {"current_A": 20}}
    assert site.commands.of_interface["set_limit"]({"value": order})["status"] == "Accepted"
    assert site.commands.of_interface["pause"]({"uuid": "b"})["status"] == "Accepted"
    assert (site.amperes(), site.amperes("b")) == (20, 0)


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        (
            "set_limit",
            {"node": "x", "source": "u", "limits": {"current_A": 1}},
            "unknown uuid 'x', known: grid, a, b",
        ),
        ("set_limit", {"node": "a", "source": "u", "limits": {"current_A": 33}}, "33 A is above 32 A of a"),
        (
            "set_limit",
            {"node": "b", "source": "u", "limits": {"phase_count": 3}},
            "3 phases is above 1 phases of b",
        ),
        (
            "set_limit",
            {"node": "a", "source": "u", "limits": {"power_W": 22100}},
            "22100 W is above 22080 W of a",
        ),
        ("set_limit", {"node": "a", "source": "u", "limits": {"current_A": -1}}, ">= 0"),
        ("set_limit", {"node": "a", "source": "u", "limits": {"current_A": float("nan")}}, ">= 0"),
        ("set_limit", {"node": "a", "source": "u", "limits": {"current_a": 10}}, "unknown field `current_a`"),
        (
            "set_limit",
            {"node": "a", "source": "u", "limits": {}},
            "limits need current_A, power_W or phase_count",
        ),
        ("set_limit", {"node": "a", "source": "u"}, "give either limits or schedule"),
        ("set_limit", {"node": "a", "source": "", "limits": {"current_A": 1}}, "length >= 1"),
        (
            "set_limit",
            {"node": "a", "source": "pause", "limits": {"current_A": 1}},
            "source 'pause' is taken: use the commands pause and resume",
        ),
        (
            "set_limit",
            {"node": "grid", "source": "external_limits", "limits": {"current_A": 1}},
            "source 'external_limits' is taken: set_external_limits",
        ),
        ("clear_limit", {"node": "grid", "source": "external_limits"}, "source 'external_limits' is taken"),
        ("clear_limit", {"node": "a", "source": "pause"}, "source 'pause' is taken"),
        (
            "set_limit",
            {"node": "a", "source": "\ud800", "limits": {"current_A": 1}},
            "source has characters that cannot be printed",
        ),
        (
            "set_limit",
            {"node": "a", "source": "u", "limits": {"current_A": 1}, "valid_for_s": 5},
            "valid_for_s and fallback",
        ),
        (
            "set_limit",
            {"node": "a", "source": "u", "schedule": [{"timestamp": "noon", "limits": {"current_A": 1}}]},
            "'noon' is no RFC 3339 time",
        ),
        (
            "set_reserve",
            {"node": "grid", "schedule": [{"timestamp": "0001-01-01T00:00:00+14:00", "current_A": 1}]},
            "'0001-01-01T00:00:00+14:00' is no RFC 3339 time",
        ),
        (
            "set_limit",
            {"node": "a", "source": "u", "limits": {"power_W": 1, "current_A": 1}, "dimming": True},
            "a limit that dims has power_W, and nothing else",
        ),
        ("set_reserve", {"node": "a", "current_A": 5}, "'a' is no node of this module: grid"),
        ("set_reserve", {"node": "grid", "current_A": 64}, "the fuse of grid has only 63 A"),
        ("set_evse", {"uuid": "a", "weight": 0}, ">= 0.001"),
        ("set_evse", {"uuid": "a", "phase_rotation": "L1"}, "Invalid enum value 'L1'"),
        ("set_evse", {"uuid": "x", "priority": 1}, "unknown uuid 'x'"),
        ("set_evse", {"uuid": "grid", "priority": 1}, "'grid' is no EVSE, known: a, b"),
        ("explain", {"uuid": "grid"}, "'grid' is no EVSE"),
        ("pause", {"uuid": "x"}, "unknown uuid 'x'"),
        ("pause", None, "Expected `object`"),
        ("get_status", {"uuid": "a"}, "unknown field `uuid`"),
        ("lift_fuse", {}, "lift_fuse: unknown command, known: set_limit"),
    ],
)
def test_what_is_refused(site: Fixture, name: str, args: object, reason: str) -> None:
    assert reason in site.reject(name, args)


def test_a_node_takes_no_orders_about_what_others_decide() -> None:
    site = Fixture(decides=False)
    assert "order it of the manager above it" in site.reject("set_evse", {"uuid": "a", "priority": 1})
    site.accept("pause", uuid="a")
    assert site.amperes("a") == 0


@pytest.mark.parametrize("mode", ["minpv", "pv"])
def test_without_a_meter_nobody_charges_from_surplus(mode: str) -> None:
    site = Fixture(knows_surplus=False)
    assert site.reject("set_evse", {"uuid": "a", "mode": mode}) == (
        f"set_evse: mode {mode} needs a meter that tells of a surplus: "
        "name one as grid.meter of the site file, or connect powermeter"
    )
    site.accept("set_evse", uuid="a", mode="off")
    site.accept("set_evse", uuid="a", mode="now")


def test_orders_survive_a_restart(site: Fixture) -> None:
    site.accept("set_limit", node="grid", source="user", limits={"current_A": 20})
    site.accept("set_reserve", node="grid", current_A=7)
    site.accept("set_evse", uuid="a", priority=3)
    site.accept("pause", uuid="b")
    stored = json.loads(json.dumps(site.orders.to_json()))
    again = Fixture()
    again.orders.restore(stored, again.clock())
    assert (again.amperes(), again.amperes("b")) == (20, 0)
    assert again.orders.evses["a"].priority == 3
    assert again.orders.reserves_A(again.clock()) == {"grid": 7}
