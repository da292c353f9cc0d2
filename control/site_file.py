"""The site file: what an installer knows of a site and EVerest's config has no place for.

Buses, meters and connectors that the bridge drives, how the phases are wired, priorities, fuses. What the
parts look like is in `control.site_sections`; here is what they must have to do with each other.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bsp.bridge import ConnectorConfig, ContactorConfig, MeterConfig, RelayConfig
from bsp.hub import HubLink
from bsp.profile import ConnectorProfile, MeterProfile, Profile, Serial, connector_profile, meter_profile
from bsp.relay_profile import RelayProfile, relay_profile
from bsp.relays import Contactor
from bsp.transport import SerialLink, TcpLink
from bsp.yaml_file import FileError, Key, YamlFile
from control.broker import Broker
from control.site_broker import BrokerReader
from control.site_sections import (
    GRID,
    AnyDeviceSection,
    BusSection,
    ConnectorSection,
    ContactorSection,
    EvseSection,
    FuseSection,
    GridSection,
    NodeSection,
    Sections,
    SharingSection,
    SiteSolarSection,
)

__all__ = [
    "GRID",
    "EvseSection",
    "GridSection",
    "NodeSection",
    "SharingSection",
    "SiteError",
    "SiteFile",
    "load_site",
]

P = TypeVar("P", bound=Profile)


class SiteError(FileError):
    """The site file is not what it must be. The message has one line per problem."""


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A site, checked and ready for use.

    Attributes
    ----------
    grid, nodes, evses
        As written. Of `nodes`, each is reached from the grid through its parents.
    connectors : mapping
        As written, by the name that is also their uuid in the energy tree.
    buses, bridged_meters, bridged_relays, bridged_connectors : mapping
        The same as the bridge takes them.
    sharing, solar
        As written.
    broker : Broker or None
        Broker of the MQTT API, as far as the file describes it.
    """

    grid: GridSection | None
    nodes: Mapping[str, NodeSection]
    evses: Mapping[str, EvseSection]
    connectors: Mapping[str, ConnectorSection]
    buses: Mapping[str, SerialLink | TcpLink | HubLink]
    bridged_meters: Mapping[str, MeterConfig]
    bridged_relays: Mapping[str, RelayConfig]
    bridged_connectors: Mapping[str, ConnectorConfig]
    sharing: SharingSection
    solar: SiteSolarSection
    broker: Broker | None


def load_site(path: Path) -> SiteFile:
    """Read a site file.

    Parameters
    ----------
    path : Path
        The file. Profiles that it names as files are relative to it.

    Raises
    ------
    SiteError
        With one line for each problem: ``site.yaml:12 connectors.carport.bus: unknown bus 'rs486', ...``.
    """
    try:
        file = YamlFile(path, Sections, reference="docs/configuration.md")
        reader = _Reader(file.value, path.parent)
        for key, reason in reader.problems():
            file.problem(key, reason)
        file.check()
    except FileError as error:
        raise SiteError(error.problems) from error
    return reader.site()


