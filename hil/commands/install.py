"""`hil install`: the module in an installation of EVerest, ready to be named in its config."""

from pathlib import Path
from typing import Annotated

import typer

from hil.commands.output import fail
from hil.install import InstallError, plan


def install(
    prefix: Annotated[Path, typer.Option(help="Prefix of the EVerest installation.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    wheels: Annotated[
        Path | None, typer.Option(help="Directory with the packages of requirements.txt, without network.")
    ] = None,
) -> None:
    """Link the module into an EVerest installation, with its interface and an environment of its own.

    What is there already is left as it is, and nothing that somebody else has put there is touched.
    """
    try:
        for step in plan(prefix, wheels):
            if step.is_done:
                typer.echo(f"is there: {step.what}")
            elif dry_run:
                typer.echo(f"to do:    {step.what}")
            else:
                step.do()
                typer.echo(f"done:     {step.what}")
    except InstallError as error:
        fail(str(error))
