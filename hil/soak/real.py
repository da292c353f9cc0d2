"""Soaking in real time: module, EVSEs and broker are processes and get killed, devices on real lines fail."""

import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from energy_management.measurement import Vector3
from hil.demo.files import EVEREST_EVSES, MANAGER, Links, example_site, write_files
from hil.demo.installation import ARRIVALS, Installation
from hil.demo.ledger import NONE, Ledger
from hil.devices.line import Faults
from hil.observer import Observer
from hil.plant import Car
from hil.runtime.manager import Manager

READY_WITHIN_S = 120.0
RECOVERS_WITHIN_S = 180.0
"""How long it may take after a kill until all cars charge: watchdogs and back-offs have to end first."""
CHARGES_A = 5.0
_BROKER = """
import logging, sys, threading
logging.disable(logging.ERROR)  # who looks whether it listens says nothing to it
from hil.runtime.broker import embedded_broker
with embedded_broker(port=int(sys.argv[1])):
    threading.Event().wait()
"""


@dataclass
class Verdict:
    """What a run came to.

    Attributes
    ----------
    seconds : float
        How long it was.
    faults : counter of str
        What went wrong on purpose.
    recoveries_s : list of float
        How long it took after each kill until all cars charged again.
    hottest : float
        How near the breaker came to tripping; it may have tripped from 1 on.
    failures : list of str
        What must not be.
    """

    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    hottest: float = 0.0
    failures: list[str] = field(default_factory=list)


class RealSoak:
    """One run: the demo's site, on which everything that can be killed is.

    Parameters
    ----------
    seed : int
        Of what happens when.
    tell : callable
        Gets a line after each recovery.
    """

    def __init__(self, seed: int, tell: Callable[[str], None] = lambda _: None) -> None:
        self._random = random.Random(seed)
        self._tell = tell
        self._is_up = threading.Event()
        self._site = example_site()
        self._ledger = Ledger([*EVEREST_EVSES, *ARRIVALS], time.monotonic)
        self._installation = Installation(
            self._site, seed=seed, elsewhere={name: self._current_of(name) for name in EVEREST_EVSES}
        )
        self.verdict = Verdict()

    def run(self, seconds: float) -> Verdict:
        """Kill and fail until the time is up; the last recovery is waited for."""
        verdict, began = self.verdict, time.monotonic()
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
            config = _configuration(directory, stack.enter_context(self._installation))
            broker = stack.enter_context(_Broker())
            self._installation.begin()
            while True:
                broker.start()
                with self._running(config, broker) as manager:
                    self._wait_until_all_charge(manager)
                    verdict.seconds = time.monotonic() - began
                    verdict.hottest = self._installation.breaker.hottest
                    self._tell(f"{verdict.seconds:6.0f} s: {verdict.faults.total()} faults, all cars charge")
                    if verdict.failures or verdict.seconds >= seconds:
                        break
                    self._let_devices_fail()
                    self._kill_something(manager, broker)
        if verdict.hottest >= 1.0:
            verdict.failures.append("the breaker may have tripped")
        return verdict

    @contextmanager
    def _running(self, config: Path, broker: "_Broker") -> Iterator[Manager]:
        """Run EVerest once, as its service does it again and again."""
        manager = Manager(config, broker=broker.address, log=lambda _: None)
        with Observer(broker.address, manager.prefix, self._ledger.take), manager:
            manager.wait_ready(READY_WITHIN_S)
            self._is_up.set()
            yield manager
            self._is_up.clear()  # cars behind EVerest's EVSEs live in their processes

    def _let_devices_fail(self) -> None:
        faults: list[tuple[str, Faults]] = [
            ("silence", Faults(silent=True)),
            ("wrong checksums", Faults(corrupt=True, times=5)),
            ("exceptions", Faults(exception=6, times=5)),
            ("truncated frames", Faults(truncated=True, times=5)),
            ("late answers", Faults(delay_s=0.4, times=5)),
        ]
        for _ in range(self._random.randint(1, 3)):
            name = self._random.choice(list(self._installation.devices))
            kind, fault = self._random.choice(faults)
            self.verdict.faults[kind] += 1
            self._installation.devices[name].faults = fault
            time.sleep(self._random.uniform(0.5, 8.0))
            if self._random.random() < 0.7:  # else it is still so when something is killed
                self._installation.devices[name].faults = Faults()

    def _kill_something(self, manager: Manager, broker: "_Broker") -> None:
        """End the run, by whatever dies; some time passes until it begins anew."""
        victim = self._random.choice([MANAGER, *EVEREST_EVSES, "broker"])
        self.verdict.faults[f"kill -9 of {'an EVSE' if victim in EVEREST_EVSES else victim}"] += 1
        if victim == "broker":
            broker.kill()
        else:
            manager.processes[victim].send(signal.SIGKILL)
        manager.wait(READY_WITHIN_S)
        time.sleep(self._random.uniform(0.0, 20.0))
        for device in self._installation.devices.values():
            device.faults = Faults()

    def _wait_until_all_charge(self, manager: Manager) -> None:
        began = time.monotonic()
        while idle := [name for name in [*EVEREST_EVSES, *ARRIVALS] if not self._charges(name)]:
            if manager.exit_code is not None:
                self.verdict.failures.append(f"the run ended by itself: {manager.failure}")
                return
            if time.monotonic() - began > RECOVERS_WITHIN_S:
                self.verdict.failures.append(f"{', '.join(idle)}: no current after {RECOVERS_WITHIN_S:g} s")
                return
            time.sleep(0.1)
        self.verdict.recoveries_s.append(time.monotonic() - began)

    def _charges(self, name: str) -> bool:
        point = self._installation.points.get(name)
        if point is not None and point.car is not None and not point.car.wants_energy:
            point.unplug()  # a full car makes room for the next one
            point.plug_in(Car(ARRIVALS[name].car))
        return max(self._installation.plant.evse_current_A(name)) >= CHARGES_A

    def _current_of(self, name: str) -> Callable[[], Vector3]:
        return lambda: self._ledger.current_A(name) if self._is_up.is_set() else NONE


class _Broker:
    """An MQTT broker in a process of its own, always on the same port."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Broker":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it unless it runs, and wait until it listens."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen([sys.executable, "-c", _BROKER, str(self._port)])
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError(f"no broker on {self.address}")

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _configuration(directory: Path, links: Links) -> Path:
    """Write the demo's files, with a state file that outlives the module."""
    path = write_files(directory, links)
    config = yaml.safe_load(path.read_text())
    config["active_modules"][MANAGER]["config_module"]["state_file"] = str(directory / "state.db")
    path.write_text(yaml.safe_dump(config))
    return path
