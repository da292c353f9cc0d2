"""Runs a window and tells which invariants did not hold."""

from dataclasses import dataclass
from pathlib import Path

from hil.scenario import Scenario, run, scenario_of, text_of
from hil.soak.window import Window


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a window.

    Attributes
    ----------
    window : Window
        Which.
    broken : list of str
        Invariants that did not hold, and what was found.
    """

    window: Window
    broken: list[str]


def violations(window: Window) -> Result:
    """Run a window.

    Returns
    -------
    Result
        With what did not hold; a run that ends with an error did not hold either.
    """
    scenario = load_scenario_of(window)
    outcome = run(scenario, window.seed)
    broken = [f"{check.text}: {check.found}" for check in outcome.checks if not check.holds]
    return Result(window, broken)


def write(window: Window, path: Path) -> None:
    """Write a window as a scenario, for `hil scenario`."""
    path.write_text(text_of(window.document), encoding="utf-8")


def load_scenario_of(window: Window) -> Scenario:
    """Read the window's scenario."""
    return scenario_of(text_of(window.document), f"window_{window.seed}")
