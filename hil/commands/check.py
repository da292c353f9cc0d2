"""`hil check`: an EVerest configuration and its site file as a whole, before anything runs."""

from pathlib import Path
from typing import Annotated

import typer

from bsp.yaml_document import FileError, YamlDocument
from control.site_file import load_site
from control.site_sections import Sections
from hil.check import check_station, site_remarks
from hil.commands.output import fail
from hil.runtime.manager import ConfigError, RunConfig


def check(
    config: Annotated[Path, typer.Argument(help="EVerest configuration, or a site file alone.")],
    prefix: Annotated[
        Path | None, typer.Option(help="EVerest installation whose modules the configuration names.")
    ] = None,
) -> None:
    """Check a configuration with all that it names: manifests, connections, site files, profiles, fuses.

    Ends with 0 if it can run; what is worth knowing is printed all the same.
    """
    notes: list[str] = []
    try:
        if is_site := _is_site_file(config):
            remarks = list(site_remarks(config.name, load_site(config)))
        else:
            loaded = RunConfig.load(config, installation=prefix, log=notes.append)
            remarks = check_station(loaded, loaded.settings.etc_dir)
    except (ConfigError, FileError) as error:
        fail(str(error))
    for text in [*notes, *(remark.text for remark in remarks if not remark.is_error)]:
        typer.echo(f"note: {text}")
    errors = [remark.text for remark in remarks if remark.is_error]
    if errors:
        fail("\n".join(errors))
    typer.echo(f"the {'site file' if is_site else 'configuration'} is right")


def _is_site_file(path: Path) -> bool:
    """Whether a file is a site file: it has no modules, but parts of a site."""
    try:
        keys = {key[0] for key in YamlDocument.load(path).lines if key}
    except FileError:
        return False  # whoever reads it as a configuration tells what is wrong
    return "active_modules" not in keys and bool(keys & set(Sections.__struct_fields__))
