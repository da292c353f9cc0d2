"""How commands end: errors in one line, no traceback for what a user can mend."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

USAGE = 2
"""Exit code for input that cannot be used."""


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message on stderr."""
    for line in message.splitlines():
        typer.echo(line, err=True)
    raise typer.Exit(code)


@contextmanager
def errors_in_one_line(*expected: type[Exception]) -> Iterator[None]:
    """Turn expected exceptions into messages."""
    try:
        yield
    except expected as error:
        fail(str(error), USAGE)


def progress_bar(console: Console) -> Progress:
    """Make a bar with how many of how many are done, and when the rest will be."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
