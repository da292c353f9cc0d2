"""A tree of our nodes below a manager decides as one instance that holds the whole tree."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.everest import Outside
from control.settings import Settings
from control.site import EnergySite
from control.site_file import load_site
from tests.control.sample import RecordingLog, VirtualClock, evse, node

Json = dict[str, Any]
Houses = list[tuple[float, list[float]]]
"""Fuse of each house, and what its EVSEs can take."""


class Everest:
    """Keeps the newest request that an instance published."""

    def __init__(self) -> None:
        self.request: Json = {}

    def publish(self, implementation: str, variable: str, value: Any) -> None:
        if variable == "energy_flow_request":
            self.request = value

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        raise AssertionError(message)

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        raise AssertionError(error_type)


class Level:
    """An instance with children, stepped by hand."""

    def __init__(self, clock: VirtualClock, name: str, children: list[str], **config: Any) -> None:
        self._clock = clock
        self.everest = Everest()
        has_trunk = config.pop("has_trunk", False)
        site_file = config.pop("site", None)
        self.site = EnergySite(
            Settings.from_config(name, config),
            site_file,
            Outside(
                {child: lambda _: None for child in children},
                self.everest,
                RecordingLog(),
                has_trunk=has_trunk,
            ),
            clock,
        )

    def step(self, requests: dict[str, Json]) -> Json:
        """Take requests, decide once; returns what was published."""
        for child, request in requests.items():
            self.site.handlers.request(child, request)
        self.site.step(self._clock())
        return self.everest.request

    def amperes(self) -> dict[str, float]:
        decision = self.site._role.decision
        assert decision is not None
        self.site.stop()
        return {
            limit["uuid"]: limit["limits_root_side"]["ac_max_current_A"]["value"] for limit in decision.limits
        }


def by_levels(houses: Houses, fuse_A: float) -> dict[str, float]:
    clock = VirtualClock()
    grid: dict[str, Json] = {}
    for h, (house_fuse_A, maxima_A) in enumerate(houses):
        evses = {f"h{h}e{e}": evse(f"h{h}e{e}", maximum_A) for e, maximum_A in enumerate(maxima_A)}
        house = Level(clock, f"h{h}", list(evses), role="node", fuse_limit_A=house_fuse_A)
        grid[f"h{h}"] = house.step(evses)
    node = Level(clock, "grid", list(grid), role="node", fuse_limit_A=fuse_A)
    trunk = node.step(grid)
    manager = Level(clock, "manager", ["grid"], has_trunk=True)
    manager.step({"grid": trunk})
    return manager.amperes()


def by_one(houses: Houses, fuse_A: float) -> dict[str, float]:
    """The same tree as requests of nodes below one instance's own node."""
    clock = VirtualClock()
    requests = {}
    for h, (house_fuse_A, maxima_A) in enumerate(houses):
        evses = {f"h{h}e{e}": evse(f"h{h}e{e}", maximum_A) for e, maximum_A in enumerate(maxima_A)}
        house = Level(clock, f"h{h}", list(evses), role="node", fuse_limit_A=house_fuse_A)
        requests[f"h{h}"] = house.step(evses)
    whole = Level(clock, "grid", list(requests), fuse_limit_A=fuse_A)
    whole.step(requests)
    return whole.amperes()


def by_site_file(houses: Houses, fuse_A: float, *, have_sinks: bool) -> dict[str, float]:
    """The same tree as nodes of one instance's site file, with EVerest's EVSEs below them.

    EVerest's own configs often have a node above each EVSE, its sink, where OCPP sets limits.
    """
    site: Json = {"grid": {"fuse": fuse_A}, "nodes": {}, "evses": {}}
    requests = {}
    for h, (house_fuse_A, maxima_A) in enumerate(houses):
        site["nodes"][f"h{h}"] = {"fuse": house_fuse_A}
        for e, maximum_A in enumerate(maxima_A):
            site["evses"][f"h{h}e{e}"] = {"node": f"h{h}"}
            asking = evse(f"h{h}e{e}", maximum_A)
            requests[f"module {h}.{e}"] = node(f"h{h}e{e}_sink", [asking]) if have_sinks else asking
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "site.yaml"
        path.write_text(json.dumps(site))  # JSON is YAML
        site_file = load_site(path)
    whole = Level(VirtualClock(), "grid", list(requests), site=site_file)
    whole.step(requests)
    return whole.amperes()


house = st.tuples(st.floats(6, 63), st.lists(st.floats(6, 32), min_size=1, max_size=3))


@settings(max_examples=25, deadline=None)
@given(st.lists(house, min_size=1, max_size=3), st.floats(10, 100))
def test_three_levels_of_instances_decide_as_one(houses: Houses, fuse_A: float) -> None:
    assert by_levels(houses, fuse_A) == pytest.approx(by_one(houses, fuse_A))


@settings(max_examples=25, deadline=None)
@given(st.lists(house, min_size=1, max_size=3), st.floats(10, 100), st.booleans())
def test_one_instance_with_all_nodes_in_its_site_file_decides_as_three_levels(
    houses: Houses, fuse_A: float, have_sinks: bool
) -> None:
    assert by_site_file(houses, fuse_A, have_sinks=have_sinks) == pytest.approx(by_levels(houses, fuse_A))
