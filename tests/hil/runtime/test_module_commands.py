"""Commands: called and answered, many at a time, with every kind of failure."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hil.runtime.framework import Module
from hil.runtime.framework.commands import ERROR_TYPES
from hil.runtime.wire import Json
from tests.hil.runtime.module_world import World
from tests.patience import WITHIN_S

LOAD = "modules/shop/impl/main/cmd/load"


def start_shop(world: World, **handlers: Any) -> Module:
    shop = world.module("shop")
    for command in shop.implementations["main"].commands:
        shop.implement_command("main", command, handlers.get(command, lambda _args: None))
    shop.init_done()
    world.manager.wait_until_ready("shop")
    return shop


def call_in_thread(client: Module, *args: Any) -> "queue.Queue[Any]":
    """Call a command; the queue gets the result or the exception."""
    outcome: queue.Queue[Any] = queue.Queue()

    def call() -> None:
        try:
            outcome.put(client.call_command(*args))
        except RuntimeError as error:
            outcome.put(error)

    threading.Thread(target=call, daemon=True).start()
    return outcome


# --- calling ---


def test_a_call_carries_arguments_and_origin_and_returns_the_result(world: World) -> None:
    client, shop = world.client()
    outcome = call_in_thread(client, shop, "load", {"key": "a"})
    call = world.answer_next_call("load", retval="apple")
    assert outcome.get(timeout=WITHIN_S) == "apple"
    assert call["args"] == {"key": "a"}
    assert call["origin"] == "client"
    assert len(call["id"]) == 36


@pytest.mark.parametrize("answer", [{"retval": None}, {}])
def test_a_command_without_result_returns_none(answer: Json, world: World) -> None:
    client, shop = world.client()
    outcome = call_in_thread(client, shop, "reset", {})
    world.answer_next_call("reset", **answer)
    assert outcome.get(timeout=WITHIN_S) is None


@pytest.mark.parametrize("kind", [*ERROR_TYPES, "SomethingNew", ["no", "text"]])
def test_an_error_result_raises_its_message(
    kind: Json, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    client, shop = world.client()
    outcome = call_in_thread(client, shop, "load", {"key": "a"})
    world.answer_next_call("load", error={"__everest__error_type": kind, "__everest__error_msg": "no luck"})
    error = outcome.get(timeout=WITHIN_S)
    assert type(error) is RuntimeError
    assert str(error) == "no luck"
    assert f"{kind}: no luck during command call: shop->main->load()" in capsys.readouterr().err


@pytest.mark.parametrize("error", ["text", None, {}])
def test_an_error_result_without_type_raises_too(error: Json, world: World) -> None:
    client, shop = world.client()
    outcome = call_in_thread(client, shop, "load", {"key": "a"})
    world.answer_next_call("load", error=error, retval="apple")
    assert isinstance(outcome.get(timeout=WITHIN_S), RuntimeError)


def test_results_that_concern_nobody_are_dropped(world: World) -> None:
    client, shop = world.client()
    outcome = call_in_thread(client, shop, "load", {"key": "a"})
    call = world.manager.wait_for_topic(LOAD).data
    for stranger in ({"id": "of somebody else", "retval": 1}, {"retval": 2}, {"id": ["x"]}, "text", None):
        world.send_result("load", stranger)
    world.answer_next_call("load", retval="apple")
    world.send_result("load", {"id": call["id"], "retval": "again"})
    assert outcome.get(timeout=WITHIN_S) == "apple"
    second = call_in_thread(client, shop, "load", {"key": "b"})
    world.answer_next_call("load", 2, retval="banana")
    assert second.get(timeout=WITHIN_S) == "banana"


def test_a_command_that_nobody_answers_times_out(world: World) -> None:
    client, shop = world.client()
    client._caller.timeout_s = 0.1
    with pytest.raises(RuntimeError, match=r"Timeout while waiting for result of shop->main->load\(\)"):
        client.call_command(shop, "load", {"key": "a"})
    client._caller.timeout_s = WITHIN_S
    outcome = call_in_thread(client, shop, "load", {"key": "b"})
    world.answer_next_call("load", 1, retval="too late")
    world.answer_next_call("load", 2, retval="banana")
    assert outcome.get(timeout=WITHIN_S) == "banana"


def test_calls_wait_300_s_by_default(world: World) -> None:
    assert world.module("client")._caller.timeout_s == 300


def test_a_command_that_the_interface_lacks_is_not_called(world: World) -> None:
    client, shop = world.client()
    with pytest.raises(
        RuntimeError, match="command 'burn' is not in the interface, which has load, put, reset"
    ):
        client.call_command(shop, "burn", {})


def test_shutdown_ends_the_wait_of_pending_and_later_calls(world: World) -> None:
    client, shop = world.client()
    handler_called = threading.Event()
    client.shutdown_handler(handler_called.set)
    outcome = call_in_thread(client, shop, "load", {"key": "a"})
    world.manager.wait_for_topic(LOAD)
    world.manager.send_raw("shutdown", b"true")
    assert handler_called.wait(WITHIN_S)
    assert "Shutting down while waiting" in str(outcome.get(timeout=WITHIN_S))
    with pytest.raises(RuntimeError, match="Shutting down"):
        client.call_command(shop, "load", {"key": "b"})


def test_calls_from_many_threads_run_at_the_same_time(world: World) -> None:
    """All are under way before the first is answered."""
    client, shop = world.client()
    with ThreadPoolExecutor(100) as threads:
        outcomes = [
            threads.submit(client.call_command, shop, "load", {"key": str(key)}) for key in range(100)
        ]
        world.manager.wait_for_topic(LOAD, 100)
        for count in range(100, 0, -1):
            call = world.manager.wait_for_topic(LOAD, count).data
            world.send_result("load", {"id": call["id"], "origin": "shop", "retval": call["args"]["key"]})
        assert [outcome.result(WITHIN_S) for outcome in outcomes] == [str(key) for key in range(100)]


def test_a_call_from_a_variable_callback_is_answered(world: World) -> None:
    client, shop = world.client()
    results: queue.Queue[Any] = queue.Queue()

    def load(size: int) -> None:
        results.put(client.call_command(shop, "load", {"key": str(size)}))

    client.subscribe_variable(shop, "size", load)
    client._link.wait_until_subscribed()
    world.send_variable("size", {"data": 5})
    assert world.answer_next_call("load", retval="five")["args"] == {"key": "5"}
    assert results.get(timeout=WITHIN_S) == "five"


# --- answering ---


def test_a_handler_gets_the_arguments_and_its_value_is_the_result(world: World) -> None:
    start_shop(world, load=lambda args: args["key"] * 2)
    answer = world.manager.call(LOAD, {"key": "ab"}, "id-1")
    assert answer == {"id": "id-1", "origin": "shop", "retval": "abab"}


def test_a_cpp_caller_sends_null_where_there_are_no_arguments(world: World) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    start_shop(world, reset=seen.put)
    answer = world.manager.call("modules/shop/impl/main/cmd/reset", None, "id-1")
    assert seen.get(timeout=WITHIN_S) is None
    assert answer == {"id": "id-1", "origin": "shop", "retval": None}


def test_calls_before_all_modules_are_ready_are_answered(world: World) -> None:
    shop = world.module("shop")
    shop.implement_command("main", "load", lambda _args: "early")
    shop._link.wait_until_subscribed()
    assert world.manager.call(LOAD, {"key": "a"}, "id-1")["retval"] == "early"


def test_calls_of_one_command_are_answered_in_order(world: World) -> None:
    order: list[str] = []
    start_shop(world, load=lambda args: order.append(args["key"]))
    for number in range(50):
        data = {"id": str(number), "args": {"key": str(number)}, "origin": "caller"}
        world.manager.send(LOAD, "Cmd", data)
    world.manager.wait_for_topic(f"{LOAD}/response/caller", 50)
    assert order == [str(number) for number in range(50)]


def test_commands_of_different_names_run_at_the_same_time(world: World) -> None:
    both = threading.Barrier(2, timeout=WITHIN_S)
    start_shop(world, load=lambda _args: str(both.wait()), reset=lambda _args: both.wait() and None)
    world.manager.send(LOAD, "Cmd", {"id": "1", "args": {"key": "a"}, "origin": "caller"})
    world.manager.send("modules/shop/impl/main/cmd/reset", "Cmd", {"id": "2", "args": {}, "origin": "caller"})
    world.manager.wait_for_topic(f"{LOAD}/response/caller")
    world.manager.wait_for_topic("modules/shop/impl/main/cmd/reset/response/caller")


@pytest.mark.parametrize(
    "call", [{"args": {}}, {"id": "1", "args": {}}, {"id": 1, "args": {}, "origin": "x"}, "call me", None]
)
def test_a_call_that_cannot_be_answered_is_dropped(
    call: Json, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    start_shop(world, load=lambda args: args["key"])
    world.manager.send(LOAD, "Cmd", call)
    assert world.manager.call(LOAD, {"key": "next"}, "id-2")["retval"] == "next"
    assert f"{world.prefix}{LOAD}: call dropped, it has no 'id' and 'origin'" in capsys.readouterr().err


def test_a_call_without_arguments_member_is_answered_with_an_error(world: World) -> None:
    start_shop(world)
    world.manager.send(LOAD, "Cmd", {"id": "1", "origin": "caller"})
    answer = world.manager.wait_for_topic(f"{LOAD}/response/caller").data["data"]
    assert answer["error"]["__everest__error_type"] == "MessageParsingError"


def _raise(_args: Json) -> None:
    raise LookupError("out of apples")


@pytest.mark.parametrize(
    ("handler", "message"),
    [(_raise, "LookupError: out of apples"), (lambda _args: {1, 2}, "RuntimeError: to_json not implemented")],
)
def test_with_forward_exceptions_the_caller_hears_of_it_and_the_module_lives(
    handler: Any, message: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.start_manager(forward_exceptions=True)
    start_shop(world, load=handler)
    answer = world.manager.call(LOAD, {"key": "a"}, "id-1")
    assert "retval" not in answer
    assert answer["error"]["__everest__error_type"] == "HandlerException"
    assert answer["error"]["__everest__error_msg"].startswith(message)
    assert f"answered with HandlerException: {message}" in capsys.readouterr().err
    assert "error" in world.manager.call(LOAD, {"key": "a"}, "id-2")


@pytest.mark.parametrize(
    ("impl_id", "command", "problem"),
    [
        ("main", "burn", "command 'burn' is not in the interface"),
        ("cellar", "load", "cellar: not in the manifest, which has main"),
    ],
)
def test_an_unknown_command_cannot_be_implemented(
    impl_id: str, command: str, problem: str, world: World
) -> None:
    with pytest.raises(RuntimeError, match=problem):
        world.module("shop").implement_command(impl_id, command, print)


def test_a_command_has_one_handler(world: World) -> None:
    shop = world.module("shop")
    shop.implement_command("main", "load", print)
    with pytest.raises(RuntimeError, match="shop->main->load: a handler is registered already"):
        shop.implement_command("main", "load", print)


# --- with validate_schema ---


@pytest.mark.parametrize(
    ("command", "args", "problem"),
    [
        ("load", {"key": 1}, "argument 'key': .*1 is not of type 'string'"),
        ("load", {}, r"arguments are \[\], the interface has \['key'\]"),
        ("load", None, "the interface has"),
        ("load", {"key": "a", "colour": "red"}, r"arguments are \['colour', 'key'\]"),
        ("put", {"key": "a", "amount": {"pieces": -1}}, "argument 'amount': .*less than the minimum"),
    ],
)
def test_arguments_are_checked_before_the_call(command: str, args: Json, problem: str, world: World) -> None:
    world.start_manager(validate_schema=True)
    client, shop = world.client()
    with pytest.raises(RuntimeError, match=problem):
        client.call_command(shop, command, args)
    assert world.manager.on_topic(f"modules/shop/impl/main/cmd/{command}") == []


@pytest.mark.parametrize("args", [{"key": 1}, {"key": ""}, {}, None])
def test_the_provider_answers_wrong_arguments_with_an_error(args: Json, world: World) -> None:
    world.start_manager(validate_schema=True)
    start_shop(world, load=_raise)
    answer = world.manager.call(LOAD, args, "id-1")
    assert answer["error"]["__everest__error_type"] == "SchemaValidationError"
    assert "retval" not in answer


def test_the_provider_ignores_arguments_that_nobody_declared(world: World) -> None:
    world.start_manager(validate_schema=True)
    start_shop(world, load=lambda args: args["key"])
    assert world.manager.call(LOAD, {"key": "a", "colour": "red"}, "id-1")["retval"] == "a"


@pytest.mark.parametrize(("command", "args", "value"), [("load", {"key": "a"}, 5), ("reset", {}, True)])
def test_the_provider_answers_a_wrong_result_with_an_error(
    command: str, args: Json, value: Json, world: World
) -> None:
    world.start_manager(validate_schema=True)
    start_shop(world, **{command: lambda _args: value})
    answer = world.manager.call(f"modules/shop/impl/main/cmd/{command}", args, "id-1")
    assert answer["error"]["__everest__error_type"] == "SchemaValidationError"
    assert answer["retval"] == value


def test_a_void_command_without_arguments_passes_validation(world: World) -> None:
    world.start_manager(validate_schema=True)
    start_shop(world)
    for call_id, args in (("id-1", {}), ("id-2", None)):
        assert "error" not in world.manager.call("modules/shop/impl/main/cmd/reset", args, call_id)
