"""An EVerest configuration and its site files, judged as a whole: what each for itself cannot know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from control.installation import installation
from control.settings import Settings, SettingsError, Wiring
from control.settings import check as check_settings
from control.site_file import SiteError, SiteFile, load_site
from control.site_sections import GRID, FuseSection
from hil.runtime.manager import RunConfig
from hil.runtime.manager.config import ModuleConfig
from hil.runtime.wire import MODULE_SCOPE

MANAGER = "PyEnergyManager"
_ENERGY = "energy"
_CONSUMERS = ("energy_consumer", "energy_trunk")


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the station.

    Attributes
    ----------
    is_error : bool
        It cannot stay; otherwise it is worth knowing.
    text : str
        Where, what, and what to do, in one line.
    """

    is_error: bool
    text: str


def _error(text: str) -> Remark:
    return Remark(is_error=True, text=text)


def _note(text: str) -> Remark:
    return Remark(is_error=False, text=text)


def check_station(config: RunConfig, etc: Path) -> list[Remark]:
    """Look at a configuration that is right by EVerest's rules, and at the site files that it names.

    Parameters
    ----------
    config : RunConfig
        The configuration.
    etc : Path
        Where relative paths of its settings begin.
    """
    remarks = list(_tree(config))
    for module in config.modules.values():
        if module.manifest.module_type == MANAGER:
            remarks += _manager(config, module, etc)
    return remarks


def _tree(config: RunConfig) -> Iterator[Remark]:
    """Find parts of the energy tree that hang in the air, twice, or on no fuse."""
    parents = _parents(config)
    for name, module in config.modules.items():
        above = parents.get(name, [])
        is_leaf = _is_energy(module) and not any(need in module.manifest.requires for need in _CONSUMERS)
        if is_leaf and not above:
            yield _error(f"{name}: no energy manager has it: name it as energy_consumer of its fuse")
        elif is_leaf and not _has_fuse(config, parents, name):
            yield _error(f"{name}: no fuse between it and the grid: set fuse_limit_A above it")
        if len(above) > 1:
            yield _error(f"{name}: hangs on {' and '.join(above)} at once: it can have one feeder only")


def _parents(config: RunConfig) -> dict[str, list[str]]:
    parents: dict[str, list[str]] = {}
    for name, module in config.modules.items():
        for need in _CONSUMERS:
            for connection in module.connections.get(need, []):
                parents.setdefault(connection.module_id, []).append(name)
    return parents


def _is_energy(module: ModuleConfig) -> bool:
    return any(part["interface"] == _ENERGY for part in module.manifest.provides.values())


def _has_fuse(config: RunConfig, parents: Mapping[str, list[str]], name: str) -> bool:
    """Whether a node above knows its fuse; one that has a site file answers for itself."""
    seen = set()
    while name in parents and name not in seen:
        seen.add(name)
        name = parents[name][0]
        values = _values(config.modules[name])
        if values.get("fuse_limit_A") or values.get("site_file"):
            return True
    return False


def _values(module: ModuleConfig) -> dict[str, object]:
    return {item.name: item.value for item in module.parameters.get(MODULE_SCOPE, [])}


def _manager(config: RunConfig, module: ModuleConfig, etc: Path) -> Iterator[Remark]:
    name = module.module_id
    try:
        settings = Settings.from_config(name, _values(module), etc)
        site = load_site(settings.site_file) if settings.site_file else None
        trunks, consumers = (len(module.connections.get(n, [])) for n in ("energy_trunk", "energy_consumer"))
        wiring = Wiring(trunks, consumers, len(site.connectors) if site else 0)
        has_fuse = settings.fuse_limit_A is not None or (site is not None and site.grid is not None)
        check_settings(settings, wiring, has_fuse=has_fuse)
        installation(settings, site)
    except (SettingsError, SiteError) as error:
        yield from (_error(line) for line in str(error).splitlines())
        return
    yield from _rotations(config, name, site)
    if site is not None:
        yield from _site(name, site, set(config.modules))


def _rotations(config: RunConfig, name: str, site: SiteFile | None) -> Iterator[Remark]:
    told = site.evses if site is not None else {}
    for connection in config.modules[name].connections.get("energy_consumer", []):
        child = config.modules[connection.module_id]
        is_leaf = not any(need in child.manifest.requires for need in _CONSUMERS)
        if is_leaf and (child.module_id not in told or told[child.module_id].phase_rotation == "unknown"):
            yield _note(
                f"{child.module_id}: its phase_rotation is not known, so it counts on all phases of {name}: "
                "`hil wiring` finds it",
            )


def _site(name: str, site: SiteFile, modules: set[str]) -> Iterator[Remark]:
    for evse in site.evses:
        if evse not in modules:
            yield _error(f"{name}: evses.{evse}: no module of that name, known: {', '.join(sorted(modules))}")
    fuses: dict[str, FuseSection] = {**site.nodes, **({GRID: site.grid} if site.grid is not None else {})}
    for fuse, section in fuses.items():
        if section.meter is None:
            yield _note(f"{name}: {fuse} has no meter: other loads behind it are not seen, set a reserve")
        elif "current_A.L1" not in site.bridged_meters[section.meter].profile.points:
            yield _error(
                f"{name}: {fuse}: the meter '{section.meter}' measures no current, which a fuse needs"
            )
    for connector, config in site.bridged_connectors.items():
        if config.profile.watchdog is None:
            yield _note(
                f"{name}: {connector} has no watchdog: it keeps its last limit if the manager dies; "
                "limit it in the charger itself to what is always safe",
            )
