"""How much of a serial line the bridge uses, and what CPU time many TCP devices cost it.

Devices are simulated: those on the line in this process, with bytes that take as long as at 9600 baud; those
on TCP in a process of their own, so that only the bridge is measured.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections import Counter
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from rich.console import Console
from rich.table import Table

from bsp.bridge import Bridge, ConnectorConfig, MeterConfig
from bsp.bus import Bus
from bsp.connector import Connector, ConnectorLimit
from bsp.device import Device
from bsp.meter import Meter
from bsp.profile import connector_profile, meter_profile
from bsp.transport import ModbusTransport, SerialLink, TcpLink
from energy_management.measurement import Reading
from hil.devices import MeterDevice, PtyLine, RegisterDevice, WallboxDevice, serve_rtu_pty, serve_tcp

BAUDRATE = 9600
LINE_TARGET = 0.80
CPU_TARGET = 0.25
DEVICES = 50
EVERY_S = 0.2
METER = "eastron_sdm630"
ON_THE_LINE = ("evse_din_wb", "smartevse_v2_v3_modbus", "phoenix_ev_cc_ac1_m_ser", "obo_ion")
ON_TCP = "alfen_eve"
_SILENCE_S = 3.5 * 11 / BAUDRATE
"""Before each request, as Modbus over Serial Line has it. The simulated devices answer without any."""

Json = dict[str, Any]


class Car:
    """A charging point whose car draws what it is offered."""

    state = "C"
    voltage_V = (230.0, 230.0, 230.0)
    energy_Wh = 1000.0
    limit_A = 0.0

    @property
    def current_A(self) -> tuple[float, float, float]:
        """Current per phase."""
        return (self.limit_A,) * 3

    def set_limit(self, current_A: float) -> None:
        """Offer this current."""
        self.limit_A = current_A


def measured() -> Reading:
    return Reading(
        taken_at=0.0,
        current_A=(10.0, 11.0, 12.0),
        voltage_V=(230.0, 230.0, 230.0),
        power_W=(2300.0, 2530.0, 2760.0),
        total_power_W=7590.0,
        energy_import_Wh=1000.0,
        energy_export_Wh=0.0,
        frequency_Hz=50.0,
    )


async def drive(served: PtyLine, seconds: float) -> Json:
    """Go round as fast as it goes: each cycle reads all and writes another limit to every connector."""
    bus = Bus("rs485", ModbusTransport(SerialLink(served.path)))
    owner = asyncio.create_task(bus.run())
    profile = meter_profile(METER)
    meter = Meter(Device(bus, 1, profile), profile, time.monotonic)
    connectors = [
        Connector(Device(bus, unit, charger), charger, time.monotonic)
        for unit, charger in enumerate(map(connector_profile, ON_THE_LINE), start=2)
    ]

    async def cycle(limit_A: float) -> None:
        for connector in connectors:
            connector.enforce(ConnectorLimit(limit_A, valid_for_s=60.0))
        polled = asyncio.create_task(meter.poll())
        statuses = await asyncio.gather(*(connector.cycle() for connector in connectors))
        await polled
        assert all(status.limit_A == limit_A and not status.fault for status in statuses), statuses

    await cycle(6.0)  # sets everything up
    count, before, requests, began = 0, served.carried_s, _requests(served), time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += 1
        await cycle(10.0 + count % 2)
    elapsed_s = time.perf_counter() - began
    transactions = _requests(served) - requests
    busy_s = served.carried_s - before + transactions * _SILENCE_S
    owner.cancel()
    await asyncio.gather(owner, return_exceptions=True)
    return {
        "cycles_per_s": count / elapsed_s,
        "limit_per_s": count / busy_s,
        "requests_per_cycle": transactions / count,
        "fraction": busy_s / elapsed_s,
    }


def line(seconds: float) -> Json:
    """Let one meter and four connectors share a line."""
    devices: dict[int, RegisterDevice] = {1: MeterDevice(meter_profile(METER), measured)}
    for unit, name in enumerate(ON_THE_LINE, start=2):
        devices[unit] = WallboxDevice(connector_profile(name), Car())
    with serve_rtu_pty(devices, baudrate=BAUDRATE) as served:
        return asyncio.run(drive(served, seconds))


def _requests(served: PtyLine) -> int:
    return sum(device.requests for device in served.devices.values())


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def serve(count: int, ports: Connection) -> None:
    """Serve devices on as many ports until told to end: every other one a meter, the rest chargers."""
    with ExitStack() as stack:
        found = []
        for number in range(count):
            meter, charger = MeterDevice(meter_profile(METER), measured), connector_profile(ON_TCP)
            device = WallboxDevice(charger, Car()) if number % 2 else meter
            found.append(stack.enter_context(serve_tcp({1: device})).port)
        ports.send(found)
        ports.recv()


def many(count: int, seconds: float) -> Json:
    """Read so many devices on TCP five times a second, half of them chargers; find the CPU time it takes."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(count, theirs), daemon=True)
    server.start()
    seen: Counter[str] = Counter()
    try:
        links = {str(number): TcpLink("127.0.0.1", port) for number, port in enumerate(ours.recv())}
        meters = {n: MeterConfig(n, 1, meter_profile(METER), EVERY_S) for n in list(links)[::2]}
        chargers = {
            n: ConnectorConfig(n, 1, connector_profile(ON_TCP), every_s=EVERY_S) for n in list(links)[1::2]
        }

        def on_news(name: str, _: object) -> None:
            seen[name] += 1

        bridge = Bridge(links, meters, chargers, on_reading=on_news, on_status=on_news)
        bridge.start()
        try:
            wait(2.0)
            before, cpu_s, began = seen.total(), time.process_time(), time.perf_counter()
            wait(seconds)
            elapsed_s = time.perf_counter() - began
            return {
                "devices": count,
                "readings_per_s": (seen.total() - before) / elapsed_s / count,
                "cpu": (time.process_time() - cpu_s) / elapsed_s,
            }
        finally:
            bridge.stop()
    finally:
        ours.send(None)
        server.join(5)


def run(line_s: float = 20.0, tcp_s: float = 10.0, devices: int = DEVICES) -> Json:
    """Take both measurements, as an object for JSON."""
    return {"line": line(line_s), "tcp": many(devices, tcp_s)}


def show(found: Json, console: Console) -> None:
    """Print what `run` found."""
    table = Table(title="bridge", box=None)
    for heading in ("", "measured", "limit or goal"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    on_line, tcp = found["line"], found["tcp"]
    table.add_row(
        f"1 meter, {len(ON_THE_LINE)} connectors at {BAUDRATE} baud: cycles/s",
        f"{on_line['cycles_per_s']:.2f}",
        f"{on_line['limit_per_s']:.2f} (line)",
    )
    table.add_row(
        "of what the line can carry",
        _coloured(on_line["fraction"], is_met=on_line["fraction"] >= LINE_TARGET),
        f">= {LINE_TARGET:.0%}",
    )
    table.add_row(
        f"{tcp['devices']} devices on TCP: readings/s of each",
        f"{tcp['readings_per_s']:.2f}",
        f"{1 / EVERY_S:g}",
    )
    table.add_row("of one core", _coloured(tcp["cpu"], is_met=tcp["cpu"] < CPU_TARGET), f"< {CPU_TARGET:.0%}")
    console.print(table)


def _coloured(fraction: float, *, is_met: bool) -> str:
    return f"[{'green' if is_met else 'red'}]{fraction:.0%}[/]"
