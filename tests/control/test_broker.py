"""The MQTT API finds its broker, logs in, and checks whom it talks to."""

import getpass
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.broker import Broker, BrokerError
from control.mqtt_api import MqttApi
from control.settings import Settings, SettingsError
from tests.brokers import Mosquitto, require_mosquitto
from tests.control.sample import RecordingLog

WITHIN_S = 10.0


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://house", Broker("house", 1883)),
        ("mqtt://house:1884", Broker("house", 1884)),
        ("mqtts://house", Broker("house", 8883, is_encrypted=True)),
        ("mqtt://me:p%40ss@house", Broker("house", 1883, username="me", password="p@ss")),
    ],
)
def test_addresses(url: str, broker: Broker) -> None:
    assert Broker.of_url(url) == broker


@pytest.mark.parametrize(
    "url", ["house", "http://house", "mqtt://", "mqtt://house:port", "mqtt://house/topic"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(BrokerError, match=r"expected mqtt://"):
        Broker.of_url(url)


def test_the_password_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    config = {"mqtt_broker": "mqtt://me@house", "mqtt_password_file": "password"}
    broker = Settings.from_config("grid", config, tmp_path).broker
    assert broker == Broker("house", username="me", password="secret")
    assert "secret" not in str(broker)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"mqtt_broker": "house:1883"}, "grid: mqtt_broker: expected mqtt://"),
        ({"mqtt_broker": "mqtt://house", "mqtt_password_file": "nowhere"}, "nowhere"),
        ({"mqtt_password_file": "password"}, "are for mqtt_broker: set it, too"),
        ({"mqtt_broker": "mqtt://house", "mqtt_ca_file": "ca.pem"}, "without mqtts:// nothing is encrypted"),
    ],
)
def test_settings_that_make_no_sense_are_told(config: dict[str, str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=complaint):
        Settings.from_config("grid", config, tmp_path)


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
    subprocess.run(command, check=True, capture_output=True, timeout=30)


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


@pytest.mark.mosquitto
def test_it_logs_in_over_tls(guarded: Guarded) -> None:
    url = f"mqtts://wallbox:secret@localhost:{guarded.port}"
    connect(Broker.of_url(url, ca_file=guarded.ca_file), "connected to localhost")


@pytest.mark.mosquitto
def test_a_wrong_password_is_told(guarded: Guarded) -> None:
    url = f"mqtts://wallbox:wrong@localhost:{guarded.port}"
    connect(Broker.of_url(url, ca_file=guarded.ca_file), "refuses the connection")


@pytest.mark.mosquitto
def test_a_broker_whose_certificate_nobody_signed_gets_no_password(guarded: Guarded) -> None:
    connect(Broker.of_url(f"mqtts://wallbox:secret@localhost:{guarded.port}"), "certificate")
