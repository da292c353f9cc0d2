"""The ``settings`` of a configuration, and where the files of a run lie."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hil.runtime.broker import BrokerAddress
from hil.runtime.wire import Json

ROOT = Path(__file__).resolve().parents[3]
"""The repository: it is what an installation prefix is to EVerest."""

_IN_PREFIX = {
    "modules_dir": "libexec/everest/modules",
    "interfaces_dir": "share/everest/interfaces",
    "types_dir": "share/everest/types",
    "errors_dir": "share/everest/errors",
}

ROOT_MODULE = "PyEnergyManager"
"""Type of the module that lies in ``ROOT`` itself."""


@dataclass(frozen=True)
class Settings:
    """What a configuration sets for the whole run.

    Attributes
    ----------
    prefix, external_prefix
        MQTT prefixes of the modules' traffic (with a slash at the end) and of external topics.
    broker
        Address that the configuration names, if any.
    validate_schema, forward_exceptions, telemetry_enabled, telemetry_prefix
        As modules get them.
    modules_dirs, interfaces_dirs, types_dirs, errors_dirs
        Where files are looked for; what the configuration names goes first, relative to its directory.
    logging_config_file
        Handed to modules, which insist on an existing file.
    etc_dir
        Where relative paths of modules begin: the directory of the configuration, as in an installation.
    """

    prefix: str
    external_prefix: str
    broker: BrokerAddress | None
    validate_schema: bool
    forward_exceptions: bool
    telemetry_enabled: bool
    telemetry_prefix: str
    modules_dirs: tuple[Path, ...]
    interfaces_dirs: tuple[Path, ...]
    types_dirs: tuple[Path, ...]
    errors_dirs: tuple[Path, ...]
    logging_config_file: Path
    etc_dir: Path

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Json],
        base: Path,
        prefix: str | None = None,
        *,
        installation: Path | None = None,
    ) -> "Settings":
        """Read the ``settings`` section.

        Parameters
        ----------
        settings
            The section, valid by its schema.
        base
            Directory of the configuration.
        prefix
            MQTT prefix that goes before the configured one; without any, a random one keeps runs apart.
        installation
            Prefix of an EVerest installation, where files are looked for, too.
        """

        def directories(key: str, own: Path) -> tuple[Path, ...]:
            of_everest = [installation / _IN_PREFIX[key]] if installation is not None else []
            return (*([base / settings[key]] if key in settings else []), *of_everest, own)

        return cls(
            prefix=_with_slash(
                prefix or settings.get("mqtt_everest_prefix") or f"everest_{secrets.token_hex(4)}"
            ),
            external_prefix=settings.get("mqtt_external_prefix", ""),
            broker=_broker(settings),
            validate_schema=settings.get("validate_schema", False),
            forward_exceptions=settings.get("forward_exceptions", False),
            telemetry_enabled=settings.get("telemetry_enabled", False),
            telemetry_prefix=_with_slash(settings.get("telemetry_prefix", "everest-telemetry")),
            modules_dirs=directories("modules_dir", ROOT / "hil/modules"),
            interfaces_dirs=directories("interfaces_dir", ROOT / "interfaces"),
            types_dirs=directories("types_dir", ROOT / "interfaces/types"),
            errors_dirs=directories("errors_dir", ROOT / "interfaces/errors"),
            logging_config_file=base / settings["logging_config_file"]
            if "logging_config_file" in settings
            else Path(__file__).with_name("default_logging.cfg"),
            etc_dir=base.resolve(),
        )

    def directories_of(self, module_type: str) -> list[Path]:
        """Where a module type may lie, the likeliest first."""
        own = [ROOT] if module_type == ROOT_MODULE else []
        return (
            [directory / module_type for directory in self.modules_dirs[:-1]]
            + own
            + [self.modules_dirs[-1] / module_type]
        )

    @property
    def distributed(self) -> Json:
        """The retained ``settings`` that modules read."""
        return {
            "prefix": str(ROOT),
            "etc_dir": str(self.etc_dir),
            "data_dir": str(ROOT),
            "modules_dir": str(self.modules_dirs[0]),
            "telemetry_prefix": self.telemetry_prefix,
            "telemetry_enabled": self.telemetry_enabled,
            "validate_schema": self.validate_schema,
            "forward_exceptions": self.forward_exceptions,
        }


def _with_slash(prefix: str) -> str:
    return prefix if prefix.endswith("/") else prefix + "/"


def _broker(settings: Mapping[str, Json]) -> BrokerAddress | None:
    if "mqtt_broker_socket_path" in settings:
        return BrokerAddress(socket_path=settings["mqtt_broker_socket_path"])
    if "mqtt_broker_host" in settings or "mqtt_broker_port" in settings:
        return BrokerAddress(
            settings.get("mqtt_broker_host", "localhost"), settings.get("mqtt_broker_port", 1883)
        )
    return None
