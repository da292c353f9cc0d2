"""What is understood, and still cannot be: moments after the end, settings that the module does not have."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bsp.yaml_file import suggest
from hil.runtime.manager.manifest import ENERGY_MANAGER, Manifest
from hil.runtime.manager.schemas import is_of_type, problem_of_value
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
            yield name, f"no setting of the module{suggest(name, declared)}, see docs/configuration.md"
        elif not is_of_type(value, schema):
            yield name, f"must be {schema['type']}, not {value!r}"
        elif problem := problem_of_value(value, schema):
            yield name, problem


@cache
def _declared() -> Mapping[str, Any]:
    return Manifest.load(ENERGY_MANAGER, _ROOT).config_items[MODULE_SCOPE]
