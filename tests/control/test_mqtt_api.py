"""State and commands over plain MQTT, on real brokers."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from control.broker import Broker
from control.mqtt_api import MAX_PAYLOAD_BYTES, MqttApi
from tests.brokers import Mosquitto
from tests.control.listener import Listener
from tests.control.sample import RecordingLog


def broker_of(address: str) -> Broker:
    host, _, port = address.rpartition(":")
    return Broker(host, int(port))


def echo(name: str, args: object) -> dict[str, Any]:
    return {"status": "Accepted", "message": f"{name} {args}"}


@pytest.fixture
def module_id() -> str:
    return f"grid_{uuid.uuid4()}"


@pytest.fixture
def listener(broker: str) -> Iterator[Listener]:
    listener = Listener(broker)
    yield listener
    listener.close()


@pytest.fixture
def api(broker: str, module_id: str, listener: Listener) -> Iterator[MqttApi]:
    api = MqttApi(broker_of(broker), module_id, echo, RecordingLog())
    api.start()
    listener.wait_for(f"{module_id}/online", value=True)
    yield api
    api.stop()


def test_who_comes_late_sees_the_state_too(
    api: MqttApi, broker: str, module_id: str, listener: Listener
) -> None:
    api.show("status", {"evses": 2})
    listener.wait_for(f"{module_id}/status", {"evses": 2})
    late = Listener(broker)
    late.wait_for(f"{module_id}/status", {"evses": 2})
    late.close()


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (
            b'{"id": 7, "args": {"uuid": "a"}}',
            {"status": "Accepted", "message": "pause {'uuid': 'a'}", "id": 7},
        ),
        (b"{}", {"status": "Accepted", "message": "pause {}"}),
        (
            b"[1]",
            {"status": "Rejected", "message": "pause: expected an object with args, and an id if wanted"},
        ),
        (
            b" " * (MAX_PAYLOAD_BYTES + 1),
            {"status": "Rejected", "message": f"pause: {MAX_PAYLOAD_BYTES + 1} bytes are more than 65536"},
        ),
    ],
    ids=["with an id", "without", "no object", "too long"],
)
def test_a_command_is_answered(
    payload: bytes, answer: Any, api: MqttApi, module_id: str, listener: Listener
) -> None:
    listener.send(f"{module_id}/command/pause", payload)
    listener.wait_for(f"{module_id}/reply/pause", answer)


@pytest.mark.parametrize("payload", [b"", b'{"id": NaN}', b'{"id": "\\ud800"}', b"[" * 30_000])
def test_what_is_no_json_is_refused(payload: bytes, api: MqttApi, module_id: str, listener: Listener) -> None:
    listener.send(f"{module_id}/command/pause", payload)
    reply = f"{module_id}/reply/pause"
    listener.wait(lambda seen: seen.get(reply, {}).get("message", "").startswith("pause: no JSON: "))


def test_a_command_of_long_ago_that_was_retained_is_not_carried_out(broker: str, module_id: str) -> None:
    called: list[str] = []

    def call(name: str, _args: object) -> dict[str, Any]:
        called.append(name)
        return {"status": "Accepted", "message": ""}

    before = Listener(broker)
    before.send(f"{module_id}/command/pause", b"{}", retain=True)
    before.wait_for_topic(f"{module_id}/command/pause")
    api = MqttApi(broker_of(broker), module_id, call, RecordingLog())
    api.start()
    before.wait(lambda seen: f"{module_id}/reply/pause" in seen)
    answer = before.newest[f"{module_id}/reply/pause"]
    assert (answer["status"], called) == ("Rejected", [])
    assert answer["message"].startswith("pause: a command must not be retained")
    before.send(f"{module_id}/command/resume", b"{}")
    before.wait_for(f"{module_id}/reply/resume", {"status": "Accepted", "message": ""})
    api.stop()
    before.close()


def test_what_an_instance_before_left_of_things_that_are_gone_is_taken_away(
    broker: str, module_id: str
) -> None:
    old = MqttApi(broker_of(broker), module_id, echo, RecordingLog())
    for name in ("evse/gone", "evse/stays", "meter/gone"):
        old.show(name, {"is": "old"})
    old.start()
    first = Listener(broker)
    first.wait_for(f"{module_id}/evse/gone", {"is": "old"})
    old.stop()
    new = MqttApi(broker_of(broker), module_id, echo, RecordingLog())
    new.show("evse/stays", {"is": "new"})
    new.start()
    first.wait_for(f"{module_id}/evse/gone", None)
    first.wait_for(f"{module_id}/meter/gone", None)
    new.show("evse/later", {"is": "new"})
    first.wait_for(f"{module_id}/evse/later", {"is": "new"})
    first.wait_for(f"{module_id}/evse/stays", {"is": "new"})
    new.stop()
    first.close()


def test_two_installations_on_one_broker_are_told_apart_by_a_prefix(
    broker: str, module_id: str, listener: Listener
) -> None:
    left, right = (
        MqttApi(replace(broker_of(broker), prefix=prefix), module_id, echo, RecordingLog())
        for prefix in ("", "everest_api/right/")
    )
    for api, side in ((left, "left"), (right, "right")):
        api.start()
        api.show("status", {"side": side})
    listener.wait_for(f"{module_id}/status", {"side": "left"})
    listener.wait_for(f"everest_api/right/everest_api/energy_manager/{module_id}/status", {"side": "right"})
    listener.send(f"{module_id}/command/pause", b'{"args": {}}')
    listener.wait_for(f"{module_id}/reply/pause", {"status": "Accepted", "message": "pause {}"})
    assert f"everest_api/right/everest_api/energy_manager/{module_id}/reply/pause" not in listener.newest
    for api in (left, right):
        api.stop()


def test_who_leaves_says_so(broker: str, module_id: str, listener: Listener) -> None:
    api = MqttApi(broker_of(broker), module_id, echo, RecordingLog())
    api.start()
    listener.wait_for(f"{module_id}/online", value=True)
    api.stop()
    listener.wait_for(f"{module_id}/online", value=False)


@pytest.mark.mosquitto
def test_after_a_restart_of_the_broker_all_is_shown_again(mosquitto: Mosquitto) -> None:
    api = MqttApi(broker_of(mosquitto.address), "grid", echo, RecordingLog())
    api.start()
    api.show("status", {"evses": 2})
    first = Listener(mosquitto.address)
    first.wait_for("grid/status", {"evses": 2})
    first.close()
    mosquitto.kill()
    api.show("status", {"evses": 3})
    mosquitto.start()
    second = Listener(mosquitto.address)
    second.wait_for("grid/status", {"evses": 3})
    second.wait_for("grid/online", value=True)
    second.close()
    api.stop()
