"""The table of supported devices in the documentation, made from the profiles.

``python -m bsp.device_table > docs/devices.md`` writes it.
"""

from collections.abc import Iterable

from bsp.profile import (
    ConnectorProfile,
    MeterProfile,
    Profile,
    Watchdog,
    connector_profile,
    meter_profile,
    profile_names,
)
from bsp.relay_profile import RelayProfile, relay_profile

_INTRODUCTION = """\
# Devices

Made from the profiles below `bsp/profiles` by `python -m bsp.device_table`; do not edit it.

A profile's name is what `profile:` in a site file takes. "No device" means that a register map is from
documents and other projects and was not tried on hardware by this project; try it with `hil read` and
`hil probe` before you rely on it, and please tell.
"""

_WITHOUT_WATCHDOG = """\
A charger without watchdog keeps its last limit when the manager is gone: it needs a limit of its own, set in
the device, that the installation can bear for ever.
"""

_WITHOUT_FEEDBACK = """\
What a board reads back of a relay is the command, not the contact. Only auxiliary contacts on inputs tell
whether a contactor has moved. The boards keep their relays as they are when the manager is gone.
"""


def device_table() -> str:
    """Give the whole page, as Markdown."""
    meters = [(name, meter_profile(name)) for name in profile_names("meters")]
    connectors = [(name, connector_profile(name)) for name in profile_names("connectors")]
    relays = [(name, relay_profile(name)) for name in profile_names("relays")]
    parts = [
        _INTRODUCTION,
        "## Meters\n",
        _table(
            ("Profile", "Device", "Phases", "Measures", "Link", "Verified", "Source"),
            (_meter_row(name, profile) for name, profile in meters),
        ),
        "\n## Chargers\n",
        _WITHOUT_WATCHDOG,
        _table(
            ("Profile", "Device", "Limit", "Phases", "Watchdog", "Measures", "Link", "Verified", "Source"),
            (_connector_row(name, profile) for name, profile in connectors),
        ),
        "\n## Relay boards\n",
        _WITHOUT_FEEDBACK,
        _table(
            ("Profile", "Device", "Relays", "Inputs for feedback", "Link", "Verified", "Source"),
            (_relay_row(name, profile) for name, profile in relays),
        ),
        "\n## Notes\n",
        *(_notes(name, profile) for name, profile in [*meters, *connectors, *relays] if profile.notes),
    ]
    return "\n".join(parts)


def _meter_row(name: str, profile: MeterProfile) -> tuple[str, ...]:
    return (
        f"`{name}`",
        _device(profile),
        str(profile.phases),
        _measures(profile),
        _link(profile),
        profile.verified,
        ", ".join(profile.source),
    )


def _connector_row(name: str, profile: ConnectorProfile) -> tuple[str, ...]:
    return (
        f"`{name}`",
        _device(profile),
        _limit(profile),
        _phases(profile),
        _watchdog(profile.watchdog),
        _measures(profile),
        _link(profile),
        profile.verified,
        ", ".join(profile.source),
    )


def _relay_row(name: str, profile: RelayProfile) -> tuple[str, ...]:
    return (
        f"`{name}`",
        _device(profile),
        str(len(profile.relays)),
        str(len(profile.inputs)) if profile.inputs else "**none**",
        _link(profile),
        profile.verified,
        ", ".join(profile.source),
    )


def _device(profile: Profile) -> str:
    return f"{profile.vendor}: {', '.join(profile.models)}"


def _measures(profile: Profile) -> str:
    """Say which quantities a device measures, and on how many phases."""
    found = []
    for quantity, letter in (("voltage_V", "U"), ("current_A", "I"), ("power_W", "P")):
        phases = sum(f"{quantity}.L{phase}" in profile.points for phase in (1, 2, 3))
        has_total = any(name.startswith(f"{quantity}.") for name in profile.points)
        if phases or has_total:
            found.append(f"{letter}{f' {phases}ph' if phases > 1 else ''}")
    counters = [way for way in ("import", "export") if f"energy_Wh.{way}" in profile.points]
    if counters:
        found.append(f"E {'+'.join(counters)}")
    if "frequency_Hz" in profile.points:
        found.append("f")
    return ", ".join(found) or "nothing"


def _link(profile: Profile) -> str:
    line = profile.serial
    serial = f" {line.baudrate} {8}{line.parity}{line.stop_bits}" if line is not None else ""
    return f"{'/'.join(profile.transport).upper()}{serial}, unit {profile.unit}"


def _limit(profile: ConnectorProfile) -> str:
    limit = profile.current_limit
    unit = " as power" if limit.unit == "W" else ""
    pause = "0 pauses" if limit.zero == "pause" else "switch pauses"
    return f"{limit.minimum:g} to {limit.maximum:g} A, step {limit.step:g} A{unit}, {pause}"


def _phases(profile: ConnectorProfile) -> str:
    if profile.phase_switching is None:
        return f"{profile.phases}, fixed"
    by = "itself" if profile.phase_switching.sequenced_by == "device" else "the bridge's sequence"
    return f"1 or 3, by {by}"


def _watchdog(watchdog: Watchdog | None) -> str:
    if watchdog is None:
        return "**none**"
    how = {"traffic": "any request", "write": "life register", "limit": "limit written again"}[watchdog.feed]
    return f"{watchdog.timeout:g} s, {how}; then {watchdog.expires_to}"


def _notes(name: str, profile: Profile) -> str:
    return "\n".join([f"**`{name}`**\n", *(f"- {note}" for note in profile.notes), ""])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    print(device_table(), end="")
