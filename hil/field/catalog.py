"""The devices that are described, as rows: what each can do, how sure that is, and where it is from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bsp.profile import (
    ConnectorProfile,
    MeterProfile,
    Profile,
    connector_profile,
    meter_profile,
    profile_names,
)
from bsp.relay_profile import RelayProfile, relay_profile

_QUANTITIES = {
    "current per phase": "current_A.L1",
    "voltage": "voltage_V.L1",
    "power per phase": "power_W.L1",
    "power": "power_W.total",
    "import": "energy_Wh.import",
    "export": "energy_Wh.export",
    "frequency": "frequency_Hz",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One described device.

    Attributes
    ----------
    kind : str
        "meter", "charger" or "relays".
    name : str
        Name of its profile.
    device : str
        Vendor and models.
    abilities : tuple of str
        What it measures, or how it is controlled.
    connection : str
        Transport and factory line settings.
    verified : str
        What stands behind the profile.
    source : tuple of str
        Where the register map is from.
    notes : tuple of str
        Quirks.
    """

    kind: str
    name: str
    device: str
    abilities: tuple[str, ...]
    connection: str
    verified: str
    source: tuple[str, ...]
    notes: tuple[str, ...]


def rows() -> list[Row]:
    """Give every described device, meters first."""
    meters = {name: meter_profile(name) for name in profile_names("meters")}
    chargers = {name: connector_profile(name) for name in profile_names("connectors")}
    relays = {name: relay_profile(name) for name in profile_names("relays")}
    return [
        *(_row("meter", name, meter, meter_abilities(meter)) for name, meter in meters.items()),
        *(_row("charger", name, charger, charger_abilities(charger)) for name, charger in chargers.items()),
        *(_row("relays", name, board, relay_abilities(board)) for name, board in relays.items()),
    ]


def meter_abilities(profile: MeterProfile) -> Iterator[str]:
    """Yield what a meter measures."""
    yield f"{profile.phases} phase{'s' if profile.phases > 1 else ''}"
    shown = [word for word, point in _QUANTITIES.items() if point in profile.points]
    if "power per phase" in shown and "power" in shown:
        shown.remove("power")
    yield from shown
    if "current_A.L1" not in profile.points:
        yield "no current: cannot protect a fuse"


def charger_abilities(profile: ConnectorProfile) -> Iterator[str]:
    """Yield how a charger is controlled, and what it measures."""
    limit, switching, watchdog = profile.current_limit, profile.phase_switching, profile.watchdog
    yield f"{profile.phases} phase{'s' if profile.phases > 1 else ''}"
    yield f"{profile.least_A:g} to {limit.maximum:g} A in steps of {profile.step_A:.3g} A" + (
        ", set as a power" if limit.unit == "W" else ""
    )
    if switching is not None:
        who = "by itself" if switching.sequenced_by == "device" else "on our sequence"
        yield f"switches 1/3 phases {who}"
    yield (
        f"watchdog {watchdog.timeout:g} s, then {watchdog.expires_to}"
        if watchdog is not None
        else "no watchdog: keeps its last limit"
    )
    measured = [word for word, point in _QUANTITIES.items() if point in profile.points]
    yield "measures " + ", ".join(measured) if measured else "measures nothing"
    if profile.blocks is not None:
        yield "several connectors"


def relay_abilities(profile: RelayProfile) -> Iterator[str]:
    """Yield what a relay board has."""
    yield f"{len(profile.relays)} relays"
    yield f"{len(profile.inputs)} inputs for feedback" if profile.inputs else "no inputs: no feedback"


def _row(kind: str, name: str, profile: Profile, abilities: Iterable[str]) -> Row:
    serial = profile.serial
    line = f"{serial.baudrate} 8{serial.parity}{serial.stop_bits}" if serial is not None else ""
    return Row(
        kind,
        name,
        f"{profile.vendor} {', '.join(profile.models)}",
        tuple(abilities),
        " ".join([*[t.upper() for t in profile.transport], line, f"unit {profile.unit}"]).replace("  ", " "),
        profile.verified,
        tuple(profile.source),
        tuple(profile.notes),
    )


def markdown(devices: Sequence[Row]) -> str:
    """Write the devices as a page of the documentation."""
    lines = [
        "# Devices",
        "",
        "Generated from the profiles in `bsp/profiles` by `hil devices --markdown`; do not edit.",
        "",
        "Each profile is read against a device simulated from its own map; *verified* says what else stands",
        "behind it. A device that is not here needs a YAML file of its own, no Python: copy the nearest one.",
    ]
    for kind, title in (("meter", "Meters"), ("charger", "Chargers"), ("relays", "Relay boards")):
        lines += [
            "",
            f"## {title}",
            "",
            "| Profile | Device | Can do | Connection | Verified | Source |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_markdown_row(row) for row in devices if row.kind == kind]
    noted = [row for row in devices if row.notes]
    lines += ["", "## Notes", ""]
    lines += [f"- `{row.name}`: {_sentences(row.notes)}" for row in noted]
    return "\n".join(lines) + "\n"


def _markdown_row(row: Row) -> str:
    abilities, source = "; ".join(row.abilities), "; ".join(row.source)
    cells = (f"`{row.name}`", row.device, abilities, row.connection, row.verified, source)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sentences(notes: Sequence[str]) -> str:
    return " ".join(note if note.endswith(".") else f"{note}." for note in notes)
