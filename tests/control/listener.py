"""A client that sees everything the MQTT API says."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.patience import WITHIN_S

ROOT = "everest_api/energy_manager/"


class Listener:
    """Keeps the newest payload of each topic, named without the API's root; None is one taken away."""

    def __init__(self, address: str) -> None:
        self._changed = threading.Condition()
        self._topics: set[str] = set()
        self.newest: dict[str, Any] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("everest_api/#", 1), ("homeassistant/#", 1)]
        )
        self._client.on_message = self._on_message
        host, _, port = address.rpartition(":")
        self._client.connect(host, int(port))
        self._client.loop_start()

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self._topics.add(message.topic)
            name = message.topic.removeprefix(ROOT)
            if "/command/" not in name:
                self.newest[name] = json.loads(message.payload) if message.payload else None
            self._changed.notify_all()

    def wait(self, condition: Callable[[Mapping[str, Any]], object]) -> None:
        """Wait until what was seen is as wanted."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.newest), WITHIN_S), self.newest

    def wait_for(self, name: str, value: Any) -> None:
        self.wait(lambda seen: seen.get(name) == value)

    def wait_for_topic(self, name: str) -> None:
        """Wait until the broker has had something on a topic."""
        with self._changed:
            assert self._changed.wait_for(lambda: f"{ROOT}{name}" in self._topics, WITHIN_S), self._topics

    def send(self, name: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(f"{ROOT}{name}", payload, 1, retain)

    def retain(self, topic: str, value: Any) -> None:
        """Publish something that stays, at any topic, and wait until the broker has it."""
        self._client.publish(topic, json.dumps(value), 1, retain=True).wait_for_publish(WITHIN_S)

    def close(self) -> None:
        """Leave nothing on the broker that another test could take for its own."""
        for topic in self._topics:
            self._client.publish(topic, b"", 1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()
