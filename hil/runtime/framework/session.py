"""Where the broker is and what this module is called, from the environment that the manager sets."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTProtocolVersion

from hil.runtime.framework import log

_DEFAULT_PORT = 1883
_DEFAULT_PREFIX = "everest"
_PROTOCOLS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is and how to speak to it.

    Attributes
    ----------
    host, port
        TCP address, used without ``socket_path``.
    socket_path
        Path of a unix socket; wins over host and port.
    prefix
        EVerest prefix with its trailing slash.
    protocol
        MQTT version. EVerest uses nothing that only MQTT 5 has, and every broker speaks 3.1.1: the default.
    """

    host: str = "localhost"
    port: int = _DEFAULT_PORT
    socket_path: str = ""
    prefix: str = _DEFAULT_PREFIX + "/"
    protocol: MQTTProtocolVersion = mqtt.MQTTv311

    @property
    def address(self) -> str:
        """Address for messages."""
        return self.socket_path or f"{self.host}:{self.port}"


class RuntimeSession:
    """Settings of the runtime that this process belongs to.

    ``RuntimeSession()`` reads the environment: ``EV_MODULE``, ``EV_LOG_CONF_FILE`` (must exist),
    ``EV_MQTT_BROKER_SOCKET_PATH`` or ``EV_MQTT_BROKER_HOST`` and ``EV_MQTT_BROKER_PORT``,
    ``EV_MQTT_EVEREST_PREFIX``; and, beyond everestpy, ``EV_MQTT_PROTOCOL`` (``3.1.1`` or ``5``).
    ``RuntimeSession(prefix, config_file)`` is everestpy's old form: it takes the broker from the ``settings``
    of an EVerest config file.

    Raises
    ------
    RuntimeError
        A variable is missing or wrong, or a file does not exist.
    """

    def __init__(self, prefix: str | None = None, config_file: str | None = None) -> None:
        if config_file is not None:
            log.warning(
                f"RuntimeSession({prefix!r}, …) is the old form: set EV_MQTT_*, call RuntimeSession()"
            )
            self.broker = _broker_of_config(Path(config_file))
            return
        module_id = required_variable("EV_MODULE")
        log_config = Path(required_variable("EV_LOG_CONF_FILE"))
        if not log_config.is_file():
            raise RuntimeError(
                f"Default logging config file '{log_config}' does not exist (EV_LOG_CONF_FILE)"
            )
        log.configure(log_config, module_id)
        self.broker = _broker_of_environment()


def required_variable(name: str) -> str:
    """Read an environment variable.

    Raises
    ------
    RuntimeError
        It is not set.
    """
    try:
        return os.environ[name]
    except KeyError:
        raise RuntimeError(f"{name} needed for everestpy") from None


def _broker_of_environment() -> BrokerSettings:
    prefix = with_slash(os.environ.get("EV_MQTT_EVEREST_PREFIX", _DEFAULT_PREFIX))
    protocol = _protocol(os.environ.get("EV_MQTT_PROTOCOL", "3.1.1"))
    if socket_path := os.environ.get("EV_MQTT_BROKER_SOCKET_PATH"):
        return BrokerSettings(socket_path=socket_path, prefix=prefix, protocol=protocol)
    host, port = os.environ.get("EV_MQTT_BROKER_HOST"), os.environ.get("EV_MQTT_BROKER_PORT")
    if not host or not port:
        raise RuntimeError(
            "If EV_MQTT_BROKER_SOCKET_PATH is not set EV_MQTT_BROKER_HOST and EV_MQTT_BROKER_PORT "
            "are needed for everestpy"
        )
    return BrokerSettings(host=host, port=_port(port), prefix=prefix, protocol=protocol)


def _broker_of_config(config_file: Path) -> BrokerSettings:
    import yaml  # noqa: PLC0415 - only the old form needs it, a module on another computer does without

    try:
        config: Any = yaml.safe_load(config_file.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise RuntimeError(f"{config_file}: {error}") from error
    settings = config.get("settings") or {}
    return BrokerSettings(
        host=os.environ.get("MQTT_SERVER_ADDRESS", settings.get("mqtt_broker_host", "localhost")),
        port=_port(str(os.environ.get("MQTT_SERVER_PORT", settings.get("mqtt_broker_port", _DEFAULT_PORT)))),
        socket_path=settings.get("mqtt_broker_socket_path", ""),
        prefix=with_slash(settings.get("mqtt_everest_prefix", _DEFAULT_PREFIX)),
    )


def _port(text: str) -> int:
    if text.isdecimal():
        return int(text)
    log.warning(f"Could not parse MQTT broker port {text!r}, using default: {_DEFAULT_PORT}")
    return _DEFAULT_PORT


def _protocol(text: str) -> MQTTProtocolVersion:
    try:
        return _PROTOCOLS[text]
    except KeyError:
        raise RuntimeError(f"EV_MQTT_PROTOCOL={text}: unknown, known: {', '.join(_PROTOCOLS)}") from None


def with_slash(prefix: str) -> str:
    """Give a prefix its trailing slash, as EVerest's C++ modules do; without one no topic would match."""
    return prefix if prefix.endswith("/") else prefix + "/"
