"""The site file: what an installer knows of a site and EVerest's config has no place for.

Buses, meters and connectors that the bridge drives, how the phases are wired, priorities, fuses. Run as a
program it prints the JSON Schema of the file, for editors.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from bsp.bridge import ConnectorConfig, MeterConfig
from bsp.profile import ConnectorProfile, MeterProfile, Profile, Serial, connector_profile, meter_profile
from bsp.transport import SerialLink, TcpLink
from bsp.yaml_file import Amperes, FileError, Key, Seconds, Volts, YamlFile

GRID = "grid"
"""Name of the node at the root."""

PhaseRotation = Literal["L1 L2 L3", "L2 L3 L1", "L3 L1 L2", "L1 L3 L2", "L2 L1 L3", "L3 L2 L1", "unknown"]
"""Grid phases that the connector's L1, L2, L3 are wired to."""
Unit = Annotated[int, msgspec.Meta(ge=1, le=255, description="Modbus address")]
Weight = Annotated[
    float, msgspec.Meta(ge=0.001, le=1000, description="share relative to others of the same priority")
]


class SiteError(FileError):
    """The site file is not what it must be. The message has one line per problem."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of the file: unknown keys are errors."""


class FuseSection(Section, frozen=True, kw_only=True):
    """A fuse, with what is known of its wires.

    Attributes
    ----------
    fuse : Amperes
        Rating, per phase.
    phases : int
        Phases it has.
    meter : str or None
        Meter that measures everything behind it.
    reserve : Amperes
        Part of the fuse that is never given to cars.
    max_unbalance : Amperes or None
        Largest difference between two phases.
    stale_after : Seconds
        Age of a reading beyond which it no longer counts.
    fallback : Amperes or None
        Budget for the EVSEs below while the meter is silent; none at all if not given.
    """

    fuse: Amperes
    phases: Literal[1, 3] = 3
    meter: str | None = None
    reserve: Amperes = 0.0
    max_unbalance: Amperes | None = None
    stale_after: Seconds = 10.0
    fallback: Amperes | None = None


class GridSection(FuseSection, frozen=True, kw_only=True):
    """The grid connection: the fuse at the root."""

    nominal_voltage: Volts = 230.0


class NodeSection(FuseSection, frozen=True, kw_only=True):
    """A sub-fuse, fed by the node `parent`."""

    parent: str = GRID


class BusSection(Section, frozen=True, kw_only=True):
    """A serial line or a TCP host.

    Attributes
    ----------
    serial : str or None
        Port of the adapter, best below /dev/serial/by-id, where it keeps its name.
    baudrate, parity, stop_bits
        Line settings; by default those with which the devices leave the factory.
    host, port
        Address of a TCP host.
    framing : str
        "tcp", or "rtu" for a serial device server that passes RTU frames.
    timeout : Seconds or None
        How long to wait for an answer; by default 500 ms on a line, 1 s from a host.
    """

    serial: str | None = None
    baudrate: Annotated[int, msgspec.Meta(ge=300)] | None = None
    parity: Literal["N", "E", "O"] | None = None
    stop_bits: Literal[1, 2] | None = None
    host: str | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    framing: Literal["tcp", "rtu"] = "tcp"
    timeout: Seconds | None = None


class MeterSection(Section, frozen=True, kw_only=True):
    """A meter: its profile by name or file, where it is, and how often it is read."""

    profile: str
    bus: str
    unit: Unit | None = None
    every: Seconds = 1.0


class EvseSection(Section, frozen=True, kw_only=True):
    """What the energy manager should know of an EVSE.

    Attributes
    ----------
    phase_rotation : str
        Grid phases that its L1, L2, L3 are wired to; "unknown" counts on the worst case.
    priority : int
        Higher ones fill first.
    weight : float
        Share relative to others of the same priority.
    meter : str or None
        Meter that measures it.
    """

    phase_rotation: PhaseRotation = "unknown"
    priority: int = 0
    weight: Weight = 1.0
    meter: str | None = None


class ConnectorSection(EvseSection, frozen=True, kw_only=True):
    """A charger's connector that the bridge drives.

    Attributes
    ----------
    profile, bus, unit
        Which charger, and where.
    number : int
        Which of its connectors.
    node : str
        Node that feeds it.
    max_current : Amperes or None
        Limit of its cable and wiring.
    fallback_current : Amperes
        Current while the energy manager is silent; 0 pauses.
    every : Seconds
        How often its status is read.
    """

    profile: str
    bus: str
    unit: Unit | None = None
    number: Annotated[int, msgspec.Meta(ge=1)] = 1
    node: str = GRID
    max_current: Amperes | None = None
    fallback_current: Amperes = 0.0
    every: Seconds = 1.0


