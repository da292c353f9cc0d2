"""`hil read`: one reading of a meter or charger, without writing anything."""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bsp.connector_registers import ConnectorStatus
from bsp.device import Device
from bsp.leaf import rfc3339
from bsp.meter import Meter
from bsp.powermeter import powermeter
from bsp.profile import ConnectorProfile, MeterProfile
from bsp.registers import Value
from bsp.transport import BusError
from bsp.yaml_file import FileError
from hil.commands import device_options as option
from hil.commands.output import errors_in_one_line, fail
from hil.field.charger import read_status
from hil.field.session import explain, open_bus, place_of
from hil.field.target import Place, Target, TargetError

_ROWS = {
    "voltage_V": ("voltage", "V", 1),
    "current_A": ("current", "A", 2),
    "power_W": ("power", "W", 0),
    "VAR": ("reactive power", "var", 0),
    "energy_Wh_import": ("imported", "kWh", 3),
    "energy_Wh_export": ("exported", "kWh", 3),
    "frequency_Hz": ("frequency", "Hz", 2),
}
_COLUMNS = ("L1", "L2", "L3", "N", "total")
_STATES = {
    "A": "no car",
    "B": "car connected",
    "C": "charging",
    "D": "charging with ventilation",
    "E": "error",
    "F": "error or not available",
}


def read(
    name: option.SiteName = None,
    *,
    profile: option.ProfileName = None,
    tcp: option.Tcp = None,
    serial: option.Serial = None,
    unit: option.Unit = None,
    number: option.Number = 1,
    baud: option.Baud = None,
    parity: option.Parity = None,
    stop_bits: option.StopBits = None,
    rtu_over_tcp: option.RtuOverTcp = False,
    timeout: option.Timeout = None,
    site: option.SiteFile = None,
    as_json: option.AsJson = False,
) -> None:
    """Read a meter or charger once; as a table, or with --json a meter in the shape of EVerest's Powermeter.

    Whatever is not given has the factory setting of the device. Nothing is written.
    """
    with errors_in_one_line(FileError, TargetError):
        place = Place(tcp, serial, baud, parity, stop_bits, rtu_over_tcp, timeout)
        target = option.target(site, name, profile, place, unit=unit, number=number)
    try:
        shown = asyncio.run(_read(target))
    except BusError as error:
        fail(explain(error, target))
    if as_json:
        typer.echo(json.dumps(_rounded(shown), indent=2))
    else:
        Console().print(_table(target, shown))


async def _read(target: Target) -> dict[str, Any]:
    async with open_bus(target.link) as bus:
        device = Device(bus, target.unit, target.profile, base=target.base)
        if isinstance(target.profile, MeterProfile):
            sample = await Meter(device, target.profile, time.monotonic).read_everything()
            return powermeter(sample.values, _taken(sample.taken_at))
        status, sample = await read_status(device, target.profile)
        return charger_json(target.profile, status, sample.values, _taken(sample.taken_at))


def charger_json(
    profile: ConnectorProfile, status: ConnectorStatus, values: Mapping[str, Value], taken: datetime
) -> dict[str, Any]:
    """Give a connector's status as JSON; what it does not know is left out."""
    measured = powermeter(values, taken)
    shown: dict[str, Any] = {
        "timestamp": rfc3339(taken),
        "state": status.state,
        "limit_A": status.limit_A,
        "phases": status.active_phases,
        "fault": status.fault,
        "min_current_A": profile.least_A,
        "max_current_A": profile.current_limit.maximum,
        **{field: measured[field] for field in _ROWS if field in measured},
    }
    if status.energy_Wh is not None:
        shown["energy_Wh_import"] = {"total": status.energy_Wh, **shown.get("energy_Wh_import", {})}
    return {key: value for key, value in shown.items() if value is not None}


def _table(target: Target, shown: Mapping[str, Any]) -> Table:
    profile = target.profile
    title = (
        f"{target.name}: {profile.vendor} {profile.models[0]}, unit {target.unit} on {place_of(target.link)}"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for column in (*_COLUMNS, ""):
        table.add_column(column, justify="right" if column else "left")
    if "state" in shown:
        _add_charger(table, shown)
    for field, (label, unit, digits) in _ROWS.items():
        parts = shown.get(field)
        if parts:
            factor = 1e-3 if unit == "kWh" else 1.0
            cells = [f"{parts[c] * factor:.{digits}f}" if c in parts else "" for c in _COLUMNS]
            table.add_row(label, *cells, unit)
    return table


def _add_charger(table: Table, shown: Mapping[str, Any]) -> None:
    def row(label: str, text: str, unit: str = "") -> None:
        table.add_row(label, *[""] * (len(_COLUMNS) - 1), text, unit)

    row("state", shown["state"], _STATES[shown["state"]])
    limit_A = shown.get("limit_A", math.nan)
    row("limit", "not readable" if math.isnan(limit_A) else f"{limit_A:g}", "A" if limit_A else "A, paused")
    row("phases", str(shown["phases"]))
    if "fault" in shown:
        row("fault", "", shown["fault"])


def _rounded(shown: Any) -> Any:
    """Leave out the digits that come of binary numbers only; no device measures that well."""
    if isinstance(shown, Mapping):
        return {key: _rounded(value) for key, value in shown.items()}
    return round(shown, 3) if isinstance(shown, float) else shown


def _taken(taken_at: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - taken_at)
