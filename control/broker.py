"""Where the broker of the MQTT API is, and how to log in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

PORT = 1883
PORT_TLS = 8883


@dataclass(frozen=True, slots=True)
class Broker:
    """Address of a broker and what is needed to use it.

    Attributes
    ----------
    host, port
        Where it listens; without a host it is EVerest's own.
    socket_path : str
        Its unix socket, which wins.
    username, password : str
        Empty is none.
    is_encrypted : bool
        By TLS; its certificate is checked.
    ca_file : Path or None
        Certificates to trust; None is those of the system.
    prefix : str
        What all topics begin with.
    """

    host: str = "localhost"
    port: int = PORT
    socket_path: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    is_encrypted: bool = False
    ca_file: Path | None = None
    prefix: str = ""

    @classmethod
    def of_everest(cls, environment: Mapping[str, str]) -> "Broker":
        """Return the broker that EVerest gave this module."""
        return cls(
            environment.get("EV_MQTT_BROKER_HOST", "localhost"),
            int(environment.get("EV_MQTT_BROKER_PORT", PORT)),
            environment.get("EV_MQTT_BROKER_SOCKET_PATH", ""),
            prefix=environment.get("EV_MQTT_EXTERNAL_PREFIX", ""),
        )

    def completed(self, everest: "Broker") -> "Broker":
        """Return it with address and prefix of EVerest's own, as far as it has none."""
        own = replace(self, prefix=self.prefix or everest.prefix)
        if self.host:
            return own
        return replace(own, host=everest.host, port=everest.port, socket_path=everest.socket_path)

    def __str__(self) -> str:
        """Write it for a log line, without secrets."""
        return self.socket_path or f"{self.host}:{self.port}"
