"""What the manager remembers between runs; it survives a restart as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from energy_management.measurement import Vector3
from energy_management.memory import Memory
from energy_management.site import ROTATIONS
from energy_management.surplus import SurplusMeter


@dataclass
class EvseState:
    """What is remembered of one EVSE. Times are seconds of the monotonic clock.

    Attributes
    ----------
    active_phases : int or None
        Last reported in this session.
    switches : int
        How often that changed in this session.
    one_phase_best_at : float or None
        When power last was too little for three phases; None if that is longer ago than matters.
    served_since : float or None
        Since when it has been served without a break.
    waiting_since : float or None
        Since when it has waited for its minimum.
    turn_ends : float or None
        Until when it keeps its turn; None while nobody waits.
    turns : int
        How many it has had.
    declined_at : float or None
        When its car did not draw though it was served; None if it has drawn since.
    learnt_rotation : str or None
        How it is wired, as measured while it was not configured.
    granted_A : Vector3
        Per grid phase in the last run.
    switched_at : list of float
        When its phases changed within the last hour.
    is_on : bool
        The sun is enough for it, in mode `pv` as its thresholds have it.
    on_off_since : float or None
        Since when that is so, or not.
    differs_since : float or None
        Since when the surplus has been for the contrary.
    patient_until : float or None
        Until when it stays on its phases though the surplus is short for them.
    """

    active_phases: int | None = None
    switches: int = 0
    one_phase_best_at: float | None = None
    served_since: float | None = None
    waiting_since: float | None = None
    turn_ends: float | None = None
    turns: int = 0
    declined_at: float | None = None
    learnt_rotation: str | None = None
    granted_A: Vector3 = (0.0, 0.0, 0.0)
    switched_at: list[float] = field(default_factory=list)
    is_on: bool = False
    on_off_since: float | None = None
    differs_since: float | None = None
    patient_until: float | None = None


_TIMES = (
    "one_phase_best_at",
    "served_since",
    "waiting_since",
    "turn_ends",
    "declined_at",
    "on_off_since",
    "differs_since",
    "patient_until",
)


@dataclass
class ManagerState:
    """The memory of an `EnergyManager`: phase switching and turns, by uuid of the EVSE.

    Attributes
    ----------
    evses : dict
        What is remembered of each EVSE.
    as_of_s : float or None
        The moment on the monotonic clock to which it belongs; None right after it was restored.
    memory : Memory
        What the last seconds have shown of EVSEs and meters; a restart begins it anew, but for base loads.
    surplus : SurplusMeter
        What they have shown of the surplus.
    restored_base_loads_A : dict
        Those of the run that wrote this state, until it is the turn of the next.
    """

    evses: dict[str, EvseState] = field(default_factory=dict)
    as_of_s: float | None = None
    memory: Memory = field(default_factory=Memory)
    surplus: SurplusMeter = field(default_factory=SurplusMeter)
    restored_base_loads_A: dict[str, list[float | None]] = field(default_factory=dict)

    def advance_to(self, monotonic_s: float) -> None:
        """Set the present moment. After a restore all ages continue from here, whatever clock this is."""
        if self.as_of_s is None:
            for state in self.evses.values():
                for name in _TIMES:
                    age = getattr(state, name)
                    if age is not None:
                        setattr(state, name, monotonic_s + age)
                state.switched_at = [monotonic_s + age for age in state.switched_at]
            self.memory.begin_with(self.restored_base_loads_A, monotonic_s)
        self.as_of_s = monotonic_s

    def to_json(self) -> str:
        """Write it with times relative to the last run, so that it means the same on another clock."""
        present = self.as_of_s or 0.0
        written = {}
        for uuid, state in self.evses.items():
            values = asdict(state)
            for name in _TIMES:
                if values[name] is not None:
                    values[name] -= present
            values["switched_at"] = [at_s - present for at_s in state.switched_at]
            written[uuid] = values
        base_loads_A = self.memory.base_loads_A() or self.restored_base_loads_A
        return json.dumps({"version": 1, "evses": written, "base_loads_A": base_loads_A})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restore what `to_json` wrote.

        Raises
        ------
        ValueError
            One line that says what is wrong with it.
        """
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"state: not JSON: {error}") from None
        if (
            not isinstance(found, dict)
            or found.get("version") != 1
            or not isinstance(found.get("evses"), dict)
        ):
            raise ValueError("state: not written by this version of the energy manager")
        base_loads_A = found.get("base_loads_A", {})
        if not isinstance(base_loads_A, dict) or not all(map(_is_vector, base_loads_A.values())):
            raise ValueError("state: base_loads_A: expected three currents for each node")
        return cls(
            {uuid: _read_evse(uuid, values) for uuid, values in found["evses"].items()},
            restored_base_loads_A=base_loads_A,
        )


def _read_evse(uuid: str, values: Any) -> EvseState:
    known = {attribute.name for attribute in fields(EvseState)}
    if not isinstance(values, Mapping) or not set(values) <= known:
        raise ValueError(f"state: evses.{uuid}: unknown contents")
    for name in values:
        value = values[name]
        if name == "granted_A":
            valid = isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
        elif name == "switched_at":
            valid = isinstance(value, list) and all(map(_is_number, value))
        elif name == "is_on":
            valid = isinstance(value, bool)
        elif name in ("switches", "turns"):
            valid = type(value) is int and value >= 0
        elif name == "learnt_rotation":
            valid = value is None or value in ROTATIONS
        elif name == "active_phases":
            valid = value is None or value in (1, 2, 3)
        else:
            valid = value is None or _is_number(value)
        if not valid:
            raise ValueError(f"state: evses.{uuid}.{name}: {value!r} is no possible value")
    state = EvseState(**values)
    state.granted_A = (state.granted_A[0], state.granted_A[1], state.granted_A[2])
    return state


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(v is None or _is_number(v) for v in value)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
