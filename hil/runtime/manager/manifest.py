"""Modules' manifests, with the defaults that EVerest fills in."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bsp.yaml_document import YamlDocument
from control.manifest import with_control
from hil.runtime.manager.problems import ConfigError
from hil.runtime.manager.schemas import problem_of_value, problems_of
from hil.runtime.wire import MODULE_SCOPE, Json

PROBE_MODULE = "ProbeModule"
"""Type of a module that needs no files: a test plays it."""

ENERGY_MANAGER = "PyEnergyManager"
"""Type of the module that has an interface of its own, which the bench knows and EVerest may not."""


@dataclass(frozen=True)
class Manifest:
    """What a module type says of itself.

    Attributes
    ----------
    module_type
        Its name.
    directory
        Where its ``manifest.yaml`` and ``module.py`` lie; None for a ProbeModule.
    data
        The manifest with all defaults filled in.
    """

    module_type: str
    directory: Path | None
    data: Json

    @classmethod
    def load(cls, module_type: str, directory: Path) -> "Manifest":
        """Read and check ``manifest.yaml`` of a module directory.

        Raises
        ------
        ConfigError
            The manifest is missing or wrong.
        """
        file = YamlDocument.load(directory / "manifest.yaml")
        problems = problems_of(file, "manifest") or _problems_of_defaults(file)
        if problems:
            raise ConfigError(problems)
        data = with_control(file.data) if module_type == ENERGY_MANAGER else file.data
        return cls(module_type, directory, _filled(data))

    @classmethod
    def of_probe(cls, provides: dict[str, str], requires: dict[str, tuple[str, int]]) -> "Manifest":
        """Make the manifest of a ProbeModule from what the configuration connects it with.

        Parameters
        ----------
        provides
            Interface of each implementation that others connect to.
        requires
            Interface and number of connections of each of its requirements.
        """
        data = {
            "description": "Played by a test",
            "metadata": {"license": "https://opensource.org/licenses/Apache-2.0", "authors": ["the test"]},
            "provides": {
                name: {"interface": interface, "description": "Played by a test"}
                for name, interface in (provides or {"none": "empty"}).items()
            },
            "requires": {
                name: {"interface": interface, "min_connections": count, "max_connections": count}
                for name, (interface, count) in requires.items()
            },
        }
        return cls(PROBE_MODULE, None, _filled(data))

    @property
    def script(self) -> Path | None:
        """The program, whether it exists or not, symlinks resolved: a ``.venv`` lies beside the real file."""
        return (self.directory / "module.py").resolve() if self.directory else None

    @property
    def provides(self) -> dict[str, Json]:
        """Implementations by id."""
        provides: dict[str, Json] = self.data["provides"]
        return provides

    @property
    def requires(self) -> dict[str, Json]:
        """Requirements by id."""
        requires: dict[str, Json] = self.data["requires"]
        return requires

    @property
    def config_items(self) -> dict[str, dict[str, Json]]:
        """Declared configuration items of the module (``!module``) and of each implementation."""
        return {
            MODULE_SCOPE: self.data["config"],
            **{name: implementation["config"] for name, implementation in self.provides.items()},
        }


def find_module(directories: Sequence[Path]) -> Path | None:
    """Find the directory of a module type: the first that has a manifest."""
    return next((directory for directory in directories if (directory / "manifest.yaml").exists()), None)


def _filled(manifest: Json) -> Json:
    data = copy.deepcopy(manifest)
    for key in ("config", "provides", "requires"):
        data.setdefault(key, {})
    for key in ("enable_external_mqtt", "enable_telemetry", "enable_global_errors"):
        data.setdefault(key, False)
    for implementation in data["provides"].values():
        implementation.setdefault("config", {})
    for items in (
        data["config"],
        *(implementation["config"] for implementation in data["provides"].values()),
    ):
        for item in items.values():
            item.setdefault("mutability", "ReadOnly")
    for requirement in data["requires"].values():
        requirement.setdefault("min_connections", 1)
        requirement.setdefault("max_connections", 1)
        if "ignore" in requirement:
            requirement["ignore"].setdefault("errors", False)
    return data


def _problems_of_defaults(file: YamlDocument) -> list[str]:
    places: list[tuple[str, ...]] = [
        ("config",),
        *(("provides", name, "config") for name in file.data.get("provides", {})),
    ]
    problems = []
    for place in places:
        items = file.data
        for key in place:
            items = items.get(key, {})
        for name, item in items.items():
            problem = problem_of_value(item["default"], item) if "default" in item else None
            if problem:
                problems.append(f"{file.where(*place, name, 'default')}: {problem}")
    return problems
