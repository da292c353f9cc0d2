"""A study, read and checked: all its cases."""

import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bsp.yaml_file import FileError, Key, YamlFile, instead
from hil.plant.models import MODELS
from hil.scenario import ScenarioError, text_of
from hil.scenario.words import BLANKS, quantity
from hil.study.cases import Case
from hil.study.document import Document
from hil.study.habits import cars_of, evses_of, minutes

_PROBLEM = re.compile(r"\S+:\d+ (?P<key>.+?): (?P<reason>.*)")
_HABITS = {"arrives": "arrive", "leaves": "leave", "wants": "want", "model": "models"}
"""What a car of a scenario is drawn from."""
_VARIABLE = ("chargers", "cars.…", "charger.…", "scenario.…")


class _File(YamlFile[Document]):
    """The YAML file; knows what it gives."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Document, reference="docs/soak-and-study.md")
        self.name = path.stem

    def has(self, key: Key) -> bool:
        """Tell whether the file gives this key."""
        return self._document.has(*key)


@dataclass(frozen=True, slots=True)
class Study:
    """A study, ready to run.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    title, about : str
        What is asked.
    varied : mapping of column to tuple of values
        What differs between cases, as it is written in the file.
    days : int
        How many.
    enough : float
        Share of days that must be good, 0 to 1.
    cases : tuple of Case
        All of them.
    """

    name: str
    title: str
    about: str
    varied: Mapping[str, tuple[Any, ...]]
    days: int
    enough: float
    cases: tuple[Case, ...]


def load_study(path: Path) -> Study:
    """Read a study, and check the scenario of each combination.

    Raises
    ------
    FileError
        With one line for each problem: ``chargers.yaml:18 vary.chargres: no such key, ...``.
    """
    file = _File(path)
    document = file.value
    _check_habits(file, document)
    enough = _share(file, document.enough)
    columns = _columns(file, document)
    file.check()
    combinations = list(_combinations(file, document, columns))
    file.check()
    cases = [
        Case(settings, day, _scenario_text(changed, day, title=document.title))
        for settings, changed in combinations
        for day in range(1, document.days + 1)
    ]
    for case in cases[:: document.days]:
        _check_case(file, case)
    varied = {columns[key]: values for key, values in document.vary.items()}
    return Study(path.stem, document.title, document.about, varied, document.days, enough, tuple(cases))


def _check_habits(file: YamlFile[Document], document: Document) -> None:
    habits = document.cars
    for model in habits.models:
        if model not in MODELS:
            file.problem(("cars", "models", model), f"unknown model{instead(model, MODELS)}")
    for key in ("arrive", "leave", "want"):
        given = getattr(habits, key)
        if len(given) != 2 or not all(_is_fine(key, text) for text in given):
            example = "[5 kWh, 20 kWh]" if key == "want" else '["17:00", "22:00"]'
            file.problem(("cars", key), f"must be two values like {example}")


def _is_fine(key: str, text: str) -> bool:
    if key == "want":
        return re.fullmatch(BLANKS["energy"][0], text) is not None and quantity(text) > 0
    try:
        return minutes(text) >= 0
    except ValueError:
        return False


def _share(file: YamlFile[Document], given: str | int) -> float:
    text = str(given)
    if not re.fullmatch(BLANKS["percent"][0], text):
        file.problem(("enough",), f"must be like 95 %, not '{text}'")
        return 1.0
    return quantity(text)


def _columns(file: YamlFile[Document], document: Document) -> dict[str, str]:
    """Name the column of each varied key: its last part, if that is clear."""
    columns = {}
    for key, values in document.vary.items():
        if not values:
            file.problem(("vary", key), "must be a list of values to try")
        if (
            key.partition(".")[0] not in ("scenario", "cars", "charger")
            and key not in Document.__struct_fields__
        ):
            file.problem(("vary", key), f"no such key in this file, there are: {', '.join(_VARIABLE)}")
        last = key.rpartition(".")[2]
        is_clear = sum(other.rpartition(".")[2] == last for other in document.vary) == 1
        columns[key] = last if is_clear else key
    return columns


def _combinations(
    file: YamlFile[Document], document: Document, columns: Mapping[str, str]
) -> Iterator[tuple[dict[str, Any], Document]]:
    """Give each choice of values, and the study with only it."""
    raw = msgspec.to_builtins(document)
    for values in itertools.product(*document.vary.values()):
        changed = copy.deepcopy(raw)
        for key, value in zip(document.vary, values, strict=True):
            _put(changed, key, value)
        try:
            yield dict(zip(columns.values(), values, strict=True)), msgspec.convert(changed, Document)
        except msgspec.ValidationError as error:
            file.problem(("vary",), f"{', '.join(map(str, values))}: {error}")


def _put(raw: dict[str, Any], key: str, value: object) -> None:
    *way, last = key.split(".")
    place = raw
    for step in way:
        place = place.setdefault(step, {}) if isinstance(place, dict) else {}
    place[last] = value


def _scenario_text(document: Document, day: int, title: str) -> str:
    """Put chargers and cars into the scenario."""
    scenario = copy.deepcopy(document.scenario)
    evses = evses_of(document.chargers)
    site = scenario.setdefault("site", {})
    site["evses"] = {**site.get("evses", {}), **evses}
    scenario["everest"] = {**scenario.get("everest", {}), **dict.fromkeys(evses, document.charger)}
    scenario["cars"] = {**scenario.get("cars", {}), **cars_of(document.cars, document.chargers, day)}
    return text_of({"title": title, **scenario})


def _check_case(file: _File, case: Case) -> None:
    try:
        case.scenario(file.name)
    except ScenarioError as error:
        chosen = ", ".join(f"{name} {value}" for name, value in case.settings.items()) or "every case"
        for problem in error.problems:
            match = _PROBLEM.fullmatch(problem)
            if match is None:
                raise FileError([f"{problem} (with {chosen})"]) from error
            file.problem(_place(file, match["key"].split(".")), f"{match['reason']} (with {chosen})")
        file.check()


def _place(file: _File, parts: Sequence[str]) -> Key:
    """Find where a study says what is wrong in the scenario that was put together from it."""
    candidates: list[Key] = [("scenario", *parts), ("scenario", "site", *parts)]
    varied: list[Key] = [("vary", ".".join(key)) for key in candidates]
    if parts[0] == "everest":
        candidates.append(("charger", *parts[2:]))
    found = next((key for key in [*varied, *candidates] if file.has(key)), None)
    if found is None and parts[0] == "cars":
        return ("cars", _HABITS.get(parts[-1], ""))
    return found or candidates[0]
