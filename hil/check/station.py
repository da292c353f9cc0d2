"""An EVerest configuration and its site files, judged as a whole: what each for itself cannot know."""

from collections.abc import Hashable, Iterator
from pathlib import Path

from bsp.transport import SerialLink, TcpLink
from control.site_file import SiteFile
from hil.check.energy_tree import EnergyTree, values_of
from hil.check.instance import Instance
from hil.check.remarks import Remark, error
from hil.runtime.manager import RunConfig
from hil.runtime.manager.manifest import ENERGY_MANAGER


def check_station(config: RunConfig, etc: Path) -> list[Remark]:
    """Look at a configuration that is right by EVerest's rules, and at the site files that it names.

    Parameters
    ----------
    config : RunConfig
        The configuration.
    etc : Path
        Where relative paths of its settings begin.
    """
    tree = EnergyTree(config)
    instances = [
        Instance(module, tree, etc)
        for module in config.modules.values()
        if module.manifest.module_type == ENERGY_MANAGER
    ]
    remarks = [*tree.remarks(), *_taken_twice(config, instances)]
    for instance in instances:
        remarks += instance.remarks()
    return remarks


def _taken_twice(config: RunConfig, instances: list[Instance]) -> Iterator[Remark]:
    """Find what can have one owner only, and has two."""
    owners: dict[Hashable, str] = {}
    for name, what, thing in _owned(config, instances):
        if thing in owners and owners[thing] != name:
            yield error(f"{name}: {what} is that of {owners[thing]} already: each needs its own")
        owners.setdefault(thing, name)


def _owned(config: RunConfig, instances: list[Instance]) -> Iterator[tuple[str, str, Hashable]]:
    """Yield owner, what it owns in words, and what tells that from others."""
    for instance in instances:
        name, settings = instance.name, instance.settings
        if settings is not None and settings.state_file is not None:
            yield name, f"state_file {settings.state_file}", ("file", settings.state_file.resolve())
        if settings is not None and settings.metrics_port:
            yield name, f"metrics_port {settings.metrics_port}", ("port", settings.metrics_port)
        if instance.site is not None:
            yield from _devices(name, instance.site)
    ports = {thing for instance in instances if instance.site for _, _, thing in _devices("", instance.site)}
    for name, module in config.modules.items():
        if module.manifest.module_type != ENERGY_MANAGER:
            for key, value in values_of(module).items():
                if isinstance(value, str) and ("serial", value) in ports:
                    yield name, f"{key} {value}", ("serial", value)


def _devices(name: str, site: SiteFile) -> Iterator[tuple[str, str, Hashable]]:
    for link in site.buses.values():
        if isinstance(link, SerialLink):
            yield name, f"serial port {link.port}", ("serial", link.port)
    for kind in (site.bridged_meters, site.bridged_connectors, site.bridged_relays):
        for device in kind.values():
            link = site.buses[device.bus]
            if isinstance(link, TcpLink):
                where = f"{link.host}:{link.port} unit {device.unit}"
                yield name, where, ("tcp", link.host, link.port, device.unit)
