"""One instance of PyEnergyManager: its config, its site file and its connections, held against each other."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from bsp.hub import HubLink
from bsp.yaml_file import instead
from control.broker import Broker
from control.installation import installation
from control.memory import ALLOCATION
from control.settings import Settings, SettingsError, Wiring
from control.settings import check as check_settings
from control.site_file import SiteError, SiteFile, load_site
from control.site_sections import EvseSection
from control.store.history import HistoryError, document
from control.suggestions import rotation_line
from energy_management import ManagerState
from hil.check.energy_tree import CONSUMERS, TRUNK, EnergyTree, values_of
from hil.check.remarks import Remark, error, note
from hil.check.site_file import site_remarks
from hil.runtime.manager.config import ModuleConfig

_THIS_MACHINE = ("", "localhost", "127.0.0.1", "::1")


class Instance:
    """An instance and what it is put together from.

    Parameters
    ----------
    module : ModuleConfig
        The instance in the configuration.
    tree : EnergyTree
        The tree that it is a part of.
    etc : Path
        Where relative paths of its settings begin.

    Attributes
    ----------
    name : str
        Its id.
    settings : Settings or None
        None if they make no sense.
    site : SiteFile or None
        None if there is none, or it makes no sense.
    """

    def __init__(self, module: ModuleConfig, tree: EnergyTree, etc: Path) -> None:
        self.name = module.module_id
        self.settings: Settings | None = None
        self.site: SiteFile | None = None
        self._connections = module.connections
        self._tree = tree
        self._errors: list[str] = []
        try:
            self.settings = Settings.from_config(self.name, values_of(module), etc)
            if self.settings.site_file:
                self.site = load_site(self.settings.site_file)
            self._put_together(self.settings, self.site)
        except (SettingsError, SiteError) as problem:
            self._errors = str(problem).splitlines()

    def _put_together(self, settings: Settings, site: SiteFile | None) -> None:
        """Refuse what the instance itself would refuse at start."""
        wiring = Wiring(
            trunks=len(self._connections.get(TRUNK, [])),
            consumers=len(self._connections.get(CONSUMERS, [])),
            bridged_connectors=len(site.connectors) if site else 0,
            nodes=len(site.nodes) if site else 0,
        )
        has_fuse = settings.fuse_limit_A is not None or (site is not None and site.grid is not None)
        check_settings(settings, wiring, has_fuse=has_fuse)
        installation(settings, site, has_powermeter="powermeter" in self._connections)

    def remarks(self) -> Iterator[Remark]:
        """Say what is wrong with it, and what is worth knowing."""
        yield from map(error, self._errors)
        if self._errors or self.settings is None:
            return
        yield from self._rotations(_learnt_rotations(self.settings.state_file))
        if self.site is None:
            return
        yield from self._evses(self.site)
        yield from self._connected(self.site)
        yield from self._contactors(self.site, self.settings)
        yield from site_remarks(self.name, self.site, has_powermeter="powermeter" in self._connections)
        if self.site.broker is not None:
            yield from self._broker(self.site.broker, is_used=self.settings.mqtt_api)

    def _rotations(self, learnt: Mapping[str, str]) -> Iterator[Remark]:
        told: Mapping[str, EvseSection] = {}
        names = [child for child in self._tree.fed_by(self.name) if self._tree.is_leaf(child)]
        if self.site is not None:
            told = {**self.site.evses, **self.site.connectors}
            names += self.site.connectors
        connectors = self.site.connectors if self.site is not None else {}
        for name in names:
            if name in told and told[name].phase_rotation != "unknown":
                continue
            if name in learnt:
                yield note(rotation_line(name, learnt[name], "connectors" if name in connectors else "evses"))
            else:
                yield note(
                    f"{name}: its phase_rotation is not known, so it counts on all phases of {self.name}: "
                    "`hil wiring` finds it"
                )

    def _evses(self, site: SiteFile) -> Iterator[Remark]:
        below = self._tree.below(self.name)
        for evse in site.evses:
            if evse not in below and not self._tree.hangs_nowhere(evse):
                meant = instead(evse, sorted(below))
                yield error(f"{self.name}: evses.{evse}: no module of that name hangs on it{meant}")
        for child in self._tree.fed_by(self.name):
            branch = {child, *self._tree.below(child)} & site.evses.keys()
            nodes = {site.evses[evse].node for evse in branch}
            if len(nodes) > 1:
                where = ", ".join(f"{evse} below {site.evses[evse].node}" for evse in sorted(branch))
                yield error(f"{self.name}: {child} hangs on one node, but the site file has {where}")

    def _connected(self, site: SiteFile) -> Iterator[Remark]:
        """Hold requirements against what the site file needs of them."""
        boards = [connection.module_id for connection in self._connections.get("bsp", [])]
        named = {name: part.bsp for name, part in site.connectors.items() if part.bsp is not None}
        for name, board in named.items():
            if board not in boards:
                meant = instead(board, boards)
                yield error(f"{self.name}: connectors.{name}.bsp: '{board}' is not connected as bsp{meant}")
        for board in boards:
            if board not in named.values():
                yield note(f"{self.name}: bsp: no connector of the site file has {board}")
        hub_buses = [name for name, link in site.buses.items() if isinstance(link, HubLink)]
        has_hub = "serial_hub" in self._connections
        if hub_buses and not has_hub:
            yield error(
                f"{self.name}: buses.{hub_buses[0]} is EVerest's serial hub: connect one as serial_hub"
            )
        elif has_hub and not hub_buses:
            yield note(f"{self.name}: serial_hub: no bus of the site file has everest_hub: true")

    def _contactors(self, site: SiteFile, settings: Settings) -> Iterator[Remark]:
        for connector, config in site.bridged_connectors.items():
            if config.contactors is not None and settings.state_file is None:
                yield note(
                    f"{self.name}: {connector} has contactors: name a state_file, so that a crash amid "
                    "a switch is not forgotten"
                )

    def _broker(self, broker: Broker, *, is_used: bool) -> Iterator[Remark]:
        if not is_used:
            yield note(f"{self.name}: the site file has mqtt, which is without effect: set mqtt_api: true")
        elif broker.password and not broker.is_encrypted and broker.host not in _THIS_MACHINE:
            yield note(
                f"{self.name}: mqtt: the password goes to {broker.host} for all to read: set tls: true"
            )


def _learnt_rotations(state_file: Path | None) -> dict[str, str]:
    """Wiring as measured so far, if the instance keeps it; it tells by itself what is wrong with the file."""
    if state_file is None or not state_file.exists():
        return {}
    try:
        state = ManagerState.from_json(document(state_file, ALLOCATION) or "")
    except (HistoryError, ValueError):
        return {}
    return {uuid: evse.learnt_rotation for uuid, evse in state.evses.items() if evse.learnt_rotation}
