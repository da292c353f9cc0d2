"""A grid meter that knows what house, generator and EVSEs come to; run by a manager, never by hand."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from everest.framework import Fulfillment, Module, RuntimeSession, log

Json = dict[str, Any]
EVERY_S = 1.0
VOLTAGE_V = 230.0
PHASES = ("L1", "L2", "L3")


class SimMeter:
    """Adds up and counts.

    Parameters
    ----------
    module : Module
        Publishes readings.
    others_W : list of float
        Power of house and generator, on all phases alike.
    every_s : float
        How long each of them stands.
    """

    def __init__(self, module: Module, others_W: list[float], every_s: float) -> None:
        self._module = module
        self._others_W = others_W
        self._every_s = every_s
        self._evses_A: dict[str, list[float]] = {}
        self._import_Wh = self._export_Wh = 0.0

    def hear(self, evse: str) -> Callable[[Json], None]:
        """Return what takes the requests of an EVSE, which hold what it draws."""

        def on_request(request: Json) -> None:
            current_A = request.get("energy_usage_root", {}).get("current_A", {})
            self._evses_A[evse] = [current_A.get(phase, 0.0) for phase in PHASES]

        return on_request

    def run(self, stop: threading.Event) -> None:
        """Publish once a second until told to stop."""
        began = time.monotonic()
        told = None
        while not stop.is_set():
            number = int((time.monotonic() - began) / self._every_s)
            others_W = self._others_W[min(number, len(self._others_W) - 1)]
            if others_W != told:
                told = others_W
                log.info(f"house and generator: {others_W:g} W")
            self._module.publish_variable("meter", "powermeter", self._reading(others_W))
            stop.wait(EVERY_S)

    def _reading(self, others_W: float) -> Json:
        own_A = others_W / VOLTAGE_V / len(PHASES)
        evses = [*self._evses_A.values()]
        current_A = [own_A + sum(evse[phase] for evse in evses) for phase in range(3)]
        power_W = [current * VOLTAGE_V for current in current_A]
        total_W = sum(power_W)
        self._import_Wh += max(0.0, total_W) * EVERY_S / 3600
        self._export_Wh += max(0.0, -total_W) * EVERY_S / 3600
        return {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "meter_id": self._module.info.id,
            "current_A": dict(zip(PHASES, current_A, strict=True)),
            "voltage_V": dict.fromkeys(PHASES, VOLTAGE_V),
            "power_W": {"total": total_W, **dict(zip(PHASES, power_W, strict=True))},
            "energy_Wh_import": {"total": self._import_Wh},
            "energy_Wh_export": {"total": self._export_Wh},
            "frequency_Hz": {"L1": 50.0},
        }


def refuse(_: Json) -> Json:
    """Answer to a transaction: this meter signs nothing."""
    return {"status": "NOT_SUPPORTED"}


def main() -> None:
    """Join EVerest and measure until the process is ended."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    setup = module.say_hello()
    config = setup.configs.module or {}
    others_W = [float(value) for value in config["others_W"].split(",")]
    meter = SimMeter(module, others_W, config["every_s"])
    evses: list[Fulfillment] = setup.connections.get("evses", [])
    for evse in evses:
        module.subscribe_variable(evse, "energy_flow_request", meter.hear(evse.module_id))
    for command in ("start_transaction", "stop_transaction"):
        module.implement_command("meter", command, refuse)
    ready, stop = threading.Event(), threading.Event()
    module.shutdown_handler(stop.set)
    module.init_done(ready.set)
    ready.wait()
    meter.run(stop)
    threading.Event().wait()  # EVerest takes a module that returns for a crash


if __name__ == "__main__":
    main()
