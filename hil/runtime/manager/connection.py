"""The manager's connection to the broker."""

import threading
from collections.abc import Callable, Collection

import paho.mqtt.client as mqtt

from hil.runtime.broker import BrokerAddress
from hil.runtime.manager.problems import RunError
from hil.runtime.wire import QOS

_TIMEOUT_s = 30.0


class Connection:
    """Publishes, and hands what arrives to callbacks that run in the connection's own thread.

    Parameters
    ----------
    address
        The broker.
    received
        Gets topic and payload of each message.
    lost
        Called once if the broker goes away.
    """

    def __init__(
        self, address: BrokerAddress, received: Callable[[str, bytes], None], lost: Callable[[], None]
    ) -> None:
        self._address = address
        self._client = address.new_client()
        self._client.on_message = lambda _client, _userdata, message: received(
            message.topic, bytes(message.payload)
        )
        self._lost = lost
        self._closing = False
        self._gone = False
        self._told = threading.Event()
        self._subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_unsubscribe = lambda *_: self._told.set()

    @property
    def alive(self) -> bool:
        """False once the broker has gone."""
        return self._client.is_connected()

    def still_there(self) -> bool:
        """Tell whether the broker answers; this end may not have noticed yet that it has gone."""
        self._told.clear()
        if not self._gone:
            self._client.unsubscribe("nothing")  # of all questions to a broker the one without effect
            self._told.wait(_TIMEOUT_s)
        return not self._gone

    def open(self, topic_filters: Collection[str]) -> None:
        """Connect and subscribe.

        Raises
        ------
        RunError
            The broker does not answer.
        """
        connected = threading.Event()
        self._client.on_connect = lambda *_: connected.set()
        try:
            self._address.connect(self._client)
        except OSError as error:
            raise RunError(
                f"no broker at {self._address}: {error.strerror or error}; start one there"
            ) from error
        self._client.on_disconnect = self._on_disconnect
        self._client.loop_start()
        if not connected.wait(_TIMEOUT_s) or not self._client.is_connected():
            raise RunError(f"broker {self._address} does not let us in")
        self._client.subscribe([(topic_filter, QOS) for topic_filter in topic_filters])
        if not self._subscribed.wait(_TIMEOUT_s):
            raise RunError(f"broker {self._address} does not answer a subscription")

    def close(self) -> None:
        """Disconnect; ``lost`` is not called."""
        self._closing = True
        self._client.disconnect()
        self._client.loop_stop()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, qos: int = QOS
    ) -> mqtt.MQTTMessageInfo:
        """Send a message, without waiting for it to arrive."""
        return self._client.publish(topic, payload, qos, retain)

    def publish_and_wait(
        self, messages: Collection[tuple[str, bytes]], *, retain: bool, qos: int = QOS
    ) -> None:
        """Send messages and wait until the broker has them all.

        Raises
        ------
        RunError
            It has not.
        """
        sent = [self.publish(topic, payload, retain=retain, qos=qos) for topic, payload in messages]
        try:
            for info in sent:
                info.wait_for_publish(_TIMEOUT_s)
        except (RuntimeError, ValueError) as error:
            raise RunError(f"broker {self._address} does not take messages: {error}") from error
        if not all(info.is_published() for info in sent):
            raise RunError(f"broker {self._address} does not confirm messages")

    def _on_disconnect(self, *_: object) -> None:
        self._gone = True
        self._told.set()
        if not self._closing:
            self._lost()
