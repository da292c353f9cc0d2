"""Scenarios: who comes when, what happens, and what must hold, run on virtual time or on real devices.

`load_scenario` reads one, `run` runs it and judges it.
"""

from hil.scenario.outcome import Check, Outcome
from hil.scenario.reader import ScenarioError, load_scenario
from hil.scenario.runner import run
from hil.scenario.scenario import Scenario
from hil.scenario.writing import scenario_of, text_of

__all__ = ["Check", "Outcome", "Scenario", "ScenarioError", "load_scenario", "run", "scenario_of", "text_of"]
