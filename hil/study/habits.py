"""Who comes to the chargers on a day: drawn from a study's habits."""

from random import Random
from typing import Any

from hil.scenario.words import quantity
from hil.study.document import HabitsSection

ROTATIONS = ("L1 L2 L3", "L2 L3 L1", "L3 L1 L2")
"""As an electrician wires a row of chargers, so that cars on one phase spread over all three."""


def cars_of(habits: HabitsSection, chargers: int, day: int) -> dict[str, dict[str, Any]]:
    """Draw the cars of a day, as a scenario's ``cars``.

    A charger's car depends on nothing but its number and the day: more chargers, or another fuse, do not
    change who comes to the first ones, so that cases differ in what was varied and in nothing else.
    """
    return {f"car_{n}": _car(habits, n, Random(f"{day} {n}")) for n in range(1, chargers + 1)}


def evses_of(chargers: int) -> dict[str, dict[str, str]]:
    """Make the chargers, as a site file's ``evses``."""
    return {f"evse_{n}": {"phase_rotation": ROTATIONS[n % 3 - 1]} for n in range(1, chargers + 1)}


def minutes(text: str) -> int:
    """Read a time of day.

    Raises
    ------
    ValueError
        It is none.
    """
    hours, _, rest = text.partition(":")
    value = 60 * int(hours) + int(rest)
    if not (0 <= int(hours) < 24 and 0 <= int(rest) < 60):
        raise ValueError(text)
    return value


def _car(habits: HabitsSection, n: int, random: Random) -> dict[str, Any]:
    (model,) = random.choices(list(habits.models), list(habits.models.values()))
    least_Wh, most_Wh = (quantity(text) for text in habits.want)
    return {
        "at": f"evse_{n}",
        "model": model,
        "arrives": _between(random, *habits.arrive),
        "leaves": _between(random, *habits.leave),
        "wants": f"{random.uniform(least_Wh, most_Wh) / 1e3:.2f} kWh",
        "soc": "20 %",
    }


def _between(random: Random, first: str, last: str) -> str:
    """Draw a time of day; the last may be after midnight."""
    span = (minutes(last) - minutes(first)) % (24 * 60)
    moment = (minutes(first) + random.randint(0, span)) % (24 * 60)
    return f"{moment // 60:02}:{moment % 60:02}"
