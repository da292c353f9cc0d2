"""The energy tree as the connections of a configuration make it."""

from collections.abc import Iterator, Mapping

from hil.check.remarks import Remark, error
from hil.runtime.manager import RunConfig
from hil.runtime.manager.config import ModuleConfig
from hil.runtime.manager.manifest import ENERGY_MANAGER
from hil.runtime.wire import MODULE_SCOPE

CONSUMERS, TRUNK = "energy_consumer", "energy_trunk"
_ENERGY = "energy"


class EnergyTree:
    """Who feeds whom.

    Parameters
    ----------
    config : RunConfig
        A configuration that is right by EVerest's rules.
    """

    def __init__(self, config: RunConfig) -> None:
        self._modules = config.modules
        self._feeders: dict[str, list[str]] = {}
        for name, module in config.modules.items():
            for requirement in (CONSUMERS, TRUNK):
                for connection in module.connections.get(requirement, []):
                    self._feeders.setdefault(connection.module_id, []).append(name)

    def fed_by(self, name: str) -> list[str]:
        """Modules that hang directly on a module."""
        return [child for child, feeders in self._feeders.items() if name in feeders]

    def below(self, name: str) -> set[str]:
        """All modules below a module, at any depth."""
        found: set[str] = set()
        waiting = self.fed_by(name)
        while waiting:
            child = waiting.pop()
            if child not in found:
                found.add(child)
                waiting += self.fed_by(child)
        return found

    def hangs_nowhere(self, name: str) -> bool:
        """Whether it is a module that no other feeds, of which `remarks` tells."""
        return name in self._modules and name not in self._feeders

    def is_leaf(self, name: str) -> bool:
        """Whether a module is an EVSE, or anything else that feeds nobody."""
        return not any(need in self._modules[name].manifest.requires for need in (CONSUMERS, TRUNK))

    def remarks(self) -> Iterator[Remark]:
        """Find parts of the tree that hang in the air, twice, on themselves, or on no fuse."""
        for name, module in self._modules.items():
            feeders = self._feeders.get(name, [])
            if len(feeders) > 1:
                yield error(f"{name}: hangs on {' and '.join(feeders)} at once: it can have one feeder only")
            if name in self.below(name):
                yield error(f"{name}: feeds itself through {' and '.join(feeders)}")
            elif is_manager(module):
                yield from self._of_manager(name, feeders)
            elif _provides_energy(module):
                yield from self._of_fed(name, feeders)

    def _of_manager(self, name: str, feeders: list[str]) -> Iterator[Remark]:
        if feeders:
            why = "decides by itself, so nothing comes from it"
            yield error(f"{name}: {why}; below {feeders[0]} it needs role: node")

    def _of_fed(self, name: str, feeders: list[str]) -> Iterator[Remark]:
        if not self.is_leaf(name):
            if not feeders:
                yield error(f"{name}: a node that is not attached: connect its energy_grid to a manager")
        elif not feeders:
            yield error(f"{name}: no energy manager has it: name it as energy_consumer of its fuse")
        elif not self._has_fuse(name):
            yield error(f"{name}: no fuse between it and the grid: set fuse_limit_A above it")

    def _has_fuse(self, name: str) -> bool:
        """Whether a node above knows its fuse; one that has a site file answers for itself."""
        seen = set()
        while name in self._feeders and name not in seen:
            seen.add(name)
            name = self._feeders[name][0]
            values = values_of(self._modules[name])
            if values.get("fuse_limit_A") or values.get("site_file"):
                return True
        return False


def values_of(module: ModuleConfig) -> Mapping[str, object]:
    """Config of a module, defaults included."""
    return {item.name: item.value for item in module.parameters.get(MODULE_SCOPE, [])}


def is_manager(module: ModuleConfig) -> bool:
    """Whether a module decides by itself."""
    if module.manifest.module_type == ENERGY_MANAGER:
        return values_of(module).get("role") == "manager"
    return TRUNK in module.manifest.requires and not _provides_energy(module)


def _provides_energy(module: ModuleConfig) -> bool:
    return any(part["interface"] == _ENERGY for part in module.manifest.provides.values())
