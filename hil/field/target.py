"""Which device a command is about: by options on the command line, or by its name in a site file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bsp.profile import (
    ConnectorProfile,
    MeterProfile,
    Profile,
    connector_profile,
    meter_profile,
    profile_names,
)
from bsp.transport import SerialLink, TcpLink
from bsp.yaml_file import instead, suggest
from control.site_file import SiteFile, load_site

Link = SerialLink | TcpLink
T = TypeVar("T")


class TargetError(ValueError):
    """The device is not described well enough; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is, as far as the command line says it.

    Attributes
    ----------
    tcp : str or None
        ``host`` or ``host:port``.
    serial : str or None
        Port of an RS-485 adapter.
    baudrate, parity, stop_bits
        Line settings; by default those with which the device leaves the factory.
    rtu_over_tcp : bool
        The host is a serial device server that passes RTU frames.
    timeout_s : float or None
        How long to wait for an answer.
    """

    tcp: str | None = None
    serial: str | None = None
    baudrate: int | None = None
    parity: str | None = None
    stop_bits: int | None = None
    rtu_over_tcp: bool = False
    timeout_s: float | None = None

    def link(self, profile: Profile | None = None) -> Link:
        """Give the line or host.

        Raises
        ------
        TargetError
            The options contradict each other.
        """
        if (self.tcp is None) == (self.serial is None):
            raise TargetError("say where it is: either --tcp HOST[:PORT] or --serial PORT")
        if self.tcp is not None:
            if self.baudrate or self.parity or self.stop_bits:
                raise TargetError("--baud, --parity and --stop-bits belong to --serial, not to --tcp")
            host, port = _host_and_port(self.tcp, profile.port if profile else 502)
            return TcpLink(host, port, "rtu" if self.rtu_over_tcp else "tcp", self.timeout_s or 1.0)
        if self.rtu_over_tcp:
            raise TargetError("--rtu-over-tcp belongs to --tcp")
        factory = profile.serial if profile else None
        settings = SerialLink(self.serial or "", timeout_s=self.timeout_s or 0.5)
        if factory is not None:
            settings = replace(
                settings, baudrate=factory.baudrate, parity=factory.parity, stop_bits=factory.stop_bits
            )
        return replace(
            settings,
            baudrate=self.baudrate or settings.baudrate,
            parity=_one_of("--parity", self.parity, ("N", "E", "O")) or settings.parity,
            stop_bits=_one_of("--stop-bits", self.stop_bits, (1, 2)) or settings.stop_bits,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """One device, ready to be spoken to.

    Attributes
    ----------
    name : str
        As a person would call it.
    link, unit
        Where it is.
    profile : MeterProfile or ConnectorProfile
        What it is.
    base : int
        Added to its addresses, for a connector of several.
    maximum_A : float or None
        Limit of a connector's cable and wiring.
    fallback_A : float
        Its current while nobody gives a limit; 0 pauses.
    phases_locked : bool
        The site file forbids to switch its phases.
    """

    name: str
    link: Link
    unit: int
    profile: MeterProfile | ConnectorProfile
    base: int = 0
    maximum_A: float | None = None
    fallback_A: float = 0.0
    phases_locked: bool = False


def target_of_options(profile_name: str, place: Place, unit: int | None, number: int = 1) -> Target:
    """Find a device by its profile and place.

    Raises
    ------
    TargetError
        The profile is unknown, or the place is.
    FileError
        The profile is a file, and not what it must be.
    """
    profile = find_profile(profile_name)
    return Target(
        Path(profile_name).stem,
        place.link(profile),
        profile.unit if unit is None else unit,
        profile,
        connector_base(profile, number),
    )


def target_of_site(path: Path, name: str) -> Target:
    """Find a device by its name in a site file.

    Raises
    ------
    SiteError
        The file is not what it must be.
    TargetError
        It has no such device.
    """
    site = load_site(path)
    if name in site.bridged_meters:
        return meter_of_site(site, name)
    if name not in site.bridged_connectors:
        known = [*site.bridged_meters, *site.bridged_connectors]
        raise TargetError(f"{path.name}: no meter or connector '{name}'{instead(name, known)}")
    return connector_of_site(site, name)


def meter_of_site(site: SiteFile, name: str) -> Target:
    """Give a meter of a site."""
    meter = site.bridged_meters[name]
    return Target(name, _link_of_site(site, meter.bus), meter.unit, meter.profile)


def _link_of_site(site: SiteFile, bus: str) -> Link:
    link = site.buses[bus]
    if not isinstance(link, SerialLink | TcpLink):
        raise TargetError(f"bus '{bus}' belongs to another module of EVerest; only the module can use it")
    return link


def connector_of_site(site: SiteFile, name: str) -> Target:
    """Give a connector of a site."""
    connector = site.bridged_connectors[name]
    return Target(
        name,
        _link_of_site(site, connector.bus),
        connector.unit,
        connector.profile,
        connector_base(connector.profile, connector.number),
        connector.maximum_A,
        connector.fallback_A,
        connector.phases_locked,
    )


def find_profile(name: str) -> MeterProfile | ConnectorProfile:
    """Read the profile of a meter or connector by name or by the path of a YAML file.

    Raises
    ------
    TargetError
        There is none of that name.
    FileError
        The file is not what it must be.
    """
    if name.endswith(".yaml"):
        path = Path(name)
        is_connector = path.exists() and "current_limit:" in path.read_text(encoding="utf-8")
        return connector_profile(name) if is_connector else meter_profile(name)
    meters, connectors = profile_names("meters"), profile_names("connectors")
    if name in meters:
        return meter_profile(name)
    if name in connectors:
        return connector_profile(name)
    suggestion = suggest(name, [*meters, *connectors])
    similar = [
        known
        for known in [*meters, *connectors]
        if _shares_a_part(name, known) and f"'{known}'" not in suggestion
    ]
    shown = f", similar: {', '.join(similar)}" if similar else ""
    raise TargetError(f"no profile '{name}'{suggestion}{shown}, `hil devices` lists all")


def connector_base(profile: Profile, number: int) -> int:
    """Give the address at which a connector's registers begin.

    Raises
    ------
    TargetError
        The device has no such connector.
    """
    has_several = isinstance(profile, ConnectorProfile) and profile.blocks is not None
    if number != 1 and not has_several:
        raise TargetError("this profile has one connector only, leave --number out")
    return profile.base(number) if isinstance(profile, ConnectorProfile) else 0


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, default
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise TargetError(f"--tcp must be HOST or HOST:PORT, not '{text}'")
    return host, int(port)


def _one_of(option: str, value: object, allowed: tuple[T, ...]) -> T | None:
    found = next((one for one in allowed if one == value), None)
    if value is not None and found is None:
        raise TargetError(f"{option} must be one of {', '.join(map(str, allowed))}, not {value}")
    return found


def _shares_a_part(name: str, known: str) -> bool:
    """Whether a word of the name is in another one: ``sdm630`` in ``eastron_sdm630``."""
    return any(len(part) > 2 and part in known for part in name.lower().replace("-", "_").split("_"))
