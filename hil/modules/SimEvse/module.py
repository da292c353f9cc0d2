"""Glue between EVerest and the simulated EVSE of the plant; run by a manager, never by hand."""

import threading
import time
from datetime import UTC, datetime
from typing import Any

from everest.framework import Module, RuntimeSession, log

from hil.plant import Car, CarModel, ChargePoint
from hil.plant.evse_manager import EvseManager

TICK_S = 0.1
REQUEST_INTERVAL_S = 1.0


class SimEvse:
    """Runs the plant in real time and speaks for it at the `energy` interface."""

    def __init__(self, module: Module, config: dict[str, Any]) -> None:
        self._module = module
        self._config = config
        self._lock = threading.Lock()
        point = ChargePoint(max_current_A=config["max_current_A"], phases=config["phases"])
        self._evse = EvseManager(
            module.info.id,
            point,
            auth_after_s=config["auth_after_s"],
            switches_phases=config["switches_phases"],
            switch_delay_s=config["switch_3ph1ph_delay_s"],
        )
        self._car = car_of(config)
        self._elapsed_s = 0.0

    def enforce_limits(self, args: dict[str, Any]) -> None:
        """Handle the command of the same name."""
        with self._lock:
            self._evse.enforce_limits(args["value"])

    def run(self, stop: threading.Event) -> None:
        """Tick until told to stop."""
        self._publish(priority=True)
        last = published = time.monotonic()
        while not stop.wait(TICK_S):
            now = time.monotonic()
            state = self._evse.evse_state
            with self._lock:
                self._drive_the_car(now - last)
                priority = self._evse.advance(now - last)
            last = now
            if self._evse.evse_state != state:
                log.info(f"{state} -> {self._evse.evse_state}")
            if priority or now - published >= REQUEST_INTERVAL_S:
                self._publish(priority=priority)
                published = now

    def _drive_the_car(self, dt_s: float) -> None:
        """Bring the car, and take it away, as configured."""
        self._elapsed_s += dt_s
        arrives = self._config["plug_in_after_s"]
        stays = self._config["unplug_after_s"]
        leaves = arrives + stays if stays else float("inf")
        here = arrives <= self._elapsed_s < leaves
        if here and self._evse.point.car is None:
            self._evse.point.plug_in(self._car)
        elif not here and self._evse.point.car is not None:
            self._evse.point.unplug()

    def _publish(self, *, priority: bool) -> None:
        with self._lock:
            request = self._evse.request(datetime.now(UTC), priority=priority)
        self._module.publish_variable("energy_grid", "energy_flow_request", request)


def car_of(config: dict[str, Any]) -> Car:
    """Build the car that the configuration describes."""
    model = CarModel(
        phases=config["car_phases"],
        max_current_A=config["car_max_current_A"],
        min_current_A=config["car_min_current_A"],
    )
    soc = 0.2
    return Car(model, soc=soc, target_soc=min(1.0, soc + config["energy_wanted_Wh"] / model.capacity_Wh))


def main() -> None:
    """Join EVerest and simulate until the process is ended."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    evse = SimEvse(module, module.say_hello().configs.module or {})
    module.implement_command("energy_grid", "enforce_limits", evse.enforce_limits)
    ready, stop = threading.Event(), threading.Event()
    module.shutdown_handler(stop.set)
    module.init_done(ready.set)
    ready.wait()
    evse.run(stop)
    threading.Event().wait()  # EVerest takes a module that returns for a crash


if __name__ == "__main__":
    main()
