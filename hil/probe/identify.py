"""Which meter a unit is: whose profile sees values that make sense."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bsp.device import Device
from bsp.profile import MeterProfile, Serial
from bsp.registers import Point, Value
from bsp.sunspec import find_model
from bsp.transport import BusError
from hil.probe.plausibility import Evidence, weigh
from hil.probe.read_only_bus import ReadOnlyBus

_CORE = ("voltage_V.L", "current_A.L", "power_W", "energy_Wh.import", "energy_Wh.export", "frequency_Hz")
_MORE = ("power_factor.total",)
_FIRST_LOOK = ("voltage_V.L1", "power_W.total", "energy_Wh.import")
_HALF_CERTAIN = 8.0
"""So much evidence for a profile makes it half certain."""
_AS_GOOD = 0.6
"""Profiles whose evidence differs by less cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile that may be the right one.

    Attributes
    ----------
    name, profile
        Which.
    evidence : tuple of Evidence
        What speaks for it, and against.
    values : mapping
        What it sees, by point.
    """

    name: str
    profile: MeterProfile
    evidence: tuple[Evidence, ...]
    values: Mapping[str, Value]

    @property
    def score(self) -> float:
        """Evidence for it less twice that against it."""
        return sum(e.weight * (2 if e.speaks_against else 1) for e in self.evidence)

    @property
    def missing(self) -> int:
        """How many of its points the device does not have."""
        return sum(value is None for value in self.values.values())

    @property
    def confidence(self) -> float:
        """How sure it is, 0 to 1: of what there is to see, how much fits, and how much there is to see."""
        fits = sum(e.weight for e in self.evidence if e.weight > 0)
        against = -sum(e.weight for e in self.evidence if e.weight < 0)
        return fits / (fits + 2 * against) * fits / (fits + _HALF_CERTAIN) if fits else 0.0


@dataclass(frozen=True, slots=True)
class Identity:
    """What a unit is.

    Attributes
    ----------
    best : Candidate
        The most likely profile.
    others : tuple of Candidate
        Profiles that see the same values and fit as well: it is one of them.
    notes : tuple of str
        Where the device decides what sources disagree on.
    """

    best: Candidate
    others: tuple[Candidate, ...]
    notes: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """How sure the readings are, 0 to 1; that of the name is told by `others`."""
        return self.best.confidence


async def identify(
    bus: ReadOnlyBus,
    unit: int,
    profiles: Mapping[str, MeterProfile],
    *,
    line: Serial | None,
    nominal_V: float = 230.0,
) -> Identity | None:
    """Look at a unit through every profile.

    Parameters
    ----------
    bus : ReadOnlyBus
        Where it is.
    unit : int
        Its Modbus address.
    profiles : mapping
        Those that it may be, by name.
    line : Serial or None
        Settings of the line; of profiles that fit alike, the one that leaves the factory so comes first.
    nominal_V : float
        Voltage between phase and neutral.

    Returns
    -------
    Identity or None
        None if it is no meter that is described.
    """
    seen = []
    for name, described in profiles.items():
        for profile in _readings(described):
            values = await _look(bus, unit, profile, nominal_V)
            if values is not None:
                seen.append((name, profile, values))
                break
    bus.forget()
    candidates = []
    for name, profile, first in seen:
        later = await _look(bus, unit, profile, nominal_V) or first
        evidence = tuple(weigh(first, later, phases=profile.phases, nominal_V=nominal_V))
        candidates.append(Candidate(name, profile, evidence, later))
    likely = [c for c in candidates if c.score > 0 and c.confidence >= 0.1]
    if not likely:
        return None
    top = max(candidate.score for candidate in likely)
    alike = [candidate for candidate in likely if candidate.score >= top - _AS_GOOD]
    alike.sort(key=lambda c: (c.profile.serial != line, c.profile.unit != unit, c.missing, -len(c.values)))
    best = alike[0]
    others = tuple(candidate for candidate in alike[1:] if _sees_the_same(candidate, best))
    notes = [note async for note in _alternatives(bus, unit, best, nominal_V)]
    return Identity(best, others, tuple(notes))


def _readings(profile: MeterProfile) -> Iterator[MeterProfile]:
    """Yield a profile, and as other sources have it where the first look would not know it again."""
    yield profile
    disputed = [point for name in _FIRST_LOOK for point in profile.alternatives.get(name, ())]
    for source in dict.fromkeys(point.note for point in disputed):
        theirs = {
            name: point
            for name, points in profile.alternatives.items()
            for point in points
            if point.note == source
        }
        yield msgspec.structs.replace(profile, points={**profile.points, **theirs})


async def _look(
    bus: ReadOnlyBus, unit: int, profile: MeterProfile, nominal_V: float
) -> Mapping[str, Value] | None:
    """Read what matters; None as soon as it is clear that the device is another one."""
    device = Device(bus, unit, profile)
    try:
        if profile.sunspec is not None:
            device.move(await find_model(device, profile.sunspec.model))
        for name in _FIRST_LOOK:
            if name in profile.points:
                first = (await device.read([name])).values
                if any(e.weight <= -3.0 for e in weigh(first, first, phases=1, nominal_V=nominal_V)):
                    return None
                break
        return (await device.read(_points(profile))).values
    except BusError:
        return None


def _points(profile: MeterProfile) -> Sequence[str]:
    return [name for name in profile.points if name.startswith(_CORE) or name in _MORE]


def _sees_the_same(one: Candidate, other: Candidate) -> bool:
    """Whether both read the same where both have the point: then nothing on the wire tells them apart."""
    shared = [
        name
        for name in one.values.keys() & other.values.keys()
        if name.startswith(("voltage_V.L", "power_W", "energy_Wh.import")) and "." in name
    ]
    return bool(shared) and all(_near(one.values[name], other.values[name]) for name in shared)


def _near(one: Value, other: Value) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= 0.02 * abs(other) + 5
    return one == other


async def _alternatives(
    bus: ReadOnlyBus, unit: int, candidate: Candidate, nominal_V: float
) -> AsyncIterator[str]:
    """Yield where the device shows that another source is right than the one the profile follows."""
    for name, points in candidate.profile.alternatives.items():
        now = _fit(candidate.profile, {name: candidate.values.get(name)}, nominal_V)
        for point in points:
            if candidate.profile.points[name] == point:
                yield _note(name, point)
                continue
            value = await _read_as(bus, unit, candidate.profile, name, point)
            if value is not None and _fit(candidate.profile, {name: value}, nominal_V) > now:
                yield _note(name, point)


def _note(name: str, point: Point) -> str:
    order = ", lsw_first" if point.word_order == "lsw_first" else ", msw_first" if point.count > 1 else ""
    return (
        f"{name}: this device follows {point.note or 'another source'} "
        f"(address {point.address}, scale {point.scale:g}{order}): copy the profile, change that point"
    )


def _fit(profile: MeterProfile, values: Mapping[str, Value], nominal_V: float) -> float:
    return sum(e.weight for e in weigh(values, values, phases=profile.phases, nominal_V=nominal_V))


async def _read_as(bus: ReadOnlyBus, unit: int, profile: MeterProfile, name: str, point: Point) -> Value:
    """Read a point where another source sees it; None if it is not there."""
    other = msgspec.structs.replace(profile, points={**profile.points, name: point})
    try:
        return (await Device(bus, unit, other).read([name])).values[name]
    except BusError:
        return None
