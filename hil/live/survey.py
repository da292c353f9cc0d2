"""Which devices of a scenario a real site has, and whether they answer. Reads, and writes nothing."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bsp.bridge import ConnectorConfig, MeterConfig, RelayConfig
from bsp.bus import Bus
from bsp.device import Device
from bsp.hub import HubLink
from bsp.meter import Meter
from bsp.profile import ConnectorProfile, MeterProfile
from bsp.transport import BusError
from control.site_file import GRID, SiteFile
from hil.field.charger import read_status
from hil.field.session import open_bus, place_of
from hil.field.target import connector_base

AnyConfig = MeterConfig | ConnectorConfig | RelayConfig
TAKES_S = 15.0
"""How long a device may take to answer."""


@dataclass
class Survey:
    """What was found.

    Attributes
    ----------
    there : dict of str to str
        Devices that answer, and what they are.
    missing : dict of str to str
        The others that the real site names, and why they are simulated.
    """

    there: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def survey(named: SiteFile, real: SiteFile) -> Survey:
    """Find out which devices that a scenario names are there.

    Parameters
    ----------
    named : SiteFile
        The site of the scenario.
    real : SiteFile
        The site with the real devices.
    """
    found = Survey()
    boards = {
        config.contactors.board
        for name, config in real.bridged_connectors.items()
        if config.contactors is not None and name in named.bridged_connectors
    }
    wanted = {
        *(named.bridged_meters.keys() & real.bridged_meters.keys()),
        *(named.bridged_connectors.keys() & real.bridged_connectors.keys()),
        *(boards & real.bridged_relays.keys()),
    }
    asyncio.run(_ask(real, wanted, found))
    while unfit := _unfit(named, real, found):
        for name, why in unfit.items():
            del found.there[name]
            found.missing[name] = why
    used = {
        config.contactors.board for _, config in _connectors(real, found) if config.contactors is not None
    }
    for board in boards - used:
        found.there.pop(board, None)
    return found


def devices_of(site: SiteFile) -> dict[str, AnyConfig]:
    """Give all devices of a site by name."""
    return {**site.bridged_meters, **site.bridged_connectors, **site.bridged_relays}


def room_A(real: SiteFile, node: str, there: Mapping[str, object]) -> float:
    """Give what connectors below a real node may draw together: its fuse, or less where nobody measures.

    A node whose meter is no part of the run has other loads that nobody sees; so only its fallback is left.
    """
    part = real.grid if node == GRID else real.nodes[node]
    if part is None:
        return float("inf")
    if part.meter is None or part.meter in there:
        return part.fuse
    return part.fallback or 0.0


def above(real: SiteFile, connector: str) -> list[str]:
    """Name the real nodes that feed a connector, the nearest first."""
    node = real.connectors[connector].node
    names = [node]
    while node != GRID:
        node = real.nodes[node].parent
        names.append(node)
    return names


def share_A(name: str, named: SiteFile, real: SiteFile, there: Mapping[str, object]) -> float:
    """Give what a real connector may draw by the fuses above it.

    A node that the script knows, too, is managed. Of any other one each real connector behind it gets the
    same part, so that together they cannot overload it.
    """
    shares = []
    for node in above(real, name):
        behind = [other for other in real.connectors if other in there and node in above(real, other)]
        is_managed = (node == GRID and named.grid is not None) or node in named.nodes
        shares.append(room_A(real, node, there) / (1 if is_managed else len(behind)))
    return min(shares)


def _connectors(site: SiteFile, found: Survey) -> Iterator[tuple[str, ConnectorConfig]]:
    return ((name, config) for name, config in site.bridged_connectors.items() if name in found.there)


def _unfit(named: SiteFile, real: SiteFile, found: Survey) -> dict[str, str]:
    """Name connectors that answer and cannot take part all the same, and say why."""
    simulated = {
        config.contactors.board
        for name, config in named.bridged_connectors.items()
        if config.contactors is not None and name not in found.there
    }
    unfit = {}
    for name, config in _connectors(real, found):
        board = config.contactors.board if config.contactors is not None else None
        allowed_A = min(config.maximum_A, share_A(name, named, real, found.there))
        if config.board is not None:
            unfit[name] = f"module {config.board} of EVerest switches its phases"
        elif board is not None and board not in found.there:
            unfit[name] = f"its contactors hang on {board}, which does not answer"
        elif board is not None and board in simulated:
            unfit[name] = f"its contactors hang on {board}, as those of a simulated connector of the script"
        elif allowed_A < config.profile.least_A:
            unfit[name] = (
                f"its fuses leave it {allowed_A:g} A (of one whose meter takes no part, the fallback)"
            )
    return unfit


async def _ask(real: SiteFile, wanted: set[str], found: Survey) -> None:
    devices = {name: config for name, config in devices_of(real).items() if name in wanted}
    for bus in dict.fromkeys(config.bus for config in devices.values()):
        link = real.buses[bus]
        here = {name: config for name, config in devices.items() if config.bus == bus}
        if isinstance(link, HubLink):
            found.missing |= dict.fromkeys(here, "only EVerest's serial hub reaches it")
            continue
        async with open_bus(link) as line:
            for name, config in here.items():
                profile, where = config.profile, f"unit {config.unit} on {place_of(link)}"
                try:
                    state = await asyncio.wait_for(_state(config, line), TAKES_S)
                except (BusError, TimeoutError):
                    found.missing[name] = f"no answer from {where}"
                else:
                    found.there[name] = f"{profile.vendor} {profile.models[0]}, {where}{state}"


async def _state(config: AnyConfig, line: Bus) -> str:
    """Read a device once; raises if it does not answer."""
    profile = config.profile
    base = connector_base(profile, config.number) if isinstance(config, ConnectorConfig) else 0
    device = Device(line, config.unit, profile, base=base)
    if isinstance(profile, MeterProfile):
        await Meter(device, profile, time.monotonic).poll()
        return ""
    if isinstance(profile, ConnectorProfile):
        status, _ = await read_status(device, profile)
        limit = "unknown" if status.limit_A is None else f"{status.limit_A:g} A"
        return f": state {status.state}, limit {limit}"
    await device.read(list(profile.points)[:1])
    return ""
