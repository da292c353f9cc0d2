"""Glue between EVerest and a simulated charging station; run by a manager, never by hand."""

import threading
from pathlib import Path
from typing import Any

from everest.framework import Module, RuntimeSession, log

from bsp.profile import connector_profile
from hil.devices import WallboxDevice, serve_rtu_pty
from hil.plant import Car, CarModel, ChargePoint
from hil.plant.real_time import real_time, telling

Json = dict[str, Any]
IDLE_A = 1.0
_OTHER_COMMANDS = (
    "enable",
    "pwm_on",
    "cp_state_X1",
    "cp_state_F",
    "cp_state_E",
    "allow_power_on",
    "ac_set_overcurrent_limit_A",
)


class Board:
    """Switches the phases of a charge point, but not under load."""

    def __init__(self, point: ChargePoint) -> None:
        self._point = point

    def switch(self, args: Json) -> None:
        """Handle ``ac_switch_three_phases_while_charging``."""
        phases = 3 if args["value"] else 1
        drawn_A = max(self._point.current_A)
        if drawn_A >= IDLE_A:
            raise RuntimeError(f"{drawn_A:.1f} A flow")
        self._point.phases = phases
        log.info(f"switched to {phases} phases")


def capabilities(max_A: float) -> Json:
    """``HardwareCapabilities`` of the board."""
    both = {f"max_current_A_{way}": max_A if way == "import" else 0.0 for way in ("import", "export")}
    least = {"min_current_A_import": 6.0, "min_current_A_export": 0.0}
    phases = {
        f"{end}_phase_count_{way}": n for end, n in (("max", 3), ("min", 1)) for way in ("import", "export")
    }
    return {
        **both,
        **least,
        **phases,
        "supports_changing_phases_during_charging": True,
        "connector_type": "IEC62196Type2Socket",
    }


def main() -> None:
    """Join EVerest and simulate until the process is ended."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    config = module.say_hello().configs.module or {}
    point = ChargePoint()
    point.plug_in(Car(CarModel(max_current_A=config["car_max_current_A"])))
    board = Board(point)
    module.implement_command("board", "ac_switch_three_phases_while_charging", board.switch)
    for command in _OTHER_COMMANDS:
        module.implement_command("board", command, lambda _: None)
    ready, stop = threading.Event(), threading.Event()
    module.shutdown_handler(stop.set)
    module.init_done(ready.set)
    ready.wait()
    module.publish_variable("board", "capabilities", capabilities(point.max_current_A))
    module.publish_variable("board", "ac_nr_of_phases_available", 3)
    module.publish_variable("board", "ac_pp_ampacity", {"ampacity": config["ampacity"]})
    with serve_rtu_pty({1: WallboxDevice(connector_profile(config["profile"]), point)}) as line:
        Path(config["line"]).symlink_to(line.path)
        real_time(point, stop, telling(point, log.info))
    threading.Event().wait()  # EVerest takes a module that returns for a crash


if __name__ == "__main__":
    main()
