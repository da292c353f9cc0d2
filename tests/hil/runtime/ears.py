"""A client that hears what is published under a prefix, and speaks for modules."""

import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

from hil.runtime.broker import BrokerAddress
from tests.patience import WITHIN_S


class Ear:
    """Hears what is published under a prefix."""

    def __init__(self, broker: str, prefix: str) -> None:
        self.prefix = prefix
        self.heard: queue.SimpleQueue[tuple[str, bool, Any]] = queue.SimpleQueue()
        address = BrokerAddress.parse(broker)
        self.client = address.new_client()
        done = threading.Event()
        self.client.on_message = lambda _client, _userdata, message: self.heard.put(
            (message.topic.removeprefix(prefix), message.retain, decoded(message.payload))
        )
        self.client.on_subscribe = lambda *_: done.set()
        address.connect(self.client)
        self.client.loop_start()
        self.client.subscribe(f"{prefix}#", 2)
        assert done.wait(WITHIN_S)

    def publish(self, topic: str, payload: bytes) -> None:
        self.client.publish(self.prefix + topic, payload, 2).wait_for_publish(WITHIN_S)

    def wait_for(self, topic: str, timeout_s: float = WITHIN_S) -> Any:
        """Give the payload of the next message with this topic."""
        while True:
            heard, _, payload = self.heard.get(timeout=timeout_s)
            if heard == topic:
                return payload

    def until_mark(self) -> list[str]:
        """Give the topics of all that was sent so far: a message of our own comes after it."""
        self.publish("mark", b"0")
        topics = []
        while (message := self.heard.get(timeout=WITHIN_S))[0] != "mark":
            topics.append(message[0])
        return topics

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def decoded(payload: bytes | bytearray) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return None


@contextlib.contextmanager
def listening(broker: str, prefix: str) -> Iterator[Ear]:
    ear = Ear(broker, prefix)
    try:
        yield ear
    finally:
        ear.close()


def retained(broker: str, prefix: str) -> list[str]:
    """Give the topics that are retained under a prefix."""
    with listening(broker, prefix) as ear:
        return ear.until_mark()
