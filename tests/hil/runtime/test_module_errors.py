"""Errors: raised, cleared, subscribed, asked for."""

import queue
import re

import pytest

from hil.runtime.framework import Fulfillment, Module, error
from hil.runtime.wire import Json
from tests.hil.runtime.module_world import FULL, World, wire_error
from tests.patience import WITHIN_S

Calls = queue.Queue[tuple[str, error.Error]]


def make(shop: Module, error_type: str = "store/Full", sub_type: str = "") -> error.Error:
    factory = shop.get_error_factory("main")
    assert factory is not None
    return factory.create_error(error_type, sub_type, "shelf 3")


def error_topics(world: World) -> list[tuple[str, str, str]]:
    """Type, sub-type and state of what went out so far, in order."""
    messages = [message for message in world.manager.messages if "/error/" in message.topic]
    return [(each.data["type"], each.data["sub_type"], each.data["state"]) for each in messages]


# --- own errors ---


def test_a_raised_error_has_all_members(world: World) -> None:
    shop = world.module("shop")
    raised = make(shop, sub_type="left")
    shop.raise_error("main", raised)
    message = world.manager.wait_for_topic(FULL)
    assert message.payload["msg_type"] == "RaiseError"
    assert message.data == {
        "type": "store/Full",
        "sub_type": "left",
        "message": "shelf 3",
        "description": "No room is left",
        "severity": "Low",
        "origin": {
            "module_id": "shop",
            "implementation_id": "main",
            "mapping": {"evse": 1, "connector": 2},
        },
        "state": "Active",
        "timestamp": message.data["timestamp"],
        "uuid": raised.uuid.uuid,
        "vendor_id": "everest",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.data["timestamp"])
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", message.data["uuid"]
    )


def test_an_error_without_mapping_says_nothing_of_it(world: World) -> None:
    depot = world.module("depot")
    depot.raise_error("main", make(depot))
    origin = world.manager.wait_for_topic("modules/depot/impl/main/error/store/Full").data["origin"]
    assert origin == {"module_id": "depot", "implementation_id": "main"}


def test_clearing_repeats_the_raised_error(world: World) -> None:
    shop = world.module("shop")
    shop.raise_error("main", make(shop))
    shop.clear_error("main", "store/Full")
    raised, cleared = world.manager.wait_for_topic(FULL), world.manager.wait_for_topic(FULL, 2)
    assert cleared.payload["msg_type"] == "ClearError"
    assert cleared.data == {**raised.data, "state": "ClearedByModule"}


def test_an_active_error_is_not_raised_again_until_it_is_cleared(world: World) -> None:
    shop = world.module("shop")
    for _ in range(2):
        shop.raise_error("main", make(shop))
    shop.raise_error("main", make(shop, sub_type="left"))
    shop.clear_error("main", "store/Full")
    shop.clear_error("main", "store/Full")
    shop.raise_error("main", make(shop))
    world.manager.wait_for_topic(FULL, 4)
    assert error_topics(world) == [
        ("store/Full", "", "Active"),
        ("store/Full", "left", "Active"),
        ("store/Full", "", "ClearedByModule"),
        ("store/Full", "", "Active"),
    ]


@pytest.mark.parametrize(
    ("arguments", "cleared"),
    [
        (("main",), {("store/Full", ""), ("store/Full", "left"), ("power/Lost", "")}),
        (("main", "store/Full"), {("store/Full", ""), ("store/Full", "left")}),
        (("main", "store/Locked"), set()),
    ],
)
def test_all_errors_of_an_implementation_or_type_are_cleared(
    arguments: tuple[str, ...], cleared: set[tuple[str, str]], world: World
) -> None:
    shop = world.module("shop")
    for error_type, sub_type in (("store/Full", ""), ("store/Full", "left"), ("power/Lost", "")):
        shop.raise_error("main", make(shop, error_type, sub_type))
    shop.clear_all_errors_of_impl(*arguments)
    shop.publish_variable("main", "size", 1)
    world.manager.wait_for_topic("modules/shop/impl/main/var/size")
    assert {(kind, sub) for kind, sub, state in error_topics(world) if state != "Active"} == cleared


