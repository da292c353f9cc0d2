"""Options by which commands are told which device they are about."""

from pathlib import Path
from typing import Annotated

import typer

from hil.field.target import Place, Target, TargetError, target_of_options, target_of_site

Tcp = Annotated[str | None, typer.Option("--tcp", metavar="HOST[:PORT]", help="Modbus TCP host.")]
Serial = Annotated[str | None, typer.Option("--serial", metavar="PORT", help="RS-485 adapter.")]
Baud = Annotated[
    int | None, typer.Option("--baud", help="Baud rate; by default the device's factory setting.")
]
Parity = Annotated[str | None, typer.Option("--parity", metavar="N|E|O", help="Parity of the line.")]
StopBits = Annotated[int | None, typer.Option("--stop-bits", metavar="1|2", help="Stop bits of the line.")]
RtuOverTcp = Annotated[
    bool, typer.Option("--rtu-over-tcp", help="The host is a serial device server that passes RTU frames.")
]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0.01, help="Seconds to wait for an answer.")]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="What it is: a name of `hil devices`, or a YAML file.")
]
Unit = Annotated[int | None, typer.Option("--unit", min=0, max=255, help="Its Modbus address.")]
Number = Annotated[int, typer.Option("--number", min=1, help="Which connector of a charger with several.")]
SiteFile = Annotated[Path | None, typer.Option("--site", help="Take all of this from a site file.")]
SiteName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Its name in the site file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def target(
    site: Path | None,
    name: str | None,
    profile: str | None,
    place: Place,
    *,
    unit: int | None,
    number: int,
) -> Target:
    """Find the device that options are about: by its name in a site file, or by profile and place.

    Raises
    ------
    TargetError
        Something is missing, or is not known.
    FileError
        Site file or profile is not what it must be.
    """
    if site is not None and name is None:
        raise TargetError("missing: the NAME of a meter or connector in the site file")
    if site is not None and name is not None:
        return target_of_site(site, name)
    if profile is None:
        raise TargetError("missing: --profile, or --site FILE NAME")
    return target_of_options(profile, place, unit, number)
