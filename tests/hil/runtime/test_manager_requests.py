"""What the manager answers to configuration requests, right ones and wrong ones."""

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hil.runtime.manager import Manager
from hil.runtime.wire import Era, encode
from tests.hil.runtime.ears import Ear
from tests.hil.runtime.sites import Site, number, provides
from tests.patience import WITHIN_S

LIMIT = {"module_id": "grid", "configuration_parameter_name": "limit"}
NOTE = {"module_id": "grid", "module_implementation_id": "main", "configuration_parameter_name": "note"}
FIXED = {"module_id": "grid", "configuration_parameter_name": "fixed"}
MAPPING = {"module": {"evse": 2}, "implementations": {"main": {"evse": 2, "connector": 1}}}


@dataclass
class Run:
    """A run whose modules are all played by the test."""

    manager: Manager
    ear: Ear
    lines: "queue.SimpleQueue[str]"
    era: Era

    def ask(self, kind: str, request: Any, origin: str = "boss") -> Any:
        self.send({"type": kind, "origin": origin, "request": request})
        return self.answer(origin)

    def send(self, data: Any) -> None:
        self.ear.publish("config/request", encode(self.era.request, data))

    def answer(self, origin: str = "boss") -> Any:
        envelope = self.ear.wait_for(f"modules/{origin}/response")
        assert envelope["msg_type"] == self.era.response
        return envelope["data"]

    def ready(self) -> None:
        for name in self.manager.config.modules:
            self.ear.publish(f"modules/{name}/ready", encode("ModuleReady", data=True))
        self.ear.wait_for("ready")

    def line(self, start: str) -> str:
        """Give the next line of the manager's log that starts like this."""
        while True:
            line = self.lines.get(timeout=WITHIN_S)
            if line.startswith(f"manager: {start}"):
                return line.removeprefix("manager: ")


def site_of_played_modules(directory: Path) -> Path:
    site = Site(directory)
    site.module(
        "Node",
        program=None,
        config={
            "limit": number(default=63.0, maximum=100, mutability="ReadWrite"),
            "fixed": {"type": "integer", "description": "A count", "default": 3},
            "later": {
                "type": "boolean",
                "description": "Takes effect later",
                "default": False,
                "mutability": "WriteOnly",
            },
        },
        provides={
            "main": provides(
                "empty",
                note={"type": "string", "description": "A note", "default": "-", "mutability": "ReadWrite"},
            )
        },
    )
    boss = {"config": {"allow_global_read": True, "modules": {"grid": {"allow_write": True}}}}
    chief = {"config": {"allow_global_read": True, "allow_global_write": True, "allow_set_read_only": True}}
    played = {"module": "Node", "standalone": True}
    return site.config(
        {
            "grid": {
                **played,
                "mapping": {"module": {"evse": 2}, "implementations": {"main": {"evse": 2, "connector": 1}}},
            },
            "boss": {**played, "access": boss},
            "chief": {**played, "access": chief},
            "guest": played,
        }
    )


