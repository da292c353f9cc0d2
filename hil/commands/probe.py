"""`hil probe`: which meters are on a line or host."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bsp.profile import Serial
from bsp.transport import DisconnectedError, SerialLink
from hil.commands import device_options as option
from hil.commands.output import errors_in_one_line, fail
from hil.field.listen import hint
from hil.field.session import cannot_open, line_settings, place_of, stable_port
from hil.field.target import Link, Place, TargetError
from hil.probe import Found, Search, named_settings, search_host, search_line
from hil.probe.search import HOST_TIMEOUT_S, LINE_TIMEOUT_S


def probe(
    *,
    tcp: option.Tcp = None,
    serial: option.Serial = None,
    units: Annotated[
        list[int] | None, typer.Option("--unit", min=0, max=255, help="Only this unit; may be given again.")
    ] = None,
    every_unit: Annotated[
        bool, typer.Option("--every-unit", help="All 247 units, not only the likely ones.")
    ] = False,
    baud: option.Baud = None,
    parity: option.Parity = None,
    stop_bits: option.StopBits = None,
    rtu_over_tcp: option.RtuOverTcp = False,
    timeout: option.Timeout = None,
    nominal: Annotated[float, typer.Option(help="Volts between phase and neutral.")] = 230.0,
    as_json: option.AsJson = False,
) -> None:
    """Find meters: line settings, unit, and the profile whose readings make sense. Only reads, never writes.

    Stop the energy manager first: a serial line bears one master.
    """
    with errors_in_one_line(TargetError):
        link = Place(tcp, serial, baud, parity, stop_bits, rtu_over_tcp, timeout).link()
    wait_s = timeout or (LINE_TIMEOUT_S if isinstance(link, SerialLink) else HOST_TIMEOUT_S)
    link = replace(link, timeout_s=wait_s)
    search = Search(
        every_unit=every_unit,
        units=tuple(units or ()),
        settings=_settings(link, baud, parity, stop_bits),
        nominal_V=nominal,
        progress=lambda text: typer.echo(f"… {text}", err=True),
    )
    try:
        found = asyncio.run(_find(link, search))
    except DisconnectedError:
        fail(cannot_open(link))
    if as_json:
        typer.echo(json.dumps([_json(one) for one in found], indent=2))
    elif found:
        Console().print(_table(found))
        typer.echo("\n".join(site_lines(found)))
    if not found:
        fail(_nobody(link))
    if not any(one.identity for one in found):
        fail(
            "somebody answers, but no described meter fits: see `hil devices`; a charger is not searched for"
        )


def _settings(link: Link, baud: int | None, parity: str | None, stop_bits: int | None) -> tuple[Serial, ...]:
    """Give the settings to try: those that profiles name, and that are as the user says."""
    if not isinstance(link, SerialLink) or (baud, parity, stop_bits) == (None, None, None):
        return ()
    fitting = [
        named
        for named in named_settings()
        if baud in (None, named.baudrate)
        and parity in (None, named.parity)
        and stop_bits in (None, named.stop_bits)
    ]
    return tuple(fitting) or (Serial(link.baudrate, link.parity, link.stop_bits),)


async def _find(link: Link, search: Search) -> list[Found]:
    if isinstance(link, SerialLink):
        return [found async for found in search_line(link, search)]
    return [found async for found in search_host(link, search)]


def _nobody(link: Link) -> str:
    if isinstance(link, SerialLink):
        return f"nobody answers on {link.port}: {hint(link, 1)}"
    return (
        f"{place_of(link)} accepts the connection, but no unit answers: try --rtu-over-tcp, or --every-unit"
    )


def site_lines(found: Sequence[Found]) -> list[str]:
    """Give the lines that describe what was found, for a site file."""
    known = [one for one in found if one.identity is not None]
    if not known:
        return []
    link = known[0].link
    if isinstance(link, SerialLink):
        bus, where = "rs485", f"serial: {stable_port(link.port)}, baudrate: {link.baudrate}"
        where += f", parity: {link.parity}, stop_bits: {link.stop_bits}"
    else:
        bus, where = "lan", f"host: {link.host}, port: {link.port}"
        where += ", framing: rtu" if link.framing == "rtu" else ""
    lines = ["buses:", f"  {bus}: {{{where}}}", "meters:"]
    for one in known:
        if one.identity is not None:
            comment = _one_of(one)
            lines.append(
                f"  meter_{one.unit}: {{profile: {one.identity.best.name}, bus: {bus}, unit: {one.unit}}}"
                + (f" # {comment}" if comment else "")
            )
    return lines


def _one_of(found: Found) -> str:
    """Say that nothing tells some profiles apart."""
    if found.identity is None or not found.identity.others:
        return ""
    names = [found.identity.best.name, *(other.name for other in found.identity.others)]
    return f"one of {', '.join(names)}: they show the same"


def _table(found: Sequence[Found]) -> Table:
    link = found[0].link
    settings = f" at {line_settings(link)}" if isinstance(link, SerialLink) else ""
    table = Table(
        title=f"{place_of(link)}{settings}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for title in ("unit", "meter", "sure", "because"):
        table.add_column(title, overflow="fold")
    for one in found:
        if one.identity is None:
            table.add_row(str(one.unit), "answers, but no described meter fits", "", "")
            continue
        best = one.identity.best
        models = ", ".join(best.profile.models)
        texts = [evidence.text for evidence in best.evidence]
        remarks = [*one.identity.notes, *([_one_of(one)] if _one_of(one) else [])]
        table.add_row(
            str(one.unit),
            f"{best.name}\n{best.profile.vendor} {models}",
            f"{one.identity.confidence:.0%}",
            "\n".join([", ".join(texts), *remarks]),
        )
    return table


def _json(found: Found) -> dict[str, Any]:
    identity, link = found.identity, found.link
    place: dict[str, Any] = (
        {"serial": link.port, "baudrate": link.baudrate, "parity": link.parity, "stop_bits": link.stop_bits}
        if isinstance(link, SerialLink)
        else {"host": link.host, "port": link.port, "framing": link.framing}
    )
    shown: dict[str, Any] = {**place, "unit": found.unit}
    if identity is not None:
        shown["profile"] = identity.best.name
        shown["one_of"] = [identity.best.name, *(other.name for other in identity.others)]
        shown["confidence"] = round(identity.confidence, 3)
        shown["evidence"] = [{"weight": e.weight, "text": e.text} for e in identity.best.evidence]
        shown["notes"] = list(identity.notes)
        shown["site"] = site_lines([found])
    return shown
