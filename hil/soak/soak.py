"""Runs a window and tells which invariants did not hold."""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from hil.scenario import load_scenario, run
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
    took_s : float
        How long it took in real time.
    """

    window: Window
    broken: list[str]
    took_s: float
    faults: Counter[str] = field(default_factory=Counter)


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
    return Result(window, broken, outcome.took_s, Counter(one.kind for one in window.faults))


def write(window: Window, path: Path) -> None:
    """Write a window as a scenario, for `hil scenario`."""
    path.write_text(yaml.safe_dump(window.document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def load_scenario_of(window: Window):  # type: ignore[no-untyped-def]
    """Read the window's scenario."""
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        path = Path(directory) / f"window_{window.seed}.yaml"
        write(window, path)
        return load_scenario(path)
