"""Nothing that anybody sends stops the control of the others."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.control.instance import Instance
from tests.control.sample import ampere_limits, entry, evse, limits, watt_limits

Json = dict[str, Any]

garbage: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([10**400, "\ud800", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places inside a JSON value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    below = [path for key in keys for path in paths(value[key], (*prefix, key))]
    return [prefix, *below] if prefix else below


def broken(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """Copy with junk at one place; without the place, where the junk is a string."""
    key, *rest = path
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    copy[key] = broken(copy[key], tuple(rest), junk) if rest else junk
    return copy


@st.composite
def broken_copies(draw: st.DrawFn, value: Json) -> Any:
    return broken(value, draw(st.sampled_from(paths(value))), draw(garbage))


PRICES = {
    direction: [{"timestamp": "2026-11-22T09:00:00Z", "value": 0.3, "currency": "EUR"}]
    for direction in ("schedule_import", "schedule_export")
}


def shown(grid: Instance) -> None:
    """Write all states as MQTT has them."""
    json.dumps(grid.site._states(grid.clock()), allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(broken_copies(evse("b")), broken_copies(PRICES), st.booleans())
def test_a_malformed_request_and_malformed_prices(request: Any, prices: Any, ordered: bool) -> None:
    grid = Instance(fuse_limit_A=32)
    try:
        if ordered:
            grid.ask("b", evse("b"))
            grid.site.commands.call("pause", {"uuid": "b"})
        grid.ask("b", request)
        grid.ask("a", evse("a"))
        grid.site.handlers.prices(prices)
        grid.measure(0, 0, 0)
        grid.step()
        grid.step(6)
        grid.ask("a", evse("a"))
        grid.measure(0, 0, 0)
        grid.step(6)  # who has said nothing but nonsense is not waited for any longer
        assert grid.children["a"].wait_received(1)[0] >= 16
        grid.ask("a", evse("a"))
        grid.step(11)  # b is silent now, what it may still draw is held
        shown(grid)
    finally:
        grid.site.stop()


@settings(max_examples=100, deadline=None)
@given(broken_copies(limits("a", 16, phases=3)))
def test_malformed_limits_from_above(limits_: Any) -> None:
    grid = Instance(fuse_limit_A=32, role="node")
    try:
        grid.ask("a", evse("a"))
        grid.step()
        grid.site.handlers.enforce_limits(limits_)
        grid.site.handlers.enforce_limits(limits("a", 7))
        assert grid.children["a"].wait_for(7)
        grid.step(15)
    finally:
        grid.site.stop()


NINE = "2026-11-22T09:00:00Z"
LIMITS = {
    "schedule_import": [entry(NINE, {**ampere_limits(20, "ocpp"), **watt_limits(20000, "ocpp")})],
    "schedule_export": [entry(NINE, ampere_limits(0, "ocpp"))],
    "schedule_setpoints": [],
}
POWERMETER = {
    "timestamp": NINE,
    "energy_Wh_import": {"total": 1.0},
    "current_A": {"L1": 1.0, "L2": 2.0, "L3": 3.0},
    "power_W": {"total": 1380.0},
}
ORDER = {
    "node": "grid",
    "source": "user",
    "schedule": [{"timestamp": NINE, "limits": {"current_A": 20, "power_W": 20000, "phase_count": 3}}],
    "valid_for_s": 60,
    "fallback": {"current_A": 16},
}


@settings(max_examples=150, deadline=None)
@given(
    broken_copies(LIMITS),
    broken_copies(POWERMETER),
    broken_copies(ORDER),
    st.sampled_from(["manager", "node"]),
)
def test_malformed_limits_measurements_and_orders(limits_: Any, measured: Any, order: Any, role: str) -> None:
    grid = Instance(fuse_limit_A=32, role=role, enhance_external_schedule=True)
    try:
        grid.ask("a", evse("a"))
        grid.ask("b", evse("b"))
        grid.site.handlers.external_limits(limits_)
        grid.site.meters.on_powermeter(measured)
        json.dumps(grid.site.commands.call("set_limit", order))
        grid.step()
        shown(grid)
        grid.measure(0, 0, 0)
        grid.step(61)
        shown(grid)
    finally:
        grid.site.stop()
