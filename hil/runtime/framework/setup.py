"""What a module knows about itself: configuration, connections, interfaces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.runtime.framework.definitions import Definitions
from hil.runtime.wire import MODULE_SCOPE, Json


@dataclass(frozen=True, slots=True, eq=False)
class Fulfillment:
    """One connection of a requirement: the implementation that fulfils it.

    Attributes
    ----------
    module_id, implementation_id
        Who fulfils the requirement.
    requirement_id
        Which requirement; everestpy keeps it to itself.
    """

    module_id: str
    implementation_id: str
    requirement_id: str

    def __str__(self) -> str:
        """Name the implementation, for messages."""
        return f"{self.module_id}->{self.implementation_id}"


@dataclass(frozen=True, slots=True)
class Interface:
    """Names of the variables and commands of an interface, and its errors as ``namespace/Name``."""

    variables: list[str]
    commands: list[str]
    errors: list[str]

    @classmethod
    def of(cls, definition: Json) -> "Interface":
        """Read a distributed definition; an optional requirement that nobody fulfils has none."""
        definition = definition or {}
        return cls(
            variables=list(definition.get("vars", {})),
            commands=list(definition.get("cmds", {})),
            errors=[
                f"{namespace}/{name}"
                for namespace, errors in definition.get("errors", {}).items()
                for name in errors
            ],
        )


@dataclass(frozen=True, slots=True)
class ModuleInfoPaths:
    """Directories of a module: configuration, its code, its shared data."""

    etc: Path
    libexec: Path
    share: Path


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """Who a module is; ``telemetry_enabled`` is never set in Python, as in everestpy."""

    id: str
    name: str
    authors: list[str]
    license: str
    paths: ModuleInfoPaths
    telemetry_enabled: bool = False

    @classmethod
    def of(cls, module_id: str, definitions: Definitions) -> "ModuleInfo":
        """Collect it from manifest and settings."""
        name = definitions.module_config["module_name"]
        metadata = definitions.manifests[name].get("metadata", {})
        settings = definitions.settings
        return cls(
            id=module_id,
            name=name,
            authors=list(metadata.get("authors", [])),
            license=metadata.get("license", ""),
            paths=ModuleInfoPaths(
                etc=Path(settings["etc_dir"]),
                libexec=Path(settings["modules_dir"]) / name,
                share=Path(settings["data_dir"]) / "modules" / name,
            ),
        )


@dataclass(frozen=True, slots=True)
class ModuleSetupConfigurations:
    """Configuration of the module and each implementation; ``None``, as in everestpy, where there is none."""

    module: dict[str, Any] | None
    implementations: dict[str, dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class ModuleSetup:
    """Answer of ``say_hello``: configuration, and who fulfils each requirement (an empty list for nobody)."""

    configs: ModuleSetupConfigurations
    connections: dict[str, list[Fulfillment]]

    @classmethod
    def of(cls, definitions: Definitions) -> "ModuleSetup":
        """Read it from the configuration that the manager gave this module."""
        config = definitions.module_config
        values = {
            scope: {parameter["name"]: parameter["value"] for parameter in parameters} or None
            for scope, parameters in config["configuration_parameters"].items()
        }
        manifest = definitions.manifests[config["module_name"]]
        return cls(
            configs=ModuleSetupConfigurations(values.pop(MODULE_SCOPE, None), values),
            connections={
                requirement: [
                    Fulfillment(connection["module_id"], connection["implementation_id"], requirement)
                    for connection in config["connections"].get(requirement, [])
                ]
                for requirement in manifest.get("requires", {})
            },
        )
