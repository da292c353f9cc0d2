"""What a scenario is: everything in SI units and in seconds after the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from control.site_file import SiteFile
from energy_management.measurement import Vector3
from hil.plant.car import CarModel
from hil.plant.site import Rotation
from hil.scenario.document import EverestNodeSection, EverestSection
from hil.scenario.words import When

MODULE = "grid"
"""Id of the instance under test, and so the name of the node at the root."""
VOLTAGE_V = 230.0


@dataclass(frozen=True, slots=True)
class CarPlan:
    """A car, and when it is where.

    Attributes
    ----------
    model : CarModel
        What it is.
    evse : str
        Where it comes to.
    arrives_s : float
        When.
    leaves_s : float or None
        When it leaves; None is never.
    soc, target_soc : float
        When it comes, and where it stops asking.
    cable_A : float or None
        Ampacity of the cable it brings; None where it needs none.
    """

    model: CarModel
    evse: str
    arrives_s: float
    leaves_s: float | None
    soc: float
    target_soc: float
    cable_A: float | None = None


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What a load draws: constant, by points of time, by a model; each part may be missing.

    Attributes
    ----------
    node : str
        Where it is.
    constant_A : Vector3
        Always.
    points : tuple of (seconds, Vector3)
        From then on.
    """

    node: str
    constant_A: Vector3 = (0.0, 0.0, 0.0)
    points: tuple[tuple[float, Vector3], ...] = ()
    is_smooth: bool = False
    model: str | None = None


@dataclass(frozen=True, slots=True)
class SunPlan:
    """Generation by a seeded model."""

    node: str
    peak_W: float
    weather: str
    phases: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of the file: when it happens (events), and where it stands."""

    text: str
    line: int
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario, ready to run, in one process or another.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    site : SiteFile
        The site.
    settings : mapping
        The module's config.
    start : datetime
        Wall clock at the start, aware.
    lasts_s : float
        Length.
    rotations : mapping of EVSE to Rotation
        How each is really wired.
    feeds_ohm : mapping of EVSE to float
        Resistance of a conductor of what feeds it, where the scenario says.
    problem : str or None
        Why the site file cannot be used, if it is meant to be wrong.
    """

    name: str
    title: str
    about: str
    seed: int
    site: SiteFile
    settings: Mapping[str, Any]
    start: datetime
    lasts_s: float
    cars: Mapping[str, CarPlan]
    loads: Mapping[str, LoadPlan]
    sun: SunPlan | None
    everest: Mapping[str, EverestSection]
    rotations: Mapping[str, Rotation]
    feeds_ohm: Mapping[str, float]
    events: tuple[Line, ...]
    assertions: tuple[Line, ...]
    shows: tuple[str, ...]
    site_text: str
    everest_nodes: Mapping[str, EverestNodeSection] = field(default_factory=dict)
    has_trunk: bool = False
    has_powermeter: bool = False
    problem: str | None = None

    @property
    def evses(self) -> list[str]:
        """All EVSEs, EVerest's and bridged ones."""
        return [*self.site.evses, *self.site.connectors]

    @property
    def nodes(self) -> list[str]:
        """All nodes, the root first."""
        return [MODULE, *self.site.nodes, *self.everest_nodes]

    def node_of(self, evse: str) -> str:
        """Node that feeds an EVSE of EVerest."""
        of_everest = (name for name, node in self.everest_nodes.items() if evse in node.evses)
        return next(of_everest, self.site.evses[evse].node)

    @property
    def names(self) -> Mapping[str, list[str]]:
        """What may fill the blanks of sentences."""
        site = self.site
        return {
            "node": self.nodes,
            "evse": self.evses,
            "car": list(self.cars),
            "meter": list(site.bridged_meters),
            "bus": list(site.buses),
            "board": list(site.bridged_relays),
            "device": [*site.bridged_meters, *site.bridged_connectors, *site.bridged_relays],
            "load": list(self.loads),
            "place": [*self.nodes, *self.evses],
        }

    @property
    def starts_at_s(self) -> float:
        """Time of day of the start."""
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        return (self.start - midnight).total_seconds()

    def seconds(self, when: When) -> float:
        """Give a moment in seconds after the start."""
        return when.seconds(self.starts_at_s, self.lasts_s)
