"""What a scenario becomes on a real site: whose addresses it uses, what it leaves out, what it will do."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from bsp.bridge import ConnectorConfig
from control.site_file import GRID, GridSection, NodeSection, SiteFile
from energy_management.site import ROTATIONS
from hil.field.target import Target, connector_of_site
from hil.live.run import Live
from hil.live.survey import Survey, above, devices_of, room_A, share_A
from hil.scenario.agenda import visits
from hil.scenario.happenings import EVENTS
from hil.scenario.scenario import Line, Scenario

T = TypeVar("T", GridSection | None, NodeSection)
_IN_THE_CAR = ("ignores the pilot", "falls asleep")
_IN_THE_CHARGER = ("ignores its limits", "contactor")
_BUS = "real."
"""Before the names of real buses, so that they are not taken for simulated ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario made ready for a real site.

    Attributes
    ----------
    scenario : Scenario
        With the addresses, fuses and wiring of what is real.
    chargers : mapping of str to Target
        Real connectors.
    others : tuple of str
        Other real devices.
    fuses_A : mapping of meter to amperes
        Real fuses behind real meters.
    skipped : tuple of str
        Events and assertions that are left out, as they are written.
    words : tuple of str
        What will be done, line by line.
    """

    scenario: Scenario
    chargers: Mapping[str, Target]
    others: tuple[str, ...]
    fuses_A: Mapping[str, float]
    skipped: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def cars_at_start(self) -> dict[str, str]:
        """Cars that must be at real connectors when the run begins."""
        cars = self.scenario.cars.items()
        return {name: car.evse for name, car in cars if car.evse in self.chargers and car.arrives_s <= 0.0}

    def live(self, at_most_s: float | None, tell: Callable[[str], None]) -> Live:
        """Say what is real in the run."""
        return Live(self.chargers, self.others, self.fuses_A, at_most_s, tell)


def plan_for(scenario: Scenario, real: SiteFile, found: Survey) -> Plan:
    """Make a scenario ready for what was found of a real site."""
    connectors = {name: config for name, config in real.bridged_connectors.items() if name in found.there}
    chargers = {}
    site = _with_real(scenario.site, real, found)
    for name in connectors:
        target = connector_of_site(real, name)
        chargers[name] = replace(target, maximum_A=site.bridged_connectors[name].maximum_A)
    kept: list[Line] = []
    skipped: list[Line] = []
    for line in scenario.events:
        (skipped if _is_impossible(line, scenario, found) else kept).append(line)
    lost = [line for line in scenario.assertions if _is_about(line, kept, skipped)]
    merged = replace(
        scenario,
        site=site,
        events=tuple(kept),
        assertions=tuple(line for line in scenario.assertions if line not in lost),
        rotations={**scenario.rotations, **{name: _rotation(real, name) for name in connectors}},
    )
    others = tuple(name for name in found.there if name not in connectors)
    return Plan(
        merged,
        chargers,
        others,
        dict(_fuses(real, found)),
        tuple(line.text for line in [*skipped, *lost]),
        tuple(_words(scenario, merged, found, [*skipped, *lost])),
    )


def _with_real(named: SiteFile, real: SiteFile, found: Survey) -> SiteFile:
    """Put the real devices in the place of those that a scenario names."""
    meters, connectors = dict(named.bridged_meters), dict(named.bridged_connectors)
    relays, sections = dict(named.bridged_relays), dict(named.connectors)
    for name in found.there:
        if name in real.bridged_meters:
            meters[name] = replace(real.bridged_meters[name], bus=_BUS + real.bridged_meters[name].bus)
        elif name in real.bridged_connectors:
            config = connectors[name] = _connector(name, named, real, found)
            sections[name] = msgspec.structs.replace(
                sections[name], phase_rotation=real.connectors[name].phase_rotation, meter=config.meter
            )
        else:
            relays[name] = replace(real.bridged_relays[name], bus=_BUS + real.bridged_relays[name].bus)
    used = {device.bus for devices in (meters, connectors, relays) for device in devices.values()}
    links = {**named.buses, **{_BUS + name: link for name, link in real.buses.items()}}
    return replace(
        named,
        grid=_fuse(named.grid, GRID, real, found),
        nodes={name: _fuse(node, name, real, found) for name, node in named.nodes.items()},
        connectors=sections,
        bridged_meters=meters,
        bridged_connectors=connectors,
        bridged_relays=relays,
        buses={name: link for name, link in links.items() if name in used},
    )


def _connector(name: str, named: SiteFile, real: SiteFile, found: Survey) -> ConnectorConfig:
    """Give a real connector, which may draw no more than script, cable and the fuses above it allow."""
    config, scripted = real.bridged_connectors[name], named.bridged_connectors[name]
    return replace(
        config,
        bus=_BUS + config.bus,
        # A simulated meter would see only what the charger itself says.
        meter=scripted.meter if scripted.meter in found.there else None,
        maximum_A=min(config.maximum_A, scripted.maximum_A, share_A(name, named, real, found.there)),
    )


def _fuse(part: T, name: str, real: SiteFile, found: Survey) -> T:
    """Give a node the smaller one of its fuse and the real one, if that feeds real connectors.

    The larger reserve counts, and generation, which may be simulated, makes no room.
    """
    feeds = [node for other in real.connectors if other in found.there for node in above(real, other)]
    if part is None or name not in feeds:
        return part
    fuse_A = min(part.fuse, room_A(real, name, found.there))
    real_part = real.grid if name == GRID else real.nodes.get(name)
    reserve_A = max(part.reserve, real_part.reserve if real_part is not None else 0.0)
    fallback_A = None if part.fallback is None else min(part.fallback, fuse_A)
    return msgspec.structs.replace(
        part, fuse=fuse_A, fallback=fallback_A, reserve=min(reserve_A, fuse_A), counts_generation=False
    )


def _fuses(real: SiteFile, found: Survey) -> Iterator[tuple[str, float]]:
    for part in [*([real.grid] if real.grid else []), *real.nodes.values()]:
        if part.meter is not None and part.meter in found.there:
            yield part.meter, part.fuse


def _rotation(real: SiteFile, name: str) -> tuple[int, int, int]:
    one, two, three = ROTATIONS.get(real.connectors[name].phase_rotation, (0, 1, 2))
    return one, two, three


def _is_impossible(line: Line, scenario: Scenario, found: Survey) -> bool:
    """Whether something cannot be brought about, since it is to happen to something real."""
    sentence, blanks = EVENTS.read(line.text, scenario.names)
    if "bus" in blanks:
        devices = devices_of(scenario.site)
        return all(name in found.there for name, device in devices.items() if device.bus == blanks["bus"])
    if blanks.get("device") in found.there:
        return True
    if sentence.text.startswith("breaker"):
        return bool(found.there)
    if blanks.get("evse") in found.there and any(word in sentence.text for word in _IN_THE_CHARGER):
        return True
    car = scenario.cars.get(str(blanks.get("car")))
    is_real = car is not None and car.evse in found.there
    return is_real and any(word in sentence.text for word in _IN_THE_CAR)


def _is_about(line: Line, kept: list[Line], skipped: list[Line]) -> bool:
    """Whether an assertion quotes an event that is left out."""
    quotes = re.findall(r'"([^"]+)"', line.text)
    return any(
        any(quote in event.text for event in skipped) and not any(quote in event.text for event in kept)
        for quote in quotes
    )


def _words(scenario: Scenario, merged: Scenario, found: Survey, skipped: list[Line]) -> Iterator[str]:
    """Say what will be done, before it is."""
    site = merged.site
    for name, what in found.there.items():
        yield f"real       {name}: {what}"
    simulated = [name for name in [*merged.names["device"], *site.evses] if name not in found.there]
    for name in simulated:
        why = found.missing.get(name)
        yield f"simulated  {name}" + (f": {why}" if why else "")
    for name, config in site.bridged_connectors.items():
        if name not in found.there:
            continue
        least_A = config.profile.least_A
        yield (
            f"switches   {name}: pauses, and limits from {least_A:g} A to {config.maximum_A:g} A; "
            f"{_phases(config, merged)}; at the end {_fallback(config)}"
        )
        for car in sorted({car for car, evse in visits(scenario) if evse == name}):
            yield f"you        plug in {car} at {name} when told; the script waits for it"
    for line in skipped:
        yield f"left out   {line.text}"
    if any(line.text.startswith("the module is killed") for line in merged.events):
        yield "kills      the energy manager: real chargers have only their own watchdogs then"


def _phases(config: ConnectorConfig, scenario: Scenario) -> str:
    if scenario.settings.get("switch_3ph1ph_while_charging_mode", "Never") == "Never" or config.phases_locked:
        return "phases stay"
    if config.contactors is not None:
        return f"contactors on {config.contactors.board} switch its phases"
    return "switches its phases" if config.profile.phase_switching is not None else "phases stay"


def _fallback(config: ConnectorConfig) -> str:
    return f"its fallback of {config.fallback_A:g} A" if config.fallback_A else "paused"


__all__ = ["Plan", "plan_for"]
