"""EVerest glue of PyEnergyManager: session, handlers, ready. What is decided is decided in ``control``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from everest.framework import Fulfillment, Module, RuntimeSession, error, log

from control.broker import Broker
from control.everest import Outside
from control.installation import read_site
from control.library_log import LibraryLog
from control.settings import Settings, SettingsError
from control.site import EnergySite

if TYPE_CHECKING:
    from bsp.board import Board

Args = dict[str, Any]


def main() -> int:
    """Join EVerest and work until told to stop."""
    session = RuntimeSession()  # the module refers to it: it must live as long
    module = Module(session)
    log.update_process_name(module.info.id)
    logging.basicConfig(handlers=[LibraryLog(log)], level=logging.INFO, format="%(message)s")
    setup = module.say_hello()
    stop = stop_event(module)
    boards = connected_boards(module, setup.connections["bsp"])
    try:
        site = build(module, setup.configs.module or {}, setup.connections, boards)
    except SettingsError as problem:
        for line in str(problem).splitlines():
            log.critical(line)
        return 1
    subscribe(module, site, setup.connections, boards)
    implement(module, site)
    module.init_done(site.start)
    stop.wait()
    site.stop()
    return 0


def build(
    module: Module, config: Args, connections: dict[str, list[Fulfillment]], boards: dict[str, Board]
) -> EnergySite:
    """Put the instance together from what it is configured and connected to."""
    settings = Settings.from_config(module.info.id, config, module.info.paths.etc)
    trunk, consumers = connections["energy_trunk"], connections["energy_consumer"]
    return EnergySite(
        settings,
        read_site(settings.site_file),
        Outside(
            children={child_id(child): enforce(module, child) for child in [*trunk, *consumers]},
            everest=Speaker(module),
            log=log,
            has_trunk=bool(trunk),
            broker=Broker.of_everest(os.environ),
            has_powermeter=bool(connections["powermeter"]),
            has_control="control" in module.implementations,
            serial_hub=next((caller(module, found) for found in connections["serial_hub"]), None),
            boards=boards,
        ),
    )


def connected_boards(module: Module, connected: list[Fulfillment]) -> dict[str, Board]:
    """Boards by their module."""
    if not connected:
        return {}
    from bsp.board import Board  # noqa: PLC0415 - megabytes that a site without does without

    return {found.module_id: Board(caller(module, found)) for found in connected}


def child_id(child: Fulfillment) -> str:
    """Name of a child in the log: its module, and its implementation where that is not the usual one."""
    is_usual = child.implementation_id == "energy_grid"
    return child.module_id if is_usual else f"{child.module_id}/{child.implementation_id}"


def enforce(module: Module, child: Fulfillment) -> Callable[[Args], None]:
    """Way to hand limits to a child; blocks until it has answered."""
    return lambda limits: module.call_command(child, "enforce_limits", {"value": limits})


def caller(module: Module, found: Fulfillment) -> Callable[[str, Mapping[str, Any]], Any]:
    """Way to call the commands of EVerest's serial hub, or of a board."""
    return lambda command, args: module.call_command(found, command, dict(args))


def subscribe(
    module: Module, site: EnergySite, connections: dict[str, list[Fulfillment]], boards: dict[str, Board]
) -> None:
    """Listen to everything that is connected."""

    def on_request_of(child: str) -> Callable[[Any], None]:
        return lambda request: site.handlers.request(child, request)

    for child in [*connections["energy_trunk"], *connections["energy_consumer"]]:
        module.subscribe_variable(child, "energy_flow_request", on_request_of(child_id(child)))
    for meter in connections["powermeter"]:
        module.subscribe_variable(meter, "powermeter", site.meters.on_powermeter)
    for prices in connections["price_information"]:
        module.subscribe_variable(prices, "energy_pricing", site.handlers.prices)
    for found in connections["bsp"]:
        board = boards[found.module_id]
        module.subscribe_variable(found, "capabilities", board.note_capabilities)
        module.subscribe_variable(found, "ac_nr_of_phases_available", board.note_phases_available)
        module.subscribe_variable(found, "ac_pp_ampacity", board.note_cable)


def implement(module: Module, site: EnergySite) -> None:
    """Answer every command of what the module provides."""

    def take(handler: Callable[[object], None]) -> Callable[[Args], None]:
        return lambda args: handler(args.get("value"))

    bills_nothing = {"status": "NOT_SUPPORTED", "error": "this meter bills nothing"}
    module.implement_command("energy_grid", "enforce_limits", take(site.handlers.enforce_limits))
    module.implement_command("external_limits", "set_external_limits", take(site.handlers.external_limits))
    for command in ("start_transaction", "stop_transaction"):
        module.implement_command("powermeter", command, lambda _: bills_nothing)
    if "control" in module.implementations:  # where it was installed, see docs
        for command, answer in site.commands.of_interface.items():
            module.implement_command("control", command, answer)


def stop_event(module: Module) -> threading.Event:
    """Set when EVerest, or whoever started the process, wants it to end."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if hasattr(module, "shutdown_handler"):  # everestpy has it since July 2026
        module.shutdown_handler(stop.set)
    return stop


class Speaker:
    """What the instance says to EVerest by itself."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def publish(self, implementation: str, variable: str, value: object) -> None:
        """Publish a variable."""
        self._module.publish_variable(implementation, variable, value)

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        """Raise an error of the implementation's interface, by its full name."""
        severity = error.Severity.Low if error_type.endswith("Warning") else error.Severity.High
        if factory := self._module.get_error_factory(implementation):
            raised = factory.create_error(error_type, sub_type, message, severity)
            self._module.raise_error(implementation, raised)

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        """Clear it."""
        self._module.clear_error(implementation, error_type, sub_type)


if __name__ == "__main__":
    sys.exit(main())
