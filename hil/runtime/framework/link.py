"""The MQTT connection of a module."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hil.runtime import wire
from hil.runtime.framework.fatal import end_process, run_or_end
from hil.runtime.framework.payload import encode
from hil.runtime.framework.session import BrokerSettings
from hil.runtime.wire import Json

Receive = Callable[[str, bytes | bytearray], None]

_KEEPALIVE_s = 20
_ANSWER_TIMEOUT_s = 30.0
_TCP = (socket.AF_INET, socket.AF_INET6)
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
"""An option of Linux only."""


class Link:
    """Publishes, subscribes, and hands what arrives to ``receive``, in paho's network thread.

    Losing the broker ends the process, as in EVerest.

    Raises
    ------
    RuntimeError
        The broker can't be reached or refuses the connection.
    """

    def __init__(self, settings: BrokerSettings, receive: Receive) -> None:
        self._settings = settings
        self._receive = receive
        self._changed = threading.Condition()
        self._connection: ReasonCode | None = None
        self._awaited: dict[int, tuple[str, ...]] = {}
        """Message id and topics of each SUBSCRIBE that the broker has not answered."""
        self._refused: list[str] = []
        self._closing = False
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            protocol=settings.protocol,
            transport="unix" if settings.socket_path else "tcp",
            reconnect_on_failure=False,
        )
        # paho's 20 messages in flight stay: mosquitto drops what goes beyond its own limit of 20.
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = lambda client, *_: _acknowledge_at_once(client)
        self._client.on_message = self._on_message
        self._connect()

    def _connect(self) -> None:
        settings = self._settings
        try:
            self._client.connect(settings.socket_path or settings.host, settings.port, _KEEPALIVE_s)
        except (OSError, ValueError) as error:
            raise RuntimeError(f"cannot reach the MQTT broker at {settings.address}: {error}") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._connection is not None, _ANSWER_TIMEOUT_s)
            answer = self._connection
        if answer is None or answer.is_failure:
            self.close()
            problem = answer or "no answer"
            raise RuntimeError(
                f"the MQTT broker at {settings.address} refuses MQTT {_version(settings)}: {problem}"
            )

    def publish(self, topic: str, msg_type: str, data: Json) -> mqtt.MQTTMessageInfo:
        """Send an envelope; returns at once.

        Raises
        ------
        RuntimeError
            ``data`` has no JSON form.
        """
        return self._client.publish(topic, encode(msg_type, data), wire.QOS)

    def subscribe(self, *topics: str) -> None:
        """Subscribe to topics, without waiting for the broker: ``wait_until_subscribed`` does."""
        if not topics:
            return
        with self._changed:
            result, message_id = self._client.subscribe([(topic, wire.QOS) for topic in topics])
            if result == mqtt.MQTT_ERR_SUCCESS and message_id is not None:
                self._awaited[message_id] = topics

    def unsubscribe(self, *topics: str) -> None:
        """Stop receiving topics."""
        self._client.unsubscribe(list(topics))

    def wait_until_subscribed(self) -> None:
        """Wait for the broker's answer to every subscription so far.

        Raises
        ------
        RuntimeError
            The broker refuses one, or does not answer.
        """
        with self._changed:
            answered = self._changed.wait_for(lambda: not self._awaited, _ANSWER_TIMEOUT_s)
            missing = [*self._refused, *(topic for topics in self._awaited.values() for topic in topics)]
        if missing:
            problem = "refuses" if answered else "does not answer"
            raise RuntimeError(
                f"the MQTT broker at {self._settings.address} {problem} subscriptions: {', '.join(missing)}"
            )

    def close(self) -> None:
        """Leave the broker; the process lives on."""
        self._closing = True
        self._client.disconnect()

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        # Raising here would end paho's thread, and leave a module that hears nothing any more.
        run_or_end("the network thread", lambda: self._receive(message.topic, message.payload))

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: Any,
        _flags: object,
        answer: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            self._connection = answer
            self._changed.notify_all()
        _acknowledge_at_once(client)

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: Any,
        _flags: object,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            connected = self._connection is not None and not self._connection.is_failure
            if not connected:
                self._connection = reason
                self._changed.notify_all()
        if connected and not self._closing:
            end_process(f"Lost connection to the MQTT broker at {self._settings.address}: {reason}")

    def _on_subscribe(
        self,
        client: mqtt.Client,
        _userdata: Any,
        message_id: int,
        answers: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            topics = self._awaited.pop(message_id, ())
            self._refused += [
                topic for topic, answer in zip(topics, answers, strict=False) if answer.is_failure
            ]
            self._changed.notify_all()
        _acknowledge_at_once(client)


def _version(settings: BrokerSettings) -> str:
    return "5" if settings.protocol == mqtt.MQTTv5 else "3.1.1"


def _send_at_once(_client: mqtt.Client, _userdata: Any, sock: Any) -> None:
    # QoS 2 takes four small packets a message: Nagle's algorithm would delay each by 40 ms.
    if sock.family in _TCP:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _acknowledge_at_once(client: mqtt.Client) -> None:
    # To CONNACK, SUBACK and PUBCOMP we answer nothing. A broker with Nagle's algorithm (mosquitto's default)
    # keeps back what follows them, a retained message or the result of a command, until TCP acknowledges.
    # Linux would wait 40 ms with that: a command takes 2 ms with this, and 44 ms without.
    sock = client.socket()
    if _QUICKACK is not None and isinstance(sock, socket.socket) and sock.family in _TCP:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
