"""What the request tree does not tell about a site: wiring, priorities, reserves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import permutations
from typing import Any, Self, TypeVar

from energy_management.modes import MODES, Mode, SolarAttributes

ROTATIONS = {
    " ".join(order): tuple(int(name[1]) - 1 for name in order) for order in permutations(("L1", "L2", "L3"))
}
"""Grid phase (0 is L1) of a connector's first, second and third phase, by its name in the site file."""


@dataclass(frozen=True)
class EvseAttributes:
    """What is known of one EVSE beside its request.

    Attributes
    ----------
    phase_rotation : str or None
        Grid phases of the connector's first, second and third phase: "L2 L3 L1" is a connector whose first
        phase is the grid's L2. None is unknown: a car on one or two phases then counts on all three.
    priority : int
        Higher ones are admitted and filled first.
    weight : float
        Share relative to the other EVSEs of the same priority.
    mode : {"off", "now", "minpv", "pv"}
        What it charges with: nothing; all that limits allow; always its minimum, and more from surplus only;
        from surplus only.
    """

    phase_rotation: str | None = None
    priority: int = 0
    weight: float = 1.0
    mode: Mode = "now"

    def __post_init__(self) -> None:
        if self.phase_rotation is not None and self.phase_rotation not in ROTATIONS:
            raise ValueError(f"phase_rotation: {self.phase_rotation!r} is not one of {', '.join(ROTATIONS)}")
        if isinstance(self.priority, bool) or not isinstance(self.priority, int):
            raise ValueError(f"priority: {self.priority!r} is not a whole number")
        _require_number("weight", self.weight)
        if not 1e-3 <= self.weight <= 1e3:
            raise ValueError(f"weight: {self.weight!r} is not between 0.001 and 1000")
        if self.mode not in MODES:
            raise ValueError(f"mode: {self.mode!r} is not one of {', '.join(MODES)}")


@dataclass(frozen=True)
class NodeAttributes:
    """What is known of one node beside its request.

    Attributes
    ----------
    max_unbalance_A : float or None
        How far the currents of the EVSEs below may differ between two phases.
    reserve_A : float
        Kept free per phase for loads other than EVSEs, where the node has a meter.
    fallback_A : float or None
        Budget per phase for the EVSEs below when the node's meter is stale or missing. A number says that the
        node has a meter, so that a missing reading counts as a stale one; None is 0 A once readings go stale.
    stale_after_s : float
        Age from which a reading is not believed any more.
    frozen_after_s : float
        From when on readings under load are not believed that stay the same to the last bit.
    stable_after_s : float
        For how long the readings of a meter that was lost must be fine before it is believed again.
    base_load_falls_after_s : float
        For how long other loads count after they have fallen; a rise counts at once.
    counts_generation : bool
        Generation behind the meter makes more room for EVSEs than the limit of the node, as long as it lasts.
    """

    max_unbalance_A: float | None = None
    reserve_A: float = 0.0
    fallback_A: float | None = None
    stale_after_s: float = 10.0
    frozen_after_s: float = 60.0
    stable_after_s: float = 10.0
    base_load_falls_after_s: float = 20.0
    counts_generation: bool = False

    def __post_init__(self) -> None:
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if attribute.name == "counts_generation":
                if not isinstance(value, bool):
                    raise ValueError(f"counts_generation: {value!r} is not true or false")
            elif value is not None or attribute.name not in ("max_unbalance_A", "fallback_A"):
                _require_number(attribute.name, value)


@dataclass(frozen=True)
class Site:
    """Attributes of EVSEs and nodes by their uuid; those not listed have the defaults. And of the surplus."""

    evses: Mapping[str, EvseAttributes] = field(default_factory=dict)
    nodes: Mapping[str, NodeAttributes] = field(default_factory=dict)
    solar: SolarAttributes = field(default_factory=SolarAttributes)

    @classmethod
    def from_dict(cls, site: Mapping[str, Any]) -> Self:
        """Read `{"evses": {uuid: {...}}, "nodes": {uuid: {...}}, "solar": {...}}`.

        Raises
        ------
        ValueError
            One line that names the attribute which is unknown or has no possible value.
        """
        for name in site:
            if name not in ("evses", "nodes", "solar"):
                raise ValueError(f"{name}: unknown section, known: evses, nodes, solar")
        return cls(
            {
                uuid: _read(EvseAttributes, f"evses.{uuid}", found)
                for uuid, found in site.get("evses", {}).items()
            },
            {
                uuid: _read(NodeAttributes, f"nodes.{uuid}", found)
                for uuid, found in site.get("nodes", {}).items()
            },
            _solar(site.get("solar", {})),
        )


def _solar(found: Mapping[str, Any]) -> SolarAttributes:
    try:
        return SolarAttributes.from_dict(found)
    except ValueError as error:
        raise ValueError(f"solar.{error}") from None


_Attributes = TypeVar("_Attributes", EvseAttributes, NodeAttributes)


def _read(kind: type[_Attributes], where: str, found: Mapping[str, Any]) -> _Attributes:
    known = {attribute.name for attribute in fields(kind)}
    for name in found:
        if name not in known:
            raise ValueError(f"{where}.{name}: unknown attribute, known: {', '.join(sorted(known))}")
    try:
        return kind(**found)
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from None


def _require_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"{name}: {value!r} is not a number from 0 up")
