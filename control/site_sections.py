"""The site file as it is written: one class for each part."""

from typing import Annotated, Literal

import msgspec

from bsp.yaml_file import Amperes, Seconds, Volts, Watts
from energy_management import ManagerConfig, NodeAttributes
from energy_management.modes import Mode

GRID = "grid"
"""Name of the node at the root."""

PhaseRotation = Literal["L1 L2 L3", "L2 L3 L1", "L3 L1 L2", "L1 L3 L2", "L2 L1 L3", "L3 L2 L1", "unknown"]
"""Grid phases that the connector's L1, L2, L3 are wired to."""
Unit = Annotated[int, msgspec.Meta(ge=1, le=255, description="Modbus address")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
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
    frozen_after : Seconds
        Readings under load that stay the same to the last digit for so long are not believed any more.
    stable_after : Seconds
        A meter that was lost counts again when its readings have been fine for so long.
    fallback : Amperes or None
        Budget for the EVSEs below while the meter is silent; none at all if not given.
    base_load_falls_after : Seconds
        What other loads leave is for EVSEs once it has been free for so long; what they take counts at once.
    counts_generation : bool
        Generation behind the meter, while it lasts, makes more room for the EVSEs than the fuse alone.
    """

    fuse: Amperes
    phases: Literal[1, 3] = 3
    meter: str | None = None
    reserve: Amperes = 0.0
    max_unbalance: Amperes | None = None
    stale_after: Seconds = NodeAttributes.stale_after_s
    frozen_after: Seconds = NodeAttributes.frozen_after_s
    stable_after: Seconds = NodeAttributes.stable_after_s
    fallback: Amperes | None = None
    base_load_falls_after: Seconds = NodeAttributes.base_load_falls_after_s
    counts_generation: bool = NodeAttributes.counts_generation


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


class SharingSection(Section, frozen=True, kw_only=True):
    """How limits follow what cars do, for the whole site.

    Attributes
    ----------
    rise_interval : Seconds
        Least time from one change of an EVSE's limit to a rise. IEC 61851-1 gives a car 5 s to follow.
    deadband : Amperes
        Smaller rises wait until they are worth it.
    unused_after : Seconds
        A car that draws clearly less than it may for so long leaves the rest to others.
    unused_margin : Amperes
        How much more than it draws is kept for it then.
    """

    rise_interval: Seconds = ManagerConfig.rise_interval_s
    deadband: Amperes = ManagerConfig.deadband_A
    unused_after: Seconds = ManagerConfig.unused_after_s
    unused_margin: Amperes = ManagerConfig.unused_margin_A


class MqttSection(Section, frozen=True, kw_only=True):
    """The broker of `mqtt_api`, where it is not EVerest's own without a login.

    Attributes
    ----------
    host : str or None
        Where it listens; EVerest's own broker if not given.
    port : int or None
        1883 if not given, with `tls` 8883.
    username, password
        Login, if it wants one.
    password_file : str or None
        File with the password alone, instead of `password`; relative to the site file.
    tls : bool
        Encrypted; the broker's certificate must be valid for `host`.
    ca_file : str or None
        Certificates to trust, in PEM format, relative to the site file; by default those of the system.
    prefix : str or None
        Begin of all topics, before `everest_api/`, for several installations on one broker; by default
        `mqtt_external_prefix` of EVerest's config.
    """

    host: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    port: Port | None = None
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[^/+#$][^+#]*[^/+#]$|^[^/+#$]$")] | None = None


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
    port: Port | None = None
    framing: Literal["tcp", "rtu"] = "tcp"
    everest_hub: bool = False
    timeout: Seconds | None = None


class DeviceSection(Section, frozen=True, kw_only=True):
    """A device on a bus.

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


class MeterSection(DeviceSection, frozen=True, kw_only=True):
    """A meter on a bus.

    Attributes
    ----------
    every : Seconds
        How often it is read.
    """

    every: Seconds = 1.0


class EnableSection(Section, frozen=True, kw_only=True):
    """When the sun is enough to begin in mode `pv`.

    Attributes
    ----------
    surplus : Watts or None
        So much is left over; 1400 W by default, and never less than the minimum of the EVSE.
    after : Seconds or None
        For so long; 60 s by default.
    """

    surplus: Watts | None = None
    after: Seconds | None = None


class DisableSection(Section, frozen=True, kw_only=True):
    """When the sun is not enough any more in mode `pv`.

    Attributes
    ----------
    from_grid : Watts or None
        More than this of the minimum of the EVSE comes from the grid; 200 W by default.
    after : Seconds or None
        For so long; 180 s by default. One that can goes on with one phase before it stops.
    """

    from_grid: Watts | None = None
    after: Seconds | None = None


class SolarSection(Section, frozen=True, kw_only=True):
    """Thresholds of mode `pv`.

    Attributes
    ----------
    enable, disable
        When charging begins and ends.
    """

    enable: EnableSection | None = None
    disable: DisableSection | None = None


class SiteSolarSection(SolarSection, frozen=True, kw_only=True):
    """How EVSEs of the modes `minpv` and `pv` charge with what the sun leaves over.

    Attributes
    ----------
    enable : EnableSection or None
        When the sun is enough to begin in mode `pv`: `surplus` (1400 W by default, and never less than the
        minimum of the EVSE) for as long as `after` (60 s).
    disable : DisableSection or None
        When it is not any more: more than `from_grid` (200 W by default) of the minimum comes from the grid
        for as long as `after` (180 s). An EVSE that can goes on with one phase before it stops.
    max_switches_per_hour : int
        Between one and three phases, for each EVSE in these modes. The last one of an hour is kept for the
        way down; 0 is no limit.
    """

    max_switches_per_hour: Annotated[int, msgspec.Meta(ge=0)] = 4


class EvseSection(Section, frozen=True, kw_only=True):
    """What the energy manager should know of an EVSE.

    Attributes
    ----------
    node : str
        Node that feeds it.
    phase_rotation : str
        Grid phases that its L1, L2, L3 are wired to; "unknown" counts on the worst case.
    priority : int
        Higher ones fill first.
    weight : float
        Share relative to others of the same priority.
    meter : str or None
        Meter that measures it.
    mode : str
        What it charges with: "off" nothing, "now" all that limits allow, "minpv" always its minimum and more
        from surplus only, "pv" from surplus only.
    solar : SolarSection or None
        Thresholds of mode "pv" that differ from those of the site.
    dimming_floor : float or None
        Power that a grid operator that dims leaves to it, instead of dimming_floor_W of the module; 0 if it
        is not controllable.
    """

    node: str = GRID
    phase_rotation: PhaseRotation = "unknown"
    priority: int = 0
    weight: Weight = 1.0
    meter: str | None = None
    mode: Mode = "now"
    solar: SolarSection | None = None
    dimming_floor: Watts | None = None


class RelaySection(DeviceSection, frozen=True, kw_only=True):
    """A relay board."""


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

    # As in `DeviceSection`, but a msgspec structure has one parent only.
    profile: str
    bus: str
    unit: Unit | None = None
    number: Annotated[int, msgspec.Meta(ge=1)] = 1
    max_current: Amperes | None = None
    fallback_current: Amperes = 0.0
    every: Seconds = 1.0
    contactors: ContactorSection | None = None
    bsp: str | None = None
    phase_switching: Literal["allowed", "locked"] = "allowed"


AnyDeviceSection = DeviceSection | ConnectorSection


class Sections(Section, frozen=True, kw_only=True):
    """The site file as it is written."""

    grid: GridSection | None = None
    nodes: dict[str, NodeSection] = {}
    buses: dict[str, BusSection] = {}
    meters: dict[str, MeterSection] = {}
    relays: dict[str, RelaySection] = {}
    connectors: dict[str, ConnectorSection] = {}
    evses: dict[str, EvseSection] = {}
    sharing: SharingSection = SharingSection()
    solar: SiteSolarSection = SiteSolarSection()
    mqtt: MqttSection | None = None
