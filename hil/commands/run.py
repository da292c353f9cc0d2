"""`hil run`: any EVerest configuration of Python modules, on the bench's own runtime."""

import threading
from pathlib import Path
from typing import Annotated

import typer

from hil.runtime.manager import run_config


def run(
    config: Annotated[Path, typer.Argument(help="EVerest configuration (YAML).")],
    broker: Annotated[
        str | None, typer.Option(help="host:port or unix:/path; else that of the settings, else embedded.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="MQTT prefix instead of the configured one.")] = None,
    standalone: Annotated[
        list[str] | None, typer.Option(help="Module that you start yourself; may be given again.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End by itself after this time.")] = None,
) -> None:
    """Run an EVerest configuration until Ctrl-C, or until a module ends; anew after loss of the broker."""
    stop = threading.Event()
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
    raise typer.Exit(run_config(config, broker=broker, prefix=prefix, standalone=standalone or (), stop=stop))
