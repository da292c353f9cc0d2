"""The module's settings, typed, and what about them makes no sense."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from control.dimming import Floor
from energy_management import ManagerConfig

_ENGINE_KEYS = [setting.name for setting in fields(ManagerConfig)]


class SettingsError(Exception):
    """The configuration makes no sense; the message says what to change, one line per problem."""


class Role(StrEnum):
    """What the module stands in for."""

    MANAGER = "manager"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one module instance, named as in the manifest.

    Attributes
    ----------
    module_id : str
        Id of the instance, also the uuid of its node in the energy tree.
    fuse_limit_A : float or None
        Fuse per phase; None when the config gives none.
    site_file, state_file : Path or None
        None when the config names none.
    floor : Floor
        What limits that dim must leave.
    external_limits_dim : bool
        Those of ``set_external_limits`` do.
    engine : ManagerConfig
        Settings of the allocation.
    """

    module_id: str
    role: Role = Role.MANAGER
    fuse_limit_A: float | None = None
    phase_count: int = 3
    nominal_voltage_V: float = 230.0
    enhance_external_schedule: bool = False
    child_timeout_s: float = 10.0
    mqtt_api: bool = False
    home_assistant: bool = False
    metrics_port: int = 0
    metrics_address: str = "127.0.0.1"
    site_file: Path | None = None
    state_file: Path | None = None
    floor: Floor = field(default_factory=Floor)
    external_limits_dim: bool = False
    engine: ManagerConfig = field(default_factory=ManagerConfig)

    @classmethod
    def from_config(cls, module_id: str, config: Mapping[str, Any], base: Path = Path()) -> "Settings":
        """Read the module's config as EVerest hands it over; what is missing has the manifest's default.

        Parameters
        ----------
        base : Path
            Where relative paths begin: the etc directory of the installation.

        Raises
        ------
        SettingsError
            A value is outside of what the manifest cannot express.
        """
        try:
            engine = ManagerConfig.from_dict({name: config[name] for name in _ENGINE_KEYS if name in config})
        except ValueError as error:
            raise SettingsError(f"{module_id}: {error}") from error
        return cls(
            module_id=module_id,
            role=Role(config.get("role", Role.MANAGER)),
            fuse_limit_A=config.get("fuse_limit_A") or None,
            phase_count=config.get("phase_count", 3),
            nominal_voltage_V=config.get("nominal_voltage_V", 230.0),
            enhance_external_schedule=config.get("enhance_external_schedule", False),
            child_timeout_s=config.get("child_timeout_s", 10.0),
            mqtt_api=config.get("mqtt_api", False),
            home_assistant=config.get("home_assistant", False),
            metrics_port=config.get("metrics_port", 0),
            metrics_address=config.get("metrics_address", "127.0.0.1"),
            site_file=_path(config.get("site_file", ""), base),
            state_file=_path(config.get("state_file", ""), base),
            floor=Floor(config.get("dimming_floor_W", 0.0), config.get("dimming_simultaneity") or None),
            external_limits_dim=config.get("external_limits_dim", False),
            engine=engine,
        )


@dataclass(frozen=True, slots=True)
class Wiring:
    """What is connected to the instance: numbers of connections, and of what the site file adds to them."""

    trunks: int = 0
    consumers: int = 0
    bridged_connectors: int = 0
    nodes: int = 0

    @property
    def has_children(self) -> bool:
        """Whether anything hangs below this instance's own node."""
        return self.consumers + self.bridged_connectors > 0


def check(settings: Settings, wiring: Wiring, *, has_fuse: bool) -> None:
    """Refuse a combination of settings and connections that cannot work.

    Parameters
    ----------
    has_fuse : bool
        The fuse of this instance's own node is known.

    Raises
    ------
    SettingsError
        All problems, one per line, each with what to change.
    """
    problems = [
        f"{settings.module_id}: {problem}" for problem in _problems(settings, wiring, has_fuse=has_fuse)
    ]
    if problems:
        raise SettingsError("\n".join(problems))


def _problems(settings: Settings, wiring: Wiring, *, has_fuse: bool) -> list[str]:
    problems = []
    if settings.home_assistant and not settings.mqtt_api:
        problems.append("home_assistant needs the MQTT API: set mqtt_api: true")
    if settings.role is Role.NODE and wiring.trunks:
        problems.append("role node has no energy_trunk: connect energy_consumer, or set role: manager")
    elif wiring.trunks and wiring.has_children:
        problems.append(
            "energy_trunk is connected and so are children (energy_consumer, connectors of the site file): "
            "connect the trunk, which brings its own children, or the children"
        )
    elif wiring.trunks and wiring.nodes:
        problems.append(
            "energy_trunk is connected, which brings its own tree, and the site file has nodes: connect what "
            "they feed as energy_consumer, or leave the nodes out"
        )
    elif not wiring.trunks and not wiring.has_children:
        wanted = "energy_consumer" if settings.role is Role.NODE else "energy_trunk or energy_consumer"
        problems.append(f"nothing to manage: connect {wanted}, or name connectors in the site file")
    if not has_fuse and (wiring.has_children or settings.role is Role.NODE):
        problems.append(
            "no fuse for this node: set fuse_limit_A, or grid.fuse in the site file, to its amperes"
        )
    return problems


def _path(text: str, base: Path) -> Path | None:
    return base / text if text else None
