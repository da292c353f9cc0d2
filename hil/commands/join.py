"""`hil join`: a module on this computer, as part of an EVerest that runs on another."""

from pathlib import Path
from typing import Annotated

import typer

from hil.commands.output import errors_in_one_line
from hil.runtime import join as runtime

ROOT = Path(__file__).resolve().parents[2]


def join(
    module_id: Annotated[str, typer.Argument(help="Name of the module in that EVerest's configuration.")],
    *,
    broker: Annotated[str, typer.Option(help="host:port or unix:/path of that EVerest's broker.")],
    prefix: Annotated[str, typer.Option(help="Its mqtt_everest_prefix.")] = "everest",
    module_dir: Annotated[
        Path, typer.Option(help="Where the module is; this project's own by default.")
    ] = ROOT,
) -> None:
    """Run PyEnergyManager here, for an EVerest elsewhere that names it with `standalone: true`.

    Start it while that EVerest's manager waits for its standalone modules.
    """
    with errors_in_one_line(FileNotFoundError, ValueError):
        runtime.join(module_dir, module_id, broker, prefix)
