"""What to try, in which order: the settings that profiles name, the likely ones first. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bsp.profile import MeterProfile, Serial
from bsp.transport import Read

FIRST_UNITS = 16
"""Units up to here are tried after those from the factory."""
LAST_UNIT = 247
HOST_UNITS = (1, 255, 0, 2, 3, 4, 5)
"""Units that devices with a network of their own, and gateways, mostly have."""

PAUSE_S = 0.015
"""Between two requests, at the slowest of the usual baud rates."""

KNOCKS = (Read("input", 0, 2), Read("holding", 0, 2))
"""Reads by which a device is found: most answer any, if only to refuse it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Line settings, and what to try with them."""

    settings: Serial
    units: Sequence[int]
    knocks: Sequence[Read]

    @property
    def words(self) -> str:
        """The attempt, as progress shows it."""
        settings = self.settings
        line = f"{settings.baudrate} 8{settings.parity}{settings.stop_bits}"
        shown = ", ".join(map(str, self.units)) if len(self.units) < 4 else f"{len(self.units)} units"
        return f"{line}: {'unit ' if len(self.units) < 4 else ''}{shown}"


def attempts(
    profiles: Iterable[MeterProfile],
    settings: Sequence[Serial] = (),
    units_wanted: Sequence[int] = (),
    *,
    every: bool = False,
) -> Iterator[Attempt]:
    """Yield what to try on a line: factory units at all settings, then the other units, then silent ones.

    A device that ignores what it does not know, in place of refusing it, is found in the last round only.
    """
    profiles = list(profiles)
    settings = settings or line_settings(profiles)
    first = list(units_wanted) or factory_units(profiles)
    rest = [] if units_wanted else [unit for unit in units(profiles, every=every) if unit not in first]
    for line in settings:
        yield Attempt(line, first, KNOCKS)
    for line in settings if rest else ():
        yield Attempt(line, rest, KNOCKS)
    for line in settings:
        with_them = [profile for profile in profiles if profile.serial in (line, None)]
        yield Attempt(line, first, firm_knocks(with_them))


def at_most(attempts: Sequence[Attempt], timeout_s: float) -> str:
    """Say how much there is to try, and how long that takes where nobody answers."""
    requests = sum(len(attempt.units) * len(attempt.knocks) for attempt in attempts)
    settings = len({attempt.settings for attempt in attempts})
    units = len({unit for attempt in attempts for unit in attempt.units})
    minutes, seconds = divmod(round(requests * (timeout_s + PAUSE_S)), 60)
    lasts = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"{settings} line settings, {units} units: {lasts} if nobody answers"


def line_settings(profiles: Iterable[MeterProfile]) -> list[Serial]:
    """Give every combination of line settings that a profile names, the most frequent first."""
    named = Counter(profile.serial for profile in profiles if profile.serial is not None)
    return [settings for settings, _ in named.most_common()]


def factory_units(profiles: Iterable[MeterProfile]) -> list[int]:
    """Give the Modbus addresses that devices have from the factory, the most frequent first."""
    return [unit for unit, _ in Counter(profile.unit for profile in profiles if profile.unit).most_common()]


def units(profiles: Iterable[MeterProfile], *, every: bool = False) -> list[int]:
    """Give the Modbus addresses to try: those from the factory, then from 1 upward."""
    last = LAST_UNIT if every else FIRST_UNITS
    return list(dict.fromkeys([*factory_units(profiles), *range(1, last + 1)]))


def host_units(profiles: Iterable[MeterProfile], *, every: bool = False) -> list[int]:
    """Give the Modbus addresses to try at a TCP host."""
    return list(dict.fromkeys([*HOST_UNITS, *units(profiles, every=every)]))


def firm_knocks(profiles: Iterable[MeterProfile]) -> list[Read]:
    """Give reads of which each profile answers one, for units where a device may ignore all others."""
    first = [next(iter(profile.points.values())) for profile in profiles if profile.sunspec is None]
    reads = Counter(Read(point.table or "holding", point.address, point.count) for point in first)
    return [read for read, _ in reads.most_common()]


def on_lines(profiles: Mapping[str, MeterProfile]) -> dict[str, MeterProfile]:
    """Give the profiles of devices that can be on a serial line."""
    return {name: profile for name, profile in profiles.items() if "rtu" in profile.transport}
