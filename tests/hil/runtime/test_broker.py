"""What the runtime needs of a broker, on the embedded one and on mosquitto."""

import getpass
import queue
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from hil.runtime.broker import BrokerAddress, embedded_broker
from tests.brokers import Mosquitto, require_mosquitto
from tests.patience import WITHIN_S

Connect = Callable[[], mqtt.Client]


@pytest.fixture
def connect(broker: str) -> Iterator[Connect]:
    address = BrokerAddress.parse(broker)
    clients: list[mqtt.Client] = []

    def connected_client() -> mqtt.Client:
        client = address.new_client()
        done = threading.Event()
        client.on_connect = lambda *_: done.set()
        address.connect(client)
        client.loop_start()
        assert done.wait(WITHIN_S)
        clients.append(client)
        return client

    yield connected_client
    for client in clients:
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def topic() -> str:
    return f"test_{uuid.uuid4().hex}"


def subscribe(client: mqtt.Client, topic_filter: str) -> "queue.SimpleQueue[mqtt.MQTTMessage]":
    inbox: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
    done = threading.Event()
    client.on_message = lambda _client, _userdata, message: inbox.put(message)
    client.on_subscribe = lambda *_: done.set()
    client.subscribe(topic_filter, 2)
    assert done.wait(WITHIN_S)
    return inbox


def publish(client: mqtt.Client, topic: str, payload: bytes, *, qos: int = 2, retain: bool = False) -> None:
    client.publish(topic, payload, qos, retain).wait_for_publish(5)


def test_messages_of_qos_2_arrive_once_and_in_order(connect: Connect, topic: str) -> None:
    inbox = subscribe(connect(), topic)
    sender = connect()
    for number in range(500):
        sender.publish(topic, str(number), 2)
    received = [inbox.get(timeout=WITHIN_S) for _ in range(500)]
    assert [int(message.payload) for message in received] == list(range(500))
    assert {message.qos for message in received} == {2}
    assert not any(message.retain for message in received)


def test_a_retained_message_reaches_a_later_subscriber_until_it_is_cleared(
    connect: Connect, topic: str
) -> None:
    sender = connect()
    publish(sender, f"{topic}/a", b"kept", retain=True)
    message = subscribe(connect(), f"{topic}/#").get(timeout=WITHIN_S)
    assert (message.payload, message.retain, message.qos) == (b"kept", True, 2)

    publish(sender, f"{topic}/a", b"", qos=0, retain=True)
    publish(sender, f"{topic}/b", b"mark", retain=True)  # same connection: comes after the clearing
    assert subscribe(connect(), f"{topic}/#").get(timeout=WITHIN_S).payload == b"mark"


def test_wildcards_reach_only_what_they_match(connect: Connect, topic: str) -> None:
    inbox = subscribe(connect(), f"{topic}/+/ready")
    sender = connect()
    publish(sender, f"{topic}/a/var", b"no")
    publish(sender, f"{topic}/a/b/ready", b"no")
    publish(sender, f"{topic}/a/ready", b"yes")
    assert inbox.get(timeout=WITHIN_S).topic == f"{topic}/a/ready"


def test_a_new_client_gets_nothing_that_only_others_subscribed_to(connect: Connect, topic: str) -> None:
    publish(connect(), f"{topic}/a", b"retained", retain=True)
    assert subscribe(connect(), f"{topic}/a").get(timeout=WITHIN_S).payload == b"retained"
    newcomer = connect()
    inbox = subscribe(newcomer, f"{topic}/b")
    publish(newcomer, f"{topic}/b", b"mark")
    assert inbox.get(timeout=WITHIN_S).payload == b"mark"


def test_a_message_of_a_megabyte_passes(connect: Connect, topic: str) -> None:
    inbox = subscribe(connect(), topic)
    publish(connect(), topic, bytes(1_000_000))
    assert len(inbox.get(timeout=WITHIN_S).payload) == 1_000_000


def test_the_embedded_broker_answers_without_nagles_delay(topic: str) -> None:
    with embedded_broker() as text:
        address = BrokerAddress.parse(text)
        client = address.new_client()
        address.connect(client)
        client.loop_start()
        inbox = subscribe(client, topic)

        def trip_s() -> float:
            began = time.monotonic()
            client.publish(topic, b"x", 2)
            inbox.get(timeout=WITHIN_S)
            return time.monotonic() - began

        # One delayed acknowledgement alone takes 0.04 s; without, even a busy machine is quick at times.
        deadline = time.monotonic() + WITHIN_S
        while statistics.median(trip_s() for _ in range(20)) > 0.03:
            assert time.monotonic() < deadline
        client.disconnect()
        client.loop_stop()


def test_the_embedded_broker_stops_with_clients_connected_and_frees_its_port() -> None:
    threads_before = set(threading.enumerate())
    with embedded_broker() as text:
        address = BrokerAddress.parse(text)
        client = address.new_client()
        gone = threading.Event()
        client.on_disconnect = lambda *_: gone.set()
        address.connect(client)
        client.loop_start()
        subscribe(client, "anything")
    assert gone.wait(WITHIN_S)
    client.loop_stop()
    assert set(threading.enumerate()) <= threads_before
    with embedded_broker(port=address.port) as again:
        assert again == text


def test_a_taken_port_is_an_error_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with (
            pytest.raises(OSError, match="address already in use"),
            embedded_broker(port=taken.getsockname()[1]),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:1884", BrokerAddress("localhost", 1884)),
        ("charger.local", BrokerAddress("charger.local", 1883)),
        ("[::1]:1883", BrokerAddress("::1", 1883)),
        ("unix:/run/mosquitto.sock", BrokerAddress(socket_path="/run/mosquitto.sock")),
    ],
)
def test_addresses(text: str, address: BrokerAddress) -> None:
    assert BrokerAddress.parse(text) == address
    assert BrokerAddress.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", ":1883", "host:", "host:port", "host:70000", "host:0", "unix:"])
def test_what_is_no_address_is_refused_with_the_text_and_the_form_expected(text: str) -> None:
    with pytest.raises(ValueError, match=f"broker address '{text}'"):
        BrokerAddress.parse(text)


def test_the_environment_that_tells_a_module_where_the_broker_is() -> None:
    assert BrokerAddress("h", 1).environment == {"EV_MQTT_BROKER_HOST": "h", "EV_MQTT_BROKER_PORT": "1"}
    assert BrokerAddress(socket_path="/s").environment == {"EV_MQTT_BROKER_SOCKET_PATH": "/s"}


@pytest.mark.mosquitto
def test_a_broker_at_a_unix_socket(tmp_path: Path) -> None:
    require_mosquitto()
    path = tmp_path / "mosquitto.sock"
    # Started by root it would become another user, who may not write here.
    process = Mosquitto(tmp_path, f"listener 0 {path}\nuser {getpass.getuser()}\n")
    process.start()
    address = BrokerAddress.parse(f"unix:{path}")
    client = address.new_client()
    address.connect(client)
    client.loop_start()
    inbox = subscribe(client, "topic")
    publish(client, "topic", b"payload")
    assert inbox.get(timeout=WITHIN_S).payload == b"payload"
    client.disconnect()
    client.loop_stop()
    process.stop()
