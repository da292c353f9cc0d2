"""The demo's hardware: a plant that lives in real time, and the Modbus devices through which it is seen."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from control.site_file import SiteFile
from energy_management.measurement import Reading, Vector3
from hil.breaker import Breaker
from hil.demo.files import Links, rotations
from hil.demo.report import TOLERATED_S
from hil.devices.line import serve_rtu_pty, serve_tcp
from hil.devices.meter import MeterDevice
from hil.devices.registers import RegisterDevice
from hil.devices.wallbox import WallboxDevice
from hil.plant import Car, CarModel, ChargePoint, FuseWatch, House, Site

TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A car that comes to a wallbox."""

    car: CarModel
    after_s: float


ARRIVALS: Mapping[str, Arrival] = {
    "carport": Arrival(CarModel(phases=3, max_current_A=16.0), 2.5),
    "yard": Arrival(CarModel(phases=1, max_current_A=16.0), 3.5),
}


class Installation:
    """House, cars, chargers and meter of the demo, running in a thread while it is entered.

    Parameters
    ----------
    site : SiteFile
        Fuse, wiring and devices.
    seed : int
        Of the house load.
    elsewhere : mapping of str to callable
        Currents of the EVSEs that are simulated in other processes, on their own phases. They come over MQTT
        and are up to a second old, for the meter and for the guard of the fuse alike.

    Attributes
    ----------
    plant : Site
        The physics.
    points : dict of str to ChargePoint
        What is behind the wallboxes.
    watch : FuseWatch
        Guards the grid fuse, with the true currents.
    breaker : Breaker
        Carries the true currents, too.
    devices : dict of str to RegisterDevice
        Meter and wallboxes, once entered.
    peaks_A : dict of str to Vector3
        Highest currents of each EVSE, on the grid's phases.
    """

    def __init__(self, site: SiteFile, *, seed: int, elsewhere: Mapping[str, Callable[[], Vector3]]) -> None:
        assert site.grid is not None
        self._devices = site
        self.points = {
            name: ChargePoint(max_current_A=config.profile.current_limit.maximum)
            for name, config in site.bridged_connectors.items()
        }
        self.plant = Site(House(seed=seed), self.points, rotations=rotations(site), elsewhere=elsewhere)
        self.watch = FuseWatch(site.grid.fuse, grace_s=TOLERATED_S)
        self.breaker = Breaker(site.grid.fuse)
        self.devices: dict[str, RegisterDevice] = {}
        self.peaks_A: dict[str, Vector3] = dict.fromkeys([*self.points, *elsewhere], (0.0, 0.0, 0.0))
        self._started_at: float | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plant", daemon=True)
        self._lines = ExitStack()

    def __enter__(self) -> Links:
        profiles = {name: config.profile for name, config in self._devices.bridged_connectors.items()}
        meter = MeterDevice(self._devices.bridged_meters["house"].profile, self._read_meter)
        boxes = {name: WallboxDevice(profiles[name], point) for name, point in self.points.items()}
        self.devices = {"house": meter, **boxes}
        cabinet = self._lines.enter_context(serve_rtu_pty({1: meter}))
        outside = self._lines.enter_context(serve_rtu_pty({1: boxes["yard"]}))
        lan = self._lines.enter_context(serve_tcp({1: boxes["carport"]}))
        self._thread.start()
        return Links(cabinet.path, outside.path, (lan.host, lan.port))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._lines.close()

    def begin(self) -> None:
        """Begin the day: from now on cars arrive, and the fuse is watched."""
        self._started_at = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Time since the beginning; 0 before."""
        return 0.0 if self._started_at is None else time.monotonic() - self._started_at

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(TICK_S):
            now = time.monotonic()
            with self._lock:
                self.plant.advance(now - last)
                if self._started_at is not None:
                    self._let_cars_come()
                    self._observe(now - last)
            last = now

    def _let_cars_come(self) -> None:
        for name, arrival in ARRIVALS.items():
            if self.points[name].car is None and self.elapsed_s >= arrival.after_s:
                self.points[name].plug_in(Car(arrival.car))

    def _observe(self, dt_s: float) -> None:
        self.breaker.carry(self.plant.current_A, dt_s)
        self.watch.observe(self.elapsed_s, self.plant.current_A)
        for name, peak in self.peaks_A.items():
            now = self.plant.evse_current_A(name)
            self.peaks_A[name] = (max(peak[0], now[0]), max(peak[1], now[1]), max(peak[2], now[2]))

    def _read_meter(self) -> Reading:
        with self._lock:
            return self.plant.reading(time.monotonic())
