"""The MQTT API finds its broker, logs in, and checks whom it talks to."""

import getpass
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from control.broker import Broker
from control.mqtt_api import MqttApi
from control.site_file import SiteError, load_site
from tests.brokers import Mosquitto, require_mosquitto
from tests.control.sample import RecordingLog
from tests.patience import WITHIN_S

EVEREST = Broker("everest", 1884, prefix="left_")


def broker(directory: Path, section: str) -> Broker:
    """The broker that a site file names, on a machine with EVerest's own."""
    site_file = directory / "site.yaml"
    site_file.write_text(f"mqtt: {section}\n")
    found = load_site(site_file).broker
    assert found is not None
    return found.completed(EVEREST)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("{host: house}", Broker("house", 1883, prefix="left_")),
        ("{host: house, port: 1885}", Broker("house", 1885, prefix="left_")),
        ("{host: house, tls: true}", Broker("house", 8883, is_encrypted=True, prefix="left_")),
        ("{username: me, password: p@ss}", replace(EVEREST, username="me", password="p@ss")),
        ("{prefix: garages/left}", replace(EVEREST, prefix="garages/left/")),
    ],
)
def test_what_the_site_file_leaves_out_is_as_everest_has_it(
    section: str, expected: Broker, tmp_path: Path
) -> None:
    assert broker(tmp_path, section) == expected


def test_the_password_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    found = broker(tmp_path, "{host: house, username: me, password_file: password}")
    assert (found.username, found.password) == ("me", "secret")
    assert "secret" not in f"{found} {found!r}", "nor in any log"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("{port: 1883}", "mqtt.port: is for a broker other than EVerest's: give 'host', too"),
        ("{host: x, port: 0}", "mqtt.port: must be int >= 1, not 0"),
        ("{host: x, password: secret}", "mqtt.password: needs 'username'"),
        (
            "{host: x, username: me, password: secret, password_file: empty}",
            "mqtt.password_file: 'password' is given, too; keep one of them",
        ),
        ("{host: x, username: me, password_file: none}", "none: cannot be read: No such file or directory"),
        ("{host: x, username: me, password_file: empty}", "empty: the file is empty"),
        ("{host: x, ca_file: empty}", "mqtt.ca_file: without 'tls: true' nothing is encrypted"),
        ("{host: x, tls: true, ca_file: empty}", "empty: no certificates in PEM format"),
        ("{prefix: /garages}", "mqtt.prefix: must "),
        ("{prefix: garages/+}", "mqtt.prefix: must "),
        ("{user: me}", "mqtt.user: unknown key (did you mean 'username'?)"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(section: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(SiteError) as refused:
        broker(tmp_path, section)
    told = str(refused.value).splitlines()
    assert any(line.startswith("site.yaml:1 mqtt.") and problem in line for line in told), told
    assert "secret" not in str(refused.value)


def test_everest_tells_its_broker_and_the_begin_of_topics() -> None:
    environment = {
        "EV_MQTT_BROKER_HOST": "house",
        "EV_MQTT_BROKER_PORT": "1884",
        "EV_MQTT_EXTERNAL_PREFIX": "left_",
    }
    assert Broker.of_everest(environment) == Broker("house", 1884, prefix="left_")


class Guarded(Mosquitto):
    """A mosquitto that wants a login, over TLS."""

    def __init__(self, directory: Path) -> None:
        self.ca_file = directory / "ca.pem"
        key = directory / "key.pem"
        passwords = directory / "passwords"
        openssl = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
        run([*openssl, *name, "-keyout", str(key), "-out", str(self.ca_file)])
        passwords.touch()
        run(["mosquitto_passwd", "-b", str(passwords), "wallbox", "secret"])
        files = {
            "cafile": self.ca_file,
            "certfile": self.ca_file,
            "keyfile": key,
            "password_file": passwords,
        }
        settings = "".join(f"{name} {path}\n" for name, path in files.items())
        super().__init__(directory, f"user {getpass.getuser()}\n{settings}")
        config = self._config.read_text()
        self._config.write_text(config.replace("allow_anonymous true", "allow_anonymous false"))


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=WITHIN_S)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    require_mosquitto()
    if shutil.which("openssl") is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("needs openssl and mosquitto_passwd")
    broker = Guarded(tmp_path_factory.mktemp("guarded"))
    broker.start()
    yield broker
    broker.stop()


def connect(broker: Broker, expected: str) -> None:
    """Have the API connect, and wait for a line of the log."""
    log = RecordingLog()
    api = MqttApi(broker, "grid", lambda _name, _args: {}, log)
    api.start()
    try:
        assert log.wait_for(expected, WITHIN_S), log.lines
    finally:
        api.stop()


def of_site(directory: Path, guarded: Guarded, **more: object) -> Broker:
    section = {"host": "localhost", "port": guarded.port, "username": "wallbox", "tls": True, **more}
    return broker(directory, json.dumps(section))


@pytest.mark.mosquitto
def test_it_logs_in_over_tls(guarded: Guarded, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    files = {"password_file": "password", "ca_file": str(guarded.ca_file)}
    connect(of_site(tmp_path, guarded, **files), "connected to localhost")


@pytest.mark.mosquitto
def test_a_wrong_password_is_told(guarded: Guarded, tmp_path: Path) -> None:
    wrong = {"password": "wrong", "ca_file": str(guarded.ca_file)}
    connect(of_site(tmp_path, guarded, **wrong), "refuses the connection")


@pytest.mark.mosquitto
def test_a_broker_whose_certificate_nobody_signed_gets_no_password(guarded: Guarded, tmp_path: Path) -> None:
    connect(of_site(tmp_path, guarded, password="secret"), "certificate")
