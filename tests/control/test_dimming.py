"""A grid operator that dims leaves controllable EVSEs what the rule says (section 14a EnWG, EEBUS LPC)."""

from pathlib import Path
from typing import Any

import pytest

from control.clock import timestamp
from control.commands import Commands
from control.dimming import Floor
from control.external_limits import EVEREST_SOURCE, ExternalLimits
from control.handlers import Handlers
from control.inbox import Inbox
from control.installation import installation
from control.notices import Notices
from control.orders import Orders
from control.own_tree import OwnTree
from control.settings import Settings
from control.site_file import load_site
from control.tree import OwnNode, Rating
from tests.control.sample import RecordingLog, VirtualClock, entry, evse, node, watt_limits


@pytest.mark.parametrize(
    ("evses", "least_W"),
    [(0, 0), (1, 4200), (2, 7560), (3, 10500), (4, 13020), (8, 18900), (9, 19320), (20, 40110)],
)
def test_the_table_of_the_rule(evses: int, least_W: float) -> None:
    """4.2 kW + (n - 1) x factor x 4.2 kW; the factors are 0.8, 0.75, 0.7, ... 0.5 for eight, 0.45 beyond."""
    assert Floor(4200).of([f"evse{n}" for n in range(evses)]) == pytest.approx(least_W)


def test_a_factor_of_ones_own() -> None:
    assert Floor(4200, 1.0).of("abc") == 12600


@pytest.mark.parametrize(
    ("evses", "least_W"),
    [("a", 4200), ("b", 11000), ("c", 0), ("ab", 11000 + 0.8 * 4200), ("abc", 11000 + 0.8 * 4200)],
)
def test_an_evse_may_have_a_floor_of_its_own(evses: str, least_W: float) -> None:
    """The highest counts in full, the others with the factor; who has none is not controllable."""
    assert Floor(4200, by_evse_W={"b": 11000, "c": 0}).of(evses) == pytest.approx(least_W)


def test_one_floor_is_enough_for_dimming_to_have_any() -> None:
    site = Dimmed(Floor(by_evse_W={"a": 4200}))
    site.order(node="grid", source="lpc", limits={"power_W": 1000}, dimming=True)
    site.order(node="garage", source="lpc", limits={"power_W": 1000}, dimming=True)
    assert site.power_W("grid") == 4200
    assert site.power_W("garage") == 1000


def test_the_site_file_sets_floors_of_single_evses(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("grid: {fuse: 63 A}\nevses: {a: {dimming_floor: 11 kW}, b: {dimming_floor: 0 W}}\n")
    place = installation(Settings.from_config("grid", {"dimming_floor_W": 4200}), load_site(path))
    assert place.floor.of(["a", "b", "elsewhere"]) == 11000 + 0.8 * 4200


class Dimmed:
    """A node of 63 A, below it one EVSE, and a garage with two more."""

    def __init__(self, floor: Floor) -> None:
        self.clock = VirtualClock()
        self.orders = Orders(floor=floor)
        self.tree = OwnTree(OwnNode("grid", 63.0))
        self.children = {"yard": evse("a"), "garage": node("garage", [evse("b"), evse("c")])}

    def order(self, **args: Any) -> dict[str, Any]:
        commands = Commands(
            orders=self.orders,
            clock=self.clock,
            ratings=lambda: dict.fromkeys(("grid", "garage", "a", "b", "c"), Rating(63.0)),
            evses=lambda: "abc",
            fuses_A={},
            explain=str,
        )
        return commands.call("set_limit", args)

    def power_W(self, uuid: str) -> float | None:
        """Power limit in force at a node."""
        now = self.clock()
        limits = self.orders.limits(now, lambda: self.tree.evses_below(self.children))
        if uuid not in limits:
            return None
        begun = [e for e in limits[uuid].schedule_import if e["timestamp"] <= timestamp(now.utc)]
        value: float = begun[-1]["limits_to_leaves"]["total_power_W"]["value"]
        return value


@pytest.mark.parametrize(("node", "least_W"), [("a", 4200), ("garage", 7560), ("grid", 10500)])
def test_dimming_goes_no_lower_than_the_floor_of_all_evses_behind_it(node: str, least_W: float) -> None:
    site = Dimmed(Floor(4200))
    site.order(node=node, source="lpc", limits={"power_W": 1000}, dimming=True)
    assert site.power_W(node) == pytest.approx(least_W)
    site.order(node=node, source="lpc", limits={"power_W": 20000}, dimming=True)
    assert site.power_W(node) == 20000


def test_other_limits_go_as_low_as_they_want() -> None:
    site = Dimmed(Floor(4200))
    site.order(node="grid", source="lpc", limits={"power_W": 1000}, dimming=True)
    site.order(node="grid", source="user", limits={"power_W": 2000})
    assert site.power_W("grid") == 2000


def test_without_a_floor_dimming_is_a_limit_like_any_other() -> None:
    site = Dimmed(Floor())
    site.order(node="grid", source="lpc", limits={"power_W": 1000}, dimming=True)
    assert site.power_W("grid") == 1000


def test_the_fallback_of_a_silent_grid_operator_has_the_floor_too_even_after_a_restart() -> None:
    site = Dimmed(Floor(4200))
    answer = site.order(
        node="a",
        source="lpc",
        limits={"power_W": 9000},
        valid_for_s=60,
        fallback={"power_W": 0},
        dimming=True,
    )
    assert answer["status"] == "Accepted"
    again = Dimmed(Floor(4200))
    again.orders.restore(site.orders.to_json(), again.clock())
    assert again.power_W("a") == 9000
    again.clock.advance(61)
    assert again.power_W("a") == 4200


@pytest.mark.parametrize(("dims", "power_W"), [(True, 10500), (False, 1000)])
def test_everests_own_command_can_be_said_to_dim(dims: bool, power_W: float) -> None:
    site = Dimmed(Floor(4200))
    log = RecordingLog()
    handlers = Handlers(
        "grid",
        Inbox(site.clock, lambda: None),
        site.orders,
        None,
        log,
        notices=Notices(log),
        external_limits_dim=dims,
    )
    schedule = [entry("2026-11-22T09:00:00.000Z", watt_limits(1000, "EEBUS LPC"))]
    handlers.external_limits({"schedule_import": schedule, "schedule_export": [], "schedule_setpoints": []})
    assert site.power_W("grid") == power_W


def test_the_source_tells_that_the_floor_holds() -> None:
    site = Dimmed(Floor(4200))
    limits = ExternalLimits([entry("2026-11-22T09:00:00.000Z", watt_limits(1000, "lpc"))])
    site.orders.set_limit("a", EVEREST_SOURCE, limits, is_dimming=True)
    in_force = site.orders.limits(site.clock(), lambda: {"a": "a"})["a"].schedule_import[0]
    assert in_force["limits_to_root"]["total_power_W"]["source"] == "lpc, dimmed no lower than 4200 W"
