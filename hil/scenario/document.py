"""A scenario as it is written: one class for each part of the file."""

from typing import Annotated, Any

import msgspec

from bsp.yaml_file import Amperes, Seconds, Watts
from control.site_sections import GRID, PhaseRotation, Section


class CarSection(Section, frozen=True, kw_only=True):
    """A car.

    Attributes
    ----------
    model : str
        One of those that the plant knows by name; what is given here differs.
    at : str
        EVSE it comes to.
    arrives, leaves : str or None
        Moments; without `arrives` it is there from the start, without `leaves` it stays.
    soc, target : str
        State of charge when it comes, and where it stops asking.
    wants : str or None
        Energy after which it stops asking, in place of `target`.
    cable : Amperes or None
        What its charging cable is coded for; without it, the charger has one of its own.
    """

    at: str
    model: str = "11 kW"
    arrives: str | None = None
    leaves: str | None = None
    soc: str = "30 %"
    target: str = "100 %"
    wants: str | None = None
    phases: Annotated[int, msgspec.Meta(ge=1, le=3)] | None = None
    max_current: Amperes | None = None
    min_current: Amperes | None = None
    capacity: str | None = None
    reaction: Seconds | None = None
    wakes: Seconds | None = None
    ramp: Amperes | None = None
    sleeps_after: int | None = None
    cable: Amperes | None = None


class LoadSection(Section, frozen=True, kw_only=True):
    """Something that draws and that nobody controls. Several of its parts add up.

    Attributes
    ----------
    node : str
        Where it is.
    draws : str or list
        What it always draws: amperes on each phase, one value per phase, or a power spread over three.
    profile : mapping of moment to the same
        What it draws from then on.
    smooth : bool
        The profile goes in straight lines from point to point.
    model : str or None
        "family": appliances that switch by a seeded model; "lively": the same in a hurry.
    """

    node: str = GRID
    draws: Any = None
    profile: dict[str, Any] = msgspec.field(default_factory=dict)
    smooth: bool = False
    model: str | None = None


class SunSection(Section, frozen=True, kw_only=True):
    """A photovoltaic system.

    Attributes
    ----------
    node : str
        Where it feeds in.
    peak : Watts
        Its power in full sun.
    weather : str or None
        "clear", "cloudy" or "overcast", by a seeded model.
    profile : mapping of moment to power
        In place of the model.
    smooth : bool
        The profile goes in straight lines from point to point.
    phases : str
        Phases that it feeds in on.
    """

    node: str = GRID
    peak: Watts = 0.0
    weather: str | None = None
    profile: dict[str, Any] = msgspec.field(default_factory=dict)
    smooth: bool = True
    phases: str = "each phase"


class EverestSection(Section, frozen=True, kw_only=True):
    """The hardware of an EVSE that EVerest manages.

    Attributes
    ----------
    max_current : Amperes
        Rating.
    phases : int
        Phases that are wired.
    switches_phases : bool
        It can change between one and three phases while charging.
    measured : bool
        It publishes what its car draws.
    """

    max_current: Amperes = 32.0
    phases: Annotated[int, msgspec.Meta(ge=1, le=3)] = 3
    switches_phases: bool = False
    measured: bool = True


class EverestNodeSection(Section, frozen=True, kw_only=True):
    """A node of EVerest between the module and some of its EVSEs, with a meter of its own.

    Attributes
    ----------
    fuse : Amperes
        Its rating, in EVerest's config; the module learns it, and what its meter shows, by its request.
    evses : list of str
        Who is behind it.
    """

    fuse: Amperes
    evses: list[str]


class Document(Section, frozen=True, kw_only=True, rename={"assertions": "assert"}):
    """The whole file.

    Attributes
    ----------
    title, about : str
        What it is, in a line, and why, in some.
    start : str
        Time of day, or date and time.
    lasts : str
        How long: ``90 s``, ``20 min``, ``1 h 30 min``.
    site : str or mapping
        A site file: its path, relative to this file, or its content.
    settings : mapping
        The module's config, by the names of its manifest.
    cars, house, pv, loads, everest, everest_nodes
        Who is there.
    wiring : mapping of EVSE to rotation
        How it is really wired, where the site file does not know or is wrong.
    cables : mapping of EVSE to cable
        What feeds it, as ``40 m of 6 mm2``, and makes its meter see less voltage than that of the grid.
    events : mapping of moment to sentences
        What happens when.
    assertions : list of str
        What must hold; ``assert`` in the file.
    shows : list of str
        What this is an example of.
    starts : bool
        False: settings or site file are wrong, and the module says so in place of starting.
    trunk : bool
        EVerest's EVSEs are connected to the module's trunk.
    powermeter : bool
        The grid meter is one of EVerest's, connected to the module's `powermeter`.
    """

    title: str
    lasts: str | int
    site: Any
    about: str = ""
    start: str = "00:00"
    seed: int = 1
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    cars: dict[str, CarSection] = msgspec.field(default_factory=dict)
    house: LoadSection | None = None
    pv: SunSection | None = None
    loads: dict[str, LoadSection] = msgspec.field(default_factory=dict)
    everest: dict[str, EverestSection] = msgspec.field(default_factory=dict)
    everest_nodes: dict[str, EverestNodeSection] = msgspec.field(default_factory=dict)
    wiring: dict[str, PhaseRotation] = msgspec.field(default_factory=dict)
    cables: dict[str, str] = msgspec.field(default_factory=dict)
    events: dict[str, Any] = msgspec.field(default_factory=dict)
    assertions: list[str] = msgspec.field(default_factory=list)
    shows: list[str] = msgspec.field(default_factory=list)
    starts: bool = True
    trunk: bool = False
    powermeter: bool = False
