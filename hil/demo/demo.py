"""The main job from end to end: broker, runtime, module, plant, and what is seen of them."""

import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from energy_management.measurement import Vector3
from hil.demo.files import EVEREST_EVSES, MANAGER, example_site, write_files
from hil.demo.installation import Installation
from hil.demo.ledger import Ledger
from hil.demo.report import EvseSummary, ProcessUse, Report
from hil.demo.view import EvseRow, NodeRow, Snapshot
from hil.observer import Observer
from hil.plant import ChargePoint
from hil.runtime.broker import embedded_broker
from hil.runtime.manager import Manager

START_TIMEOUT_S = 60.0
ALL_CHARGE_BY_S = 20.0
"""All cars are there long before, and the fuse is wide enough for the minimum of all."""

LOOK_S = 0.25
"""How often wallbox grants are noted and the view is renewed."""

LINKS = {**dict.fromkeys(EVEREST_EVSES, "EVerest"), "carport": "TCP", "yard": "RTU"}


@dataclass
class Options:
    """What a user may choose.

    Attributes
    ----------
    seconds : float or None
        End by itself after this time; None runs until stopped.
    broker : str or None
        Address; None embeds one.
    seed : int
        Of the house load.
    log : callable
        Gets each line of the runtime and its modules.
    """

    seconds: float | None = None
    broker: str | None = None
    seed: int = 1
    log: Callable[[str], None] = field(default=lambda _: None)


class Demo:
    """One run of the demo.

    Parameters
    ----------
    options : Options
        What the user chose.
    show : callable
        Gets a snapshot several times a second.
    """

    def __init__(self, options: Options, show: Callable[[Snapshot], None]) -> None:
        self._options = options
        self._show = show
        self._site = example_site()
        self._ledger = Ledger(list(LINKS), lambda: self._installation.elapsed_s)
        self._installation = Installation(
            self._site,
            seed=options.seed,
            elsewhere={name: self._current_of(name) for name in EVEREST_EVSES},
        )
        self._rate = _Rate()
        self.last_lines: deque[str] = deque(maxlen=30)

    def run(self, stop: threading.Event) -> Report:
        """Run until the time is up, `stop` is set, or something ends the runtime.

        Raises
        ------
        RunError, OSError
            It could not start.
        """
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
            links = stack.enter_context(self._installation)
            broker = self._options.broker or stack.enter_context(embedded_broker())
            manager = Manager(write_files(directory, links), broker=broker, log=self._take_line)
            observer = stack.enter_context(Observer(broker, manager.prefix, self._ledger.take))
            stack.enter_context(manager)
            manager.wait_ready(START_TIMEOUT_S)
            module = _Use(manager.processes[MANAGER].pid)
            self._installation.begin()
            messages_before = observer.messages
            self._watch(manager, observer, stop)
            seconds = self._installation.elapsed_s
            evses = self._summaries()
            problems = manager.failure.splitlines()[:1]
            if seconds >= ALL_CHARGE_BY_S:
                problems += [f"{name} never charged" for name, evse in evses.items() if evse.energy_Wh < 1.0]
            return Report(
                seconds=seconds,
                seed=self._options.seed,
                broker=self._options.broker or "embedded",
                evses=evses,
                fuses={MANAGER: self._installation.watch},
                messages_per_s=(observer.messages - messages_before) / max(seconds, 0.1),
                module=module.measure(),
                problems=problems,
            )

    def _watch(self, manager: Manager, observer: Observer, stop: threading.Event) -> None:
        """Look at everything again and again until the end."""
        end_s = self._options.seconds or float("inf")
        while not stop.wait(LOOK_S) and self._installation.elapsed_s < end_s:
            for name, point in self._installation.points.items():
                self._ledger.records[name].granted(self._installation.elapsed_s, point.limit_A)
            self._show(self._snapshot(observer.messages))
            if manager.exit_code is not None:
                return

    def _take_line(self, line: str) -> None:
        self.last_lines.append(line)
        self._options.log(line)

    def _current_of(self, name: str) -> Callable[[], Vector3]:
        return lambda: self._ledger.current_A(name)

    def _snapshot(self, messages: int) -> Snapshot:
        plant, watch = self._installation.plant, self._installation.watch
        return Snapshot(
            elapsed_s=self._installation.elapsed_s,
            evses=[self._row(name) for name in LINKS],
            nodes=[
                NodeRow(MANAGER, plant.current_A, watch.fuse_A),
                NodeRow("house", plant.house.current_A, note=", ".join(plant.house.running)),
            ],
            messages_per_s=self._rate.of(messages),
            violations=len(watch.violations),
        )

    def _row(self, name: str) -> EvseRow:
        record = self._ledger.records[name]
        point = self._installation.points.get(name)
        if point:
            state, wants_A, energy_Wh = _state_of(point), point.max_current_A, point.energy_Wh
        else:
            state, wants_A, energy_Wh = record.state, record.wants_A, record.energy_Wh
        current_A = self._installation.plant.evse_current_A(name)
        return EvseRow(
            name=name,
            link=LINKS[name],
            state=state,
            wants_A=wants_A,
            grant_A=record.grant_A,
            current_A=current_A,
            phases=sum(current >= 1.0 for current in current_A),
            energy_Wh=energy_Wh,
            reason="no car" if state == "Unplugged" else record.reason,
        )

    def _summaries(self) -> dict[str, EvseSummary]:
        points = self._installation.points
        return {
            name: EvseSummary(
                link=LINKS[name],
                energy_Wh=points[name].energy_Wh if name in points else record.energy_Wh,
                grants=record.grants,
                peak_current_A=self._installation.peaks_A[name],
            )
            for name, record in self._ledger.records.items()
        }


def _state_of(point: ChargePoint) -> str:
    """State of a wallbox in the words that EVerest has for its EVSEs."""
    match point.state:
        case "A":
            return "Unplugged"
        case "C":
            return "Charging"
        case _:
            return "PausedEV" if point.offer_A else "PausedEVSE"


class _Rate:
    """Messages per second, over the last seconds."""

    SPAN = 12

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=self.SPAN)

    def of(self, messages: int) -> float:
        self._seen.append((time.monotonic(), messages))
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0


class _Use:
    """What a process uses, from now on."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._cpu_s = self._cpu()
        self._since = time.monotonic()

    def measure(self) -> ProcessUse | None:
        """Tell it; None when the process is gone."""
        try:
            share = (self._cpu() - self._cpu_s) / max(0.1, time.monotonic() - self._since)
            return ProcessUse(100.0 * share, self._process.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            return None

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
