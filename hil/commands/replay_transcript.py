"""`hil replay-transcript`: recorded sessions of a real EVerest, answered by this module."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from hil.commands.output import errors_in_one_line, fail
from hil.replay.comparison import Answer, Verdict, compare, stretches
from hil.replay.direct import direct_answers, write_replay_case
from hil.replay.live import ReplayError, live_answers
from hil.replay.transcript import Transcript, TranscriptError, load_transcript
from hil.runtime.manager import RunError


def replay_transcript(
    file: Annotated[Path, typer.Argument(help="Recording of EVerest's MQTT traffic, JSON Lines.")],
    *,
    speed: Annotated[float, typer.Option(min=0.1, help="How many times faster than recorded.")] = 1.0,
    broker: Annotated[str | None, typer.Option(help="host:port; without one, one is embedded.")] = None,
    as_child: Annotated[
        bool,
        typer.Option("--as-child", help="Recorded node as a consumer below the module, not as its trunk."),
    ] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="Without MQTT: ask the decisions directly.")
    ] = False,
    export_jsonl: Annotated[
        Path | None, typer.Option(help="Only write the case for `python -m energy_management.replay`.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the log of the run.")] = False,
) -> None:
    """Replay the recorded requests to PyEnergyManager and compare its limits with the recorded ones.

    Every difference is printed with its reason; one without a reason makes the command fail.
    """
    with errors_in_one_line(TranscriptError):
        transcript = load_transcript(file)
    if export_jsonl:
        write_replay_case(transcript, export_jsonl, file.stem)
        typer.echo(f"{export_jsonl}: {len(transcript.runs)} steps")
        return
    decisions = direct_answers(transcript)
    if direct:
        verdicts = compare(transcript, decisions)
    else:
        answers = _live(transcript, file, broker, speed, as_child=as_child, verbose=verbose)
        verdicts = compare(transcript, answers, decisions=decisions)
    show(verdicts, Console())
    unexplained = sum(not verdict.explained for verdict in verdicts)
    if unexplained:
        fail(f"{unexplained} of {len(verdicts)} limits differ from EVerest's without a reason")


def _live(
    transcript: Transcript, file: Path, broker: str | None, speed: float, *, as_child: bool, verbose: bool
) -> list[Answer]:
    lines: list[str] = []
    log = (lambda line: typer.echo(line, err=True)) if verbose else lines.append
    try:
        return live_answers(transcript, file, broker=broker, speed=speed, as_child=as_child, log=log)
    except (ReplayError, RunError, OSError) as error:
        fail("\n".join([*lines[-20:], str(error)]))


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print what is equal and what differs, stretch by stretch."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("EVSE", overflow="fold")
    table.add_column("state", no_wrap=True)
    for title in ("at s", "EVerest", "ours"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("why", ratio=1, overflow="fold")
    for stretch in stretches(verdicts):
        first = stretch.first
        style = "" if first.equal else "yellow" if first.explained else "bold red"
        table.add_row(
            first.uuid,
            first.evse_state,
            f"{first.at_s:.1f} to {stretch.until_s:.1f}",
            str(first.everest),
            str(first.ours or "none"),
            first.reason or "equal",
            style=style,
        )
    console.print(table)
    equal = sum(verdict.equal for verdict in verdicts)
    other_source = sum(verdict.other_source for verdict in verdicts)
    console.print(
        f"{len(verdicts)} limits: {equal} equal ({other_source} of them name another source), "
        f"{len(verdicts) - equal} different"
    )
