"""Listens to the energy traffic of an EVerest on MQTT, without taking part in it."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import paho.mqtt.client as mqtt

from control.mqtt_api import ROOT as API_ROOT
from hil.runtime.broker import BrokerAddress
from hil.runtime.wire import ProtocolError, decode

Json = dict[str, Any]

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class EnergyMessage:
    """What a module published about energy, or limits that somebody sent to it.

    Attributes
    ----------
    module_id : str
        The module.
    kind : str
        ``energy_flow_request``, ``enforce_limits``, or ``allocation`` (of this module's MQTT API).
    data : dict
        ``EnergyFlowRequest``, ``EnforcedLimits`` or ``Allocation``.
    """

    module_id: str
    kind: str
    data: Json


class Observer:
    """Counts all messages of a run and hands on those about energy.

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
        On entering: nobody listens at the address, or does not answer.
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
        try:
            self._broker.connect(self._client)
        except OSError as error:
            raise OSError(f"broker {self._broker}: {error.strerror or error}") from error
        self._client.loop_start()
        if not self._subscribed.wait(_TIMEOUT_S):
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
        # QoS 2: what is seen is what happened, in its order
        client.subscribe([(f"{self._prefix}#", 2), (f"{API_ROOT}/+/allocation", 1)])

    def _message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        self.messages += 1
        try:
            energy = self._energy_message(message.topic, bytes(message.payload))
        except (ProtocolError, ValueError, KeyError, TypeError):
            return  # whoever it is meant for complains
        if energy:
            self._on_energy(energy)

    def _energy_message(self, topic: str, payload: bytes) -> EnergyMessage | None:
        if topic.startswith(API_ROOT):
            return EnergyMessage(topic.split("/")[-2], "allocation", json.loads(payload))
        match topic.removeprefix(self._prefix).split("/"):
            case ["modules", module_id, "impl", _, "var", "energy_flow_request" as kind]:
                return EnergyMessage(module_id, kind, decode(payload)[1]["data"])
            case ["modules", module_id, "impl", _, "cmd", "enforce_limits" as kind]:
                return EnergyMessage(module_id, kind, decode(payload)[1]["args"]["value"])
        return None
