"""Reads a scenario from its file, and says everything that is wrong with it."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bsp.yaml_file import FileError, Key, YamlFile, instead
from control.settings import Settings, SettingsError
from control.site_file import SiteError, SiteFile, load_site
from energy_management.measurement import Vector3
from energy_management.site import ROTATIONS
from hil.plant.cable import CODED_A, resistance_ohm
from hil.plant.models import MODELS
from hil.plant.site import Rotation
from hil.plant.sun import WEATHER
from hil.scenario import words
from hil.scenario.claims import ASSERTIONS
from hil.scenario.document import CarSection, Document, LoadSection
from hil.scenario.happenings import EVENTS, OF_EVEREST
from hil.scenario.scenario import MODULE, VOLTAGE_V, CarPlan, Line, LoadPlan, Scenario, SunPlan
from hil.scenario.sense import check_moment, check_moments, wrong_settings
from hil.scenario.words import When, WordsError

FIRST_DAY = "2026-05-04"
"""Where no date is given."""


class ScenarioError(FileError):
    """A scenario is not what it must be. The message has one line per problem."""


def load_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises
    ------
    ScenarioError
        With one line for each problem: ``night.yaml:12 cars.zoe.at: unknown evse 'garge', ...``.
    """
    try:
        file = _File(path)
        return _Reader(file, path).scenario()
    except FileError as error:
        raise ScenarioError(error.problems) from error


