"""What settings and site file together say of the site, in the words of those who need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from control.dimming import NO_FLOOR, Floor
from control.meters import CONNECTED
from control.own_tree import OwnTree
from control.settings import Settings, SettingsError
from control.tree import OwnNode
from energy_management import EvseAttributes, ManagerConfig, NodeAttributes, Site
from energy_management.modes import FROM_SURPLUS, SolarAttributes, Thresholds

if TYPE_CHECKING:
    from control.site_file import EvseSection, GridSection, NodeSection, SharingSection, SiteFile
    from control.site_sections import SiteSolarSection, SolarSection


_METER_ONLY = NodeAttributes(fallback_A=0.0)
"""Of a root of which nothing is known but that it has a meter."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The site as a whole.

    Attributes
    ----------
    tree : OwnTree
        Nodes that this instance is itself.
    site : Site
        What the allocation should know of EVSEs and nodes.
    reserves_A : mapping of uuid to amperes
        Part of each node's fuse that is not for EVSEs, per phase.
    measures : mapping of meter to uuids
        Which nodes and EVSEs each bridged meter measures.
    stale_after_s : mapping of meter to seconds
        All meters, with the age beyond which their readings do not count.
    engine : ManagerConfig
        Settings of the allocation.
    floor : Floor
        What limits that dim must leave.
    """

    tree: OwnTree
    site: Site = field(default_factory=Site)
    reserves_A: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stale_after_s: Mapping[str, float] = field(default_factory=dict)
    engine: ManagerConfig = field(default_factory=ManagerConfig)
    floor: Floor = NO_FLOOR

    @property
    def knows_surplus(self) -> bool:
        """Whether a meter of the root tells what the sun leaves over."""
        root = self.site.nodes.get(self.tree.root.uuid)
        return root is not None and root.fallback_A is not None


def read_site(path: Path | None) -> SiteFile | None:
    """Read the site file, if one is named.

    Raises
    ------
    SettingsError
        It is not what it must be; one line for each problem.
    """
    if path is None:
        return None
    from control.site_file import SiteError, load_site  # noqa: PLC0415 - 14 MB that a site without does without

    try:
        return load_site(path)
    except SiteError as error:
        raise SettingsError(str(error)) from error


def installation(
    settings: Settings, site_file: SiteFile | None, *, has_powermeter: bool = False
) -> Installation:
    """Put settings and site file together.

    Parameters
    ----------
    has_powermeter : bool
        A grid meter comes through the requirement ``powermeter``.

    Raises
    ------
    SettingsError
        They contradict each other.
    """
    own = settings.module_id
    grid = site_file.grid if site_file else None
    if has_powermeter and grid is not None and grid.meter is not None:
        raise SettingsError(
            f"{own}: powermeter is connected and grid.meter of {settings.site_file} is '{grid.meter}': "
            "the grid has one meter, leave one of them out"
        )
    root = OwnNode(
        own,
        _fuse_A(settings, grid),
        grid.phases if grid else settings.phase_count,
        grid.nominal_voltage if grid else settings.nominal_voltage_V,
        settings.enhance_external_schedule,
        source="site_file" if grid else "module_config",
    )
    if site_file is None:
        meter_only = {own: _METER_ONLY} if has_powermeter else {}
        connected = {CONNECTED: NodeAttributes().stale_after_s} if has_powermeter else {}
        return Installation(
            OwnTree(root),
            Site(nodes=meter_only),
            stale_after_s=connected,
            engine=settings.engine,
            floor=settings.floor,
        )

    from control.site_sections import GRID  # noqa: PLC0415 - as in `read_site`

    def uuid(node: str) -> str:
        return own if node == GRID else node

    def is_metered(node: NodeSection | GridSection) -> bool:
        return node.meter is not None or (node is grid and has_powermeter)

    nodes: dict[str, NodeSection | GridSection] = {**site_file.nodes, **({own: grid} if grid else {})}
    evses: dict[str, EvseSection] = {**site_file.evses, **site_file.connectors}
    attributes = {name: _node_attributes(node, is_metered=is_metered(node)) for name, node in nodes.items()}
    if has_powermeter:
        attributes.setdefault(own, _METER_ONLY)
    place = Installation(
        OwnTree(
            root,
            {
                name: OwnNode(name, node.fuse, node.phases, root.nominal_voltage_V, source="site_file")
                for name, node in site_file.nodes.items()
            },
            {
                **{name: uuid(node.parent) for name, node in site_file.nodes.items()},
                **{name: uuid(evse.node) for name, evse in evses.items()},
            },
        ),
        Site(
            {name: _evse_attributes(evse) for name, evse in evses.items()},
            attributes,
            _solar(site_file.solar, evses),
        ),
        {name: node.reserve for name, node in nodes.items()},
        _measures({**nodes, **evses}),
        _stale_after_s(site_file, [*nodes.values()], has_powermeter=has_powermeter),
        _engine(settings.engine, site_file.sharing),
        replace(settings.floor, by_evse_W=_floors_W(evses)),
    )
    if not place.knows_surplus:
        _refuse_surplus(settings, evses)
    return place


def _floors_W(evses: Mapping[str, EvseSection]) -> dict[str, float]:
    return {name: evse.dimming_floor for name, evse in evses.items() if evse.dimming_floor is not None}


def _fuse_A(settings: Settings, grid: GridSection | None) -> float | None:
    if grid is None:
        return settings.fuse_limit_A
    if settings.fuse_limit_A is not None and settings.fuse_limit_A != grid.fuse:
        raise SettingsError(
            f"{settings.module_id}: fuse_limit_A is {settings.fuse_limit_A:g} A but grid.fuse of "
            f"{settings.site_file} is {grid.fuse:g} A: give it in one place"
        )
    return grid.fuse


def _evse_attributes(evse: EvseSection) -> EvseAttributes:
    rotation = None if evse.phase_rotation == "unknown" else evse.phase_rotation
    return EvseAttributes(rotation, evse.priority, evse.weight, evse.mode)


def _solar(solar: SiteSolarSection, evses: Mapping[str, EvseSection]) -> SolarAttributes:
    usual = _thresholds(solar, Thresholds())
    different = {name: _thresholds(evse.solar, usual) for name, evse in evses.items() if evse.solar}
    return SolarAttributes(usual, different, solar.max_switches_per_hour)


def _thresholds(solar: SolarSection, usual: Thresholds) -> Thresholds:
    given: dict[str, float | None] = {}
    if solar.enable is not None:
        given |= {"enable_W": solar.enable.surplus, "enable_after_s": solar.enable.after}
    if solar.disable is not None:
        given |= {"from_grid_W": solar.disable.from_grid, "disable_after_s": solar.disable.after}
    return replace(usual, **{name: value for name, value in given.items() if value is not None})


def _refuse_surplus(settings: Settings, evses: Mapping[str, EvseSection]) -> None:
    for name, evse in evses.items():
        if evse.mode in FROM_SURPLUS:
            raise SettingsError(
                f"{settings.module_id}: {name} of {settings.site_file} has mode {evse.mode}, but there is no "
                "meter that tells of a surplus: name one as grid.meter, or connect powermeter"
            )


def _node_attributes(node: NodeSection | GridSection, *, is_metered: bool) -> NodeAttributes:
    # The reserve is taken off the fuse in the tree, where it counts without a meter, too, and can change.
    # A node with a meter has a fallback from the start: what is not measured yet must not count as free.
    fallback_A = (node.fallback or 0.0) if is_metered else None
    return NodeAttributes(
        node.max_unbalance,
        0.0,
        fallback_A,
        node.stale_after,
        node.frozen_after,
        node.stable_after,
        node.base_load_falls_after,
        node.counts_generation,
    )


def _engine(config: ManagerConfig, sharing: SharingSection) -> ManagerConfig:
    return replace(
        config,
        rise_interval_s=sharing.rise_interval,
        deadband_A=sharing.deadband,
        unused_after_s=sharing.unused_after,
        unused_margin_A=sharing.unused_margin,
    )


def _measures(parts: Mapping[str, NodeSection | GridSection | EvseSection]) -> dict[str, tuple[str, ...]]:
    meters = {part.meter for part in parts.values() if part.meter is not None}
    return {meter: tuple(uuid for uuid, part in parts.items() if part.meter == meter) for meter in meters}


def _stale_after_s(
    site_file: SiteFile, nodes: Sequence[NodeSection | GridSection], *, has_powermeter: bool
) -> dict[str, float]:
    usual_s = NodeAttributes().stale_after_s
    stale_after_s = dict.fromkeys(site_file.bridged_meters, usual_s)
    stale_after_s |= {node.meter: node.stale_after for node in nodes if node.meter is not None}
    if has_powermeter:
        stale_after_s[CONNECTED] = site_file.grid.stale_after if site_file.grid else usual_s
    return stale_after_s
