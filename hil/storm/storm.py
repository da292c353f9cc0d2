"""Storms and calms in turn, in real time, before a judge who sees every limit and every contact."""

import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from control.everest import Outside
from control.notices import Log
from control.settings import Settings
from control.site import EnergySite
from control.site_file import load_site
from hil.devices import Faults
from hil.storm.car import CONTACTS
from hil.storm.judge import Verdict
from hil.storm.site import CONTACTORS, StormSite, storm_site, write_site_file

STRIKES = 50
"""Faults of one storm, every 0.2 s or so."""
RECOVERS_WITHIN_S = 120.0
"""How long it may take after a storm until all is well: reopening a line alone may wait for 30 s, and a phase
switch takes some 10 s, twice where it has to be undone."""
LULL_S = 20.0
"""Time after a recovery in which nothing happens but what the energy manager does."""
_SELDOM = {"jammed contact": 0.2, "board without power": 0.5}
"""What happens less often than all the rest, which counts 1."""
_LOOK_EVERY_S = 0.05
_MINIMUM_A = 6.0
_SETTINGS = {
    "switch_3ph1ph_while_charging_mode": "Both",
    "switch_3ph1ph_time_hysteresis_s": 5,
}


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
        """Let storms pass until the time is up, one at least; the last one is waited out."""
        with storm_site() as site, tempfile.TemporaryDirectory(prefix="storm-") as directory:
            self.verdict = site.judge.verdict
            path = Path(directory) / "site.yaml"
            write_site_file(site, path)
            settings = Settings.from_config("storm", {**_SETTINGS, "site_file": str(path)})
            manager = EnergySite(settings, load_site(path), Outside({}, _Nobody(), self._log))
            manager.start()
            try:
                self._wait(lambda: _not_driven(site))
                self._calm(site, manager)
                began = time.monotonic()
                while not self.verdict.failures:
                    self._storm(site, manager)
                    self._calm(site, manager)
                    self.verdict.seconds = time.monotonic() - began
                    self._tell(self._progress())
                    if self.verdict.seconds >= seconds:
                        break
                    self._ended.wait(LULL_S)
            finally:
                manager.stop()
        return self.verdict

    def _storm(self, site: StormSite, manager: EnergySite) -> None:
        for _ in range(STRIKES):
            weather = self._weather(site, manager)
            weights = [_SELDOM.get(what, 1.0) for what, _ in weather]
            ((what, strike),) = self._random.choices(weather, weights)
            self.verdict.faults[what] = self.verdict.faults.get(what, 0) + 1
            strike()
            self._ended.wait(self._random.uniform(0.05, 0.4))

    def _weather(self, site: StormSite, manager: EnergySite) -> list[tuple[str, Callable[[], None]]]:
        """Give everything that can happen."""
        random_ = self._random
        device = random_.choice(list(site.devices.values()))
        car = random_.choice(list(site.cars.values()))
        line = random_.choice(list(site.lines.values()))
        limits = random_.choice([{"phase_count": 1}, {"power_W": random_.uniform(8e3, 30e3)}])
        connector, contact = random_.choice(list(CONTACTORS)), random_.choice(CONTACTS)

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

        def limit() -> None:
            manager.commands.call("set_limit", {"node": "grid", "source": "storm", "limits": limits})

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
            ("limit from outside", limit),
            ("limit ends", lambda: _end_limit(manager)),
            ("jammed contact", lambda: site.jam(connector, contact)),
            ("board without power", site.cut_power_of_board),
        ]

    def _calm(self, site: StormSite, manager: EnergySite) -> None:
        """End every fault, and wait until all cars charge and nothing is complained about."""
        began = time.monotonic()
        _end_limit(manager)
        for device in site.devices.values():
            device.faults = Faults()
        repaired = site.repair()
        self.verdict.repairs += len(repaired)
        for car in site.cars.values():
            car.is_there = True

        def is_wrong() -> str:
            complaints = manager.status()["degraded"]
            for name in repaired:  # a person has looked at these contactors
                if any(complaint.startswith(f"{name}: ") for complaint in complaints):
                    manager.commands.call("reset_fault", {"uuid": name})
            idle = [name for name, car in site.cars.items() if car.current_A[0] < _MINIMUM_A]
            return "; ".join([*complaints, *(f"{name} does not charge" for name in idle)])

        self._wait(is_wrong)
        self.verdict.recoveries_s.append(time.monotonic() - began)

    def _wait(self, wrong: Callable[[], str]) -> None:
        """Wait until nothing is wrong."""
        began = time.monotonic()
        while (what := wrong()) and not self.verdict.failures:
            if time.monotonic() - began > RECOVERS_WITHIN_S:
                self.verdict.failures.append(f"not recovered after {RECOVERS_WITHIN_S:g} s: {what}")
            self._ended.wait(_LOOK_EVERY_S)

    def _progress(self) -> str:
        verdict = self.verdict
        highest = ", ".join(f"{fuse} {amperes:.1f} A" for fuse, amperes in verdict.highest_A.items())
        return (
            f"{verdict.seconds:6.0f} s: {sum(verdict.faults.values())} faults, "
            f"recovered after {verdict.recoveries_s[-1]:.1f} s, highest sum of limits {highest}, "
            f"{verdict.moves} contacts moved, {verdict.repairs} repaired"
        )


def _end_limit(manager: EnergySite) -> None:
    manager.commands.call("clear_limit", {"node": "grid", "source": "storm"})


def _not_driven(site: StormSite) -> str:
    return ", ".join(f"{name} was never paused" for name, car in site.cars.items() if not car.is_driven)


class _Nobody:
    """An EVerest that does not listen."""

    def publish(self, implementation: str, variable: str, value: object) -> None:
        """Do nothing."""

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        """Do nothing."""

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        """Do nothing."""
