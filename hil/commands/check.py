"""`hil check`: an EVerest configuration and its site file as a whole, before anything runs."""

from pathlib import Path
from typing import Annotated

import typer

from bsp.yaml_file import FileError
from control.site_file import load_site
from hil.commands.output import fail
from hil.field.station import check_station
from hil.runtime.manager import ConfigError, RunConfig


def check(
    config: Annotated[Path, typer.Argument(help="EVerest configuration, or a site file alone.")],
) -> None:
    """Check a configuration with all that it names: manifests, connections, site files, profiles, fuses.

    Ends with 0 if it can run; what is worth knowing is printed all the same.
    """
    notes: list[str] = []
    try:
        if _is_site_file(config):
            load_site(config)
            typer.echo("the site file is right")
            return
        remarks = check_station(RunConfig.load(config, log=notes.append), config.resolve().parent)
    except (ConfigError, FileError) as error:
        fail(str(error))
    for text in [*notes, *(remark.text for remark in remarks if not remark.is_error)]:
        typer.echo(f"note: {text}")
    errors = [remark.text for remark in remarks if remark.is_error]
    if errors:
        fail("\n".join(errors))
    typer.echo("the configuration is right")


def _is_site_file(path: Path) -> bool:
    """Whether a file is a site file: it has no modules, but buses or a grid."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    keys = {line.split(":")[0] for line in lines if line[:1].isalpha()}
    return "active_modules" not in keys and bool(keys & {"grid", "buses", "connectors", "meters"})
