"""What was seen of an installation, moment by moment. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

PHASES = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class Charger:
    """What a charger says of itself.

    Attributes
    ----------
    state : str
        IEC 61851.
    current_A, voltage_V : mapping of phase to value
        On its own L1, L2, L3; empty where it does not measure.
    """

    state: str
    current_A: Mapping[str, float]
    voltage_V: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment.

    Attributes
    ----------
    at_s : float
        Seconds, from any start.
    meter : mapping or None
        Values of the meter by point (``power_W.L1``), as they are on the wire; None if it gave no answer.
    charger : Charger or None
        None in a passive check, or if it gave no answer.
    limit_A : float or None
        What the charger was told; None in a passive check.
    phases : int or None
        On how many phases it was told to charge.
    """

    at_s: float
    meter: Mapping[str, float] | None
    charger: Charger | None = None
    limit_A: float | None = None
    phases: int | None = None

    def value(self, quantity: str, phase: str) -> float:
        """Value of the meter; NaN if unknown."""
        return (self.meter or {}).get(f"{quantity}.{phase}", math.nan)


@dataclass(frozen=True, slots=True)
class Plateau:
    """A stretch with one limit and one number of phases."""

    limit_A: float
    phases: int | None
    samples: tuple[Sample, ...]

    def settled(self, last_s: float = 4.0) -> tuple[Sample, ...]:
        """Give the end of it, when the car has followed."""
        end_s = self.samples[-1].at_s
        return tuple(sample for sample in self.samples if sample.at_s > end_s - last_s)


def plateaus(samples: Iterable[Sample], phases: int | None = None) -> list[Plateau]:
    """Cut samples into stretches of one limit; of those with this number of phases, if given."""
    found: list[list[Sample]] = []
    for sample in samples:
        if sample.limit_A is None:
            continue
        if found and (found[-1][-1].limit_A, found[-1][-1].phases) == (sample.limit_A, sample.phases):
            found[-1].append(sample)
        else:
            found.append([sample])
    cut = [Plateau(part[0].limit_A or 0.0, part[0].phases, tuple(part)) for part in found]
    return [one for one in cut if phases is None or one.phases == phases]


def known(values: Iterable[float]) -> list[float]:
    """Give the values that are not NaN."""
    return [value for value in values if not math.isnan(value)]


def middle(values: Iterable[float]) -> float:
    """Median of the known values; NaN if there are none."""
    numbers = known(values)
    return median(numbers) if numbers else math.nan


def answered(samples: Sequence[Sample]) -> list[Sample]:
    """Give the samples in which the meter answered."""
    return [sample for sample in samples if sample.meter is not None]


def pairs() -> Iterator[tuple[str, str, str]]:
    """Yield each pair of phases, and the third."""
    yield from (("L1", "L2", "L3"), ("L2", "L3", "L1"), ("L3", "L1", "L2"))
