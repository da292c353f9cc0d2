"""What is understood, and still cannot be: moments after the end, settings that the module does not have."""

import difflib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hil.runtime.manager.manifest import ENERGY_MANAGER, Manifest
from hil.runtime.manager.schemas import problem_of_value, type_name
from hil.runtime.wire import MODULE_SCOPE
from hil.scenario.scenario import Scenario
from hil.scenario.words import When, WordsError

_ROOT = Path(__file__).resolve().parents[2]


def check_moments(blanks: Mapping[str, object], scenario: Scenario) -> None:
    """See that a sentence speaks of nothing after the end, where it would hold without any meaning.

    Raises
    ------
    WordsError
        It does.
    """
    for moment in blanks.values():
        if isinstance(moment, When):
            check_moment(moment.text, scenario.seconds(moment), scenario)


def check_moment(text: str, at_s: float, scenario: Scenario) -> None:
    """See that a moment is not after the end.

    Raises
    ------
    WordsError
        It is.
    """
    if at_s > scenario.lasts_s + 1e-6:
        end = scenario.start + timedelta(seconds=scenario.lasts_s)
        raise WordsError(f"{text} is after the end, which is at {end:%H:%M:%S}: see start and lasts")


def wrong_settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the name of each setting that cannot be, and why."""
    declared = _declared()
    for name, value in settings.items():
        schema = declared.get(name)
        if schema is None:
            close = difflib.get_close_matches(name, declared, n=1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            yield name, f"no setting of the module{hint}, see docs/configuration.md"
            continue
        found, expected = type_name(value), schema["type"]
        if found != expected and (found, expected) != ("integer", "number"):
            yield name, f"must be {expected}, not {value!r}"
        elif problem := problem_of_value(value, schema):
            yield name, problem


@cache
def _declared() -> Mapping[str, Any]:
    return Manifest.load(ENERGY_MANAGER, _ROOT).config_items[MODULE_SCOPE]
