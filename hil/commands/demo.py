"""`hil demo`: the main job on a simulated site, live in the terminal."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from hil.commands.output import fail
from hil.demo.demo import Demo, Options
from hil.demo.view import Snapshot, line, live
from hil.runtime.manager import ConfigError, RunError

LINE_EVERY_S = 3.0


def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after this time.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a JSON summary to this file.")] = None,
    broker: Annotated[str | None, typer.Option(help="host:port; without one, one is embedded.")] = None,
    seed: Annotated[int, typer.Option(help="Of the house load: same seed, same history.")] = 1,
    log: Annotated[Path | None, typer.Option(help="Write what the modules log to this file.")] = None,
) -> None:
    """Share a 35 A grid connection among two EVerest EVSEs, two Modbus wallboxes and a house that moves.

    Ends with 0 when no fuse was violated and every process lived.
    """
    stop = threading.Event()
    lines: list[str] = []
    with _stopped_by_signals(stop), _view() as show:
        this = Demo(Options(seconds, broker, seed, lines.append), show)
        try:
            result = this.run(stop)
        except (ConfigError, RunError, OSError, ValueError) as error:
            problem = str(error)
        else:
            problem = ""
    if log:
        log.write_text("\n".join(lines) + "\n")
    if problem:
        fail("\n".join([*this.last_lines, problem]))
    if report:
        report.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    if not result.ok:
        typer.echo("\n".join(this.last_lines), err=True)
    typer.echo("\n".join(result.lines()))
    raise typer.Exit(0 if result.ok else 1)


@contextmanager
def _view() -> Iterator[Callable[[Snapshot], None]]:
    """Show a live table in a terminal, a line every few seconds elsewhere."""
    console = Console()
    if not console.is_terminal:
        yield _Lines()
        return
    with Live(console=console, auto_refresh=False) as display:
        display.update("starting: broker, runtime, modules …", refresh=True)
        yield lambda snapshot: display.update(live(snapshot), refresh=True)


class _Lines:
    """Prints a line when the last is some time ago."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def __call__(self, snapshot: Snapshot) -> None:
        if snapshot.elapsed_s >= self._next_s:
            typer.echo(line(snapshot))
            self._next_s = snapshot.elapsed_s + LINE_EVERY_S


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set an event."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
