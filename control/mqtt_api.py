"""State and commands over plain MQTT, for people without EVerest code. ``docs/mqtt.md`` has all topics."""

import json
import socket
import sys
import threading
from collections.abc import Callable

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from control.broker import Broker
from control.notices import Log
from control.schedules import JsonObject

ROOT = "everest_api/energy_manager"
MAX_PAYLOAD_BYTES = 64 * 1024
QOS = 1

STATES = ("allocation", "node_state", "evse/+", "node/+", "meter/+")
"""Where an instance that ran before this one may have left states of what is there no more."""

_RETAINED = "a command must not be retained, it would be carried out again whenever this module connects"


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

    Attributes
    ----------
    root : str
        What all topics of this instance begin with.
    """

    def __init__(
        self, broker: Broker, module_id: str, command: Callable[[str, object], JsonObject], log: Log
    ) -> None:
        self.root = f"{broker.prefix}{ROOT}/{module_id}"
        self._broker = broker
        self._command = command
        self._log = log
        self._lock = threading.Lock()
        """Who publishes what stays holds it: the last word is the newest."""
        self._retained: dict[str, bytes] = {}
        self._heard: dict[str, Callable[[str, bytes], None]] = {}
        self._complaint: str | None = None
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, transport="unix" if broker.socket_path else "tcp"
        )
        if broker.username:
            self._client.username_pw_set(broker.username, broker.password or None)
        if broker.is_encrypted:
            self._client.tls_set(ca_certs=str(broker.ca_file) if broker.ca_file else None)
        self._client.will_set(f"{self.root}/online", "false", QOS, retain=True)
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
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
            self._client.publish(f"{self.root}/online", "false", QOS, retain=True).wait_for_publish(1.0)
        self._client.on_disconnect = None  # meant: nothing to complain about
        self._client.disconnect()
        self._client.loop_stop()

    def hear(self, topics: str, take: Callable[[str, bytes], None]) -> None:
        """Have what is retained at topics of others handed over after each connect; call it before `start`.

        Parameters
        ----------
        topics : str
            A topic filter.
        take : callable
            Called in the thread of the connection with topic and payload.
        """
        self._heard[topics] = take

    def show(self, name: str, state: JsonObject | None) -> None:
        """Publish a state below the own root, now or as soon as the broker is there; None takes it away."""
        self.retain(f"{self.root}/{name}", state)

    def retain(self, topic: str, state: JsonObject | None) -> None:
        """Publish something that stays, anywhere."""
        payload = b"" if state is None else json.dumps(state, separators=(",", ":")).encode()
        with self._lock:
            self._retained[topic] = payload
            if self._client.is_connected():
                self._client.publish(topic, payload, QOS, retain=True)

    def _on_connect(
        self, client: mqtt.Client, _userdata: object, _flags: object, reason: ReasonCode, _: object
    ) -> None:
        if reason.is_failure:
            self._complain(f"{self._broker} refuses the connection: {reason}")
            return
        self._complaint = None
        self._log.info(f"MQTT API: connected to {self._broker}, topics {self.root}/…")
        client.subscribe([(f"{self.root}/{name}", QOS) for name in ("command/+", *STATES)])
        for topics in self._heard:
            client.subscribe(topics, QOS)
        with self._lock:
            for topic, payload in {f"{self.root}/online": b"true", **self._retained}.items():
                client.publish(topic, payload, QOS, retain=True)

    def _on_connect_fail(self, *_: object) -> None:
        self._complain(f"cannot reach {self._broker}: {sys.exception()}")

    def _on_disconnect(self, *_: object) -> None:
        if self._complaint is None:
            self._complain(f"not connected to {self._broker}")

    def _complain(self, complaint: str) -> None:
        """Say what is wrong, once, though it is tried again and again."""
        if complaint != self._complaint:
            self._complaint = complaint
            self._log.warning(f"MQTT API: {complaint}")

    def _on_message(self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if not message.topic.startswith(f"{self.root}/"):
            self._on_others(client, message)
            return
        if not message.topic.startswith(f"{self.root}/command/"):
            self._on_state(client, message)
            return
        name = message.topic.rpartition("/")[2]
        answer = (
            _rejected(f"{name}: {_RETAINED}")
            if message.retain
            else self._answer(name, bytes(message.payload))
        )
        self._client.publish(f"{self.root}/reply/{name}", json.dumps(answer), QOS)

    def _on_others(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """Hand over what was there before."""
        for topics, take in self._heard.items():
            if mqtt.topic_matches_sub(topics, message.topic):
                if message.retain:
                    take(message.topic, bytes(message.payload))
                else:  # of now: that of before has come
                    client.unsubscribe(topics)

    def _on_state(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """Take away a state of before that this instance does not have."""
        if not message.retain:  # of now: those of before have come
            client.unsubscribe([f"{self.root}/{name}" for name in STATES])
            return
        with self._lock:
            if message.topic not in self._retained:
                client.publish(message.topic, b"", QOS, retain=True)

    def _answer(self, name: str, payload: bytes) -> JsonObject:
        if len(payload) > MAX_PAYLOAD_BYTES:
            return _rejected(f"{name}: {len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
        try:
            call = msgspec.json.decode(payload)  # stricter than json.loads: no NaN, no half characters
        except (msgspec.DecodeError, RecursionError) as error:
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
