"""A real mosquitto for tests: own port, own configuration, default settings."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.patience import WITHIN_S

EXECUTABLE = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """A mosquitto process that a test may kill and start again."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._config = directory / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{settings}")
        self._log = directory / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, timeout_s: float = WITHIN_S) -> None:
        assert EXECUTABLE is not None
        deadline = time.monotonic() + timeout_s
        while True:
            if self._process is None or self._process.poll() is not None:  # who has its port for a moment?
                with self._log.open("ab") as log:
                    command = [EXECUTABLE, "-c", str(self._config)]
                    self._process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    pytest.fail(f"mosquitto did not start: {self._log.read_text()}")
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(WITHIN_S)
            self._process = None

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(WITHIN_S)
            self._process = None


def require_mosquitto() -> None:
    """Skip the test where mosquitto is not installed, unless the environment insists on it."""
    if EXECUTABLE is None:
        if os.environ.get("REQUIRE_MOSQUITTO"):
            pytest.fail("mosquitto is not installed, and REQUIRE_MOSQUITTO is set")
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
