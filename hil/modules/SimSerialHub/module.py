"""Glue between EVerest and a simulated serial line; run by a manager, never by hand."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from everest.framework import Module, RuntimeSession, log

from bsp.profile import connector_profile, meter_profile
from bsp.registers import Table
from hil.devices import MeterDevice, RegisterDevice, WallboxDevice
from hil.devices.registers import DeviceRefusesError
from hil.plant import Car, CarModel, ChargePoint, House, Site
from hil.plant.real_time import real_time, telling

Json = dict[str, Any]


class Hub:
    """Answers the commands of the hub for devices by their address."""

    def __init__(self, devices: Mapping[int, RegisterDevice]) -> None:
        self._devices = devices

    @property
    def commands(self) -> dict[str, Callable[[Json], Any]]:
        """What it answers, by name."""
        return {
            "modbus_read_holding_registers": lambda args: self._read_registers("holding", args),
            "modbus_read_input_registers": lambda args: self._read_registers("input", args),
            "modbus_read_coils": self._read_coils,
            "modbus_write_multiple_registers": lambda args: self._write(
                "holding", args, args["first_register_address"], args["data_raw"]["data"]
            ),
            "modbus_write_single_register": lambda args: self._write(
                "holding", args, args["register_address"], [args["data"]]
            ),
            "modbus_write_single_coil": lambda args: self._write(
                "coil", args, args["coil_address"], [int(args["data"])]
            ),
            "nonstd_write": lambda _: None,
            "nonstd_read": lambda _: {"status_code": "Error"},
        }

    def _read_registers(self, table: Table, args: Json) -> Json:
        return self._read(table, args, args["first_register_address"], args["num_registers_to_read"])

    def _read_coils(self, args: Json) -> Json:
        result = self._read("coil", args, args["first_coil_address"], args["num_coils_to_read"])
        return {**result, "value": [bool(bit) for bit in result.get("value", ())]}

    def _read(self, table: Table, args: Json, address: int, count: int) -> Json:
        device = self._devices.get(args["target_device_id"])
        if device is None:
            return {"status_code": "Timeout"}
        try:
            return {"status_code": "Success", "value": device.read(table, address, count)}
        except DeviceRefusesError:
            return {"status_code": "Error"}

    def _write(self, table: Table, args: Json, address: int, values: list[int]) -> str:
        device = self._devices.get(args["target_device_id"])
        if device is None:
            return "Timeout"
        try:
            device.write(table, address, values)
        except DeviceRefusesError:
            return "Error"
        return "Success"


def main() -> None:
    """Join EVerest and simulate until the process is ended."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    config = module.say_hello().configs.module or {}
    point = ChargePoint()
    point.plug_in(Car(CarModel(max_current_A=config["car_max_current_A"])))
    site = Site(House(), {"charger": point})
    meter = MeterDevice(meter_profile(config["meter"]), lambda: site.reading(time.monotonic()))
    hub = Hub({1: meter, 2: WallboxDevice(connector_profile(config["charger"]), point)})
    for name, answer in hub.commands.items():
        module.implement_command("main", name, answer)
    ready, stop = threading.Event(), threading.Event()
    module.shutdown_handler(stop.set)
    module.init_done(ready.set)
    ready.wait()
    real_time(site, stop, telling(point, log.info))
    threading.Event().wait()  # EVerest takes a module that returns for a crash


if __name__ == "__main__":
    main()