class Sections(Section, frozen=True, kw_only=True):
    """The site file as it is written."""

    grid: GridSection | None = None
    nodes: dict[str, NodeSection] = {}
    buses: dict[str, BusSection] = {}
    meters: dict[str, MeterSection] = {}
    connectors: dict[str, ConnectorSection] = {}
    evses: dict[str, EvseSection] = {}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A site, checked and ready for use.

    Attributes
    ----------
    grid, nodes, evses
        As written. Of `nodes`, each is reached from the grid through its parents.
    connectors : mapping
        As written, by the name that is also their uuid in the energy tree.
    buses, bridged_meters, bridged_connectors : mapping
        The same as the bridge takes them.
    """

    grid: GridSection | None
    nodes: Mapping[str, NodeSection]
    evses: Mapping[str, EvseSection]
    connectors: Mapping[str, ConnectorSection]
    buses: Mapping[str, SerialLink | TcpLink]
    bridged_meters: Mapping[str, MeterConfig]
    bridged_connectors: Mapping[str, ConnectorConfig]


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
        file = YamlFile(path, Sections)
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

    def problems(self) -> Iterator[tuple[Key, str]]:
        """Yield what is wrong, as key and reason."""
        yield from self._load_profiles()
        yield from self._bus_problems()
        yield from self._reference_problems()
        yield from self._node_problems()
        yield from self._address_problems()
        yield from self._limit_problems()

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
            bridged_connectors={name: self._connector(name) for name in sections.connectors},
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
        )

    def _link(self, name: str, bus: BusSection) -> SerialLink | TcpLink:
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
        for name, meter in self._sections.meters.items():
            try:
                self._meters[name] = meter_profile(self._profile_path(meter.profile))
            except FileError as error:
                yield from ((("meters", name, "profile"), problem) for problem in error.problems)
        for name, connector in self._sections.connectors.items():
            try:
                self._connectors[name] = connector_profile(self._profile_path(connector.profile))
            except FileError as error:
                yield from ((("connectors", name, "profile"), problem) for problem in error.problems)

    def _profile_path(self, profile: str) -> str:
        return str(self._directory / profile) if profile.endswith(".yaml") else profile

    def _bus_problems(self) -> Iterator[tuple[Key, str]]:
        all_profiles = len(self._meters) + len(self._connectors) == len(self._devices())
        for name, bus in self._sections.buses.items():
            if (bus.serial is None) == (bus.host is None):
                yield ("buses", name), "needs either 'serial' (a port) or 'host' (a TCP host)"
            if bus.host is not None and (bus.baudrate or bus.parity or bus.stop_bits):
                yield ("buses", name), "baudrate, parity and stop_bits belong to a serial line, not to a host"
            if bus.serial is None or not all_profiles or (bus.baudrate and bus.parity and bus.stop_bits):
                continue
            if len(self._factory_settings(name)) > 1:
                reason = "its devices have different factory settings; bring them to the same ones, and give "
                yield ("buses", name), reason + "baudrate, parity and stop_bits here"

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
        for name, connector in sections.connectors.items():
            known = [GRID, *sections.nodes]
            yield from _unknown(("connectors", name, "node"), "node", connector.node, known)
            if name in sections.evses:
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
        profiles: Mapping[Key, Profile] = {
            **{("meters", name): profile for name, profile in self._meters.items()},
            **{("connectors", name): profile for name, profile in self._connectors.items()},
        }
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
            section, limit = self._sections.connectors[name], profile.current_limit
            key = ("connectors", name)
            if section.number > 1 and profile.blocks is None:
                yield (*key, "number"), f"profile '{section.profile}' has one connector only"
            if section.max_current is not None and not limit.minimum <= section.max_current <= limit.maximum:
                yield (*key, "max_current"), f"the charger takes {limit.minimum:g} A to {limit.maximum:g} A"
            highest_A = min(limit.maximum, section.max_current or limit.maximum)
            if section.fallback_current != 0 and not limit.minimum <= section.fallback_current <= highest_A:
                yield (
                    (*key, "fallback_current"),
                    f"must be 0 A (pause) or {limit.minimum:g} A to {highest_A:g} A",
                )

    def _devices(self) -> list[tuple[Key, MeterSection | ConnectorSection]]:
        return [
            *((("meters", name), meter) for name, meter in self._sections.meters.items()),
            *((("connectors", name), connector) for name, connector in self._sections.connectors.items()),
        ]


def _unit(section: MeterSection | ConnectorSection, profile: Profile) -> int:
    return profile.unit if section.unit is None else section.unit


def _unknown(
    key: Key, what: str, name: str, known: Mapping[str, object] | list[str]
) -> Iterator[tuple[Key, str]]:
    if name not in known:
        yield key, f"unknown {what} '{name}', known: {', '.join(known) or 'none'}"


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of the site file, for editors."""
    schema: dict[str, Any] = _with_units(msgspec.json.schema(Sections))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PyEnergyManager site",
        **schema,
    }


def _with_units(schema: Any) -> Any:
    """Let every quantity be written with its unit."""
    if isinstance(schema, list):
        return [_with_units(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-unit" not in schema:
        return {key: _with_units(value) for key, value in schema.items()}
    number = {key: value for key, value in schema.items() if key not in ("x-unit", "description", "default")}
    rest = {key: value for key, value in schema.items() if key in ("description", "default")}
    return {"anyOf": [number, {"type": "string", "pattern": r"^\d+(\.\d+)? ?[A-Za-z]+$"}], **rest}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
