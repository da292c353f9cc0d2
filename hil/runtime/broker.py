"""MQTT brokers: their addresses, clients of them, and one that runs inside this process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

DEFAULT_PORT = 1883
_UNIX = "unix:"
_STOP_TIMEOUT_s = 10.0


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker listens: TCP host and port, or the path of a unix socket.

    Attributes
    ----------
    host, port
        TCP address; unused with a unix socket.
    socket_path
        Path of the unix socket; empty for TCP.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    socket_path: str = ""

    @classmethod
    def parse(cls, text: str) -> "BrokerAddress":
        """Read ``host``, ``host:port``, ``[v6 address]:port`` or ``unix:/path``.

        Raises
        ------
        ValueError
            The text is none of these.
        """
        if text.startswith(_UNIX):
            if text == _UNIX:
                raise ValueError(f"broker address {text!r}: no path after 'unix:'")
            return cls(socket_path=text.removeprefix(_UNIX))
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon:
            host, port = text, str(DEFAULT_PORT)
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"broker address {text!r}: expected host:port (port 1 to 65535) or unix:/path")
        return cls(host=host.strip("[]"), port=int(port))

    def __str__(self) -> str:
        """Write the address in the form that ``parse`` reads."""
        if self.socket_path:
            return _UNIX + self.socket_path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that tell an EVerest module where the broker is."""
        if self.socket_path:
            return {"EV_MQTT_BROKER_SOCKET_PATH": self.socket_path}
        return {"EV_MQTT_BROKER_HOST": self.host, "EV_MQTT_BROKER_PORT": str(self.port)}

    def new_client(self) -> mqtt.Client:
        """Make a client for this broker: not connected yet, random id, without Nagle's delay."""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            protocol=mqtt.MQTTv311,
            transport="unix" if self.socket_path else "tcp",
            reconnect_on_failure=False,
        )
        client.on_socket_open = _send_at_once
        return client

    def connect(self, client: mqtt.Client, keepalive_s: int = 20) -> None:
        """Connect ``client``, which must come from ``new_client``.

        Raises
        ------
        OSError
            Nobody listens there.
        """
        client.connect(self.socket_path or self.host, self.port, keepalive_s)


def _send_at_once(_client: mqtt.Client, _userdata: object, sock: object) -> None:
    # QoS 2 is four small packets a message: with Nagle's algorithm each exchange costs a delayed ACK (40 ms).
    if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def embedded_broker(host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Run an MQTT 3.1.1 broker in a thread of this process.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.

    Yields
    ------
    str
        Address ``host:port`` of the broker.

    Raises
    ------
    OSError
        The port is taken.
    """
    from hil.runtime.embedded import Started, serve  # noqa: PLC0415 (amqtt takes long to import)

    started: Future[Started] = Future()
    thread = threading.Thread(
        target=lambda: asyncio.run(serve(host, port, started)), name="mqtt-broker", daemon=True
    )
    thread.start()
    loop, stop, bound_port = started.result()
    try:
        yield str(BrokerAddress(host, bound_port))
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_STOP_TIMEOUT_s)
