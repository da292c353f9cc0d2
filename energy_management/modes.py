"""What an EVSE may charge with: nothing, everything, or what the sun leaves over. The words are evcc's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

Mode = Literal["off", "now", "minpv", "pv"]
"""Nothing; all that limits allow; always the minimum and more from surplus only; from surplus only."""

MODES: tuple[Mode, ...] = get_args(Mode)

FROM_SURPLUS: tuple[Mode, ...] = ("minpv", "pv")
"""Those that need somebody to tell what the sun leaves over."""


@dataclass(frozen=True)
class Thresholds:
    """When the sun is enough to charge in mode `pv`, and when it is not any more.

    Attributes
    ----------
    enable_W : float
        Surplus from which charging begins; never less than the minimum of the EVSE.
    enable_after_s : float
        For how long there must be so much, which is also the least time without charging.
    from_grid_W : float
        How much of the minimum may come from the grid while it charges.
    disable_after_s : float
        For how long more than that comes from the grid until charging ends, or goes on on fewer phases.
        Also the least time of charging.
    """

    enable_W: float = 1400.0
    enable_after_s: float = 60.0
    from_grid_W: float = 200.0
    disable_after_s: float = 180.0

    def __post_init__(self) -> None:
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise ValueError(f"{attribute.name}: {value!r} is not a number from 0 up")


@dataclass(frozen=True)
class SolarAttributes:
    """How a site uses its surplus.

    Attributes
    ----------
    thresholds : Thresholds
        Of EVSEs that have none of their own.
    evses : mapping of str to Thresholds
        Those of single EVSEs, by uuid.
    max_switches_per_hour : int
        Between one and three phases, for each EVSE that charges from surplus. The last one of an hour is kept
        for the way down. 0 is no limit.
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    evses: Mapping[str, Thresholds] = field(default_factory=dict)
    max_switches_per_hour: int = 4

    def __post_init__(self) -> None:
        value = self.max_switches_per_hour
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"max_switches_per_hour: {value!r} is not a whole number from 0 up")

    def of(self, uuid: str) -> Thresholds:
        """Look up the thresholds of an EVSE."""
        return self.evses.get(uuid, self.thresholds)

    @classmethod
    def from_dict(cls, solar: Mapping[str, Any]) -> Self:
        """Read thresholds, `max_switches_per_hour` and `evses`, each with thresholds that differ.

        Raises
        ------
        ValueError
            One line that names the attribute which is unknown or has no possible value.
        """
        usual = {name: value for name, value in solar.items() if name in _THRESHOLDS}
        others = {name: value for name, value in solar.items() if name not in _THRESHOLDS}
        evses = {
            uuid: _thresholds({**usual, **found}, f"evses.{uuid}.")
            for uuid, found in others.pop("evses", {}).items()
        }
        for name in others.keys() - {"max_switches_per_hour"}:
            known = sorted([*_THRESHOLDS, "evses", "max_switches_per_hour"])
            raise ValueError(f"{name}: unknown attribute, known: {', '.join(known)}")
        return cls(_thresholds(usual, ""), evses, **others)


def _thresholds(found: Mapping[str, Any], where: str) -> Thresholds:
    for name in found:
        if name not in _THRESHOLDS:
            raise ValueError(f"{where}{name}: unknown attribute, known: {', '.join(sorted(_THRESHOLDS))}")
    try:
        return Thresholds(**found)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


_THRESHOLDS = frozenset(attribute.name for attribute in fields(Thresholds))
