"""Storms and calms in turn, in real time, with a judge who looks at every limit all the time."""

import random
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from control.everest import Outside
from control.notices import Log
from control.settings import Settings
from control.site import EnergySite
from control.site_file import load_site
from hil.devices import Faults
from hil.storm.site import (
    GRID_FUSE_A,
    LOT_FUSE_A,
    MAX_CURRENT_A,
    ON_TCP,
    ON_THE_LINE,
    StormSite,
    storm_site,
    write_site_file,
)

STORM_S = 15.0
"""Length of one storm."""
RECOVERS_WITHIN_S = 60.0
"""How long it may take after a storm until all is well; reopening a line alone may wait for 30 s."""
_LOOK_EVERY_S = 0.02
_TOLERANCE_A = 0.05
_MINIMUM_A = 6.0
_FUSES: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "grid": (GRID_FUSE_A, (*ON_THE_LINE, *ON_TCP)),
    "lot": (LOT_FUSE_A, ON_TCP),
}


@dataclass
class Verdict:
    """What a run came to.

    Attributes
    ----------
    seconds : float
        How long it took.
    faults : dict of str to int
        Faults injected, by kind.
    recoveries_s : list of float
        How long after each storm all was well.
    highest_A : dict of str to float
        Highest sum of limits seen below each fuse.
    failures : list of str
        What must not have happened, one line each.
    """

    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    recoveries_s: list[float] = field(default_factory=list)
    highest_A: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Storm:
    """A run.

    Parameters
    ----------
    seed : int
        Same seed, same faults.
    log : Log
        EVerest's log, for the energy manager.
    tell : callable
        Called with a line of progress after each storm.
    """

    def __init__(self, seed: int, log: Log, tell: Callable[[str], None] = lambda _line: None) -> None:
        self._random = random.Random(seed)
        self._log = log
        self._tell = tell
        self._ended = threading.Event()
        self.verdict = Verdict()

    def run(self, seconds: float) -> Verdict:
        """Let storms pass until the time is up; the last one is waited out."""
        with storm_site() as site, tempfile.TemporaryDirectory(prefix="storm-") as directory:
            path = Path(directory) / "site.yaml"
            write_site_file(site, path)
            settings = Settings.from_config("storm", {"site_file": str(path)})
            manager = EnergySite(settings, load_site(path), Outside({}, _Nobody(), self._log))
            judge = threading.Thread(target=self._judge, args=(site,), name="judge")
            manager.start()
            judge.start()
            try:
                self._wait(lambda: _not_driven(site))
                self._calm(site, manager)
                began = time.monotonic()
                while time.monotonic() - began < seconds and not self.verdict.failures:
                    self._storm(site, min(STORM_S, seconds - (time.monotonic() - began)))
                    self._calm(site, manager)
                    self.verdict.seconds = time.monotonic() - began
                    self._tell(self._progress())
            finally:
                self._ended.set()
                judge.join()
                manager.stop()
        return self.verdict

    def _storm(self, site: StormSite, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            what, strike = self._random.choice(self._weather(site))
            self.verdict.faults[what] = self.verdict.faults.get(what, 0) + 1
            strike()
            self._ended.wait(self._random.uniform(0.05, 0.4))

    def _weather(self, site: StormSite) -> list[tuple[str, Callable[[], None]]]:
        """Give everything that can happen, each as often as it shall."""
        random_ = self._random
        device = random_.choice(list(site.devices.values()))
        car = random_.choice(list(site.cars.values()))
        line = random_.choice(list(site.lines.values()))

        def broken(**faults: object) -> Callable[[], None]:
            return lambda: setattr(device, "faults", Faults(**faults))  # type: ignore[arg-type]

        def replug() -> None:
            line.unplug()
            self._ended.wait(random_.uniform(0.1, 1.0))
            line.plug()

        def come_or_go() -> None:
            car.is_there = not car.is_there

        def house() -> None:
            site.house_A = random_.uniform(0.0, 15.0)

        return [
            ("well again", broken()),
            ("silent", broken(silent=True)),
            ("corrupt answers", broken(corrupt=True, times=3)),
            ("slow answers", broken(delay_s=0.08)),
            ("late answers", broken(delay_s=0.25, times=5)),
            ("busy", broken(exception=6, times=4)),
            ("noise", broken(noise=b"\x00\x55\xff", times=4)),
            ("line cut", replug),
            ("car comes or goes", come_or_go),
            ("house load", house),
        ]

    def _calm(self, site: StormSite, manager: EnergySite) -> None:
        """End every fault, and wait until all cars charge and nothing is complained about."""
        for device in site.devices.values():
            device.faults = Faults()
        for car in site.cars.values():
            car.is_there = True
        self.verdict.recoveries_s.append(self._wait(lambda: _what_is_wrong(site, manager)))

    def _wait(self, wrong: Callable[[], str]) -> float:
        """Wait until nothing is wrong; tells how long that took."""
        began = time.monotonic()
        while (what := wrong()) and not self.verdict.failures:
            if time.monotonic() - began > RECOVERS_WITHIN_S:
                self.verdict.failures.append(f"not recovered after {RECOVERS_WITHIN_S:g} s: {what}")
            self._ended.wait(_LOOK_EVERY_S)
        return time.monotonic() - began

    def _judge(self, site: StormSite) -> None:
        """Compare limits with fuses, from when the manager has every charger in its hands."""
        while not self._ended.wait(_LOOK_EVERY_S):
            if not all(car.is_driven for car in site.cars.values()):
                continue
            for fuse, (fuse_A, connectors) in _FUSES.items():
                sum_A = site.offered_A(connectors)
                self.verdict.highest_A[fuse] = max(sum_A, self.verdict.highest_A.get(fuse, 0.0))
                if sum_A > fuse_A + _TOLERANCE_A:
                    limits = ", ".join(f"{name} {site.cars[name].limit_A:g}" for name in connectors)
                    self.verdict.failures.append(f"{fuse}: {sum_A:g} A offered, {fuse_A:g} A fuse: {limits}")
            for name, car in site.cars.items():
                if car.limit_A > MAX_CURRENT_A + _TOLERANCE_A:
                    self.verdict.failures.append(f"{name}: {car.limit_A:g} A, {MAX_CURRENT_A:g} A allowed")
            if self.verdict.failures:
                return

    def _progress(self) -> str:
        verdict = self.verdict
        highest = ", ".join(f"{fuse} {amperes:.1f} A" for fuse, amperes in verdict.highest_A.items())
        return (
            f"{verdict.seconds:6.0f} s: {sum(verdict.faults.values())} faults, "
            f"recovered after {verdict.recoveries_s[-1]:.1f} s, highest sum of limits {highest}"
        )


def _not_driven(site: StormSite) -> str:
    return ", ".join(f"{name} was never paused" for name, car in site.cars.items() if not car.is_driven)


def _what_is_wrong(site: StormSite, manager: EnergySite) -> str:
    idle = [name for name, car in site.cars.items() if car.limit_A < _MINIMUM_A]
    complaints = manager.status()["degraded"]
    return "; ".join([*complaints, *(f"{name} does not charge" for name in idle)])


class _Nobody:
    """An EVerest that does not listen."""

    def publish(self, implementation: str, variable: str, value: object) -> None:
        """Do nothing."""

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        """Do nothing."""

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        """Do nothing."""
