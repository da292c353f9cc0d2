"""The search: over line settings and units, until somebody answers; then who that is."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bsp.profile import MeterProfile, Serial, meter_profile, profile_names
from bsp.transport import DisconnectedError, Read, SerialLink, TcpLink, Transport
from hil.probe import plan
from hil.probe.fussy_port import FussyPort
from hil.probe.identify import Identity, identify
from hil.probe.read_only_bus import ReadOnlyBus

LINE_TIMEOUT_S = 0.2
"""Meters answer within 100 ms; a longer wait makes the search of silent units slow."""
HOST_TIMEOUT_S = 0.5

NOBODY = 239
"""A host that answers even as this unit does not look at units: then the first found is all there is."""

OpenLine = Callable[[SerialLink | TcpLink], Transport]


@dataclass(frozen=True, slots=True)
class Search:
    """What to search, besides where.

    Attributes
    ----------
    every_unit : bool
        Try all 247 units, not only the likely ones.
    units : tuple of int
        Try these only.
    settings : tuple of Serial
        Try these line settings only.
    nominal_V : float
        Voltage between phase and neutral.
    open_line : callable
        Makes the transport of a link.
    progress : callable
        Told what is tried.
    """

    every_unit: bool = False
    units: tuple[int, ...] = ()
    settings: tuple[Serial, ...] = ()
    nominal_V: float = 230.0
    open_line: OpenLine = FussyPort
    progress: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that answers.

    Attributes
    ----------
    link, unit
        Where.
    identity : Identity or None
        Which meter it is; None if it answers but is none that is described.
    """

    link: SerialLink | TcpLink
    unit: int
    identity: Identity | None


async def search_line(link: SerialLink, search: Search = Search()) -> AsyncIterator[Found]:
    """Search a serial line; ends at the first line settings at which anybody answers, since a line has one.

    Raises
    ------
    DisconnectedError
        The port cannot be opened.
    """
    profiles = plan.on_lines(_profiles())
    attempts = list(plan.attempts(profiles.values(), search.settings, search.units, every=search.every_unit))
    search.progress(plan.at_most(attempts, link.timeout_s))
    is_open = False
    for attempt in attempts:
        settings = attempt.settings
        here = replace(link, baudrate=settings.baudrate, parity=settings.parity, stop_bits=settings.stop_bits)
        search.progress(attempt.words)
        bus = ReadOnlyBus(link.port, search.open_line(here))
        if not await bus.open():  # not every port knows all settings
            continue
        is_open = True
        with contextlib.closing(bus):
            if not await _anybody(bus, attempt.units, attempt.knocks):
                continue
            everyone = search.units or plan.units(profiles.values(), every=search.every_unit)
            async for found in _search(bus, here, everyone, attempt.knocks, profiles, search):
                yield found
            return
    if not is_open:
        raise DisconnectedError(f"'{link.port}' cannot be opened")


async def search_host(link: TcpLink, search: Search = Search()) -> AsyncIterator[Found]:
    """Search the units behind a TCP host.

    Raises
    ------
    DisconnectedError
        The host cannot be reached.
    """
    profiles = _profiles()
    units = search.units or plan.host_units(profiles.values(), every=search.every_unit)
    bus = ReadOnlyBus(link.host, search.open_line(link))
    if not await bus.open():
        raise DisconnectedError(f"'{link.host}' cannot be reached")
    with contextlib.closing(bus):
        async for found in _search(bus, link, units, plan.KNOCKS, profiles, search):
            yield found
            if not search.units and await _anybody(bus, [NOBODY], plan.KNOCKS):
                return


async def _search(  # noqa: PLR0917 (a place, what to try there, and how)
    bus: ReadOnlyBus,
    link: SerialLink | TcpLink,
    units: Iterable[int],
    knocks: Sequence[Read],
    profiles: Mapping[str, MeterProfile],
    search: Search,
) -> AsyncIterator[Found]:
    line = Serial(link.baudrate, link.parity, link.stop_bits) if isinstance(link, SerialLink) else None
    for unit in units:
        if await _anybody(bus, [unit], knocks):
            search.progress(f"unit {unit} answers")
            identity = await identify(bus, unit, profiles, line=line, nominal_V=search.nominal_V)
            yield Found(link, unit, identity)


async def _anybody(bus: ReadOnlyBus, units: Iterable[int], knocks: Sequence[Read]) -> bool:
    for unit in units:
        for knock in knocks:
            if await bus.is_present(unit, knock):
                return True
    return False


def named_settings() -> list[Serial]:
    """Give every combination of line settings that a profile names, the most frequent first."""
    return plan.line_settings(plan.on_lines(_profiles()).values())


def _profiles() -> dict[str, MeterProfile]:
    return {name: meter_profile(name) for name in profile_names("meters")}
