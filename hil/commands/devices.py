"""`hil devices`: the meters, chargers and relay boards that are described."""

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from hil.commands.output import fail
from hil.field.catalog import markdown, rows


def devices(
    name: Annotated[
        str, typer.Argument(metavar="[TEXT]", help="Only those with this in name or models.")
    ] = "",
    *,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/devices.md, with sources and notes.")
    ] = False,
) -> None:
    """List the devices that are described: what each can do, and what stands behind its profile."""
    if as_markdown:
        typer.echo(markdown(rows()), nl=False)
        return
    shown = [row for row in rows() if name.lower() in f"{row.name} {row.device}".lower()]
    if not shown:
        fail(f"no described device has '{name}' in its name; `hil devices` lists all")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("profile", "kind", "device", "can do", "connection", "verified"):
        table.add_column(title, overflow="fold", no_wrap=title == "profile")
    for row in shown:
        table.add_row(row.name, row.kind, row.device, "; ".join(row.abilities), row.connection, row.verified)
    Console().print(table)
