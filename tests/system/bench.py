"""A configuration that runs on the bench, what is seen of it on the broker, and processes to kill."""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hil.observer import EnergyMessage, Observer
from hil.runtime.broker import BrokerAddress
from hil.runtime.join import environment_of
from hil.runtime.manager import Manager
from hil.runtime.wire import Topics, encode
from tests.patience import WITHIN_S
from tests.system.limits import LimitBook, Sent, is_due

ROOT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]


class Bench:
    """A running configuration.

    Attributes
    ----------
    book : LimitBook
        Every limit that an EVSE was sent.
    seen : list of (monotonic seconds, EnergyMessage)
        All traffic about energy.
    lines : list of str
        What manager and modules logged.
    """

    def __init__(self, manager: Manager, broker: str, lines: list[str]) -> None:
        self.manager = manager
        self.lines = lines
        self.book = LimitBook()
        self.seen: list[tuple[float, EnergyMessage]] = []
        self._drawn_A: dict[str, list[tuple[float, ...]]] = {}
        self._broker = broker
        self._changed = threading.Condition()
        self._standalone: dict[str, subprocess.Popen[str]] = {}
        self._client = BrokerAddress.parse(broker).new_client()
        self._nodes = {
            module_id
            for module_id, module in manager.config.modules.items()
            if module.manifest.module_type in ("PyEnergyManager", "EnergyNode")
        }

    # -- what is seen

    def take(self, message: EnergyMessage) -> None:
        at = time.monotonic()
        with self._changed:
            self.seen.append((at, message))
            if message.kind == "energy_flow_request" and message.module_id not in self._nodes:
                self._note_draw(message)
            # Nodes on the way get the limit, too; what counts is what arrives at an EVSE.
            if message.kind == "enforce_limits" and message.module_id not in self._nodes:
                self.book.add(Sent(at, message.data))
            self._changed.notify_all()

    def _note_draw(self, message: EnergyMessage) -> None:
        if usage := message.data.get("energy_usage_root"):
            drawn = tuple(usage["current_A"][phase] for phase in ("L1", "L2", "L3"))
            self._drawn_A.setdefault(message.module_id, []).append(drawn)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        until = time.monotonic() + WITHIN_S
        with self._changed:
            while not (done := condition()) and time.monotonic() < until:
                self._changed.wait(0.5)  # what only the log tells does not wake us
        assert done, "\n".join([f"not within {WITHIN_S:g} s: {what}", *self.book.lines(), *self.lines[-15:]])

    def wait_for_limits(self, **amperes: float) -> None:
        """Wait until the newest limits of these EVSEs are these."""

        def are_in_force() -> bool:
            newest = self.book.newest_A
            return all(is_due(newest.get(evse), limit) for evse, limit in amperes.items())

        self.wait_for(are_in_force, f"limits {amperes}")

    def wait_for_story(self, *story: Mapping[str, float]) -> None:
        """Wait until the limits have been these, one after the other."""
        self.wait_for(lambda: self.book.passed_through(*story), f"limits {story}")

    def let_pass(self, seconds: float) -> None:
        """Watch for a while; the run must not end meanwhile."""
        assert self.manager.wait(seconds) is None, "\n".join(self.lines[-15:])

    def drawn_A(self, evse: str) -> list[tuple[float, ...]]:
        """Currents on L1, L2, L3 that the EVSE has measured, one after the other."""
        return self._drawn_A.get(evse, [])

    def warnings(self) -> list[str]:
        return [line for line in self.lines if "[WARN]" in line or "[ERRO" in line or "[CRIT" in line]

    # -- what is done

    def call(self, module: str, implementation: str, command: str, **args: Any) -> None:
        """Call a command as another module would, without waiting for the answer."""
        topic = Topics(self.manager.prefix).command(module, implementation, command)
        call = {"id": str(uuid.uuid4()), "args": args, "origin": "tester"}
        self._client.publish(topic, encode("Cmd", call), qos=2)

    def set_external_limit(self, module: str, value: float | None, unit: str = "A") -> None:
        """Set a limit from outside, in amperes per phase or in watts; None lifts it."""
        name = {"A": "ac_max_current_A", "W": "total_power_W"}[unit]
        limits = {name: {"value": value, "source": "tester"}}
        entry = {"timestamp": "2026-01-01T00:00:00.000Z", "limits_to_root": limits, "limits_to_leaves": {}}
        schedules = {
            "schedule_import": [] if value is None else [entry],
            "schedule_export": [],
            "schedule_setpoints": [],
        }
        self.call(module, "external_limits", "set_external_limits", value=schedules)

    def start(self, module_id: str) -> None:
        """Start a module that the configuration calls standalone."""
        script = self.manager.config.modules[module_id].manifest.script
        process = subprocess.Popen(
            [sys.executable, str(script)],
            env=environment_of(module_id, self._broker, self.manager.prefix),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._standalone[module_id] = process
        threading.Thread(target=self._read, args=(module_id, process), daemon=True).start()

    def kill(self, module_id: str) -> None:
        """Kill a module's process, as a crash or the kernel does."""
        process = self._standalone[module_id]
        process.kill()
        process.wait(WITHIN_S)

    def close(self) -> None:
        for process in self._standalone.values():
            process.kill()
            process.wait(WITHIN_S)
        self._client.disconnect()
        self._client.loop_stop()

    def connect(self) -> None:
        BrokerAddress.parse(self._broker).connect(self._client)
        self._client.loop_start()

    def _read(self, module_id: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.lines.extend(f"{module_id}: {line.rstrip()}" for line in process.stdout)


def to(module: str, implementation: str = "energy_grid") -> Json:
    """Name one end of a connection."""
    return {"module_id": module, "implementation_id": implementation}


def example(name: str, **changes: Json) -> Json:
    """Load the configuration of an example; `changes` replace values of ``config_module``, by module."""
    config: Json = yaml.safe_load((ROOT / "examples" / name / "config.yaml").read_text(encoding="utf-8"))
    for module, values in changes.items():
        config["active_modules"][module].setdefault("config_module", {}).update(values)
    return config


@contextmanager
def running(
    config: Mapping[str, Any], broker: str, directory: Path, *, is_over_when_it_ends: bool = False
) -> Iterator[Bench]:
    """Run a configuration; standalone modules are started, too.

    Parameters
    ----------
    is_over_when_it_ends : bool
        The test ends the run itself, by force.
    """
    path = directory / f"{uuid.uuid4().hex}.yaml"
    settings = {"modules_dir": str(Path(__file__).parent / "modules"), **config.get("settings", {})}
    path.write_text(yaml.safe_dump({**config, "settings": settings}))
    lines: list[str] = []
    manager = Manager(path, broker=broker, log=lines.append, retain_topics=True)
    bench = Bench(manager, broker, lines)
    try:
        bench.connect()
        with Observer(broker, manager.prefix, bench.take), manager:
            for module_id, module in manager.config.modules.items():
                if module.standalone:
                    bench.start(module_id)
            manager.wait_ready(WITHIN_S)
            yield bench
    finally:
        bench.close()
    if not is_over_when_it_ends:
        assert manager.exit_code == 0, "\n".join(lines)
