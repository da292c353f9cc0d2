"""Modules as processes: started as EVerest starts them, listened to, stopped."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hil.runtime.broker import BrokerAddress
from hil.runtime.manager.config import ModuleConfig
from hil.runtime.manager.settings import ROOT, Settings

_LAUNCH = Path(__file__).with_name("launch.py")
_LAST_LINES = 20


def environment_of(
    module: ModuleConfig, directory: Path, settings: Settings, broker: BrokerAddress
) -> dict[str, str]:
    """Give the environment of a module's process: EVerest's variables on top of ours.

    EVerest lets most variables that it finds win over its own; here the run's always do, so that what is left
    over in a shell does not lead a module to another broker.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EV_")}
    environment.pop("PYTHONHOME", None)
    environment |= broker.environment
    environment |= {
        "EV_MODULE": module.module_id,
        "EV_PREFIX": str(ROOT),
        "EV_LOG_CONF_FILE": str(settings.logging_config_file.resolve()),
        "EV_MQTT_EVEREST_PREFIX": settings.prefix,
        "EV_MQTT_EXTERNAL_PREFIX": settings.external_prefix,
        "PYTHONUNBUFFERED": "1",  # the output goes through a pipe
    }
    if settings.validate_schema:
        environment["EV_VALIDATE_SCHEMA"] = "1"
    own = [str(ROOT / "hil/runtime/everestpy"), str(ROOT)]
    environment["PYTHONPATH"] = os.pathsep.join(own + list(filter(None, [environment.get("PYTHONPATH")])))
    venv = directory / ".venv"
    if (venv / "bin/python3").exists():
        environment |= {
            "VIRTUAL_ENV": str(venv),
            "VIRTUAL_ENV_PROMPT": "venv",
            "PATH": os.pathsep.join([str(venv / "bin"), environment.get("PATH", os.defpath)]),
        }
    return environment


class ModuleProcess:
    """A running module.

    Its output goes line by line to ``output``; ``exited`` is called once it has ended and all output is read.

    Parameters
    ----------
    module
        What to start; its type has a directory.
    settings, broker
        What to tell it.
    output
        Gets each line that it writes.
    exited
        Gets this object.
    """

    def __init__(
        self,
        module: ModuleConfig,
        settings: Settings,
        broker: BrokerAddress,
        *,
        output: Callable[[str], None],
        exited: Callable[["ModuleProcess"], None],
    ) -> None:
        script = module.manifest.script
        assert script is not None, "a ProbeModule is never started"
        own_python = script.parent / ".venv/bin/python3"
        # EVerest takes python3 of the PATH; the bench's own Python has at least what the framework needs.
        python = str(own_python) if own_python.exists() else sys.executable
        self.module_id = module.module_id
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._output = output
        self._exited = exited
        self._popen = subprocess.Popen(
            [sys.executable, "-IS", str(_LAUNCH), str(os.getpid()), python, str(script)],
            env=environment_of(module, script.parent, settings, broker),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C at the terminal is for the manager alone
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {self.module_id}", daemon=True)
        self._waiter = threading.Thread(target=self._wait, name=f"exit of {self.module_id}", daemon=True)
        self._reader.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """False once it has ended and ``exited`` was called."""
        return self._waiter.is_alive()

    @property
    def exit_code(self) -> int | None:
        """How it ended, 128 + signal for a killed one; None while it runs."""
        code = self._popen.returncode
        return 128 - code if code is not None and code < 0 else code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and whatever it started."""
        if self._popen.returncode is None:
            self._signal_group(number)

    def join(self, timeout_s: float) -> bool:
        """Wait until it has ended; tell whether it has."""
        self._waiter.join(timeout_s)
        return not self._waiter.is_alive()

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # all ended already
            os.killpg(self._popen.pid, number)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            text = line.decode(errors="replace").rstrip()
            self.last_lines.append(text)
            self._output(text)

    def _wait(self) -> None:
        self._popen.wait()
        self._signal_group(signal.SIGKILL)  # what it started and left behind
        self._reader.join()
        self._exited(self)
