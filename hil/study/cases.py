"""One case of a study: a scenario with one choice of settings, on one day."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.scenario import Outcome, Scenario, run, scenario_of
from hil.scenario.claims import METER_A

Row = dict[str, Any]
SATISFIED = 0.98
"""A car that has so much of what it wanted does not complain."""


@dataclass(frozen=True, slots=True)
class Case:
    """What to run, complete and small enough to be sent anywhere.

    Attributes
    ----------
    settings : mapping of str to value
        What was varied, by the names of the result's columns.
    day : int
        Seed of everything that is drawn.
    text : str
        The scenario, as YAML.
    """

    settings: Mapping[str, Any]
    day: int
    text: str

    @property
    def key(self) -> str:
        """Tell this case from all others, also of other studies."""
        return hashlib.sha256(f"{self.day}\n{self.text}".encode()).hexdigest()[:16]

    def scenario(self, name: str = "case") -> Scenario:
        """Read the scenario.

        Raises
        ------
        ScenarioError
            It is not what it must be.
        """
        return scenario_of(self.text, name)


def run_case(case: Case) -> Row:
    """Run a case and sum it up in one row of the result."""
    scenario = case.scenario()
    outcome = run(scenario, case.day)
    wanted_Wh = np.array(
        [(plan.target_soc - plan.soc) * plan.model.capacity_Wh for plan in scenario.cars.values()]
    )
    charged_Wh = np.array([outcome.series[f"energy/{car}"][-1] for car in outcome.cars])
    shares = charged_Wh / wanted_Wh
    return {
        "key": case.key,
        **case.settings,
        "day": case.day,
        "cars": len(shares),
        "satisfied": int((shares >= SATISFIED).sum()),
        "least_share": float(shares.min()),
        "wanted_kWh": float(wanted_Wh.sum() / 1e3),
        "charged_kWh": float(charged_Wh.sum() / 1e3),
        **_load(outcome),
        "phase_switches": len(outcome.moves),
        "holds": outcome.holds,
        "broken": "; ".join(f"{check.text}: {check.found}" for check in outcome.checks if not check.holds),
        "took_s": outcome.took_s,
    }


def _load(outcome: Outcome) -> Row:
    """Look at the fuse that carried most for its size."""
    peaks, above_s = [], []
    for node, fuse_A in outcome.fuses_A.items():
        load = np.abs(outcome.vectors(f"node/{node}")).max(axis=1)
        peaks.append(float(load.max()) / fuse_A)
        above_s.append(float(outcome.durations_s[load > fuse_A + METER_A].sum()))
    return {"peak_load": max(peaks), "overload_s": max(above_s), "trips": len(outcome.tripped_at_s)}
