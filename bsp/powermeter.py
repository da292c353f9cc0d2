"""Readings in the shape of EVerest's Powermeter type, and a meter read once for it."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bsp.bus import Bus
from bsp.device import Device
from bsp.leaf import rfc3339
from bsp.meter import Meter, reading
from bsp.profile import MeterProfile
from bsp.registers import Value
from bsp.transport import ModbusTransport, SerialLink, TcpLink

_FIELDS = {
    "energy_Wh_import": "energy_Wh.import",
    "energy_Wh_export": "energy_Wh.export",
    "power_W": "power_W",
    "voltage_V": "voltage_V",
    "current_A": "current_A",
    "VAR": "reactive_power_VAR",
    "frequency_Hz": "frequency_Hz",
}
"""Fields of a Powermeter, and what points of that quantity are called in profiles."""
_HAVE_TOTAL = ("energy_Wh_import", "energy_Wh_export", "power_W", "VAR")
_HAVE_NEUTRAL = ("current_A",)


def powermeter(values: Mapping[str, Value], taken: datetime, meter_id: str | None = None) -> dict[str, Any]:
    """Turn values by point name into an EVerest Powermeter.

    Parameters
    ----------
    values : mapping of str to Value
        As a meter's profile names them.
    taken : datetime
        When they were measured, aware.
    meter_id : str, optional
        Name of the meter; by default what the meter itself says.

    Returns
    -------
    dict
        With all that EVerest has a place for and the meter measures. What it does not measure is left out.
        Import is positive: currents have the sign of their power.
    """
    values = {**values, **dict(_signed(values))}
    result: dict[str, Any] = {"timestamp": rfc3339(taken)}
    name = meter_id or values.get("meter_id")
    if name:
        result["meter_id"] = str(name)
    for field, quantity in _FIELDS.items():
        parts = dict(_parts(field, quantity, values))
        if parts and ("total" in parts or field not in _HAVE_TOTAL):
            result[field] = parts
    return result


def read_powermeter(
    link: SerialLink | TcpLink, profile: MeterProfile, unit: int | None = None
) -> dict[str, Any]:
    """Read a meter once, on a bus that nobody else uses.

    Parameters
    ----------
    link : SerialLink or TcpLink
        Where it is.
    profile : MeterProfile
        What it is.
    unit : int, optional
        Its Modbus address; by default that of the factory.

    Raises
    ------
    BusError
        It could not be read.
    """
    return asyncio.run(_read_powermeter(link, profile, profile.unit if unit is None else unit))


async def _read_powermeter(link: SerialLink | TcpLink, profile: MeterProfile, unit: int) -> dict[str, Any]:
    bus = Bus(link.port if isinstance(link, SerialLink) else link.host, ModbusTransport(link))
    owner = asyncio.create_task(bus.run())
    try:
        sample = await Meter(Device(bus, unit, profile), profile, time.monotonic).read_everything()
    finally:
        owner.cancel()
        await asyncio.gather(owner, return_exceptions=True)
    age_s = time.monotonic() - sample.taken_at
    return powermeter(sample.values, datetime.now(UTC) - timedelta(seconds=age_s))


def _signed(values: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Yield currents and total power with the signs that a `Reading` has."""
    measured = reading(values, taken_at=0.0)
    for phase, current_A in zip(("L1", "L2", "L3"), measured.current_A or (), strict=False):
        if values.get(f"current_A.{phase}") is not None:
            yield f"current_A.{phase}", current_A
    if measured.total_power_W is not None:
        yield "power_W.total", measured.total_power_W


def _parts(field: str, quantity: str, values: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
    """Yield the phases, and the total or neutral, that are known of a quantity."""
    names = {phase: f"{quantity}.{phase}" for phase in ("L1", "L2", "L3")}
    if field in _HAVE_TOTAL:
        names["total"] = quantity if quantity.startswith("energy") else f"{quantity}.total"
    if field in _HAVE_NEUTRAL:
        names["N"] = f"{quantity}.N"
    if field == "frequency_Hz":
        names["L1"] = quantity
    for part, name in names.items():
        value = values.get(name)
        if isinstance(value, int | float):
            yield part, float(value)
