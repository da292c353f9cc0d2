"""What a site file says by itself that cannot stay, or is worth knowing."""

from collections.abc import Iterator

from control.site_file import SiteFile
from control.site_sections import GRID, FuseSection
from energy_management.site import ROTATIONS
from hil.check.remarks import Remark, error, note


def site_remarks(name: str, site: SiteFile, *, has_powermeter: bool = False) -> Iterator[Remark]:
    """Look at a site file that is right in itself.

    Parameters
    ----------
    name : str
        Whose site file it is, begin of each remark.
    site : SiteFile
        Its content.
    has_powermeter : bool
        The meter of the grid is one of EVerest's.
    """
    yield from _fuses(name, site, has_powermeter=has_powermeter)
    yield from _fallbacks(name, site)
    yield from _watchdogs(name, site)
    yield from _unmeasured(name, site)
    yield from _without_use(name, site)


def _fuses(name: str, site: SiteFile, *, has_powermeter: bool) -> Iterator[Remark]:
    fed = {part.node for part in (*site.evses.values(), *site.connectors.values())}
    fed |= {node.parent for node in site.nodes.values()}
    for fuse, section in _all_fuses(site).items():
        if fuse in site.nodes and fuse not in fed:
            yield error(
                f"{name}: nodes.{fuse} feeds nothing: name it as node of evses or connectors, or as "
                "parent of nodes"
            )
        if fuse == GRID and has_powermeter:
            continue
        if section.meter is None:
            yield note(f"{name}: {fuse} has no meter: other loads behind it are not seen, set a reserve")
        elif "current_A.L1" not in site.bridged_meters[section.meter].profile.points:
            yield error(
                f"{name}: {fuse}: the meter '{section.meter}' measures no current, which a fuse needs"
            )


def _fallbacks(name: str, site: SiteFile) -> Iterator[Remark]:
    """Find fuses that do not carry what is drawn behind them when the manager is gone."""
    for fuse, section in _all_fuses(site).items():
        behind = [each for each in site.bridged_connectors if fuse in _feeders(site, each)]
        drawn_A = [0.0, 0.0, 0.0]
        for connector in behind:
            for phase in _phases(site, connector):
                drawn_A[phase] += site.bridged_connectors[connector].fallback_A
        if max(drawn_A) > section.fuse:
            yield error(
                f"{name}: {fuse}: the fallback_current of {', '.join(behind)} is {max(drawn_A):g} A "
                f"together, its fuse {section.fuse:g} A: without a manager that is too much"
            )


def _watchdogs(name: str, site: SiteFile) -> Iterator[Remark]:
    for connector, config in site.bridged_connectors.items():
        if config.profile.watchdog is None:
            yield note(
                f"{name}: {connector} has no watchdog: it keeps its last limit if the manager dies; "
                "limit it in the charger itself to what is always safe"
            )


def _unmeasured(name: str, site: SiteFile) -> Iterator[Remark]:
    for connector, config in site.bridged_connectors.items():
        if config.meter is None and "current_A.L1" not in config.profile.points:
            yield note(
                f"{name}: {connector} measures no current: a car that draws more than its limit is not "
                "noticed; give it a meter"
            )


def _without_use(name: str, site: SiteFile) -> Iterator[Remark]:
    measuring = {part.meter for part in (*site.evses.values(), *site.connectors.values())}
    measuring |= {node.meter for node in site.nodes.values()}
    measuring |= {site.grid.meter} if site.grid is not None else set()
    for meter in sorted(site.bridged_meters.keys() - measuring):
        yield note(f"{name}: meters.{meter} measures nothing: name it as meter of grid, a node or an EVSE")
    devices = (site.bridged_meters, site.bridged_connectors, site.bridged_relays)
    used = {device.bus for kind in devices for device in kind.values()}
    for bus in sorted(site.buses.keys() - used):
        yield note(f"{name}: buses.{bus} has no device")


def _all_fuses(site: SiteFile) -> dict[str, FuseSection]:
    return {**site.nodes, **({GRID: site.grid} if site.grid is not None else {})}


def _feeders(site: SiteFile, connector: str) -> Iterator[str]:
    """Nodes above a connector, the nearest first."""
    node = site.connectors[connector].node
    while node in site.nodes:
        yield node
        node = site.nodes[node].parent
    yield GRID


def _phases(site: SiteFile, connector: str) -> tuple[int, ...]:
    """Grid phases that a connector can load; all where its wiring is not known."""
    rotation = ROTATIONS.get(site.connectors[connector].phase_rotation)
    most = site.bridged_connectors[connector].capabilities.max_phase_count
    return rotation[:most] if rotation is not None else (0, 1, 2)
