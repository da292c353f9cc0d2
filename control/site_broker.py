"""The ``mqtt`` section of the site file: what can be wrong with it, and the broker that it comes to."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from bsp.yaml_file import Key
from control.broker import PORT, PORT_TLS, Broker
from control.site_sections import MqttSection

_OWN_ONLY = "is for a broker other than EVerest's: give 'host', too"


class BrokerReader:
    """Reads the section, and the files that it names.

    Parameters
    ----------
    section : MqttSection
        As written.
    directory : Path
        Where relative paths begin.
    """

    def __init__(self, section: MqttSection, directory: Path) -> None:
        self._section = section
        self._ca_file = directory / section.ca_file if section.ca_file is not None else None
        self._password_file = directory / section.password_file if section.password_file is not None else None
        self._password = section.password or ""

    def problems(self) -> Iterator[tuple[Key, str]]:
        """Yield what is wrong, as key within the section and reason; no reason has a password in it."""
        section = self._section
        if section.host is None:
            yield from (((name,), _OWN_ONLY) for name in ("port", "tls") if getattr(section, name))
        if section.username is None:
            secrets = ("password", "password_file")
            yield from (((name,), "needs 'username'") for name in secrets if getattr(section, name))
        if section.password is not None and section.password_file is not None:
            yield ("password_file",), "'password' is given, too; keep one of them"
        if section.ca_file is not None and not section.tls:
            yield ("ca_file",), "without 'tls: true' nothing is encrypted"
        yield from _unreadable("password_file", self._password_file, self._read_password)
        yield from _unreadable("ca_file", self._ca_file, _load_certificates)

    def broker(self) -> Broker:
        """Return the broker; without ``host`` where the section names none."""
        section = self._section
        return Broker(
            section.host or "",
            section.port or (PORT_TLS if section.tls else PORT),
            username=section.username or "",
            password=self._password,
            is_encrypted=section.tls,
            ca_file=self._ca_file,
            prefix=f"{section.prefix}/" if section.prefix else "",
        )

    def _read_password(self, path: Path) -> None:
        self._password = path.read_text(encoding="utf-8").rstrip("\r\n")
        if not self._password:
            raise ValueError("the file is empty")


def _load_certificates(path: Path) -> None:
    path.read_bytes()  # tells what is wrong with the file better than the next line
    ssl.create_default_context(cafile=path)


def _unreadable(name: str, path: Path | None, read: Callable[[Path], None]) -> Iterator[tuple[Key, str]]:
    if path is None:
        return
    try:
        read(path)
    except ssl.SSLError:
        yield (name,), f"{path}: no certificates in PEM format"
    except OSError as error:
        yield (name,), f"{path}: cannot be read: {error.strerror}"
    except ValueError as error:
        yield (name,), f"{path}: {error}"