class _Reader:
    """Checks what the parts of a file say of each other, and puts them together."""

    def __init__(self, sections: Sections, directory: Path) -> None:
        self._sections = sections
        self._directory = directory
        self._meters: dict[str, MeterProfile] = {}
        self._connectors: dict[str, ConnectorProfile] = {}
        self._relays: dict[str, RelayProfile] = {}
        self._broker = BrokerReader(sections.mqtt, directory) if sections.mqtt is not None else None

    def problems(self) -> Iterator[tuple[Key, str]]:
        """Yield what is wrong, as key and reason."""
        yield from self._load_profiles()
        yield from self._bus_problems()
        yield from self._reference_problems()
        yield from self._node_problems()
        yield from self._address_problems()
        yield from self._limit_problems()
        yield from self._contactor_problems()
        if self._broker is not None:
            yield from ((("mqtt", *key), reason) for key, reason in self._broker.problems())

    def site(self) -> SiteFile:
        """Put the site together."""
        sections = self._sections
        return SiteFile(
            grid=sections.grid,
            nodes=sections.nodes,
            evses=sections.evses,
            connectors=sections.connectors,
            buses={name: self._link(name, bus) for name, bus in sections.buses.items()},
            bridged_meters={
                name: MeterConfig(
                    meter.bus, _unit(meter, self._meters[name]), self._meters[name], every_s=meter.every
                )
                for name, meter in sections.meters.items()
            },
            bridged_relays={
                name: RelayConfig(relay.bus, _unit(relay, self._relays[name]), self._relays[name])
                for name, relay in sections.relays.items()
            },
            bridged_connectors={name: self._connector(name) for name in sections.connectors},
            sharing=sections.sharing,
            solar=sections.solar,
            broker=self._broker.broker() if self._broker is not None else None,
        )

    def _connector(self, name: str) -> ConnectorConfig:
        section, profile = self._sections.connectors[name], self._connectors[name]
        maximum_A = profile.current_limit.maximum if section.max_current is None else section.max_current
        return ConnectorConfig(
            bus=section.bus,
            unit=_unit(section, profile),
            profile=profile,
            number=section.number,
            meter=section.meter,
            maximum_A=maximum_A,
            fallback_A=section.fallback_current,
            every_s=section.every,
            contactors=_contactors(section.contactors) if section.contactors is not None else None,
            board=section.bsp,
            phases_locked=section.phase_switching == "locked",
        )

    def _link(self, name: str, bus: BusSection) -> SerialLink | TcpLink | HubLink:
        if bus.everest_hub:
            return HubLink()
        if bus.host is not None:
            timeout_s = 1.0 if bus.timeout is None else bus.timeout
            ports = {profile.port for profile in self._profiles_on(name)}
            port = bus.port or (ports.pop() if len(ports) == 1 else 502)
            return TcpLink(bus.host, port, bus.framing, timeout_s)
        factory = next(iter(self._factory_settings(name)), Serial())
        return SerialLink(
            bus.serial or "",
            bus.baudrate or factory.baudrate,
            bus.parity or factory.parity,
            bus.stop_bits or factory.stop_bits,
            0.5 if bus.timeout is None else bus.timeout,
        )

    def _profiles_on(self, bus: str) -> list[Profile]:
        meters = [self._meters[name] for name, m in self._sections.meters.items() if m.bus == bus]
        return [
            *meters,
            *(self._connectors[name] for name, c in self._sections.connectors.items() if c.bus == bus),
        ]

    def _factory_settings(self, bus: str) -> set[Serial]:
        return {profile.serial for profile in self._profiles_on(bus) if profile.serial is not None}

    def _load_profiles(self) -> Iterator[tuple[Key, str]]:
        yield from self._load(self._sections.meters, "meters", self._meters, meter_profile)
        yield from self._load(self._sections.connectors, "connectors", self._connectors, connector_profile)
        yield from self._load(self._sections.relays, "relays", self._relays, relay_profile)

    def _load(
        self,
        sections: Mapping[str, AnyDeviceSection],
        kind: str,
        into: dict[str, P],
        load: Callable[[str], P],
    ) -> Iterator[tuple[Key, str]]:
        for name, section in sections.items():
            try:
                into[name] = load(self._profile_path(section.profile))
            except FileError as error:
                yield from (((kind, name, "profile"), problem) for problem in error.problems)

    def _profile_path(self, profile: str) -> str:
        return str(self._directory / profile) if profile.endswith(".yaml") else profile

    def _bus_problems(self) -> Iterator[tuple[Key, str]]:
        all_profiles = len(self._profiles()) == len(self._devices())
        for name, bus in self._sections.buses.items():
            if [bus.serial is not None, bus.host is not None, bus.everest_hub].count(True) != 1:
                yield (
                    ("buses", name),
                    "needs one of 'serial' (a port), 'host' (a TCP host) and 'everest_hub: true'",
                )
            if bus.host is not None and (bus.baudrate or bus.parity or bus.stop_bits):
                yield ("buses", name), "baudrate, parity and stop_bits belong to a serial line, not to a host"
            if bus.serial is None or not all_profiles or (bus.baudrate and bus.parity and bus.stop_bits):
                continue
            if len(self._factory_settings(name)) > 1:
                reason = "its devices have different factory settings; bring them to the same ones, and give "
                yield ("buses", name), reason + "baudrate, parity and stop_bits here"
        if all_profiles:
            yield from self._lines_given_twice()

    def _lines_given_twice(self) -> Iterator[tuple[Key, str]]:
        owners: dict[Hashable, str] = {}
        for name, bus in self._sections.buses.items():
            link = self._link(name, bus)
            if isinstance(link, HubLink):
                line: Hashable = "EVerest's serial hub"
            else:
                line = link.port if isinstance(link, SerialLink) else f"{link.host}:{link.port}"
            if line in owners:
                yield ("buses", name), f"{line} is buses.{owners[line]} already; have all its devices there"
            owners.setdefault(line, name)

    def _reference_problems(self) -> Iterator[tuple[Key, str]]:
        sections = self._sections
        for key, device in self._devices():
            yield from _unknown((*key, "bus"), "bus", device.bus, sections.buses)
        parts: list[tuple[Key, FuseSection | EvseSection]] = [
            *((("nodes", name), node) for name, node in sections.nodes.items()),
            *((("connectors", name), connector) for name, connector in sections.connectors.items()),
            *((("evses", name), evse) for name, evse in sections.evses.items()),
        ]
        if sections.grid is not None:
            parts.append(((GRID,), sections.grid))
        for key, part in parts:
            if part.meter is not None:
                yield from _unknown((*key, "meter"), "meter", part.meter, sections.meters)
            if isinstance(part, EvseSection):
                yield from _unknown((*key, "node"), "node", part.node, [GRID, *sections.nodes])
        for name in sections.evses:
            if name in sections.connectors:
                yield ("evses", name), "is a connector, too; give its attributes there"

    def _node_problems(self) -> Iterator[tuple[Key, str]]:
        nodes = self._sections.nodes
        if GRID in nodes:
            yield ("nodes", GRID), "is the name of the grid connection; describe it under 'grid'"
        for name, node in nodes.items():
            yield from _unknown(("nodes", name, "parent"), "node", node.parent, [GRID, *nodes])
            at, seen = name, {name}
            while at in nodes and (at := nodes[at].parent) not in seen:
                seen.add(at)
            if at == name:
                yield ("nodes", name, "parent"), "goes round in a circle and never reaches the grid"
        grid: list[tuple[Key, FuseSection]] = []
        if self._sections.grid is not None:
            grid.append(((GRID,), self._sections.grid))
        for key, part in [*grid, *((("nodes", name), node) for name, node in nodes.items())]:
            if part.reserve > part.fuse:
                yield (*key, "reserve"), f"{part.reserve:g} A is more than the fuse of {part.fuse:g} A"
            if part.fallback is not None and part.fallback > part.fuse:
                yield (*key, "fallback"), f"{part.fallback:g} A is more than the fuse of {part.fuse:g} A"

    def _address_problems(self) -> Iterator[tuple[Key, str]]:
        profiles = self._profiles()
        taken: dict[tuple[str, int, int], Key] = {}
        for key, device in self._devices():
            if key not in profiles:
                continue
            number = device.number if isinstance(device, ConnectorSection) else 1
            address = (device.bus, _unit(device, profiles[key]), number)
            if address in taken:
                yield (
                    (*key, "unit"),
                    f"unit {address[1]} on bus '{address[0]}' is {'.'.join(taken[address])} already",
                )
            taken[address] = key

    def _limit_problems(self) -> Iterator[tuple[Key, str]]:
        for name, profile in self._connectors.items():
            section, limit, least_A = self._sections.connectors[name], profile.current_limit, profile.least_A
            key = ("connectors", name)
            if section.number > 1 and profile.blocks is None:
                yield (*key, "number"), f"profile '{section.profile}' has one connector only"
            if section.max_current is not None and not least_A <= section.max_current <= limit.maximum:
                yield (*key, "max_current"), f"the charger takes {least_A:g} A to {limit.maximum:g} A"
            highest_A = min(limit.maximum, section.max_current or limit.maximum)
            if section.fallback_current != 0 and not least_A <= section.fallback_current <= highest_A:
                yield (
                    (*key, "fallback_current"),
                    f"must be 0 A (pause) or {least_A:g} A to {highest_A:g} A",
                )

    def _contactor_problems(self) -> Iterator[tuple[Key, str]]:
        relays = self._sections.relays
        for name, connector in self._sections.connectors.items():
            contactors, key = connector.contactors, ("connectors", name, "contactors")
            if contactors is None:
                continue
            if connector.bsp is not None:
                yield key, "the board of 'bsp' switches the phases already; leave one of them out"
            yield from _unknown((*key, "board"), "relay board", contactors.board, relays)
            board = self._relays.get(contactors.board)
            if board is None:
                continue
            for what, number in (("phases", contactors.phases), ("main", contactors.main)):
                if number is not None and number not in board.relays:
                    yield (*key, what), f"the board has relays {board.relays[0]} to {board.relays[-1]}"
            for what in ("phases_feedback", "main_feedback"):
                number = getattr(contactors, what)
                if number is not None and number not in board.inputs:
                    yield (*key, what), f"the board has {len(board.inputs)} inputs"

    def _profiles(self) -> dict[Key, Profile]:
        return {
            **{("meters", name): profile for name, profile in self._meters.items()},
            **{("connectors", name): profile for name, profile in self._connectors.items()},
            **{("relays", name): profile for name, profile in self._relays.items()},
        }

    def _devices(self) -> list[tuple[Key, AnyDeviceSection]]:
        sections = self._sections
        return [
            *((("meters", name), meter) for name, meter in sections.meters.items()),
            *((("connectors", name), connector) for name, connector in sections.connectors.items()),
            *((("relays", name), relay) for name, relay in sections.relays.items()),
        ]


def _contactors(section: ContactorSection) -> ContactorConfig:
    main = Contactor(section.main, section.main_feedback) if section.main is not None else None
    phases = Contactor(section.phases, section.phases_feedback)
    return ContactorConfig(section.board, phases, main, hold_off_s=section.hold_off)


def _unit(section: AnyDeviceSection, profile: Profile) -> int:
    return profile.unit if section.unit is None else section.unit


def _unknown(key: Key, what: str, name: str, known: Collection[str]) -> Iterator[tuple[Key, str]]:
    if name not in known:
        yield key, f"unknown {what} '{name}', known: {', '.join(known) or 'none'}"
