"""`hil set`: one limit, pause or number of phases to one charger, by hand."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from bsp.connector_registers import ConnectorStatus, PointWrite, selected_phases
from bsp.device import Device
from bsp.profile import ConnectorProfile
from bsp.transport import BusError
from bsp.yaml_file import FileError
from hil.commands import device_options as option
from hil.commands.output import USAGE, errors_in_one_line, fail
from hil.field.charger import (
    NotPossibleError,
    read_status,
    writes_for_current,
    writes_for_phases,
)
from hil.field.session import explain, open_bus, place_of
from hil.field.target import Place, Target, TargetError

TAKES_S = 3.0
"""A charger may take so long to show a limit it was given."""
SWITCHES_S = 60.0
"""A charger may take so long to show that it has switched phases."""
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Order:
    """What the user wants: a limit (0 pauses), or a number of phases."""

    current_A: float | None = None
    phases: int | None = None

    @property
    def words(self) -> str:
        """The order, as a person says it."""
        if self.phases is not None:
            return f"charge on {self.phases} phase{'s' if self.phases > 1 else ''}"
        return f"limit to {self.current_A:g} A" if self.current_A else "pause"


def set_limit(
    name: option.SiteName = None,
    *,
    current: Annotated[float | None, typer.Option("--current", help="Limit per phase in ampere.")] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Stop charging.")] = False,
    phases: Annotated[int | None, typer.Option("--phases", help="1 or 3.")] = None,
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
    yes: option.Yes = False,
) -> None:
    """Tell a charger a limit, to pause, or on how many phases to charge; shows what it writes, and asks.

    Reads back whether the charger took it. Not for a charger that an energy manager drives at the same time.
    """
    with errors_in_one_line(FileError, TargetError):
        order = _order(current, phases, pause=pause)
        place = Place(tcp, serial, baud, parity, stop_bits, rtu_over_tcp, timeout)
        target = option.target(site, name, profile, place, unit=unit, number=number)
        charger = target.profile
        if not isinstance(charger, ConnectorProfile):
            raise TargetError(f"{target.name} is a meter; only chargers can be set")
        if order.phases is not None and target.phases_locked:
            raise TargetError(f"the site file locks the phases of {target.name} (phase_switching: locked)")
        if order.current_A and target.maximum_A is not None and order.current_A > target.maximum_A:
            raise TargetError(f"the site file allows {target.name} {target.maximum_A:g} A at most")
    try:
        asyncio.run(_set(target, charger, order, ask=not yes))
    except NotPossibleError as error:
        fail(str(error), USAGE)
    except BusError as error:
        fail(explain(error, target))


def _order(current_A: float | None, phases: int | None, *, pause: bool) -> Order:
    if (current_A is not None) + (phases is not None) + pause != 1:
        raise TargetError("say one of --current AMPERE, --pause, --phases 1|3")
    return Order(current_A=0.0 if pause else current_A, phases=phases)


async def _set(target: Target, profile: ConnectorProfile, order: Order, *, ask: bool) -> None:
    async with open_bus(target.link) as bus:
        device = Device(bus, target.unit, profile, base=target.base)
        before, sample = await read_status(device, profile)
        if order.phases is not None:
            writes = writes_for_phases(profile, order.phases, before, sample.values)
        else:
            writes = writes_for_current(profile, order.current_A or 0.0)
        _show(target, profile, order, before, writes)
        if ask and not await asyncio.to_thread(typer.confirm, "Write this?"):
            raise typer.Exit(1)
        for write in writes:
            await device.write(write.point, write.value)
        taken = await _is_taken(device, profile, order)
    if taken is None:
        typer.echo("written; this charger does not show what it was told")
    elif taken:
        typer.echo(f"done: the charger shows it ({order.words})")
    else:
        fail(f"written, but the charger does not show it: read it with `hil read` ({order.words})")


def _show(
    target: Target,
    profile: ConnectorProfile,
    order: Order,
    before: ConnectorStatus,
    writes: Sequence[PointWrite],
) -> None:
    limit = "unknown" if before.limit_A is None else f"{before.limit_A:g} A"
    typer.echo(f"{target.name}, unit {target.unit} on {place_of(target.link)}: {order.words}")
    typer.echo(f"  now: state {before.state}, limit {limit}, {before.active_phases} phases")
    for write in writes:
        point = profile.points[write.point]
        address = point.address + (0 if point.absolute else target.base)
        typer.echo(f"  writes {write.point} = {write.value:g} ({point.table} {address})")
    if order.current_A and profile.limit_for(order.current_A) != order.current_A:
        typer.echo(f"  the charger takes steps of {profile.step_A:.3g} A")
    watchdog = profile.watchdog
    if watchdog is not None:
        typer.echo(
            f"  without a manager this holds for about {watchdog.timeout:g} s, then: {watchdog.expires_to}"
        )


async def _is_taken(device: Device, profile: ConnectorProfile, order: Order) -> bool | None:
    """Read back until the charger shows the order; None where it cannot."""
    until_s = time.monotonic() + (TAKES_S if order.phases is None else SWITCHES_S)
    while True:
        status, sample = await read_status(device, profile)
        if order.phases is not None:
            shown: float | None = selected_phases(profile.phase_switching, sample.values)
            wanted, tolerance = float(order.phases), 0.0
        else:
            shown, wanted = status.limit_A, profile.limit_for(order.current_A or 0.0)
            tolerance = max(profile.step_A / 2, 0.01)
        if shown is None:
            return None
        if abs(shown - wanted) <= tolerance or time.monotonic() > until_s:
            return abs(shown - wanted) <= tolerance
        await asyncio.sleep(_LOOK_EVERY_S)
