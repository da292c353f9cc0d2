"""The limits of EVerest's `LimitsReq`, and the rows in which arrays hold them."""

from __future__ import annotations

from typing import Any, NamedTuple

HIGHEST = 1e9
"""No current [A] or power [W] above this is believed."""

ABSENT = float.fromhex("0x1.5a7c3e91b2d48p+1000")
"""Stands for a limit that is absent until it becomes infinite; a number that nobody writes by chance."""


class _Field(NamedTuple):
    """A limit: its name, what it is where it is absent, and the lowest possible value."""

    name: str
    absent: float
    lowest: float


CURRENT_A, POWER_W, MIN_CURRENT_A, MAX_PHASES, MIN_PHASES = range(5)
"""Rows of `FIELDS`: first the amounts, which change all the time, then the facts, which hardly do."""

AMOUNTS = slice(CURRENT_A, MIN_CURRENT_A + 1)

FIELDS = (
    _Field("ac_max_current_A", ABSENT, 0),
    _Field("total_power_W", ABSENT, 0),
    _Field("ac_min_current_A", 0, 0),
    _Field("ac_max_phase_count", ABSENT, 1),
    _Field("ac_min_phase_count", 1, 0),
)
LIMIT_NAMES = tuple(field.name for field in FIELDS)


def is_limit(name: str, value: Any) -> bool:
    """Whether a value is possible for a limit of this name."""
    lowest = next(field.lowest for field in FIELDS if field.name == name)
    if type(value) not in (int, float) or not lowest <= value <= HIGHEST:
        return False
    return "phase" not in name or value == int(value)
