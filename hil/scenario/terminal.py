"""Outcomes in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hil.scenario.outcome import Outcome


def show(outcome: Outcome, console: Console, *, in_full: bool) -> None:
    """Print what became of one scenario.

    Parameters
    ----------
    in_full : bool
        Every assertion, not only those that do not hold.
    """
    held = sum(check.holds for check in outcome.checks)
    verdict = Text("ok    ", "bold green") if outcome.holds else Text("FAILED", "bold red")
    facts = f"{held} of {len(outcome.checks)} hold, {_span(outcome.lasts_s)} in {outcome.took_s:.1f} s"
    console.print(
        Text.assemble(
            verdict, " ", (outcome.name, "bold"), "  ", outcome.title, "  ", (facts, "bright_black")
        )
    )
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(width=6, justify="right")
    table.add_column(ratio=3)
    table.add_column(ratio=3)
    for check in outcome.checks:
        if in_full or not check.holds:
            mark = Text("✓", "green") if check.holds else Text("✗", "red")
            table.add_row(mark, check.text, Text(check.found, "bright_black" if check.holds else "red"))
    if table.row_count:
        console.print(table)


def show_sum(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print how many held."""
    failed = [outcome.name for outcome in outcomes if not outcome.holds]
    checks = sum(len(outcome.checks) for outcome in outcomes)
    simulated = _span(sum(outcome.lasts_s for outcome in outcomes))
    text = f"{len(outcomes)} scenarios, {checks} assertions, {simulated} simulated"
    console.print(
        f"{text}: [green]all hold[/]"
        if not failed
        else f"{text}: [red]{len(failed)} failed: {', '.join(failed)}[/]"
    )


def _span(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
