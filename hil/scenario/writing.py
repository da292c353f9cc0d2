"""Scenarios that no person wrote: from a document to the file's text, and from there to a scenario."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hil.scenario.reader import load_scenario
from hil.scenario.scenario import Scenario


def text_of(document: Mapping[str, Any]) -> str:
    """Write a scenario as its file has it."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)


def scenario_of(text: str, name: str) -> Scenario:
    """Read a scenario from its text; errors call it by a name.

    Raises
    ------
    ScenarioError
        It is not what it must be.
    """
    with tempfile.TemporaryDirectory(prefix="scenario-") as directory:
        path = Path(directory) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return load_scenario(path)