def test_clearing_takes_the_sub_type_by_name(world: World) -> None:
    shop = world.module("shop")
    shop.raise_error("main", make(shop, sub_type="left"))
    shop.clear_error(impl_id="main", type="store/Full", sub_type="left")
    world.manager.wait_for_topic(FULL, 2)


def test_an_error_that_the_interface_lacks_is_ignored(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = world.module("shop")
    shop.raise_error("main", make(shop, "store/Burnt"))
    shop.raise_error("main", make(shop))
    world.manager.wait_for_topic(FULL)
    assert error_topics(world) == [("store/Full", "", "Active")]
    assert "Error type 'store/Burnt' is not in the interface" in capsys.readouterr().err


def test_an_unknown_implementation_is_told(world: World) -> None:
    shop = world.module("shop")
    with pytest.raises(RuntimeError, match="cellar: not in the manifest, which has main"):
        shop.raise_error("cellar", make(shop))
    assert shop.get_error_factory("cellar") is None
    assert shop.get_error_state_monitor_impl("cellar") is None


def test_monitor_tells_what_is_active(world: World) -> None:
    shop = world.module("shop")
    monitor = shop.get_error_state_monitor_impl("main")
    assert monitor is not None
    full, lost = (error.ErrorStateCondition(kind, "", True) for kind in ("store/Full", "power/Lost"))
    not_lost = error.ErrorStateCondition("power/Lost", "", False)
    assert not monitor.is_error_active("store/Full", "")
    shop.raise_error("main", make(shop))
    assert monitor.is_error_active("store/Full", "")
    assert not monitor.is_error_active("store/Full", "left")
    assert monitor.is_condition_satisfied(full)
    assert monitor.is_condition_satisfied([full, not_lost])
    assert not monitor.is_condition_satisfied([full, lost])
    shop.clear_error("main", "store/Full")
    assert not monitor.is_condition_satisfied(full)


# --- the factory ---


def test_factory_takes_severity_and_state(world: World) -> None:
    factory = world.module("shop").get_error_factory("main")
    assert factory is not None
    high, cleared = error.Severity.High, error.State.ClearedByReboot
    assert factory.create_error("power/Lost", "s", "m", high).severity is high
    assert factory.create_error("power/Lost", "s", "m", cleared).state is cleared
    both = factory.create_error("power/Lost", "s", "m", high, cleared)
    assert (both.severity, both.state) == (high, cleared)
    assert (both.type, both.sub_type, both.message) == ("power/Lost", "s", "m")
    assert both.description == "It is dark"
    assert factory.create_error("a/B", "", "m").description == "No description found"


def test_empty_error_has_the_defaults_of_everest(world: World) -> None:
    factory = world.module("shop").get_error_factory("main")
    assert factory is not None
    empty = factory.create_error()
    assert (empty.type, empty.sub_type, empty.message) == ("NotValidType", "", "no message provided")
    assert empty.severity is error.Severity.Low
    assert empty.state is error.State.Active
    assert empty.origin.module_id == "shop"


@pytest.mark.parametrize(
    "arguments", [("a/B",), ("a/B", "s", "m", 3), ("a/B", "s", "m", error.State.Active, error.Severity.Low)]
)
def test_factory_refuses_other_arguments(arguments: tuple[str, ...], world: World) -> None:
    factory = world.module("shop").get_error_factory("main")
    assert factory is not None
    with pytest.raises(TypeError, match="create_error"):
        factory.create_error(*arguments)


def test_enumerations_are_in_the_submodule_too() -> None:
    assert error.Low is error.Severity.Low
    assert error.ClearedByModule is error.State.ClearedByModule
    assert int(error.Severity.High) == 2


# --- errors of others ---


def send(world: World, data: Json, msg_type: str = "RaiseError", topic: str = FULL) -> None:
    world.manager.send(topic, msg_type, data)


def subscribed(world: World) -> tuple[Module, Fulfillment, Calls]:
    client, shop = world.client()
    calls = Calls()
    client.subscribe_all_errors(
        shop, lambda each: calls.put(("raised", each)), lambda each: calls.put(("cleared", each))
    )
    return client, shop, calls


def test_subscriber_hears_of_raise_and_clear(world: World) -> None:
    client, shop = world.client()
    calls = Calls()
    client.subscribe_error(
        shop,
        "store/Full",
        lambda each: calls.put(("raised", each)),
        lambda each: calls.put(("cleared", each)),
    )
    monitor = client.get_error_state_monitor_req(shop)
    assert monitor is not None
    send(world, wire_error())
    what, heard = calls.get(timeout=WITHIN_S)
    assert what == "raised"
    assert heard.to_json() == wire_error()
    assert heard.severity is error.Severity.Medium
    assert heard.origin.mapping == {"evse": 1}
    assert monitor.is_error_active("store/Full", "")
    send(world, wire_error("ClearedByModule"), "ClearError")
    what, heard = calls.get(timeout=WITHIN_S)
    assert (what, heard.state) == ("cleared", error.State.ClearedByModule)
    assert not monitor.is_error_active("store/Full", "")


def test_errors_raised_before_anybody_subscribes_are_known(world: World) -> None:
    client, shop = world.client()
    send(world, wire_error(sub_type="early"))
    sizes: queue.Queue[int] = queue.Queue()
    monitor = client.get_error_state_monitor_req(shop)
    assert monitor is not None
    client.subscribe_error(shop, "store/Full", lambda _: sizes.put(1), lambda _: None)
    send(world, wire_error())
    assert sizes.get(timeout=WITHIN_S) == 1
    assert monitor.is_error_active("store/Full", "early")


def test_state_counts_not_the_message_type(world: World) -> None:
    _, _, calls = subscribed(world)
    send(world, wire_error(), "ClearError")
    assert calls.get(timeout=WITHIN_S)[0] == "raised"


@pytest.mark.parametrize(
    ("nonsense", "complaint"),
    [
        (wire_error(), "is already raised"),
        (wire_error("ClearedByModule", "right"), "wasn't raised"),
        ({"type": "store/Full"}, "dropped, no error object"),
        (wire_error(sub_type=None), "dropped, no error object"),  # type: ignore[arg-type]
        (wire_error(origin="shop"), "dropped, no error object"),
        ("text", "dropped, no error object"),
        (wire_error(type="power/Lost"), ""),
    ],
)
def test_nonsense_is_ignored(
    nonsense: Json, complaint: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, calls = subscribed(world)
    send(world, wire_error())
    send(world, nonsense)
    send(world, wire_error("ClearedByReboot"), "ClearError")
    assert [calls.get(timeout=WITHIN_S)[0] for _ in range(2)] == ["raised", "cleared"]
    assert calls.empty()
    assert complaint in capsys.readouterr().err


def test_unknown_severity_and_state_are_taken_as_the_worst(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, calls = subscribed(world)
    send(world, wire_error("Burning", severity="Extreme"))
    what, heard = calls.get(timeout=WITHIN_S)
    assert (what, heard.severity, heard.state) == ("raised", error.Severity.High, error.State.Active)
    assert "unknown Severity 'Extreme', taken as High" in capsys.readouterr().err


def test_subscribing_to_an_unknown_type_is_ignored(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    client, shop = world.client()
    client.subscribe_error(shop, "store/Burnt", print, print)
    assert "Type 'store/Burnt' is not known" in capsys.readouterr().err


def test_errors_that_the_manifest_ignores_are_not_subscribed(world: World) -> None:
    client, _ = world.client()
    [quiet] = client.say_hello().connections["quiet"]
    assert client.get_error_state_monitor_req(quiet) is None
    client.subscribe_all_errors(quiet, print, print)
