"""The words of EVerest's wire protocol: topics, envelope and message types.

Module side and manager side share them. ``Era`` holds the one difference between the two current
generations of the protocol.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = Any
"""A value that came from, or goes to, JSON."""

QOS = 2
"""EVerest sends and subscribes everything with QoS 2."""

MODULE_SCOPE = "!module"
"""Stands for the module itself where an implementation id is expected."""


class Era(Enum):
    """Generation of the wire protocol: the message types of a configuration exchange."""

    RELEASE_2026_02 = ("GetConfig", "GetConfigResponse")
    MAIN = ("ConfigurationRequest", "ConfigurationResponse")

    @property
    def request(self) -> str:
        """Message type of a configuration request."""
        return self.value[0]

    @property
    def response(self) -> str:
        """Message type of a configuration response, and of every retained definition."""
        return self.value[1]

    @classmethod
    def of(cls, retained_interfaces: Mapping[str, Json]) -> "Era":
        """Tell the era from the envelope of the retained ``interfaces`` topic.

        Raises
        ------
        ProtocolError
            The message type belongs to neither era. A wrong guess would kill a C++ manager.
        """
        msg_type = retained_interfaces.get("msg_type")
        for era in cls:
            if era.response == msg_type:
                return era
        raise ProtocolError(f"manager speaks an unknown protocol era: msg_type {msg_type!r} on 'interfaces'")


class ProtocolError(RuntimeError):
    """A message does not follow the wire protocol."""


def encode(msg_type: str, data: Json) -> bytes:
    """Wrap ``data`` in an envelope; keys are sorted as EVerest writes them."""
    return json.dumps(
        {"msg_type": msg_type, "data": data}, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def decode(payload: bytes) -> tuple[str, Json]:
    """Unwrap an envelope into message type and data.

    Raises
    ------
    ProtocolError
        The payload is no JSON, or no envelope.
    """
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"no JSON: {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("msg_type"), str) or "data" not in message:
        raise ProtocolError("no envelope: expected an object with 'msg_type' and 'data'")
    return message["msg_type"], message["data"]


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics below one prefix.

    Attributes
    ----------
    prefix : str
        EVerest prefix with its trailing slash, e.g. ``everest/``.
    """

    prefix: str

    def top(self, name: str) -> str:
        """Topic right below the prefix: ``interfaces``, ``settings``, ``ready`` …."""
        return self.prefix + name

    @property
    def config_request(self) -> str:
        """Modules ask the manager here."""
        return f"{self.prefix}config/request"

    def interface_definition(self, name: str) -> str:
        """Retained definition of one interface; ``+`` for all."""
        return f"{self.prefix}interface_definitions/{name}"

    def type_definition(self, file: str) -> str:
        """Retained definition of one type file; ``file`` starts with a slash, as in ``/energy``."""
        return f"{self.prefix}type_definitions{file}"

    def manifest(self, module_type: str) -> str:
        """Retained manifest of one module type; ``+`` for all."""
        return f"{self.prefix}manifests/{module_type}"

    def module(self, module_id: str, leaf: str) -> str:
        """Topic of a module: ``response``, ``ready``, ``metadata``, ``config/set_request`` …."""
        return f"{self.prefix}modules/{module_id}/{leaf}"

    def implementation(self, module_id: str, implementation_id: str) -> str:
        """Root of everything one implementation sends and receives."""
        return f"{self.prefix}modules/{module_id}/impl/{implementation_id}"

    def variable(self, module_id: str, implementation_id: str, name: str) -> str:
        """Where a variable is published."""
        return f"{self.implementation(module_id, implementation_id)}/var/{name}"

    def command(self, module_id: str, implementation_id: str, name: str) -> str:
        """Where a command is called."""
        return f"{self.implementation(module_id, implementation_id)}/cmd/{name}"

    def response(self, module_id: str, implementation_id: str, name: str, caller: str) -> str:
        """Where the result of a command goes."""
        return f"{self.command(module_id, implementation_id, name)}/response/{caller}"

    def error(self, module_id: str, implementation_id: str, error_type: str) -> str:
        """Where an error of type ``namespace/Name`` is raised and cleared."""
        return f"{self.implementation(module_id, implementation_id)}/error/{error_type}"
