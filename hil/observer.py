"""Listens to the energy traffic of an EVerest on MQTT, without taking part in it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import paho.mqtt.client as mqtt

from hil.runtime.broker import BrokerAddress
from hil.runtime.wire import ProtocolError, decode

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EnergyMessage:
    """A request that a module published, or limits that somebody sent to it.

    Attributes
    ----------
    module_id : str
        The module of the tree.
    kind : str
        ``energy_flow_request`` or ``enforce_limits``.
    data : dict
        ``EnergyFlowRequest`` or ``EnforcedLimits``.
    """

    module_id: str
    kind: str
    data: Json


class Observer:
    """Counts all messages below a prefix and hands on the energy ones.

    Parameters
    ----------
    address : str
        Broker, as ``host:port`` or ``unix:/path``.
    prefix : str
        EVerest prefix with its trailing slash.
    on_energy : callable
        Gets each `EnergyMessage`, in the observer's own thread.

    Raises
    ------
    OSError
        On entering: nobody listens at the address.
    """

    def __init__(self, address: str, prefix: str, on_energy: Callable[[EnergyMessage], None]) -> None:
        self.messages = 0
        self._prefix = prefix
        self._on_energy = on_energy
        self._subscribed = threading.Event()
        self._broker = BrokerAddress.parse(address)
        self._client = self._broker.new_client()
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._message

    def __enter__(self) -> "Observer":
        self._broker.connect(self._client)
        self._client.loop_start()
        if not self._subscribed.wait(10.0):
            raise TimeoutError(f"broker {self._broker} does not answer")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(f"{self._prefix}#", qos=2)  # QoS 2: what is seen is what happened, in its order

    def _message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        self.messages += 1
        parts = message.topic.removeprefix(self._prefix).split("/")
        match parts:
            case ["modules", module_id, "impl", _, "var", "energy_flow_request" as kind]:
                pass
            case ["modules", module_id, "impl", _, "cmd", "enforce_limits" as kind]:
                pass
            case _:
                return
        try:
            _, data = decode(bytes(message.payload))
            inner = data["data"] if kind == "energy_flow_request" else data["args"]["value"]
        except (ProtocolError, KeyError, TypeError):
            return  # whoever it is meant for complains
        self._on_energy(EnergyMessage(module_id, kind, inner))
