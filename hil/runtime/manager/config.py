"""The configuration of a run, read and checked with everything that it refers to, by EVerest's rules."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bsp.yaml_document import FileError
from bsp.yaml_file import instead
from hil.runtime.manager.connections import Connection, connections_of, probe_manifest
from hil.runtime.manager.definitions import Definitions
from hil.runtime.manager.manifest import PROBE_MODULE, Manifest, find_module
from hil.runtime.manager.parameters import Parameter, parameters_of
from hil.runtime.manager.problems import ConfigError, Report
from hil.runtime.manager.schemas import problems_of
from hil.runtime.manager.settings import Settings
from hil.runtime.manager.user_config import load_with_user_config
from hil.runtime.wire import Json


@dataclass(frozen=True)
class ModuleConfig:
    """One entry of ``active_modules``, complete.

    Attributes
    ----------
    module_id
        Its key in the configuration.
    manifest
        Manifest of its type.
    entry
        The entry as the file has it.
    parameters
        Values with defaults, sorted by name, of ``!module`` and of each implementation.
    connections
        Fulfilments of each connected requirement, in order.
    """

    module_id: str
    manifest: Manifest
    entry: Json
    parameters: dict[str, list[Parameter]]
    connections: dict[str, list[Connection]]

    @property
    def standalone(self) -> bool:
        """True when somebody else starts the module."""
        return bool(self.entry.get("standalone", False))

    @property
    def mapping(self) -> Json:
        """EVSE and connector of the module and its implementations; None for the whole station."""
        return {key: value for key, value in self.entry.get("mapping", {}).items() if value} or None


@dataclass(frozen=True)
class RunConfig:
    """All that a run needs to know.

    Attributes
    ----------
    path
        The configuration file.
    settings
        Its ``settings``.
    modules
        Its modules by id, sorted.
    interfaces
        Every interface that somebody provides, as distributed.
    types
        Every type file; empty unless schemas are validated.
    """

    path: Path
    settings: Settings
    modules: dict[str, ModuleConfig]
    interfaces: dict[str, Json]
    types: dict[str, Json]

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        prefix: str | None = None,
        standalone: frozenset[str] = frozenset(),
        installation: Path | None = None,
        log: Callable[[str], None],
    ) -> "RunConfig":
        """Read and check a configuration and everything it refers to.

        Parameters
        ----------
        path
            The configuration; ``user-config/<same name>`` beside it is merged into it.
        prefix
            MQTT prefix instead of the configured one.
        standalone
            Modules that somebody else starts, besides those that the configuration names.
        installation
            Prefix of the EVerest installation that it is for; its modules need not be in Python.
        log
            Gets a line for each thing that is odd but no error.

        Raises
        ------
        ConfigError
            The files are wrong: a line for every problem found.
        """
        try:
            report = Report(load_with_user_config(path, log), log)
            return _loaded(report, prefix, standalone, installation)
        except FileError as error:
            raise ConfigError(error.problems) from error


def _loaded(
    report: Report, prefix: str | None, standalone: frozenset[str], installation: Path | None
) -> RunConfig:
    path, data = report.file.path, report.file.data
    report.problems += problems_of(report.file, "config")
    report.stop_at_errors()
    entries = data.get("active_modules", {})
    if not entries:
        report.error("active_modules", what="no modules, there is nothing to run")
    settings = _settings(data.get("settings", {}), prefix, installation, report)
    _set_standalone(entries, standalone, report)
    report.stop_at_errors()
    manifests = _manifests(entries, settings, report, in_python_only=installation is None)
    report.stop_at_errors()
    modules = {
        module_id: ModuleConfig(
            module_id,
            manifests[entry["module"]],
            entry,
            parameters_of(module_id, entry, manifests[entry["module"]], report),
            connections_of(module_id, entries, manifests, report),
        )
        for module_id, entry in sorted(entries.items())
    }
    _check_mappings(modules, report)
    definitions = Definitions(settings.interfaces_dirs, settings.types_dirs, settings.errors_dirs)
    interfaces = _interfaces(manifests, definitions, report)
    types = _types(interfaces, definitions, report) if settings.validate_schema else {}
    report.stop_at_errors()
    return RunConfig(path, settings, modules, interfaces, types)


def _settings(settings: Json, prefix: str | None, installation: Path | None, report: Report) -> Settings:
    base = report.file.path.parent
    if "mqtt_broker_socket_path" in settings and "mqtt_broker_host" in settings:
        what = "excludes mqtt_broker_host, keep one of them"
        report.error("settings", "mqtt_broker_socket_path", what=what)
    if "run_as_user" in settings:
        report.ignored("settings", "run_as_user", why="modules run as whoever runs the bench")
    found = Settings.of(settings, base, prefix, installation=installation)
    if found.prefix == found.external_prefix:
        report.error("settings", "mqtt_external_prefix", what="must differ from mqtt_everest_prefix")
    if not found.logging_config_file.exists():
        report.error("settings", "logging_config_file", what=f"{found.logging_config_file} does not exist")
    return found


def _set_standalone(entries: Json, standalone: frozenset[str], report: Report) -> None:
    for module_id in sorted(standalone):
        if module_id in entries:
            entries[module_id]["standalone"] = True
        else:
            report.error(
                "active_modules",
                what=f"no module {module_id!r} to run standalone{instead(module_id, sorted(entries))}",
            )


def _manifests(
    entries: Json, settings: Settings, report: Report, *, in_python_only: bool
) -> dict[str, Manifest]:
    manifests: dict[str, Manifest] = {}
    for module_id, entry in entries.items():
        module_type, place = entry["module"], ("active_modules", module_id, "module")
        if module_type not in manifests and module_type != PROBE_MODULE:
            directories = settings.directories_of(module_type)
            directory = find_module(directories)
            if directory is None:
                looked = ", ".join(str(path / "manifest.yaml") for path in directories)
                report.error(*place, what=f"unknown module type {module_type!r}, looked for {looked}")
                continue
            try:
                manifests[module_type] = Manifest.load(module_type, directory)
            except ConfigError as error:
                report.problems += error.problems
                continue
        manifest = manifests.get(module_type)
        must_start = in_python_only and not entry.get("standalone")
        if must_start and manifest and manifest.script and not manifest.script.exists():
            what = f"{manifest.script} does not exist: start a module that is not in Python yourself"
            report.error(*place, what=f"{what}, and set standalone: true")
    probe = probe_manifest(entries, manifests, report)
    return manifests | {PROBE_MODULE: probe} if probe else manifests


def _check_mappings(modules: dict[str, ModuleConfig], report: Report) -> None:
    for module_id, module in modules.items():
        for implementation in (module.mapping or {}).get("implementations", {}):
            if implementation not in module.manifest.provides:
                why = f"{module.manifest.module_type} provides no such implementation"
                report.ignored(
                    "active_modules", module_id, "mapping", "implementations", implementation, why=why
                )


def _interfaces(manifests: dict[str, Manifest], definitions: Definitions, report: Report) -> dict[str, Json]:
    providers = {
        implementation["interface"]: manifest.module_type
        for manifest in manifests.values()
        for implementation in manifest.provides.values()
    }
    interfaces: dict[str, Json] = {}
    for name, provider in sorted(providers.items()):
        try:
            interfaces[name] = definitions.interface(name)
        except ConfigError as error:
            report.problems += [f"{problem} ({provider} provides it)" for problem in error.problems]
    return interfaces


def _types(interfaces: dict[str, Json], definitions: Definitions, report: Report) -> dict[str, Json]:
    try:
        definitions.check_errors()
        types = definitions.types()
    except ConfigError as error:
        report.problems += error.problems
        return {}
    for name in interfaces:
        report.problems += definitions.problems_of_references(name, types)
    return types
