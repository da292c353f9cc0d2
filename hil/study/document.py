"""A study as it is written: one class for each part of the file."""

from typing import Annotated, Any

import msgspec

from control.site_sections import Section


class HabitsSection(Section, frozen=True, kw_only=True):
    """What cars come, and what they want. Each is drawn anew for every charger and day.

    Attributes
    ----------
    models : mapping of model to weight
        How often each type comes; those that scenarios know by name.
    arrive, leave : tuple of str
        Earliest and latest time of day.
    want : tuple of str
        Least and most energy.
    """

    models: dict[str, Annotated[float, msgspec.Meta(gt=0)]]
    arrive: tuple[str, ...]
    leave: tuple[str, ...]
    want: tuple[str, ...]


class Document(Section, frozen=True, kw_only=True):
    """The whole file.

    Attributes
    ----------
    title, about : str
        What is asked, in a line, and why, in some.
    scenario : mapping
        What all cases share, as in the file of a scenario, but for title, EVSEs of EVerest and their cars.
    chargers : int
        How many EVSEs there are, wired in turn to L1, L2, L3.
    charger : mapping
        What each is: a section of a scenario's ``everest``.
    cars : HabitsSection
        Who comes to them.
    vary : mapping of key to list
        Keys of this file, like ``scenario.site.grid.fuse``, and the values to try; all combinations are run.
    days : int
        How many, each with other cars and another house load; the same ones for all combinations.
    enough : str
        Share of days on which all cars must have what they want for the answer to be yes.
    """

    title: str
    scenario: dict[str, Any]
    chargers: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    cars: HabitsSection
    charger: dict[str, Any] = msgspec.field(default_factory=dict)
    about: str = ""
    vary: dict[str, tuple[Any, ...]] = msgspec.field(default_factory=dict)
    days: Annotated[int, msgspec.Meta(ge=1)] = 10
    enough: str | int = "95 %"