@pytest.fixture
def start(broker: str, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def started(era: Era = Era.MAIN) -> Run:
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        manager = Manager(site_of_played_modules(tmp_path), broker=broker, era=era, log=lines.put)
        manager.start()
        run = Run(manager, Ear(broker, manager.prefix), lines, era)
        runs.append(run)
        return run

    yield started
    for run in runs:
        run.ear.close()
        run.manager.stop()


@pytest.fixture
def run(start: Callable[..., Run]) -> Run:
    return start()


# -- reading


def test_a_modules_own_configuration(run: Run) -> None:
    answer = run.ask("Get", {"type": "Module"}, origin="grid")
    assert answer["status"] == "Ok"
    config = answer["response"]["data"]["module_config"]
    assert config["standalone"] is True
    assert config["mapping"] == {
        "module": {"evse": 2},
        "implementations": {"main": {"evse": 2, "connector": 1}},
    }
    assert config["access"] is None


def test_access_rights_are_complete_with_what_is_not_allowed(run: Run) -> None:
    config = run.ask("Get", {"type": "Module"})["response"]["data"]["module_config"]
    assert config["access"] == {
        "config": {
            "allow_global_read": True,
            "allow_global_write": False,
            "allow_set_read_only": False,
            "modules": {"grid": {"allow_read": False, "allow_write": True, "allow_set_read_only": False}},
        }
    }


def test_each_request_is_answered_once(run: Run) -> None:
    for _ in range(3):
        run.ask("Get", {"type": "Module"})
    assert "modules/boss/response" not in run.ear.until_mark()


def test_all_configurations_that_one_may_read(run: Run) -> None:
    everything = run.ask("Get", {"type": "All"})["response"]
    assert everything["type"] == "All"
    assert sorted(everything["data"]) == ["boss", "chief", "grid", "guest"]
    limit = next(item for item in everything["data"]["grid"]["!module"] if item["name"] == "limit")
    assert limit == {
        "name": "limit",
        "value": 63.0,
        "characteristics": {"datatype": "number", "mutability": "ReadWrite"},
    }
    assert sorted(run.ask("Get", {"type": "All"}, origin="guest")["response"]["data"]) == ["guest"]


def test_all_mappings(run: Run) -> None:
    mappings = run.ask("Get", {"type": "AllMappings"})["response"]["data"]
    assert mappings["boss"] is None
    assert mappings["grid"] == MAPPING


def test_one_value(run: Run) -> None:
    assert run.ask("Get", {"type": "Value", "identifier": NOTE})["response"] == {
        "type": "Value",
        "data": {
            "name": "note",
            "value": "-",
            "characteristics": {"datatype": "string", "mutability": "ReadWrite"},
        },
    }


def test_a_value_that_one_may_not_read(run: Run) -> None:
    answer = run.ask("Get", {"type": "Value", "identifier": LIMIT}, origin="guest")
    assert (answer["status"], answer["status_info"]) == (
        "AccessDenied",
        "guest may not read the configuration of grid",
    )


# -- writing


def value(run: Run, identifier: dict[str, str]) -> Any:
    return run.ask("Get", {"type": "Value", "identifier": identifier})["response"]["data"]["value"]


def test_nothing_is_set_before_all_are_ready(run: Run) -> None:
    answer = run.ask("Set", {"identifier": LIMIT, "value": "20"})
    assert answer["response"] == {"status": "Rejected", "status_info": "modules are starting or stopping"}
    assert value(run, LIMIT) == 63.0


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("Accepted", "Accepted"),
        ("RebootRequired", "RebootRequired"),
        ("Rejected", "RebootRequired"),  # what a module without a handler says: it will read the value later
    ],
)
def test_a_change_is_passed_on_to_the_module_that_it_concerns(run: Run, reply: str, outcome: str) -> None:
    run.ready()
    run.send({"type": "Set", "origin": "boss", "request": {"identifier": LIMIT, "value": "20"}})
    request = run.ear.wait_for("modules/grid/config/set_request")
    assert request == {"msg_type": "ConfigurationRequest", "data": {"identifier": LIMIT, "value": "20"}}
    response = {"status": "Ok", "status_info": "why", "type": "Set", "response": {"status": reply}}
    run.ear.publish("modules/grid/config/set_response", encode("ConfigurationResponse", response))
    answer = run.answer()
    assert answer["status"] == "Ok"
    assert answer["response"] == {"status": outcome, "status_info": "why"}
    assert value(run, LIMIT) == 20.0


def test_changes_of_one_module_are_passed_on_one_after_another(run: Run) -> None:
    run.ready()
    for text in ("20", "30"):
        run.send({"type": "Set", "origin": "boss", "request": {"identifier": LIMIT, "value": text}})
    accepted = encode(
        "ConfigurationResponse", {"status": "Ok", "type": "Set", "response": {"status": "Accepted"}}
    )
    for text in ("20", "30"):
        assert run.ear.wait_for("modules/grid/config/set_request")["data"]["value"] == text
        assert "modules/grid/config/set_request" not in run.ear.until_mark()
        run.ear.publish("modules/grid/config/set_response", accepted)
        assert run.answer()["response"]["status"] == "Accepted"
    assert value(run, LIMIT) == 30.0


