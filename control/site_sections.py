"""The site file as it is written: one class for each part, and the JSON Schema made of them.

Run as a program it prints the schema, for editors: ``python -m control.site_sections``.
"""

import json
from typing import Annotated, Any, Literal

import msgspec

from bsp.yaml_file import Amperes, Seconds, Volts

GRID = "grid"
"""Name of the node at the root."""

PhaseRotation = Literal["L1 L2 L3", "L2 L3 L1", "L3 L1 L2", "L1 L3 L2", "L2 L1 L3", "L3 L2 L1", "unknown"]
"""Grid phases that the connector's L1, L2, L3 are wired to."""
Unit = Annotated[int, msgspec.Meta(ge=1, le=255, description="Modbus address")]
Number = Annotated[int, msgspec.Meta(ge=1, description="number of a relay or input, from 1")]
Weight = Annotated[
    float, msgspec.Meta(ge=0.001, le=1000, description="share relative to others of the same priority")
]


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
    """The grid connection: the fuse at the root.

    Attributes
    ----------
    nominal_voltage : Volts
        Between a phase and neutral; converts amperes and watts.
    """

    nominal_voltage: Volts = 230.0


class NodeSection(FuseSection, frozen=True, kw_only=True):
    """A sub-fuse.

    Attributes
    ----------
    parent : str
        Node that feeds it.
    """

    parent: str = GRID


class BusSection(Section, frozen=True, kw_only=True):
    """A serial line, a TCP host, or a line that EVerest's serial hub owns.

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
    everest_hub : bool
        The line is that of the module connected as ``serial_hub``, which has its settings, too.
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
    everest_hub: bool = False
    timeout: Seconds | None = None


class MeterSection(Section, frozen=True, kw_only=True):
    """A meter on a bus.

    Attributes
    ----------
    profile : str
        Name of its profile, or a YAML file of its own, relative to the site file.
    bus, unit
        Where it is: bus by name, and Modbus address; by default that of the factory.
    every : Seconds
        How often it is read.
    """

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


class RelaySection(Section, frozen=True, kw_only=True):
    """A relay board.

    Attributes
    ----------
    profile : str
        Name of its profile, or a YAML file of its own, relative to the site file.
    bus, unit
        Where it is: bus by name, and Modbus address; by default that of the factory.
    """

    profile: str
    bus: str
    unit: Unit | None = None


class ContactorSection(Section, frozen=True, kw_only=True):
    """Contactors before a connector, on a relay board.

    Attributes
    ----------
    board : str
        The relay board.
    phases : int
        Relay of the contactor that joins L2 and L3.
    phases_feedback : int or None
        Input with its auxiliary contact.
    main : int or None
        Relay of the contactor that cuts everything, if there is one besides the charger's own.
    main_feedback : int or None
        Input with its auxiliary contact.
    hold_off : Seconds
        Least time between two switches.
    """

    board: str
    phases: Number
    phases_feedback: Number | None = None
    main: Number | None = None
    main_feedback: Number | None = None
    hold_off: Seconds = 300.0


class ConnectorSection(EvseSection, frozen=True, kw_only=True):
    """A charger's connector that the bridge drives.

    Attributes
    ----------
    profile : str
        Name of its profile, or a YAML file of its own, relative to the site file.
    bus, unit
        Where it is: bus by name, and Modbus address; by default that of the factory.
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
    contactors : ContactorSection or None
        Contactors that switch its phases, where the charger itself cannot.
    bsp : str or None
        Module connected as ``bsp`` whose board is that of this connector: it switches the phases, and what it
        says of its limits holds, too.
    phase_switching : str
        "allowed", or "locked": its phases stay as they are.
    """

    profile: str
    bus: str
    unit: Unit | None = None
    number: Annotated[int, msgspec.Meta(ge=1)] = 1
    node: str = GRID
    max_current: Amperes | None = None
    fallback_current: Amperes = 0.0
    every: Seconds = 1.0
    contactors: ContactorSection | None = None
    bsp: str | None = None
    phase_switching: Literal["allowed", "locked"] = "allowed"


DeviceSection = MeterSection | ConnectorSection | RelaySection


class Sections(Section, frozen=True, kw_only=True):
    """The site file as it is written."""

    grid: GridSection | None = None
    nodes: dict[str, NodeSection] = {}
    buses: dict[str, BusSection] = {}
    meters: dict[str, MeterSection] = {}
    relays: dict[str, RelaySection] = {}
    connectors: dict[str, ConnectorSection] = {}
    evses: dict[str, EvseSection] = {}


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
