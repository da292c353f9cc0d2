"""State and commands over plain MQTT, for people without EVerest code.

Topics, below ``everest_api/energy_manager/<module id>/``:

``online``
    ``true`` or ``false``, retained.
``status``, ``allocation``, ``node_state``
    JSON as the types of these variables of the interface ``energy_manager_control``; retained, published on
    change and at most once a second.
``command/<name>``
    Takes ``{"id": …, "args": {…}}`` with the arguments of that interface; the id is optional.
``reply/<name>``
    The ``Answer``, with the id of the command.
"""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from control.notices import Log
from control.schedules import JsonObject

ROOT = "everest_api/energy_manager"
MAX_PAYLOAD_BYTES = 64 * 1024
QOS = 1


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker listens; a path of a unix socket wins."""

    host: str = "localhost"
    port: int = 1883
    socket_path: str = ""

    @classmethod
    def of_everest(cls, environment: Mapping[str, str]) -> "Broker":
        """Return the broker that EVerest gave this module."""
        return cls(
            environment.get("EV_MQTT_BROKER_HOST", "localhost"),
            int(environment.get("EV_MQTT_BROKER_PORT", "1883")),
            environment.get("EV_MQTT_BROKER_SOCKET_PATH", ""),
        )

    def __str__(self) -> str:
        """Write it for a log line."""
        return self.socket_path or f"{self.host}:{self.port}"


class MqttApi:
    """The connection of one module instance. A broker that is away stops nothing; it is found again.

    Parameters
    ----------
    broker : Broker
        Where to connect.
    module_id : str
        Part of the topics.
    command : callable
        Carries out a command by name and arguments, and returns its ``Answer``.
    log : Log
        Told when the broker comes and goes.
    """

    def __init__(
        self, broker: Broker, module_id: str, command: Callable[[str, object], JsonObject], log: Log
    ) -> None:
        self._broker = broker
        self._root = f"{ROOT}/{module_id}"
        self._command = command
        self._log = log
        self._lock = threading.Lock()
        self._shown: dict[str, bytes] = {}
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, transport="unix" if broker.socket_path else "tcp"
        )
        self._client.will_set(f"{self._root}/online", "false", QOS, retain=True)
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 10)

    def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._client.connect_async(self._broker.socket_path or self._broker.host, self._broker.port)
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye and disconnect."""
        if self._client.is_connected():
            self._client.publish(f"{self._root}/online", "false", QOS, retain=True).wait_for_publish(1.0)
        self._client.disconnect()
        self._client.loop_stop()

    def show(self, name: str, state: JsonObject) -> None:
        """Publish a state, now or as soon as the broker is there."""
        payload = json.dumps(state, separators=(",", ":")).encode()
        with self._lock:
            self._shown[name] = payload
        if self._client.is_connected():
            self._publish(name, payload)

    def _publish(self, name: str, payload: bytes) -> None:
        self._client.publish(f"{self._root}/{name}", payload, QOS, retain=True)

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        self._log.info(f"MQTT API: connected to {self._broker}, topics {self._root}/…")
        client.subscribe(f"{self._root}/command/+", QOS)
        with self._lock:
            shown = dict(self._shown)
        for name, payload in {"online": b"true", **shown}.items():
            self._publish(name, payload)

    def _on_disconnect(self, *_: object) -> None:
        self._log.warning(f"MQTT API: not connected to {self._broker}")

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        name = message.topic.rpartition("/")[2]
        answer = self._answer(name, bytes(message.payload))
        self._client.publish(f"{self._root}/reply/{name}", json.dumps(answer), QOS)

    def _answer(self, name: str, payload: bytes) -> JsonObject:
        if len(payload) > MAX_PAYLOAD_BYTES:
            return _rejected(f"{name}: {len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
        try:
            call = json.loads(payload)
        except (ValueError, RecursionError) as error:
            return _rejected(f"{name}: no JSON: {error}")
        if not isinstance(call, dict) or not call.keys() <= {"id", "args"}:
            return _rejected(f"{name}: expected an object with args, and an id if wanted")
        answer = self._command(name, call.get("args", {}))
        return {**answer, "id": call["id"]} if "id" in call else answer


def _send_at_once(_client: mqtt.Client, _userdata: object, sock: object) -> None:
    """Without Nagle's delay, which costs 40 ms for each message."""
    if isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _rejected(message: str) -> JsonObject:
    return {"status": "Rejected", "message": message}
