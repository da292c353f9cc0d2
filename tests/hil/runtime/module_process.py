"""Module processes for tests: started with EVerest's environment, and killed at the end."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.patience import WITHIN_S

ROOT = Path(__file__).resolve().parents[3]


def environment(module_id: str, broker: str, prefix: str, directory: Path) -> dict[str, str]:
    """Give what the manager sets, for a module on the bench's own framework."""
    log_config = directory / "logging.cfg"
    log_config.write_text('[Core]\nFilter="%Severity% >= DEBG"\n')
    host, _, port = broker.rpartition(":")
    return {
        "EV_MODULE": module_id,
        "EV_LOG_CONF_FILE": str(log_config),
        "EV_MQTT_EVEREST_PREFIX": prefix,
        "EV_MQTT_EXTERNAL_PREFIX": "",
        "EV_MQTT_BROKER_HOST": host,
        "EV_MQTT_BROKER_PORT": port,
    }


@dataclass
class ModuleProcess:
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait(self) -> int:
        """Wait for the process to end by itself."""
        return self.process.wait(WITHIN_S)


@contextmanager
def module_process(script: Path, variables: Mapping[str, str], log_file: Path) -> Iterator[ModuleProcess]:
    everestpy = ROOT / "hil/runtime/everestpy"
    python_path = os.pathsep.join([str(everestpy), str(ROOT)])
    base = {name: value for name, value in os.environ.items() if not name.startswith("EV_")}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(script)],
            env={**base, **variables, "PYTHONPATH": python_path},
            stdout=log,
            stderr=log,
        )
    try:
        yield ModuleProcess(process, log_file)
    finally:
        process.kill()
        process.wait(WITHIN_S)
