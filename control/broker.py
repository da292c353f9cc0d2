"""Where the broker of the MQTT API is, and how to log in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerError(ValueError):
    """The address of a broker is none."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Address of a broker and what is needed to use it.

    Attributes
    ----------
    host, port
        Where it listens.
    socket_path : str
        Its unix socket, which wins.
    username, password : str
        Empty is none.
    is_encrypted : bool
        By TLS; its certificate is checked.
    ca_file : Path or None
        Certificates to trust; None is those of the system.
    """

    host: str = "localhost"
    port: int = 1883
    socket_path: str = ""
    username: str = ""
    password: str = ""
    is_encrypted: bool = False
    ca_file: Path | None = None

    @classmethod
    def of_everest(cls, environment: Mapping[str, str]) -> "Broker":
        """Return the broker that EVerest gave this module."""
        return cls(
            environment.get("EV_MQTT_BROKER_HOST", "localhost"),
            int(environment.get("EV_MQTT_BROKER_PORT", "1883")),
            environment.get("EV_MQTT_BROKER_SOCKET_PATH", ""),
        )

    @classmethod
    def of_url(cls, url: str, password_file: Path | None = None, ca_file: Path | None = None) -> "Broker":
        """Read ``mqtt[s]://[user[:password]@]host[:port]``.

        Raises
        ------
        BrokerError
            It is no such address, or a file cannot be read. The message has no password in it.
        """
        wanted = "expected mqtt://[user[:password]@]host[:port], or mqtts:// for TLS"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BrokerError(f"{wanted}: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise BrokerError(wanted)
        is_encrypted = parts.scheme == "mqtts"
        if ca_file is not None and not is_encrypted:
            raise BrokerError("certificates to trust are given, but without mqtts:// nothing is encrypted")
        try:
            password = (
                password_file.read_text().rstrip("\r\n") if password_file else unquote(parts.password or "")
            )
            if ca_file is not None:
                ca_file.read_bytes()
        except (OSError, UnicodeDecodeError) as error:
            raise BrokerError(str(error)) from error
        return cls(
            parts.hostname,
            port or _PORTS[parts.scheme],
            username=unquote(parts.username or ""),
            password=password,
            is_encrypted=is_encrypted,
            ca_file=ca_file,
        )

    def __str__(self) -> str:
        """Write it for a log line, without secrets."""
        return self.socket_path or f"{self.host}:{self.port}"
