"""Configuration that is read and changed while the runtime runs."""

from typing import Any

import pytest

from hil.runtime.framework import definitions
from hil.runtime.wire import Era, Json
from tests.hil.runtime.module_world import World

IDENTIFIER = {"module_id": "depot", "configuration_parameter_name": "rent"}


def answer_requests(world: World, answer: Json) -> list[Json]:
    """Let the manager stub answer whatever it is asked; the list gets the requests."""
    requests: list[Json] = []
    manager = world.manager
    usual = manager._answer

    def reply(request: Json) -> None:
        if request["request"].get("type") == "Module":
            usual(request)
            return
        requests.append(request)
        if answer is not None:
            manager.send(f"modules/{request['origin']}/response", manager.era.response, answer)

    manager._answer = reply  # type: ignore[method-assign]
    return requests


def test_a_value_is_set(world: World) -> None:
    response = {"status": "RebootRequired", "status_info": ""}
    requests = answer_requests(
        world, {"status": "Ok", "status_info": "soon", "type": "Set", "response": response}
    )
    result = world.module("client").set_config_value("depot", "rent", "9.5", impl_id="main")
    assert result == {"status": "Ok", "status_info": "soon", "set_status": "RebootRequired"}
    identifier = {**IDENTIFIER, "module_implementation_id": "main"}
    assert requests == [
        {"type": "Set", "origin": "client", "request": {"identifier": identifier, "value": "9.5"}}
    ]


def test_a_value_is_read(world: World) -> None:
    data = {
        "name": "rent",
        "value": 12.5,
        "characteristics": {"datatype": "number", "mutability": "ReadOnly"},
    }
    requests = answer_requests(
        world,
        {"status": "Ok", "status_info": "", "type": "Get", "response": {"type": "Value", "data": data}},
    )
    result = world.module("client").get_config_value("depot", "rent")
    assert result == {"status": "Ok", "status_info": "", "value": 12.5}
    assert requests == [
        {"type": "Get", "origin": "client", "request": {"type": "Value", "identifier": IDENTIFIER}}
    ]


@pytest.mark.parametrize("status", ["Error", "AccessDenied"])
def test_a_refusal_is_returned(status: str, world: World) -> None:
    answer_requests(world, {"status": status, "status_info": "no", "response": None})
    client = world.module("client")
    assert client.set_config_value("depot", "rent", "1") == {
        "status": status,
        "status_info": "no",
        "set_status": "Rejected",
    }
    assert client.get_config_value("depot", "rent") == {"status": status, "status_info": "no", "value": ""}


def test_a_manager_that_does_not_answer_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_requests(world, None)
    client = world.module("client")
    monkeypatch.setattr(definitions, "_TIMEOUT_s", 0.1)
    assert client.get_config_value("depot", "rent") == {"status": "Error", "status_info": "", "value": ""}


def ask_module(world: World, request: Json) -> Json:
    manager = world.manager
    before = len(manager.on_topic("modules/depot/config/set_response"))
    manager.send("modules/depot/config/set_request", manager.era.request, request)
    answer = manager.wait_for_topic("modules/depot/config/set_response", before + 1)
    assert answer.payload["msg_type"] == manager.era.response
    return answer.data


def _raise(_value: str) -> Json:
    raise ValueError("too dear")


@pytest.mark.parametrize(
    ("handler", "status", "info"),
    [
        (lambda _value: {"status": "Accepted"}, "Accepted", ""),
        (lambda _value: {"status": "RebootRequired", "reason": "x"}, "RebootRequired", ""),
        (lambda value: {"status": "Rejected", "reason": f"not {value}"}, "Rejected", "not 9.5"),
        (lambda _value: {}, "Rejected", ""),
        (_raise, "Rejected", "ValueError: too dear"),
        (lambda _value: None, "Rejected", "AttributeError: 'NoneType' object has no attribute 'get'"),
    ],
)
def test_the_handler_decides_on_a_new_value(handler: Any, status: str, info: str, world: World) -> None:
    depot = world.module("depot")
    depot.register_config_change_handler("main", "rent", handler)
    depot._link.wait_until_subscribed()
    identifier = {**IDENTIFIER, "module_implementation_id": "main"}
    assert ask_module(world, {"identifier": identifier, "value": "9.5"}) == {
        "status": "Ok",
        "status_info": info,
        "type": "Set",
        "response": {"status": status, "status_info": ""},
    }


def test_module_scope_is_the_default_and_the_last_handler_counts(world: World) -> None:
    depot = world.module("depot")
    values: list[str] = []

    def accept(value: str) -> Json:
        values.append(value)
        return {"status": "Accepted"}

    depot.register_config_change_handler("!module", "rent", _raise)
    depot.register_config_change_handler("!module", "rent", accept)
    depot._link.wait_until_subscribed()
    ask_module(world, {"identifier": IDENTIFIER, "value": "9.5"})
    assert values == ["9.5"]


def test_a_parameter_without_handler_is_rejected(world: World) -> None:
    depot = world.module("depot")
    depot.register_config_change_handler("main", "rent", lambda _value: {"status": "Accepted"})
    depot._link.wait_until_subscribed()
    answer = ask_module(
        world, {"identifier": {**IDENTIFIER, "configuration_parameter_name": "x"}, "value": "1"}
    )
    assert answer["response"]["status"] == "Rejected"
    assert answer["status_info"] == "No handler registered for parameter: x"


@pytest.mark.parametrize("request_data", [{}, {"identifier": "rent", "value": "1"}, None])
def test_a_malformed_request_is_answered_with_an_error(request_data: Json, world: World) -> None:
    depot = world.module("depot")
    depot.register_config_change_handler("main", "rent", lambda _value: {"status": "Accepted"})
    depot._link.wait_until_subscribed()
    answer = ask_module(world, request_data)
    assert (answer["status"], answer["response"]["status"]) == ("Error", "Rejected")


def test_the_last_release_has_its_own_message_types(world: World) -> None:
    world.start_manager(Era.RELEASE_2026_02)
    test_the_handler_decides_on_a_new_value(lambda _value: {"status": "Accepted"}, "Accepted", "", world)
    assert world.manager.wait_for_topic("modules/depot/config/set_response").payload["msg_type"] == (
        "GetConfigResponse"
    )
