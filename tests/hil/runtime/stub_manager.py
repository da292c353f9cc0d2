"""A manager reduced to what a module sees of it: retained definitions, configuration answers, ready."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from hil.runtime.framework import link
from hil.runtime.wire import QOS, Era, Json, Topics
from tests.patience import WITHIN_S

SETTINGS = {
    "prefix": "/opt/everest",
    "etc_dir": "/opt/everest/etc/everest",
    "data_dir": "/opt/everest/share/everest",
    "modules_dir": "/opt/everest/libexec/everest/modules",
    "telemetry_prefix": "everest-telemetry/",
    "telemetry_enabled": False,
    "validate_schema": False,
    "forward_exceptions": False,
}


@dataclass(frozen=True)
class Message:
    topic: str
    payload: Json
    retain: bool
    qos: int

    @property
    def data(self) -> Json:
        return self.payload["data"]


class StubManager:
    """Plays the manager, and every other module, on a real broker.

    ``retained`` has the data of each retained topic, without the prefix; ``configs`` what each module gets.
    """

    def __init__(
        self,
        broker: str,
        prefix: str,
        retained: Mapping[str, Json],
        configs: Mapping[str, Json],
        era: Era = Era.MAIN,
    ) -> None:
        self.prefix = prefix
        self.topics = Topics(prefix)
        self.era = era
        self.messages: list[Message] = []
        self.answer_config: Callable[[str], Json] = lambda origin: configs[origin]
        self._retained = retained
        self._arrived = threading.Condition()
        self._subscribed = threading.Event()
        host, _, port = broker.rpartition(":")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        # Without this each exchange with mosquitto takes 40 ms, as in the module's own connection.
        self._client.on_socket_open = link._send_at_once
        self._client.on_publish = lambda client, *_: link._acknowledge_at_once(client)
        self._client.on_message = self._receive
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(host, int(port))
        self._client.loop_start()
        self._client.subscribe(prefix + "#", QOS)
        assert self._subscribed.wait(WITHIN_S)
        for topic, data in retained.items():
            self.send(topic, era.response, data, retain=True)
        self.wait_for(lambda message: message.topic == prefix + list(retained)[-1] if retained else True)

    def send(self, topic: str, msg_type: str, data: Json, *, retain: bool = False) -> None:
        self.send_raw(topic, json.dumps({"msg_type": msg_type, "data": data}).encode(), retain=retain)

    def send_raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(self.prefix + topic, payload, QOS, retain)

    def go(self) -> None:
        """Clear what is retained, as the manager does, and let all modules start."""
        self.clear()
        self.send("ready", "GlobalReady", data=True)

    def clear(self) -> None:
        for topic in self._retained:
            self._client.publish(self.prefix + topic, b"", 0, retain=True)

    def close(self) -> None:
        self.clear()
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for(self, matches: Callable[[Message], bool], count: int = 1) -> Message:
        """Wait for the ``count``-th message that matches."""
        found: list[Message] = []

        def is_there() -> bool:
            found[:] = [message for message in self.messages if matches(message)]
            return len(found) >= count

        with self._arrived:
            assert self._arrived.wait_for(is_there, WITHIN_S), f"only {len(found)} of {count} messages came"
        return found[count - 1]

    def wait_for_topic(self, topic: str, count: int = 1) -> Message:
        return self.wait_for(lambda message: message.topic == self.prefix + topic, count)

    def wait_until_ready(self, module_id: str) -> None:
        self.wait_for_topic(f"modules/{module_id}/ready")

    def on_topic(self, topic: str) -> list[Message]:
        with self._arrived:
            return [message for message in self.messages if message.topic == self.prefix + topic]

    def call(self, topic: str, args: Json, call_id: str, origin: str = "caller") -> Json:
        """Call a command as another module, and return what the provider answers."""
        self.send(topic, "Cmd", {"id": call_id, "args": args, "origin": origin})
        answer = self.wait_for(
            lambda message: (
                message.topic == f"{self.prefix}{topic}/response/{origin}"
                and message.data["data"]["id"] == call_id
            )
        )
        assert answer.payload["msg_type"] == "CmdResult"
        assert answer.data["type"] == "result"
        return answer.data["data"]

    def _receive(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            payload: Json = json.loads(message.payload)
        except (ValueError, RecursionError):
            payload = None
        with self._arrived:
            self.messages.append(Message(message.topic, payload, message.retain, message.qos))
            self._arrived.notify_all()
        if message.topic == self.topics.config_request and payload["msg_type"] == self.era.request:
            self._answer(payload["data"])

    def _answer(self, request: Json) -> None:
        if request["type"] == "Get" and request["request"]["type"] == "Module":
            origin = request["origin"]
            answer = self.answer_config(origin)
            if answer is not None:
                self.send(f"modules/{origin}/response", self.era.response, answer)


def module_answer(
    module_id: str,
    module_type: str,
    parameters: Json,
    connections: Mapping[str, list[tuple[str, str]]],
    mapping: Json = None,
) -> Json:
    """Answer to the configuration request of a module, as the real manager writes it."""
    return {
        "status": "Ok",
        "status_info": "",
        "type": "Get",
        "response": {
            "type": "Module",
            "data": {
                "mappings": {module_id: mapping},
                "module_config": {
                    "access": None,
                    "configuration_parameters": parameters,
                    "connections": {
                        requirement: [
                            {
                                "module_id": target,
                                "implementation_id": impl,
                                "requirement": {"id": requirement},
                            }
                            for target, impl in targets
                        ]
                        for requirement, targets in connections.items()
                    },
                    "mapping": mapping,
                    "module_id": module_id,
                    "module_name": module_type,
                    "standalone": False,
                    "telemetry_enabled": False,
                },
            },
        },
    }
