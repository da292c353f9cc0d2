"""Variables: published, received, in order, checked."""

import math
import queue
import threading
from typing import Any

import pytest

from hil.runtime.framework import Module
from hil.runtime.wire import Json
from tests.hil.runtime.module_world import World
from tests.patience import WITHIN_S

SIZE = "modules/shop/impl/main/var/size"


@pytest.mark.parametrize(
    ("value", "on_the_wire"),
    [
        (16.0, 16.0),
        (None, None),
        ({"a": [1, "ä", True, None]}, {"a": [1, "ä", True, None]}),
        ((1, 2), [1, 2]),
        (math.nan, None),
        ([math.inf, {"a": -math.inf}], [None, {"a": None}]),
        (b"\x00\xff", "AP8="),
        ({1: "one"}, {"1": "one"}),
        ({"a": 1, 2: "two"}, {"a": 1, "2": "two"}),
    ],
)
def test_values_are_written_as_everestpy_writes_them(value: Any, on_the_wire: Json, world: World) -> None:
    world.module("shop").publish_variable("main", "size", value)
    message = world.manager.wait_for_topic(SIZE)
    assert message.payload == {"msg_type": "Var", "data": {"data": on_the_wire}}
    assert (message.qos, message.retain) == (2, False)


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    ("value", "problem"),
    [({1, 2}, "to_json not implemented"), (object(), "to_json not implemented"), (_circle(), "Circular")],
)
def test_a_value_without_json_form_is_refused(value: Any, problem: str, world: World) -> None:
    with pytest.raises(RuntimeError, match=problem):
        world.module("shop").publish_variable("main", "size", value)


def subscribe(world: World, client: Module, name: str = "size", store: int = 0) -> "queue.Queue[Any]":
    values: queue.Queue[Any] = queue.Queue()
    client.subscribe_variable(client.say_hello().connections["stores"][store], name, values.put)
    client._link.wait_until_subscribed()
    return values


def test_every_subscriber_gets_each_value_in_order(world: World) -> None:
    client = world.module("client")
    first, second = subscribe(world, client), subscribe(world, client)
    for number in range(200):
        world.send_variable("size", {"data": number})
    for values in (first, second):
        assert [values.get(timeout=WITHIN_S) for _ in range(200)] == list(range(200))


def test_values_come_only_from_the_connected_module(world: World) -> None:
    client = world.module("client")
    shop, depot = subscribe(world, client, store=0), subscribe(world, client, store=1)
    world.send_variable("size", {"data": 1}, store="depot")
    world.send_variable("size", {"data": 2}, store="shop")
    assert depot.get(timeout=WITHIN_S) == 1
    assert shop.get(timeout=WITHIN_S) == 2
    assert depot.empty()


def test_an_unknown_variable_cannot_be_subscribed(world: World) -> None:
    client = world.module("client")
    store = client.say_hello().connections["stores"][0]
    with pytest.raises(
        RuntimeError, match="variable 'colour' is not in the interface, which has size, amount"
    ):
        client.subscribe_variable(store, "colour", print)


def test_a_handler_that_blocks_holds_up_its_own_topic_only(world: World) -> None:
    client = world.module("client")
    store = client.say_hello().connections["stores"][0]
    release, entered, sizes = threading.Event(), threading.Event(), list[int]()

    def slow(size: int) -> None:
        sizes.append(size)
        entered.set()
        release.wait(WITHIN_S)

    client.subscribe_variable(store, "size", slow)
    amounts = subscribe(world, client, "amount")
    world.send_variable("size", {"data": 1})
    world.send_variable("size", {"data": 2})
    assert entered.wait(WITHIN_S)
    world.send_variable("amount", {"data": {"pieces": 3}})
    assert amounts.get(timeout=WITHIN_S) == {"pieces": 3}
    assert sizes == [1]
    release.set()


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"{not json", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"42", "no envelope"),
        (b'{"data": {"data": 1}}', "no envelope"),
        (b'{"msg_type": "Var"}', "no envelope"),
        (b'{"msg_type": "Vra", "data": {"data": 1}}', "unknown msg_type 'Vra'"),
        (b'{"msg_type": "Cmd", "data": {"data": 1}}', "Cmd dropped, nobody handles it"),
        (b'{"msg_type": "CmdResult", "data": 1}', "command result dropped, malformed"),
        (b'{"msg_type": "ConfigurationResponse", "data": 1}', "ConfigurationResponse dropped"),
        (b'{"msg_type": "GlobalReady", "data": true}', "unknown msg_type 'GlobalReady'"),
        (b'{"msg_type": "Var", "data": 1}', "it has no 'data'"),
        (b'{"msg_type": "Var", "data": {"value": 1}}', "it has no 'data'"),
        (b"", ""),
    ],
)
def test_malformed_messages_are_dropped_with_a_line_in_the_log(
    payload: bytes, complaint: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    values = subscribe(world, world.module("client"))
    capsys.readouterr()
    world.manager.send_raw(SIZE, payload)
    world.send_variable("size", {"data": 7})
    assert values.get(timeout=WITHIN_S) == 7
    assert values.empty()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(complaint)
    assert all(complaint in line and SIZE in line for line in lines) or "command result" in complaint


# --- with validate_schema ---


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("size", "many", "'many' is not of type 'integer'"),
        ("size", 16.0, "16.0 is not of type 'integer'"),
        ("amount", {"pieces": -1}, "pieces.*-1 is less than the minimum"),
        ("amount", {}, "'pieces' is a required property"),
        ("amount", {"pieces": 1, "colour": "red"}, "'colour' was unexpected"),
        ("amount", {"pieces": 1, "since": "yesterday"}, "since.*'yesterday' is not a 'date-time'"),
        ("colour", "red", "variable 'colour' is not in the interface"),
    ],
)
def test_publishing_is_checked(name: str, value: Json, problem: str, world: World) -> None:
    manager = world.start_manager(validate_schema=True)
    shop = world.module("shop")
    with pytest.raises(RuntimeError, match=problem):
        shop.publish_variable("main", name, value)
    shop.publish_variable("main", "size", 1)
    manager.wait_for_topic(SIZE)
    assert len([message for message in manager.messages if "/var/" in message.topic]) == 1


def test_valid_values_pass(world: World) -> None:
    world.start_manager(validate_schema=True)
    amount = {"pieces": 1, "weight_kg": 2, "since": "2026-11-22T08:00:00.000Z"}
    world.module("shop").publish_variable("main", "amount", amount)
    assert world.manager.wait_for_topic("modules/shop/impl/main/var/amount").data == {"data": amount}


def test_received_values_that_break_the_schema_are_dropped(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.start_manager(validate_schema=True)
    values = subscribe(world, world.module("client"), "amount")
    world.send_variable("amount", {"data": {"pieces": "two"}})
    world.send_variable("amount", {"data": {"pieces": 2}})
    assert values.get(timeout=WITHIN_S) == {"pieces": 2}
    assert "dropped, it does not follow the interface: $.pieces: 'two' is not" in capsys.readouterr().err


def test_without_validation_anything_goes(world: World) -> None:
    world.module("shop").publish_variable("main", "colour", "red")
    assert world.manager.wait_for_topic("modules/shop/impl/main/var/colour").data == {"data": "red"}