class _File(YamlFile[Document]):
    """The YAML file; gives the lines of its parts."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Document, reference="docs/scenarios.md")

    def line(self, *key: str) -> int:
        """Line of a part."""
        return self._document.line(*key) or 1

    def part(self, name: str) -> yaml.Node:
        """Give a part at the top as it was parsed."""
        root = self._document.root
        assert isinstance(root, yaml.MappingNode)
        parts: dict[str, yaml.Node] = {key.value: value for key, value in root.value}
        return parts[name]


class _Reader:
    """Puts a scenario together; what cannot be is noted in the file."""

    def __init__(self, file: _File, path: Path) -> None:
        self._file = file
        self._path = path
        self._document = file.value
        self._start = self._read_start()
        midnight = self._start.replace(hour=0, minute=0, second=0)
        self._starts_at_s = (self._start - midnight).total_seconds()
        self._lasts_s = self._duration(("lasts",), self._document.lasts)

    def scenario(self) -> Scenario:
        """Read everything."""
        document = self._document
        problem = None
        try:
            site_text, site = self._site()
        except SiteError as error:
            if document.starts:
                raise
            site_text, site, problem = "", _loaded("grid: {fuse: 63 A}", self._path.name), str(error)
        known = [*site.evses, *site.connectors]
        nodes = [MODULE, *site.nodes, *document.everest_nodes]
        self._check_names(known, nodes)
        self._check_everest_nodes(site)
        for setting, why in wrong_settings(document.settings):
            self._file.problem(("settings", setting), why)
        self._file.check()
        try:
            Settings.from_config(MODULE, document.settings)
        except SettingsError as error:
            self._file.problem(("settings",), str(error).removeprefix(f"{MODULE}: "))
        result = Scenario(
            name=self._path.stem,
            title=document.title,
            about=document.about,
            seed=document.seed,
            site=site,
            settings=document.settings,
            start=self._start,
            lasts_s=self._lasts_s,
            cars={name: self._car(name, car) for name, car in document.cars.items()},
            loads=self._loads(),
            sun=self._sun(),
            everest=document.everest,
            everest_nodes=document.everest_nodes,
            rotations=self._rotations(site),
            feeds_ohm={name: self._feed_ohm(name, cable) for name, cable in document.cables.items()},
            events=tuple(self._events()),
            assertions=tuple(
                Line(text, self._file.line("assert", str(n))) for n, text in enumerate(document.assertions)
            ),
            shows=tuple(document.shows),
            site_text=site_text,
            has_trunk=document.trunk,
            has_powermeter=document.powermeter,
            problem=problem,
        )
        self._check_sentences(result)
        self._file.check()
        return result

    def _read_start(self) -> datetime:
        text = self._document.start
        try:
            day, _, time = text.rpartition(" ")
            return datetime.fromisoformat(f"{day or FIRST_DAY} {time}").replace(tzinfo=UTC)
        except ValueError:
            self._file.problem(("start",), f"must be a time like 18:00, or 2026-05-04 18:00, not '{text}'")
            self._file.check()
            raise

    def _site(self) -> tuple[str, SiteFile]:
        """Load the site, from its own file or from a part of this one."""
        given = self._document.site
        if isinstance(given, str):
            path = self._path.parent / given
            return path.read_text(encoding="utf-8") if path.exists() else "", load_site(path)
        if not isinstance(given, dict):
            self._file.problem(("site",), "must be the path of a site file, or its content")
            self._file.check()
        node = self._file.part("site")
        lines = self._path.read_text(encoding="utf-8").splitlines()[
            node.start_mark.line : node.end_mark.line + 1
        ]
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            indent = node.start_mark.column
            end = next(
                (
                    n
                    for n, text in enumerate(lines)
                    if text.strip() and len(text) - len(text.lstrip()) < indent
                ),
                None,
            )
            text = "\n".join(line[indent:] for line in lines[:end])
        else:
            text = yaml.safe_dump(given)
        # with its lines where they are in the scenario, so that errors name the right ones
        return text + "\n", _loaded("\n" * node.start_mark.line + text, self._path.name)

    def _check_names(self, evses: list[str], nodes: list[str]) -> None:
        document, problem = self._document, self._file.problem
        checks: list[tuple[Key, str, str, list[str]]] = [
            *((("cars", name, "at"), "evse", car.at, evses) for name, car in document.cars.items()),
            *(
                (("cars", name, "model"), "model", car.model, list(MODELS))
                for name, car in document.cars.items()
            ),
            *((("loads", name, "node"), "node", load.node, nodes) for name, load in document.loads.items()),
            *((("everest", name), "evse", name, evses) for name in document.everest),
            *(
                (("everest_nodes", name, "evses"), "evse", evse, evses)
                for name, node in document.everest_nodes.items()
                for evse in node.evses
            ),
            *((("wiring", name), "evse", name, evses) for name in document.wiring),
            *((("cables", name), "evse", name, evses) for name in document.cables),
        ]
        if document.house is not None:
            checks.append((("house", "node"), "node", document.house.node, nodes))
        if document.pv is not None:
            checks.append((("pv", "node"), "node", document.pv.node, nodes))
        for key, kind, name, known in checks:
            if name not in known:
                problem(key, f"unknown {kind} '{name}'{instead(name, known)}")
        self._file.check()

    def _check_everest_nodes(self, site: SiteFile) -> None:
        for name, node in self._document.everest_nodes.items():
            key: Key = ("everest_nodes", name)
            if name in (MODULE, *site.nodes):
                self._file.problem(key, "there is a node of this name in the site file")
            for evse in node.evses:
                if evse not in site.evses or site.evses[evse].node != MODULE:
                    self._file.problem((*key, "evses"), f"{evse} is none of EVerest's EVSEs below {MODULE}")

    def _when(self, key: Key, text: str) -> float:
        """Read a moment."""
        try:
            if not re.fullmatch(words.MOMENT, text):
                raise WordsError(f"must be a moment like 06:00, day 2 06:00 or +90 s, not '{text}'")
            return When(text).seconds(self._starts_at_s, self._lasts_s)
        except WordsError as error:
            self._file.problem(key, str(error))
            return 0.0

    def _duration(self, key: Key, text: str | int) -> float:
        text = str(text)
        if not re.fullmatch(words.BLANKS["duration"][0], text):
            self._file.problem(key, f"must be a duration like 90 s, 20 min or 1 h 30 min, not '{text}'")
            self._file.check()
        return words.duration(text)

    def _number(self, key: Key, text: object, unit: str) -> float:
        """Read a quantity with one of the units of a kind."""
        if not re.fullmatch(words.BLANKS[unit][0], str(text)):
            self._file.problem(key, f"must be a number with its unit, like {_EXAMPLES[unit]}, not '{text}'")
            return 0.0
        return words.quantity(str(text))

    def _car(self, name: str, car: CarSection) -> CarPlan:
        key: Key = ("cars", name)
        changes: dict[str, float | int] = {
            field: value
            for field, value in (
                ("phases", car.phases),
                ("max_current_A", car.max_current),
                ("min_current_A", car.min_current),
                ("reaction_s", car.reaction),
                ("wakes_after_s", car.wakes),
                ("ramp_A_per_s", car.ramp),
                ("sleeps_after", car.sleeps_after),
            )
            if value is not None
        }
        if car.capacity is not None:
            changes["capacity_Wh"] = self._number((*key, "capacity"), car.capacity, "energy")
        model = replace(MODELS[car.model], **changes)  # type: ignore[arg-type]
        soc = self._number((*key, "soc"), car.soc, "percent")
        target = self._number((*key, "target"), car.target, "percent")
        for field, share in (("soc", soc), ("target", target)):
            if not 0.0 <= share <= 1.0:
                self._file.problem((*key, field), "must be between 0 % and 100 %")
        if car.wants is not None:
            target = min(1.0, soc + self._number((*key, "wants"), car.wants, "energy") / model.capacity_Wh)
        arrives_s = 0.0 if car.arrives is None else self._when((*key, "arrives"), car.arrives)
        leaves_s = None if car.leaves is None else self._when((*key, "leaves"), car.leaves)
        if leaves_s is not None and leaves_s <= arrives_s:
            self._file.problem((*key, "leaves"), "must be after it has arrived")
        if car.cable not in (None, *CODED_A):
            known = ", ".join(f"{amperes:g} A" for amperes in CODED_A)
            self._file.problem((*key, "cable"), f"must be one of {known}, as cables are coded")
        return CarPlan(model, car.at, arrives_s, leaves_s, soc, target, car.cable)

    def _loads(self) -> dict[str, LoadPlan]:
        loads = {name: self._load(("loads", name), load) for name, load in self._document.loads.items()}
        if self._document.house is not None:
            loads["house"] = self._load(("house",), self._document.house)
        pv = self._document.pv
        if pv is not None and pv.profile:
            points = self._points(("pv", "profile"), pv.profile)
            feeds = words.phases(pv.phases)
            fed_in = tuple((at, _on_phases(-sum(current), feeds)) for at, current in points)
            loads["pv"] = LoadPlan(pv.node, points=fed_in, is_smooth=pv.smooth)
        return loads

    def _load(self, key: Key, load: LoadSection) -> LoadPlan:
        if load.model not in (None, "family", "lively"):
            self._file.problem((*key, "model"), f"must be one of family, lively, not '{load.model}'")
        return LoadPlan(
            load.node,
            self._current((*key, "draws"), load.draws) if load.draws is not None else (0.0, 0.0, 0.0),
            self._points((*key, "profile"), load.profile),
            load.smooth,
            load.model,
        )

    def _points(self, key: Key, profile: Mapping[str, Any]) -> tuple[tuple[float, Vector3], ...]:
        points = [
            (self._when((*key, when), when), self._current((*key, when), value))
            for when, value in profile.items()
        ]
        return tuple(sorted(points))

    def _current(self, key: Key, value: object) -> Vector3:
        """Read amperes on each phase, three values, or a power on three phases."""
        if isinstance(value, list) and len(value) == 3:
            one, two, three = (self._number(key, part, "amperes") for part in value)
            return one, two, three
        if re.fullmatch(words.BLANKS["power"][0], str(value)):
            amperes = words.quantity(str(value)) / VOLTAGE_V / 3
        else:
            amperes = self._number(key, value, "amperes")
        return amperes, amperes, amperes

    def _sun(self) -> SunPlan | None:
        pv = self._document.pv
        if pv is None or pv.weather is None:
            return None
        if pv.weather not in WEATHER:
            self._file.problem(("pv", "weather"), f"must be one of {', '.join(WEATHER)}, not '{pv.weather}'")
        return SunPlan(pv.node, pv.peak, pv.weather, words.phases(pv.phases))

    def _rotations(self, site: SiteFile) -> dict[str, Rotation]:
        wired = {name: evse.phase_rotation for name, evse in {**site.evses, **site.connectors}.items()}
        wired |= self._document.wiring
        return {name: _rotation(text) for name, text in wired.items()}

    def _feed_ohm(self, name: str, cable: str) -> float:
        """Read what feeds an EVSE."""
        match = _CABLE.fullmatch(cable)
        if match is None:
            self._file.problem(("cables", name), f"must be a cable like 40 m of 6 mm2, not '{cable}'")
            return 0.0
        return resistance_ohm(float(match[1]), float(match[2]))

    def _events(self) -> Iterator[Line]:
        lines = []
        for when, given in self._document.events.items():
            at_s = self._when(("events", when), when)
            for n, text in enumerate(given if isinstance(given, list) else [given]):
                key = ("events", when, str(n)) if isinstance(given, list) else ("events", when)
                lines.append(Line(str(text), self._file.line(*key), at_s))
        yield from sorted(lines, key=lambda line: line.at_s)

    def _check_sentences(self, scenario: Scenario) -> None:
        """Find out whether all sentences are understood."""
        names = scenario.names
        for when, given in self._document.events.items():
            at_s = self._when(("events", when), when)
            self._check(("events", when), lambda at_s=at_s: check_moment("it", at_s, scenario))  # type: ignore[misc]
            for text in given if isinstance(given, list) else [given]:
                self._check(("events", when), lambda text=text: _check_event(str(text), scenario))  # type: ignore[misc]
        for n, text in enumerate(self._document.assertions):
            key = ("assert", str(n))
            self._check(key, lambda text=text: check_moments(ASSERTIONS.read(text, names)[1], scenario))  # type: ignore[misc]

    def _check(self, key: Key, read: Callable[[], object]) -> None:
        try:
            read()
        except WordsError as error:
            self._file.problem(key, str(error))


def _loaded(text: str, name: str) -> SiteFile:
    """Load a site from a text; errors call it by a name."""
    with tempfile.TemporaryDirectory(prefix="scenario-") as directory:
        path = Path(directory) / name
        path.write_text(text + "\n", encoding="utf-8")
        return load_site(path)


def _check_event(text: str, scenario: Scenario) -> None:
    """Find out whether a sentence is understood, and can happen to the EVSE that it names."""
    sentence, blanks = EVENTS.read(text, scenario.names)
    evse = blanks.get("evse")
    connector = scenario.site.bridged_connectors.get(str(evse))
    if connector is not None and any(what in sentence.text for what in OF_EVEREST):
        raise WordsError(f"{evse} is on Modbus: only a module of EVerest can do that")
    contactors = connector.contactors if connector is not None else None
    if "contactor" in sentence.text and contactors is None:
        raise WordsError(f"{evse} has no contactors in the site file")
    if "main contactor" in sentence.text and contactors is not None and contactors.main is None:
        raise WordsError(f"{evse} has no main contactor in the site file")


_CABLE = re.compile(r"(\d+(?:\.\d+)?) ?m of ([1-9]\d*(?:\.\d+)?) ?mm2")
_EXAMPLES = {"amperes": "16 A", "power": "4 kW", "energy": "7 kWh", "percent": "30 %"}


def _rotation(text: str) -> Rotation:
    one, two, three = ROTATIONS.get(text, (0, 1, 2))
    return one, two, three


def _on_phases(total_A: float, phases: tuple[int, ...]) -> Vector3:
    """Spread a current."""
    one, two, three = (total_A / len(phases) if phase in phases else 0.0 for phase in range(3))
    return one, two, three