def test_a_module_that_does_not_answer_a_change_is_asked_again_and_then_given_up(
    start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.runtime.manager.responder._REPLY_TIMEOUT_s", 0.1)
    run = start()
    run.ready()
    run.send({"type": "Set", "origin": "boss", "request": {"identifier": LIMIT, "value": "20"}})
    for _ in range(2):
        run.ear.wait_for("modules/grid/config/set_request")
    assert run.answer()["status"] == "Error"
    assert run.line("grid does not answer") == "grid does not answer a change of its configuration"
    assert value(run, LIMIT) == 20.0


@pytest.mark.parametrize(
    ("origin", "identifier", "text", "status", "outcome"),
    [
        ("guest", LIMIT, "20", "AccessDenied", "Rejected"),
        ("boss", FIXED, "2", "AccessDenied", "Rejected"),  # ReadOnly
        ("chief", FIXED, "2", "Ok", "RebootRequired"),
        ("boss", {**LIMIT, "configuration_parameter_name": "later"}, "true", "Ok", "RebootRequired"),
        ("boss", LIMIT, "many", "Ok", "Rejected"),
        ("boss", LIMIT, "101", "Ok", "Rejected"),  # above the maximum
    ],
)
def test_changes_that_nobody_is_asked_about(
    run: Run, origin: str, identifier: dict[str, str], text: str, status: str, outcome: str
) -> None:
    run.ready()
    before = value(run, identifier)
    answer = run.ask("Set", {"identifier": identifier, "value": text}, origin=origin)
    assert (answer["status"], answer["response"]["status"]) == (status, outcome)
    assert (value(run, identifier) != before) == (outcome == "RebootRequired")


def test_a_change_in_the_era_of_2026_02_takes_effect_with_the_next_start(start: Callable[..., Run]) -> None:
    run = start(Era.RELEASE_2026_02)
    run.ready()
    answer = run.ask("Set", {"identifier": LIMIT, "value": "20"})
    assert answer["response"]["status"] == "RebootRequired"
    assert value(run, LIMIT) == 20.0


# -- what is wrong

UNANSWERABLE = {
    "no JSON": (b"hello", "no JSON: Expecting value: line 1 column 1 (char 0)"),
    "nothing": (b"", "no JSON: Expecting value: line 1 column 1 (char 0)"),
    "no text": (b"\xff\xfe", "no JSON: "),
    "no envelope": (b"[1]", "no envelope: expected an object with 'msg_type' and 'data'"),
    "the other era": (
        encode("GetConfig", {"type": "Get", "origin": "boss", "request": {"type": "Module"}}),
        "msg_type 'GetConfig', expected 'ConfigurationRequest'",
    ),
    "no origin": (encode("ConfigurationRequest", {"type": "Get"}), "request without origin"),
    "data that is no object": (encode("ConfigurationRequest", data=5), "request without origin"),
}


@pytest.mark.parametrize(("payload", "told"), UNANSWERABLE.values(), ids=UNANSWERABLE)
def test_what_is_no_request_is_told_and_does_no_harm(run: Run, payload: bytes, told: str) -> None:
    run.ear.publish("config/request", payload)
    assert run.line("ignored").startswith(f"ignored a message on {run.manager.prefix}config/request: {told}")
    assert run.ask("Get", {"type": "Module"})["status"] == "Ok"


WRONG_REQUESTS = {
    "unknown type": ("Give", {"type": "Module"}, "unknown request type 'Give', or no request"),
    "no request": ("Get", None, "unknown request type 'Get', or no request"),
    "unknown request": (
        "Get",
        {"type": "Some"},
        "unknown request 'Some', known: Module, All, AllMappings, Value",
    ),
    "no identifier": ("Get", {"type": "Value"}, "no identifier"),
    "unknown module": ("Get", {"type": "Value", "identifier": {"module_id": "x"}}, "unknown module 'x'"),
    "unknown item": (
        "Get",
        {"type": "Value", "identifier": {**NOTE, "configuration_parameter_name": "x"}},
        "grid has no item 'x' in 'main'",
    ),
    "unknown implementation": (
        "Set",
        {"identifier": {**NOTE, "module_implementation_id": "x"}, "value": ""},
        "grid has no item 'note' in 'x'",
    ),
    "a value that is no text": (
        "Set",
        {"identifier": LIMIT, "value": 20},
        "the value must be text, got 20",
    ),
}


@pytest.mark.parametrize(("kind", "request_", "told"), WRONG_REQUESTS.values(), ids=WRONG_REQUESTS)
def test_a_wrong_request_is_answered_with_an_error(run: Run, kind: str, request_: Any, told: str) -> None:
    answer = run.ask(kind, request_)
    assert answer == {"status": "Error", "status_info": told, "type": kind, "response": None}
    assert run.line("wrong") == f"wrong configuration request of 'boss': {told}"


def test_an_unknown_origin_is_answered_with_an_error(run: Run) -> None:
    answer = run.ask("Get", {"type": "Module"}, origin="stranger")
    assert answer == {"status": "Error", "status_info": "Unknown origin module: stranger", "response": None}


def test_wrong_requests_of_the_era_of_2026_02_are_met_with_silence(start: Callable[..., Run]) -> None:
    run = start(Era.RELEASE_2026_02)
    run.send({"type": "Get", "origin": "stranger", "request": {"type": "Module"}})
    run.send({"type": "Get", "origin": "boss", "request": {"type": "Some"}})
    assert run.ask("Get", {"type": "Module"}, origin="guest")["status"] == "Ok"
    topics = run.ear.until_mark()
    assert "modules/stranger/response" not in topics
    assert "modules/boss/response" not in topics
    assert "stranger" in run.line("wrong configuration request")


@pytest.mark.parametrize(
    ("topic", "payload", "told"),
    [
        ("modules/grid/ready", b"true", "ignored the ready of grid: no envelope"),
        ("modules/grid/ready", b"{", "ignored the ready of grid: no JSON"),
        (
            "modules/grid/ready",
            encode("ModuleReady", data=False),
            "ignored the ready of grid: expected ModuleReady true, got ModuleReady False",
        ),
        (
            "modules/grid/ready",
            encode("Var", data=True),
            "ignored the ready of grid: expected ModuleReady true, got Var True",
        ),
        (
            "modules/ghost/ready",
            encode("ModuleReady", data=True),
            "ignored the ready of ghost: no such module in ",
        ),
        ("modules/grid/config/set_response", b"{", "ignored a message on "),
    ],
)
def test_wrong_messages_are_told_and_do_no_harm(run: Run, topic: str, payload: bytes, told: str) -> None:
    run.ear.publish(topic, payload)
    assert run.line("ignored").startswith(told)
    run.ready()
