"""EVerest glue of PyEnergyManager: session, handlers, ready. What is decided is decided in ``control``."""

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from everest.framework import Fulfillment, Module, RuntimeSession, log

from control.settings import Settings, SettingsError
from control.site import EnergySite, Outside
from energy_management import EnergyManager, ManagerConfig

Args = dict[str, Any]


def main() -> int:
    """Join EVerest, work until told to stop."""
    session = RuntimeSession()  # the module refers to it: it must live as long
    module = Module(session)
    log.update_process_name(module.info.id)
    setup = module.say_hello()
    config = setup.configs.module or {}
    trunk, consumers = setup.connections["energy_trunk"], setup.connections["energy_consumer"]
    try:
        site = EnergySite(
            Settings.from_config(module.info.id, config, module.info.paths.etc),
            EnergyManager(ManagerConfig.from_dict(config)),
            Outside(
                children={child_id(child): enforce(module, child) for child in [*trunk, *consumers]},
                has_trunk=bool(trunk),
                publish=module.publish_variable,
                log=log,
            ),
        )
    except SettingsError as error:
        log.critical(str(error))
        return 1
    stop = stop_event(module)
    subscribe(module, site, setup.connections)
    implement(module, site)
    ready = threading.Event()
    module.init_done(ready.set)
    while not ready.wait(0.2):
        if stop.is_set():
            return 0
    site.start()
    stop.wait()
    site.stop()
    return 0


def child_id(child: Fulfillment) -> str:
    """Name of a child in the log: its module, and its implementation where that is not the usual one."""
    is_usual = child.implementation_id == "energy_grid"
    return child.module_id if is_usual else f"{child.module_id}/{child.implementation_id}"


def enforce(module: Module, child: Fulfillment) -> Callable[[Args], None]:
    """Way to hand limits to a child; blocks until it has answered."""

    def send(limits: Args) -> None:
        module.call_command(child, "enforce_limits", {"value": limits})

    return send


def subscribe(module: Module, site: EnergySite, connections: dict[str, list[Fulfillment]]) -> None:
    """Listen to everything that is connected."""

    def on_request_of(child: str) -> Callable[[Any], None]:
        return lambda request: site.on_request(child, request)

    for child in [*connections["energy_trunk"], *connections["energy_consumer"]]:
        module.subscribe_variable(child, "energy_flow_request", on_request_of(child_id(child)))
    for meter in connections["powermeter"]:
        module.subscribe_variable(meter, "powermeter", site.on_powermeter)
    for prices in connections["price_information"]:
        module.subscribe_variable(prices, "energy_pricing", site.on_prices)


def implement(module: Module, site: EnergySite) -> None:
    """Answer every command of what the module provides."""

    def no_transactions(_: Args) -> Args:
        return {"status": "NOT_SUPPORTED", "error": "this meter bills nothing"}

    def enforce_limits(args: Args) -> None:
        site.on_enforce_limits(args.get("value"))

    def set_external_limits(args: Args) -> None:
        site.on_external_limits(args.get("value"))

    module.implement_command("energy_grid", "enforce_limits", enforce_limits)
    module.implement_command("external_limits", "set_external_limits", set_external_limits)
    module.implement_command("powermeter", "start_transaction", no_transactions)
    module.implement_command("powermeter", "stop_transaction", no_transactions)


def stop_event(module: Module) -> threading.Event:
    """Set when EVerest, or whoever started the process, wants it to end."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if hasattr(module, "shutdown_handler"):  # everestpy has it since July 2026
        module.shutdown_handler(stop.set)
    return stop


if __name__ == "__main__":
    sys.exit(main())
